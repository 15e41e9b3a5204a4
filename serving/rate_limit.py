"""How many requests one address, session or token may make a minute. Kept in this process only.

Knows nothing of people: a token is known by its digest, whether or not it is a true one.
"""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.auth import SESSION_COOKIE
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


class RateLimit:
    """ASGI middleware that answers 429 with Retry-After."""

    def __init__(self, app: ASGIApp, *, requests_per_minute: int, sign_ins_per_minute: int) -> None:
        self.app = app
        self.requests = RateLimiter(requests_per_minute)
        self.sign_ins = RateLimiter(sign_ins_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FREE):
            await self.app(scope, receive, send)
            return
        limiter, name = self._limiter(scope)
        wait_s = limiter.wait_s(name, now=time.monotonic())
        if wait_s == 0:
            await self.app(scope, receive, send)
            return
        refusal = TooManyError("too many requests; try again shortly", retry_after_s=wait_s)
        await problem_of(Request(scope), refusal)(scope, receive, send)

    def _limiter(self, scope: Scope) -> tuple[RateLimiter, str]:
        address = scope["client"][0] if scope.get("client") else "unknown"
        path: str = scope["path"]
        if path.startswith(_SIGN_INS) and (scope["method"] == "POST" or scope["query_string"]):
            return self.sign_ins, address
        headers = Headers(scope=scope)
        shown = headers.get("authorization") or cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE)
        return self.requests, hashlib.sha256(shown.encode()).hexdigest() if shown else address
