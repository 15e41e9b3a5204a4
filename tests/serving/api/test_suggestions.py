"""Suggestions: stored for a case, or stateless; the same either way; none without a model."""

import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.case_file import CaseFile
from models.domain import Suggestion, parse_case
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.house import House
from serving.records import Role
from tests.builders import photo_bytes
from tests.serving.conftest import Headers, headers_of, keyed

CASES = "/api/v1/cases"
ONE = f"{CASES}/taobao/TB-2026-000123"
STATELESS = "/api/v1/suggestions"


@pytest.fixture
def lead(scoring_house: House) -> Headers:
    return headers_of(scoring_house, Role.LEAD)


def timeless(suggestion: Suggestion) -> dict[str, Any]:
    return suggestion.model_dump(mode="json", exclude={"created_at"})


def test_without_a_model_suggesting_answers_503_and_deciding_works(
    client: TestClient, house: House, arbitrator: Headers
) -> None:
    client.post(CASES, json=EXAMPLE_CASE, headers=arbitrator)
    answer = client.post(f"{ONE}/suggestion", headers=arbitrator)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:evidence-review:problem:no-model")
    assert client.post(STATELESS, json=EXAMPLE_CASE, headers=arbitrator).status_code == 503
    assert client.post(f"{ONE}/decision", json=EXAMPLE_DECISION, headers=keyed(arbitrator)).status_code == 201


def test_the_suggestion_is_the_same_stored_stateless_and_direct(
    scoring_client: TestClient, scoring_house: House, lead: Headers
) -> None:
    photo = photo_bytes()
    scoring_client.post(CASES, json=EXAMPLE_CASE, headers=lead)
    scoring_client.put(f"{ONE}/photos/p1", content=photo, headers=lead)
    stored = Suggestion.model_validate_json(scoring_client.post(f"{ONE}/suggestion", headers=lead).content)
    form = {"data": {"case": json.dumps(EXAMPLE_CASE)}, "files": {"p1": ("x.jpg", photo)}}
    stateless = Suggestion.model_validate_json(scoring_client.post(STATELESS, headers=lead, **form).content)
    suggester = scoring_house.scoring.suggester
    assert suggester is not None
    direct = suggester.suggest([CaseFile(parse_case(EXAMPLE_CASE), {"p1": photo})])[0]
    assert timeless(stored) == timeless(stateless) == timeless(direct)
    view = scoring_client.get(ONE, headers=lead).json()
    assert (view["suggestion_state"], view["suggestion"]["suggestion_id"]) == ("ready", stored.suggestion_id)


def test_a_stateless_suggestion_stores_nothing(scoring_client: TestClient, scoring_house: House, lead: Headers) -> None:
    assert scoring_client.post(STATELESS, json=EXAMPLE_CASE, headers=lead).status_code == 200
    assert sum(scoring_house.store.counts().values()) == 0
    assert not scoring_house.settings.photo_dir.exists()


@pytest.mark.parametrize(
    ("files", "status", "field"),
    [
        ({"p7": ("x.jpg", photo_bytes())}, 422, "p7"),
        ({"p1": ("x.jpg", b"no photo")}, 415, "p1"),
        ({"p1": ("x.jpg", b"x" * 100_001)}, 413, "p1"),
    ],
)
def test_a_bad_photo_in_a_stateless_request_is_named(
    scoring_client: TestClient, lead: Headers, files: dict[str, tuple[str, bytes]], status: int, field: str
) -> None:
    answer = scoring_client.post(STATELESS, data={"case": json.dumps(EXAMPLE_CASE)}, files=files, headers=lead)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)


def test_a_stateless_request_without_a_case_is_named(scoring_client: TestClient, lead: Headers) -> None:
    answer = scoring_client.post(STATELESS, files={"p1": ("x.jpg", photo_bytes())}, headers=lead)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "case")


def test_a_rotten_form_is_refused(scoring_client: TestClient, lead: Headers) -> None:
    headers = {**lead, "Content-Type": "multipart/form-data; boundary=b"}
    assert scoring_client.post(STATELESS, content=b"--b\r\nrubbish", headers=headers).status_code in (400, 422)


def test_a_case_taken_in_is_scored_by_the_worker(
    scoring_client: TestClient, scoring_house: House, lead: Headers
) -> None:
    case = {**EXAMPLE_CASE, "photos": [], "chat": []}
    with scoring_client:
        scoring_client.post(CASES, json=case, headers=lead)
        for _ in range(200):
            view = scoring_client.get(ONE, headers=lead).json()
            if view["suggestion_state"] == "ready":
                break
            time.sleep(0.05)
    assert view["suggestion"]["model_version"] == "ruling/test"
    auditor = headers_of(scoring_house, Role.AUDITOR)
    row = scoring_client.get(CASES, headers=auditor).json()["cases"][0]
    assert row["confidence"] == view["suggestion"]["confidence"]


@pytest.mark.parametrize("told", ["named", "read", "neither"])
def test_a_decision_remembers_whether_the_suggestion_was_shown_and_followed(
    scoring_client: TestClient, scoring_house: House, lead: Headers, told: str
) -> None:
    """A client needn't name what the service has shown."""
    scoring_client.post(CASES, json=EXAMPLE_CASE, headers=lead)
    service = headers_of(scoring_house, Role.SERVICE)
    suggestion = scoring_client.post(f"{ONE}/suggestion", headers=service).json()
    if told == "read":
        scoring_client.get(ONE, headers=lead)
    draft = {"ruling": "refund", "suggestion_id": suggestion["suggestion_id"] if told == "named" else None}
    decision = scoring_client.post(f"{ONE}/decision", json=draft, headers=keyed(lead)).json()
    assert decision["suggestion_shown"] is (told != "neither")
    assert decision["suggestion_id"] == suggestion["suggestion_id"]
    assert decision["model_version"] == "ruling/test"
    assert decision["input_digest"] == suggestion["input_digest"]
    expected = None if suggestion["ruling"] is None else suggestion["ruling"] == "refund"
    assert decision["agreed"] is expected
