"""What the page of one case shows: words for facts, marked texts, one timeline, anchors.

Turns domain types into what the template needs; knows nothing of requests or of the store.
"""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from models.domain import Case, Evidence, FactEvidence, ListingMatchEvidence, StatementEvidence, Suggestion
from models.rule_pack import RulePack, Situation
from models.vocabulary import Party
from serving.records import CaseView
from serving.web.contradictions import contradictions
from serving.words import Words, moment, money, percent

_QUOTED = 16
_ACCOUNTS = ("buyer_statement", "seller_statement")


@dataclass(frozen=True)
class TimelineEntry:
    ref: str
    at: str
    event: str
    by: str | None
    note: str | None


def timeline(case: Case) -> list[TimelineEntry]:
    """Return logistics and procedure in one order of time."""
    entries = [
        (event.at, TimelineEntry(f"logistics.{place}", moment(event.at), event.event, event.by, event.note))
        for place, event in enumerate(case.logistics)
    ]
    entries += [
        (step.at, TimelineEntry(f"timeline.{place}", moment(step.at), step.event, step.by, step.note))
        for place, step in enumerate(case.timeline)
    ]
    return [entry for _, entry in sorted(entries, key=lambda item: item[0])]


def anchor(case: Case, ref: str) -> str:
    """Return the link to where the page shows a piece of evidence."""
    if ref in _ACCOUNTS or any(message.message_id == ref for message in case.chat):
        return f"#m-{ref}"
    if "|" in ref:
        return f"#p-{ref.split('|')[1]}"
    if any(photo.photo_id == ref for photo in case.photos):
        return f"#p-{ref}"
    if ref.startswith("listing."):
        return "#fact-listing"
    return f"#fact-{ref}"


class FactWords:
    """Says each piece of evidence in one line of the page's language."""

    def __init__(self, case: Case, words: Words) -> None:
        self.case = case
        self.t = words

    def anchor(self, piece: Evidence) -> str:
        ref = piece.ref if isinstance(piece.ref, str) else "|".join(piece.ref)
        return anchor(self.case, ref)

    def words(self, piece: Evidence) -> str:
        if isinstance(piece, StatementEvidence):
            where = "" if piece.ref in _ACCOUNTS else f" ({piece.ref})"
            return f"{self._speaker(piece.ref)}{self.t('label.' + piece.label)}{where}"
        if isinstance(piece, ListingMatchEvidence):
            return f"{self.t('label.' + piece.label)} ({' / '.join(piece.ref)})"
        if isinstance(piece, FactEvidence):
            return self._fact(piece)
        return f"{self.t('label.' + piece.label)} ({piece.ref})"

    def place(self, ref: str) -> str:
        """Say in a few words what a reference points at."""
        if ref in _ACCOUNTS:
            return self.t(f"case.{ref}")
        if "|" in ref:
            return ref.replace("|", " / ")
        place, _, rest = ref.partition(".")
        if place in ("timeline", "logistics", "documents"):
            return self._fact(FactEvidence(ref=ref, label=rest, effect=0.0, favours=Party.BUYER))
        return self.t(f"fact.{rest}") if place == "listing" else ref

    def percent(self, probability: float) -> str:
        return percent(probability)

    def _speaker(self, ref: str) -> str:
        if ref in _ACCOUNTS:
            return self.t("case." + ref) + ": "
        speaker = next((message.speaker for message in self.case.chat if message.message_id == ref), None)
        return f"{self.t(f'party.{speaker}')}: " if speaker else ""

    def _fact(self, piece: FactEvidence) -> str:
        place, _, rest = piece.ref.partition(".")
        if place in ("timeline", "logistics") and rest.isdigit():
            event = getattr(self.case, place)[int(rest)]
            who = f" · {self.t(f'by.{event.by}')}" if event.by else ""
            return f"{self.t(f'event.{event.event}')}{who}"
        if place == "documents":
            document = next((item for item in self.case.documents if item.document_id == rest), None)
            if document is not None:
                return f"{self.t(f'party.{document.filed_by}')}: {self.t(f'document.{document.kind}')}"
        photo = next((item for item in self.case.photos if item.photo_id == piece.ref), None)
        if photo is not None:
            return f"{self.t(f'party.{photo.filed_by}')}: {self.t(f'role.{photo.role}')} ({photo.photo_id})"
        message = next((item for item in self.case.chat if item.message_id == piece.ref), None)
        if message is not None:
            quoted = message.text if len(message.text) <= _QUOTED else f"{message.text[:_QUOTED]}…"
            return f"{self._speaker(piece.ref)}“{quoted}” ({piece.ref})"
        return self.t(f"fact.{piece.label}")


