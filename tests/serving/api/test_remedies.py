"""Over the API a ruling that nobody suggested is composed as on the page, and a departure has to say its reason."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.house import House, build_house
from serving.records import Role
from serving.settings import Settings
from tests.serving.api.test_desk import person, take_in
from tests.serving.conftest import Headers, keyed
from tests.suggesters import build_suggester


def decide(client: TestClient, one: str, headers: Headers, **draft: Any) -> Any:
    return client.post(f"{one}/decision", json={"reason": "签收不当", **draft}, headers=keyed(headers))


@pytest.mark.parametrize(
    ("draft", "responsible", "remedy"),
    [
        ({"ruling": "refund"}, "seller", (5900, "seller", None)),
        ({"ruling": "return_and_refund"}, "seller", (5900, "seller", "seller")),
        ({"ruling": "dismiss"}, "buyer", (None, "buyer", None)),
        ({"ruling": "partial_refund", "remedy": {"refund_minor": 2000}}, "seller", (2000, "seller", None)),
        ({"ruling": "replace", "responsible": "carrier"}, "carrier", (None, "seller", "seller")),
        ({"ruling": "refund", "remedy": {"outbound_freight": None}}, "seller", (5900, None, None)),
    ],
)
def test_what_a_draft_leaves_out_is_composed_by_the_rules_and_null_says_none(
    client: TestClient,
    house: House,
    service: Headers,
    draft: dict[str, Any],
    responsible: str,
    remedy: tuple[Any, ...],
) -> None:
    one, me = take_in(client, service, "TB-1"), person(house, "me")
    offered = {row["ruling"]: row for row in client.get(f"{one}/remedies", headers=me).json()["rulings"]}
    decision = decide(client, one, me, **draft).json()
    assert (decision["responsible"], tuple(decision["remedy"].values())) == (responsible, remedy)
    if set(draft) == {"ruling"}:
        assert offered[draft["ruling"]] == {name: decision[name] for name in ("ruling", "responsible", "remedy")}


def test_the_suggested_ruling_orders_what_was_suggested_where_it_was_on_the_screen(
    scoring_client: TestClient, scoring_house: House
) -> None:
    me, service = person(scoring_house, "me"), person(scoring_house, "intake", Role.SERVICE)
    one = take_in(scoring_client, service, "TB-1")
    said = scoring_client.post(f"{one}/suggestion", headers=service).json()
    likeliest = max(said["probabilities"], key=said["probabilities"].get)
    offered = scoring_client.get(f"{one}/remedies", headers=me).json()["rulings"]
    (suggested,) = (row for row in offered if row["ruling"] == likeliest)
    assert (suggested["responsible"], suggested["remedy"]) == (said["responsible"], said["remedy"])
    more = {"remedy": {"refund_minor": 100}} if likeliest == "partial_refund" else {}
    decision = decide(scoring_client, one, me, ruling=likeliest, suggestion_id=said["suggestion_id"], **more).json()
    assert decision["responsible"] == said["responsible"]
    assert decision["remedy"] == {**said["remedy"], **more.get("remedy", {})}


def test_on_a_blind_case_every_ruling_is_composed_by_the_rules(settings: Settings) -> None:
    found = []
    for blind_share in (0.0, 1.0):
        house = build_house(settings.model_copy(update={"blind_share": blind_share}), build_suggester())
        client = TestClient(create_app(house.settings, house=house))
        one = take_in(client, person(house, "intake", Role.SERVICE), f"TB-{blind_share:.0f}")
        client.post(f"{one}/suggestion", headers=person(house, "intake", Role.SERVICE))
        found.append(client.get(f"{one}/remedies", headers=person(house, "me")).json())
        house.store.close()
    assert any(ask["suggested"] for ask in found[0]["asks"])
    assert not any(ask["suggested"] for ask in found[1]["asks"])
    assert [row["remedy"]["refund_minor"] for row in found[1]["rulings"]] == [5900, 5900, None, None, None, None]


@pytest.mark.parametrize(
    "draft",
    [
        {"ruling": "partial_refund"},
        {"ruling": "partial_refund", "remedy": {"refund_minor": None}},
        {"ruling": "refund", "remedy": {"refund_minor": 5901}},
    ],
)
def test_a_sum_that_is_missing_or_more_than_was_paid_is_named(
    client: TestClient, house: House, service: Headers, draft: dict[str, Any]
) -> None:
    one = take_in(client, service, "TB-1")
    refused = decide(client, one, person(house, "me"), **draft)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "remedy.refund_minor")
    assert client.get(one, headers=service).json()["decisions"] == []


def test_a_request_for_evidence_without_words_asks_for_the_first_of_what_may_be_asked(
    client: TestClient, house: House, service: Headers
) -> None:
    one, me = take_in(client, service, "TB-1"), person(house, "me")
    first = client.get(f"{one}/remedies", headers=me).json()["asks"][0]
    asked = decide(client, one, me, ruling="request_evidence").json()["request"]
    assert {name: asked[name] for name in ("party", "what", "text")} == {
        name: first[name] for name in ("party", "what", "text")
    }
    assert asked["due_at"] is not None


def test_departing_from_comparable_rulings_needs_a_distinguishing_reason_and_nothing_else_does(
    client: TestClient, house: House, service: Headers
) -> None:
    me = person(house, "me")
    for name in ("TB-1", "TB-2"):
        assert decide(client, take_in(client, service, name), me, ruling="refund").status_code == 201
    one = take_in(client, service, "TB-3")
    for distinguishes in ("", "  "):
        refused = decide(client, one, me, ruling="dismiss", distinguishes=distinguishes)
        problem = refused.json()
        assert (refused.status_code, problem["type"]) == (422, "urn:evidence-review:problem:departs-from-precedents")
        assert problem["errors"][0]["field"] == "distinguishes"
        assert "refund" in problem["detail"]
    assert client.get(one, headers=me).json()["decisions"] == []
    assert decide(client, one, me, ruling="dismiss", distinguishes="有发货视频").status_code == 201
    assert decide(client, take_in(client, service, "TB-4"), me, ruling="request_evidence").status_code == 201


def test_a_decided_case_is_said_before_a_distinguishing_reason_is_asked_for(
    client: TestClient, house: House, service: Headers
) -> None:
    me = person(house, "me")
    for name in ("TB-1", "TB-2", "TB-3"):
        one = take_in(client, service, name)
        assert decide(client, one, me, ruling="refund").status_code == 201
    assert decide(client, one, person(house, "other"), ruling="dismiss").status_code == 409
