"""The lead's and the auditor's pages: figures with intervals, kill switches, bulk assignment, the log of decisions."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from models.domain import ShortText
from models.errors import InputError
from models.vocabulary import Claim, Platform
from serving.deps import HouseDep, PageLead, PageOverseer
from serving.desk_records import Assignment, AssignmentDraft, SwitchDraft
from serving.house import House
from serving.records import Person, QueueFilter
from serving.refusals import UnknownError
from serving.web.rendering import Fields, render, words_for
from serving.words import percent

router = APIRouter(include_in_schema=False)
_DAYS = 90


@router.get("/lead")
def show_lead(request: Request, house: HouseDep, person: PageOverseer) -> HTMLResponse:
    return _page(request, house, person)


@router.post("/lead/assign")
def assign(request: Request, house: HouseDep, person: PageLead, fields: Fields) -> Response:
    """Show what an assignment would do, or do it; undo a batch."""
    oversight, t = house.store.oversight, words_for(request)
    try:
        if fields.get("undo"):
            n = oversight.undo_assignment(fields["undo"], by=person.user)
            return _page(request, house, person, notice=t("assign.undone").format(n=n))
        draft = AssignmentDraft(
            people=tuple(
                name.strip() for name in fields.get("people", "").replace("，", ",").split(",") if name.strip()
            ),
            claim=Claim(fields["claim"]) if fields.get("claim") in set(Claim) else None,
            platform=Platform(fields["platform"]) if fields.get("platform") in set(Platform) else None,
            at_most=int(fields.get("at_most") or 50),
            at_most_each=int(fields.get("at_most_each") or 100),
            preview=not fields.get("do"),
        )
        return _page(request, house, person, dealt=oversight.assign(draft, by=person.user), typed=fields)
    except (InputError, ValidationError, ValueError, UnknownError) as refusal:
        said = str(refusal) if isinstance(refusal, InputError | UnknownError) else t("assign.bad")
        return _page(request, house, person, notice=said, status_code=422, typed=fields)


@router.post("/lead/switch")
def switch(request: Request, house: HouseDep, person: PageLead, fields: Fields) -> Response:
    """Switch suggestions off for a claim or platform, or on again."""
    desk = house.store.desk
    try:
        if fields.get("on"):
            desk.switch_on(fields["on"], by=person.user)
        else:
            desk.switch_off(
                SwitchDraft(
                    claim=Claim(fields["claim"]) if fields.get("claim") in set(Claim) else None,
                    platform=Platform(fields["platform"]) if fields.get("platform") in set(Platform) else None,
                    reason=fields.get("reason", "")[:500],
                ),
                by=person.user,
            )
    except (ValidationError, UnknownError):
        return _page(request, house, person, notice=words_for(request)("aside.reason_needed"), status_code=422)
    return RedirectResponse("/lead", status_code=303)


@router.get("/decisions")
def show_decisions(
    request: Request, house: HouseDep, person: PageOverseer, claim: str = "", platform: str = "", by: ShortText = ""
) -> HTMLResponse:
    """Show the newest decisions with their reasons, and what was set aside and why."""
    wanted = QueueFilter(
        claim=Claim(claim) if claim in set(Claim) else None,
        platform=Platform(platform) if platform in set(Platform) else None,
    )
    asked = {"claim": wanted.claim, "platform": wanted.platform, "by": by}
    oversight = house.store.oversight
    return render(
        request,
        "decisions.html",
        person=person,
        rows=oversight.newest_decisions(wanted, by=by or None),
        set_aside=oversight.set_aside(),
        chosen={"claim": claim, "platform": platform, "by": by},
        export_query=urlencode({name: value for name, value in asked.items() if value}),
        claims=list(Claim),
        platforms=list(Platform),
    )


def _page(
    request: Request,
    house: House,
    person: Person,
    *,
    notice: str = "",
    status_code: int = 200,
    dealt: Assignment | None = None,
    typed: dict[str, str] | None = None,
) -> HTMLResponse:
    return render(
        request,
        "lead.html",
        person=person,
        status_code=status_code,
        notice=notice,
        dealt=dealt,
        typed=typed or {},
        figures=house.store.oversight.figures(days=_DAYS),
        days=_DAYS,
        drifted=house.drift.report().alarms,
        switches=[one for one in house.store.desk.switches() if one.ended_at is None],
        counts=house.store.counts(),
        arbitrators=[user.name for user in house.store.accounts.everyone() if user.role.decides],
        claims=list(Claim),
        platforms=list(Platform),
        percent=percent,
    )
