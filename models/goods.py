"""What the goods are and what the page owes: perishable, countable, worthless to send back, replaceable, promised.

Countable or perishable goods go in proportion to the bad pieces; where sending back is worthless or dangerous there is
no return; a promise on the page is owed.
"""

import re

from models.cues import CueBook
from models.delivery import arrival
from models.evidence import CaseEvidence, Finding, Weighted, read_once, weigh
from models.vocabulary import Claim, GoodsState, Platform, ProcedureEventKind, Speaker, StatementLabel

_NO_REASON_PLATFORMS = (Platform.TAOBAO, Platform.TMALL, Platform.JD, Platform.PDD)
_CHEAP_MINOR = 3_000
_DAYS_TO_RETURN = re.compile(
    r"(\d{1,3})[- ]?(?:days?|天)[^.;。；]{0,12}?(?:return|money|退|无理由)|returns? within (\d{1,3}) days"
)


@read_once
def promise(evidence: CaseEvidence, cues: CueBook, cue: str) -> Finding:
    """Find whether the page makes the promise `cue`."""
    ref = f"listing.{cue}"
    return weigh([(ref, 0.9)]) if evidence.on_page(cue, cues=cues) else Finding(0.05)


@read_once
def part_only(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether only some pieces of countable or perishable goods are concerned."""
    lot = "listing.plural_lot" if evidence.on_page("plural_lot", cues=cues) else None
    if lot is None and evidence.case.order.quantity > 1 and evidence.counts("order.quantity"):
        lot = "order.quantity"
    if lot is None and not evidence.on_page("perishable", cues=cues):
        return Finding(0.04)
    counted = [(ref, 0.5) for ref in evidence.refs_saying("part_of_lot", by=Speaker.BUYER, cues=cues)[:3]]
    counted += [(ref, 0.5) for ref in evidence.refs_saying("part_of_lot", by=Speaker.SELLER, cues=cues)[:2]]
    everything = [(ref, 0.7) for ref in evidence.refs_saying("all_of_lot", by=Speaker.BUYER, cues=cues)[:1]]
    return weigh([(lot, 0.12) if lot else ("listing.perishable", 0.05), *counted], everything)


@read_once
def worthless_to_return(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether sending the goods back is worthless or dangerous, or their purpose is gone."""
    case = evidence.case
    support: list[Weighted] = []
    if evidence.on_page("perishable", cues=cues):
        support.append(("listing.perishable", 0.75))
    if case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM) and evidence.on_page("fragile", cues=cues):
        support.append(("listing.fragile", 0.6))
    support += [(ref, 0.3) for ref in evidence.refs_saying("worthless_to_return", by=Speaker.BUYER, cues=cues)[:2]]
    cheap = case.order.paid_minor <= _CHEAP_MINOR and case.order.currency == "CNY"
    if cheap and evidence.counts("order.paid_minor"):
        support.append(("order.paid_minor", 0.25))
    if evidence.on_page("made_to_measure", cues=cues):
        support.append(("listing.made_to_measure", 0.3))
    if evidence.on_page("intangible", cues=cues):
        support.append(("listing.intangible", 0.8))
    against: list[Weighted] = [("requested", 0.4)] if case.requested == "return_and_refund" else []
    worthless = weigh(support, against)
    # A buyer who asks to send back thinks it worth while; what is dangerous to send stays so.
    danger: list[Weighted] = [(ref, 0.7) for ref in evidence.refs_saying("dangerous", by=Speaker.BUYER, cues=cues)[:2]]
    both = weigh([(None, worthless.probability), *danger])
    return Finding(both.probability, (*worthless.supported_by, *both.supported_by), worthless.opposed_by)


