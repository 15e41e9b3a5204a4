"""Signing in with an identity provider, against a small one that runs in the test."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from structlog.testing import capture_logs

from serving.app import create_app
from serving.house import build_house
from serving.records import Role
from serving.settings import Settings
from tests.serving.conftest import user_of

CLIENT_ID, CLIENT_SECRET = "desk", "a secret shared with the provider"


class Provider:
    """An OpenID Connect provider on a free port.

    claims : put over the honest ID token's; said : answers in place of the honest document, keys or token
    """

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.signing_key = self.key
        self.claims: dict[str, Any] = {}
        self.said: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                what = "document" if "well-known" in self.path else "keys"
                self._answer(provider.said.get(what, provider.document() if what == "document" else provider.keys()))

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                fields = {name: values[0] for name, values in parse_qs(form).items()}
                status, body = provider.token(fields, self.headers.get("authorization", ""))
                self._answer(provider.said.get("token", body), status)

            def _answer(self, body: Any, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def document(self) -> dict[str, Any]:
        ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        return {"issuer": self.issuer, **{name: self.issuer + path for name, path in ends.items()}}

    def keys(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    def authorize(self, address: str) -> dict[str, str]:
        """Let the person at `address` in and return what the browser carries back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def token(self, fields: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(fields.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(fields.get("code_verifier", "").encode()).digest())
        known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if asked is None or asked["code_challenge"] != challenge.rstrip(b"=").decode() or known not in authorization:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": "248289761001", "exp": int(time.time()) + 60,
            "nonce": asked["nonce"], "preferred_username": "boss", **self.claims,
        }  # fmt: skip
        id_token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.signing_key)
        return 200, {"access_token": "t", "token_type": "Bearer", "id_token": id_token}


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def client(settings: Settings, provider: Provider) -> Iterator[TestClient]:
    changed = settings.model_copy(
        update={
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
        }
    )
    house = build_house(changed)
    user_of(house, Role.ARBITRATOR, name="248289761001")
    user_of(house, Role.LEAD, name="boss")
    user_of(house, Role.SERVICE, name="feed")
    yield TestClient(create_app(changed, house=house), follow_redirects=False)
    house.store.close()


def come_back(client: TestClient, provider: Provider, **changed: str) -> int:
    sent = client.get("/sign-in/provider")
    assert sent.status_code == 303
    return client.get(
        "/sign-in/provider/back", params={**provider.authorize(sent.headers["location"]), **changed}
    ).status_code


def test_whom_the_provider_vouches_for_is_signed_in(client: TestClient, provider: Provider) -> None:
    assert "/sign-in/provider" in client.get("/sign-in").text
    assert come_back(client, provider) == 303
    assert client.get("/api/v1/me").json()["name"] == "248289761001"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another service"},
        {"iss": "http://elsewhere"},
        {"nonce": "of another trip"},
        {"exp": 1},
        {"sub": "nobody known"},
        {"sub": "feed"},
        {"sub": None},
    ],
)
def test_a_token_that_does_not_fit_lets_nobody_in(
    client: TestClient, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert come_back(client, provider) == 401
    assert client.get("/api/v1/me").status_code == 401


def test_the_log_tells_by_which_name_to_add_who_was_not_let_in(client: TestClient, provider: Provider) -> None:
    provider.claims = {"sub": "ab12-cd"}
    with capture_logs() as logged:
        assert come_back(client, provider) == 401
    (line,) = (line for line in logged if line["event"] == "provider_sign_in_refused")
    assert "'ab12-cd'" in line["problem"]


@pytest.mark.parametrize(
    ("claim", "warned"),
    [("sub", []), ("oid", []), ("preferred_username", ["preferred_username"]), ("email", ["email"])],
)
def test_a_claim_that_may_be_somebody_elses_tomorrow_is_warned_of_at_the_start(
    settings: Settings, provider: Provider, claim: str, warned: list[str]
) -> None:
    of_provider = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID, "oidc_name_claim": claim}
    changed = settings.model_copy(update={**of_provider, "oidc_client_secret": SecretStr(CLIENT_SECRET)})
    with capture_logs() as logged, TestClient(create_app(changed)):
        pass
    assert [line["claim"] for line in logged if line["event"] == "oidc_name_not_unique"] == warned


def test_a_token_signed_with_another_key_lets_nobody_in(client: TestClient, provider: Provider) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "k1"})
    assert come_back(client, provider) == 401


def test_a_trip_that_this_browser_did_not_begin_lets_nobody_in(client: TestClient, provider: Provider) -> None:
    assert come_back(client, provider, state="of somebody else") == 401
    assert come_back(client, provider, code="made up") == 401
    back = provider.authorize(client.get("/sign-in/provider").headers["location"])
    client.cookies.clear()
    assert client.get("/sign-in/provider/back", params=back).status_code == 401


def test_a_provider_that_is_away_is_said_and_the_password_form_stays(client: TestClient, provider: Provider) -> None:
    provider.server.shutdown()
    provider.server.server_close()
    page = client.get("/sign-in/provider")
    assert (page.status_code, 'name="password"' in page.text) == (503, True)


@pytest.mark.parametrize("name", ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [None, 3, "", "/keys", "https://[", "https://a\x00b", "ftp://idp.example/keys"])
def test_a_document_without_an_endpoint_is_a_provider_that_is_away_until_it_is_mended(
    client: TestClient, provider: Provider, name: str, value: object
) -> None:
    for said in ({**provider.document(), name: value}, {n: v for n, v in provider.document().items() if n != name}, []):
        provider.said = {"document": said}
        page = client.get("/sign-in/provider")
        assert (page.status_code, 'name="password"' in page.text) == (503, True)
    provider.said = {}
    assert come_back(client, provider) == 303


@pytest.mark.parametrize("what", ["keys", "token"])
@pytest.mark.parametrize("said", [[], {}, None, "x", 3, {"keys": None, "id_token": None}, {"keys": [1], "id_token": 3}])
def test_an_answer_of_another_shape_lets_nobody_in(
    client: TestClient, provider: Provider, what: str, said: object
) -> None:
    provider.said = {what: said}
    assert come_back(client, provider) == 401
    assert client.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("kept", ['{"state": 1, "nonce": 2, "verifier": 3}', "[]", "null", "{}", "x"])
def test_a_journey_that_was_tampered_with_leads_nowhere(client: TestClient, provider: Provider, kept: str) -> None:
    back = provider.authorize(client.get("/sign-in/provider").headers["location"])
    client.cookies.clear()
    cookie = base64.urlsafe_b64encode(kept.encode()).decode()
    headers = {"Cookie": f"evidence_review_journey={cookie}"}
    assert client.get("/sign-in/provider/back", params=back, headers=headers).status_code == 401


def test_an_issuer_whose_name_ends_in_a_slash_is_one_with_and_without_it(
    client: TestClient, provider: Provider
) -> None:
    slashed = f"{provider.issuer}/"
    provider.said["document"] = {**provider.document(), "issuer": slashed}
    provider.claims = {"iss": slashed}
    assert come_back(client, provider) == 303
    provider.claims = {"iss": provider.issuer}
    assert come_back(client, provider) == 401
