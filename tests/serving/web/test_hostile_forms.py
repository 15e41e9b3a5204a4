"""Whatever is sent in a form's field, text that no database holds or numbers beyond all bounds, it is never a 5xx."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from models.vocabulary import Platform
from serving.house import House
from serving.records import CaseKey, Role
from serving.settings import Settings
from tests.serving.conftest import headers_of
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.every_form import FORMS, PAGE, Form, ready
from tests.serving.test_app import OPEN_PAGES, PAGES

WEB = Path(__file__).parents[3] / "serving" / "web"
FILTERS = {"status", "overdue", "order", "mine", "min", "max", "search", "by"}
"""What the queue and the log are narrowed by, in their addresses."""
ASKED = {
    *FILTERS,
    "claim",
    "platform",
    "language",
    "cursor",
    "last",
    "seen",
    "query",
    "photo",
    "token",
    "state",
    "code",
}
NOT_POSTED = {"viewport", "csrf_token", *FILTERS}
HOSTILE = {
    "NUL": lambda value: value + "%00",
    "a lone surrogate": lambda value: value + "%ED%A0%80",
    "more digits than Python reads": lambda _: "9" * 5_000,
    "more than 64 bits hold": lambda _: str(10**30),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"cases_per_person": 5_000})


def fields_read() -> Iterator[str]:
    """Yield the name of every field that a page reads, or that a template has."""
    for path in WEB.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            of_form = re.match(r"(?:fields|form)(?:\.get\(|\[)['\"](\w+)['\"]", ast.unparse(node))
            if of_form is not None:
                yield of_form[1]
    for path in WEB.glob("templates/*.html"):
        yield from re.findall(r'name="(\w+)"', path.read_text(encoding="utf-8"))


def test_the_forms_are_all_that_pages_post(scoring_client: TestClient) -> None:
    app = scoring_client.app
    assert isinstance(app, FastAPI)
    posted = {
        (context.path or "").replace(":path", "")
        for context in iter_route_contexts(app.routes)
        if "POST" in (getattr(context.original_route, "methods", None) or ()) and "/api/" not in (context.path or "")
    }
    assert {form.path for form in FORMS} == posted
    assert set(fields_read()) - NOT_POSTED <= {name for form in FORMS for name in form.fields}


@pytest.mark.usefixtures("registry")
def test_no_field_of_any_form_brings_a_page_down(scoring_client: TestClient, scoring_house: House) -> None:
    headers = {**headers_of(scoring_house, Role.LEAD), "Content-Type": "application/x-www-form-urlencoded"}
    brought_down = []
    with capture_logs() as logged:
        for form in FORMS:
            address, fields = ready(scoring_house, form)
            for name, (kind, spoil) in itertools.product(form.fields, HOSTILE.items()):
                body = "&".join(
                    f"{quote_plus(field)}={spoil(quote_plus(value)) if field == name else quote_plus(value)}"
                    for field, value in fields.items()
                )
                answer = scoring_client.post(address, content=body, headers=headers, follow_redirects=False)
                if answer.status_code >= 500:
                    brought_down.append((form.path, name, kind))
                if answer.status_code < 400:
                    address, fields = ready(scoring_house, form)
    assert brought_down == []
    assert [line for line in logged if line["event"] == "unforeseen_error"] == []


@pytest.mark.usefixtures("registry")
def test_nothing_in_the_address_of_a_page_brings_it_down(scoring_client: TestClient, scoring_house: House) -> None:
    headers = headers_of(scoring_house, Role.LEAD)
    case_page, _ = ready(scoring_house, Form(PAGE, {}, decided=True))
    closed = [path.replace(PAGE, case_page).format(number=2) for method, path in PAGES if method == "GET"]
    opened = [path for path in OPEN_PAGES if path.startswith(("/sign-in", "/set-up"))]
    brought_down = []
    with capture_logs() as logged:
        for address, name, (kind, spoil) in itertools.product(closed + opened, ASKED, list(HOSTILE.items())[::2]):
            value = quote_plus(case_page.removeprefix("/cases/")) if name == "last" else "1"
            answer = scoring_client.get(f"{address}?{name}={spoil(value)}", headers=headers, follow_redirects=False)
            if answer.status_code >= 500:
                brought_down.append((address, name, kind))
    assert brought_down == []
    assert [line for line in logged if line["event"] == "unforeseen_error"] == []


@pytest.mark.parametrize("name", ["note", "distinguishes", "suggestion_id"])
def test_text_that_cannot_be_stored_is_said_with_its_field_and_nothing_is_recorded(
    scoring_client: TestClient, scoring_house: House, name: str
) -> None:
    form = next(form for form in FORMS if name in form.fields)
    address, fields = ready(scoring_house, form)
    fields = {**fields, name: fields[name] + "\x00"}
    answer = scoring_client.post(address, data=fields, headers=headers_of(scoring_house, Role.LEAD))
    assert (answer.status_code, answer.json()["errors"]) == (422, [{"field": name, "message": "holds a NUL character"}])
    _, platform, case_id, _ = address.lstrip("/").split("/")
    assert scoring_house.store.view(CaseKey(Platform(platform), case_id)).decisions == ()


def test_a_number_beyond_bounds_is_said_on_the_page(scoring_client: TestClient, scoring_house: House) -> None:
    headers = headers_of(scoring_house, Role.LEAD)
    address, fields = ready(scoring_house, next(form for form in FORMS if "version" in form.fields))
    answer = scoring_client.post(address, data={**fields, "version": "9" * 5_000}, headers=headers)
    assert (answer.status_code, "页面已过期" in answer.text) == (422, True)
    answer = scoring_client.post("/models/retraining", data={"cancel": str(10**30)}, headers=headers)
    assert (answer.status_code, "cancel" in answer.text) == (422, True)
