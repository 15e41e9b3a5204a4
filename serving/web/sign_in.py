"""Signing in and out on pages: a one-time link or name and password."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from serving.api.people import refuse_foreign_pages, set_session
from serving.auth import SESSION_COOKIE
from serving.deps import HouseDep, MaybePerson, read_body
from serving.refusals import StrangerError

TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")
_MAX_FORM_BYTES = 10_000

router = APIRouter(include_in_schema=False)


async def sign_in_form(request: Request) -> tuple[str, str]:
    """Return name and password as typed; empty where they are missing."""
    refuse_foreign_pages(request)
    body = await read_body(request, max_bytes=_MAX_FORM_BYTES)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return fields.get("name", [""])[0], fields.get("password", [""])[0]


@router.get("/sign-in", response_class=HTMLResponse)
def show_sign_in(house: HouseDep, person: MaybePerson, request: Request, token: str | None = None) -> Response:
    """Show the form, or spend a one-time link."""
    if token is not None:
        try:
            return _welcome(house, house.gatekeeper.sign_in_by_link(token))
        except StrangerError:
            return _page(request, problem="link", status=401)
    if person is not None:
        return RedirectResponse("/", 303)
    return _page(request)


@router.post("/sign-in", response_class=HTMLResponse)
def sign_in(house: HouseDep, request: Request, form: Annotated[tuple[str, str], Depends(sign_in_form)]) -> Response:
    name, password = form
    try:
        return _welcome(house, house.gatekeeper.sign_in_by_password(name, password))
    except StrangerError:
        return _page(request, problem="password", status=401)


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


def _page(request: Request, *, problem: str | None = None, status: int = 200) -> Response:
    return TEMPLATES.TemplateResponse(request, "sign_in.html", {"problem": problem}, status_code=status)
