"""What routes ask for: the house, the person, the body of the request.

Bodies are read only after the person is known and allowed, and never beyond their cap.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError

from models.domain import Frozen, Identifier
from models.errors import CaseFormatError, InputError
from models.vocabulary import Platform
from serving.auth import CSRF_FIELD, CSRF_HEADER, SESSION_COOKIE, same_secret
from serving.errors import SignInNeededError
from serving.house import House
from serving.records import CaseKey, Person, Role, Scope
from serving.refusals import BodyTooLargeError, ForbiddenError, StrangerError, UnknownError
from serving.store import Store

Draft = TypeVar("Draft", bound=Frozen)

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_MAX_FORM_BYTES = 1_000_000

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="An API token of `evidence-review user token`.")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE,
    auto_error=False,
    scheme_name="session",
    description=f"A browser session; requests that change something carry {CSRF_HEADER} too.",
)


def get_house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(get_house)]


def get_store(house: HouseDep) -> Store:
    return house.store


StoreDep = Annotated[Store, Depends(get_store)]


async def _csrf_given(request: Request) -> str:
    """Return the CSRF token of the request's header, or of its form where a plain page posts one."""
    given = request.headers.get(CSRF_HEADER)
    if given is not None or request.method in _SAFE_METHODS or SESSION_COOKIE not in request.cookies:
        return given or ""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        await read_body(request, max_bytes=_MAX_FORM_BYTES)
        value = (await request.form()).get(CSRF_FIELD)
        return value if isinstance(value, str) else ""
    return ""


def find_person(
    request: Request,
    house: HouseDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    session_token: Annotated[str | None, Depends(_cookie)],
    csrf: Annotated[str, Depends(_csrf_given)],
) -> Person | None:
    """Return who makes the request, None for a stranger. Raises ForbiddenError on a missing CSRF token."""
    token = credentials.credentials if credentials is not None else None
    person = house.gatekeeper.recognise(request.scope, token=token, session_token=session_token)
    if person is None or person.via == "token" or request.method in _SAFE_METHODS:
        return person
    if not same_secret(csrf, person.csrf_token or ""):
        raise ForbiddenError(f"the header {CSRF_HEADER} (or form field {CSRF_FIELD}) is missing or wrong")
    return person


MaybePerson = Annotated[Person | None, Depends(find_person)]


def signed_in(person: MaybePerson) -> Person:
    """Raises StrangerError."""
    if person is None:
        raise StrangerError("sign in, or send an API token as `Authorization: Bearer …`")
    return person


SignedIn = Annotated[Person, Depends(signed_in)]


def needs(*roles: Role, scope: Scope | None = None) -> Callable[[Person], Person]:
    """Return a dependency that lets only these roles through. Raises StrangerError, ForbiddenError.

    scope : what an API token made with scopes must have; None keeps such tokens out
    """

    def allowed(person: SignedIn) -> Person:
        if person.user.role not in roles:
            names = ", ".join(role.value for role in roles)
            raise ForbiddenError(f"this needs one of the roles {names}; you are {person.user.role.value}")
        if not person.may(scope):
            raise ForbiddenError(f"this token is not for {scope.value if scope else 'this'}; make one with that scope")
        return person

    return allowed


def page_needs(*roles: Role) -> Callable[[Person | None], Person]:
    """Like `needs`, for pages: a stranger is sent to the sign-in page."""

    def allowed(person: MaybePerson) -> Person:
        if person is None:
            raise SignInNeededError("sign in first")
        return needs(*roles)(person)

    return allowed


