"""What happens to every request around its route: an id, a log line, figures, security headers.

Logs name the route's template, never its query or body: ids in addresses and tokens in links stay out. An error that
nobody foresaw ends here, in our own log: what is around us would print it unmasked.
"""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_OUR_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")

log = structlog.get_logger("serving.request")


class Figures:
    """The service's Prometheus figures; one registry an app.

    templates : whole route template by the id of the route, which itself knows only the part after its prefix; of a
        mounted app, where it is mounted
    """

    def __init__(self) -> None:
        self.templates: dict[int, str] = {}
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "evidence_review_requests",
            "Requests by route template.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "evidence_review_request_seconds",
            "Seconds to answer, by route template.",
            ["method", "route"],
            registry=self.registry,
        )
        self.cases = Gauge("evidence_review_cases", "Cases by status.", ["status"], registry=self.registry)
        self.open_jobs = Gauge("evidence_review_open_jobs", "Scoring jobs not done.", registry=self.registry)
        self.outbox = Gauge("evidence_review_outbox_messages", "Messages by state.", ["state"], registry=self.registry)
        self.oldest_job = Gauge(
            "evidence_review_oldest_open_job_seconds",
            "How long the oldest scoring job that is due has waited; 0 when none is.",
            registry=self.registry,
        )
        self.oldest_message = Gauge(
            "evidence_review_oldest_waiting_message_seconds",
            "How long the oldest message in the outbox has waited; 0 when none does.",
            registry=self.registry,
        )
        self.free_bytes = Gauge(
            "evidence_review_photo_folder_free_bytes", "Room left for photos.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        self.model_loaded = Gauge("evidence_review_model_loaded", "1 if a model is loaded.", registry=self.registry)

    def template(self, scope: Scope) -> str:
        """Return the template of the route or mounted app that a request went to, "unmatched" where it found none."""
        known = (self.templates.get(id(scope.get(key))) for key in ("route", "endpoint"))
        return next(filter(None, known), "unmatched")


class Traffic:
    """ASGI middleware.

    unforeseen : the answer to a request that met an error nobody foresaw
    """

    def __init__(self, app: ASGIApp, *, figures: Figures, unforeseen: Callable[[Request], Response]) -> None:
        self.app = app
        self.figures = figures
        self.unforeseen = unforeseen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = Headers(scope=scope).get("x-request-id", "")
        request_id = offered if _OUR_ID.match(offered) else uuid.uuid4().hex
        scope["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, began, answered = 500, time.perf_counter(), False

        async def send_marked(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        except Exception as error:
            log.error("unforeseen_error", error=type(error).__name__, exc_info=error)
            if not answered:
                await self.unforeseen(Request(scope))(scope, receive, send_marked)
        finally:
            seconds = time.perf_counter() - began
            route = self.figures.template(scope)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self.figures.requests.labels(method, route, str(status)).inc()
            self.figures.seconds.labels(method, route).observe(seconds)
            log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
