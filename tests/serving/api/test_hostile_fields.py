"""Whatever is sent over the API in a field, an address or a query, text that no database holds or numbers beyond all
bounds, it is refused and never a 5xx."""

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.house import House
from serving.records import Role
from serving.settings import Settings
from tests.serving.conftest import Headers, headers_of, keyed
from tests.serving.every_form import PAGE, PASSWORD, Form, ready
from tests.serving.test_app import ALLOWED, ONE, operations

Place = tuple[str | int, ...]
AT = "2026-03-01T12:00:00+08:00"
SPOILT = ('"a\\u0000b"', '"\\ud800"', "1" + "0" * 30, "9" * 5_000, "1e999", "NaN")
"""JSON as it is sent."""
IN_ADDRESS = ("a%00b", "%ED%A0%80", "9" * 5_000, "1" + "0" * 30, "-1")
WHOLE_EVIDENCE: dict[str, Any] = {
    "chat": [{"message_id": "m9", "at": AT, "speaker": "buyer", "text": "碎了", "photo_ids": ["p9"]}],
    "photos": [{"photo_id": "p9", "role": "received", "filed_by": "buyer", "path": "p9.jpg", "taken_at": AT}],
    "documents": [{"document_id": "d9", "kind": "invoice", "filed_by": "seller", "note": "发票"}],
    "timeline": [{"at": AT, "event": "refund_applied", "by": "buyer", "note": "申请"}],
    "logistics": [{"at": AT, "event": "signed", "by": "locker", "note": "丰巢"}],
}
WHOLE_CASE: dict[str, Any] = {
    **EXAMPLE_CASE,
    **WHOLE_EVIDENCE,
    "case_id": "TB-WHOLE",
    "listing": {"title": "杯", "description": "骨瓷", "category": "kitchenware", "attributes": {"color": "白色"}},
    "order": {**EXAMPLE_CASE["order"], "quantity": 2, "paid_at": AT, "receipt_confirmed_at": AT},
}
ASK = {"party": "buyer", "what": "unboxing_video", "text": {"zh": "请补交", "en": "Please file it"}}
WHOLE_DECISION = {
    **EXAMPLE_DECISION,
    "ruling": "request_evidence",
    "remedy": {},
    "suggestion_id": "{suggestion_id}",
    "distinguishes": "杯子是定制的",
    "request": ASK,
}
CORRECTION = {"kind": "photo", "ref": "p1", "region": [1, 2, 30, 40], "note": "裂纹"}
BODIES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("post", "/api/v1/session"): ({"name": "{typist}", "password": PASSWORD},),
    ("post", "/api/v1/cases"): (WHOLE_CASE,),
    ("post", "/api/v1/suggestions"): (WHOLE_CASE,),
    ("post", f"{ONE}/evidence"): (WHOLE_EVIDENCE, {**WHOLE_CASE, "case_id": "{case_id}"}),
    ("post", f"{ONE}/decision"): (WHOLE_DECISION, {**EXAMPLE_DECISION, "distinguishes": "定制"}),
    ("post", f"{ONE}/corrections"): (
        CORRECTION,
        {"kind": "statement", "ref": "m1", "label": "claims_damage", "holds": False},
        {"kind": "listing_match", "ref": "p1|p1", "matches_listing": True},
    ),
    ("post", "/api/v1/assignments"): ({"people": ["{name}"], "at_most": 3, "at_most_each": 5, "preview": False},),
    ("post", "/api/v1/models/{number}/promote"): ({"instead_of": 1, "reason": "更准"},),
    ("post", "/api/v1/models/rollback"): ({"instead_of": 2, "reason": "改判变多"},),
}
"""Bodies with every field of their schema; where none is named, the document's example has them all."""
OWN_NAMES = (["attributes"], ["filters"], ["keys"])
DECIDED = ("/decision/withdraw", "/appeal", "/notices/{notice_id}", "/notices/{notice_id}/send")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"cases_per_person": 5_000})


def app_of(client: TestClient) -> FastAPI:
    app = client.app
    assert isinstance(app, FastAPI)
    return app


