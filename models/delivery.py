"""How the goods travelled: delivery, proper sign-off, the carrier's part, the way back.

Proper sign-off means the buyer, or somebody the buyer chose; a locker, station, neighbour or door without consent is
delivery but no proper sign-off. A family member is between the two.
"""

import re
from datetime import datetime

from models.cues import CueBook
from models.domain import LogisticsEvent
from models.evidence import CaseEvidence, Finding, Weighted, read_once, weigh
from models.procedure import evidence_default
from models.vocabulary import (
    Claim,
    DocumentKind,
    LogisticsEventKind,
    PhotoRole,
    ProcedureEventKind,
    SignedBy,
    Speaker,
    StatementLabel,
)

_CLAIMS = tuple(label for label in StatementLabel if label.startswith("claims_"))
_ARRIVED = (LogisticsEventKind.DELIVERED, LogisticsEventKind.SIGNED)
_SIGN_OFF_WEIGHT = {
    SignedBy.BUYER: 0.95,
    SignedBy.FAMILY: 0.72,
    SignedBy.NEIGHBOUR: 0.15,
    SignedBy.LOCKER: 0.12,
    SignedBy.STATION: 0.12,
    SignedBy.UNKNOWN: 0.25,
}
_WEIGHED = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)\s?(kg|g|公斤|千克|克|斤|lbs?)", re.IGNORECASE)
_GRAMS = {"kg": 1000, "公斤": 1000, "千克": 1000, "g": 1, "克": 1, "斤": 500, "lb": 453.6, "lbs": 453.6}
_SAME_WEIGHT = 0.98
_LIGHT = 0.7
_ON_THE_WAY_BACK = (LogisticsEventKind.RETURN_SHIPPED, LogisticsEventKind.RETURN_SIGNED)
_PROMPTNESS = ((26.0, 0.9), (50.0, 0.75), (24.0 * 7, 0.5))


def arrival(evidence: CaseEvidence) -> tuple[str, LogisticsEvent] | None:
    """Return (ref, event) of the goods' arrival at the buyer's side: the best signed one, the first of equals."""
    found = [
        (f"logistics.{place}", event)
        for place, event in enumerate(evidence.case.logistics)
        if event.event in _ARRIVED and evidence.counts(f"logistics.{place}")
    ]
    return max(found, key=lambda item: _SIGN_OFF_WEIGHT.get(item[1].by or SignedBy.UNKNOWN, 0.0), default=None)


def _noted(evidence: CaseEvidence, cues: CueBook, cue: str) -> list[str]:
    """Return refs of logistics notes and carrier statements that hold the cue."""
    refs = [
        f"logistics.{place}"
        for place, event in enumerate(evidence.case.logistics)
        if cues.has(cue, event.note) and evidence.counts(f"logistics.{place}")
    ]
    return refs + [
        f"documents.{document.document_id}"
        for document in evidence.case.documents
        if document.kind == DocumentKind.CARRIER_STATEMENT
        and cues.has(cue, document.note)
        and evidence.counts(f"documents.{document.document_id}")
    ]


def _carrier_statements(evidence: CaseEvidence, *, filed_by: str) -> list[str]:
    return [
        f"documents.{document.document_id}"
        for document in evidence.case.documents
        if document.kind == DocumentKind.CARRIER_STATEMENT
        and document.filed_by == filed_by
        and evidence.counts(f"documents.{document.document_id}")
    ]


