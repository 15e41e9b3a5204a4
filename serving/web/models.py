"""The models page: champion and challenger, what the gate said, promotion, rollback, retraining with its progress."""

from collections.abc import Callable

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from models.errors import InputError, PromotionRefusedError, RegistryError
from serving.deps import HouseDep, PageModelKeeper, PageModelReader
from serving.house import House
from serving.model_records import DriftedFeature, PromotionDraft, RollbackDraft
from serving.records import Person, Role
from serving.refusals import ChampionMovedError, RetrainingUnderWayError, UnknownError
from serving.web.rendering import Fields, render, whole_number, words_for
from serving.words import Words, percent

router = APIRouter(prefix="/models", include_in_schema=False)
_KEEPERS = (Role.LEAD, Role.ENGINEER)
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'; sandbox"
)
"""The report is a file out of the registry: it is shown without scripts, links home or anything of this site."""


@router.get("")
def show_models(request: Request, house: HouseDep, person: PageModelReader) -> HTMLResponse:
    return _page(request, house, person)


@router.get("/{number}/report")
def show_report(person: PageModelReader, house: HouseDep, number: int = Path(ge=1, le=2**31 - 1)) -> Response:
    """Show the gate's report as it was written."""
    headers = {"Content-Security-Policy": _REPORT_POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(house.models.report_page(number), headers=headers)


@router.post("/move")
def move(request: Request, house: HouseDep, person: PageModelKeeper, fields: Fields) -> Response:
    """Promote the model of the pressed button, or roll back."""

    def act() -> object:
        seen = whole_number(fields, "instead_of")
        reason = fields.get("reason", "").strip()
        if fields.get("promote"):
            draft = PromotionDraft(instead_of=seen, reason=reason)
            return house.models.promote(whole_number(fields, "promote"), draft, by=person.user)
        return house.models.roll_back(RollbackDraft(instead_of=seen, reason=reason), by=person.user)

    return _done_or_said(request, house, person, act)


@router.post("/retraining")
def retraining(request: Request, house: HouseDep, person: PageModelKeeper, fields: Fields) -> Response:
    """Ask for a retraining, or cancel one."""

    def act() -> object:
        if fields.get("cancel"):
            return house.store.retrainings.cancel(whole_number(fields, "cancel"), by=person.user)
        return house.store.retrainings.ask(by=person.user)

    return _done_or_said(request, house, person, act)


@router.post("/shadow")
def switch_shadow(request: Request, house: HouseDep, person: PageModelKeeper, fields: Fields) -> Response:
    """Switch the challenger's shadow on or off."""
    return _done_or_said(
        request, house, person, lambda: house.store.shadows.switch(on=fields.get("on") == "1", by=person.user)
    )


def _done_or_said(request: Request, house: House, person: Person, act: Callable[[], object]) -> Response:
    """Act and go back to the page; what can't be done is said on it."""
    t = words_for(request)
    try:
        act()
    except (PromotionRefusedError, ChampionMovedError, RetrainingUnderWayError) as refusal:
        return _page(request, house, person, notice=_said(refusal, t), status_code=409)
    except RegistryError as refusal:
        return _page(request, house, person, notice=str(refusal), status_code=503)
    except UnknownError as refusal:
        return _page(request, house, person, notice=str(refusal), status_code=404)
    except InputError as refusal:
        return _page(request, house, person, notice=str(refusal), status_code=422)
    except ValidationError:
        return _page(request, house, person, notice=t("aside.reason_needed"), status_code=422)
    return RedirectResponse("/models", status_code=303)


def _said(refusal: PromotionRefusedError | ChampionMovedError | RetrainingUnderWayError, t: Words) -> str:
    if isinstance(refusal, PromotionRefusedError):
        return t(f"models.refused_{refusal.why}").format(
            model=refusal.model, champion=refusal.champion, against=refusal.judged_against
        )
    if isinstance(refusal, ChampionMovedError):
        return t("models.moved").format(seen=refusal.seen or "—", now=refusal.now or "—")
    return t("retraining.under_way").format(by=refusal.asked_by)


def _category(one: DriftedFeature, t: Words) -> str:
    """Return what the category of a feature is called on the desk."""
    names = {"photos": "drift.photos_", "abstained": "drift.abstained_", "claim": "claim.", "ruling": "ruling."}
    key = f"{names.get(one.feature, 'drift.value_')}{one.category}"
    return t(key) if t.has(key) else str(one.category)


def _page(request: Request, house: House, person: Person, *, notice: str = "", status_code: int = 200) -> HTMLResponse:
    """Show the page; also without a registry, and while it doesn't answer."""
    view, shadow, problem = None, None, ""
    if house.models.registry_uri is not None:
        try:
            view, shadow = house.models.view(), house.models.shadow()
        except RegistryError as error:
            problem = str(error)
    t, newest = words_for(request), house.store.retrainings.newest(limit=6)
    return render(
        request,
        "models.html",
        person=person,
        status_code=status_code,
        notice=notice,
        has_registry=house.models.registry_uri is not None,
        view=view,
        shadow=shadow,
        drift=house.drift.report(),
        drift_word=lambda one: _category(one, t),
        opens_cases=person.user.role in (Role.LEAD, Role.AUDITOR),
        problem=problem,
        at_work=house.scoring.model_version,
        open_retraining=next((one for one in newest if one.state in ("waiting", "running")), None),
        retrainings=newest,
        keeps=person.user.role in _KEEPERS,
        percent=percent,
    )
