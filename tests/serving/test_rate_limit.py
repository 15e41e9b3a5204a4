"""Requests a minute: a burst as large as the limit, then an even flow, each name for itself."""

from fastapi.testclient import TestClient

from serving.app import create_app
from serving.house import House
from serving.rate_limit import RateLimiter
from serving.records import Role
from tests.serving.conftest import headers_of


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
