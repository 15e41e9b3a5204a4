"""The web application, wired: `create_app(settings, suggester)`.

Knows no rules of its own; importing it does nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from fastapi.staticfiles import StaticFiles

from serving.api import (
    backlogs,
    cases,
    corrections,
    decisions,
    desk,
    health,
    models,
    oversight,
    own_desk,
    people,
    photo_checks,
    photos,
    retrainings,
    suggestions,
)
from serving.api.documents import TAGS, install_document
from serving.backlog_jobs import BacklogRunner
from serving.deps import SignedIn
from serving.desk_keeper import DeskKeeper
from serving.errors import install_errors, unforeseen
from serving.house import House, build_house
from serving.loop import Loop, stop_all
from serving.rate_limit import RateLimit
from serving.repeats import Repeats
from serving.scoring import SuggestsRulings
from serving.settings import Settings
from serving.traffic import Figures, Traffic
from serving.web import pages

log = structlog.get_logger(__name__)

_KEEPER_PAUSE_S = 5.0
_STATIC = Path(__file__).parent / "web" / "static"
_DESCRIPTION = (
    "Reads the evidence of e-commerce disputes and suggests a ruling with a calibrated confidence and its reasons. "
    "A person decides: no route records a decision without a signed-in arbitrator. Problems are RFC 9457."
)


def create_app(settings: Settings, suggester: SuggestsRulings | None = None, *, house: House | None = None) -> FastAPI:
    """Return the application. Without a suggester, cases are taken in and decided without suggestions.

    house : if the parts are wired already, they are used as they are
    """
    built = house or build_house(settings, suggester)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        provider = built.identity_provider
        if provider is not None and provider.name_may_change_hands:
            log.warning("oidc_name_not_unique", claim=provider.name_claim)
        optional = built.champion_keeper(), built.courier(), built.retraining_runner(), built.shadow_worker()
        loops: list[Loop] = [
            built.worker(),
            BacklogRunner(built.backlogs, poll_s=settings.worker_poll_s),
            DeskKeeper(built.store, pause_s=_KEEPER_PAUSE_S),
            *(loop for loop in optional if loop is not None),
        ]
        for loop in loops:
            loop.start()
        yield
        stop_all(loops)
        if house is None:
            built.store.close()

    app = FastAPI(
        title="Dispute evidence review",
        version="1",
        description=_DESCRIPTION,
        openapi_tags=TAGS,
        openapi_url=None,
        lifespan=lifespan,
        max_body_size=settings.max_request_bytes,
        separate_input_output_schemas=False,
    )
    app.state.house = built
    app.state.figures = Figures()
    app.add_middleware(Repeats, house=built)
    app.add_middleware(
        RateLimit,
        requests_per_minute=settings.requests_per_minute,
        sign_ins_per_minute=settings.sign_ins_per_minute,
    )
    app.add_middleware(Traffic, figures=app.state.figures, unforeseen=unforeseen)
    install_errors(app)
    app.include_router(_api(app), prefix="/api/v1")
    app.include_router(health.router, include_in_schema=False)
    app.include_router(pages.router)
    static = StaticFiles(directory=_STATIC)
    app.mount("/static", static, name="static")
    app.state.figures.templates[id(static)] = "/static"
    install_document(app)
    for context in iter_route_contexts(app.routes):
        app.state.figures.templates.setdefault(id(context.original_route), context.path or "")
    return app


def _api(app: FastAPI) -> APIRouter:
    """The routes of more words come first: a case id may hold slashes."""
    router = APIRouter()
    for part in (
        health,
        people,
        backlogs,
        photo_checks,
        photos,
        suggestions,
        decisions,
        corrections,
        desk,
        own_desk,
        oversight,
        models,
        retrainings,
        cases,
    ):
        router.include_router(part.router)

    @router.get("/openapi.json", include_in_schema=False)
    def document(person: SignedIn) -> JSONResponse:
        content: dict[str, Any] = app.openapi()
        return JSONResponse(content)

    return router
