"""What each side has proved of the claim itself: prima facie, rebuttal, provenance, inspection, admissions.

The standard is a lay person's view. Rudeness, threats and pleas prove nothing; an admission in small talk does.
"""

import re
from datetime import timedelta

from models.claim_window import too_late
from models.cues import CueBook
from models.delivery import (
    arrival,
    carrier_caused,
    damage_noted,
    first_complaint,
    intact_noted,
    kept_its_weight,
    promptness,
)
from models.evidence import CaseEvidence, Finding, Weighted, read_once, weigh
from models.page_amounts import contradictory_page
from models.procedure import evidence_default
from models.vocabulary import Claim, DocumentKind, PhotoRole, Platform, ProcedureEventKind, Speaker, StatementLabel

CLAIM_STATEMENT = {
    Claim.DAMAGED: StatementLabel.CLAIMS_DAMAGE,
    Claim.NOT_AS_DESCRIBED: StatementLabel.CLAIMS_MISMATCH,
    Claim.QUALITY_DEFECT: StatementLabel.CLAIMS_DEFECT,
    Claim.MISSING_ITEM: StatementLabel.CLAIMS_MISSING,
    Claim.NOT_RECEIVED: StatementLabel.CLAIMS_NOT_RECEIVED,
    Claim.COUNTERFEIT: StatementLabel.CLAIMS_COUNTERFEIT,
}
# How far an admitted use or act explains the claimed condition: it breaks goods, but changes no label on them.
_USE_IS_FAULT = {
    Claim.NOT_AS_DESCRIBED: 0.2,
    Claim.COUNTERFEIT: 0.2,
    Claim.MISSING_ITEM: 0.3,
    Claim.QUALITY_DEFECT: 0.55,
}
_LIKELY = 0.5
_KEEPS = timedelta(days=7)
_PROMPT = 0.75
_QUOTED = re.compile(r"\d+(?:\.\d+)?\s?(?:[a-z%]{1,4}|[一-鿿]{1,2})|[一-鿿]{4}|[a-z]{4,} [a-z]{4,}", re.IGNORECASE)
_OFFERS = (
    StatementLabel.OFFERS_REFUND,
    StatementLabel.OFFERS_RETURN,
    StatementLabel.OFFERS_PARTIAL,
    StatementLabel.OFFERS_REPLACEMENT,
)


def _documents(evidence: CaseEvidence, *kinds: DocumentKind, filed_by: str) -> list[tuple[str, str]]:
    """Return (ref, note) of the documents of these kinds."""
    return [
        (f"documents.{document.document_id}", document.note or "")
        for document in evidence.case.documents
        if document.kind in kinds
        and document.filed_by == filed_by
        and evidence.counts(f"documents.{document.document_id}")
    ]


@read_once
def seller_admits(evidence: CaseEvidence) -> Finding:
    """Find whether the seller admits fault, plainly or let slip."""
    return weigh([evidence.strongest(StatementLabel.ADMITS_FAULT, by=Speaker.SELLER)])


