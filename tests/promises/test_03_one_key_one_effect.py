"""Promise 3: the same Idempotency-Key many times is one effect, across a restart; another body under it is refused."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from models.registry import ModelRegistry
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION, EXAMPLE_EVIDENCE
from serving.app import create_app
from serving.house import House, build_house
from serving.records import Role
from serving.refusals import RequestInFlightError
from serving.store import Store
from serving.store.idempotency import Reservation, current
from serving.tables import metadata
from tests.serving.conftest import Headers, headers_of, keyed, user_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.every_post import post_everything

CASES = "/api/v1/cases"
ONE = f"{CASES}/taobao/TB-2026-000123"
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def arbitrator(client: TestClient, house: House) -> Headers:
    client.post(CASES, json=EXAMPLE_CASE, headers=headers_of(house, Role.SERVICE))
    return headers_of(house, Role.ARBITRATOR)


def decide(client: TestClient, headers: Headers, **draft: Any) -> Any:
    return client.post(f"{ONE}/decision", json={**EXAMPLE_DECISION, **draft}, headers=headers)


def test_a_hundred_times_the_same_key_is_one_effect_across_a_restart(
    client: TestClient, house: House, arbitrator: Headers, measured: Callable[[str], None]
) -> None:
    answers = [decide(client, {**arbitrator, **KEY}) for _ in range(50)]
    again = build_house(house.settings)
    restarted = TestClient(create_app(again.settings, house=again))
    answers += [decide(restarted, {**arbitrator, **KEY}) for _ in range(50)]
    again.store.close()
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert [event.action for event in house.store.audit_trail(subject="taobao/TB-2026-000123")].count("decided") == 1
    measured(f"{house.settings.database_url.split(':')[0]}: 100 requests, one restart between them, 1 effect, 1 answer")


def test_many_at_once_under_one_key_are_one_effect(client: TestClient, house: House, arbitrator: Headers) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(decide(client, {**arbitrator, **KEY}))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {answer.text for answer in answers if answer.status_code == 201}
    others = {(a.status_code, a.json()["type"]) for a in answers if a.status_code != 201}
    assert len(made) == 1
    assert others <= {(409, "urn:evidence-review:problem:in-flight")}
    assert len(client.get(ONE, headers=arbitrator).json()["decisions"]) == 1


def test_another_body_under_the_key_is_refused(client: TestClient, arbitrator: Headers) -> None:
    assert decide(client, {**arbitrator, **KEY}).status_code == 201
    other = decide(client, {**arbitrator, **KEY}, ruling="dismiss")
    assert (other.status_code, other.json()["type"]) == (422, "urn:evidence-review:problem:idempotency-key-reused")


def test_a_key_under_way_answers_409_until_it_is_done(client: TestClient, house: House, arbitrator: Headers) -> None:
    keys, user = house.store.request_keys, user_of(house, Role.ARBITRATOR)
    held = keys.reserve(user, "k-2", request_digest="d")
    with pytest.raises(RequestInFlightError):
        keys.reserve(user, "k-2", request_digest="d")
    assert isinstance(held, Reservation)
    keys.release(held)
    assert isinstance(keys.reserve(user, "k-2", request_digest="d"), Reservation)


def test_whoever_lost_the_key_changes_nothing(house: House, arbitrator: Headers) -> None:
    token = current.set(Reservation(row=10**6, fence=1))
    try:
        with pytest.raises(RequestInFlightError):
            house.store.accounts.add("late", role=Role.LEAD, by="system:test")
    finally:
        current.reset(token)
    assert "late" not in [user.name for user in house.store.accounts.everyone()]


def test_keys_are_each_persons_own(client: TestClient, house: House, arbitrator: Headers) -> None:
    assert decide(client, {**arbitrator, **KEY}).status_code == 201
    assert decide(client, {**headers_of(house, Role.LEAD), **KEY}).status_code == 409


def test_a_refusal_is_not_kept(client: TestClient, arbitrator: Headers) -> None:
    assert decide(client, {**arbitrator, **KEY, "If-Match": '"9"'}).status_code == 412
    assert decide(client, {**arbitrator, **KEY, "If-Match": '"1"'}).status_code == 201


def test_every_post_of_the_document_takes_a_key(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    for path, operations in app.openapi()["paths"].items():
        if "post" in operations and path != "/api/v1/session":
            names = [parameter["name"] for parameter in operations["post"]["parameters"]]
            assert names.count("Idempotency-Key") == 1, path


def test_every_post_sent_twice_under_a_key_has_one_effect_and_one_answer(
    scoring_client: TestClient, scoring_house: House, registry: ModelRegistry, measured: Callable[[str], None]
) -> None:
    headers = {role: headers_of(scoring_house, role) for role in Role}
    sent: set[str] = set()

    def send_twice(role: Role, template: str, content: Any = None, **ids: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode() if content is not None else b""
        kind = "application/x-ndjson" if isinstance(content, bytes) else "application/json"
        given = keyed({**headers[role], "Content-Type": kind})
        first = scoring_client.post(template.format(**ids), content=body, headers=given)
        assert first.status_code < 300, (template, first.text)
        before = all_rows(scoring_house.store)
        again = scoring_client.post(template.format(**ids), content=body, headers=given)
        assert (again.status_code, again.text) == (first.status_code, first.text), template
        assert again.headers["idempotency-replayed"] == "true", template
        assert all_rows(scoring_house.store) == before, template
        sent.add(template)
        return first

    post_everything(scoring_house, send_twice)
    app = scoring_client.app
    assert isinstance(app, FastAPI)
    posts = {path for path, operations in app.openapi()["paths"].items() if "post" in operations}
    assert sent == posts - {"/api/v1/session"}
    measured(f"each of {len(sent)} POSTs sent twice under one key: the second changed no row and was answered alike")


def all_rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table."""
    with store.database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