@read_once
def delivery(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the seller proves delivery to the buyer or somebody the buyer chose."""
    came = arrival(evidence)
    if came is None:
        return Finding(0.03)
    ref, event = came
    trouble = _noted(evidence, cues, "carrier_trouble")
    against: list[Weighted] = [(item, 0.75) for item in trouble[:2]]
    against += [(item, 0.6) for item in _carrier_statements(evidence, filed_by="buyer") if item not in trouble[:2]]
    admitted = evidence.strongest(StatementLabel.ADMITS_FAULT, by=Speaker.SELLER)
    against.append((admitted[0], 0.5 * admitted[1]))
    base = sign_off(evidence, cues).probability
    support: list[Weighted] = [(ref, max(base, 0.3 if event.by is None else 0.1))]
    if evidence.case.claim == Claim.NOT_RECEIVED:
        # Nobody uses up what never came.
        used = evidence.strongest(StatementLabel.ADMITS_USE_OR_FAULT, by=Speaker.BUYER)
        support += [(used[0], 0.6 * used[1]), *((item, 0.6) for item in _noted(evidence, cues, "redeemed")[:1])]
    support += [(item, 0.6) for item in _carrier_statements(evidence, filed_by="seller") if not trouble]
    return weigh(support, against)


@read_once
def sign_off(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the seller proves proper sign-off."""
    came = arrival(evidence)
    if came is None:
        return Finding(0.03)
    ref, event = came
    weight = _SIGN_OFF_WEIGHT.get(event.by or SignedBy.UNKNOWN, 0.25)
    if event.by is None:
        weight = 0.5 if event.event == LogisticsEventKind.SIGNED else 0.3
    support: list[Weighted] = [(ref, weight)]
    against: list[Weighted] = []
    if event.by not in (SignedBy.BUYER, SignedBy.FAMILY):
        denied = cues.has("consent_denied", event.note)
        consent: list[Weighted] = [
            (message.message_id, 0.6)
            for message in evidence.messages_with("consent_to_handing_over", cues=cues)
            if message.speaker == Speaker.BUYER
        ]
        if cues.has("consent_to_handing_over", event.note) and not denied:
            consent.append((ref, 0.85))
        if cues.has("handed_to_forwarder", event.note):
            consent.append((ref, 0.8))
        support += consent
        if denied or (cues.has("left_unattended", event.note) and not consent):
            against.append((ref, 0.6))
        support += [(item, 0.3) for item in _carrier_statements(evidence, filed_by="seller")]
    return weigh(support, against)


@read_once
def promptness(evidence: CaseEvidence) -> tuple[str | None, float]:
    """Return (ref, weight in [0, 1]): how soon after arrival the buyer first complained."""
    came = arrival(evidence)
    complained = first_complaint(evidence)
    if came is None or complained is None:
        return None, 0.4
    ref, at = complained
    hours = (at - came[1].at).total_seconds() / 3600
    return ref, next((weight for limit, weight in _PROMPTNESS if hours <= limit), 0.25)


def first_complaint(evidence: CaseEvidence) -> tuple[str, datetime] | None:
    """Return (ref, time) of the first complaint after arrival: a statement of the claim, or the application."""
    came = arrival(evidence)
    start = came[1].at if came else None
    claiming = {statement.ref for statement, _, _ in evidence.said(*_CLAIMS, by=Speaker.BUYER, at_least=0.5)}
    found = [(message.message_id, message.at) for message in evidence.case.chat if message.message_id in claiming]
    found += [
        (f"timeline.{place}", event.at)
        for place, event in enumerate(evidence.case.timeline)
        if event.event == ProcedureEventKind.REFUND_APPLIED and evidence.counts(f"timeline.{place}")
    ]
    return min((item for item in found if start is None or item[1] >= start), key=lambda item: item[1], default=None)


def damage_noted(evidence: CaseEvidence, cues: CueBook) -> list[str]:
    """Return refs that show damage noted when the goods were handed over."""
    refs = _noted(evidence, cues, "damage_noted_on_delivery")
    return refs + [photo.ref for photo in evidence.photos_of(PhotoRole.WAYBILL, filed_by="buyer")]


def intact_noted(evidence: CaseEvidence, cues: CueBook) -> list[str]:
    """Return refs that show the goods looked over and found intact when they were handed over."""
    return _noted(evidence, cues, "intact_noted_on_delivery")


@read_once
def carrier_caused(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the record, the box or the carrier's own words show that carriage did it."""
    case = evidence.case
    support: list[Weighted] = [(ref, 0.75) for ref in _noted(evidence, cues, "carrier_trouble")[:2]]
    support += [
        (f"logistics.{place}", 0.6)
        for place, event in enumerate(case.logistics)
        if event.event == LogisticsEventKind.EXCEPTION and evidence.counts(f"logistics.{place}")
    ]
    # The buyer gains nothing by quoting a carrier that owns up; the seller does.
    for side, weight in ((Speaker.BUYER, 0.6), (Speaker.SELLER, 0.3)):
        support += [(ref, weight) for ref in evidence.refs_saying("carrier_owns_up", by=side, cues=cues)[:1]]
    packaging = evidence.photos_of(PhotoRole.PACKAGING, filed_by="buyer")
    support += [(photo.ref, 0.35 * (0.5 if photo.damaged is None else photo.damaged)) for photo in packaging]
    if case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM):
        support += [(ref, 0.3) for ref in evidence.refs_saying("box_harmed", by=Speaker.BUYER, cues=cues)[:2]]
    if case.claim == Claim.NOT_RECEIVED:
        support += [
            (ref, 0.45)
            for side in (Speaker.BUYER, Speaker.SELLER)
            for ref in evidence.refs_saying("misdelivered", by=side, cues=cues)[:1]
        ]
    last = f"logistics.{len(case.logistics) - 1}"
    underway = case.logistics and not cues.has("never_handed_in", case.logistics[-1].note)
    if arrival(evidence) is None and underway and evidence.counts(last):
        support.append((last, 0.6))
    blamed = evidence.strongest(StatementLabel.BLAMES_CARRIER, by=Speaker.SELLER)
    support.append((blamed[0], 0.2 * blamed[1]))
    admitted = evidence.strongest(StatementLabel.ADMITS_FAULT, by=Speaker.SELLER)
    against: list[Weighted] = [(admitted[0], 0.6 * admitted[1])]
    against += [(ref, 0.4) for ref in evidence.refs_saying("box_sound", by=Speaker.BUYER, cues=cues)[:1]]
    return weigh(support, against)


@read_once
def return_received(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer proves that the goods came back to the seller, to the address that was given.

    What goes back without a reason must come back unused.
    """
    support: list[Weighted] = []
    against: list[Weighted] = []
    for place, event in enumerate(evidence.case.logistics):
        ref = f"logistics.{place}"
        if not evidence.counts(ref):
            continue
        if event.event == LogisticsEventKind.RETURN_SIGNED:
            support.append((ref, 0.9))
            if cues.has("not_the_recipient", event.note):
                against.append((ref, 0.8))
            against += [(said, 0.6) for said in evidence.refs_saying("elsewhere", by=Speaker.SELLER, cues=cues)[:1]]
        elif event.event == LogisticsEventKind.RETURN_SHIPPED:
            support.append((ref, 0.2))
    support += [(ref, 0.4) for ref in _carrier_statements(evidence, filed_by="buyer")]
    against += [(photo.ref, 0.15) for photo in evidence.photos_of(PhotoRole.RETURNED, filed_by="seller")]
    against += _used_before_return(evidence, cues)
    against += [(ref, 0.8) for ref in _came_back_light(evidence)]
    against += [(ref, 0.75) for ref in evidence_default(evidence, by=Speaker.BUYER).supported_by]
    return weigh(support, against)


def _used_before_return(evidence: CaseEvidence, cues: CueBook) -> list[Weighted]:
    ref, used = evidence.strongest(StatementLabel.ADMITS_USE_OR_FAULT, by=Speaker.BUYER)
    _, no_reason = evidence.strongest(StatementLabel.CHANGED_MIND, by=Speaker.BUYER)
    only_tried = ref in evidence.refs_saying("unimpaired", by=Speaker.BUYER, cues=cues)
    return [(ref, (0.1 if only_tried else 0.85) * used * no_reason)]


@read_once
def weights(evidence: CaseEvidence) -> tuple[tuple[str, float], ...]:
    """Return (ref, grams) of each weight that the carrier's record notes, in order."""
    found = []
    for place, event in enumerate(evidence.case.logistics):
        weighed = _WEIGHED.search(event.note or "")
        if weighed and evidence.counts(f"logistics.{place}"):
            found.append((f"logistics.{place}", float(weighed[1]) * _GRAMS[weighed[2].lower()]))
    return tuple(found)


def _came_back_light(evidence: CaseEvidence) -> list[str]:
    """Return refs that show the returned parcel as much lighter than the one that was sent."""
    noted = {True: 0.0, False: 0.0}
    refs: list[str] = []
    for ref, grams in weights(evidence):
        returning = evidence.case.logistics[int(ref.removeprefix("logistics."))].event in _ON_THE_WAY_BACK
        noted[returning] = max(noted[returning], grams)
        refs += [ref] if returning else []
    return refs[:1] if 0 < noted[True] < _LIGHT * noted[False] else []


def kept_its_weight(evidence: CaseEvidence) -> list[str]:
    """Return refs that show the parcel as heavy at its last weighing as at its first; none where it lost weight."""
    noted = weights(evidence)
    same = len(noted) > 1 and noted[-1][1] >= _SAME_WEIGHT * noted[0][1]
    return [noted[-1][0]] if same else []
