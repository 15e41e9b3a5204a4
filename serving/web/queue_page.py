"""The queue's page: what waits, in the order of its clocks; filters, search, saved views, the way to the next case."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from models.errors import InputError
from models.vocabulary import Claim, Platform
from serving import shortcuts
from serving.deps import HouseDep, PageArbitrator, PageReader, PageStaff
from serving.desk_records import FilterName
from serving.house import House
from serving.records import CaseKey, CaseStatus, Order, Person, QueueFilter, QueueRow, Role, User
from serving.refusals import LoadCapError
from serving.saved_views import filters_of
from serving.web.decision_form import REASONS
from serving.web.flash import last_decided
from serving.web.rendering import LANGUAGE_COOKIE, Fields, render, words_for
from serving.words import LANGUAGES, Words, money

PAGE_SIZE = 50
_A_YEAR_S = 365 * 24 * 3600
_NAMES = get_args(FilterName)
router = APIRouter(include_in_schema=False)


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
def show_queue(request: Request, house: HouseDep, person: PageStaff, cursor: str | None = None) -> Response:
    """Show a page of the queue; an engineer, who sees no cases, the models. An unknown filter value is left out."""
    if person.user.role == Role.ENGINEER:
        return RedirectResponse("/models", status_code=303)
    return queue_page(request, house, person, cursor=cursor)


def queue_page(
    request: Request,
    house: House,
    person: Person,
    *,
    cursor: str | None = None,
    notice: str = "",
    status_code: int = 200,
) -> HTMLResponse:
    t, now = words_for(request), datetime.now(UTC)
    chosen = {"status": "open", **{name: request.query_params[name] for name in _NAMES if name in request.query_params}}
    order: Order = "opened" if chosen.get("order") == "opened" else "urgency"
    page = house.store.queue(wanted(chosen, person.user), cursor=cursor, limit=PAGE_SIZE, order=order)
    views = house.store.desk.preferences(of=person.user, kind="view")
    keys = shortcuts.chosen(house.store.desk.preferences(of=person.user, kind="shortcut"))
    return render(
        request,
        "queue.html",
        person=person,
        status_code=status_code,
        notice=notice,
        rows=[_row(row, t, now, scores=house.scoring.suggester is not None) for row in page.cases],
        chosen=chosen,
        claims=list(Claim),
        platforms=list(Platform),
        statuses=list(CaseStatus),
        views=views,
        keys=keys,
        shown=shortcuts.shown,
        may_decide=person.user.role.decides,
        last=last_decided(request, house, person),
        query=urlencode(chosen),
        next_link=f"/?{urlencode({**chosen, 'cursor': page.next_cursor})}" if page.next_cursor else None,
        first_link=f"/?{urlencode(chosen)}" if cursor else None,
    )


def wanted(chosen: dict[str, str], user: User) -> QueueFilter:
    """Return the filter that a page's fields ask for, within the person's queues."""
    claim, platform, status = chosen.get("claim"), chosen.get("platform"), chosen.get("status")
    language = chosen.get("language")
    return QueueFilter(
        claim=Claim(claim) if claim in set(Claim) else None,
        platform=Platform(platform) if platform in set(Platform) else None,
        status=CaseStatus(status) if status in set(CaseStatus) else None,
        language="zh" if language == "zh" else "en" if language == "en" else None,
        overdue=chosen.get("overdue") == "1",
        search=chosen.get("search", "").strip()[:128].replace("\x00", "") or None,
        min_paid_minor=_minor(chosen.get("min", "")),
        max_paid_minor=_minor(chosen.get("max", "")),
        assigned_to=user.name if chosen.get("mine") == "1" else None,
        within=user.queues,
    )


@router.post("/next")
def take_next(request: Request, house: HouseDep, person: PageArbitrator, fields: Fields) -> Response:
    """Hold the most urgent case within the filters on screen, and show it."""
    asked = filters_of(fields.get("query", ""))
    try:
        return to_next(house, person, chosen={str(name): value for name, value in asked.items()})
    except LoadCapError as refusal:
        notice = words_for(request)("notice.load_cap").format(n=refusal.cap)
        return queue_page(request, house, person, notice=notice, status_code=409)


def to_next(house: House, person: Person, *, chosen: dict[str, str], last: CaseKey | None = None) -> Response:
    """Hold the next case and go there, else back to the queue. last : the case just decided, to be undone from there

    Raises LoadCapError.
    """
    filters = wanted({name: value for name, value in chosen.items() if name != "status"}, person.user)
    key = house.store.desk.take_next(by=person.user, wanted=filters)
    said = {**({"last": str(last)} if last is not None else {}), **({"query": urlencode(chosen)} if chosen else {})}
    query = f"?{urlencode(said)}" if said else ""
    if key is None:
        return RedirectResponse(f"/?{urlencode({**chosen, **said})}" if said else "/", status_code=303)
    return RedirectResponse(f"{case_path(key)}{query}", status_code=303)


def case_path(key: CaseKey) -> str:
    return f"/cases/{key.platform}/{quote(key.case_id, safe='/')}"


@router.post("/views")
def keep_view(house: HouseDep, person: PageReader, fields: Fields) -> Response:
    """Save the filters on screen under a name, or delete a saved view."""
    name, asked = fields.get("name", "").strip(), urlencode(list(filters_of(fields.get("query", "")).items()))
    if fields.get("delete"):
        house.store.desk.drop_preference(fields["delete"], of=person.user, kind="view")
    else:
        house.store.desk.keep_preference(name, asked, of=person.user, kind="view")
    return RedirectResponse(f"/?{asked}" if asked else "/", status_code=303)


@router.get("/shortcuts")
def show_shortcuts(request: Request, house: HouseDep, person: PageReader) -> HTMLResponse:
    return _shortcuts_page(request, house, person)


@router.post("/shortcuts")
def keep_shortcuts(request: Request, house: HouseDep, person: PageReader, fields: Fields) -> Response:
    """Keep a person's own keys; an unknown or doubled key changes nothing and is said."""
    desk = house.store.desk
    try:
        own = shortcuts.check({action: fields[action] for action in shortcuts.DEFAULTS if fields.get(action)})
    except InputError as refusal:
        return _shortcuts_page(request, house, person, notice=str(refusal), status_code=422)
    desk.replace_preferences(own, of=person.user, kind="shortcut")
    return RedirectResponse("/shortcuts", status_code=303)


