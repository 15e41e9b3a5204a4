"""Promise 5, over the whole API: whatever the OpenAPI document allows or forbids, as each role, is answered as it says.

No 5xx, no status, type or body that the document doesn't tell of.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.records import Role
from tests.builders import photo_bytes
from tests.serving.conftest import Headers, headers_of

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
WHO = [*Role, None, Role.LEAD, Role.SERVICE]
"""Whose requests they are, None for a stranger; most is behind a lead's and a service's door."""
ON_FILE = {"platform": "taobao", "case_id": EXAMPLE_CASE["case_id"], "photo_id": "p1"}
SHORT, LONG = 2, 15


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: Any) -> dict[str, bytes]:
    """Send the drawn text as it is, or a line of JSON where it is something else."""
    text = value if isinstance(value, str) else json.dumps(value)
    return {"data": text.encode("utf-8", "surrogatepass")}


@pytest.fixture
def roles(scoring_house: House, scoring_client: TestClient) -> dict[Role | None, Headers]:
    """What each role, and a stranger, sends along. One case with a photo is on file, so that much can be found."""
    known: dict[Role | None, Headers] = {role: headers_of(scoring_house, role) for role in Role}
    scoring_client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=known[Role.SERVICE])
    address = f"/api/v1/cases/taobao/{EXAMPLE_CASE['case_id']}/photos/p1"
    assert scoring_client.put(address, content=photo_bytes(), headers=known[Role.SERVICE]).status_code == 201
    return {**known, None: {}}


def operations(client: TestClient) -> Iterator[Any]:
    app = client.app
    assert isinstance(app, FastAPI)
    for found in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        yield found.ok()


def assail(client: TestClient, roles: dict[Role | None, Headers], *, n_examples: int) -> Counter[int]:
    """Send each operation so many requests of each of four sorts; return how often each status was answered.

    The sorts: as the document allows or forbids, to an address drawn or to what is on file.
    """
    answers = Counter[int]()
    for operation in operations(client):
        names = {parameter.name for parameter in operation.path_parameters}
        places = [None, {name: ON_FILE.get(name, "x-1") for name in names}] if names else [None]
        for place in places:
            modes = GenerationMode if _can_be_broken(operation, place) else [GenerationMode.POSITIVE]
            for mode in modes:
                requests_of = operation.as_strategy(generation_mode=mode, path_parameters=place)
                _send_many(client, roles, requests_of, answers, n_examples=n_examples)
    return answers


def _can_be_broken(operation: Any, place: dict[str, str] | None) -> bool:
    """Say whether anything is left of the request that the document could forbid."""
    return bool(operation.query or operation.headers or operation.body or (operation.path_parameters and not place))


def _send_many(
    client: TestClient,
    roles: dict[Role | None, Headers],
    requests_of: st.SearchStrategy[Any],
    answers: Counter[int],
    *,
    n_examples: int,
) -> None:
    @settings(
        max_examples=n_examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests_of, role=st.sampled_from(WHO))
    def send(case: Any, role: Role | None) -> None:
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        assert sent.method is not None
        assert sent.url is not None
        headers = {**dict(sent.headers), **roles[role]}
        answer = client.request(sent.method, sent.url, content=sent.body, headers=headers)
        answers[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code < 500, answer.text

    send()


@pytest.mark.parametrize("n_examples", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
def test_the_api_answers_as_its_document_says(
    scoring_client: TestClient, roles: dict[Role | None, Headers], n_examples: int, measured: Callable[[str], None]
) -> None:
    answers = assail(scoring_client, roles, n_examples=n_examples)
    assert {200, 201, 401, 403, 404, 422} <= set(answers)
    if n_examples == LONG:
        measured(
            f"{answers.total():,} requests drawn from the OpenAPI document over every operation, as each role: no 5xx, "
            "no answer that the document doesn't tell of"
        )


def test_the_document_tells_of_what_any_request_may_be_answered(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            told = set(operation["responses"])
            if "/health/" not in path:
                assert {"429", "503"} <= told, (method, path)
            if method != "get":
                assert "507" in told, (method, path)
            if method == "post":
                assert {"409", "413", "422"} <= told, (method, path)
