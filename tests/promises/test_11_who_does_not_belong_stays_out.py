"""Promise 11: every route but health and sign-in needs a session or token, of the right role, scope and queue.

The walk by role over the whole document is in tests/serving/test_app.py; here are the other ways of not belonging.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from models.errors import InputError
from models.privacy import pseudonym
from models.vocabulary import Claim, Platform
from serving.api.documents import EXAMPLE_CASE
from serving.app import create_app
from serving.auth import SESSION_COOKIE
from serving.house import House, build_house
from serving.records import Queue, Role, Scope
from serving.refusals import StrangerError
from serving.settings import Settings
from serving.store.users import LinkKind
from tests.serving.conftest import headers_of, user_of

PASSWORD = "correct horse battery staple"
CASES = "/api/v1/cases"
OPEN = re.compile(r"/(api/v1/)?health/|/sign-in|/sign-out$|/set-up$|/language$|/static|/api/v1/session$")


def routes(client: TestClient) -> Iterator[tuple[str, str]]:
    """Yield (method, address) of every route, page or API, that isn't meant for strangers."""
    app = client.app
    assert isinstance(app, FastAPI)
    for context in iter_route_contexts(app.routes):
        path = re.sub(r"\{platform\}", "taobao", re.sub(r"\{(\w+):path\}", r"{\1}", context.path or ""))
        if OPEN.match(path):
            continue
        for method in getattr(context.original_route, "methods", None) or {"GET"}:
            yield method, re.sub(r"\{\w+\}", "x-1", path)


def is_kept_out(client: TestClient, method: str, path: str, **more: object) -> bool:
    answer = client.request(method, path, follow_redirects=False, **more)  # type: ignore[arg-type]
    return answer.status_code in (401, 403) or (answer.status_code == 303 and answer.headers["location"] == "/sign-in")


