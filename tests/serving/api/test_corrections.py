"""A correction says what is right, by whom and when, and is kept for retraining."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.records import Role
from tests.serving.conftest import Headers, headers_of

ONE = "/api/v1/cases/taobao/TB-2026-000123"
CORRECTIONS = f"{ONE}/corrections"
WRONG_LABEL = {"kind": "statement", "ref": "m1", "label": "claims_damage", "holds": False}


@pytest.fixture(autouse=True)
def _case(client: TestClient, service: Headers) -> None:
    client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=service)


def test_a_wrong_label_is_kept_with_who_when_and_on_what(client: TestClient, house: House, arbitrator: Headers) -> None:
    answer = client.post(CORRECTIONS, json=WRONG_LABEL, headers=arbitrator)
    kept = answer.json()
    assert answer.status_code == 201
    assert (kept["corrected_by"], kept["case_version"], kept["said"]["holds"]) == ("test-arbitrator", 1, False)
    assert client.get(CORRECTIONS, headers=arbitrator).json() == [kept]
    assert [item.correction_id for item in house.store.corrections_between()] == [kept["correction_id"]]
    assert house.store.audit_trail(subject="taobao/TB-2026-000123")[-1].action == "corrected"


def test_the_machines_own_probability_stands_beside_the_correction(
    scoring_client: TestClient, scoring_house: House
) -> None:
    person = headers_of(scoring_house, Role.ARBITRATOR)
    case = {**EXAMPLE_CASE, "case_id": "TB-2"}
    scoring_client.post("/api/v1/cases", json=case, headers=headers_of(scoring_house, Role.SERVICE))
    path = "/api/v1/cases/taobao/TB-2"
    suggestion = scoring_client.post(f"{path}/suggestion", headers=person).json()
    (piece,) = [item for item in suggestion["evidence"] if item.get("ref") == "m1"]
    kept = scoring_client.post(f"{path}/corrections", json=WRONG_LABEL, headers=person).json()
    assert (kept["suggestion_id"], kept["machine_probability"]) == (suggestion["suggestion_id"], piece["probability"])


def test_a_correction_taken_back_stays_on_record_and_out_of_training(
    client: TestClient, house: House, arbitrator: Headers
) -> None:
    kept = client.post(CORRECTIONS, json=WRONG_LABEL, headers=arbitrator).json()
    one = f"{CORRECTIONS}/{kept['correction_id']}"
    other = headers_of(house, Role.ARBITRATOR, name="somebody else")
    assert client.delete(one, headers=other).status_code == 403
    assert client.delete(one, headers=arbitrator).json()["withdrawn_at"] is not None
    assert len(client.get(CORRECTIONS, headers=arbitrator).json()) == 1
    assert house.store.corrections_between() == []


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"kind": "statement", "ref": "m1", "label": "claims_damage"}, "kind"),
        ({"kind": "photo", "ref": "p1", "matches_listing": True}, "kind"),
        ({"kind": "photo", "ref": "p1", "damaged": True, "region": [5, 5, 5, 9]}, "region"),
        ({"kind": "photo", "ref": "p9", "damaged": True}, "ref"),
        ({"kind": "listing_match", "ref": "p1", "matches_listing": True}, "ref"),
        ({"kind": "statement", "ref": "m9", "label": "claims_damage", "holds": True}, "ref"),
        ({"kind": "statement", "ref": "m1", "label": "admits_fault", "holds": True}, "label"),
        ({"kind": "opinion", "ref": "m1"}, "kind"),
    ],
)
def test_a_correction_that_says_nothing_usable_names_its_field(
    client: TestClient, arbitrator: Headers, draft: dict[str, Any], field: str
) -> None:
    answer = client.post(CORRECTIONS, json=draft, headers=arbitrator)
    assert answer.status_code == 422
    assert field in answer.json()["errors"][0]["field"] + answer.json()["errors"][0]["message"]
    assert client.get(CORRECTIONS, headers=arbitrator).json() == []


@pytest.mark.parametrize("role", [Role.SERVICE, Role.AUDITOR, Role.ENGINEER])
def test_only_who_may_decide_corrects(client: TestClient, house: House, role: Role) -> None:
    assert client.post(CORRECTIONS, json=WRONG_LABEL, headers=headers_of(house, role)).status_code == 403
