"""Where the papers contradict what a side says: marked on the timeline, never weighed here.

Each is a fact against a fact, found by plain comparison; what it proves is for the arbitrator. Knows no model.
"""

from dataclasses import dataclass

from models.domain import Case
from models.vocabulary import Claim, GoodsState, LogisticsEventKind, PhotoRole, ProcedureEventKind

_ARRIVED = (LogisticsEventKind.DELIVERED, LogisticsEventKind.SIGNED)


@dataclass(frozen=True)
class Contradiction:
    """ref : where the page shows it; name : which words say it (`contradiction.…`)"""

    ref: str
    name: str


def contradictions(case: Case) -> list[Contradiction]:
    """Return what doesn't fit together, in the order of the file."""
    found = []
    arrived = [(n, event) for n, event in enumerate(case.logistics) if event.event in _ARRIVED]
    not_received = case.claim == Claim.NOT_RECEIVED or case.order.goods_state == GoodsState.NOT_RECEIVED
    for place, event in arrived:
        if not_received and event.event == LogisticsEventKind.SIGNED:
            name = "signed_by_buyer" if event.by in ("buyer", "family") else "signed_by_other"
            found.append(Contradiction(f"logistics.{place}", name))
        elif not_received:
            found.append(Contradiction(f"logistics.{place}", "delivered_not_received"))
    if not not_received and not arrived and case.logistics:
        found.append(Contradiction("order.goods_state", "received_without_record"))
    confirmed = case.order.receipt_confirmed_at
    if confirmed is not None and arrived and confirmed < arrived[0][1].at:
        found.append(Contradiction("order.receipt_confirmed_at", "confirmed_before_arrival"))
    if confirmed is not None and not_received:
        found.append(Contradiction("order.receipt_confirmed_at", "confirmed_not_received"))
    came_back = [n for n, event in enumerate(case.logistics) if event.event == LogisticsEventKind.RETURN_SIGNED]
    if case.claim == Claim.RETURN_NOT_REFUNDED and case.logistics and not came_back:
        found.append(Contradiction("order.goods_state", "return_without_record"))
    for photo in case.photos:
        shows_arrival = photo.role in (PhotoRole.RECEIVED, PhotoRole.PACKAGING)
        if photo.taken_at is not None and arrived and shows_arrival and photo.taken_at < arrived[0][1].at:
            found.append(Contradiction(photo.photo_id, "taken_before_arrival"))
    for place, step in enumerate(case.timeline):
        about_goods = case.claim in (Claim.DAMAGED, Claim.MISSING_ITEM, Claim.NOT_AS_DESCRIBED)
        if step.event == ProcedureEventKind.REFUND_APPLIED and about_goods and arrived and step.at < arrived[0][1].at:
            found.append(Contradiction(f"timeline.{place}", "applied_before_arrival"))
    return found