def _shortcuts_page(
    request: Request, house: House, person: Person, *, notice: str = "", status_code: int = 200
) -> HTMLResponse:
    keys = shortcuts.chosen(house.store.desk.preferences(of=person.user, kind="shortcut"))
    return render(
        request, "shortcuts.html", person=person, status_code=status_code, keys=keys, notice=notice, reasons=REASONS
    )


def _row(row: QueueRow, t: Words, now: datetime, *, scores: bool) -> dict[str, object]:
    return {
        "platform": row.platform,
        "case_id": row.case_id,
        "title": row.title,
        "claim": row.claim,
        "requested": row.requested,
        "amount": money(row.paid_minor, row.currency),
        "due": time_left(row.due_at, now, t),
        "overdue": row.due_at is not None and row.due_at < now,
        "by_itself": t(f"clock.{row.clock.split(':')[-1]}") if row.clock else "",
        "state": "hidden" if row.hidden else row.suggestion_state if scores else "none",
        "status": row.status,
        "held_by": row.held_by,
        "assigned_to": row.assigned_to,
    }


def time_left(due_at: datetime | None, now: datetime, t: Words) -> str:
    """Say how long it is until a deadline, or since."""
    if due_at is None:
        return "—"
    left = abs(due_at - now)
    days, hours = left.days, left.seconds // 3600
    minutes = left // timedelta(minutes=1) % 60
    said = t("clock.days").format(n=days) if days else t("clock.hours").format(h=hours, m=minutes)
    return t("clock.left" if due_at >= now else "clock.over").format(time=said)


def _minor(yuan: str) -> int | None:
    try:
        value = round(float(yuan) * 100)
    except (ValueError, OverflowError):
        return None
    return value if 0 <= value <= 10**12 else None
