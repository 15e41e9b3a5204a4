"""The decision's form: what each ruling would order before anybody edits it, and the draft that a press makes.

Every ruling costs the same presses, whether the machine suggests it or not. Knows no store.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from models.domain import DecisionDraft, EvidenceAsk, Remedy, RequestText
from models.errors import InputError
from models.missing import shipped_requests
from models.vocabulary import Party, Responsible, Ruling, Stage
from serving.records import CaseView
from serving.remedy import composed
from serving.words import Words, money

REASONS = ("evidence", "burden", "agreement", "promise", "rule", "other")
_MAX_NOTE = 4_000
_A_DAY_S = 86_400.0
_PAYERS = ("buyer", "seller", "carrier")


@dataclass(frozen=True)
class Ask:
    """Evidence that may be asked for. suggested : the machine says it would settle the case"""

    name: str
    party: Party
    text: RequestText
    suggested: bool


@dataclass(frozen=True)
class Offered:
    """What the form holds. orders : by ruling, in words; asks : what may be asked for, the likeliest to settle first"""

    orders: dict[Ruling, str]
    asks: tuple[Ask, ...]


def offered(view: CaseView, t: Words) -> Offered:
    return Offered(orders={ruling: _order(view, ruling, t) for ruling in Ruling}, asks=asks(view))


def asks(view: CaseView) -> tuple[Ask, ...]:
    """Return what may be asked for: what the machine misses first, where it may be shown, then the rest by the book."""
    missing = view.suggestion.missing_evidence if view.suggestion else ()
    found = {item.what: Ask(item.what, item.party, item.request_text, True) for item in missing}
    for name, request in shipped_requests().items():
        if view.case.claim in request.claims and name not in found:
            found[name] = Ask(name, request.party, RequestText(zh=request.zh, en=request.en), False)
    return tuple(found.values())


def draft_of(fields: dict[str, str], view: CaseView, t: Words, *, reason_required: bool) -> DecisionDraft:
    """Return the draft that the pressed form means.

    Raises InputError naming `reason`, `ruling`, `version`, `refund` or `request` where it isn't whole.
    """
    ruling, reason = fields.get("ruling"), fields.get("reason", "")
    note = fields.get("note", "").strip()[:_MAX_NOTE]
    if ruling not in set(Ruling):
        raise InputError("is no ruling", field="ruling")
    if not fields.get("version", "").isdecimal():
        raise InputError("is missing", field="version")
    if reason_required and not (reason in REASONS or note):
        raise InputError("is required", field="reason")
    chosen = [t(f"reason.{reason}")] if reason in REASONS and not (reason == "other" and note) else []
    suggestion = view.suggestion if fields.get("suggestion_id") else None
    responsible, remedy = composed(view.case, Ruling(ruling), suggestion=suggestion)
    stage = fields.get("stage", "")
    return DecisionDraft(
        ruling=Ruling(ruling),
        stage=Stage(stage) if stage in set(Stage) else Stage.FIRST_REVIEW,
        suggestion_id=fields.get("suggestion_id") or None,
        responsible=_responsible(fields) or responsible,
        remedy=_edited(remedy, fields, Ruling(ruling), view),
        reason="\n".join([*chosen, *([note] if note else [])]),
        request=_request(fields, view) if ruling == Ruling.REQUEST_EVIDENCE else None,
        distinguishes=fields.get("distinguishes", "").strip()[:_MAX_NOTE],
        review_seconds=_seconds_since(fields.get("opened_at", "")),
    )


def _order(view: CaseView, ruling: Ruling, t: Words) -> str:
    responsible, remedy = composed(view.case, ruling, suggestion=view.suggestion)
    if ruling == Ruling.REQUEST_EVIDENCE:
        first = next(iter(asks(view)), None)
        return t("suggestion.ask_from").format(party=t(f"party.{first.party}")) if first else ""
    said = [t(f"responsible.{responsible}")]
    if remedy.refund_minor is not None:
        said.append(money(remedy.refund_minor, view.case.order.currency))
    elif ruling == Ruling.PARTIAL_REFUND:
        said.append(t("decide.sum_needed"))
    return " · ".join(said)


def _edited(remedy: Remedy, fields: dict[str, str], ruling: Ruling, view: CaseView) -> Remedy:
    sum_ = fields.get("refund", "").strip()
    if sum_:
        remedy = remedy.model_copy(update={"refund_minor": _minor(sum_, most=view.case.order.paid_minor)})
    if ruling == Ruling.PARTIAL_REFUND and remedy.refund_minor is None:
        raise InputError("is required for a partial refund", field="refund")
    for name in ("outbound_freight", "return_freight"):
        payer = fields.get(name, "")
        if payer in _PAYERS or payer == "none":
            remedy = remedy.model_copy(update={name: payer if payer in _PAYERS else None})
    return remedy


def _responsible(fields: dict[str, str]) -> Responsible | None:
    named = fields.get("responsible", "")
    return Responsible(named) if named in set(Responsible) else None


def _request(fields: dict[str, str], view: CaseView) -> EvidenceAsk:
    possible = {ask.name: ask for ask in asks(view)}
    named = fields.get("ask") or next(iter(possible), "")
    ask = possible.get(named)
    party: Literal["buyer", "seller"] = "seller" if fields.get("ask_party") == "seller" else "buyer"
    own = fields.get("ask_text", "").strip()[:_MAX_NOTE]
    if own:
        return EvidenceAsk(
            party=Party(party) if ask is None else ask.party, what=named, text=RequestText(zh=own, en=own)
        )
    if ask is None:
        raise InputError("says what is asked for", field="request")
    return EvidenceAsk(party=ask.party, what=ask.name, text=ask.text)


def _minor(sum_: str, *, most: int) -> int:
    try:
        value = round(float(sum_.replace(",", "")) * 100)
    except (ValueError, OverflowError) as error:
        raise InputError("is no sum", field="refund") from error
    if not 0 <= value <= most:
        raise InputError("must lie between 0 and what was paid", field="refund")
    return value


def _seconds_since(opened_at: str) -> float | None:
    """Return how long the page was open, at most a day; None where it doesn't say."""
    try:
        return min(max(0.0, datetime.now(UTC).timestamp() - float(opened_at)), _A_DAY_S)
    except (ValueError, OverflowError):
        return None
