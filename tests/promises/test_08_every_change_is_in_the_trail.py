"""Promise 8: no transaction changes what the service holds without an entry in the audit trail."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import Connection, event

from models.registry import ModelRegistry
from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.erasure import Target
from serving.house import House
from serving.records import Role
from serving.store import Store
from tests.serving.conftest import Headers, headers_of, keyed
from tests.serving.every_post import post_everything
from tests.serving.used import ID, use_everything

_WRITES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)", re.IGNORECASE)
OUTSIDE = {
    "idempotency_keys": "answers kept for repeats",
    "sign_in_attempts": "wrong passwords counted; the lock-out that follows is an entry",
    "jobs": "turns at scoring: taken, given back; what came of them is an entry",
    "outbox": "attempts at delivery; delivered and given up are entries",
    "shadow_runs": "how far a challenger has come",
    "shadow_suggestions": "what a challenger would have said; seen on the page of models, moves nothing",
}


@contextmanager
def silent_writes(store: Store) -> Iterator[list[set[str]]]:
    """Yield a list that grows by the tables of every transaction that changed some and wrote no entry."""
    found: list[set[str]] = []

    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        written = _WRITES.match(statement)
        if written:
            connection.info.setdefault("written", set()).add(written[1].lower())

    def begin(connection: Connection) -> None:
        connection.info["written"] = set()

    def commit(connection: Connection) -> None:
        written = connection.info.get("written", set())
        if "audit_events" not in written and written - set(OUTSIDE):
            found.append(written)

    engine = store.database.engine
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


def test_nothing_else_changes_in_silence_either(scoring_house: House, headers: dict[Role, Headers]) -> None:
    own = headers[Role.ARBITRATOR]
    with silent_writes(scoring_house.store) as silent:
        client = use_everything(scoring_house)
        assert client.put("/api/v1/desk/views/mine", json={"filters": {"claim": "damaged"}}, headers=own).is_success
        assert client.delete("/api/v1/desk/views/mine", headers=own).is_success
        assert client.put("/api/v1/desk/shortcuts", json={"keys": {"ruling.dismiss": "F2"}}, headers=own).is_success
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