@pytest.mark.parametrize(
    ("path", "content"),
    [("cases/taobao/TB-2026-000123/decision", EXAMPLE_DECISION), ("backlogs", None), ("retrainings", None)],
)
def test_decisions_and_jobs_need_a_key(client: TestClient, house: House, path: str, content: Any) -> None:
    answer = client.post(f"/api/v1/{path}", json=content, headers=headers_of(house, Role.LEAD))
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:evidence-review:problem:idempotency-key-missing")


def test_intake_and_evidence_are_answered_alike_again(client: TestClient, house: House) -> None:
    service = {**headers_of(house, Role.SERVICE)}
    first, again = (client.post(CASES, json=EXAMPLE_CASE, headers={**service, **KEY}) for _ in range(2))
    assert (first.status_code, again.status_code, again.text) == (201, 201, first.text)
    assert (again.headers["etag"], again.headers["idempotency-replayed"]) == (first.headers["etag"], "true")
    added = {**service, "Idempotency-Key": "k-3"}
    answers = [client.post(f"{ONE}/evidence", json=EXAMPLE_EVIDENCE, headers=added) for _ in range(3)]
    assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(201, 2)}


def test_a_stranger_with_a_key_is_still_a_stranger(client: TestClient, arbitrator: Headers) -> None:
    assert decide(client, {**arbitrator, **KEY}).status_code == 201
    assert decide(client, KEY).status_code == 401


@pytest.mark.parametrize("key", ["", "x" * 201, "ключ".encode()])
def test_a_key_that_cannot_be_one_is_named(client: TestClient, arbitrator: Headers, key: Any) -> None:
    answer = decide(client, {**arbitrator, "Idempotency-Key": key})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_an_effect_and_its_kept_answer_survive_together(house: House, arbitrator: Headers, tmp_path: Path) -> None:
    """A process that dies after the decision is made and before it answers: the next one repeats the answer."""
    keys, user = house.store.request_keys, user_of(house, Role.ARBITRATOR)
    held = keys.reserve(user, "k-9", request_digest="d")
    assert isinstance(held, Reservation)
    token = current.set(held)
    try:
        version = house.store.version_by_key(1, 1)
        from models.domain import DecisionDraft
        from serving.records import CaseKey

        decision = house.store.decide(
            CaseKey(version.case.platform, version.case.case_id),
            DecisionDraft.model_validate(EXAMPLE_DECISION, strict=False),
            by=user,
            input_digest="sha256:0",
        )
    finally:
        current.reset(token)
    kept = Store(house.settings.database_url).request_keys.reserve(user, "k-9", request_digest="d")
    assert not isinstance(kept, Reservation)
    assert (kept.status, kept.body) == (201, decision.model_dump_json())
