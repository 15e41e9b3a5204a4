"""Retrainings over HTTP: asked for, looked at, cancelled. What one does is `evidence-train retrain`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from serving.api.keys import NeedsKey
from serving.deps import HouseDep, ModelKeeper, ModelReader, StoreDep
from serving.errors import problem_responses
from serving.model_records import Retraining
from serving.refusals import UnknownError

router = APIRouter(prefix="/retrainings", tags=["models"])

RetrainingId = Annotated[int, Path(ge=1, le=2**31 - 1)]
_EXAMPLE = {
    "retraining_id": 41,
    "state": "running",
    "asked_by": "li",
    "asked_at": "2026-03-02T02:00:00Z",
    "started_at": "2026-03-02T02:00:01Z",
    "ended_at": None,
    "said": ["reading outcomes ...", "scored 128 of 640 cases"],
    "problem": None,
}
_JOB: dict[str, Any] = {
    "description": "The retraining as it stands.",
    "content": {"application/json": {"example": _EXAMPLE}},
}


@router.post("", status_code=202, responses={202: _JOB, **problem_responses(400, 401, 403, 404, 409, 422, 503, 507)})
def ask_retraining(person: ModelKeeper, house: HouseDep, idempotency_key: NeedsKey) -> Retraining:
    """Ask for a retraining on all decisions so far. Needs an Idempotency-Key; 409 while another one is under way.

    A worker exports the outcomes and runs `evidence-train retrain`. The challenger is judged and registered; nothing is
    promoted.
    """
    if house.models.registry_uri is None:
        raise UnknownError("model registry", "of this service")
    return house.store.retrainings.ask(by=person.user)


@router.get("", responses=problem_responses(401, 403, 503))
def list_retrainings(person: ModelReader, store: StoreDep) -> tuple[Retraining, ...]:
    """List the newest retrainings, the newest first."""
    return store.retrainings.newest()


@router.get("/{retraining_id}", responses={200: _JOB, **problem_responses(401, 403, 404, 422, 503)})
def get_retraining(person: ModelReader, retraining_id: RetrainingId, store: StoreDep) -> Retraining:
    """Get a retraining: what it said last, or why it failed."""
    return store.retrainings.find(retraining_id)


@router.post("/{retraining_id}/cancel", responses={200: _JOB, **problem_responses(401, 403, 404, 422, 503, 507)})
def cancel_retraining(person: ModelKeeper, retraining_id: RetrainingId, store: StoreDep) -> Retraining:
    """Stop a retraining for good. One that has ended stays as it is."""
    return store.retrainings.cancel(retraining_id, by=person.user)
