"""What the goods are and what the page owes: perishable, countable, worthless to send back, replaceable, promised.

Countable or perishable goods go in proportion to the bad pieces; where sending back is worthless or dangerous there is
no return; a promise on the page is owed.
"""

from models.cues import CueBook
from models.delivery import arrival
from models.domain import Case
from models.evidence import CaseEvidence, Finding, Weighted, weigh
from models.vocabulary import Claim, GoodsState, Platform, Speaker, StatementLabel

_NO_REASON_PLATFORMS = (Platform.TAOBAO, Platform.TMALL, Platform.JD, Platform.PDD)
_CHEAP_MINOR = 3_000


def page_text(case: Case) -> str:
    """Return the listing's words in one text."""
    listing = case.listing
    attributes = " ".join(f"{name} {value}" for name, value in listing.attributes.items())
    return f"{listing.title}\n{listing.description}\n{listing.category.replace('_', ' ')}\n{attributes}"


def _said(evidence: CaseEvidence, cues: CueBook, cue: str, *, by: Speaker) -> list[str]:
    case = evidence.case
    refs = [
        message.message_id
        for message in case.chat
        if message.speaker == by and evidence.counts(message.message_id) and cues.has(cue, message.text)
    ]
    own = "buyer_statement" if by == Speaker.BUYER else "seller_statement"
    if evidence.counts(own) and cues.has(cue, getattr(case, own)):
        refs.append(own)
    return refs


def promise(evidence: CaseEvidence, cues: CueBook, cue: str) -> Finding:
    """Find whether the page makes the promise `cue`."""
    ref = f"listing.{cue}"
    held = evidence.counts(ref) and cues.has(cue, page_text(evidence.case))
    return weigh([(ref, 0.9)]) if held else Finding(0.05)


def part_only(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether only some pieces of countable or perishable goods are concerned."""
    page = page_text(evidence.case)
    countable = cues.has("plural_lot", page) or evidence.case.order.quantity > 1
    if not countable and not cues.has("perishable", page):
        return Finding(0.04)
    counted = [(ref, 0.5) for ref in _said(evidence, cues, "part_of_lot", by=Speaker.BUYER)[:3]]
    counted += [(ref, 0.5) for ref in _said(evidence, cues, "part_of_lot", by=Speaker.SELLER)[:2]]
    base = 0.12 if countable else 0.05
    return weigh([(None, base), *counted])


def worthless_to_return(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether sending the goods back is worthless or dangerous, or their purpose is gone."""
    case = evidence.case
    page = page_text(case)
    support: list[Weighted] = []
    if cues.has("perishable", page):
        support.append(("listing.perishable", 0.75))
    if case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM) and cues.has("fragile", page):
        support.append(("listing.fragile", 0.6))
    support += [(ref, 0.3) for ref in _said(evidence, cues, "worthless_to_return", by=Speaker.BUYER)[:2]]
    dangerous = _said(evidence, cues, "dangerous", by=Speaker.BUYER)
    support += [(ref, 0.6) for ref in dangerous[:2]]
    if case.order.paid_minor <= _CHEAP_MINOR and case.order.currency == "CNY":
        support.append(("order.paid_minor", 0.25))
    if cues.has("made_to_measure", page):
        support.append(("listing.made_to_measure", 0.3))
    against: list[Weighted] = [("requested", 0.4)] if case.requested == "return_and_refund" else []
    return weigh(support, against)


def replaceable(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether a replacement can be delivered."""
    gone = _said(evidence, cues, "undeliverable", by=Speaker.SELLER) + _said(
        evidence, cues, "undeliverable", by=Speaker.BUYER
    )
    second_hand = evidence.case.platform == Platform.XIANYU
    return weigh([(None, 0.45 if second_hand else 0.9)], [(ref, 0.6) for ref in gone[:2]])


def impaired(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the goods were used so that they are no longer intact; used but unimpaired goods count as intact."""
    if evidence.case.order.goods_state != GoodsState.USED or not evidence.counts("order.goods_state"):
        return Finding(0.05)
    weight = 0.55
    if cues.has("consumable", page_text(evidence.case)) or cues.has("perishable", page_text(evidence.case)):
        weight = 0.85
    if evidence.case.claim == Claim.QUALITY_DEFECT:
        weight *= 0.3
    return weigh([("order.goods_state", weight)])


def keeps_goods(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the buyer means to keep the goods."""
    support: list[Weighted] = [(ref, 0.4) for ref in _said(evidence, cues, "keeps_goods", by=Speaker.BUYER)[:2]]
    if evidence.case.requested == "partial_refund":
        support.append(("requested", 0.9))
    return weigh(support)


def no_reason_return_open(evidence: CaseEvidence, cues: CueBook, *, days: int) -> Finding:
    """Find whether a return without a reason is open: granted, in time, goods intact."""
    case = evidence.case
    page = page_text(case)
    granted = 0.3 if case.platform in _NO_REASON_PLATFORMS else 0.1
    support: list[Weighted] = [(None, granted + 0.3 if case.claim == Claim.CHANGE_OF_MIND else granted)]
    against: list[Weighted] = []
    if cues.has("promise_of_no_reason_return", page):
        support.append(("listing.promise_of_no_reason_return", 0.85))
    if cues.has("no_reason_return_excluded", page):
        against.append(("listing.no_reason_return_excluded", 0.75))
    if case.order.goods_state == GoodsState.USED:
        against.append(("order.goods_state", 0.85))
    used = evidence.strongest(StatementLabel.ADMITS_USE_OR_FAULT, by=Speaker.BUYER)
    against.append((used[0], 0.4 * used[1]))
    came = arrival(evidence)
    applied = [
        (f"timeline.{place}", event.at)
        for place, event in enumerate(case.timeline)
        if event.event == "refund_applied" and evidence.counts(f"timeline.{place}")
    ]
    if came and applied and (applied[0][1] - came[1].at).days >= days:
        against.append((applied[0][0], 0.85))
    return weigh(support, against)


def hidden_quality(evidence: CaseEvidence, cues: CueBook) -> Finding:
    """Find whether the quality in dispute can't be seen: what it is made of, how much is in it."""
    case = evidence.case
    if case.claim != Claim.QUALITY_DEFECT:
        return Finding(0.0)
    text = f"{case.buyer_statement}\n{page_text(case)}"
    asked = [event.note for event in case.timeline if event.event == "evidence_requested" and event.note]
    support: list[Weighted] = [(None, 0.1)]
    if cues.has("hidden_quality", text):
        support.append(("buyer_statement", 0.35))
    if any("卖家" in (note or "") or "商家" in (note or "") or "seller" in (note or "").lower() for note in asked):
        support.append(("timeline.evidence_requested", 0.4))
    return weigh(support)
