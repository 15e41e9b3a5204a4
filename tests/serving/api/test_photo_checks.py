"""Findings about photos over HTTP and on their page."""

import sqlalchemy as sa
from fastapi.testclient import TestClient

from models.vocabulary import Claim
from serving.house import House
from serving.records import Queue, Role
from serving.tables import cases
from tests.models.test_fingerprint import scene
from tests.serving.conftest import Headers, headers_of
from tests.serving.test_inspection import file_case

CHECKS = "/api/v1/cases/taobao/B/photo-checks"


def file_both(house: House) -> None:
    file_case(house, "A", scene(1))
    file_case(house, "B", scene(1))


def test_nothing_is_said_before_anybody_looked(client: TestClient, house: House, arbitrator: Headers) -> None:
    file_both(house)
    assert client.get(CHECKS, headers=arbitrator).json()["report"] is None


def test_a_look_finds_and_keeps_and_says_what_it_means(
    client: TestClient, house: House, service: Headers, arbitrator: Headers
) -> None:
    file_both(house)
    assert client.post(CHECKS, headers=service).status_code == 200
    answer = client.get(CHECKS, headers=arbitrator).json()
    assert [finding["other_case_id"] for finding in answer["report"]["findings"]] == ["A"]
    assert set(answer["meanings"]["reused_photo"]["zh"]) == {"title", "can", "cannot"}


def test_a_case_outside_the_queues_stays_unnamed(client: TestClient, house: House, service: Headers) -> None:
    file_case(house, "A", scene(1))
    file_case(house, "B", scene(1))
    with house.store.database.write() as connection:
        connection.execute(cases.update().where(cases.c.case_id == "A").values(claim="not_received"))
    client.post(CHECKS, headers=service)
    name = "narrow"
    house.gatekeeper.add_user(name, role=Role.ARBITRATOR, queues=(Queue(claim=Claim.DAMAGED),), by="system:test")
    answer = client.get(CHECKS, headers=headers_of(house, Role.ARBITRATOR, name=name)).json()
    assert [finding["other_case_id"] for finding in answer["report"]["findings"]] == ["—"]


def test_findings_stay_hidden_while_a_case_is_decided_blind(
    client: TestClient, house: House, service: Headers, arbitrator: Headers
) -> None:
    file_both(house)
    client.post(CHECKS, headers=service)
    with house.store.database.write() as connection:
        connection.execute(cases.update().where(cases.c.case_id == "B").values(blind=sa.true(), committed_at=None))
    for answer in (client.get(CHECKS, headers=arbitrator), client.post(CHECKS, headers=service)):
        assert (answer.json()["hidden"], answer.json()["report"]) == (True, None)


def test_strangers_and_unknown_cases_are_refused(client: TestClient, house: House, arbitrator: Headers) -> None:
    assert client.get(CHECKS).status_code == 401
    assert client.get(CHECKS, headers=arbitrator).status_code == 404
