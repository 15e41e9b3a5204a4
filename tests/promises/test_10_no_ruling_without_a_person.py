"""Promise 10: no code path records a decision without a signed-in arbitrator or lead; each says what it rests on."""

import contextlib

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain import DecisionDraft, Remedy
from models.vocabulary import Platform, Ruling, Stage
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.house import House
from serving.records import CaseKey, Role, User
from serving.refusals import RefusalError
from serving.tables import decision_events, users
from tests.serving.conftest import headers_of, user_of

CASES = "/api/v1/cases"
WITHOUT_PHOTOS = {name: value for name, value in EXAMPLE_CASE.items() if name not in ("photos", "chat")}
DECIDERS = (Role.ARBITRATOR.value, Role.LEAD.value)


def deciders(house: House) -> list[tuple[str | None, str]]:
    """Return (role, kind) of whoever made each decision on record."""
    query = sa.select(users.c.role, decision_events.c.kind).select_from(
        decision_events.outerjoin(users, users.c.id == decision_events.c.by_user)
    )
    with house.store.database.read() as connection:
        return [(row.role, row.kind) for row in connection.execute(query)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    role=st.sampled_from(Role),
    ruling=st.sampled_from(Ruling),
    stage=st.sampled_from(Stage),
    stranger=st.booleans(),
    place=st.integers(0, 5),
)
def test_no_path_decides_without_an_arbitrator(
    house: House, client: TestClient, role: Role, ruling: Ruling, stage: Stage, stranger: bool, place: int
) -> None:
    case = {**EXAMPLE_CASE, "case_id": f"case-{place}"}
    client.post(CASES, json=case, headers=headers_of(house, Role.SERVICE))
    headers = {} if stranger else headers_of(house, role)
    draft = DecisionDraft(ruling=ruling, stage=stage, remedy=Remedy(refund_minor=100), distinguishes="x")
    keyed = {**headers, "Idempotency-Key": f"{role}{ruling}{stage}{place}{stranger}"}
    answer = client.post(f"{CASES}/taobao/case-{place}/decision", content=draft.model_dump_json(), headers=keyed)
    if stranger or role.value not in DECIDERS:
        assert answer.status_code in (401, 403)
    version = house.store.version(CaseKey(Platform.TAOBAO, f"case-{place}"))
    somebody = User(10**6, "system:worker", role) if stranger else user_of(house, role)
    with contextlib.suppress(RefusalError, sa.exc.IntegrityError):
        house.store.decide(
            CaseKey(version.case.platform, version.case.case_id),
            draft,
            by=somebody,
            input_digest="sha256:0",
        )
    assert all(by in DECIDERS for by, kind in deciders(house) if kind == "decision")


def test_a_worker_scores_and_decides_nothing(scoring_client: TestClient, scoring_house: House) -> None:
    scoring_client.post(CASES, json=WITHOUT_PHOTOS, headers=headers_of(scoring_house, Role.SERVICE))
    assert scoring_house.worker().work_once()
    view = scoring_client.get(f"{CASES}/taobao/TB-2026-000123", headers=headers_of(scoring_house, Role.LEAD)).json()
    assert (view["status"], view["decisions"]) == ("open", [])


@pytest.mark.parametrize("shown", [True, False])
def test_a_decision_says_what_it_rests_on(scoring_client: TestClient, scoring_house: House, shown: bool) -> None:
    scoring_client.post(CASES, json=WITHOUT_PHOTOS, headers=headers_of(scoring_house, Role.SERVICE))
    assert scoring_house.worker().work_once()
    lead = {**headers_of(scoring_house, Role.LEAD), "Idempotency-Key": "k"}
    one = f"{CASES}/taobao/TB-2026-000123"
    reader = lead if shown else headers_of(scoring_house, Role.AUDITOR)
    suggestion = scoring_client.get(one, headers=reader).json()["suggestion"]
    decision = scoring_client.post(f"{one}/decision", json=EXAMPLE_DECISION, headers=lead).json()
    assert decision["decided_by"] == "test-lead"
    assert (decision["model_version"], decision["input_digest"]) == (
        suggestion["model_version"],
        suggestion["input_digest"],
    )
    assert (decision["suggestion_shown"], decision["review_seconds"]) == (shown, 41.5)
