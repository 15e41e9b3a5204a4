"""Who doesn't belong stays out, on every route there is; every answer carries its id and security headers."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.errors import MEDIA_TYPE
from serving.house import House
from serving.records import Role
from tests.builders import photo_bytes
from tests.logs import service_logs
from tests.serving.conftest import Headers, headers_of

ONE = "/api/v1/cases/{platform}/{case_id}"
OPEN = {
    ("get", "/api/v1/health/live"),
    ("get", "/api/v1/health/ready"),
    ("post", "/api/v1/session"),
}
READERS = {Role.ARBITRATOR, Role.LEAD, Role.AUDITOR, Role.SERVICE}
FILERS = {Role.ARBITRATOR, Role.LEAD, Role.SERVICE}
DECIDERS = {Role.ARBITRATOR, Role.LEAD}
OVERSEERS = {Role.LEAD, Role.AUDITOR}
CLERKS = {Role.LEAD, Role.ENGINEER, Role.SERVICE}
ALLOWED: dict[tuple[str, str], set[Role]] = {
    ("get", f"{ONE}/photo-checks"): READERS,
    ("post", f"{ONE}/photo-checks"): FILERS,
    ("get", "/api/v1/me"): set(Role),
    ("delete", "/api/v1/session"): set(Role),
    ("get", "/api/v1/metrics"): {Role.ENGINEER, Role.LEAD, Role.AUDITOR, Role.SERVICE},
    ("post", "/api/v1/suggestions"): FILERS | {Role.ENGINEER},
    ("get", "/api/v1/backlogs"): CLERKS,
    ("post", "/api/v1/backlogs"): CLERKS,
    ("get", "/api/v1/backlogs/{job_id}"): CLERKS,
    ("post", "/api/v1/backlogs/{job_id}/cancel"): CLERKS,
    ("post", "/api/v1/backlogs/{job_id}/resume"): CLERKS,
    ("get", "/api/v1/backlogs/{job_id}/result"): CLERKS,
    ("get", "/api/v1/cases"): READERS,
    ("post", "/api/v1/cases"): FILERS,
    ("get", ONE): READERS,
    ("post", f"{ONE}/evidence"): FILERS,
    ("put", f"{ONE}/photos/{{photo_id}}"): FILERS,
    ("get", f"{ONE}/photos/{{photo_id}}"): READERS,
    ("post", f"{ONE}/suggestion"): FILERS,
    ("get", f"{ONE}/corrections"): READERS,
    ("post", f"{ONE}/corrections"): DECIDERS,
    ("delete", f"{ONE}/corrections/{{correction_id}}"): DECIDERS,
    ("post", f"{ONE}/decision"): DECIDERS,
    ("post", f"{ONE}/decision/withdraw"): DECIDERS,
    ("post", "/api/v1/desk/next"): DECIDERS,
    ("post", f"{ONE}/hold"): DECIDERS,
    ("delete", f"{ONE}/hold"): DECIDERS,
    ("post", f"{ONE}/skip"): DECIDERS,
    ("post", f"{ONE}/recusal"): DECIDERS,
    ("post", f"{ONE}/appeal"): FILERS,
    ("get", f"{ONE}/notices"): READERS,
    ("put", f"{ONE}/notices/{{notice_id}}"): DECIDERS,
    ("post", f"{ONE}/notices/{{notice_id}}/send"): DECIDERS,
    ("get", "/api/v1/desk/views"): READERS,
    ("put", "/api/v1/desk/views/{name}"): DECIDERS,
    ("delete", "/api/v1/desk/views/{name}"): DECIDERS,
    ("get", "/api/v1/desk/shortcuts"): READERS,
    ("put", "/api/v1/desk/shortcuts"): DECIDERS,
    ("get", f"{ONE}/precedents"): READERS,
    ("get", f"{ONE}/remedies"): READERS,
    ("get", f"{ONE}/heat-maps/{{photo_id}}"): READERS,
    ("get", "/api/v1/passes"): OVERSEERS,
    ("get", "/api/v1/figures"): OVERSEERS,
    ("get", "/api/v1/decisions/export"): OVERSEERS,
    ("post", "/api/v1/assignments"): {Role.LEAD},
    ("delete", "/api/v1/assignments/{batch_id}"): {Role.LEAD},
    ("get", "/api/v1/switches"): OVERSEERS | {Role.ENGINEER},
    ("post", "/api/v1/switches"): {Role.LEAD, Role.ENGINEER},
    ("delete", "/api/v1/switches/{switch_id}"): {Role.LEAD, Role.ENGINEER},
    ("get", "/api/v1/models"): OVERSEERS | {Role.ENGINEER},
    ("get", "/api/v1/models/{number}/report"): OVERSEERS | {Role.ENGINEER},
    ("post", "/api/v1/models/{number}/promote"): {Role.LEAD, Role.ENGINEER},
    ("get", "/api/v1/models/drift"): OVERSEERS | {Role.ENGINEER},
    ("get", "/api/v1/models/shadow"): OVERSEERS | {Role.ENGINEER},
    ("put", "/api/v1/models/shadow"): {Role.LEAD, Role.ENGINEER},
    ("post", "/api/v1/models/rollback"): {Role.LEAD, Role.ENGINEER},
    ("get", "/api/v1/retrainings"): OVERSEERS | {Role.ENGINEER},
    ("post", "/api/v1/retrainings"): {Role.LEAD, Role.ENGINEER},
    ("get", "/api/v1/retrainings/{retraining_id}"): OVERSEERS | {Role.ENGINEER},
    ("post", "/api/v1/retrainings/{retraining_id}/cancel"): {Role.LEAD, Role.ENGINEER},
}
PAGE = "/cases/{platform}/{case_id}"
PAGE_READERS = {Role.ARBITRATOR, Role.LEAD, Role.AUDITOR}
PAGES: dict[tuple[str, str], set[Role]] = {
    ("GET", "/"): PAGE_READERS | {Role.ENGINEER},
    ("POST", "/next"): DECIDERS,
    ("POST", "/views"): PAGE_READERS,
    ("GET", "/shortcuts"): PAGE_READERS,
    ("POST", "/shortcuts"): PAGE_READERS,
    ("GET", "/lead"): OVERSEERS,
    ("POST", "/lead/assign"): {Role.LEAD},
    ("POST", "/lead/switch"): {Role.LEAD},
    ("GET", "/decisions"): OVERSEERS,
    ("GET", "/models"): OVERSEERS | {Role.ENGINEER},
    ("GET", "/models/{number}/report"): OVERSEERS | {Role.ENGINEER},
    ("POST", "/models/move"): {Role.LEAD, Role.ENGINEER},
    ("POST", "/models/retraining"): {Role.LEAD, Role.ENGINEER},
    ("POST", "/models/shadow"): {Role.LEAD, Role.ENGINEER},
    ("GET", f"{PAGE}/photo-checks"): PAGE_READERS,
    ("GET", f"{PAGE}/heat"): PAGE_READERS,
    ("GET", f"{PAGE}/state"): PAGE_READERS,
    ("GET", PAGE): PAGE_READERS,
    ("POST", f"{PAGE}/decision"): DECIDERS,
    ("POST", f"{PAGE}/withdraw"): DECIDERS,
    ("POST", f"{PAGE}/hold"): DECIDERS,
    ("POST", f"{PAGE}/aside"): DECIDERS,
    ("POST", f"{PAGE}/notice"): DECIDERS,
    ("POST", f"{PAGE}/appeal"): DECIDERS,
    ("POST", f"{PAGE}/correct"): DECIDERS,
}
BODILESS = ("/suggestion", "/photo-checks", "/hold", "/desk/next", "/send", "/cancel", "/resume", "/retrainings")
OPEN_PAGES = {
    "/sign-in",
    "/sign-in/provider",
    "/sign-in/provider/back",
    "/set-up",
    "/sign-out",
    "/language",
    "/health/live",
    "/health/ready",
    "/static",
}


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def address(path: str) -> str:
    return (
        path.replace("{platform}", "taobao")
        .replace("{case_id}", "TB-1")
        .replace("{photo_id}", "p1")
        .replace("{correction_id}", "c1")
    )


def test_the_table_of_roles_names_every_route(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    assert {(method, path) for method, path, _ in operations(app)} == OPEN | set(ALLOWED)


def test_every_route_refuses_strangers_and_false_tokens(client: TestClient) -> None:
    for method, path in ALLOWED:
        for headers in ({}, {"Authorization": "Bearer er_made-up"}, {"Cookie": "evidence_review_session=made-up"}):
            answer = client.request(method, address(path), headers=headers)
            assert answer.status_code == 401, (method, path, headers)
            assert answer.headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize("role", Role)
def test_every_route_lets_only_its_roles_through(
    client: TestClient, as_role: Callable[..., Headers], role: Role
) -> None:
    headers = as_role(role)
    for (method, path), roles in ALLOWED.items():
        status = client.request(method, address(path), headers=headers).status_code
        assert (status == 403) is (role not in roles), (method, path, status)


def pages(app: FastAPI) -> set[tuple[str, str]]:
    """Return (method, path) of every page that isn't meant for strangers."""
    return {
        (method, path)
        for context in iter_route_contexts(app.routes)
        if not (path := (context.path or "").replace(":path", "")).startswith("/api/") and path not in OPEN_PAGES
        for method in getattr(context.original_route, "methods", None) or ()
    }