def with_body(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (method, path, operation) of what reads JSON; a model must be promoted before it can be rolled back."""
    for method, path, operation in sorted(operations(app), key=lambda found: found[1].endswith("/rollback")):
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            yield method, path, operation


def bodies_of(method: str, path: str, operation: dict[str, Any]) -> tuple[Any, ...]:
    told = operation["requestBody"]["content"]["application/json"].get("example")
    return BODIES.get((method, path)) or (told,)


def role_for(method: str, path: str) -> Role:
    """A lead where one may, else a service."""
    return Role.LEAD if Role.LEAD in ALLOWED.get((method, path), {Role.LEAD}) else Role.SERVICE


def leaves(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield the place of every text and number in JSON."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*at, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*at, place))
    elif not isinstance(value, bool) and value is not None:
        yield at


def spoil(body: Any, place: Place, by: str) -> str:
    """Return the body as JSON with the value at that place replaced by JSON as it is sent."""
    changed = copy.deepcopy(body)
    inside = changed
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = "@here@"
    return json.dumps(changed).replace('"@here@"', by)


def fields_of(schema: dict[str, Any], known: dict[str, Any], at: str = "") -> Iterator[str]:
    """Yield the dotted name of every field that holds free text or a number."""
    if "$ref" in schema:
        yield from fields_of(known[schema["$ref"].rsplit("/", 1)[-1]], known, at)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("prefixItems", ())):
        yield from fields_of(choice, known, at)
    for name, item in schema.get("properties", {}).items():
        yield from fields_of(item, known, f"{at}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from fields_of(schema[inner], known, at)
    is_text = schema.get("type") == "string" and not {"enum", "const"} & set(schema)
    if is_text or schema.get("type") in ("integer", "number"):
        yield at


def named(place: Place) -> str:
    """Return the dotted name of a leaf; what stands under a name of one's own counts as its dict's."""
    told = [step for step in place if isinstance(step, str)]
    return "".join(f".{step}" for step in (told[:-1] if told[-2:-1] in OWN_NAMES else told))


def test_the_bodies_hold_every_field_that_is_read(scoring_client: TestClient) -> None:
    app = app_of(scoring_client)
    known = app.openapi()["components"]["schemas"]
    for method, path, operation in with_body(app):
        bodies = bodies_of(method, path, operation)
        sent = {named(place) for body in bodies for place in leaves(body)}
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert set(fields_of(schema, known)) <= sent, (method, path)


@pytest.mark.usefixtures("registry")
def test_no_field_of_any_body_brings_the_api_down(scoring_client: TestClient, scoring_house: House) -> None:
    app, not_refused = app_of(scoring_client), []
    with capture_logs() as logged:
        for method, path, operation in with_body(app):
            for body in bodies_of(method, path, operation):
                address, filled, headers = prepared(scoring_house, method, path, body)
                for place, by in itertools.product(leaves(filled), SPOILT):
                    sent = spoil(filled, place, by)
                    answer = scoring_client.request(method, address, content=sent, headers=keyed(headers))
                    if not 400 <= answer.status_code < 500:
                        not_refused.append((method, path, place, by[:9], answer.status_code))
                answer = scoring_client.request(method, address, json=filled, headers=keyed(headers))
                assert answer.status_code < 300, (method, path, body, answer.text)
    assert not_refused == []
    assert [line for line in logged if line["event"] == "unforeseen_error"] == []


@pytest.mark.usefixtures("registry")
def test_nothing_in_an_address_or_a_query_brings_the_api_down(scoring_client: TestClient, scoring_house: House) -> None:
    brought_down = []
    with capture_logs() as logged:
        for method, path, operation in operations(app_of(scoring_client)):
            if "/health/" in path:
                continue
            address, _, headers = prepared(scoring_house, method, path, {})
            for parameter, by in itertools.product(operation.get("parameters", ()), IN_ADDRESS):
                name, where, more = parameter["name"], parameter["in"], dict[str, str]()
                if where == "path":
                    target = filled_in(path.replace(f"{{{name}}}", by))
                elif where == "query":
                    target = f"{address}?{name}={by}"
                else:
                    target, more = address, {name: by}
                answer = scoring_client.request(method, target, headers={**keyed(headers), **more})
                if answer.status_code >= 500:
                    brought_down.append((method, path, name, by[:9]))
    assert brought_down == []
    assert [line for line in logged if line["event"] == "unforeseen_error"] == []


def filled_in(path: str, **ids: str) -> str:
    names = ("case_id", "photo_id", "correction_id", "notice_id", "job_id", "switch_id", "batch_id", "name")
    known = {"platform": "taobao", "number": "2", "retraining_id": "1", **dict.fromkeys(names, "x-1"), **ids}
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def prepared(house: House, method: str, path: str, body: Any) -> tuple[str, Any, Headers]:
    """Make the case that is spoken of; return the address, the body and who sends it."""
    text = json.dumps(body)
    spoken_of = {name for name in ("name", "typist", "suggestion_id", "notice_id") if f"{{{name}}}" in text + path}
    page, made = ready(house, Form(PAGE, {name: f"{{{name}}}" for name in spoken_of}, decided=path.endswith(DECIDED)))
    made["case_id"] = page.rsplit("/", 1)[-1]
    address = filled_in(path, **made)
    for name, value in made.items():
        text = text.replace(f"{{{name}}}", value)
    headers = {**headers_of(house, role_for(method, path)), "Content-Type": "application/json"}
    return address, json.loads(text), headers


def test_a_case_and_a_reason_as_long_as_may_be_are_decided_and_told_whole(
    client: TestClient, house: House, service: Headers, arbitrator: Headers
) -> None:
    case = {
        **EXAMPLE_CASE,
        "logistics": [{"at": AT, "event": "return_signed", "by": "locker"}] * 1_000,
        "timeline": [{"at": AT, "event": "deadline_missed", "by": "platform"}] * 1_000,
    }
    assert client.post("/api/v1/cases", json=case, headers=service).status_code == 201
    one = f"/api/v1/cases/taobao/{case['case_id']}"
    draft = {**EXAMPLE_DECISION, "reason": "理" * 20_000, "distinguishes": "异" * 20_000}
    assert client.post(f"{one}/decision", json=draft, headers=keyed(arbitrator)).status_code == 201
    (notice,) = client.get(f"{one}/notices", headers=arbitrator).json()
    assert notice["text"]["en"].count("locker") == 1_000
    assert draft["reason"] in notice["text"]["zh"]


@pytest.mark.parametrize(
    ("address", "field"),
    [("/cases?search=a%00b", "search"), ("/cases?assigned_to=%00", "assigned_to"), ("/decisions/export?by=%00", "by")],
)
def test_a_query_that_holds_what_cannot_be_stored_is_said_with_its_name(
    client: TestClient, lead: Headers, address: str, field: str
) -> None:
    answer = client.get(f"/api/v1{address}", headers=lead)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "message": "holds a NUL character"}]
