"""Promise 8: no transaction changes what the service holds without an entry in the audit trail."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import Connection, event

from models.registry import ModelRegistry
from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.app import create_app
from serving.audit import Action
from serving.auth import SESSION_COOKIE
from serving.backlog.pool import PoolEngine
from serving.backlog.run import score_backlog
from serving.backlog.waiting import hand_back, take_snapshot
from serving.erasure import Target
from serving.house import House
from serving.records import CaseKey, RetrainingJob, Role
from serving.refusals import StrangerError
from serving.store import Store
from serving.store.retrainings import RETRAIN
from serving.tables import jobs, outbox
from tests.builders import photo_bytes
from tests.serving.conftest import Headers, headers_of, keyed, user_of
from tests.serving.every_page_post import press_everything
from tests.serving.every_post import post_everything
from tests.serving.used import ID, use_everything

_WRITES = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
OUTSIDE = {
    r"\S+ (INTO |FROM )?idempotency_keys ": "answers kept for repeats",
    r"\S+ (INTO |FROM )?sign_in_attempts ": "wrong passwords counted; the lock-out that follows is an entry",
    r"\S+ (INTO |FROM )?jobs ": "turns at work, taken and given back; what came of them is an entry: see WATCHED",
    r"\S+ (INTO |FROM )?outbox ": "attempts at delivery; what came of them is an entry: see WATCHED",
    r"\S+ (INTO |FROM )?shadow_suggestions ": "what a challenger would have said; it moves nothing",
    r"UPDATE holds SET held_until=\? WHERE holds.case_key = \?$": "a hold of one's own that lasts longer",
    r"UPDATE cases SET (suggestion_state=\?, suggestion_problem=\?|priority=\?) WHERE cases.id = \?$": (
        "that a suggestion shows, and its doubt in the queue's order; the suggestion itself is an entry, and one that "
        "is handed in again is no news"
    ),
}
"""Statements that need no entry, and why."""
WATCHED = {
    "jobs": sa.select(jobs.c.id, jobs.c.state).where(jobs.c.kind == RETRAIN),
    "outbox": sa.select(outbox.c.message_id, outbox.c.state),
}
"""What no statement may change without an entry, whatever is outside: where a retraining and a message stand."""


@contextmanager
def silent_writes(store: Store) -> Iterator[list[set[str]]]:
    """Yield a list that grows by the tables of every transaction that changed some and wrote no entry."""
    found: list[set[str]] = []
    known: dict[str, object] = {}

    def note(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        said = " ".join(statement.replace('"', "").split())
        if _WRITES.match(said) and cursor.rowcount != 0:
            connection.info.setdefault("written", []).append(said)

    def begin(connection: Connection) -> None:
        connection.info["written"] = []

    def commit(connection: Connection) -> None:
        written = {said: match[1] for said in connection.info.get("written", []) if (match := _WRITES.match(said))}
        if not written:
            return
        silent = {table for said, table in written.items() if not any(re.match(outside, said) for outside in OUTSIDE)}
        silent |= {name for name, rows in look(connection).items() if rows != known[name]}
        known.update(look(connection))
        if silent and "audit_events" not in written.values():
            found.append(silent)

    def look(connection: Connection) -> dict[str, object]:
        return {name: sorted(connection.execute(query).all()) for name, query in WATCHED.items()}

    engine = store.database.engine
    with store.database.read() as connection:
        known.update(look(connection))
    listeners = (("after_cursor_execute", note), ("begin", begin), ("commit", commit))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield found
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)


@pytest.fixture
def headers(scoring_house: House) -> dict[Role, Headers]:
    return {role: headers_of(scoring_house, role) for role in Role}


def session_of(house: House, role: Role) -> tuple[str, str]:
    """Return a new session's token and its CSRF token."""
    token = house.gatekeeper.sign_in_by_link(house.gatekeeper.make_link(user_of(house, role), by="system:test"))
    person = house.gatekeeper.person_of_session(token)
    assert person is not None
    return token, person.csrf_token or ""


def paths_of(client: TestClient, method: str) -> set[str]:
    """Return the path of every route of a method, page or API."""
    assert isinstance(client.app, FastAPI)
    routes = iter_route_contexts(client.app.routes)
    return {route.path or "" for route in routes if method in (getattr(route.original_route, "methods", None) or ())}


