"""Signing in with an OpenID Connect provider: authorization code flow with PKCE, state and nonce.

The provider vouches for a name; whether that name may in, and as what, is this service's own list of users. Knows
nothing of routes or cookies.
"""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from serving.refusals import StrangerError

_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
_TIMEOUT_S = 10.0
_KEPT_S = 3600.0
_LEEWAY_S = 60
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_AWAY = "the identity provider doesn't answer as it should; sign in otherwise or try again"
_OF_SHAPE = (ValueError, TypeError, AttributeError)
"""What comes of an answer that is no object, or holds other things than it should."""
_NOT_UNIQUE = ("preferred_username", "name", "nickname", "email", "phone_number")


@dataclass(frozen=True)
class Journey:
    """What one trip to the provider must come back with. Kept in the browser's cookie meanwhile."""

    state: str
    nonce: str
    verifier: str

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> "Journey":
        """Raises StrangerError."""
        try:
            journey = cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise StrangerError("the sign-in was begun elsewhere; begin again") from error
        if not all(isinstance(part, str) for part in asdict(journey).values()):
            raise StrangerError("the sign-in was begun elsewhere; begin again")
        return journey


class OidcProvider:
    """issuer : its address; transport : of the HTTP client, for a provider that isn't on the network"""

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        client_secret: str,
        name_claim: str,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.issuer = issuer.rstrip("/")
        self.client_id = client_id
        self.client_secret = client_secret
        self.name_claim = name_claim
        self.transport = transport
        self._about: tuple[float, dict[str, Any]] | None = None

    @property
    def name_may_change_hands(self) -> bool:
        """Whether the claim that names users may be another person's tomorrow: OpenID Connect Core 1.0, 5.7."""
        return self.name_claim in _NOT_UNIQUE

    def begin(self, *, redirect_uri: str) -> tuple[str, Journey]:
        """Return the provider's address to send the browser to, and what to keep until it is back.

        Raises StrangerError when the provider doesn't answer, or not as it should.
        """
        journey = Journey(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        with self._client(redirect_uri) as client:
            address, _ = client.create_authorization_url(
                self._about_itself("authorization_endpoint"),
                state=journey.state,
                nonce=journey.nonce,
                code_verifier=journey.verifier,
            )
        return str(address), journey

    def finish(self, journey: Journey, *, state: str, code: str, redirect_uri: str) -> str:
        """Return the name that the provider vouches for. Raises StrangerError on anything that doesn't fit."""
        if not secrets.compare_digest(state.encode("utf-8", "replace"), journey.state.encode()):
            raise StrangerError("the sign-in was begun elsewhere; begin again")
        try:
            with self._client(redirect_uri) as client:
                token = client.fetch_token(
                    self._about_itself("token_endpoint"),
                    code=code,
                    code_verifier=journey.verifier,
                    grant_type="authorization_code",
                )
                keys = KeySet.import_key_set(self._get(self._about_itself("jwks_uri")))
            claims = jwt.decode(token["id_token"], keys, algorithms=_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self._about_itself("issuer")},
                aud={"essential": True, "value": self.client_id},
                exp={"essential": True},
                nonce={"essential": True, "value": journey.nonce},
            ).validate(claims)
        except (OAuthError, httpx.HTTPError, httpx.InvalidURL, JoseError, KeyError, *_OF_SHAPE) as error:
            raise StrangerError(f"the identity provider didn't vouch for you: {type(error).__name__}") from error
        name = claims.get(self.name_claim)
        if not isinstance(name, str) or not name:
            raise StrangerError(f"the identity provider sent no {self.name_claim}")
        return name

    def _client(self, redirect_uri: str) -> Any:
        return OAuth2Client(
            self.client_id,
            self.client_secret,
            scope="openid profile",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=self.transport,
            timeout=_TIMEOUT_S,
        )

    def _about_itself(self, name: str) -> str:
        """Return an address of the provider's own description: an endpoint, or its issuer to the letter."""
        now = time.monotonic()
        if self._about is None or now - self._about[0] > _KEPT_S:
            about = self._get(f"{self.issuer}/.well-known/openid-configuration")
            if not isinstance(about, dict) or not all(_is_address(about.get(name)) for name in ("issuer", *_ENDPOINTS)):
                raise StrangerError(_AWAY)
            if about["issuer"].rstrip("/") != self.issuer:
                raise StrangerError("the identity provider calls itself by another name than the setting")
            self._about = (now, about)
        address: str = self._about[1][name]
        return address

    def _get(self, address: str) -> Any:
        try:
            with httpx.Client(transport=self.transport, timeout=_TIMEOUT_S) as client:
                return client.get(address).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise StrangerError(_AWAY) from error


def _is_address(value: object) -> bool:
    try:
        return (
            isinstance(value, str) and bool(urlsplit(value).hostname) and httpx.URL(value).scheme in ("http", "https")
        )
    except (ValueError, httpx.InvalidURL):
        return False
