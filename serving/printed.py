"""A suggestion in words for the terminal. Knows nothing of where it came from."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from models.domain import (
    Case,
    Evidence,
    FactEvidence,
    ListingMatchEvidence,
    PhotoEvidence,
    StatementEvidence,
    Suggestion,
)
from models.money import written
from models.vocabulary import Party

_CALIBRATION = {
    "simulated": "checked against simulated cases only, not against real rulings",
    "outcomes": "checked against confirmed decisions",
}
_QUOTE_LENGTH = 40
_EFFECT = "[…]: what it adds to the probability of the suggested ruling, whichever side it speaks for"
_ACCOUNTS = ("buyer_statement", "seller_statement")


def in_words(confidence: float) -> str:
    """Return the confidence as a share of cases, which is what a calibrated probability is."""
    return f"{confidence:.0%}, about {round(confidence * 10)} in 10 such cases"


def ruling_in_words(suggestion: Suggestion) -> str:
    if suggestion.ruling is not None:
        return suggestion.ruling.replace("_", " ")
    reason = (suggestion.abstain_reason or "").replace("_", " ")
    return f"none ({reason}); likeliest {suggestion.likeliest.replace('_', ' ')}"


def set_in_words(suggestion: Suggestion) -> str:
    return ", ".join(ruling.replace("_", " ") for ruling in suggestion.prediction_set)


def strongest(suggestion: Suggestion, case: Case, *, favours: Party) -> str:
    """Return the strongest reason for one side, a dash when there is none."""
    return next((describe(piece, case) for piece in suggestion.evidence if piece.favours == favours), "–")


def describe(piece: Evidence, case: Case) -> str:
    """Return one piece of evidence as a line."""
    match piece:
        case StatementEvidence():
            return f"{piece.ref} {_words(piece.label)}: “{_quote(piece.ref, case)}”"
        case PhotoEvidence():
            strange = ", unlike known photos" if piece.out_of_distribution else ""
            return f"photo {piece.ref} looks {piece.label} ({piece.probability:.0%} damaged{strange})"
        case ListingMatchEvidence():
            return f"photos {' and '.join(piece.ref)}: {piece.label} ({piece.probability:.0%} mismatch)"
        case FactEvidence():
            return f"{_words(piece.label)} ({piece.ref})"


def suggestion_page(suggestion: Suggestion, case: Case) -> RenderableType:
    """Return the whole suggestion: ruling, confidence, reasons for both sides, ledger, missing evidence."""
    head = Table.grid(padding=(0, 2))
    for name, value in (
        ("case", f"{case.platform} {case.case_id}: {_words(case.claim)}, asks for {_words(case.requested)}"),
        ("suggested ruling", ruling_in_words(suggestion)),
        ("confidence", f"{in_words(suggestion.confidence)} ({_CALIBRATION[suggestion.calibrated_on]})"),
        (f"set at {1 - suggestion.alpha:.0%}", set_in_words(suggestion)),
        ("responsible", suggestion.responsible),
        ("remedy", _remedy(suggestion, case)),
        ("model, rules", f"{suggestion.model_version}, {suggestion.rule_pack}"),
    ):
        head.add_row(Text(name, style="bold"), Text(value))
    parts: list[RenderableType] = [
        Panel(head, title="A suggestion, not a decision", title_align="left"),
        _evidence(suggestion, case),
        _ledger(suggestion),
    ]
    if suggestion.missing_evidence:
        parts.append(_missing(suggestion))
    return Group(*parts)


def _evidence(suggestion: Suggestion, case: Case) -> Table:
    table = Table(
        title="Strongest reasons for each side", title_justify="left", caption=_EFFECT, caption_justify="left"
    )
    table.add_column("for the buyer", ratio=1)
    table.add_column("for the seller", ratio=1)
    sides = [[piece for piece in suggestion.evidence if piece.favours == side][:4] for side in Party]
    for place in range(max(1, *(len(side) for side in sides))):
        table.add_row(*(Text(_weighed(side[place], case) if place < len(side) else "") for side in sides))
    return table


def _weighed(piece: Evidence, case: Case) -> str:
    return f"{describe(piece, case)} [{piece.effect:+.2f}]"


def _ledger(suggestion: Suggestion) -> Table:
    table = Table(title="Who had to prove what", title_justify="left")
    for column in ("step", "party", "must prove", "status", "by"):
        table.add_column(column)
    for step in suggestion.ledger:
        table.add_row(
            str(step.step), step.party, _words(step.must_prove), _words(step.status), Text(", ".join(step.evidence))
        )
    return table


def _missing(suggestion: Suggestion) -> Table:
    table = Table(title="What would settle it", title_justify="left")
    for column in ("from", "what", "may move", "request"):
        table.add_column(column)
    for item in suggestion.missing_evidence:
        table.add_row(
            item.party, _words(item.what), f"{item.gain:.2f}", Text(f"{item.request_text.zh}\n{item.request_text.en}")
        )
    return table


def _remedy(suggestion: Suggestion, case: Case) -> str:
    remedy = suggestion.remedy
    parts = []
    if remedy.refund_minor is not None:
        parts.append(f"refund {written(remedy.refund_minor, case.order.currency)} {case.order.currency}")
    parts += [
        f"{name} freight on {who}"
        for name, who in (("outbound", remedy.outbound_freight), ("return", remedy.return_freight))
        if who
    ]
    return ", ".join(parts) or "nothing to pay"


def _quote(ref: str, case: Case) -> str:
    texts = {message.message_id: message.text for message in case.chat}
    texts |= {name: getattr(case, name) for name in _ACCOUNTS}
    text = " ".join(texts.get(ref, "").split())
    return text if len(text) <= _QUOTE_LENGTH else text[: _QUOTE_LENGTH - 1] + "…"


def _words(term: str) -> str:
    return term.replace("_", " ")
