"""A retraining asked for here is the command of the shell: told while it runs, cancelled, failed, one at a time."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.errors import InputError
from serving.house import House
from serving.model_records import Retraining
from serving.records import Role, User
from serving.refusals import LeaseLostError, RetrainingUnderWayError
from serving.retraining import RetrainingRunner
from tests.serving.conftest import Headers, headers_of, keyed, on_both_databases, user_of

RETRAININGS = "/api/v1/retrainings"
SAYS = "import sys; print('reading outcomes ...'); print('by', sys.argv[-1]); print('passed the gate on 60 cases')"
WAITS = "import time; print('fitting ...'); time.sleep(60)"
FAILS = "print('reading outcomes ...'); raise SystemExit('outcomes: hold no decided case')"
PATIENCE_S = 60

pytest_generate_tests = on_both_databases


@pytest.fixture
def lead_of(house: House) -> User:
    return user_of(house, Role.LEAD)


def runner(house: House, command: str, **changes: float) -> RetrainingRunner:
    return RetrainingRunner(
        house.store.retrainings,
        export=lambda by: None,
        arguments=("--outcomes", "datasets/outcomes"),
        poll_s=0.02,
        lease_s=changes.get("lease_s", 60),
        command=(sys.executable, "-c", command),
    )


def until(find: Callable[[], Retraining], wanted: Callable[[Retraining], bool]) -> Retraining:
    end = time.monotonic() + PATIENCE_S
    while not wanted(found := find()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def actions(house: House) -> list[tuple[str, str]]:
    return [(e.action.value, e.actor) for e in house.store.audit_trail() if e.subject.startswith("retraining:")]


def test_a_retraining_runs_the_command_for_whoever_asked_and_says_what_it_said(house: House, lead_of: User) -> None:
    asked = house.store.retrainings.ask(by=lead_of)
    assert asked.state == "waiting"
    one = runner(house, SAYS)
    assert one.run_next()
    done = house.store.retrainings.find(asked.retraining_id)
    assert (done.state, done.problem) == ("done", None)
    assert done.said[-3:] == ("reading outcomes ...", "by test-lead", "passed the gate on 60 cases")
    assert not one.run_next()
    worker = f"system:{one.name}"
    assert actions(house) == [
        ("retraining_asked", "test-lead"),
        ("retraining_started", worker),
        ("retraining_ended", worker),
    ]


def test_a_line_that_is_cut_short_keeps_no_half_of_a_telephone_number(house: House, lead_of: User) -> None:
    asked = house.store.retrainings.ask(by=lead_of)
    assert runner(house, "print('，' * 495 + '13812345678')").run_next()
    said = house.store.retrainings.find(asked.retraining_id).said
    assert said[-1] == "，" * 495 + "[phon"


def test_a_second_retraining_is_refused_until_the_first_has_ended(
    client: TestClient, house: House, lead: Headers
) -> None:
    engineer = headers_of(house, Role.ENGINEER)
    first = client.post(RETRAININGS, headers=keyed(engineer))
    assert first.status_code == 202
    second = client.post(RETRAININGS, headers=keyed(lead))
    assert (second.status_code, "test-engineer asked for" in second.json()["detail"]) == (409, True)
    cancelled = client.post(f"{RETRAININGS}/{first.json()['retraining_id']}/cancel", headers=lead)
    assert cancelled.json()["state"] == "cancelled"
    assert client.post(RETRAININGS, headers=keyed(lead)).status_code == 202
    assert client.post(RETRAININGS, headers=lead).status_code == 400
    assert [one["state"] for one in client.get(RETRAININGS, headers=lead).json()] == ["waiting", "cancelled"]
    assert client.get(f"{RETRAININGS}/999", headers=lead).status_code == 404


def test_of_many_who_ask_at_once_one_is_heard(house: House, lead_of: User) -> None:
    asked: list[object] = []

    def ask() -> None:
        try:
            asked.append(house.store.retrainings.ask(by=lead_of))
        except RetrainingUnderWayError as refusal:
            asked.append(refusal)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in asked if isinstance(one, Retraining)]) == 1
    assert len(asked) == 8


def test_a_failure_is_shown_and_the_next_retraining_runs(house: House, lead_of: User) -> None:
    failed = house.store.retrainings.ask(by=lead_of)
    runner(house, FAILS).run_next()
    told = house.store.retrainings.find(failed.retraining_id)
    assert (told.state, told.problem) == ("failed", "outcomes: hold no decided case")
    house.store.retrainings.ask(by=lead_of)
    runner(house, SAYS).run_next()
    assert [one.state for one in house.store.retrainings.newest()] == ["done", "failed"]


def test_outcomes_that_cannot_be_exported_fail_it_before_anything_runs(house: House, lead_of: User) -> None:
    asked = house.store.retrainings.ask(by=lead_of)
    one = runner(house, SAYS)

    def export(by: str) -> None:
        raise InputError("can't be written", field="outcomes_dir")

    one.export = export
    one.run_next()
    assert house.store.retrainings.find(asked.retraining_id).problem == "outcomes_dir: can't be written"


def test_a_cancelled_retraining_is_stopped(
    house: House, lead_of: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("serving.retraining._TELL_S", 0.05)
    asked = house.store.retrainings.ask(by=lead_of)
    one = runner(house, f"open({str(tmp_path / 'began')!r}, 'w'); {WAITS}")
    one.start()
    running = until(lambda: house.store.retrainings.find(asked.retraining_id), lambda r: "fitting ..." in r.said)
    assert running.state == "running"
    house.store.retrainings.cancel(asked.retraining_id, by=lead_of)
    house.store.retrainings.ask(by=lead_of)
    one.command = (sys.executable, "-c", SAYS)
    until(lambda: house.store.retrainings.newest()[0], lambda r: r.state == "done")
    one.stop()
    assert house.store.retrainings.find(asked.retraining_id).state == "cancelled"


def test_a_stop_of_the_service_lets_the_retraining_begin_anew(house: House, lead_of: User) -> None:
    asked = house.store.retrainings.ask(by=lead_of)
    one = runner(house, WAITS)
    one.start()
    until(lambda: house.store.retrainings.find(asked.retraining_id), lambda r: r.state == "running")
    one.stop()
    assert house.store.retrainings.find(asked.retraining_id).state == "waiting"
    assert runner(house, SAYS).run_next()


def test_a_retraining_whose_worker_went_away_counts_as_failed(house: House, lead_of: User) -> None:
    asked = house.store.retrainings.ask(by=lead_of)
    lost = house.store.retrainings.lease(worker="w", lease_s=-1)
    assert lost is not None
    assert house.store.retrainings.lease(worker="v", lease_s=60) is None
    told = house.store.retrainings.find(asked.retraining_id)
    assert (told.state, "went away" in (told.problem or "")) == ("failed", True)
    with pytest.raises(LeaseLostError):
        house.store.retrainings.end(lost, [], worker="w")


def test_a_retraining_is_no_scoring_job(house: House, lead_of: User) -> None:
    house.store.retrainings.ask(by=lead_of)
    assert house.store.score_queue.lease(worker="w", lease_s=60) is None
    assert house.store.score_queue.count_open() == 0
