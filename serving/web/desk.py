"""One case on one screen: read it, decide, go on to the next. Server-rendered, works without scripts.

A decision is the person's: every ruling is one press, the suggested one no nearer than the others.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from models.domain import Decision
from models.errors import InputError, ReviewError
from models.rule_pack import shipped_rule_book
from models.vocabulary import LABELS_OF_SPEAKER, Party, Ruling, Stage
from serving import shortcuts
from serving.api.decisions import decide as record
from serving.api.photo_checks import photo_checks_of
from serving.case_views import read_view, view_for
from serving.deps import CaseKeyDep, HouseDep, PageArbitrator, PageReader
from serving.desk_records import AppealDraft, NoticeText
from serving.heat import heat_picture_of
from serving.house import House
from serving.records import CaseKey, CaseView, Person, Role, User, WithdrawalDraft
from serving.refusals import (
    AlreadyDecidedError,
    ConflictError,
    DepartsError,
    ForbiddenError,
    HeldError,
    LoadCapError,
    StaleVersionError,
    UnknownError,
)
from serving.web.case_page import case_context
from serving.web.changes import Changes, changes
from serving.web.corrected import drafted, standing
from serving.web.decision_form import REASONS, draft_of, offered
from serving.web.flash import last_decided
from serving.web.queue_page import case_path, time_left, to_next
from serving.web.rendering import Fields, checked, render, whole_number, words_for
from serving.words import Words

router = APIRouter(include_in_schema=False)
_ONE = "/cases/{platform}/{case_id:path}"


@router.post(f"{_ONE}/decision")
def decide(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Record the pressed ruling and open the next case; what can't be recorded is said on the case's page."""
    t = words_for(request)
    try:
        draft = draft_of(
            fields, read_view(house, key, person=person), t, reason_required=house.store.policy.reason_required
        )
        record(house, key, draft, by=person, judged_version=whole_number(fields, "version"))
    except DepartsError as refusal:
        notice = t("notice.departs").format(usual=t(f"ruling.{refusal.usual}"))
        return _page(request, house, person, key, notice=notice, status_code=422, departs=True, typed=fields)
    except InputError as refusal:
        said = t(f"decide.bad_{refusal.field}") if t.has(f"decide.bad_{refusal.field}") else str(refusal)
        return _page(request, house, person, key, notice=said, status_code=422, typed=fields)
    except (ConflictError, StaleVersionError) as refusal:
        return _page(request, house, person, key, notice=_said(refusal, t), status_code=409)
    if not fields.get("go_on"):
        return RedirectResponse(f"/?last={key}", status_code=303)
    try:
        return to_next(house, person, chosen=_chosen(fields.get("query", "")), last=key)
    except LoadCapError:
        return RedirectResponse(f"/?last={key}", status_code=303)


