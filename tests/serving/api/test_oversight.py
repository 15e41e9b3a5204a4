"""Figures say n and interval; the log streams whole; bulk assignment is looked at first and undone as a whole."""

import csv
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.house import House, build_house
from serving.records import Role
from serving.settings import Settings
from tests.serving.api.test_desk import decide, person, take_in
from tests.serving.conftest import Headers
from tests.suggesters import build_suggester

ASSIGNMENTS = "/api/v1/assignments"
EXPORT = "/api/v1/decisions/export"


@pytest.fixture
def lead_of(house: House) -> Headers:
    return person(house, "lead", Role.LEAD)


def test_blind_decisions_tell_the_person_alone_and_shown_ones_the_person_with_the_machine(settings: Settings) -> None:
    house = build_house(settings.model_copy(update={"blind_share": 1.0, "four_eyes_minor": 1}), build_suggester())
    client = TestClient(create_app(settings, house=house))
    intake, me = person(house, "intake", Role.SERVICE), person(house, "me")
    lead = person(house, "lead", Role.LEAD)
    for n, (mine, final) in enumerate((("refund", "refund"), ("dismiss", "refund"), ("refund", "refund"))):
        one = take_in(client, intake, f"TB-{n}", photos=[], chat=[])
        client.post(f"{one}/suggestion", headers=me)
        decide(client, one, me, ruling=mine)
        assert decide(client, one, lead, stage="lead_review", ruling=final).status_code == 201
    figures = client.get("/api/v1/figures", headers=lead).json()
    alone = figures["person_alone"]
    assert (figures["n_cases"], alone["n"], round(alone["value"], 3)) == (3, 3, 0.667)
    assert 0 < alone["low"] < alone["value"] < alone["high"] < 1
    assert figures["person_with_machine"] == {"value": None, "low": None, "high": None, "n": 0}
    assert (figures["machine_alone"]["n"], figures["wrongly_for_seller"]["value"] > 0) == (3, True)
    (own,) = [one for one in figures["people"] if one["name"] == "me"]
    assert (own["n_decisions"], own["median_seconds"]) == (3, 41.5)
    house.store.close()


FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠A1",
    "  =1+1",
    "\u200b=1",
    "\ufeff=1",
)


def test_no_cell_can_be_taken_for_a_formula(
    client: TestClient, house: House, service: Headers, lead_of: Headers
) -> None:
    me = person(house, "=me")
    for n, text in enumerate(FORMULAS):
        decide(client, take_in(client, service, f"=TB-{n}"), me, reason=text, distinguishes=text)
    told = client.get(EXPORT, headers=lead_of).text.removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(told, newline="")))
    for name in ("reason", "distinguishes"):
        assert [row[name] for row in rows] == [f"'{text}" for text in FORMULAS], name
    assert [row["case_id"] for row in rows] == [f"'=TB-{n}" for n in range(len(FORMULAS))]
    assert {row["decided_by"] for row in rows} == {"'=me"}


def test_every_decision_is_exported_with_its_end_and_no_cell_is_a_formula(
    client: TestClient, house: House, service: Headers, lead_of: Headers
) -> None:
    one = take_in(client, service, "=TB-1")
    me = person(house, "me")
    decide(client, one, me, reason="=1+1")
    client.post(f"{one}/decision/withdraw", json={"reason": "看错"}, headers=me)
    decide(client, one, me, reason="签收不当")
    rows = list(csv.DictReader(io.StringIO(client.get(EXPORT, headers=lead_of).text.removeprefix("\ufeff"))))
    assert [(row["state"], row["reason"]) for row in rows] == [("withdrawn", "'=1+1"), ("standing", "签收不当")]
    assert rows[0]["case_id"] == "'=TB-1"
    lines = client.get(EXPORT, params={"format": "jsonl"}, headers=lead_of).text.splitlines()
    assert [json.loads(line)["decision"]["reason"] for line in lines] == ["=1+1", "签收不当"]
    assert client.get(EXPORT, params={"claim": "counterfeit"}, headers=lead_of).text.count("\n") == 1


def test_an_export_reads_on_where_a_page_ends(
    client: TestClient, house: House, service: Headers, lead_of: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.store.oversight._AT_A_TIME", 2)
    for n in range(5):
        decide(client, take_in(client, service, f"TB-{n}"), person(house, "me"))
    lines = client.get(EXPORT, params={"format": "jsonl"}, headers=lead_of).text.splitlines()
    assert [json.loads(line)["decision"]["case_id"] for line in lines] == [f"TB-{n}" for n in range(5)]


def test_assignment_is_previewed_dealt_by_load_and_undone(
    client: TestClient, house: House, service: Headers, lead_of: Headers
) -> None:
    first, second = person(house, "first"), person(house, "second")
    ones = [take_in(client, service, f"TB-{n}") for n in range(4)]
    client.post(f"{ones[0]}/recusal", json={"reason": "认识卖家"}, headers=first)
    draft: dict[str, Any] = {"people": ["first", "second"], "preview": True}
    preview = client.post(ASSIGNMENTS, json=draft, headers=lead_of).json()
    assert (preview["batch_id"], len(preview["assigned"])) == (None, 4)
    assert client.get(ones[0], headers=lead_of).json()["assigned_to"] is None
    done = client.post(ASSIGNMENTS, json={**draft, "preview": False}, headers=lead_of).json()
    assert done["assigned"] == preview["assigned"]
    assert sorted(one["to"] for one in done["assigned"]) == ["first", "first", "second", "second"]
    assert next(one["to"] for one in done["assigned"] if one["case_id"] == "TB-0") == "second"
    mine = client.post("/api/v1/desk/next", headers=first).json()
    assert mine["assigned_to"] == "first"
    assert client.delete(f"{ASSIGNMENTS}/{done['batch_id']}", headers=second).status_code == 403
    assert client.delete(f"{ASSIGNMENTS}/{done['batch_id']}", headers=lead_of).json() == {"n_cases": 4}
    assert client.get(ones[0], headers=lead_of).json()["assigned_to"] is None
    bad = client.post(ASSIGNMENTS, json={"people": ["nobody"]}, headers=lead_of)
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "people")


def test_nobody_is_dealt_more_than_the_cap(
    client: TestClient, house: House, service: Headers, lead_of: Headers
) -> None:
    for name in ("first", "second"):
        person(house, name)
    for n in range(5):
        take_in(client, service, f"TB-{n}")
    draft: dict[str, Any] = {"people": ["first"], "at_most": 1, "preview": False}
    client.post(ASSIGNMENTS, json=draft, headers=lead_of)
    more = {"people": ["first", "second"], "at_most_each": 2, "preview": False}
    dealt = client.post(ASSIGNMENTS, json=more, headers=lead_of).json()["assigned"]
    assert sorted(one["to"] for one in dealt) == ["first", "second", "second"]


def test_an_export_is_narrowed_to_one_person(
    client: TestClient, house: House, service: Headers, lead_of: Headers
) -> None:
    for name in ("me", "other"):
        decide(client, take_in(client, service, f"TB-{name}"), person(house, name))
    lines = client.get(EXPORT, params={"format": "jsonl", "by": "other"}, headers=lead_of).text.splitlines()
    assert [json.loads(line)["decision"]["decided_by"] for line in lines] == ["other"]
