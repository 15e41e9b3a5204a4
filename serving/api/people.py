"""Signing in and out over HTTP, and who one is."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from pydantic import Field

from models.domain import Frozen
from serving.auth import SESSION_COOKIE
from serving.deps import HouseDep, SignedIn
from serving.errors import problem_responses
from serving.house import House
from serving.records import Role
from serving.refusals import ForbiddenError, StrangerError

router = APIRouter(tags=["people"])


class SignInDraft(Frozen):
    name: Annotated[str, Field(min_length=1, max_length=128)]
    password: Annotated[str, Field(min_length=1, max_length=1000)]


class Me(Frozen):
    """csrf_token goes into the X-CSRF-Token header of requests that change something; null for API tokens."""

    name: str
    role: Role
    csrf_token: str | None = None


def set_session(response: Response, house: House, session_token: str) -> None:
    response.set_cookie(
        SESSION_COOKIE,
        session_token,
        max_age=int(house.settings.session_hours * 3600),
        httponly=True,
        samesite="lax",
        secure=house.settings.cookies_are_secure,
        path="/",
    )


def refuse_foreign_pages(request: Request, house: House) -> None:
    """Raise ForbiddenError on a form that another site's page sent here.

    Browsers leave Sec-Fetch-Site out over plain HTTP; they then tell by the Origin.
    """
    own = {request.headers.get("host"), urlsplit(house.settings.public_url or "").netloc} - {""}
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    foreign = site not in ("same-origin", "none") if site else origin is not None and urlsplit(origin).netloc not in own
    if foreign:
        raise ForbiddenError("signing in from another site's page isn't allowed")


@router.post("/session", status_code=201, responses=problem_responses(400, 401, 403, 422, 503))
def sign_in(draft: SignInDraft, house: HouseDep, request: Request, response: Response) -> Me:
    """Sign in by name and password; sets the session cookie."""
    refuse_foreign_pages(request, house)
    token = house.gatekeeper.sign_in_by_password(draft.name, draft.password)
    person = house.gatekeeper.person_of_session(token)
    if person is None:
        raise StrangerError("the session couldn't be opened")
    set_session(response, house, token)
    return Me(name=person.user.name, role=person.user.role, csrf_token=person.csrf_token)


@router.delete("/session", status_code=204, responses=problem_responses(401, 403, 503))
def sign_out(person: SignedIn, house: HouseDep, request: Request, response: Response) -> None:
    """End the session of this browser."""
    token = request.cookies.get(SESSION_COOKIE)
    if person.via == "session" and token is not None:
        house.gatekeeper.sign_out(token, user=person.user)
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.get("/me", responses=problem_responses(401, 503))
def who_am_i(person: SignedIn) -> Me:
    """Say who is signed in."""
    return Me(name=person.user.name, role=person.user.role, csrf_token=person.csrf_token)