@read_once
def replaceable(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether a replacement can be delivered; goods still on sale make little of being out of stock."""
    gone = evidence.refs_saying("undeliverable", by=Speaker.SELLER, cues=cues) + evidence.refs_saying(
        "undeliverable", by=Speaker.BUYER, cues=cues
    )
    second_hand = evidence.case.platform == Platform.XIANYU
    on_sale = [
        ref
        for party in (Speaker.BUYER, Speaker.SELLER)
        for ref in evidence.refs_saying("still_on_sale", by=party, cues=cues)[:1]
    ]
    weight = 0.2 if on_sale else 0.6
    return weigh([(None, 0.45 if second_hand else 0.9)], [(ref, weight) for ref in gone[:2]])


@read_once
def impaired(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the goods were used so that they are no longer intact; used but unimpaired goods count as intact."""
    if evidence.case.order.goods_state != GoodsState.USED or not evidence.counts("order.goods_state"):
        return Finding(0.05)
    weight = 0.45
    if evidence.on_page("consumable", cues=cues) or evidence.on_page("perishable", cues=cues):
        weight = 0.85
    if evidence.case.claim == Claim.QUALITY_DEFECT:
        weight *= 0.3
    intact = [(ref, 0.6) for ref in evidence.refs_saying("unimpaired", by=Speaker.BUYER, cues=cues)[:2]]
    return weigh([("order.goods_state", weight)], intact)


@read_once
def keeps_goods(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer means to keep the goods."""
    support: list[Weighted] = [
        (ref, 0.4) for ref in evidence.refs_saying("keeps_goods", by=Speaker.BUYER, cues=cues)[:2]
    ]
    if evidence.case.requested == "partial_refund":
        support.append(("requested", 0.9))
    return weigh(support)


@read_once
def no_reason_return_open(evidence: CaseEvidence, cues: CueBook, *, days: int) -> Finding:
    """Find whether a return without a reason is open: granted, in time by pack or page, goods intact.

    Who returns goods for no fault of theirs freely admits having ordered wrongly: only use counts against it then.
    """
    case = evidence.case
    granted = 0.3 if case.platform in _NO_REASON_PLATFORMS else 0.1
    support: list[Weighted] = [(None, granted + 0.3 if case.claim == Claim.CHANGE_OF_MIND else granted)]
    against: list[Weighted] = []
    if evidence.on_page("promise_of_no_reason_return", cues=cues):
        support.append(("listing.promise_of_no_reason_return", 0.85))
        days = max(days, _days_promised(case.listing.text))
    if evidence.on_page("no_reason_return_excluded", cues=cues):
        against.append(("listing.no_reason_return_excluded", 0.75))
    if evidence.on_page("intangible", cues=cues):
        against.append(("listing.intangible", 0.6))
    if case.order.goods_state == GoodsState.USED and evidence.counts("order.goods_state"):
        against.append(("order.goods_state", 0.85))
    ref, admitted = evidence.strongest(StatementLabel.ADMITS_USE_OR_FAULT, by=Speaker.BUYER)
    own_mistake = case.claim == Claim.CHANGE_OF_MIND and ref not in evidence.refs_saying(
        "used_goods", by=Speaker.BUYER, cues=cues
    )
    against.append((ref, (0.05 if own_mistake else 0.4) * admitted))
    came = arrival(evidence)
    applied = [
        (f"timeline.{place}", event.at)
        for place, event in enumerate(case.timeline)
        if event.event == ProcedureEventKind.REFUND_APPLIED and evidence.counts(f"timeline.{place}")
    ]
    if came and applied and (applied[0][1] - came[1].at).days >= days:
        against.append((applied[0][0], 0.85))
    return weigh(support, against)


def _days_promised(text: str) -> int:
    """Return the days that a page gives for a return without a reason, 0 where it names none."""
    return max((int(day) for found in _DAYS_TO_RETURN.findall(text.lower()) for day in found if day), default=0)


@read_once
def hidden_quality(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the quality in dispute can't be seen: what it is made of, how much is in it."""
    case = evidence.case
    if case.claim != Claim.QUALITY_DEFECT:
        return Finding(0.0)
    support: list[Weighted] = [(None, 0.1)]
    if evidence.counts("buyer_statement") and cues.has("hidden_quality", case.buyer_statement):
        support.append(("buyer_statement", 0.35))
    elif not case.buyer_statement.strip() and evidence.on_page("hidden_quality", cues=cues):
        support.append(("listing.hidden_quality", 0.35))
    asked = [
        f"timeline.{place}"
        for place, event in enumerate(case.timeline)
        if event.event == ProcedureEventKind.EVIDENCE_REQUESTED and cues.has("names_the_seller", event.note)
    ]
    support += [(ref, 0.4) for ref in asked[:1] if evidence.counts(ref)]
    return weigh(support)