@read_once
def buyer_fault(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer's own act did it, by the buyer's own words.

    What the buyer did with the goods after having complained at once did not cause the complaint, unless it is a
    confession.
    """
    ref, admitted = evidence.strongest(StatementLabel.ADMITS_USE_OR_FAULT, by=Speaker.BUYER)
    blamed = evidence.strongest(StatementLabel.BLAMES_BUYER, by=Speaker.SELLER)
    weight = _USE_IS_FAULT.get(evidence.case.claim, 0.75)
    if (
        evidence.case.claim == Claim.NOT_AS_DESCRIBED
        and evidence.on_page("made_to_measure", cues=cues)
        and ref in evidence.refs_saying("own_mistake", by=Speaker.BUYER, cues=cues)
    ):
        weight = 0.75
    confessed = ref in evidence.refs_saying("own_act", by=Speaker.BUYER, cues=cues)
    if confessed and evidence.case.claim == Claim.QUALITY_DEFECT:
        weight = 0.75
    at_once = evidence.case.claim in _USE_IS_FAULT or promptness(evidence)[1] >= _PROMPT
    if at_once and not confessed and _after_complaint(evidence, ref):
        weight *= 0.35
    return weigh([(ref, weight * admitted), (blamed[0], 0.1 * blamed[1])])


def _after_complaint(evidence: CaseEvidence, ref: str | None) -> bool:
    """Tell whether a later message than the first one that makes the claim is the one referred to."""
    label = CLAIM_STATEMENT.get(evidence.case.claim)
    if label is None:
        return False
    places = {statement.ref: statement.place for statement in evidence.statements}
    complained = [
        statement.place
        for statement, _, _ in evidence.said(label, by=Speaker.BUYER, at_least=_LIKELY)
        if statement.place >= 0
    ]
    return ref in places and bool(complained) and places[ref] > min(complained)


@read_once
def changed_mind(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer really no longer wants the goods, or ordered them by mistake."""
    if evidence.case.claim == Claim.CHANGE_OF_MIND:
        return Finding(1.0, ("claim",))
    ref, said = evidence.strongest(StatementLabel.CHANGED_MIND, by=Speaker.BUYER)
    support: list[Weighted] = [(ref, 0.7 * said)]
    if evidence.case.claim == Claim.RETURN_NOT_REFUNDED:
        support += [
            (f"timeline.{place}", 0.75)
            for place, event in enumerate(evidence.case.timeline)
            if event.event == ProcedureEventKind.REFUND_APPLIED
            and cues.has("returns_without_reason", event.note)
            and evidence.counts(f"timeline.{place}")
        ][:1]
    if evidence.case.claim == Claim.NOT_AS_DESCRIBED:
        mistaken, admitted = evidence.strongest(StatementLabel.ADMITS_USE_OR_FAULT, by=Speaker.BUYER)
        if mistaken in evidence.refs_saying("own_mistake", by=Speaker.BUYER, cues=cues):
            support.append((mistaken, 0.7 * admitted))
    return weigh(support)


@read_once
def prima_facie(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer shows the claimed condition at first sight."""
    case = evidence.case
    support: list[Weighted] = []
    for photo in evidence.photos_of(PhotoRole.RECEIVED, PhotoRole.PACKAGING, filed_by="buyer"):
        weight = 0.5
        if case.claim == Claim.DAMAGED and photo.damaged is not None:
            weight = 0.3 + 0.5 * photo.damaged
        support.append((photo.ref, weight))
    support += [
        (photo.ref, 0.45)
        for photo in evidence.photos_of(PhotoRole.SCREENSHOT, PhotoRole.OTHER, PhotoRole.WAYBILL, filed_by="buyer")
    ]
    match = evidence.match
    if match is not None and case.claim == Claim.NOT_AS_DESCRIBED and evidence.counts(match.ref):
        support.append((match.ref, 0.6 * max(0.0, match.mismatch - 0.3)))
    support += [(ref, 0.85) for ref, _ in _documents(evidence, DocumentKind.INSPECTION_REPORT, filed_by="buyer")]
    support += [(ref, 0.8) for ref, _ in _documents(evidence, DocumentKind.VIDEO, filed_by="buyer")]
    support += [(ref, 0.5) for ref, _ in _documents(evidence, DocumentKind.OTHER, filed_by="buyer")]
    support += [(ref, 0.6) for ref in damage_noted(evidence, cues)[:1]]
    admitted = evidence.strongest(StatementLabel.ADMITS_FAULT, by=Speaker.SELLER)
    support.append((admitted[0], 0.9 * admitted[1]))
    conceding = max((evidence.strongest(label, by=Speaker.SELLER) for label in _OFFERS), key=lambda item: item[1])
    support.append((conceding[0], 0.45 * conceding[1]))
    default = evidence_default(evidence, by=Speaker.BUYER)
    against: list[Weighted] = [(ref, 0.6) for ref in default.supported_by]
    against += [(ref, 0.5) for ref in _excluded_by_page(evidence, cues)]
    if match is not None and case.claim == Claim.NOT_AS_DESCRIBED and evidence.counts(match.ref):
        against.append((match.ref, 0.25 * max(0.0, 0.5 - match.mismatch)))
    return weigh(support, against)


def _excluded_by_page(evidence: CaseEvidence, cues: CueBook) -> list[str]:
    """Return a reference to the page where it says that a part said to be missing doesn't come with the goods."""
    excluded = evidence.case.claim == Claim.MISSING_ITEM and evidence.on_page("not_included", cues=cues)
    return ["listing.not_included"] if excluded else []


def _quotes_page(evidence: CaseEvidence, cues: CueBook) -> list[str]:
    """Return what the seller said that points at the page and quotes words or measures which stand there."""
    page = evidence.case.listing.text.lower()
    said = {message.message_id: message.text for message in evidence.case.chat}
    said["seller_statement"] = evidence.case.seller_statement
    return [
        ref
        for ref in evidence.refs_saying("cites_page", by=Speaker.SELLER, cues=cues)
        if any(quote.lower() in page for quote in _QUOTED.findall(said[ref]))
    ]


@read_once
def condition_at_sign_off(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer proves that it was so when the goods were handed over."""
    shown = prima_facie(evidence, cues)
    ref, prompt = promptness(evidence)
    support: list[Weighted] = [(item, shown.probability * prompt) for item in shown.supported_by[:1]]
    if not support:
        support = [(ref, shown.probability * prompt)]
    support += [(item, 0.8) for item in damage_noted(evidence, cues)[:1]]
    support += [
        (item, 0.85)
        for item, _ in _documents(evidence, DocumentKind.VIDEO, filed_by="buyer")
        if shown.probability > 0.1
    ]
    admitted = evidence.strongest(StatementLabel.ADMITS_FAULT, by=Speaker.SELLER)
    support.append((admitted[0], 0.9 * admitted[1]))
    carried = carrier_caused(evidence, cues)
    support += [(item, 0.7 * carried.probability) for item in carried.supported_by[:1]]
    fault = buyer_fault(evidence, cues)
    noted = 0.9 if damage_noted(evidence, cues) else 0.0
    excused = 1.0 - 0.7 * max(admitted[1], carried.probability, noted)
    against: list[Weighted] = [(item, fault.probability * excused) for item in fault.supported_by[:1]]
    against += [(item, 0.6) for item in _excluded_by_page(evidence, cues)]
    default = evidence_default(evidence, by=Speaker.BUYER)
    against += [(item, 0.75) for item in default.supported_by]
    against += [(item, 0.6) for item in intact_noted(evidence, cues)[:1]]
    late = too_late(evidence)
    against += [(item, late.probability) for item in late.supported_by]
    if evidence.case.claim == Claim.MISSING_ITEM:
        against += [(item, 0.5) for item in kept_its_weight(evidence)]
    against += [(item, 0.25) for item, _ in _documents(evidence, DocumentKind.VIDEO, filed_by="seller")]
    against += [
        (item, 0.4)
        for item, note in _documents(evidence, DocumentKind.CARRIER_STATEMENT, filed_by="seller")
        if not cues.has("carrier_trouble", note)
    ]
    return weigh(support, against)


@read_once
def explanation_or_rebuttal(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the seller explains or rebuts the buyer's prima facie case."""
    support: list[Weighted] = [
        (ref, 0.6)
        for ref, _ in _documents(
            evidence,
            DocumentKind.INSPECTION_REPORT,
            DocumentKind.VIDEO,
            DocumentKind.INVOICE,
            DocumentKind.PROVENANCE,
            filed_by="seller",
        )
    ]
    before = evidence.photos_of(PhotoRole.BEFORE_SHIPPING, PhotoRole.SCREENSHOT, PhotoRole.OTHER, filed_by="seller")
    support += [(photo.ref, 0.25) for photo in before[:2]]
    denied = evidence.strongest(StatementLabel.DENIES_FAULT, by=Speaker.SELLER)
    support.append((denied[0], 0.25 * denied[1]))
    if evidence.case.claim == Claim.NOT_AS_DESCRIBED:
        support += [(ref, 0.3) for ref in _quotes_page(evidence, cues)[:2]]
    fault = buyer_fault(evidence, cues)
    support += [(ref, 0.7 * fault.probability) for ref in fault.supported_by[:1]]
    late = too_late(evidence)
    support += [(ref, 0.8 * late.probability) for ref in late.supported_by]
    support += _spoiled_later(evidence, cues)
    match = evidence.match
    if match is not None and evidence.case.claim == Claim.NOT_AS_DESCRIBED and evidence.counts(match.ref):
        support.append((match.ref, 0.3 * max(0.0, 0.5 - match.mismatch)))
    admitted = evidence.strongest(StatementLabel.ADMITS_FAULT, by=Speaker.SELLER)
    against: list[Weighted] = [(admitted[0], 0.85 * admitted[1])]
    if evidence.case.claim == Claim.NOT_AS_DESCRIBED and evidence.case.platform == Platform.JD:
        against += [(ref, 0.7) for ref in contradictory_page(evidence)]
    default = evidence_default(evidence, by=Speaker.SELLER)
    against += [(ref, 0.9) for ref in default.supported_by]
    return weigh(support, against)


def _spoiled_later(evidence: CaseEvidence, cues: CueBook) -> list[Weighted]:
    """Return what shows that goods which don't keep were complained of long after they came."""
    came, complained = arrival(evidence), first_complaint(evidence)
    kept = evidence.case.claim == Claim.QUALITY_DEFECT and any(
        evidence.on_page(cue, cues=cues) for cue in ("perishable", "consumable")
    )
    if not kept or came is None or complained is None or complained[1] - came[1].at < _KEEPS:
        return []
    return [(complained[0], 0.5)]


@read_once
def inspection_report(evidence: CaseEvidence) -> Finding:
    """Find whether the buyer files an inspection report."""
    default = evidence_default(evidence, by=Speaker.BUYER)
    return weigh(
        [(ref, 0.9) for ref, _ in _documents(evidence, DocumentKind.INSPECTION_REPORT, filed_by="buyer")],
        [(ref, 0.5) for ref in default.supported_by],
    )


@read_once
def provenance(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the seller proves where the goods come from: invoices, certificates, test reports."""
    kinds = (DocumentKind.PROVENANCE, DocumentKind.INVOICE, DocumentKind.INSPECTION_REPORT)
    papers = _documents(evidence, *kinds, filed_by="seller")
    support: list[Weighted] = [(ref, 0.1 if cues.has("weak_provenance", note) else 0.75) for ref, note in papers]
    default = evidence_default(evidence, by=Speaker.SELLER)
    return weigh(support, [(ref, 0.9) for ref in default.supported_by])