def marked(suggestion: Suggestion | None, words: Words, ref: str, text: str) -> Markup:
    """Return the text as safe HTML with the spans that moved the suggestion marked."""
    pieces = [
        piece
        for piece in (suggestion.evidence if suggestion else ())
        if isinstance(piece, StatementEvidence) and piece.ref == ref
    ]
    spans = sorted((start, end, piece.label) for piece in pieces for start, end in piece.spans)
    shown, last = Markup(""), 0
    for start, end, label in spans:
        if start < last or end > len(text):
            continue
        shown += escape(text[last:start])
        shown += Markup('<mark title="{}">{}</mark>').format(words(f"label.{label}"), text[start:end])
        last = end
    return shown + escape(text[last:])


def regions(suggestion: Suggestion | None) -> dict[str, tuple[int, int, int, int]]:
    """Return the damaged region of each photo that moved the suggestion."""
    found = {}
    for piece in suggestion.evidence if suggestion else ():
        if piece.kind == "photo" and piece.region is not None:
            found[piece.ref] = piece.region
    return found


def sizes(view: CaseView) -> dict[str, tuple[int, int]]:
    return {
        photo.photo_id: (photo.width, photo.height)
        for photo in view.photos
        if photo.width is not None and photo.height is not None
    }


def present(view: CaseView) -> frozenset[str]:
    return frozenset(photo.photo_id for photo in view.photos if photo.present)


def pack_steps(case: Case, pack: RulePack) -> list[tuple[str, str]]:
    """Return (party, proof) of the rule pack's steps for this claim, whatever the machine says of them."""
    confirmed = case.order.receipt_confirmed_at is not None
    situations = pack.claims[case.claim]
    wanted: Situation = "after_receipt_confirmed" if confirmed else "before_receipt_confirmed"
    name = wanted if wanted in situations else "visible" if "visible" in situations else "any"
    return [(step.party, step.must_prove) for step in pack.burden(case.claim, name).steps]


def _by_ref(case: Case) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for contradiction in contradictions(case):
        found.setdefault(contradiction.ref, []).append(contradiction.name)
    return found


def case_context(view: CaseView, words: Words) -> dict[str, Any]:
    """Return everything the case template shows that doesn't depend on who looks."""
    case, suggestion = view.case, view.suggestion
    order = case.order
    standing = [record.decision for record in view.decisions if record.state == "standing"]
    refund = suggestion.remedy.refund_minor if suggestion else None
    return {
        "case": case,
        "version": view.version,
        "paid": money(order.paid_minor, order.currency),
        "receipt": moment(order.receipt_confirmed_at) if order.receipt_confirmed_at else None,
        "timeline": timeline(case),
        "contradictions": _by_ref(case),
        "pack_steps": lambda pack: pack_steps(case, pack),
        "present": present(view),
        "sizes": sizes(view),
        "regions": regions(suggestion),
        "suggestion": suggestion,
        "state": view.suggestion_state,
        "refund": money(refund, order.currency) if refund is not None else None,
        "decision": standing[-1] if standing else None,
        "marked": lambda ref, text: marked(suggestion, words, ref, text),
        "anchor": lambda ref: anchor(case, ref),
        "fact_words": FactWords(case, words),
        "moment": moment,
        "percent": percent,
    }
