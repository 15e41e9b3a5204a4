"""A decision is a person's, made once a stage, on the version that was on the screen."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.vocabulary import Platform, Stage
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION, EXAMPLE_EVIDENCE
from serving.house import House
from serving.records import CaseKey, CaseStatus, Role
from tests.serving.api.test_desk import take_in
from tests.serving.conftest import Headers, headers_of, keyed

CASES = "/api/v1/cases"
ONE = f"{CASES}/taobao/TB-2026-000123"
DECISION = f"{ONE}/decision"
DEAR = {"paid_minor": 900_000}
ASK: dict[str, Any] = {
    "ruling": "request_evidence",
    "remedy": None,
    "request": {"party": "seller", "what": "packing_record", "text": {"zh": "请提交发货记录", "en": "File it"}},
}


@pytest.fixture(autouse=True)
def _case(client: TestClient, service: Headers) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=service)


def decide(client: TestClient, headers: Headers, *, one: str = ONE, **draft: Any) -> Any:
    return client.post(f"{one}/decision", json={**EXAMPLE_DECISION, **draft}, headers=keyed(headers))


def appeal(client: TestClient, house: House, one: str) -> None:
    filed = {"filed_by": "seller", "reason": "有发货视频"}
    assert client.post(f"{one}/appeal", json=filed, headers=headers_of(house, Role.SERVICE)).status_code == 201


def test_a_decision_keeps_who_what_and_on_which_evidence(client: TestClient, arbitrator: Headers) -> None:
    decision = decide(client, arbitrator).json()
    assert decision["decided_by"] == "test-arbitrator"
    assert decision["case_version"] == 1
    assert decision["input_digest"].startswith("sha256:")
    assert (decision["suggestion_shown"], decision["agreed"], decision["review_seconds"]) == (False, None, 41.5)
    view = client.get(ONE, headers=arbitrator).json()
    assert (view["status"], view["decisions"][0]["decision"]) == ("decided", decision)


def test_a_second_decision_in_a_stage_is_refused(client: TestClient, arbitrator: Headers, lead: Headers) -> None:
    assert decide(client, arbitrator).status_code == 201
    assert decide(client, lead, ruling="dismiss").status_code == 409
    assert len(client.get(ONE, headers=lead).json()["decisions"]) == 1


def test_of_many_at_once_exactly_one_decides(client: TestClient, house: House) -> None:
    people = [headers_of(house, Role.ARBITRATOR, name=f"person-{n}") for n in range(16)]
    answers: list[int] = []
    start = threading.Barrier(len(people))

    def press(headers: Headers) -> None:
        start.wait()
        answers.append(decide(client, {**headers, "If-Match": '"1"'}).status_code)

    threads = [threading.Thread(target=press, args=(headers,)) for headers in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {201: 1, 409: 15}


def test_a_decision_on_an_older_version_is_refused(client: TestClient, arbitrator: Headers, service: Headers) -> None:
    client.post(f"{ONE}/evidence", json=EXAMPLE_EVIDENCE, headers=service)
    stale = decide(client, {**arbitrator, "If-Match": '"1"'})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:evidence-review:problem:stale-version")
    assert decide(client, {**arbitrator, "If-Match": '"2"'}).status_code == 201


@pytest.mark.parametrize("etag", ["1", '"one"', '"-1"', "x" * 200])
def test_a_malformed_etag_is_refused(client: TestClient, arbitrator: Headers, etag: str) -> None:
    assert decide(client, {**arbitrator, "If-Match": etag}).status_code == 422


def test_the_same_request_under_a_key_has_one_effect(client: TestClient, house: House, arbitrator: Headers) -> None:
    keyed = {**arbitrator, "Idempotency-Key": "k-1"}
    answers = [decide(client, keyed) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    actions = [entry.action for entry in house.store.audit_trail(subject="taobao/TB-2026-000123")]
    assert actions == ["case_taken_in", "decided", "notice_written"]
    other = decide(client, keyed, ruling="dismiss")
    assert (other.status_code, other.json()["type"]) == (422, "urn:evidence-review:problem:idempotency-key-reused")


def test_a_key_belongs_to_its_user(client: TestClient, house: House, arbitrator: Headers) -> None:
    decide(client, {**arbitrator, "Idempotency-Key": "k-1"})
    other = headers_of(house, Role.ARBITRATOR, name="somebody else")
    assert decide(client, {**other, "Idempotency-Key": "k-1"}).status_code == 409


def test_a_refused_request_leaves_its_key_free(client: TestClient, arbitrator: Headers) -> None:
    keyed = {**arbitrator, "Idempotency-Key": "k-1"}
    assert decide(client, {**keyed, "If-Match": '"7"'}).status_code == 412
    assert decide(client, keyed).status_code == 201


@pytest.mark.parametrize("role", [Role.SERVICE, Role.AUDITOR, Role.ENGINEER])
def test_only_an_arbitrator_or_a_lead_decides(client: TestClient, as_role: Callable[..., Headers], role: Role) -> None:
    assert decide(client, as_role(role)).status_code == 403
    assert client.post(f"{DECISION}/withdraw", json={}, headers=as_role(role)).status_code == 403


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"ruling": "guilty"}, "ruling"),
        ({"stage": "last"}, "stage"),
        ({"review_seconds": -1}, "review_seconds"),
        ({"decided_by": "me"}, "decided_by"),
        ({"remedy": {"refund_minor": 1.5}}, "remedy.refund_minor"),
        ({"reason": "\x00"}, "reason"),
        ({"suggestion_id": "of another case"}, "suggestion_id"),
    ],
)
def test_a_bad_draft_names_its_field(
    client: TestClient, arbitrator: Headers, draft: dict[str, Any], field: str
) -> None:
    answer = decide(client, arbitrator, **draft)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert client.get(ONE, headers=arbitrator).json()["decisions"] == []


def test_a_withdrawal_opens_the_case_and_keeps_the_record(client: TestClient, arbitrator: Headers) -> None:
    decide(client, arbitrator)
    answer = client.post(f"{DECISION}/withdraw", json={"reason": "看错了"}, headers=arbitrator)
    assert (answer.status_code, answer.json()["state"], answer.json()["end_reason"]) == (201, "withdrawn", "看错了")
    assert client.get(ONE, headers=arbitrator).json()["status"] == "open"
    assert decide(client, arbitrator, ruling="dismiss").status_code == 201
    states = [record["state"] for record in client.get(ONE, headers=arbitrator).json()["decisions"]]
    assert states == ["withdrawn", "standing"]


def test_only_the_person_or_a_lead_withdraws(client: TestClient, house: House, arbitrator: Headers) -> None:
    other = headers_of(house, Role.ARBITRATOR, name="somebody else")
    assert client.post(f"{DECISION}/withdraw", json={}, headers=arbitrator).status_code == 409
    decide(client, arbitrator)
    assert client.post(f"{DECISION}/withdraw", json={}, headers=other).status_code == 403
    lead = headers_of(house, Role.LEAD)
    assert client.post(f"{DECISION}/withdraw", json={}, headers=lead).status_code == 201


def test_the_later_stages_stand_on_the_first(client: TestClient, house: House, service: Headers) -> None:
    one = take_in(client, service, "TB-dear", order=DEAR)
    arbitrator, lead = headers_of(house, Role.ARBITRATOR), headers_of(house, Role.LEAD)
    assert decide(client, lead, one=one, stage="lead_review").status_code == 409
    decide(client, arbitrator, one=one)
    assert decide(client, arbitrator, one=one, stage="lead_review").status_code == 403
    assert decide(client, lead, one=one, stage="lead_review").status_code == 201
    assert client.post(f"{one}/decision/withdraw", json={}, headers=lead).status_code == 409


def test_an_appeal_goes_to_somebody_else(client: TestClient, house: House, arbitrator: Headers) -> None:
    decide(client, arbitrator)
    appeal(client, house, ONE)
    assert decide(client, arbitrator, stage="appeal").status_code == 403
    other = headers_of(house, Role.ARBITRATOR, name="somebody else")
    assert decide(client, other, stage="appeal", ruling="dismiss").status_code == 201


def test_an_appeal_that_nobody_filed_is_not_decided(client: TestClient, house: House, arbitrator: Headers) -> None:
    decide(client, arbitrator)
    other = headers_of(house, Role.ARBITRATOR, name="somebody else")
    refused = decide(client, other, stage="appeal", ruling="dismiss")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:evidence-review:problem:conflict")
    view = client.get(ONE, headers=other).json()
    assert (view["status"], len(view["decisions"])) == ("decided", 1)


def bring_to(client: TestClient, house: House, status: CaseStatus, asked_in: Stage | None) -> str:
    """Take a case in and bring it to a status; return its address. asked_in : the stage that asks for evidence"""
    reviewed = status == CaseStatus.AWAITING_LEAD or asked_in == Stage.LEAD_REVIEW
    one = take_in(client, headers_of(house, Role.SERVICE), "TB-there", order=DEAR if reviewed else {})
    first, second = headers_of(house, Role.ARBITRATOR, name="first"), headers_of(house, Role.LEAD, name="second")
    if asked_in == Stage.FIRST_REVIEW:
        decide(client, first, one=one, **ASK)
    elif status != CaseStatus.OPEN:
        decide(client, first, one=one)
    if status == CaseStatus.APPEALED or asked_in == Stage.APPEAL:
        appeal(client, house, one)
    if asked_in in (Stage.LEAD_REVIEW, Stage.APPEAL):
        decide(client, second, one=one, stage=asked_in.value, **ASK)
    if status == CaseStatus.ERASED:
        key = CaseKey(Platform.TAOBAO, "TB-there")
        erased = house.store.erasures.erase(key, by="system:test", reason="asked", under_way_too=True)
        one = f"{CASES}/taobao/{erased.stand_in}"
    assert client.get(one, headers=first).json()["status"] == status
    return one


@pytest.mark.parametrize(
    ("status", "asked_in"),
    [(status, None) for status in CaseStatus if status != CaseStatus.AWAITING_EVIDENCE]
    + [(CaseStatus.AWAITING_EVIDENCE, stage) for stage in Stage],
)
def test_a_decision_is_made_only_in_the_stage_that_the_case_waits_for(
    client: TestClient, house: House, status: CaseStatus, asked_in: Stage | None
) -> None:
    one = bring_to(client, house, status, asked_in)
    lead = headers_of(house, Role.LEAD)
    before = client.get(one, headers=lead).json()["decisions"]
    for stage in Stage:
        if stage != status.stage:
            assert decide(client, lead, one=one, stage=stage.value).status_code == 409, stage
    view = client.get(one, headers=lead).json()
    assert (view["status"], view["decisions"]) == (status, before)
    if status.stage is not None:
        assert decide(client, lead, one=one, stage=status.stage.value).status_code == 201


def test_a_review_and_an_appeal_wait_again_once_the_evidence_they_asked_for_is_there(
    client: TestClient, house: House, service: Headers
) -> None:
    one = bring_to(client, house, CaseStatus.AWAITING_EVIDENCE, Stage.APPEAL)
    client.post(f"{one}/evidence", json=EXAMPLE_EVIDENCE, headers=service)
    lead = headers_of(house, Role.LEAD)
    assert client.get(one, headers=lead).json()["status"] == "appealed"
    assert decide(client, lead, one=one).status_code == 409
    assert decide(client, lead, one=one, stage="lead_review").status_code == 409
    assert decide(client, lead, one=one, stage="appeal").status_code == 201


def test_a_decided_case_takes_no_more_evidence(client: TestClient, arbitrator: Headers, service: Headers) -> None:
    decide(client, arbitrator)
    answer = client.post(f"{ONE}/evidence", json=EXAMPLE_EVIDENCE, headers=service)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:evidence-review:problem:case-closed")
