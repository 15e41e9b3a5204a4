"""What was kept for its time goes, each kind after its own; a dry run only counts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.app import create_app
from serving.audit import Verified
from serving.cli import app
from serving.house import House
from serving.records import CaseKey, CaseStatus, Role
from serving.retention import ClockDoubtedError
from serving.tables import idempotency_keys, jobs, outbox, sessions, sign_in_links
from tests.builders import photo_bytes
from tests.serving.conftest import headers_of, keyed, user_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401

KEY = CaseKey(Platform.TAOBAO, EXAMPLE_CASE["case_id"])
ONE = f"/api/v1/cases/taobao/{EXAMPLE_CASE['case_id']}"


@pytest.fixture
def used(house: House) -> House:
    """A service with a decided case with a photo, an open one, a sign-in, a delivered message, an ended backlog."""
    client = TestClient(create_app(house.settings, house=house))
    service = headers_of(house, Role.SERVICE)
    client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=keyed(service))
    client.post("/api/v1/cases", json={**EXAMPLE_CASE, "case_id": "TB-OPEN"}, headers=service)
    client.put(f"{ONE}/photos/p1", content=photo_bytes(), headers=service)
    client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(headers_of(house, Role.ARBITRATOR)))
    for notice in house.store.desk.notices(KEY):
        house.store.desk.send_notice(KEY, notice.notice_id, by=user_of(house, Role.LEAD))
    link = house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test")
    assert house.gatekeeper.sign_in_by_link(link)
    message = house.store.outbox.take(hold=timedelta(seconds=9))
    assert message is not None
    house.store.outbox.delivered(message)
    job = house.backlogs.create(by="li", rows=json.dumps(EXAMPLE_CASE).encode())
    house.backlogs.cancel(job.job_id)
    return house


@contextmanager
def days_later(days: float) -> Iterator[None]:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days)):
        yield


def n_rows(house: House, *tables: sa.Table) -> list[int]:
    with house.store.database.read() as connection:
        return [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in tables]


def counts(house: House, *, dry_run: bool = False) -> dict[str, int]:
    return {passed.kind: passed.n for passed in house.retention().apply(dry_run=dry_run, after_a_pause=True)}


def test_nothing_goes_before_its_time(used: House) -> None:
    with days_later(29):
        assert set(counts(used).values()) == {0}
    assert used.store.verify_audit().n_erased == 0  # type: ignore[union-attr]


def test_each_kind_goes_after_its_own_time(used: House) -> None:
    before = n_rows(used, idempotency_keys, outbox, sessions, sign_in_links)
    with days_later(31):
        assert counts(used, dry_run=True)["requests"] == counts(used)["requests"] > 0
        assert used.backlogs.all() == []
        n_open = used.store.score_queue.count_open()
    assert n_rows(used, idempotency_keys, outbox, sessions, sign_in_links) == [0, *before[1:]]
    assert n_open == n_rows(used, jobs)[0] == 2
    with days_later(91):
        assert counts(used)["messages"] == 1
    assert n_rows(used, outbox) == [before[1] - 1]
    with days_later(181):
        assert counts(used)["sign_ins"] == 4
    assert n_rows(used, sessions, sign_in_links) == [0, 0]
    found = used.store.verify_audit()
    assert isinstance(found, Verified)
    assert found.n_erased == 2


def test_decided_cases_are_erased_and_open_ones_stay(used: House) -> None:
    with days_later(1096):
        assert counts(used, dry_run=True)["cases"] == 1
        assert used.store.counts()[CaseStatus.ERASED] == 0
        assert counts(used)["cases"] == 1
        assert counts(used)["cases"] == 0
    after = used.store.counts()
    assert (after[CaseStatus.ERASED], after[CaseStatus.OPEN]) == (1, 1)
    assert not [path for path in used.settings.photo_dir.rglob("*") if path.is_file()]


def test_photos_may_go_before_their_cases(used: House) -> None:
    periods = used.retention().periods
    retention = used.retention()
    retention.periods = replace(periods, keep_photos_days=10)
    with days_later(11):
        assert {p.kind: p.n for p in retention.apply(after_a_pause=True)}["photos"] == 1
    assert not [path for path in used.settings.photo_dir.rglob("*") if path.is_file()]
    assert used.store.version(KEY).case.photos
    assert used.store.view(KEY).photos[0].present is False


def test_a_clock_that_ran_ahead_erases_nothing(used: House) -> None:
    with days_later(2_000):
        with pytest.raises(ClockDoubtedError, match="--after-a-pause"):
            used.retention().apply()
        assert counts(used, dry_run=True)["cases"] == 1
    assert used.store.counts()[CaseStatus.ERASED] == 0


@pytest.mark.parametrize("days", [1_460, -1_460], ids=["ahead", "back"])
def test_something_that_happens_under_a_wrong_clock_does_not_make_it_right(used: House, days: float) -> None:
    def sign_in() -> None:
        assert used.gatekeeper.sign_in_by_link(used.gatekeeper.make_link(user_of(used, Role.LEAD), by="system:test"))

    with days_later(days):
        sign_in()
        with pytest.raises(ClockDoubtedError, match=f"{datetime.now(UTC):%Y-%m-%d}"):
            used.retention().apply()
    sign_in()
    with pytest.raises(ClockDoubtedError):
        used.retention().apply()
    assert used.store.counts()[CaseStatus.ERASED] == 0
    used.retention().apply(after_a_pause=True)
    assert used.retention().apply()
    assert used.store.counts()[CaseStatus.ERASED] == 0


def test_a_clock_that_only_went_on_lets_retention_run(used: House) -> None:
    for day in (29, 58):
        with days_later(day):
            user_of(used, Role.AUDITOR, name=f"new-{day}")
    with days_later(60):
        assert {passed.kind: passed.n for passed in used.retention().apply()}["requests"] > 0
    with days_later(89):
        used.retention().apply()


def test_the_command_says_what_goes(used: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("database_url", "photo_dir", "backlog_dir", "outcomes_dir"):
        monkeypatch.setenv(f"EVIDENCE_REVIEW_{name.upper()}", str(getattr(used.settings, name)))
    user_of(used, Role.LEAD)
    told = CliRunner().invoke(app, ["retention", "--dry-run"])
    assert (told.exit_code, "cases: 0 would go (after 1095 days)" in told.output) == (0, True)
    told = CliRunner().invoke(app, ["erase", "taobao/TB-OPEN", "--by", "test-lead", "--reason", "asked"])
    assert (told.exit_code, "LEFT: case taobao/TB-OPEN is under way: it is open" in told.output) == (3, True)
    told = CliRunner().invoke(app, ["erase", str(KEY), "--by", "test-lead", "--reason", "asked"])
    assert (told.exit_code, "1 cases erased, 1 photo files removed" in told.output) == (0, True)
    assert "Backups made before still hold it." in told.output