@contextmanager
def days_later(days: float) -> Iterator[None]:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days)):
        yield


def test_no_post_changes_anything_in_silence(
    scoring_client: TestClient, scoring_house: House, registry: ModelRegistry, headers: dict[Role, Headers]
) -> None:
    def send(role: Role, template: str, content: Any = None, **ids: str) -> Any:
        body = {"content": content} if isinstance(content, bytes) else {"json": content}
        kind = {"Content-Type": "application/x-ndjson"} if isinstance(content, bytes) else {}
        answer = scoring_client.post(template.format(**ids), headers=keyed({**headers[role], **kind}), **body)
        assert answer.status_code < 300, (template, answer.text)
        return answer

    with silent_writes(scoring_house.store) as silent:
        post_everything(scoring_house, send)
    assert silent == []


def test_no_button_of_a_page_changes_anything_in_silence(
    scoring_client: TestClient, scoring_house: House, registry: ModelRegistry
) -> None:
    pressed, sessions = set(), {role: session_of(scoring_house, role) for role in Role if role != Role.SERVICE}

    def press(role: Role | None, template: str, case_id: str = "", **fields: str) -> Any:
        pressed.add(template)
        token, csrf = sessions[role] if role is not None else ("", "")
        answer = scoring_client.post(
            template.replace(":path", "").format(platform="taobao", case_id=case_id),
            data={"csrf_token": csrf, **fields},
            headers={"Cookie": f"{SESSION_COOKIE}={token}"} if token else {},
            follow_redirects=False,
        )
        assert answer.status_code < 400, (template, answer.text)
        return answer

    with silent_writes(scoring_house.store) as silent:
        press_everything(scoring_house, scoring_client, press)
    assert silent == []
    assert pressed == {path for path in paths_of(scoring_client, "POST") if not path.startswith("/api/")}


def test_no_put_or_delete_changes_anything_in_silence(
    scoring_client: TestClient, scoring_house: House, headers: dict[Role, Headers]
) -> None:
    desk, sent, key = scoring_house.store.desk, set(), CaseKey(Platform.TAOBAO, EXAMPLE_CASE["case_id"])
    one = "/api/v1/cases/{platform}/{case_id:path}"

    def send(role: Role, method: str, template: str, content: Any = None, **ids: str) -> Any:
        sent.add((method, template))
        path = template.replace(":path", "").format(platform="taobao", case_id=key.case_id, **ids)
        body = {"content": content} if isinstance(content, bytes) else {"json": content} if content else {}
        answer = scoring_client.request(method, path, headers=headers[role], **body)
        assert answer.status_code < 300, (template, answer.text)
        return answer

    def post(role: Role, path: str, content: Any = None) -> Any:
        answer = scoring_client.post(path, json=content, headers=keyed(headers[role]))
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    with silent_writes(scoring_house.store) as silent:
        post(Role.SERVICE, "/api/v1/cases", EXAMPLE_CASE)
        send(Role.SERVICE, "PUT", f"{one}/photos/{{photo_id:path}}", photo_bytes(), photo_id="p1")
        send(Role.ARBITRATOR, "PUT", "/api/v1/desk/views/{name:path}", {"filters": {"claim": "damaged"}}, name="mine")
        send(Role.ARBITRATOR, "DELETE", "/api/v1/desk/views/{name:path}", name="mine")
        send(Role.ARBITRATOR, "PUT", "/api/v1/desk/shortcuts", {"keys": {"ruling.dismiss": "F2"}})
        for on in (True, False):
            send(Role.ENGINEER, "PUT", "/api/v1/models/shadow", {"on": on})
        post(Role.ARBITRATOR, f"/api/v1/cases/{key}/hold")
        send(Role.ARBITRATOR, "DELETE", f"{one}/hold")
        said = {"kind": "statement", "ref": "m1", "label": "claims_damage", "holds": False}
        made = post(Role.ARBITRATOR, f"/api/v1/cases/{key}/corrections", said)["correction_id"]
        send(Role.ARBITRATOR, "DELETE", f"{one}/corrections/{{correction_id}}", correction_id=made)
        deal = {"people": ["test-arbitrator"], "preview": False}
        batch = post(Role.LEAD, "/api/v1/assignments", deal)["batch_id"]
        send(Role.LEAD, "DELETE", "/api/v1/assignments/{batch_id}", batch_id=batch)
        switch = post(Role.LEAD, "/api/v1/switches", {"claim": "counterfeit", "reason": "正在查"})["switch_id"]
        send(Role.LEAD, "DELETE", "/api/v1/switches/{switch_id}", switch_id=switch)
        post(Role.ARBITRATOR, f"/api/v1/cases/{key}/decision", EXAMPLE_DECISION)
        notice, text = desk.notices(key)[0].notice_id, {"zh": "驳回", "en": "Dismissed"}
        send(Role.ARBITRATOR, "PUT", f"{one}/notices/{{notice_id}}", text, notice_id=notice)
        token, csrf = session_of(scoring_house, Role.LEAD)
        headers[Role.LEAD] = {"Cookie": f"{SESSION_COOKIE}={token}", "X-CSRF-Token": csrf}
        send(Role.LEAD, "DELETE", "/api/v1/session")
    assert silent == []
    assert sent == {(method, path) for method in ("PUT", "DELETE") for path in paths_of(scoring_client, method)}


