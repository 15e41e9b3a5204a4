"""Which deadline runs, when it ends, and what happens by itself then."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from models.clocks import deadline, evidence_deadline, running_clock
from models.rule_pack import Clock, WorkingHours, shipped_rule_book
from models.vocabulary import Party
from tests.builders import build_case, happened, hours

BEIJING = timezone(timedelta(hours=8))
FOUR_WORKING_HOURS = Clock(hours=4, verified=True, working=WorkingHours(opens=9, closes=18))


def _beijing(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (_beijing(2, 10), _beijing(2, 14)),
        (_beijing(2, 16), _beijing(3, 11)),
        (_beijing(2, 3), _beijing(2, 13)),
        (_beijing(2, 14), _beijing(2, 18)),
        (_beijing(2, 18), _beijing(3, 13)),
        (_beijing(2, 23, 59), _beijing(3, 13)),
    ],
)
def test_only_working_hours_count_where_the_clock_names_some(start: datetime, end: datetime) -> None:
    assert deadline(start, FOUR_WORKING_HOURS) == end
    assert deadline(start.astimezone(UTC), FOUR_WORKING_HOURS) == end


def test_weekends_stand_still_where_only_weekdays_count() -> None:
    clock = Clock(hours=4, verified=True, working=WorkingHours(opens=9, closes=18, weekdays_only=True))
    friday = _beijing(6, 16)
    assert deadline(friday, clock) == _beijing(9, 11)


def test_an_unanswered_application_ends_in_agreement() -> None:
    case = build_case(timeline=[happened("refund_applied", "buyer", at=60)])
    clock = running_clock(case, shipped_rule_book().pack_for(case, ruled_on=hours(0).date()))
    assert clock is not None
    assert (clock.name, clock.waits_for, clock.by_itself) == ("seller_answer", "seller", "agreed_as_asked")
    assert clock.due_at == hours(60 + 120)


def test_once_both_sides_have_spoken_the_burden_of_proof_decides() -> None:
    case = build_case(timeline=[happened("refund_applied", "buyer"), happened("refused", "seller", at=70)])
    clock = running_clock(case, shipped_rule_book().pack_for(case, ruled_on=hours(0).date()))
    assert clock is not None
    assert (clock.name, clock.by_itself, clock.due_at) == ("evidence", "burden_decides", hours(200 + 72))
    assert not clock.verified


def test_a_party_asked_for_evidence_has_the_packs_time_for_it() -> None:
    case = build_case(platform="jd", order={"paid_at": datetime(2026, 1, 1, tzinfo=UTC)})
    pack = shipped_rule_book().pack_for(case, ruled_on=datetime(2026, 3, 2).date())
    clock = evidence_deadline(pack, asked_at=_beijing(2, 17), party=Party.SELLER)
    assert clock is not None
    assert (clock.waits_for, clock.by_itself, clock.due_at) == ("seller", "step_failed", _beijing(3, 12))
