"""Models over HTTP: a person promotes and rolls back, on record; what the gate refused stays where it is."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.registry import ModelRegistry
from serving.house import House
from serving.records import Role
from tests.serving.conftest import Headers, headers_of

MODELS = "/api/v1/models"


@pytest.fixture
def engineer(house: House, registry: ModelRegistry) -> Headers:
    return headers_of(house, Role.ENGINEER)


def promote(client: TestClient, headers: Headers, number: int, **changes: Any) -> Any:
    body = {"instead_of": 1, "reason": "盲审案件上更准", **changes}
    return client.post(f"{MODELS}/{number}/promote", json=body, headers=headers)


def test_models_are_listed_with_what_the_gate_said(client: TestClient, engineer: Headers) -> None:
    view = client.get(MODELS, headers=engineer).json()
    assert (view["champion"], view["challenger"], view["at_work"]) == (1, None, None)
    told = {one["number"]: one for one in view["models"]}
    assert list(told) == [4, 3, 2, 1]
    assert (told[1]["standing"], told[1]["gate"], told[1]["may_be_promoted"]) == ("champion", None, False)
    assert (told[2]["gate"]["n_gold"], told[2]["judged_against"], told[2]["may_be_promoted"]) == (240, 1, True)
    assert (told[4]["gate"]["passed"], told[4]["may_be_promoted"]) == (False, False)
    assert told[4]["gate"]["reasons"] == ["log-loss is not lower on 90 % of resamples"]
    assert [(move["by"], move["to_number"]) for move in view["moves"]] == [("wang", 1)]


def test_a_promotion_and_a_rollback_are_on_record_with_who_and_why(
    client: TestClient, engineer: Headers, house: House, registry: ModelRegistry
) -> None:
    done = promote(client, engineer, 2)
    assert (done.status_code, done.json()["from_number"], done.json()["by"]) == (200, 1, "test-engineer")
    champion = registry.named("champion")
    assert champion is not None
    assert champion.number == 2
    back = client.post(f"{MODELS}/rollback", json={"instead_of": 2, "reason": "改判变多"}, headers=engineer)
    assert (back.status_code, back.json()["to_number"]) == (200, 1)
    assert [(one["action"], one["reason"]) for one in client.get(MODELS, headers=engineer).json()["moves"]] == [
        ("rollback", "改判变多"),
        ("promote", "盲审案件上更准"),
        ("promote", "first champion"),
    ]
    noted = [(e.action, e.actor, e.subject) for e in house.store.audit_trail() if e.subject.startswith("model:")]
    assert noted == [("model_promoted", "test-engineer", "model:2"), ("model_rolled_back", "test-engineer", "model:1")]


def test_what_may_not_be_promoted_is_refused_and_the_champion_stays(
    client: TestClient, engineer: Headers, house: House, registry: ModelRegistry
) -> None:
    assert "didn't pass the gate" in promote(client, engineer, 4).json()["detail"]
    assert promote(client, engineer, 1).status_code == 409
    assert promote(client, engineer, 9).status_code == 404
    assert promote(client, engineer, 2, reason="").json()["errors"][0]["field"] == "reason"
    assert promote(client, engineer, 2, instead_of=3).json()["type"].endswith("champion-moved")
    nothing = client.post(f"{MODELS}/rollback", json={"instead_of": 1, "reason": "x"}, headers=engineer)
    assert (nothing.status_code, nothing.json()["type"].rsplit(":")[-1]) == (409, "promotion-refused")
    champion = registry.named("champion")
    assert champion is not None
    assert champion.number == 1
    assert [e for e in house.store.audit_trail() if e.action.startswith("model_")] == []


def test_a_model_judged_against_an_earlier_champion_must_be_judged_again(client: TestClient, engineer: Headers) -> None:
    assert promote(client, engineer, 2).status_code == 200
    late = promote(client, engineer, 3, instead_of=2)
    assert (late.status_code, "judged against model 1" in late.json()["detail"]) == (409, True)


def test_the_gates_report_is_told_whole(client: TestClient, engineer: Headers) -> None:
    report = client.get(f"{MODELS}/2/report", headers=engineer).json()
    assert report["verdict"]["overall"][0]["challenger"] == 0.58
    assert client.get(f"{MODELS}/1/report", headers=engineer).status_code == 404
    assert client.get(f"{MODELS}/7/report", headers=engineer).status_code == 404


def test_a_service_with_a_fixed_model_has_nothing_to_promote(client: TestClient, house: House) -> None:
    house.models.registry_uri = None
    headers = headers_of(house, Role.ENGINEER)
    answer = client.get(MODELS, headers=headers)
    assert (answer.status_code, "fixed model" in answer.json()["detail"]) == (503, True)
    key = {**headers, "Idempotency-Key": "k"}
    assert client.post("/api/v1/retrainings", headers=key).status_code == 404