def test_what_time_brings_about_is_in_the_trail(scoring_house: House, headers: dict[Role, Headers]) -> None:
    client = TestClient(create_app(scoring_house.settings, house=scoring_house))
    asking, ruling = (CaseKey(Platform.TAOBAO, case_id) for case_id in ("TB-ASKING", "TB-RULING"))
    for key in (asking, ruling):
        case = {**EXAMPLE_CASE, "case_id": key.case_id}
        assert client.post("/api/v1/cases", json=case, headers=headers[Role.SERVICE]).status_code == 201
    ask = {"party": "buyer", "what": "unboxing", "text": {"zh": "请补视频", "en": "Send a video"}}
    for key, decision in ((asking, {"ruling": "request_evidence", "request": ask}), (ruling, EXAMPLE_DECISION)):
        sent = client.post(f"/api/v1/cases/{key}/decision", json=decision, headers=keyed(headers[Role.ARBITRATOR]))
        assert sent.status_code == 201, sent.text
    with silent_writes(scoring_house.store) as silent, days_later(60):
        assert scoring_house.store.desk.keep_up() > 0
    assert silent == []
    said = [(entry.action.value, entry.subject) for entry in scoring_house.store.audit_trail()]
    for entry in (
        ("user_added", "user:system:desk"),
        ("evidence_request_answered", str(asking)),
        ("notice_sent", str(ruling)),
    ):
        assert entry in said


def test_retention_drops_nothing_in_silence(scoring_house: House) -> None:
    use_everything(scoring_house)
    for job in scoring_house.backlogs.all():
        scoring_house.backlogs.cancel(job.job_id)
    message = scoring_house.store.outbox.take(hold=timedelta(minutes=1))
    assert message is not None
    scoring_house.store.outbox.delivered(message)
    with silent_writes(scoring_house.store) as silent, days_later(1_100):
        found = scoring_house.retention().apply(after_a_pause=True)
    assert silent == []
    assert {passed.kind for passed in found if passed.n} == {"messages", "requests", "sign_ins", "backlogs", "cases"}
    entries = [entry for entry in scoring_house.store.audit_trail() if entry.action == Action.RETENTION_APPLIED]
    assert [entry.detail.get("kind") for entry in entries] == ["messages", "requests", "sign_ins", None]


def test_a_backlog_handed_back_changes_nothing_in_silence(
    scoring_house: House, headers: dict[Role, Headers], pool: PoolEngine, tmp_path: Path
) -> None:
    client = TestClient(create_app(scoring_house.settings, house=scoring_house))
    assert client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=headers[Role.SERVICE]).status_code == 201
    store, out = scoring_house.store, tmp_path / "out"
    with silent_writes(store) as silent:
        snapshot = take_snapshot(store, out=out)
        score_backlog(str(snapshot), out=out, engine=pool, photos_dir=scoring_house.settings.photo_dir)
        assert [hand_back(store, out=out).n_kept for _ in range(2)] == [1, 1]
    assert silent == []
    actions = [entry.action for entry in store.audit_trail(subject=f"taobao/{EXAMPLE_CASE['case_id']}")]
    assert actions == ["case_taken_in", "suggestion_stored"]