@router.post(f"{_ONE}/withdraw")
def withdraw(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Append a withdrawal of the standing decision and show the case again."""
    stage = fields.get("stage") or Stage.FIRST_REVIEW.value
    draft = checked(
        WithdrawalDraft,
        stage=Stage(stage) if stage in set(Stage) else Stage.FIRST_REVIEW,
        reason=fields.get("reason", "")[:500],
    )
    try:
        house.store.withdraw(key, draft, by=person.user)
    except (ConflictError, ForbiddenError, InputError) as refusal:
        return _page(request, house, person, key, notice=str(refusal), status_code=409)
    return RedirectResponse(case_path(key), status_code=303)


@router.post(f"{_ONE}/hold")
def hold(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Take the case, or hold it longer."""
    try:
        house.store.desk.take(key, by=person.user)
    except (ConflictError, ForbiddenError) as refusal:
        return _page(request, house, person, key, notice=_said(refusal, words_for(request)), status_code=409)
    return RedirectResponse(case_path(key), status_code=303)


@router.post(f"{_ONE}/aside")
def step_aside(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Let the case go: release it, skip it with a reason, or recuse oneself with one."""
    desk, reason = house.store.desk, fields.get("reason", "")[:500]
    try:
        if fields.get("how") == "recuse":
            desk.recuse(key, reason=reason, by=person.user)
        elif fields.get("how") == "skip":
            desk.skip(key, reason=reason, by=person.user)
        else:
            desk.release(key, by=person.user)
            return RedirectResponse("/", status_code=303)
        return to_next(house, person, chosen=_chosen(fields.get("query", "")))
    except (InputError, ConflictError, ForbiddenError) as refusal:
        t = words_for(request)
        said = t("aside.reason_needed") if isinstance(refusal, InputError) else _said(refusal, t)
        return _page(request, house, person, key, notice=said, status_code=409)


@router.post(f"{_ONE}/notice")
def edit_notice(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Keep the edited notice; send it where that was pressed."""
    notice_id, desk = fields.get("notice_id", ""), house.store.desk
    try:
        text = checked(NoticeText, zh=fields.get("zh", ""), en=fields.get("en", ""))
        desk.edit_notice(key, notice_id, text, by=person.user)
        if fields.get("send"):
            desk.send_notice(key, notice_id, by=person.user)
    except InputError as refusal:
        return _page(request, house, person, key, notice=str(refusal), status_code=422)
    except (ConflictError, ForbiddenError, UnknownError) as refusal:
        return _page(request, house, person, key, notice=str(refusal), status_code=409)
    return RedirectResponse(case_path(key), status_code=303)


@router.post(f"{_ONE}/appeal")
def file_appeal(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Note an appeal that came in by another way than the API."""
    party = Party.SELLER if fields.get("filed_by") == "seller" else Party.BUYER
    try:
        draft = checked(AppealDraft, filed_by=party, reason=fields.get("reason", "")[:5000])
        house.store.desk.file_appeal(key, draft, by=person.user)
    except ConflictError as refusal:
        return _page(request, house, person, key, notice=str(refusal), status_code=409)
    return RedirectResponse(case_path(key), status_code=303)


@router.post(f"{_ONE}/correct")
def correct(request: Request, house: HouseDep, person: PageArbitrator, key: CaseKeyDep, fields: Fields) -> Response:
    """Say what the machine misread or missed in one piece of evidence, or take that back; kept for retraining."""
    desk = house.store.desk
    try:
        if fields.get("take_back"):
            desk.withdraw_correction(key, fields["take_back"], by=person.user)
        else:
            draft = drafted(fields)
            if all(one.said != draft or one.withdrawn_at is not None for one in desk.corrections(key)):
                desk.correct(key, draft, by=person.user)
    except (ConflictError, ForbiddenError, InputError, UnknownError) as refusal:
        return _page(request, house, person, key, notice=str(refusal), status_code=409)
    return RedirectResponse(case_path(key), status_code=303)


@router.get(f"{_ONE}/heat")
def heat(house: HouseDep, person: PageReader, key: CaseKeyDep, photo: str = "") -> Response:
    """Return where the machine sees damage in a photo, as a transparent picture; nothing while its word is hidden."""
    return Response(heat_picture_of(house, key, photo, person=person), media_type="image/png")


@router.get(f"{_ONE}/state")
def state(house: HouseDep, person: PageReader, key: CaseKeyDep, seen: int = 0) -> JSONResponse:
    """Say what the open page should know at once: a new version, a decision, somebody else's hold."""
    view = read_view(house, key, person=person)
    held_by = view.hold.held_by if view.hold and view.hold.held_by != person.user.name else None
    return JSONResponse(
        {
            "version": view.version,
            "status": view.status,
            "held_by": held_by,
            "changed": view.version > seen,
            "scored": view.suggestion is not None,
        }
    )


@router.get(_ONE)
def show_case(request: Request, house: HouseDep, person: PageReader, key: CaseKeyDep) -> HTMLResponse:
    """Show one case with its suggestion, if there is one, and the decision."""
    return _page(request, house, person, key)


def _page(
    request: Request,
    house: House,
    person: Person,
    key: CaseKey,
    *,
    notice: str = "",
    status_code: int = 200,
    departs: bool = False,
    typed: dict[str, str] | None = None,
) -> HTMLResponse:
    with house.store.snapshot():
        context = _context(request, house, person, key, typed=typed or {})
    return render(
        request,
        "case.html",
        person=person,
        status_code=status_code,
        notice=notice,
        departs=departs,
        **context,
    )


def _context(request: Request, house: House, person: Person, key: CaseKey, *, typed: dict[str, str]) -> dict[str, Any]:
    """Return what the page shows, all of one moment."""
    t = words_for(request)
    view = view_for(house, key, person=person)
    context = case_context(view, t)
    if house.scoring.suggester is None and view.suggestion is None:
        context["state"] = "none"
    if view.hidden:
        context["state"] = "hidden"
    desk, report = house.store.desk, photo_checks_of(house, key, user=person.user).report
    pack = shipped_rule_book().pack_for(view.case, ruled_on=datetime.now(UTC).date())
    held_by_other = view.hold is not None and view.hold.held_by != person.user.name
    decides = person.user.role.decides
    recused = desk.is_recused(key, by=person.user)
    allowed = not recused and _allowed(view, person.user)
    return {
        **context,
        "typed": typed,
        "action": case_path(key),
        "query": request.query_params.get("query", "") or typed.get("query", ""),
        "opened_at": datetime.now(UTC).timestamp(),
        "rulings": list(Ruling),
        "reasons": REASONS,
        "reason_required": house.store.policy.reason_required,
        "offered": offered(view, t),
        "corrected": standing(desk.corrections(key)),
        "n_checks": len(report.findings) if report else 0,
        "may_correct": decides and not view.hidden,
        "labels": LABELS_OF_SPEAKER,
        "view": view,
        "pack": pack,
        "pack_steps": context["pack_steps"](pack),
        "due": time_left(view.due_at, datetime.now(UTC), t),
        "may_decide": decides and not held_by_other and view.status.stage is not None and allowed,
        "held_by_other": view.hold.held_by if view.hold and held_by_other else None,
        "held": view.hold is not None and not held_by_other,
        "decides": decides,
        "undo": None if recused else _undoable(view, house, person),
        "precedents": desk.precedents(key, reader=person.user),
        "notices": desk.notices(key),
        "may_notify": decides and not recused,
        "appeal": desk.appeal_of(key),
        "changed": _changed(house, key, view, request),
        "keys": shortcuts.chosen(desk.preferences(of=person.user, kind="shortcut")),
        "shown": shortcuts.shown,
        "last": last_decided(request, house, person),
    }


def _changed(house: House, key: CaseKey, view: CaseView, request: Request) -> Changes | None:
    """Return what is new since the version that was on the screen, as the address says."""
    seen = request.query_params.get("seen", "")
    if not seen.isdecimal() or not 0 < int(seen[:9]) < view.version:
        return None
    current = house.store.version(key)
    old = house.store.version_by_key(current.case_key, int(seen[:9]))
    arrived = frozenset(photo_id for photo_id in current.digests if photo_id not in old.digests)
    return changes(old.case, current.case, new_files=arrived)


def _allowed(view: CaseView, user: User) -> bool:
    """Return whether this person may decide the stage that is due."""
    stage = view.status.stage
    if stage == Stage.LEAD_REVIEW and user.role != Role.LEAD:
        return False
    return stage == Stage.FIRST_REVIEW or all(d.decided_by != user.name for d in _standing(view))


def _undoable(view: CaseView, house: House, person: Person) -> Decision | None:
    """Return the decision that this person may take back now."""
    standing = _standing(view)
    if not standing:
        return None
    last = standing[-1]
    in_time = datetime.now(UTC) <= last.decided_at + house.store.policy.undo
    own = last.decided_by == person.user.name and in_time
    return last if own or person.user.role == Role.LEAD else None


def _standing(view: CaseView) -> list[Decision]:
    standing = [record.decision for record in view.decisions if record.state == "standing"]
    return sorted(standing, key=lambda decision: list(Stage).index(decision.stage))


def _chosen(query: str) -> dict[str, str]:
    return dict(parse_qsl(query))


def _said(refusal: ReviewError, t: Words) -> str:
    """Say why a decision wasn't recorded, in the page's language where the desk has words for it."""
    if isinstance(refusal, StaleVersionError):
        return t("notice.stale")
    if isinstance(refusal, HeldError):
        return t("notice.held").format(name=refusal.held_by)
    if isinstance(refusal, LoadCapError):
        return t("notice.load_cap").format(n=refusal.cap)
    return t("notice.decided") if isinstance(refusal, AlreadyDecidedError) else str(refusal)
