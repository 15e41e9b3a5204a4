"""Signing in: by password, by one-time link, by token; and being shut out again."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models.errors import InputError
from serving.auth import SESSION_COOKIE, hash_token
from serving.house import House
from serving.records import Role
from serving.refusals import ForbiddenError, NameTakenError
from serving.tables import metadata
from tests.serving.conftest import headers_of, user_of

PASSWORD = "correct horse battery staple"
ME = "/api/v1/me"


@pytest.fixture
def signed_in(client: TestClient, house: House) -> TestClient:
    """A browser that used a one-time link."""
    token = house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test")
    client.get(f"/sign-in?token={token}", follow_redirects=False)
    return client


def csrf(client: TestClient) -> dict[str, str]:
    return {"X-CSRF-Token": client.get(ME).json()["csrf_token"]}


def test_a_password_signs_in_and_a_wrong_one_does_not(client: TestClient, house: House) -> None:
    house.gatekeeper.add_user("li", role=Role.ARBITRATOR, password=PASSWORD, by="system:test")
    for name, password in (("li", "wrong"), ("nobody", PASSWORD), ("li\x00", PASSWORD)):
        answer = client.post("/api/v1/session", json={"name": name, "password": password})
        assert (answer.status_code, answer.json()["detail"]) == (401, "name or password is wrong")
    answer = client.post("/api/v1/session", json={"name": "li", "password": PASSWORD})
    assert (answer.status_code, answer.json()["role"]) == (201, "arbitrator")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.get(ME).json()["name"] == "li"


def test_a_user_without_a_password_cannot_sign_in_by_one(client: TestClient, house: House) -> None:
    user_of(house, Role.LEAD)
    assert client.post("/api/v1/session", json={"name": "test-lead", "password": "x"}).status_code == 401


def test_a_link_signs_in_once(client: TestClient, house: House) -> None:
    token = house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test")
    first = client.get(f"/sign-in?token={token}", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    client.cookies.clear()
    second = client.get(f"/sign-in?token={token}", follow_redirects=False)
    assert second.status_code == 401
    assert SESSION_COOKIE not in client.cookies


def test_a_change_by_a_browser_needs_the_csrf_token(signed_in: TestClient) -> None:
    assert signed_in.delete("/api/v1/session").status_code == 403
    assert signed_in.delete("/api/v1/session", headers={"X-CSRF-Token": "guess"}).status_code == 403
    assert signed_in.get(ME).status_code == 200
    assert signed_in.delete("/api/v1/session", headers=csrf(signed_in)).status_code == 204
    assert signed_in.get(ME).status_code == 401


def test_a_session_that_was_ended_stays_ended(signed_in: TestClient) -> None:
    cookie = signed_in.cookies[SESSION_COOKIE]
    token = signed_in.get(ME).json()["csrf_token"]
    assert signed_in.post("/sign-out", data={"csrf_token": token}, follow_redirects=False).status_code == 303
    signed_in.cookies.clear()
    assert signed_in.get(ME, headers={"Cookie": f"{SESSION_COOKIE}={cookie}"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver"}, 401),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://desk.example"}, 401),
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/set-up"])
def test_a_form_from_another_site_is_refused(
    client: TestClient, path: str, headers: dict[str, str], status: int
) -> None:
    form = {"name": "a", "token": "t", "password": "long enough to be one", "again": "long enough to be one"}
    assert client.post(path, data=form, headers=headers).status_code == status


def test_a_revoked_token_and_a_disabled_user_are_strangers(client: TestClient, house: House) -> None:
    headers = headers_of(house, Role.LEAD)
    assert client.get(ME, headers=headers).json() == {"name": "test-lead", "role": "lead", "csrf_token": None}
    house.store.accounts.revoke_tokens(user_of(house, Role.LEAD), label="test", by="system:test")
    assert client.get(ME, headers=headers).status_code == 401
    headers = headers_of(house, Role.LEAD)
    house.store.accounts.disable("test-lead", by="system:test")
    assert client.get(ME, headers=headers).status_code == 401


def test_secrets_are_kept_as_hashes_only(house: House) -> None:
    house.gatekeeper.add_user("li", role=Role.LEAD, password=PASSWORD, by="system:test")
    token = house.gatekeeper.make_token(house.store.accounts.named("li"), label="t", by="system:test")
    with house.store.database.read() as connection:
        dump = str([connection.execute(sa.select(table)).all() for table in metadata.sorted_tables])
    assert hash_token(token) in dump
    assert token not in dump
    assert PASSWORD not in dump
    assert "$argon2id$" in dump


@pytest.mark.parametrize(
    "user",
    [
        {"name": "", "role": Role.LEAD},
        {"name": " li", "role": Role.LEAD},
        {"name": "system:li", "role": Role.LEAD},
        {"name": "a\nb", "role": Role.LEAD},
        {"name": "li", "role": Role.LEAD, "password": "short"},
        {"name": "feed", "role": Role.SERVICE, "password": PASSWORD},
    ],
)
def test_a_user_that_cannot_be_is_refused(house: House, user: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        house.gatekeeper.add_user(**user, by="system:test")


def test_a_name_is_taken_once_and_a_service_gets_no_link(house: House) -> None:
    service = user_of(house, Role.SERVICE)
    with pytest.raises(NameTakenError):
        house.gatekeeper.add_user(service.name, role=Role.LEAD, by="system:test")
    with pytest.raises(ForbiddenError):
        house.gatekeeper.make_link(service, by="system:test")


def test_every_way_in_leaves_a_line_in_the_trail(signed_in: TestClient, house: House) -> None:
    actions = [event.action for event in house.store.audit_trail(subject="user:test-lead")]
    assert actions == ["user_added", "link_made", "link_used", "signed_in"]


def test_the_trail_says_by_which_way_somebody_signed_in(house: House) -> None:
    keeper, user = house.gatekeeper, user_of(house, Role.LEAD)
    keeper.sign_in_by_link(keeper.make_link(user, by="system:test"))
    keeper.set_up(keeper.make_link(user, by="system:test", kind="set_up"), PASSWORD)
    keeper.sign_in_by_password(user.name, PASSWORD)
    keeper.sign_in_by_name(user.name)
    events = [event for event in house.store.audit_trail(subject="user:test-lead") if event.action == "signed_in"]
    assert [event.detail["way"] for event in events] == ["link", "set_up", "password", "provider"]
