"""Clocks of the procedure: which deadline runs in a case, and what happens by itself when it ends.

Deadlines come from the rule pack, where each says whether a published rule was read for it. Hours may count in working
hours only. Knows nothing of the queue or of when an arbitrator has time.
"""

from datetime import datetime, timedelta, timezone
from typing import Literal

from pydantic import AwareDatetime

from models.domain import Case, Frozen
from models.rule_pack import Clock, RulePack, WorkingHours
from models.vocabulary import Claim, LogisticsEventKind, Party, ProcedureEventKind

ByItself = Literal["agreed_as_asked", "refunded", "closed_for_seller", "step_failed", "burden_decides"]
"""What the end of a clock means: silence agrees; an unconfirmed return is refunded; goods not sent back close the case
for the seller; a party that lets its evidence time pass failed that step; else the burden of proof decides."""


class RunningClock(Frozen):
    """The deadline that runs. verified : whether a published rule was read for it"""

    name: str
    waits_for: Literal["buyer", "seller", "both"]
    started_at: AwareDatetime
    due_at: AwareDatetime
    by_itself: ByItself
    verified: bool
    counted: str


def running_clock(case: Case, pack: RulePack) -> RunningClock | None:
    """Return the deadline that runs in a case as it is on file; None where the pack sets none."""
    for name, waits_for, started_at, by_itself in _candidates(case):
        clock = pack.clocks_hours.get(name)
        if clock is not None:
            return RunningClock(
                name=name,
                waits_for=waits_for,
                started_at=started_at,
                due_at=deadline(started_at, clock),
                by_itself=by_itself,
                verified=clock.verified,
                counted=clock.counted,
            )
    return None


def evidence_deadline(pack: RulePack, *, asked_at: datetime, party: Party) -> RunningClock | None:
    """Return the deadline of a party that is asked for evidence now."""
    clock = pack.clocks_hours.get("evidence")
    if clock is None:
        return None
    return RunningClock(
        name="evidence",
        waits_for=party.value,
        started_at=asked_at,
        due_at=deadline(asked_at, clock),
        by_itself="step_failed",
        verified=clock.verified,
        counted=clock.counted,
    )


def deadline(start: datetime, clock: Clock) -> datetime:
    """Return the moment `clock` ends when it starts at `start`; only its working hours count where it names some."""
    if clock.working is None:
        return start + timedelta(hours=clock.hours)
    return _after_working_hours(start, clock.hours, clock.working)


def _after_working_hours(start: datetime, hours: float, working: WorkingHours) -> datetime:
    zone = timezone(timedelta(hours=working.utc_offset))
    now, left = start.astimezone(zone), timedelta(hours=hours)
    while True:
        opens = now.replace(hour=working.opens, minute=0, second=0, microsecond=0)
        closes = opens + timedelta(hours=working.closes - working.opens)
        works = not working.weekdays_only or now.weekday() < 5
        begin = max(now, opens)
        if works and begin < closes:
            if begin + left <= closes:
                return (begin + left).astimezone(start.tzinfo)
            left -= closes - begin
        now = opens + timedelta(days=1)


_Candidate = tuple[str, Literal["buyer", "seller", "both"], datetime, ByItself]


def _candidates(case: Case) -> list[_Candidate]:
    """Return the clocks that may run, the nearest to the case's state first."""
    last = {step.event: step.at for step in case.timeline}
    seller_spoke = max(
        (
            step.at
            for step in case.timeline
            if step.event in (ProcedureEventKind.AGREED, ProcedureEventKind.REFUSED, ProcedureEventKind.OFFER)
            and step.by != "buyer"
        ),
        default=None,
    )
    found: list[_Candidate] = []
    applied = last.get(ProcedureEventKind.REFUND_APPLIED)
    if applied is not None and (seller_spoke is None or seller_spoke < applied):
        found.append(("seller_answer", "seller", applied, "agreed_as_asked"))
    came_back = next(
        (event.at for event in reversed(case.logistics) if event.event == LogisticsEventKind.RETURN_SIGNED), None
    )
    if came_back is not None and case.claim == Claim.RETURN_NOT_REFUNDED:
        found.append(("seller_confirms_return", "seller", came_back, "refunded"))
    agreed = last.get(ProcedureEventKind.AGREED)
    sent_back = any(event.event == LogisticsEventKind.RETURN_SHIPPED for event in case.logistics)
    if agreed is not None and case.requested == "return_and_refund" and not sent_back:
        found.append(("buyer_ships_back", "buyer", agreed, "closed_for_seller"))
    asked = last.get(ProcedureEventKind.EVIDENCE_REQUESTED)
    stepped_in = last.get(ProcedureEventKind.PLATFORM_STEPPED_IN, case.opened_at)
    found.append(("evidence", "both", max(stepped_in, asked) if asked else stepped_in, "burden_decides"))
    return found