Reader = Annotated[Person, Depends(needs(Role.ARBITRATOR, Role.LEAD, Role.AUDITOR, Role.SERVICE, scope=Scope.READ))]
Filer = Annotated[Person, Depends(needs(Role.ARBITRATOR, Role.LEAD, Role.SERVICE, scope=Scope.FILE))]
Scorer = Annotated[Person, Depends(needs(Role.ARBITRATOR, Role.LEAD, Role.ENGINEER, Role.SERVICE, scope=Scope.SCORE))]
Arbitrator = Annotated[Person, Depends(needs(Role.ARBITRATOR, Role.LEAD, scope=Scope.DECIDE))]
Overseer = Annotated[Person, Depends(needs(Role.LEAD, Role.AUDITOR, Role.ENGINEER, scope=Scope.READ))]
Auditor = Annotated[Person, Depends(needs(Role.LEAD, Role.AUDITOR, scope=Scope.READ))]
Lead = Annotated[Person, Depends(needs(Role.LEAD, scope=Scope.DECIDE))]
Switcher = Annotated[Person, Depends(needs(Role.LEAD, Role.ENGINEER, scope=Scope.DECIDE))]
ModelReader = Annotated[Person, Depends(needs(Role.LEAD, Role.AUDITOR, Role.ENGINEER, scope=Scope.OPERATE))]
ModelKeeper = Annotated[Person, Depends(needs(Role.LEAD, Role.ENGINEER, scope=Scope.OPERATE))]
PageReader = Annotated[Person, Depends(page_needs(Role.ARBITRATOR, Role.LEAD, Role.AUDITOR))]
PageStaff = Annotated[Person, Depends(page_needs(Role.ARBITRATOR, Role.LEAD, Role.AUDITOR, Role.ENGINEER))]
PageArbitrator = Annotated[Person, Depends(page_needs(Role.ARBITRATOR, Role.LEAD))]
PageOverseer = Annotated[Person, Depends(page_needs(Role.LEAD, Role.AUDITOR))]
PageModelReader = Annotated[Person, Depends(page_needs(Role.LEAD, Role.AUDITOR, Role.ENGINEER))]
PageModelKeeper = Annotated[Person, Depends(page_needs(Role.LEAD, Role.ENGINEER))]
PageLead = Annotated[Person, Depends(page_needs(Role.LEAD))]


def case_key(
    platform: Platform, case_id: Annotated[Identifier, Path()], person: MaybePerson, store: StoreDep
) -> CaseKey:
    """Return the case meant. Raises UnknownError when it is outside the person's queues, as if there were none."""
    key = CaseKey(platform, case_id)
    if person is not None and person.user.queues and not person.user.sees(platform, store.claim_of(key)):
        raise UnknownError("case", str(key))
    return key


CaseKeyDep = Annotated[CaseKey, Depends(case_key)]


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the body. Raises BodyTooLargeError before reading when the length is declared, else on the way."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise BodyTooLargeError(max_bytes=max_bytes)
    if hasattr(request, "_body"):
        body = await request.body()
        if len(body) > max_bytes:
            raise BodyTooLargeError(max_bytes=max_bytes)
        return body
    chunks, n_bytes = [], 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            raise BodyTooLargeError(max_bytes=max_bytes)
        chunks.append(chunk)
    request._body = b"".join(chunks)
    return request._body


async def json_body(request: Request, house: HouseDep, person: SignedIn) -> bytes:
    """Return a JSON body, unparsed. Raises InputError on another kind of body, BodyTooLargeError."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise InputError("must be application/json", field="Content-Type")
    return await read_body(request, max_bytes=house.settings.max_case_bytes)


JsonBody = Annotated[bytes, Depends(json_body)]


def parse_draft(kind: type[Draft], data: bytes) -> Draft:
    """Parse what a client drafted. Raises CaseFormatError naming every wrong field."""
    try:
        return kind.model_validate_json(data or b"{}", strict=True)
    except ValidationError as error:
        raise wrong_fields(error) from error


def wrong_fields(error: ValidationError) -> CaseFormatError:
    """Return the error that names every wrong field and quotes none."""
    return CaseFormatError(
        [
            (".".join(str(part) for part in item["loc"]) or "body", _message(item["type"], item["msg"]))
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    )


def _message(kind: str, message: str) -> str:
    known = {"extra_forbidden": "unknown key", "missing": "is required"}
    return known.get(kind, message.removeprefix("Value error, "))
