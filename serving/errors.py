"""Every error as an RFC 9457 problem, from one table of statuses.

Bodies name the field at fault and the request's id, never hold a stack trace, and quote what came in only with personal
data masked.
"""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException

from models.domain import Frozen
from models.errors import (
    CaseFormatError,
    EncoderError,
    ImageError,
    ImageTooLargeError,
    InputError,
    ModelError,
    PromotionRefusedError,
    ReviewError,
    RulePackError,
)
from models.privacy import mask
from serving.refusals import (
    AlreadyDecidedError,
    AnswerLostError,
    BodyTooLargeError,
    CaseClosedError,
    CaseErasedError,
    CaseExistsError,
    ChampionMovedError,
    ConflictError,
    DepartsError,
    ForbiddenError,
    HeldError,
    KeyMissingError,
    KeyReusedError,
    LoadCapError,
    LockedOutError,
    ModelAbsentError,
    NoticeSentError,
    PhotoCorruptError,
    RequestInFlightError,
    RetrainingUnderWayError,
    ScoringBusyError,
    StaleVersionError,
    StorageError,
    StorageFullError,
    StrangerError,
    SuggestionHiddenError,
    SuggestionsOffError,
    TooManyError,
    UnknownError,
)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = 5

log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    status: int
    slug: str


STATUSES: dict[type[ReviewError], Answer] = {
    ReviewError: Answer(500, "internal"),
    InputError: Answer(422, "bad-input"),
    CaseFormatError: Answer(422, "bad-input"),
    ImageError: Answer(415, "not-a-photo"),
    ImageTooLargeError: Answer(413, "photo-too-large"),
    RulePackError: Answer(500, "internal"),
    ModelError: Answer(503, "model-trouble"),
    PromotionRefusedError: Answer(409, "promotion-refused"),
    EncoderError: Answer(503, "model-trouble"),
    UnknownError: Answer(404, "unknown"),
    ConflictError: Answer(409, "conflict"),
    CaseExistsError: Answer(409, "case-exists"),
    CaseClosedError: Answer(409, "case-closed"),
    CaseErasedError: Answer(409, "case-erased"),
    AlreadyDecidedError: Answer(409, "already-decided"),
    StaleVersionError: Answer(412, "stale-version"),
    HeldError: Answer(409, "held-by-another"),
    LoadCapError: Answer(409, "load-cap"),
    NoticeSentError: Answer(409, "notice-sent"),
    SuggestionHiddenError: Answer(409, "blind-first"),
    SuggestionsOffError: Answer(409, "suggestions-off"),
    ChampionMovedError: Answer(409, "champion-moved"),
    RetrainingUnderWayError: Answer(409, "retraining-under-way"),
    RequestInFlightError: Answer(409, "in-flight"),
    AnswerLostError: Answer(409, "answer-lost"),
    DepartsError: Answer(422, "departs-from-precedents"),
    KeyMissingError: Answer(400, "idempotency-key-missing"),
    KeyReusedError: Answer(422, "idempotency-key-reused"),
    StrangerError: Answer(401, "not-signed-in"),
    TooManyError: Answer(429, "too-many"),
    LockedOutError: Answer(429, "locked-out"),
    ForbiddenError: Answer(403, "forbidden"),
    BodyTooLargeError: Answer(413, "body-too-large"),
    ModelAbsentError: Answer(503, "no-model"),
    ScoringBusyError: Answer(503, "busy"),
    PhotoCorruptError: Answer(500, "photo-corrupt"),
    StorageError: Answer(503, "storage-trouble"),
    StorageFullError: Answer(507, "storage-full"),
}


class FieldProblem(Frozen):
    field: str
    message: str


class Problem(Frozen):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:evidence-review:problem:bad-input"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["order.paid_minor: is required"])
    instance: str = Field(examples=["/api/v1/cases"])
    request_id: str | None = None
    errors: tuple[FieldProblem, ...] = ()


class SignInNeededError(StrangerError):
    """A page was asked for by nobody who is signed in; the browser is sent to the sign-in page."""


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for a route's problems.

    A request longer than any that is taken is refused before it reaches a route, in plain text.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    too_long = {**content, "text/plain": {"schema": {"type": "string"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": too_long if status == 413 else content}
        for status in statuses
    }


def problem(
    request: Request,
    answer: Answer,
    detail: str,
    *,
    errors: Sequence[tuple[str, str]] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    body = Problem(
        type=f"urn:evidence-review:problem:{answer.slug}",
        title=HTTPStatus(answer.status).phrase,
        status=answer.status,
        detail=_printable(detail),
        instance=_printable(request.url.path),
        request_id=request.scope.get("request_id"),
        errors=tuple(FieldProblem(field=_printable(field), message=_printable(text)) for field, text in errors[:100]),
    )
    return JSONResponse(body.model_dump(), answer.status, headers=headers, media_type=MEDIA_TYPE)


def install_errors(app: FastAPI) -> None:
    app.add_exception_handler(SignInNeededError, _to_sign_in)
    app.add_exception_handler(ReviewError, _review_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)


def answer_to(error: ReviewError) -> Answer:
    """Return the status of the nearest ancestor in the table."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def _to_sign_in(request: Request, error: Exception) -> Response:
    return RedirectResponse("/sign-in", 303)


def _review_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ReviewError):
        raise error
    return problem_of(request, error)


def problem_of(request: Request, error: ReviewError) -> Response:
    """Return the answer that a deliberate error gives."""
    answer = answer_to(error)
    if isinstance(error, CaseFormatError):
        errors: Sequence[tuple[str, str]] = error.problems
    elif isinstance(error, InputError) and error.field:
        errors = [(error.field, error.message)]
    else:
        errors = ()
    if isinstance(error, PhotoCorruptError):
        log.error("photo_corrupt", digest=error.digest)
    elif answer.status >= 500:
        log.error("refused", problem=answer.slug, error=type(error).__name__)
    headers = {}
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if answer.status in (429, 503, 507) or isinstance(error, RequestInFlightError):
        headers["Retry-After"] = str(math.ceil(getattr(error, "retry_after_s", _RETRY_AFTER_S)))
    return problem(request, answer, str(error)[:2000], errors=errors, headers=headers)


def _invalid_request(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        (".".join(str(part) for part in item["loc"][1:]) or "body", str(item["msg"]).removeprefix("Value error, "))
        for item in found
    ]
    detail = "; ".join(f"{field}: {message}" for field, message in errors)[:2000]
    return problem(request, Answer(422, "bad-input"), detail, errors=errors)


def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    headers = dict(error.headers) if error.headers else None
    return problem(request, Answer(error.status_code, slug), str(error.detail), headers=headers)


def unforeseen(request: Request) -> Response:
    """Return the answer to a request that met an error nobody foresaw."""
    return problem(request, Answer(500, "internal"), "an unforeseen error; the log has it under the request's id")


def _printable(text: str) -> str:
    return mask(text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\\0"))
