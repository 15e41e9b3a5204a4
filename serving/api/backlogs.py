"""Backlogs over HTTP: sent or out of the database, scored in the background, looked at, cancelled, downloaded.

Results hold suggestions for many cases at once, also for such as are decided blind first: arbitrators don't get them,
nor does a lead while one of those cases is hidden. A summary tells what is suggested too, of a single case outright: it
is kept back with them, and from a lead's list of jobs always.
"""

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse

from models.errors import InputError
from serving.api.documents import EXAMPLE_CASE
from serving.api.keys import NeedsKey
from serving.audit import Action
from serving.backlog_folder import BacklogJob
from serving.backlog_jobs import n_rows_of
from serving.deps import HouseDep, needs, read_body
from serving.errors import problem_responses
from serving.house import House
from serving.records import Person, Role, Scope
from serving.refusals import SuggestionHiddenError

router = APIRouter(prefix="/backlogs", tags=["backlogs"])

BacklogClerk = Annotated[Person, Depends(needs(Role.LEAD, Role.ENGINEER, Role.SERVICE, scope=Scope.SCORE))]

_LINES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "description": "JSON Lines, a case a line. Without a body: the open cases of the database.",
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": json.dumps(EXAMPLE_CASE, ensure_ascii=False) + "\n",
            }
        },
    }
}
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A ZIP of summary.json, refused.jsonl, triage.parquet and suggestions/part-*.parquet.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_EXAMPLE_JOB = {
    "job_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "kind": "upload",
    "created_at": "2026-03-02T02:00:00Z",
    "created_by": "clerk",
    "state": "running",
    "n_rows": 5000,
    "n_done": 1280,
    "reason": None,
    "summary": None,
}
_JOB: dict[str, Any] = {
    "description": "The job as it stands.",
    "content": {"application/json": {"example": _EXAMPLE_JOB}},
}


async def sent_lines(request: Request, house: HouseDep, person: BacklogClerk) -> bytes | None:
    """Return the lines sent, None without a body. Raises InputError on another kind of body, BodyTooLargeError."""
    data = await read_body(request, max_bytes=house.settings.max_request_bytes)
    if not data:
        return None
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("application/x-ndjson", "application/jsonl"):
        raise InputError("must be application/x-ndjson", field="Content-Type")
    return data


@router.post(
    "",
    status_code=202,
    responses={202: _JOB, **problem_responses(400, 401, 403, 409, 413, 422, 503, 507)},
    openapi_extra=_LINES_BODY,
)
def create_backlog(
    person: BacklogClerk,
    lines: Annotated[bytes | None, Depends(sent_lines)],
    house: HouseDep,
    idempotency_key: NeedsKey,
) -> BacklogJob:
    """Ask for a backlog to be scored; it waits until those asked for before are through. Needs an Idempotency-Key.

    A bad row is reported in the results by its line and never stops the others. Photos are looked for where the setting
    `backlog_photos` says. Suggestions for the database's cases are stored on them too.
    """
    asked = b"\x00".join((person.user.name.encode(), idempotency_key.encode(), lines or b""))
    job_id = hashlib.sha256(asked).hexdigest()[:32]
    # The entry first: whatever is cut off between, the same request again finds the job or makes it, once.
    house.store.note(
        Action.BACKLOG_ASKED,
        actor=person.user.name,
        subject=f"backlog:{job_id}",
        detail={"kind": "waiting" if lines is None else "upload", "n_rows": n_rows_of(lines)},
    )
    return _as_seen_by(person, house, house.backlogs.create(by=person.user.name, rows=lines, job_id=job_id))


@router.get("", responses=problem_responses(401, 403, 503))
def list_backlogs(person: BacklogClerk, house: HouseDep) -> list[BacklogJob]:
    """List the backlog jobs, the newest first; to a lead without their summaries."""
    return [_without_summary(job) if person.user.role.decides else job for job in house.backlogs.all()]


@router.get("/{job_id}", responses={200: _JOB, **problem_responses(401, 403, 404, 503)})
def get_backlog(person: BacklogClerk, job_id: str, house: HouseDep) -> BacklogJob:
    """Get a job: how far it is, or its summary (none to a lead where the results are kept back), or why it failed."""
    return _as_seen_by(person, house, house.backlogs.find(job_id))


@router.post("/{job_id}/cancel", responses={200: _JOB, **problem_responses(401, 403, 404, 503)})
def cancel_backlog(person: BacklogClerk, job_id: str, house: HouseDep) -> BacklogJob:
    """Stop a job for good. One that has ended stays as it is."""
    if not house.backlogs.find(job_id).is_ended:
        house.store.note(Action.BACKLOG_CANCELLED, actor=person.user.name, subject=f"backlog:{job_id}", detail={})
    return _as_seen_by(person, house, house.backlogs.cancel(job_id))


@router.post("/{job_id}/resume", responses={200: _JOB, **problem_responses(401, 403, 404, 422, 503)})
def resume_backlog(
    person: BacklogClerk,
    job_id: str,
    house: HouseDep,
    fresh: Annotated[
        bool, Query(description="Discard what it scored, as is needed when the model is another by now.")
    ] = False,
) -> BacklogJob:
    """Let a job that failed go on where its parts end, or begin anew. Any other stays as it is."""
    if house.backlogs.find(job_id).state == "failed":
        house.store.note(
            Action.BACKLOG_RESUMED, actor=person.user.name, subject=f"backlog:{job_id}", detail={"fresh": fresh}
        )
    return _as_seen_by(person, house, house.backlogs.resume(job_id, fresh=fresh))


@router.get(
    "/{job_id}/result", response_class=FileResponse, responses={**_ZIP, **problem_responses(401, 403, 404, 409, 503)}
)
def download_backlog(person: BacklogClerk, job_id: str, house: HouseDep) -> FileResponse:
    """Download what a complete job wrote.

    To a lead, 409 `blind-first` while one of its cases is to be decided blind first.
    """
    if person.user.role.decides and _holds_hidden(house, job_id):
        raise SuggestionHiddenError("a case of this backlog")
    packed = house.backlogs.result(job_id)
    house.store.note(Action.BACKLOG_DOWNLOADED, actor=person.user.name, subject=f"backlog:{job_id}", detail={})
    return FileResponse(packed, media_type="application/zip", filename=f"backlog-{job_id}.zip")


def _as_seen_by(person: Person, house: House, job: BacklogJob) -> BacklogJob:
    may_not = person.user.role.decides and job.summary is not None and _holds_hidden(house, job.job_id)
    return _without_summary(job) if may_not else job


def _without_summary(job: BacklogJob) -> BacklogJob:
    return job.model_copy(update={"summary": None})


def _holds_hidden(house: House, job_id: str) -> bool:
    """Raises UnknownError."""
    hidden = house.store.hidden()
    return bool(hidden) and house.backlogs.holds(job_id, lambda row: (row["platform"], row["case_id"]) in hidden)