def test_no_route_lets_in_who_is_not_known_or_no_more(
    client: TestClient, house: House, measured: Callable[[str], None]
) -> None:
    walked = sorted(set(routes(client)))
    expired = house.gatekeeper.make_token(
        user_of(house, Role.LEAD), label="old", by="system:test", expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    revoked = headers_of(house, Role.LEAD)
    house.store.accounts.revoke_tokens(user_of(house, Role.LEAD), label="test", by="system:test")
    disabled = headers_of(house, Role.LEAD, name="gone")
    house.store.accounts.disable("gone", by="system:test")
    strangers: dict[str, dict[str, str]] = {
        "nobody": {},
        "a made-up token": {"Authorization": "Bearer er_made-up"},
        "another kind of credentials": {"Authorization": "Basic bGk6eA=="},
        "a made-up session": {"Cookie": f"{SESSION_COOKIE}=made-up"},
        "an expired token": {"Authorization": f"Bearer {expired}"},
        "a revoked token": revoked,
        "a disabled user": disabled,
    }
    for who, headers in strangers.items():
        for method, path in walked:
            assert is_kept_out(client, method, path, headers=headers), (who, method, path)
    assert len(walked) > 20
    measured(f"{len(walked)} routes and pages refuse {len(strangers)} kinds of strangers")


def test_a_token_without_a_scope_reaches_nothing_but_who_it_is(client: TestClient, house: House) -> None:
    token = house.gatekeeper.make_token(user_of(house, Role.LEAD), label="none", by="system:test", scopes=frozenset())
    headers = {"Authorization": f"Bearer {token}"}
    for method, path in routes(client):
        if path not in ("/api/v1/me", "/api/v1/openapi.json"):
            assert is_kept_out(client, method, path, headers=headers), (method, path)
    assert client.get("/api/v1/me", headers=headers).status_code == 200


def test_a_scope_opens_what_it_names_and_no_more(client: TestClient, house: House) -> None:
    token = house.gatekeeper.make_token(
        user_of(house, Role.SERVICE), label="feed", by="system:test", scopes=frozenset({Scope.FILE})
    )
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post(CASES, json=EXAMPLE_CASE, headers=headers).status_code == 201
    assert client.get(CASES, headers=headers).status_code == 403
    assert client.get("/metrics", headers=headers).status_code == 403


def test_a_scope_never_widens_the_role(client: TestClient, house: House) -> None:
    token = house.gatekeeper.make_token(
        user_of(house, Role.SERVICE), label="feed", by="system:test", scopes=frozenset(Scope)
    )
    answer = client.post(f"{CASES}/taobao/x/decision", json={}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


@pytest.fixture
def two_cases(client: TestClient, house: House) -> None:
    service = headers_of(house, Role.SERVICE)
    client.post(CASES, json=EXAMPLE_CASE, headers=service)
    client.post(CASES, json={**EXAMPLE_CASE, "case_id": "JD-1", "platform": "jd"}, headers=service)


def kept_to(house: House, *queues: Queue) -> dict[str, str]:
    user = house.gatekeeper.add_user("wang", role=Role.ARBITRATOR, queues=queues, by="system:test")
    return {"Authorization": f"Bearer {house.gatekeeper.make_token(user, label='t', by='system:test')}"}


@pytest.mark.usefixtures("two_cases")
def test_an_arbitrator_sees_the_cases_of_the_own_queues_only(client: TestClient, house: House) -> None:
    wang = kept_to(house, Queue(Platform.JD), Queue(None, Claim.COUNTERFEIT))
    assert [row["case_id"] for row in client.get(CASES, headers=wang).json()["cases"]] == ["JD-1"]
    assert client.get(f"{CASES}/jd/JD-1", headers=wang).status_code == 200
    other = f"{CASES}/taobao/{EXAMPLE_CASE['case_id']}"
    unseen = client.get(other, headers=wang)
    absent = client.get(f"{CASES}/taobao/absent", headers=wang)
    assert (unseen.status_code, absent.status_code) == (404, 404)
    assert unseen.json()["detail"].replace(str(EXAMPLE_CASE["case_id"]), "absent") == absent.json()["detail"]
    keyed = {**wang, "Idempotency-Key": "k"}
    walked = [(method, path) for method, path in routes(client) if "/cases/taobao/x-1" in path]
    for method, path in walked:
        answer = client.request(method, path.replace("x-1", EXAMPLE_CASE["case_id"], 1), headers=keyed)
        assert answer.status_code == 404, (method, path)
    assert {path.startswith(CASES) for _, path in walked} == {True, False}


@pytest.mark.usefixtures("two_cases")
def test_who_buyer_and_seller_are_is_told_to_leads_and_auditors_only(client: TestClient, house: House) -> None:
    one = f"{CASES}/taobao/{EXAMPLE_CASE['case_id']}"
    for role, sees in {Role.LEAD: True, Role.AUDITOR: True, Role.ARBITRATOR: False, Role.SERVICE: False}.items():
        order = client.get(one, headers=headers_of(house, role)).json()["case"]["order"]
        wanted = "b-77" if sees else pseudonym("b", "b-77", platform="taobao")
        assert (order["buyer_id"], order["seller_id"] == "s-12") == (wanted, sees), role


@pytest.mark.usefixtures("two_cases")
def test_a_case_sent_back_with_stand_ins_keeps_its_parties(client: TestClient, house: House) -> None:
    one = f"{CASES}/taobao/{EXAMPLE_CASE['case_id']}"
    arbitrator, lead = headers_of(house, Role.ARBITRATOR), headers_of(house, Role.LEAD)
    seen = client.get(one, headers=arbitrator).json()["case"]
    answer = client.post(f"{one}/evidence", json={**seen, "seller_statement": "已补发"}, headers=arbitrator)
    assert answer.status_code == 201
    order = client.get(one, headers=lead).json()["case"]["order"]
    assert (order["order_id"], order["buyer_id"], order["seller_id"]) == ("o-1", "b-77", "s-12")


def test_wrong_passwords_lock_a_name_known_or_not(client: TestClient, house: House) -> None:
    house.gatekeeper.add_user("li", role=Role.LEAD, password=PASSWORD, by="system:test")
    house.gatekeeper.attempts_allowed = 3
    for name in ("li", "nobody"):
        tried = [client.post("/api/v1/session", json={"name": name, "password": "wrong"}) for _ in range(4)]
        assert [answer.status_code for answer in tried] == [401, 401, 401, 429], name
        assert 800 < int(tried[-1].headers["retry-after"]) <= 900
    right = {"name": "li", "password": PASSWORD}
    assert client.post("/api/v1/session", json=right).status_code == 429
    assert client.post("/sign-in", data=right, follow_redirects=False).status_code == 429
    assert [event.action for event in house.store.audit_trail() if event.action == "locked_out"] == ["locked_out"] * 2
    link = house.gatekeeper.make_link(house.store.accounts.named("li"), by="system:test")
    assert house.gatekeeper.sign_in_by_link(link)


def test_a_success_forgets_the_wrong_passwords_before(house: House) -> None:
    house.gatekeeper.add_user("li", role=Role.LEAD, password=PASSWORD, by="system:test")
    house.gatekeeper.attempts_allowed = 2
    for _ in range(5):
        assert house.gatekeeper.sign_in_by_password("li", PASSWORD)


def test_a_set_up_link_sets_a_password_once_and_ends_older_sessions(client: TestClient, house: House) -> None:
    user = user_of(house, Role.LEAD)
    older = house.gatekeeper.sign_in_by_link(house.gatekeeper.make_link(user, by="system:test"))
    token = house.gatekeeper.make_link(user, by="system:test", kind="set_up")
    assert client.get(f"/set-up?token={token}").status_code == 200
    assert client.get(f"/sign-in?token={token}", follow_redirects=False).status_code == 401
    form = {"token": token, "password": PASSWORD, "again": PASSWORD}
    assert client.post("/set-up", data={**form, "again": "other"}).status_code == 422
    assert client.post("/set-up", data={**form, "password": "short", "again": "short"}).status_code == 422
    assert client.post("/set-up", data=form, follow_redirects=False).status_code == 303
    assert client.post("/set-up", data=form, follow_redirects=False).status_code == 401
    assert house.gatekeeper.person_of_session(older) is None
    assert house.gatekeeper.sign_in_by_password(user.name, PASSWORD)


@pytest.mark.parametrize("kind", ["set_up", "sign_in"])
def test_a_password_once_set_ends_the_links_made_before(house: House, kind: LinkKind) -> None:
    user = user_of(house, Role.LEAD)
    strayed = house.gatekeeper.make_link(user, by="system:test", kind=kind)
    others = house.gatekeeper.make_link(user_of(house, Role.AUDITOR), by="system:test", kind=kind)
    house.gatekeeper.set_up(house.gatekeeper.make_link(user, by="system:test", kind="set_up"), PASSWORD)

    def follow(link: str) -> str:
        gatekeeper = house.gatekeeper
        return gatekeeper.sign_in_by_link(link) if kind == "sign_in" else gatekeeper.set_up(link, "another password")

    with pytest.raises(StrangerError):
        follow(strayed)
    assert follow(others)


def test_only_arbitrators_are_kept_to_queues(house: House) -> None:
    with pytest.raises(InputError):
        house.gatekeeper.add_user("boss", role=Role.LEAD, queues=(Queue(Platform.JD),), by="system:test")


@pytest.mark.parametrize(
    ("host", "url", "wanted", "secure"),
    [
        ("127.0.0.1", None, None, False),
        ("127.0.0.1", "http://desk.example", None, False),
        ("127.0.0.1", "https://desk.example", None, True),
        ("127.0.0.1", "https://desk.example", False, False),
        ("0.0.0.0", None, None, True),
        ("0.0.0.0", "http://desk.example", None, True),
        ("0.0.0.0", "http://127.0.0.1.example", None, True),
        ("0.0.0.0", "http://127.0.0.1:8000", None, False),
        ("0.0.0.0", "https://127.0.0.1:8000", None, True),
        ("0.0.0.0", None, False, False),
        ("127.0.0.1", None, True, True),
    ],
)
def test_cookies_are_secure_unless_the_desk_is_on_the_loopback_and_nowhere_else(
    host: str, url: str | None, wanted: bool | None, secure: bool
) -> None:
    assert Settings(host=host, public_url=url, secure_cookies=wanted).cookies_are_secure is secure


@pytest.mark.parametrize("setting", [{"secure_cookies": True}, {"public_url": "https://desk.example"}])
def test_the_session_cookie_is_marked_as_the_settings_say(settings: Settings, setting: dict[str, object]) -> None:
    house = build_house(settings.model_copy(update=setting))
    house.gatekeeper.add_user("li", role=Role.LEAD, password=PASSWORD, by="system:test")
    client = TestClient(create_app(house.settings, house=house))
    answer = client.post("/sign-in", data={"name": "li", "password": PASSWORD}, follow_redirects=False)
    marks = {mark.strip().lower() for mark in answer.headers["set-cookie"].split(";")}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= marks
    house.store.close()
