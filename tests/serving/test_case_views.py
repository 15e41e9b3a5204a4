"""Who buyer and seller are, and which order it was, is told to those who need to know, whichever way a case is seen."""

import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from models.privacy import pseudonym
from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.records import Role
from tests.serving.conftest import headers_of
from tests.serving.test_app import ALLOWED, PAGES, operations

IDS = {"order_id": "order-of-theirs", "buyer_id": "buyer-of-theirs", "seller_id": "seller-of-theirs"}
CASE_ID = EXAMPLE_CASE["case_id"]


@pytest.fixture(autouse=True)
def _one_case(client: TestClient, house: House) -> None:
    case = {**EXAMPLE_CASE, "order": {**EXAMPLE_CASE["order"], **IDS}}
    assert client.post("/api/v1/cases", json=case, headers=headers_of(house, Role.SERVICE)).status_code == 201


def routes_of_a_view(client: TestClient) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of every route whose answer holds a view of a case, as the document has it."""
    app = client.app
    assert isinstance(app, FastAPI)
    for method, path, operation in operations(app):
        if "#/components/schemas/CaseView" in json.dumps(operation["responses"]):
            yield method, path


def test_every_route_that_answers_with_a_case_hides_its_parties_from_who_needs_none(
    client: TestClient, house: House
) -> None:
    routes = set(routes_of_a_view(client))
    assert {path for _, path in routes} == {"/api/v1/cases/{platform}/{case_id}", "/api/v1/desk/next"}
    for method, path in routes:
        for role in ALLOWED[method, path]:
            address = path.format(platform="taobao", case_id=CASE_ID)
            answer = client.request(method, address, headers=headers_of(house, role))
            assert answer.status_code == 200, (path, role)
            order = answer.json()["case"]["order"]
            if role in (Role.LEAD, Role.AUDITOR):
                assert {name: order[name] for name in IDS} == IDS, (path, role)
            else:
                assert order["order_id"] == pseudonym("o", IDS["order_id"], platform="taobao"), (path, role)
                assert [value for value in IDS.values() if value in answer.text] == [], (path, role)
            client.delete(f"/api/v1/cases/taobao/{CASE_ID}/hold", headers=headers_of(house, role))


@pytest.mark.parametrize("role", [Role.ARBITRATOR, Role.SERVICE])
def test_nothing_that_can_be_read_of_an_open_case_names_its_parties(
    client: TestClient, house: House, role: Role
) -> None:
    read = {path for (method, path), roles in (ALLOWED | PAGES).items() if method.lower() == "get" and role in roles}
    assert len(read) > 10
    for path in sorted(read):
        address = path.format(
            platform="taobao", case_id=CASE_ID, photo_id="p1", name="n", number=1, job_id="j", retraining_id=1
        )
        answer = client.get(address, headers=headers_of(house, role))
        assert answer.status_code in (200, 404), path
        assert [value for value in IDS.values() if value in answer.text] == [], path
