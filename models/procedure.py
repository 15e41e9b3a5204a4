"""The procedure as far as it decides: silence, agreement, missed deadlines, evidence still outstanding.

Reads the timeline and what was agreed in the chat. What both sides agreed binds both; a party who lets a deadline pass
has failed that step (domain rules, "How the steps are read in practice").
"""

from models.cues import CueBook
from models.evidence import CaseEvidence, Finding, Weighted, read_once, weigh
from models.vocabulary import DocumentKind, ProcedureEventKind, Ruling, Speaker, StatementLabel

OFFERED_REMEDY = {
    StatementLabel.OFFERS_REFUND: Ruling.REFUND,
    StatementLabel.OFFERS_RETURN: Ruling.RETURN_AND_REFUND,
    StatementLabel.OFFERS_PARTIAL: Ruling.PARTIAL_REFUND,
    StatementLabel.OFFERS_REPLACEMENT: Ruling.REPLACE,
}

_NAMED_REMEDIES = {
    "asks_replacement": {Ruling.REPLACE},
    "asks_return": {Ruling.RETURN_AND_REFUND},
    "asks_all_back": {Ruling.REFUND, Ruling.RETURN_AND_REFUND},
}
_SAYS_NO = 0.2
_NAMES_ANOTHER = 0.3
_HEARD = 0.1
_TAKEN = 0.5
_OFFERED = 0.5
_EARLIER = 0.35  # how far an offer counts as the one accepted when another came after it


def _events(evidence: CaseEvidence, kind: ProcedureEventKind) -> list[tuple[str, int]]:
    return [
        (f"timeline.{place}", place)
        for place, event in enumerate(evidence.case.timeline)
        if event.event == kind and evidence.counts(f"timeline.{place}")
    ]


@read_once
def seller_silence(evidence: CaseEvidence) -> Finding:
    """Find whether the seller let the answer clock run out, which agrees to what was asked.

    A deadline missed after the seller answered, or after evidence was asked for, was another deadline.
    """
    timeline = evidence.case.timeline
    settled = [place for _, place in _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)]
    for kind in (ProcedureEventKind.AGREED, ProcedureEventKind.REFUSED, ProcedureEventKind.OFFER):
        settled += [place for _, place in _events(evidence, kind) if timeline[place].by == "seller"]
    return weigh(
        [
            (ref, 0.97)
            for ref, place in _events(evidence, ProcedureEventKind.DEADLINE_MISSED)
            if timeline[place].by == "seller" and not any(earlier < place for earlier in settled)
        ]
    )


@read_once
def evidence_default(evidence: CaseEvidence, *, by: Speaker) -> Finding:
    """Find whether `by` let a deadline for evidence pass."""
    requested = [place for _, place in _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)]
    support: list[Weighted] = []
    for ref, place in _events(evidence, ProcedureEventKind.DEADLINE_MISSED):
        if evidence.case.timeline[place].by == by and any(asked < place for asked in requested):
            support.append((ref, 0.97))
    return weigh(support)


@read_once
def outstanding_evidence(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether a party names a decisive piece that exists and whose deadline hasn't passed."""
    case = evidence.case
    missed = _events(evidence, ProcedureEventKind.DEADLINE_MISSED)
    asked = _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)
    if missed:
        return Finding(0.02, (), tuple(ref for ref, _ in missed))
    filed = {str(document.filed_by) for document in case.documents if document.kind == DocumentKind.VIDEO}
    named: list[Weighted] = [
        (message.message_id, 0.25)
        for message in evidence.messages_with("names_proof", cues=cues)
        if message.speaker in (Speaker.BUYER, Speaker.SELLER)
        and str(message.speaker) not in filed
        and not message.photo_ids
        and not cues.has("already_seen", message.text)
    ]
    for ref, text, speaker in (
        ("buyer_statement", case.buyer_statement, "buyer"),
        ("seller_statement", case.seller_statement, "seller"),
    ):
        if speaker not in filed and evidence.counts(ref) and cues.has("names_proof", text):
            named.append((ref, 0.25))
    if not asked:
        return _named_unasked(evidence, named)
    filings = [
        (ref, cues.has("proof_pending", case.timeline[place].note))
        for ref, place in _events(evidence, ProcedureEventKind.EVIDENCE_FILED)
        if place > asked[-1][1] and case.timeline[place].by in ("buyer", "seller")
    ]
    pending = [(ref, 0.6) for ref, still_to_come in filings if still_to_come]
    answered = [(ref, 0.8) for ref, still_to_come in filings if not still_to_come and not pending]
    return weigh([*[(ref, 0.85) for ref, _ in asked[-1:]], *pending, *named[:2]], answered[:1])


def _named_unasked(evidence: CaseEvidence, named: list[Weighted]) -> Finding:
    """Find outstanding evidence that nobody has been asked for: likelier where both sides name some."""
    refs = {ref for ref, _ in named}
    sides = {str(message.speaker) for message in evidence.case.chat if message.message_id in refs}
    sides |= {side for side in ("buyer", "seller") if f"{side}_statement" in refs}
    both_name_it = len(sides) == 2
    found = weigh(named[:2])
    return Finding(found.probability * (0.9 if both_name_it else 0.2), found.supported_by)


