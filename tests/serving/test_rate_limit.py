"""Requests a minute: a burst as large as the limit, then an even flow, each name for itself."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from starlette.datastructures import Headers as RequestHeaders
from starlette.types import Message, Receive, Scope, Send

from serving.app import create_app
from serving.auth import RECOGNISED, SESSION_COOKIE
from serving.house import House
from serving.rate_limit import RateLimit, RateLimiter
from serving.records import Role
from tests.serving.conftest import Headers, headers_of, user_of


def test_a_burst_is_taken_and_then_an_even_flow() -> None:
    limiter = RateLimiter(60)
    assert [limiter.wait_s("a", now=0) for _ in range(60)] == [0.0] * 60
    assert limiter.wait_s("a", now=0) == 1.0
    assert limiter.wait_s("b", now=0) == 0.0
    assert limiter.wait_s("a", now=1.0) == 0.0
    assert limiter.wait_s("a", now=1.5) == 0.5


def test_no_more_names_are_kept_than_said() -> None:
    limiter = RateLimiter(1, names_kept=10)
    for name in range(1000):
        limiter.wait_s(str(name), now=0)
    assert len(limiter._buckets) == 10


def test_a_token_over_its_limit_waits_and_another_does_not(house: House) -> None:
    client = TestClient(create_app(house.settings.model_copy(update={"requests_per_minute": 3}), house=house))
    first, second = headers_of(house, Role.LEAD), headers_of(house, Role.AUDITOR)
    assert [client.get("/api/v1/me", headers=first).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.get("/api/v1/me", headers=first)
    assert (refused.json()["status"], 1 <= int(refused.headers["retry-after"]) <= 20) == (429, True)
    assert client.get("/api/v1/me", headers=second).status_code == 200
    assert client.get("/api/v1/health/live").status_code == 200


def test_sign_ins_from_one_address_are_limited(house: House) -> None:
    client = TestClient(create_app(house.settings.model_copy(update={"sign_ins_per_minute": 2}), house=house))
    answers = [client.get("/sign-in?token=guess").status_code for _ in range(3)]
    assert answers == [401, 401, 429]
    assert client.get("/sign-in").status_code == 200


def made_up() -> Iterator[Headers]:
    """Yield headers of somebody unknown, new ones each time: tokens and sessions in turn."""
    for number in itertools.count():
        yield {"Authorization": f"Bearer er_made-up-{number}"}
        yield {"Cookie": f"{SESSION_COOKIE}=made-up-{number}"}


def limited(house: House, per_minute: int) -> TestClient:
    settings = house.settings.model_copy(update={"requests_per_minute": per_minute})
    return TestClient(create_app(settings, house=house), follow_redirects=False)


@pytest.fixture
def asked(house: House) -> list[str]:
    """What the database is asked, as it comes."""
    statements: list[str] = []
    sa.event.listen(
        house.store.database.engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: statements.append(statement),
    )
    return statements


def test_made_up_tokens_and_sessions_count_against_the_address_and_cost_nothing_beyond_its_limit(
    house: House, asked: list[str]
) -> None:
    client, strangers = limited(house, 6), made_up()
    answers = [client.get("/api/v1/me", headers=next(strangers)).status_code for _ in range(4)]
    answers += [client.get("/", headers=next(strangers)).status_code for _ in range(2)]
    assert answers == [401] * 4 + [303] * 2
    asked.clear()
    answers = [client.get(path, headers=next(strangers)).status_code for path in ("/api/v1/me", "/", "/nowhere", "/")]
    assert answers == [429] * 4
    assert asked == []


def test_who_is_known_goes_on_behind_an_address_that_made_up_tokens_used_up(house: House) -> None:
    client, strangers = limited(house, 6), made_up()
    known, session = headers_of(house, Role.LEAD), made_session(house)
    assert [client.get("/api/v1/me", headers=headers).status_code for headers in (known, session)] == [200, 200]
    while client.get("/api/v1/me", headers=next(strangers)).status_code != 429:
        pass
    assert [client.get("/api/v1/me", headers=headers).status_code for headers in (known, session)] == [200, 200]
    link = house.gatekeeper.make_link(user_of(house, Role.AUDITOR), by="system:test")
    assert client.get(f"/sign-in?token={link}").status_code == 303
    assert client.get("/api/v1/me").json()["name"] == "test-auditor"


def test_what_is_recognised_is_not_charged_to_the_address(house: House) -> None:
    client, strangers = limited(house, 3), made_up()
    for number in range(5):
        headers = headers_of(house, Role.LEAD, name=f"lead {number}")
        assert client.get("/api/v1/me", headers=headers).status_code == 200
        keyed = {**headers, "Idempotency-Key": "k"}
        assert [client.post("/api/v1/retrainings", headers=keyed).status_code < 500 for _ in range(2)] == [True, True]
    assert [client.get("/api/v1/me", headers=next(strangers)).status_code for _ in range(4)] == [401, 401, 401, 429]


def test_a_token_written_in_many_ways_has_one_limit(house: House) -> None:
    client = limited(house, 3)
    token = headers_of(house, Role.LEAD)["Authorization"].removeprefix("Bearer ")
    written = [f"Bearer {token}", f"bearer {token}", f"BEARER   {token}", f"Bearer {token} "]
    answers = [client.get("/api/v1/me", headers={"Authorization": text}).status_code for text in written]
    assert answers == [200, 200, 200, 429]
    session = made_session(house)
    schemes = [{**session, "Authorization": f"Basic {number}"} for number in range(4)]
    assert [client.get("/api/v1/me", headers=headers).status_code for headers in schemes] == [200, 200, 200, 429]


def test_a_token_that_was_revoked_counts_against_the_address_like_any_made_up_one(house: House) -> None:
    client = limited(house, 3)
    headers = headers_of(house, Role.LEAD)
    assert client.get("/api/v1/me", headers=headers).status_code == 200
    house.store.accounts.revoke_tokens(user_of(house, Role.LEAD), label="test", by="system:test")
    assert [client.get("/api/v1/me", headers=headers).status_code for _ in range(4)] == [401, 401, 401, 429]


def test_made_up_tokens_displace_nobody() -> None:
    async def look_up(scope: Scope, receive: Receive, send: Send) -> None:
        scope[RECOGNISED] = RequestHeaders(scope=scope)["authorization"] == "Bearer known"

    async def ask(token: str) -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        scope = {"type": "http", "path": "/", "method": "GET", "query_string": b"", "headers": headers}
        await limit({**scope, "client": ("10.0.0.1", 1)}, receive, send)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        pass

    limit = RateLimit(look_up, requests_per_minute=100_000, sign_ins_per_minute=1)
    for token in ("known", *(f"made up {number}" for number in range(1_000))):
        asyncio.run(ask(token))
    assert (len(limit.recognised._buckets), len(limit.addresses._buckets)) == (1, 1)


def made_session(house: House) -> Headers:
    link = house.gatekeeper.make_link(user_of(house, Role.LEAD), by="system:test")
    return {"Cookie": f"{SESSION_COOKIE}={house.gatekeeper.sign_in_by_link(link)}"}
