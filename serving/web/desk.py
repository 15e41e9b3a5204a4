"""The arbitrator's desk: the queue, one case, and the decision. Server-rendered, works without scripts.

A decision is the person's: every ruling is one button, the suggested one no nearer than the others.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from models.domain import DecisionDraft
from models.errors import InputError, ReviewError
from models.vocabulary import Claim, Platform, Ruling
from serving.api.decisions import decide as record
from serving.deps import CaseKeyDep, HouseDep, MaybePerson, PageArbitrator, PageReader, read_body
from serving.house import House
from serving.records import CaseKey, CaseStatus, Person, QueueFilter, Role, User, WithdrawalDraft
from serving.refusals import AlreadyDecidedError, ConflictError, StaleVersionError
from serving.web.case_page import case_context, reasons
from serving.words import LANGUAGES, Words, language_of, moment, money, percent, words

LANGUAGE_COOKIE = "evidence_review_language"
PAGE_SIZE = 50
_A_YEAR_S = 365 * 24 * 3600
_MAX_FORM_BYTES = 50_000
_MAX_NOTE = 4_000
_A_DAY_S = 86_400.0
templates = Jinja2Templates(directory=Path(__file__).with_name("templates"))
router = APIRouter(include_in_schema=False)


async def form_fields(request: Request, person: MaybePerson) -> dict[str, str]:
    """Return the posted fields, the last of each name. The person comes first: a wrong CSRF token reads nothing."""
    body = await read_body(request, max_bytes=_MAX_FORM_BYTES)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


Fields = Annotated[dict[str, str], Depends(form_fields)]


def render(
    request: Request, name: str, *, person: Person | None, status_code: int = 200, **context: object
) -> HTMLResponse:
    """Render a page in the visitor's language, never cached."""
    t = words(language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")))
    shared = {
        "t": t,
        "language": t.language,
        "user": person.user if person else None,
        "csrf_token": person.csrf_token if person else "",
        "back": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
    }
    return templates.TemplateResponse(
        request, name, {**shared, **context}, status_code=status_code, headers={"Cache-Control": "no-store"}
    )


@router.post("/language")
def choose_language(fields: Fields) -> Response:
    """Keep the chosen language and go back to the page."""
    language, back = fields.get("language", "zh"), fields.get("back", "/")
    target = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
    response = RedirectResponse(target, status_code=303)
    chosen = language if language in LANGUAGES else "zh"
    response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_A_YEAR_S, httponly=True, samesite="lax")
    return response


@router.get("/")
def show_queue(
    request: Request,
    house: HouseDep,
    person: PageReader,
    claim: str = "",
    platform: str = "",
    status: str = "open",
    cursor: str | None = None,
) -> HTMLResponse:
    """Show a page of the queue, oldest first. A filter that isn't a known value is left out."""
    chosen = {"claim": claim, "platform": platform, "status": status}
    wanted = QueueFilter(
        claim=Claim(claim) if claim in set(Claim) else None,
        platform=Platform(platform) if platform in set(Platform) else None,
        status=CaseStatus(status) if status in set(CaseStatus) else None,
        within=person.user.queues,
    )
    page = house.store.queue(wanted, cursor=cursor, limit=PAGE_SIZE)
    rows = [
        {
            "platform": row.platform,
            "case_id": row.case_id,
            "title": row.title,
            "claim": row.claim,
            "requested": row.requested,
            "amount": money(row.paid_minor, row.currency),
            "opened_at": f"{moment(row.opened_at.astimezone(UTC))} UTC",
            "ruling": row.ruling,
            "abstained": row.confidence is not None and row.ruling is None,
            "confidence": percent(row.confidence) if row.confidence is not None else "",
            "state": row.suggestion_state if house.scoring.suggester else "none",
            "status": row.status,
        }
        for row in page.cases
    ]
    return render(
        request,
        "queue.html",
        person=person,
        rows=rows,
        chosen=chosen,
        claims=list(Claim),
        platforms=list(Platform),
        statuses=list(CaseStatus),
        next_link=f"/?{urlencode({**chosen, 'cursor': page.next_cursor})}" if page.next_cursor else None,
        first_link=f"/?{urlencode(chosen)}" if cursor else None,
    )


@router.post("/cases/{platform}/{case_id:path}/decision")
def decide(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Record the pressed ruling and go back to the queue; what can't be recorded is said on the case's page."""
    t = words(language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")))
    ruling, reason, version = fields.get("ruling"), fields.get("reason"), fields.get("version", "")
    if ruling not in set(Ruling) or not reason or not version.isdecimal():
        return _case_page(request, house, person, key, notice=t("decide.incomplete"), status_code=422)
    draft = DecisionDraft(
        ruling=Ruling(ruling),
        suggestion_id=fields.get("suggestion_id") or None,
        reason=reasons([reason], fields.get("note", "")[:_MAX_NOTE], t),
        review_seconds=_seconds_since(fields.get("opened_at", "")),
    )
    try:
        record(house, key, draft, by=person, judged_version=int(version))
    except (ConflictError, StaleVersionError, InputError) as refusal:
        return _case_page(request, house, person, key, notice=_said(refusal, t), status_code=409)
    return RedirectResponse("/", status_code=303)


@router.post("/cases/{platform}/{case_id:path}/withdraw")
def withdraw(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Append a withdrawal of the standing decision and show the case again."""
    try:
        house.store.withdraw(key, WithdrawalDraft(reason=fields.get("reason", "")), by=person.user)
    except (ConflictError, InputError) as refusal:
        return _case_page(request, house, person, key, notice=str(refusal), status_code=409)
    return RedirectResponse(str(request.url.path).removesuffix("/withdraw"), status_code=303)


@router.get("/cases/{platform}/{case_id:path}")
def show_case(request: Request, house: HouseDep, person: PageReader, key: CaseKeyDep) -> HTMLResponse:
    """Show one case with its suggestion, if there is one, and the decision."""
    return _case_page(request, house, person, key)


def _case_page(
    request: Request, house: House, person: Person, key: CaseKey, *, notice: str = "", status_code: int = 200
) -> HTMLResponse:
    t = words(language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")))
    view = house.store.view(key)
    context = case_context(view, t)
    if house.scoring.suggester is None and view.suggestion is None:
        context["state"] = "none"
    path = str(request.url.path)
    for suffix in ("/decision", "/withdraw"):
        path = path.removesuffix(suffix)
    return render(
        request,
        "case.html",
        person=person,
        status_code=status_code,
        notice=notice,
        action=path,
        rulings=list(Ruling),
        opened_at=datetime.now(UTC).timestamp(),
        may_decide=_may_decide(person.user),
        **context,
    )


def _said(refusal: ReviewError, t: Words) -> str:
    """Say why a decision wasn't recorded, in the page's language where the desk has words for it."""
    if isinstance(refusal, StaleVersionError):
        return t("notice.stale")
    return t("notice.decided") if isinstance(refusal, AlreadyDecidedError) else str(refusal)


def _seconds_since(opened_at: str) -> float | None:
    """Return how long the page was open, at most a day; None where it doesn't say."""
    try:
        return min(max(0.0, datetime.now(UTC).timestamp() - float(opened_at)), _A_DAY_S)
    except (ValueError, OverflowError):
        return None


def _may_decide(user: User) -> bool:
    return user.role in (Role.ARBITRATOR, Role.LEAD)
