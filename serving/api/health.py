"""Is the service alive, can it do its work, and its figures."""

from datetime import UTC, datetime
from typing import Literal

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from models.domain import Frozen
from serving.deps import HouseDep, MaybePerson, needs, signed_in
from serving.errors import problem_responses
from serving.house import House
from serving.records import Role, Scope
from serving.traffic import Figures

router = APIRouter(tags=["health"])

_PHOTOS_LOOKED_FOR = 5

log = structlog.get_logger(__name__)


class Alive(Frozen):
    status: Literal["alive"] = "alive"


class Readiness(Frozen):
    """status: ready; degraded (no model: cases are taken in and decided without suggestions); unavailable."""

    status: Literal["ready", "degraded", "unavailable"]
    database: bool
    photos: bool
    model: bool
    model_version: str | None = None


@router.get("/health/live")
def live() -> Alive:
    """The process answers."""
    return Alive()


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "Database or photo folder fail."}})
def ready(house: HouseDep, response: Response) -> Readiness:
    """What works: the database answers in the schema of this program, photos can be written and those on file are
    there, a model is loaded.
    """
    database = _database_answers(house)
    photos = _photos_writable(house) and (not database or _photos_there(house))
    model = house.scoring.suggester is not None
    works = database and photos
    if not works:
        response.status_code = 503
    return Readiness(
        status="unavailable" if not works else "ready" if model else "degraded",
        database=database,
        photos=photos,
        model=model,
        model_version=house.scoring.model_version,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus figures."},
        **problem_responses(401, 403, 503),
    },
)
def metrics(house: HouseDep, person: MaybePerson, request: Request) -> Response:
    """Figures for Prometheus. Open to strangers only where the setting metrics_open says so."""
    if not house.settings.metrics_open:
        needs(Role.ENGINEER, Role.LEAD, Role.AUDITOR, Role.SERVICE, scope=Scope.OPERATE)(signed_in(person))
    figures: Figures = request.app.state.figures
    for status, n_cases in house.store.counts().items():
        figures.cases.labels(status.value).set(n_cases)
    for state, n_messages in house.store.outbox.counts().items():
        figures.outbox.labels(state).set(n_messages)
    figures.open_jobs.set(house.store.score_queue.count_open())
    figures.oldest_job.set(_age_s(house.store.score_queue.oldest_due_at()))
    figures.oldest_message.set(_age_s(house.store.outbox.oldest_waiting_at()))
    figures.free_bytes.set(house.photos.free_bytes())
    figures.model_loaded.set(house.scoring.suggester is not None)
    return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)


def _age_s(since: datetime | None) -> float:
    return max(0.0, (datetime.now(UTC) - since).total_seconds()) if since is not None else 0.0


def _database_answers(house: House) -> bool:
    try:
        house.store.ping()
    except Exception as error:
        log.error("database_unavailable", error=type(error).__name__)
        return False
    return True


def _photos_there(house: House) -> bool:
    """Tell an empty folder, such as that of a volume that isn't mounted, from one that holds the photos on file."""
    known = house.store.oldest_photos(limit=_PHOTOS_LOOKED_FOR)
    if known and not any(house.photos.has(digest) for digest in known):
        log.error("photos_absent", folder=str(house.photos.directory))
        return False
    return True


def _photos_writable(house: House) -> bool:
    try:
        house.photos.check_writable()
    except OSError as error:
        log.error("photos_unwritable", error=type(error).__name__)
        return False
    return True