def test_the_table_of_roles_names_every_page(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    assert pages(app) - {("GET", "/metrics")} == set(PAGES)


@pytest.mark.parametrize("role", Role)
def test_every_page_lets_only_its_roles_through(
    client: TestClient, as_role: Callable[..., Headers], role: Role
) -> None:
    headers = as_role(role)
    for (method, path), roles in PAGES.items():
        answer = client.request(method, address(path), headers=headers, follow_redirects=False)
        assert (answer.status_code == 403) is (role not in roles), (method, path, answer.status_code)


def test_no_route_outside_the_document_is_open(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    documented = {path for _, path, _ in operations(app)}
    for context in iter_route_contexts(app.routes):
        path = re.sub(r":path", "", context.path or "")
        if path in documented or path in OPEN_PAGES:
            continue
        for method in getattr(context.original_route, "methods", None) or {"GET"}:
            answer = client.request(method, address(path), follow_redirects=False)
            to_sign_in = answer.status_code == 303 and answer.headers["location"] == "/sign-in"
            assert answer.status_code == 401 or to_sign_in, (method, path, answer.status_code)


def test_a_body_is_not_read_for_a_stranger(client: TestClient) -> None:
    answer = client.post("/api/v1/cases", content=b"x" * 900_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


def test_the_document_is_complete(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    known = app.openapi()["components"]["schemas"]
    assert "HTTPValidationError" not in known
    assert set(re.findall(r"#/components/schemas/(\w+)", str(app.openapi()))) <= set(known)
    for method, path, operation in operations(app):
        assert operation["tags"], path
        assert operation["description"], path
        if (method, path) not in OPEN:
            assert {"401"} <= set(operation["responses"]), path
        if method in ("post", "put") and not path.endswith(BODILESS):
            assert operation["requestBody"]["content"], path


def test_every_answer_carries_an_id_and_security_headers(client: TestClient) -> None:
    for path in ("/api/v1/health/live", "/nowhere", "/sign-in", "/static/sign_in.css"):
        headers = client.get(path, headers={"X-Request-ID": "abc-1"}).headers
        assert headers["x-request-id"] == "abc-1"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


def test_the_log_line_of_a_request_carries_its_id(
    client: TestClient, lead: Headers, capsys: pytest.CaptureFixture[str]
) -> None:
    with service_logs():
        client.get("/api/v1/cases", headers={**lead, "X-Request-ID": "abc-2"})
        printed = capsys.readouterr().err
    (line,) = map(json.loads, printed.splitlines())
    assert (line["event"], line["route"], line["status"]) == ("request", "/api/v1/cases", 200)
    assert line["request_id"] == "abc-2"


def test_a_request_id_that_could_break_a_log_line_is_replaced(client: TestClient) -> None:
    assert client.get("/nowhere", headers={"X-Request-ID": "a b\tc"}).headers["x-request-id"] != "a b\tc"


def test_figures_are_labelled_by_route_template(client: TestClient, lead: Headers) -> None:
    client.get("/api/v1/cases/taobao/secret-id", headers=lead)
    client.get("/static/sign_in.css")
    client.get("/nowhere")
    figures = client.get("/metrics", headers=lead).text
    for template in ("/api/v1/cases/{platform}/{case_id:path}", "/static", "unmatched"):
        assert f'route="{template}"' in figures
    assert "secret-id" not in figures


def test_readiness_tells_the_truth(client: TestClient, scoring_client: TestClient, house: House) -> None:
    assert client.get("/api/v1/health/ready").json()["status"] == "degraded"
    assert scoring_client.get("/api/v1/health/ready").json()["model_version"] == "ruling/test"
    house.settings.photo_dir.rmdir()
    house.settings.photo_dir.write_text("a file in the way of the folder")
    answer = client.get("/api/v1/health/ready")
    assert (answer.status_code, answer.json()["photos"], answer.json()["database"]) == (503, False, True)


def test_a_photo_folder_that_is_another_one_is_not_ready(
    client: TestClient, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = headers_of(house, Role.SERVICE)
    address = f"/api/v1/cases/taobao/{EXAMPLE_CASE['case_id']}/photos/p1"
    client.post("/api/v1/cases", json=EXAMPLE_CASE, headers=headers)
    client.put(address, content=photo_bytes(), headers=headers)
    assert client.get("/api/v1/health/ready").json()["photos"] is True
    house.photos.directory.rename(house.photos.directory.with_name("elsewhere"))
    answer = client.get("/api/v1/health/ready")
    assert (answer.status_code, answer.json()["photos"]) == (503, False)
    assert client.get(address, headers=headers).status_code == 500
    assert "photo_corrupt" in capsys.readouterr().out


def test_a_database_that_is_gone_answers_503(house: House, lead: Headers) -> None:
    app = create_app(house.settings, house=house)
    with house.store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE cases RENAME TO elsewhere")
    client = TestClient(app)
    assert client.get("/api/v1/health/ready").json()["database"] is False
    assert client.get("/api/v1/cases", headers=lead).status_code == 503
