"""The procedure as far as it decides: silence, agreement, missed deadlines, evidence still outstanding.

Reads the timeline and what was agreed in the chat. What both sides agreed binds both; a party who lets a deadline pass
has failed that step (domain rules, "How the steps are read in practice").
"""

from models.cues import CueBook
from models.evidence import CaseEvidence, Finding, Weighted, weigh
from models.vocabulary import DocumentKind, ProcedureEventKind, Ruling, Speaker, StatementLabel

OFFERED_REMEDY = {
    StatementLabel.OFFERS_REFUND: Ruling.REFUND,
    StatementLabel.OFFERS_RETURN: Ruling.RETURN_AND_REFUND,
    StatementLabel.OFFERS_PARTIAL: Ruling.PARTIAL_REFUND,
    StatementLabel.OFFERS_REPLACEMENT: Ruling.REPLACE,
}


def _events(evidence: CaseEvidence, kind: ProcedureEventKind) -> list[tuple[str, int]]:
    return [
        (f"timeline.{place}", place)
        for place, event in enumerate(evidence.case.timeline)
        if event.event == kind and evidence.counts(f"timeline.{place}")
    ]


def seller_silence(evidence: CaseEvidence) -> Finding:
    """Find whether the seller let the answer clock run out, which agrees to what was asked."""
    requested = [place for _, place in _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)]
    support: list[Weighted] = []
    for ref, place in _events(evidence, ProcedureEventKind.DEADLINE_MISSED):
        about_evidence = any(asked < place for asked in requested)
        if evidence.case.timeline[place].by == "seller" and not about_evidence:
            support.append((ref, 0.97))
    return weigh(support)


def evidence_default(evidence: CaseEvidence, *, by: Speaker) -> Finding:
    """Find whether `by` let a deadline for evidence pass."""
    requested = [place for _, place in _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)]
    support: list[Weighted] = []
    for ref, place in _events(evidence, ProcedureEventKind.DEADLINE_MISSED):
        if evidence.case.timeline[place].by == by and any(asked < place for asked in requested):
            support.append((ref, 0.97))
    return weigh(support)


def outstanding_evidence(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether a party names a decisive piece that exists and whose deadline hasn't passed."""
    case = evidence.case
    missed = _events(evidence, ProcedureEventKind.DEADLINE_MISSED)
    asked = _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)
    if missed:
        return Finding(0.02, (), tuple(ref for ref, _ in missed))
    filed = {str(document.filed_by) for document in case.documents if document.kind == DocumentKind.VIDEO}
    named: list[Weighted] = []
    for message in case.chat:
        if str(message.speaker) in filed or message.speaker not in (Speaker.BUYER, Speaker.SELLER):
            continue
        if evidence.counts(message.message_id) and cues.has("names_video", message.text):
            named.append((message.message_id, 0.25))
    for ref, text, speaker in (
        ("buyer_statement", case.buyer_statement, "buyer"),
        ("seller_statement", case.seller_statement, "seller"),
    ):
        if speaker not in filed and evidence.counts(ref) and cues.has("names_video", text):
            named.append((ref, 0.25))
    if not asked:
        return _named_unasked(evidence, named)
    answered = [
        ref
        for ref, place in _events(evidence, ProcedureEventKind.EVIDENCE_FILED)
        if place > asked[-1][1] and case.timeline[place].by in ("buyer", "seller")
    ]
    return weigh([*[(ref, 0.72) for ref, _ in asked[-1:]], *named[:2]], [(ref, 0.8) for ref in answered[:1]])


def _named_unasked(evidence: CaseEvidence, named: list[Weighted]) -> Finding:
    """Find outstanding evidence that nobody has been asked for: likelier where both sides name some."""
    speakers = {message.speaker for message in evidence.case.chat if message.message_id in {ref for ref, _ in named}}
    both_name_it = {Speaker.BUYER, Speaker.SELLER} <= speakers
    found = weigh(named[:2])
    return Finding(found.probability * (0.9 if both_name_it else 0.2), found.supported_by)


def agreements(evidence: CaseEvidence, cues: CueBook) -> dict[Ruling, Finding]:
    """Find what remedy both sides agreed on: an offer of the seller taken by the buyer, or a request agreed to.

    The latest agreement stands; probabilities over the remedies sum to at most 1.
    """
    found: dict[Ruling, list[Weighted]] = {remedy: [] for remedy in OFFERED_REMEDY.values()}
    for ref, remedy, probability in _accepted_offers(evidence):
        found[remedy].append((ref, probability))
    refused_later = _events(evidence, ProcedureEventKind.REFUSED)
    for ref, place in _events(evidence, ProcedureEventKind.AGREED):
        event = evidence.case.timeline[place]
        remedy = Ruling(evidence.case.requested)
        if cues.has("replacement_words", event.note):
            remedy = Ruling.REPLACE
        elif cues.has("no_return_words", event.note):
            remedy = Ruling.REFUND
        weight = 0.75 if not any(later > place for _, later in refused_later) else 0.4
        found[remedy].append((ref, weight))
    asked = _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)
    unsettled: list[Weighted] = [(ref, 0.5) for ref, _ in asked[-1:]]
    weighed = {remedy: weigh(items, unsettled) for remedy, items in found.items()}
    total = sum(finding.probability for finding in weighed.values())
    if total <= 1:
        return weighed
    return {
        remedy: Finding(finding.probability / total, finding.supported_by, finding.opposed_by)
        for remedy, finding in weighed.items()
    }


def _accepted_offers(evidence: CaseEvidence) -> list[tuple[str, Ruling, float]]:
    offers = [
        (statement.place, remedy, probability)
        for label, remedy in OFFERED_REMEDY.items()
        for statement, _, probability in evidence.said(label, by=Speaker.SELLER)
        if probability >= 0.1
    ]
    strongest: dict[Ruling, tuple[str, Ruling, float]] = {}
    for statement, _, accepted in evidence.said(StatementLabel.ACCEPTS_OFFER, by=Speaker.BUYER):
        if accepted < 0.1:
            continue
        before = [(place, remedy, offered) for place, remedy, offered in offers if place < statement.place]
        if not before:
            continue
        latest = max(place for place, _, offered in before if offered >= min(0.5, max(o for _, _, o in before)))
        for place, remedy, offered in before:
            weight = accepted * offered * (1.0 if place == latest else 0.35)
            if weight > strongest.get(remedy, ("", remedy, 0.0))[2]:
                strongest[remedy] = (statement.ref, remedy, weight)
    return list(strongest.values())
