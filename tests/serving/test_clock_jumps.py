"""The clock jumps ahead or is set back: nothing is done twice, nobody is shut out for long, nothing is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from models.domain import DecisionDraft
from models.vocabulary import Ruling
from serving.audit import Verified
from serving.desk_records import NoticeText, SwitchDraft
from serving.house import House
from serving.records import CaseKey, Role, WithdrawalDraft
from serving.refusals import ForbiddenError, LeaseLostError, RequestInFlightError
from serving.store import idempotency
from serving.store.idempotency import Reservation
from tests.builders import build_case
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of

KEY = CaseKey(build_case().platform, "TB-1")
A_DAY = timedelta(days=1)


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    with time_machine.travel(moment):
        yield


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def taken(house: House) -> House:
    """A service with a case whose score is asked for."""
    house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
    return house


def decide(house: House) -> None:
    house.store.decide(
        KEY, DecisionDraft(ruling=Ruling.REFUND), by=user_of(house, Role.ARBITRATOR), input_digest="sha256:0",
        write_notice=lambda _: NoticeText(zh="退款", en="refund"),
    )  # fmt: skip


def test_a_jump_ahead_takes_a_job_over_once_and_the_first_holder_writes_nothing(taken: House, now: datetime) -> None:
    first = taken.store.score_queue.lease(worker="first", lease_s=60)
    assert first is not None
    with clock_at(now + A_DAY):
        second = taken.store.score_queue.lease(worker="second", lease_s=60)
        assert second is not None
        assert second.fence == first.fence + 1
        assert taken.store.score_queue.lease(worker="third", lease_s=60) is None
    with pytest.raises(LeaseLostError):
        taken.store.score_queue.fail(first, "late", worker="first", retry_in_s=1)


def test_a_job_leased_or_put_off_by_a_clock_that_ran_ahead_is_done_once_it_is_set_back(
    house: House, now: datetime
) -> None:
    with clock_at(now + A_DAY):
        house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
        job = house.store.score_queue.lease(worker="gone", lease_s=60)
        assert job is not None
    again = house.store.score_queue.lease(worker="second", lease_s=60)
    assert again is not None
    with clock_at(now + A_DAY):
        house.store.score_queue.fail(again, "busy", worker="second", retry_in_s=30)
    assert house.store.score_queue.lease(worker="third", lease_s=60) is not None
    assert house.store.score_queue.lease(worker="fourth", lease_s=60) is None


def test_a_session_ends_by_a_clock_that_is_ahead_and_lives_again_when_it_is_set_back(
    house: House, now: datetime
) -> None:
    token = house.gatekeeper.sign_in_by_link(house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test"))
    with clock_at(now + A_DAY):
        assert house.gatekeeper.person_of_session(token) is None
    with clock_at(now - A_DAY):
        assert house.gatekeeper.person_of_session(token) is not None


def test_nobody_stays_locked_out_by_a_clock_that_ran_ahead(house: House, now: datetime) -> None:
    def attempt() -> datetime | None:
        return house.store.accounts.begin_attempt("0" * 64, allowed=1, lock=timedelta(minutes=15))

    with clock_at(now + A_DAY):
        assert [attempt() is None for _ in range(3)] == [True, False, False]
    assert attempt() is None


def test_a_jump_ahead_closes_the_undo_window_but_not_a_leads(taken: House, now: datetime) -> None:
    decide(taken)
    with clock_at(now + A_DAY):
        with pytest.raises(ForbiddenError):
            taken.store.withdraw(KEY, WithdrawalDraft(), by=user_of(taken, Role.ARBITRATOR))
        taken.store.withdraw(KEY, WithdrawalDraft(), by=user_of(taken, Role.LEAD))
        assert taken.store.desk.keep_up() == 0
    assert taken.store.desk.notices(KEY)[0].state == "void"


def test_a_clock_set_back_keeps_a_notice_from_leaving_early(taken: House, now: datetime) -> None:
    decide(taken)
    with clock_at(now - A_DAY):
        taken.store.desk.keep_up()
        assert taken.store.desk.notices(KEY)[0].state == "draft"
    with clock_at(now + timedelta(minutes=11)):
        taken.store.desk.keep_up()
        taken.store.desk.keep_up()
    assert taken.store.desk.notices(KEY)[0].state == "sent"
    assert taken.store.outbox.counts()["waiting"] == 2


def test_a_message_put_off_by_a_clock_that_ran_ahead_leaves_once_it_is_set_back(taken: House, now: datetime) -> None:
    decide(taken)
    with clock_at(now + A_DAY):
        message = taken.store.outbox.take(hold=timedelta(seconds=50))
        assert message is not None
        taken.store.outbox.put_back(message, problem="away", wait=timedelta(seconds=8))
    again = taken.store.outbox.take(hold=timedelta(seconds=50))
    assert again is not None
    assert (again.message_id, again.attempts) == (message.message_id, 2)
    assert taken.store.outbox.take(hold=timedelta(seconds=50)) is None


def test_a_request_overtaken_in_a_jump_has_one_effect(taken: House, now: datetime) -> None:
    person, keys = user_of(taken, Role.ARBITRATOR), taken.store.request_keys
    slow = keys.reserve(person, "k", request_digest="d")
    assert isinstance(slow, Reservation)
    with pytest.raises(RequestInFlightError):
        keys.reserve(person, "k", request_digest="d")
    with clock_at(now + A_DAY):
        fast = keys.reserve(person, "k", request_digest="d")
        assert isinstance(fast, Reservation)
        act_under(taken, fast)
    with pytest.raises(RequestInFlightError):
        act_under(taken, slow)
    assert len(taken.store.desk.switches()) == 1


def test_a_key_held_by_a_clock_that_ran_ahead_isnt_held_for_long(taken: House, now: datetime) -> None:
    person, keys = user_of(taken, Role.ARBITRATOR), taken.store.request_keys
    with clock_at(now + A_DAY):
        assert isinstance(keys.reserve(person, "k", request_digest="d"), Reservation)
    assert isinstance(keys.reserve(person, "k", request_digest="d"), Reservation)


def test_the_trail_verifies_whatever_the_clock_said(taken: House, now: datetime) -> None:
    with clock_at(now - A_DAY):
        decide(taken)
    with clock_at(now + A_DAY):
        taken.store.withdraw(KEY, WithdrawalDraft(), by=user_of(taken, Role.LEAD))
    user_of(taken, Role.AUDITOR)
    assert isinstance(taken.store.verify_audit(), Verified)


def act_under(house: House, reservation: Reservation) -> None:
    token = idempotency.current.set(reservation)
    try:
        house.store.desk.switch_off(SwitchDraft(reason="being looked at"), by=user_of(house, Role.LEAD))
    finally:
        idempotency.current.reset(token)
