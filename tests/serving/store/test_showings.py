"""Whom a suggestion was shown to is the service's own knowledge: noted once, before it leaves."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models.domain import DecisionDraft, Outcome, ProcedureEvent, Suggestion
from models.vocabulary import Platform, ProcedureEventKind, Ruling
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.audit import Verified
from serving.auth import SESSION_COOKIE
from serving.export import export_outcomes
from serving.house import House
from serving.records import CaseKey, EvidenceDraft, Role
from serving.refusals import StorageError, UnknownError
from serving.tables import showings, users
from tests.builders import photo_bytes
from tests.serving.conftest import Headers, headers_of, keyed, user_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.store.overtaking import overtaken
from training.provenance import Provenance, provenance_of

KEY = CaseKey(Platform.TAOBAO, EXAMPLE_CASE["case_id"])
CASES = "/api/v1/cases"
ONE = f"{CASES}/{KEY}"
DECIDERS = (Role.ARBITRATOR, Role.LEAD)


@pytest.fixture(autouse=True)
def _scored(scoring_client: TestClient, scoring_house: House) -> None:
    service = headers_of(scoring_house, Role.SERVICE)
    assert scoring_client.post(CASES, json=EXAMPLE_CASE, headers=service).status_code == 201
    assert scoring_client.put(f"{ONE}/photos/p1", content=photo_bytes(), headers=service).status_code == 201
    assert scoring_client.post(f"{ONE}/suggestion", headers=service).status_code == 201


def noted(house: House) -> list[tuple[str, int]]:
    """Return (name, version) of every showing on record."""
    query = sa.select(users.c.name, showings.c.version).join(users, users.c.id == showings.c.user_key)
    with house.store.database.read() as connection:
        return [(row.name, row.version) for row in connection.execute(query.order_by(showings.c.id))]


def entries(house: House) -> list[tuple[str, Any]]:
    return [(e.actor, e.detail["version"]) for e in house.store.audit_trail() if e.action == "suggestion_shown"]


def cookie_of(house: House, role: Role) -> Headers:
    token = house.gatekeeper.sign_in_by_link(house.gatekeeper.make_link(user_of(house, role), by="system:test"))
    return {"Cookie": f"{SESSION_COOKIE}={token}"}


@contextmanager
def no_writes(house: House) -> Iterator[None]:
    """Fail on whatever statement would change something."""

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        assert not statement.startswith(("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")), statement

    engine = house.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", look)


WAYS: dict[str, Callable[[TestClient, House, Role], Any]] = {
    "the case": lambda client, house, role: client.get(ONE, headers=headers_of(house, role)),
    "the next case": lambda client, house, role: client.post("/api/v1/desk/next", headers=headers_of(house, role)),
    "its remedies": lambda client, house, role: client.get(f"{ONE}/remedies", headers=headers_of(house, role)),
    "scoring it anew": lambda client, house, role: client.post(f"{ONE}/suggestion", headers=headers_of(house, role)),
    "scoring it beside": lambda client, house, role: client.post(
        "/api/v1/suggestions",
        data={"case": json.dumps(EXAMPLE_CASE)},
        files={"p1": ("p1.jpg", photo_bytes())},
        headers=headers_of(house, role),
    ),
    "a heat map": lambda client, house, role: client.get(f"{ONE}/heat-maps/p1", headers=headers_of(house, role)),
    "its page": lambda client, house, role: client.get(f"/cases/{KEY}", headers=cookie_of(house, role)),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_first_time_by_whatever_way_is_noted_and_later_ones_only_read(
    scoring_client: TestClient, scoring_house: House, way: str
) -> None:
    for role in DECIDERS:
        assert WAYS[way](scoring_client, scoring_house, role).status_code < 300
        scoring_client.delete(f"{ONE}/hold", headers=headers_of(scoring_house, role))
    assert noted(scoring_house) == [("test-arbitrator", 2), ("test-lead", 2)]
    assert entries(scoring_house) == noted(scoring_house)
    headers, cookie = headers_of(scoring_house, Role.LEAD), cookie_of(scoring_house, Role.LEAD)
    with no_writes(scoring_house):
        assert scoring_client.get(ONE, headers=headers).json()["suggestion"]
        assert scoring_client.get(f"/cases/{KEY}", headers=cookie).status_code == 200
    assert isinstance(scoring_house.store.verify_audit(), Verified)


def test_whoever_never_decides_is_not_noted(scoring_client: TestClient, scoring_house: House) -> None:
    for role in (Role.AUDITOR, Role.SERVICE):
        assert scoring_client.get(ONE, headers=headers_of(scoring_house, role)).json()["suggestion"]
    assert noted(scoring_house) == []


def test_what_tells_nothing_of_the_suggestion_notes_nothing_and_says_nothing(
    scoring_client: TestClient, scoring_house: House
) -> None:
    cookie, me = cookie_of(scoring_house, Role.ARBITRATOR), headers_of(scoring_house, Role.ARBITRATOR)
    for path in (f"/cases/{KEY}/state", "/", "/?status=open"):
        assert scoring_client.get(path, headers=cookie).status_code == 200
    assert scoring_client.get(f"{ONE}/heat-maps/none", headers=me).status_code == 404
    (row,) = scoring_client.get(CASES, headers=me).json()["cases"]
    assert (row["suggestion_state"], row["ruling"], row["confidence"]) == ("ready", None, None)
    (row,) = scoring_client.get(CASES, headers=headers_of(scoring_house, Role.AUDITOR)).json()["cases"]
    assert row["confidence"] is not None
    assert noted(scoring_house) == []


def test_a_ruling_pressed_on_a_page_from_before_the_suggestion_is_ones_own(
    scoring_client: TestClient, scoring_house: House
) -> None:
    cookie = cookie_of(scoring_house, Role.ARBITRATOR)
    person = scoring_house.gatekeeper.person_of_session(cookie["Cookie"].partition("=")[2])
    assert person is not None
    form = {"csrf_token": person.csrf_token or "", "version": "2", "ruling": "dismiss", "suggestion_id": ""}
    pressed = scoring_client.post(f"/cases/{KEY}/decision", data=form, headers=cookie, follow_redirects=False)
    assert pressed.status_code == 303
    (record,) = scoring_house.store.view(KEY).decisions
    assert (record.decision.suggestion_shown, record.decision.suggestion_id is None) == (False, False)


@contextmanager
def locked(house: House) -> Iterator[None]:
    """Another program holds what a change needs; reading goes on."""
    engine = house.store.database.engine
    if house.store.database.is_sqlite:
        other_program = sqlite3.connect(str(engine.url.database), isolation_level=None)
        other_program.execute("BEGIN IMMEDIATE")
        yield
        other_program.close()
        return
    with engine.connect() as other, other.begin():
        other.exec_driver_sql("LOCK TABLE cases IN EXCLUSIVE MODE")
        yield


def test_while_the_database_is_locked_a_case_is_read_without_the_suggestion_and_the_ruling_is_ones_own(
    scoring_client: TestClient, scoring_house: House
) -> None:
    me, cookie = headers_of(scoring_house, Role.ARBITRATOR), cookie_of(scoring_house, Role.ARBITRATOR)
    lead = headers_of(scoring_house, Role.LEAD)
    assert scoring_client.get(ONE, headers=lead).json()["suggestion"]
    with locked(scoring_house):
        began = time.monotonic()
        view = scoring_client.get(ONE, headers=me).json()
        assert time.monotonic() - began < 20
        assert (view["suggestion"], view["suggestion_state"], view["version"]) == (None, "withheld", 2)
        page = scoring_client.get(f"/cases/{KEY}", headers=cookie)
        assert (page.status_code, "暂时无法记录建议已展示" in page.text) == (200, True)
        assert scoring_client.get(ONE, headers=lead).json()["suggestion"], "noted before, so it only reads"
    decision = scoring_client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(me)).json()
    assert decision["suggestion_shown"] is False
    assert noted(scoring_house) == [("test-lead", 2)]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_on_a_full_disk_a_suggestion_is_shown_to_those_alone_who_were_noted(
    scoring_client: TestClient, scoring_house: House
) -> None:
    names = [f"li-{number}" for number in range(40)]
    people = {name: headers_of(scoring_house, Role.ARBITRATOR, name=name) for name in names}
    engine = scoring_house.store.database.engine
    with engine.connect() as connection:
        n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def no_more(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {n_pages}")

    def look() -> list[str]:
        answers = {name: scoring_client.get(ONE, headers=headers) for name, headers in people.items()}
        assert {answer.status_code for answer in answers.values()} == {200}
        return [name for name, answer in answers.items() if answer.json()["suggestion"] is not None]

    sa.event.listen(engine, "connect", no_more)
    engine.dispose()
    seen = look()
    sa.event.remove(engine, "connect", no_more)
    engine.dispose()
    assert len(seen) < len(names)
    assert [name for name, _ in noted(scoring_house)] == seen
    assert look() == names


def test_two_first_views_at_once_are_one_showing(scoring_house: House) -> None:
    me, said = user_of(scoring_house, Role.ARBITRATOR), scoring_house.store.view(KEY).suggestion
    assert said is not None

    def note() -> None:
        scoring_house.store.showings.note(KEY, said.suggestion_id, version=2, to=me)

    assert overtaken(scoring_house, note, note, at="INSERT INTO showings") == (None, None)
    assert noted(scoring_house) == entries(scoring_house) == [("test-arbitrator", 2)]


def test_an_erased_case_keeps_no_showing_and_gets_none(scoring_client: TestClient, scoring_house: House) -> None:
    lead = headers_of(scoring_house, Role.LEAD)
    said = scoring_client.get(ONE, headers=lead).json()["suggestion"]

    def note() -> None:
        me = user_of(scoring_house, Role.ARBITRATOR)
        scoring_house.store.showings.note(KEY, said["suggestion_id"], version=2, to=me)

    def erase() -> None:
        scoring_house.store.erasures.erase(KEY, by="test-lead", reason="asked", under_way_too=True)

    overtaken(scoring_house, note, erase, at="INSERT INTO showings")
    assert noted(scoring_house) == []
    (row,) = scoring_client.get(f"{CASES}?status=erased", headers=lead).json()["cases"]
    assert scoring_client.get(f"{CASES}/taobao/{row['case_id']}", headers=lead).json()["suggestion"] is not None
    assert noted(scoring_house) == entries(scoring_house) == []
    with pytest.raises(UnknownError):
        note()


def test_what_was_shown_counts_as_named_though_a_newer_one_came(
    scoring_client: TestClient, scoring_house: House
) -> None:
    me = headers_of(scoring_house, Role.ARBITRATOR)
    seen = scoring_client.get(ONE, headers=me).json()["suggestion"]
    newer = Suggestion.model_validate(seen).model_copy(
        update={"suggestion_id": "newer", "model_version": "ruling/newer"}
    )
    assert scoring_house.store.keep_suggestion(scoring_house.store.version(KEY), newer, by="system:test")
    decision = scoring_client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(me)).json()
    assert (decision["suggestion_id"], decision["model_version"]) == (seen["suggestion_id"], seen["model_version"])
    assert decision["suggestion_shown"] is True
    assert decision["agreed"] is (None if seen["ruling"] is None else seen["ruling"] == decision["ruling"])


def test_a_ruling_on_a_version_after_one_whose_suggestion_was_shown_is_no_blind_label(
    scoring_client: TestClient, scoring_house: House
) -> None:
    scoring_client.get(ONE, headers=headers_of(scoring_house, Role.ARBITRATOR))
    step = ProcedureEvent(at=datetime.now(UTC), event=ProcedureEventKind.DEADLINE_MISSED, by="seller")
    scoring_house.store.add_evidence(KEY, EvidenceDraft(timeline=(step,)), by=user_of(scoring_house, Role.SERVICE))
    me = user_of(scoring_house, Role.ARBITRATOR)
    decision = scoring_house.store.decide(KEY, DecisionDraft(ruling=Ruling.DISMISS), by=me, input_digest="sha256:0")
    assert decision.suggestion_shown is False
    folder = export_outcomes(
        scoring_house.store, scoring_house.photo_intake, scoring_house.settings.outcomes_dir, by="system:test"
    )
    outcome = Outcome.model_validate_json((folder / "outcomes.jsonl").read_text(encoding="utf-8"))
    assert (outcome.suggestion_shown, outcome.blind_ruling) == (None, None)
    assert provenance_of(outcome) == Provenance.UNKNOWN


def test_what_was_shown_of_other_content_isnt_taken_for_the_suggestion_on_file(
    scoring_client: TestClient, scoring_house: House
) -> None:
    me = headers_of(scoring_house, Role.ARBITRATOR)
    other = EXAMPLE_CASE | {"buyer_statement": "收到就是碎的"}
    scoring_client.post("/api/v1/suggestions", json=other, headers=me).raise_for_status()
    decision = scoring_client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(me)).json()
    assert (decision["suggestion_shown"], decision["suggestion_id"], decision["agreed"]) == (True, None, None)


def test_a_showing_that_cant_be_noted_leaves_the_request_free_to_come_again(
    scoring_client: TestClient, scoring_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = keyed(headers_of(scoring_house, Role.LEAD))

    def busy(*_: object, **__: object) -> None:
        raise StorageError("the database is busy")

    with monkeypatch.context() as locked:
        locked.setattr(scoring_house.store.showings, "note", busy)
        assert scoring_client.post(f"{ONE}/suggestion", headers=me).status_code == 503
    assert scoring_client.post(f"{ONE}/suggestion", headers=me).status_code == 201
