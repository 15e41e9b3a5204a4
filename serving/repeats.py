"""Requests sent again: every POST of the API with an Idempotency-Key has one effect and one answer.

Signing in is left out: its answer is a secret. A refusal (4xx, 5xx) that changed nothing is not kept; it is answered
anew. Knows nothing of what a route does.
"""

import hashlib
from contextlib import suppress
from http.cookies import CookieError

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import InputError, ReviewError
from serving.auth import SESSION_COOKIE, token_shown
from serving.errors import problem_of
from serving.house import House
from serving.records import User
from serving.refusals import BodyTooLargeError, StorageError
from serving.store.idempotency import KeptAnswer, Reservation, current

KEY_HEADER = "Idempotency-Key"
_MAX_KEY_LENGTH = 200
_MAX_ANSWER_BYTES = 4_000_000


class Repeats:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, house: House) -> None:
        self.app = app
        self.house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or not scope["path"].startswith("/api/v1/")
            or scope["path"] == "/api/v1/session"
            or KEY_HEADER not in Headers(scope=scope)
        ):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            user = await run_in_threadpool(self._user, request)
            if user is None:
                await self.app(scope, receive, send)
                return
            body = await self._body(request)
            found = await run_in_threadpool(self._reserve, request, user, body)
        except ReviewError as error:
            await problem_of(request, error)(scope, receive, send)
            return
        if isinstance(found, KeptAnswer):
            await _response(found)(scope, receive, send)
            return
        await self._act(found, body, scope, receive, send)

    def _user(self, request: Request) -> User | None:
        """Return who asks, as the route will find out again."""
        token, session_token = token_shown(request.headers.get("authorization", "")), None
        with suppress(CookieError):
            session_token = request.cookies.get(SESSION_COOKIE)
        person = self.house.gatekeeper.recognise(request.scope, token=token, session_token=session_token)
        return person.user if person is not None else None

    async def _body(self, request: Request) -> bytes:
        """Raises BodyTooLargeError."""
        max_bytes, chunks, n_bytes = self.house.settings.max_request_bytes, [], 0
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise BodyTooLargeError(max_bytes=max_bytes)
            chunks.append(chunk)
        return b"".join(chunks)

    def _reserve(self, request: Request, user: User, body: bytes) -> Reservation | KeptAnswer:
        key = request.headers[KEY_HEADER]
        if not 1 <= len(key) <= _MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
            raise InputError(f"must be 1 to {_MAX_KEY_LENGTH} printable ASCII characters", field=KEY_HEADER)
        parts = (request.url.path, request.url.query, request.headers.get("if-match", ""))
        digest = hashlib.sha256(b"\x00".join((*(part.encode("utf-8", "replace") for part in parts), body)))
        return self.house.store.request_keys.reserve(user, key, request_digest=digest.hexdigest())

    async def _act(self, reservation: Reservation, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route act, then keep its answer, or give the key back when it refused."""
        sent = [False]

        async def receive_again() -> Message:
            if sent[0]:
                return await receive()
            sent[0] = True
            return {"type": "http.request", "body": body, "more_body": False}

        messages: list[Message] = []

        async def hold(message: Message) -> None:
            messages.append(message)

        token = current.set(reservation)
        try:
            await self.app(scope, receive_again, hold)
        finally:
            current.reset(token)
            answer = _answer(messages)
            with suppress(StorageError):
                if answer is None or answer.status >= 400 or len(answer.body) > _MAX_ANSWER_BYTES:
                    await run_in_threadpool(self.house.store.request_keys.release, reservation)
                else:
                    await run_in_threadpool(self.house.store.request_keys.keep_answer, reservation, answer)
        for message in messages:
            await send(message)


def _answer(messages: list[Message]) -> KeptAnswer | None:
    """Return the whole answer that a route sent; None when it sent none, or no text."""
    if not messages or messages[0]["type"] != "http.response.start":
        return None
    headers = MutableHeaders(raw=list(messages[0]["headers"]))
    try:
        body = b"".join(message.get("body", b"") for message in messages[1:]).decode()
    except UnicodeDecodeError:
        return None
    return KeptAnswer(
        status=messages[0]["status"],
        body=body,
        content_type=headers.get("content-type", "application/json"),
        etag=headers.get("etag"),
    )


def _response(answer: KeptAnswer) -> Response:
    headers = {"Idempotency-Replayed": "true"} | ({"ETag": answer.etag} if answer.etag else {})
    return Response(answer.body, answer.status, headers=headers, media_type=answer.content_type)