@read_once
def agreements(evidence: CaseEvidence, cues: CueBook) -> dict[Ruling, Finding]:
    """Find what remedy both sides agreed on: an offer of the seller taken by the buyer, or a request agreed to.

    The latest offer taken stands, and a later change of mind doesn't undo it. Probabilities over the remedies sum to at
    most 1.
    """
    found: dict[Ruling, list[Weighted]] = {remedy: [] for remedy in OFFERED_REMEDY.values()}
    for ref, remedy, probability in _accepted_offers(evidence, cues):
        found[remedy].append((ref, probability))
    refused_later = _events(evidence, ProcedureEventKind.REFUSED)
    for ref, place in _events(evidence, ProcedureEventKind.AGREED):
        settled = _agreed_remedy(evidence, place, cues)
        if settled is None:
            continue
        weight = 0.75 if not any(later > place for _, later in refused_later) else 0.4
        found[settled].append((ref, weight))
    asked = _events(evidence, ProcedureEventKind.EVIDENCE_REQUESTED)
    unsettled: list[Weighted] = [(ref, 0.7) for ref, _ in asked[-1:]]
    weighed = _without_dangerous_returns(
        {remedy: weigh(items, unsettled) for remedy, items in found.items()}, evidence, cues
    )
    total = sum(finding.probability for finding in weighed.values())
    if total <= 1:
        return weighed
    return {
        remedy: Finding(finding.probability / total, finding.supported_by, finding.opposed_by)
        for remedy, finding in weighed.items()
    }


def _agreed_remedy(evidence: CaseEvidence, place: int, cues: CueBook) -> Ruling | None:
    """Return what the `agreed` event agrees to: the seller to the request, the buyer to the offer before it.

    None where the buyer agrees and no offer is on record.
    """
    timeline = evidence.case.timeline
    event, remedy = timeline[place], Ruling(evidence.case.requested)
    note = event.note
    if event.by == "buyer":
        offers = [earlier for earlier in timeline[:place] if earlier.event == ProcedureEventKind.OFFER]
        if not offers:
            return None
        note, remedy = offers[-1].note, Ruling.PARTIAL_REFUND
    if cues.has("replacement_words", note):
        return Ruling.REPLACE
    return Ruling.REFUND if cues.has("no_return_words", note) else remedy


def _without_dangerous_returns(
    agreed: dict[Ruling, Finding], evidence: CaseEvidence, cues: CueBook
) -> dict[Ruling, Finding]:
    """Turn an agreed return into a refund as far as the goods are dangerous to send: it can't be carried out."""
    danger = weigh([(ref, 0.7) for ref in evidence.refs_saying("dangerous", by=Speaker.BUYER, cues=cues)[:2]])
    returned, refunded = agreed[Ruling.RETURN_AND_REFUND], agreed[Ruling.REFUND]
    moved = returned.probability * danger.probability
    if moved == 0.0:
        return agreed
    cited = (*refunded.supported_by, *returned.supported_by, *danger.supported_by)
    return {
        **agreed,
        Ruling.RETURN_AND_REFUND: Finding(
            returned.probability - moved, returned.supported_by, (*returned.opposed_by, *danger.supported_by)
        ),
        Ruling.REFUND: Finding(refunded.probability + moved, cited, refunded.opposed_by),
    }


def _accepted_offers(evidence: CaseEvidence, cues: CueBook) -> list[tuple[str, Ruling, float]]:
    """Return (ref of the acceptance, remedy, probability) of chat offers taken later in the chat.

    An answer that says no, or names another remedy than the one offered, takes it only as far as its label is sure.

    A side's own account is written afterwards: what it offers or accepts is no agreement.
    """
    offers = [
        (statement.place, remedy, probability)
        for label, remedy in OFFERED_REMEDY.items()
        for statement, _, probability in evidence.said(label, by=Speaker.SELLER, at_least=_HEARD)
        if statement.place >= 0
    ]
    offers.sort(key=lambda offer: offer[0], reverse=True)
    strongest: dict[Ruling, tuple[str, Ruling, float]] = {}
    made: dict[Ruling, float] = {}
    latest: dict[Ruling, float] = {}
    latest_place, loudest = -1, 0.0
    texts = {message.message_id: message.text for message in evidence.case.chat}
    for statement, _, accepted in evidence.said(StatementLabel.ACCEPTS_OFFER, by=Speaker.BUYER, at_least=_TAKEN):
        while offers and offers[-1][0] < statement.place:
            place, remedy, offered = offers.pop()
            made[remedy] = max(made.get(remedy, 0.0), offered)
            loudest = max(loudest, offered)
            if offered >= min(_OFFERED, loudest):
                latest = {**latest, remedy: offered} if place == latest_place else {remedy: offered}
                latest_place = place
        if statement.place < 0:
            continue
        for remedy, offered in made.items():
            fits = _words_fit(texts.get(statement.ref, ""), remedy, cues)
            weight = accepted * fits * max(latest.get(remedy, 0.0), _EARLIER * offered)
            if weight > strongest.get(remedy, ("", remedy, 0.0))[2]:
                strongest[remedy] = (statement.ref, remedy, weight)
    return list(strongest.values())


def _words_fit(text: str, remedy: Ruling, cues: CueBook) -> float:
    """Return how well an answer's own words fit taking an offer of `remedy`, in (0, 1]."""
    if cues.has("turns_down", text):
        return _SAYS_NO
    named = {other for cue, remedies in _NAMED_REMEDIES.items() if cues.has(cue, text) for other in remedies}
    return 1.0 if not named or remedy in named else _NAMES_ANOTHER