def test_a_retraining_changes_nothing_in_silence(scoring_house: House) -> None:
    retrainings, lead = scoring_house.store.retrainings, user_of(scoring_house, Role.LEAD)

    def leased() -> RetrainingJob:
        job = retrainings.lease(worker="runner", lease_s=60)
        assert job is not None
        return job

    with silent_writes(scoring_house.store) as silent:
        asked = retrainings.ask(by=lead).retraining_id
        retrainings.put_back(leased(), worker="runner")
        job = leased()
        retrainings.keep(job, ["reading outcomes ..."], lease_s=60)
        retrainings.end(job, ["done"], worker="runner")
        lost = retrainings.ask(by=lead).retraining_id
        leased()
        with days_later(1):
            retrainings.cancel(retrainings.ask(by=lead).retraining_id, by=lead)
    assert silent == []
    trail = scoring_house.store.audit_trail
    assert [entry.action.value for entry in trail(subject=f"retraining:{asked}")] == [
        "retraining_asked",
        "retraining_started",
        "retraining_put_back",
        "retraining_started",
        "retraining_ended",
    ]
    assert trail(subject=f"retraining:{lost}")[-1].detail == {"state": "failed"}


def test_a_link_of_somebody_shut_out_is_not_spent(scoring_house: House) -> None:
    link = scoring_house.gatekeeper.make_link(user_of(scoring_house, Role.LEAD), by="system:test")
    scoring_house.store.accounts.disable("test-lead", by="system:test")
    with silent_writes(scoring_house.store) as silent, pytest.raises(StrangerError):
        scoring_house.gatekeeper.sign_in_by_link(link)
    assert silent == []


def test_an_export_of_decisions_is_in_the_trail(scoring_house: House, headers: dict[Role, Headers]) -> None:
    client = use_everything(scoring_house)
    asked = "/api/v1/decisions/export?format=jsonl&claim=damaged"
    assert client.get(asked, headers=headers[Role.AUDITOR]).status_code == 200
    last = scoring_house.store.audit_trail()[-1]
    assert (last.action, last.actor) == ("decisions_exported", "test-auditor")
    assert last.detail == {"format": "jsonl", "claim": "damaged", "platform": None, "by": None}


def test_nothing_else_changes_in_silence_either(scoring_house: House) -> None:
    with silent_writes(scoring_house.store) as silent:
        use_everything(scoring_house)
        scoring_house.eraser().erase(Target.parse(f"taobao/{ID}"), by="test-lead", reason="asked by the buyer")
    assert silent == []


def test_a_worker_changes_nothing_in_silence(scoring_house: House) -> None:
    use_everything(scoring_house)
    client = TestClient(create_app(scoring_house.settings, house=scoring_house))
    for case_id, claim in (("TB-SCORED", "damaged"), ("TB-OFF", "counterfeit")):
        case = {**EXAMPLE_CASE, "case_id": case_id, "claim": claim}
        answer = client.post("/api/v1/cases", json=case, headers=headers_of(scoring_house, Role.SERVICE))
        assert answer.status_code == 201
    a_minute_later = datetime.now(UTC) + timedelta(minutes=1)
    with silent_writes(scoring_house.store) as silent, time_machine.travel(a_minute_later):
        while scoring_house.worker().work_once():
            pass
    assert silent == []
    for case_id, action in (("TB-SCORED", "suggestion_stored"), ("TB-OFF", "suggestion_withheld")):
        assert scoring_house.store.audit_trail(subject=f"taobao/{case_id}")[-1].action == action


def test_what_becomes_of_a_message_is_in_the_trail(scoring_house: House) -> None:
    use_everything(scoring_house)
    outbox = scoring_house.store.outbox
    with silent_writes(scoring_house.store) as silent:
        delivered, given_up = (outbox.take(hold=timedelta(minutes=1)) for _ in range(2))
        assert delivered is not None
        assert given_up is not None
        outbox.delivered(delivered)
        outbox.put_back(given_up, problem="500", wait=None)
        assert outbox.try_failed_again(by="system:cli") == 1
    assert silent == []
    entries = [(entry.action.value, entry.subject, entry.actor) for entry in scoring_house.store.audit_trail()[-3:]]
    assert entries == [
        ("message_delivered", delivered.subject, "system:courier"),
        ("message_given_up", given_up.subject, "system:courier"),
        ("messages_retried", "outbox", "system:cli"),
    ]
