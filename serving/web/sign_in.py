"""Signing in and out on pages: a one-time link, name and password, a set-up link, an identity provider."""

import base64
import math
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from models.errors import InputError
from serving.api.people import refuse_foreign_pages, set_session
from serving.auth import MIN_PASSWORD_LENGTH, SESSION_COOKIE
from serving.deps import HouseDep, MaybePerson, read_body
from serving.oidc import Journey, OidcProvider
from serving.refusals import LockedOutError, StrangerError, UnknownError

TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")
_MAX_FORM_BYTES = 10_000
_JOURNEY_COOKIE = "evidence_review_journey"
_JOURNEY_S = 600

log = structlog.get_logger(__name__)

router = APIRouter(include_in_schema=False)


async def sign_in_form(request: Request, house: HouseDep) -> dict[str, str]:
    """Return the fields as typed."""
    refuse_foreign_pages(request, house)
    body = await read_body(request, max_bytes=_MAX_FORM_BYTES)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


@router.get("/sign-in", response_class=HTMLResponse)
def show_sign_in(house: HouseDep, person: MaybePerson, request: Request, token: str | None = None) -> Response:
    """Show the form, or spend a one-time link."""
    if token is not None:
        try:
            return _welcome(house, house.gatekeeper.sign_in_by_link(token))
        except StrangerError:
            return _page(request, house, problem="link", status=401)
    if person is not None:
        return RedirectResponse("/", 303)
    return _page(request, house)


@router.post("/sign-in", response_class=HTMLResponse)
def sign_in(house: HouseDep, request: Request, form: Annotated[dict[str, str], Depends(sign_in_form)]) -> Response:
    try:
        return _welcome(house, house.gatekeeper.sign_in_by_password(form.get("name", ""), form.get("password", "")))
    except StrangerError:
        return _page(request, house, problem="password", status=401)
    except LockedOutError as error:
        page = _page(request, house, problem="locked", status=429)
        page.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        return page


@router.get("/set-up", response_class=HTMLResponse)
def show_set_up(request: Request, token: str = "") -> Response:
    """Show the form to choose a password; opening the link doesn't spend it."""
    return _set_up_page(request, token)


@router.post("/set-up", response_class=HTMLResponse)
def set_up(house: HouseDep, request: Request, form: Annotated[dict[str, str], Depends(sign_in_form)]) -> Response:
    """Spend a set-up link: the password is set, every earlier session ends, this browser is signed in."""
    token = form.get("token", "")
    if form.get("password") != form.get("again"):
        return _set_up_page(request, token, problem="again", status=422)
    try:
        return _welcome(house, house.gatekeeper.set_up(token, form.get("password", "")))
    except InputError:
        return _set_up_page(request, token, problem="short", status=422)
    except StrangerError:
        return _page(request, house, problem="link", status=401)


@router.get("/sign-in/provider")
def to_provider(house: HouseDep, request: Request) -> Response:
    """Send the browser to the identity provider."""
    provider = _provider(house)
    try:
        address, journey = provider.begin(redirect_uri=_callback(house, request))
    except StrangerError:
        return _page(request, house, problem="provider", status=503)
    response = RedirectResponse(address, 303)
    response.set_cookie(
        _JOURNEY_COOKIE,
        base64.urlsafe_b64encode(journey.text().encode()).decode(),
        max_age=_JOURNEY_S,
        httponly=True,
        samesite="lax",
        secure=house.settings.cookies_are_secure,
        path="/sign-in/provider",
    )
    return response


@router.get("/sign-in/provider/back")
def from_provider(house: HouseDep, request: Request, state: str = "", code: str = "") -> Response:
    """Take the browser back from the identity provider."""
    provider = _provider(house)
    try:
        kept = base64.urlsafe_b64decode(request.cookies.get(_JOURNEY_COOKIE, "").encode()).decode()
        journey = Journey.of_text(kept)
        name = provider.finish(journey, state=state, code=code, redirect_uri=_callback(house, request))
        response = _welcome(house, house.gatekeeper.sign_in_by_name(name))
    except (StrangerError, ValueError) as error:
        log.warning("provider_sign_in_refused", problem=str(error)[:200])
        response = _page(request, house, problem="provider", status=401)
    response.delete_cookie(_JOURNEY_COOKIE, path="/sign-in/provider")
    return response


@router.post("/sign-out")
def sign_out(house: HouseDep, person: MaybePerson, request: Request) -> Response:
    """End the session; needs the form's csrf_token like every change."""
    token = request.cookies.get(SESSION_COOKIE)
    if person is not None and person.via == "session" and token is not None:
        house.gatekeeper.sign_out(token, user=person.user)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


def _welcome(house: HouseDep, session_token: str) -> Response:
    response = RedirectResponse("/", 303)
    set_session(response, house, session_token)
    return response


def _page(request: Request, house: HouseDep, *, problem: str | None = None, status: int = 200) -> Response:
    context = {"problem": problem, "has_provider": house.identity_provider is not None}
    return TEMPLATES.TemplateResponse(request, "sign_in.html", context, status_code=status)


def _set_up_page(request: Request, token: str, *, problem: str | None = None, status: int = 200) -> Response:
    context = {"problem": problem, "token": token, "min_length": MIN_PASSWORD_LENGTH}
    page = TEMPLATES.TemplateResponse(request, "set_up.html", context, status_code=status)
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


def _provider(house: HouseDep) -> OidcProvider:
    if house.identity_provider is None:
        raise UnknownError("identity provider", "none is set")
    return house.identity_provider


def _callback(house: HouseDep, request: Request) -> str:
    base = house.settings.public_url or str(request.base_url)
    return base.rstrip("/") + "/sign-in/provider/back"
