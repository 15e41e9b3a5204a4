"""How many requests one address, session or token may make a minute. Kept in this process only.

A session or token has a limit of its own once the service has recognised it; before that, and where none is shown, its
address is charged, and charged no more for what turns out to be recognised. So made-up ones meet the limit of whoever
sends them, cost nothing beyond it and displace nobody's, while people behind the same address go on.

Knows nothing of people: a session or token is known by its digest.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.auth import RECOGNISED, SESSION_COOKIE, hash_token, token_shown
from serving.errors import problem_of
from serving.refusals import TooManyError

_SIGN_INS = ("/sign-in", "/set-up", "/api/v1/session")
_FREE = ("/static/", "/health/", "/api/v1/health/")
_KEPT = 20_000


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """A bucket of `per_minute` requests a name, filled evenly; the names used longest ago are forgotten.

    Not for several threads at once: it is asked on the event loop only.
    """

    def __init__(self, per_minute: int, *, names_kept: int = _KEPT) -> None:
        self.per_minute = per_minute
        self.names_kept = names_kept
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._buckets

    def wait_s(self, name: str, *, now: float) -> float:
        """Take a request and return 0, or return how many seconds to wait until one is free.

        now : seconds of a clock that never goes back
        """
        bucket = self._buckets.pop(name, None) or _Bucket(self.per_minute, now)
        bucket.tokens = min(self.per_minute, bucket.tokens + (now - bucket.filled_at) * self.per_minute / 60)
        bucket.filled_at = now
        self._buckets[name] = bucket
        if len(self._buckets) > self.names_kept:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) * 60 / self.per_minute
        bucket.tokens -= 1
        return 0.0

    def give_back(self, name: str) -> None:
        """Take a request for never made."""
        if name in self._buckets:
            self._buckets[name].tokens += 1

    def forget(self, name: str) -> None:
        self._buckets.pop(name, None)


class RateLimit:
    """ASGI middleware that answers 429 with Retry-After."""

    def __init__(self, app: ASGIApp, *, requests_per_minute: int, sign_ins_per_minute: int) -> None:
        self.app = app
        self.recognised = RateLimiter(requests_per_minute)
        self.addresses = RateLimiter(requests_per_minute)
        self.sign_ins = RateLimiter(sign_ins_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FREE):
            await self.app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else "unknown"
        shown = _shown(scope)
        if scope["path"].startswith(_SIGN_INS) and (scope["method"] == "POST" or scope["query_string"]):
            limiter, name = self.sign_ins, address
        elif shown in self.recognised:
            limiter, name = self.recognised, shown
        else:
            limiter, name = self.addresses, address
        wait_s = limiter.wait_s(name, now=time.monotonic())
        if wait_s > 0:
            refusal = TooManyError("too many requests; try again shortly", retry_after_s=wait_s)
            await problem_of(Request(scope), refusal)(scope, receive, send)
        elif limiter is self.sign_ins:
            await self.app(scope, receive, self._learning(send))
        else:
            try:
                await self.app(scope, receive, send)
            finally:
                self._settle(limiter, address, shown, is_known=scope.get(RECOGNISED))

    def _settle(self, limiter: RateLimiter, address: str, shown: str, *, is_known: bool | None) -> None:
        """Charge whom the request belongs to. is_known : None where nobody looked whose it is"""
        if is_known and limiter is self.addresses:
            self.addresses.give_back(address)
            self.recognised.wait_s(shown, now=time.monotonic())
        elif is_known is False and limiter is self.recognised:
            self.recognised.forget(shown)
            self.addresses.wait_s(address, now=time.monotonic())

    def _learning(self, send: Send) -> Send:
        """Return a `send` that gives the session just opened a limit of its own."""

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                for cookie in Headers(raw=message["headers"]).getlist("set-cookie"):
                    if session := cookie_parser(cookie).get(SESSION_COOKIE):
                        self.recognised.wait_s(hash_token(session), now=time.monotonic())
            await send(message)

        return noted


def _shown(scope: Scope) -> str:
    """Return the digest of the token or session that a request shows, as the service will look it up; else ""."""
    headers = Headers(scope=scope)
    token = token_shown(headers.get("authorization", "")) or cookie_parser(headers.get("cookie", "")).get(
        SESSION_COOKIE
    )
    return hash_token(token) if token else ""
