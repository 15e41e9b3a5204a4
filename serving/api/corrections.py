"""Corrections over HTTP: what the machine got wrong in the evidence, kept for retraining."""

from typing import Annotated

from fastapi import APIRouter, Path

from models.domain import Identifier
from serving.api.documents import json_body_of
from serving.deps import Arbitrator, CaseKeyDep, JsonBody, Reader, StoreDep, parse_draft
from serving.desk_records import Correction, CorrectionDraft
from serving.errors import problem_responses

router = APIRouter(prefix="/cases", tags=["desk"])

_EXAMPLE = {"kind": "statement", "ref": "m1", "label": "claims_damage", "holds": False, "note": "说的是外箱"}


@router.post(
    "/{platform}/{case_id:path}/corrections",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 413, 422, 503, 507),
    openapi_extra=json_body_of("CorrectionDraft", example=_EXAMPLE),
)
def correct(person: Arbitrator, key: CaseKeyDep, body: JsonBody, store: StoreDep) -> Correction:
    """Say that a label, region or photo score is wrong, and what is right. Nothing is rescored at once."""
    return store.desk.correct(key, parse_draft(CorrectionDraft, body), by=person.user)


@router.get("/{platform}/{case_id:path}/corrections", responses=problem_responses(401, 403, 404, 422, 503))
def list_corrections(person: Reader, key: CaseKeyDep, store: StoreDep) -> tuple[Correction, ...]:
    """List a case's corrections, oldest first, those taken back too."""
    return store.desk.corrections(key)


@router.delete(
    "/{platform}/{case_id:path}/corrections/{correction_id}",
    responses=problem_responses(401, 403, 404, 409, 422, 503, 507),
)
def take_back(
    person: Arbitrator, key: CaseKeyDep, correction_id: Annotated[Identifier, Path()], store: StoreDep
) -> Correction:
    """Take a correction back: by whoever made it, or a lead. It stays on record."""
    return store.desk.withdraw_correction(key, correction_id, by=person.user)
