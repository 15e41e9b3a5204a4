"""A form that another site's page sends, with this browser's session but not its CSRF token, changes nothing."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models.registry import ModelRegistry
from serving.auth import CSRF_FIELD, CSRF_HEADER, SESSION_COOKIE
from serving.house import House
from serving.records import Person, Role
from serving.settings import Settings
from serving.tables import metadata
from tests.serving.conftest import user_of
from tests.serving.every_form import FORMS, ready

WITHOUT_SESSION = ("/sign-in", "/set-up")
"""What a browser posts before it has a session; the site it comes from is asked there, see test_people."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"cases_per_person": 5_000})


def everything(house: House, registry: ModelRegistry) -> list[Any]:
    """Return every row of the database, and how often the champion's name was moved."""
    with house.store.database.read() as connection:
        rows = [connection.execute(sa.select(table)).all() for table in metadata.sorted_tables]
    return [*rows, len(registry.promotions())]


def session_of(house: House, *, name: str) -> tuple[str, Person]:
    link = house.gatekeeper.make_link(user_of(house, Role.LEAD, name=name), by="system:test")
    token = house.gatekeeper.sign_in_by_link(link)
    person = house.gatekeeper.person_of_session(token)
    assert person is not None
    return token, person


def test_no_form_is_taken_without_the_csrf_token_of_its_session(
    scoring_client: TestClient, scoring_house: House, registry: ModelRegistry
) -> None:
    house = scoring_house
    session, person = session_of(house, name="test-lead")
    _, other = session_of(house, name="somebody else")
    false: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({CSRF_FIELD: ""}, {}),
        ({CSRF_FIELD: "guess"}, {}),
        ({CSRF_FIELD: other.csrf_token or ""}, {}),
        ({CSRF_FIELD: person.csrf_token or ""}, {CSRF_HEADER: "guess"}),
    ]
    for form in FORMS:
        if form.path in WITHOUT_SESSION:
            continue
        address, fields = ready(house, form)
        before = everything(house, registry)
        for token, header in false:
            headers = {"Cookie": f"{SESSION_COOKIE}={session}", **header}
            answer = scoring_client.post(address, data={**fields, **token}, headers=headers, follow_redirects=False)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), (form.path, token, header)
        assert everything(house, registry) == before, form.path
        headers = {"Cookie": f"{SESSION_COOKIE}={session}"}
        data = {**fields, CSRF_FIELD: person.csrf_token or ""}
        answer = scoring_client.post(address, data=data, headers=headers, follow_redirects=False)
        assert answer.status_code in (200, 303), (form, answer.text)
        if form.path != "/language":
            assert everything(house, registry) != before, form
