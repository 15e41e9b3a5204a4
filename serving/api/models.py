"""Models over HTTP: champion, challenger and the rest, what the gate said, promotion and rollback by a person."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from serving.api.documents import json_body_of
from serving.deps import HouseDep, JsonBody, ModelKeeper, ModelReader, parse_draft
from serving.errors import problem_responses
from serving.model_records import (
    DriftReport,
    ModelMove,
    ModelsView,
    PromotionDraft,
    Report,
    RollbackDraft,
    ShadowComparison,
    ShadowDraft,
    ShadowState,
)

router = APIRouter(prefix="/models", tags=["models"])

ModelNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
_READS = problem_responses(401, 403, 422, 503)
_MOVES = problem_responses(401, 403, 404, 409, 413, 422, 503, 507)
_MOVE = {
    "at": "2026-03-02T02:00:00Z",
    "by": "li",
    "action": "promote",
    "from_number": 1,
    "to_number": 2,
    "reason": "log-loss lower on 240 blind cases",
}
_MOVED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The move.", "content": {"application/json": {"example": _MOVE}}}
}
_EXAMPLE_VIEW = {
    "at_work": "ruling/5f0c2a91",
    "champion": 1,
    "challenger": 2,
    "taken_up_within_s": 30,
    "refused": None,
    "models": [
        {
            "number": 2,
            "model_version": "ruling/90b1d7e3",
            "registered_at": "2026-03-01T20:00:00Z",
            "standing": "challenger",
            "judged_against": 1,
            "gate": {"passed": True, "reasons": [], "n_gold": 240, "certainty": 0.97, "overall": []},
            "may_be_promoted": True,
        }
    ],
    "moves": [],
}
_VIEW: dict[int | str, dict[str, Any]] = {
    200: {"description": "The models.", "content": {"application/json": {"example": _EXAMPLE_VIEW}}}
}


@router.get("", responses={**_VIEW, **_READS})
def list_models(person: ModelReader, house: HouseDep) -> ModelsView:
    """List the registry's models with what the gate said, and who moved the champion's name."""
    return house.models.view()


@router.get("/shadow", responses=problem_responses(401, 403, 503))
def get_shadow(person: ModelReader, house: HouseDep) -> ShadowComparison:
    """Compare the challenger in shadow with the champion: agreement, and figures on cases decided blind."""
    return house.models.shadow()


@router.get("/drift", responses=problem_responses(401, 403, 503))
def get_drift(person: ModelReader, house: HouseDep) -> DriftReport:
    """Test the newest cases against the model's reference, feature by feature, with the cases that show a drift.

    A case that is still to be decided blind is never named.
    """
    return house.drift.report()


@router.put(
    "/shadow",
    responses=problem_responses(401, 403, 413, 422, 503, 507),
    openapi_extra=json_body_of("ShadowDraft", example={"on": True}),
)
def switch_shadow(person: ModelKeeper, body: JsonBody, house: HouseDep) -> ShadowState:
    """Switch the challenger's shadow on or off. Nothing it says is shown on a case."""
    return house.store.shadows.switch(on=parse_draft(ShadowDraft, body).on, by=person.user)


@router.post(
    "/rollback",
    responses={**_MOVED, **_MOVES},
    openapi_extra=json_body_of("RollbackDraft", example={"instead_of": 2, "reason": "too many overrides since"}),
)
def roll_back(person: ModelKeeper, body: JsonBody, house: HouseDep) -> ModelMove:
    """Make the champion before this one champion again. 409 when the champion isn't the one looked at."""
    return house.models.roll_back(parse_draft(RollbackDraft, body), by=person.user)


@router.post(
    "/{number}/promote",
    responses={**_MOVED, **_MOVES},
    openapi_extra=json_body_of("PromotionDraft", example={"instead_of": 1, "reason": _MOVE["reason"]}),
)
def promote(person: ModelKeeper, number: ModelNumber, body: JsonBody, house: HouseDep) -> ModelMove:
    """Make a model champion that the gate passed against the present one. The service takes it up by itself."""
    return house.models.promote(number, parse_draft(PromotionDraft, body), by=person.user)


@router.get("/{number}/report", responses=problem_responses(401, 403, 404, 422, 503))
def get_report(person: ModelReader, number: ModelNumber, house: HouseDep) -> Report:
    """Get the gate's report on a model: verdict, every comparison with its interval, splits, learning curve."""
    return house.models.report(number)
