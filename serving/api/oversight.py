"""Leads and auditors over HTTP: figures, every decision as a stream, bulk assignment."""

import csv
import io
import itertools
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from models.domain import Frozen, Identifier, ShortText
from models.privacy import masked_decision
from models.vocabulary import Claim, Platform
from serving.api.documents import json_body_of
from serving.audit import Action
from serving.deps import Auditor, JsonBody, Lead, StoreDep, parse_draft
from serving.desk_records import Assignment, AssignmentDraft, DecisionRow, Figures, Pass
from serving.errors import problem_responses
from serving.records import QueueFilter
from serving.store.trail import Detail

router = APIRouter(tags=["oversight"])

_COLUMNS = (
    "decision_id",
    "platform",
    "case_id",
    "case_version",
    "stage",
    "ruling",
    "responsible",
    "reason",
    "distinguishes",
    "decided_by",
    "decided_at",
    "suggestion_id",
    "suggestion_shown",
    "blind",
    "agreed",
    "four_eyes",
    "model_version",
    "review_seconds",
)
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What a spreadsheet may take for the beginning of a formula; in Chinese ones the full-width signs too."""
_BLANK = " \u00a0\u3000\ufeff\u200b"
_ROWS_A_CHUNK = 500


class Undone(Frozen):
    n_cases: int


@router.get("/figures", responses=problem_responses(401, 403, 422, 503))
def get_figures(person: Auditor, store: StoreDep, days: Annotated[int, Query(ge=1, le=3650)] = 90) -> Figures:
    """Person alone, person with the machine, machine alone; overrides, errors by party, consistency; with intervals."""
    return store.oversight.figures(days=days)


@router.get(
    "/decisions/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/csv": {}, "application/jsonl": {}}, "description": "Every decision, oldest first."},
        **problem_responses(401, 403, 422, 503, 507),
    },
)
def export_decisions(
    person: Auditor,
    store: StoreDep,
    format: Literal["csv", "jsonl"] = "csv",
    claim: Claim | None = None,
    platform: Platform | None = None,
    by: Annotated[ShortText | None, Query(max_length=128, description="Only what this person decided.")] = None,
) -> StreamingResponse:
    """Stream every decision, standing or not, as CSV (cells that look like formulas are quoted) or JSON Lines.

    Personal data in reasons and requests is masked; they can be read whole on the case's page.
    """
    asked: Detail = {"format": format, "claim": claim, "platform": platform, "by": by}
    store.note(Action.DECISIONS_EXPORTED, actor=person.user.name, subject="decisions", detail=asked)
    found = store.oversight.every_decision(QueueFilter(claim=claim, platform=platform), by=by)
    rows = (row.model_copy(update={"decision": masked_decision(row.decision)}) for row in found)
    lines, kind = (_csv(rows), "text/csv; charset=utf-8") if format == "csv" else (_jsonl(rows), "application/jsonl")
    headers = {"Content-Disposition": f'attachment; filename="decisions.{format}"'}
    return StreamingResponse(_chunks(lines), media_type=kind, headers=headers)


@router.get("/passes", responses=problem_responses(401, 403, 422, 503))
def list_passes(
    person: Auditor, store: StoreDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> tuple[Pass, ...]:
    """List skips and recusals (回避) with their reasons, the newest first."""
    return tuple(store.oversight.set_aside(limit=limit))


@router.post(
    "/assignments",
    status_code=201,
    responses=problem_responses(401, 403, 413, 422, 503, 507),
    openapi_extra=json_body_of("AssignmentDraft", example={"people": ["zhang", "li"], "at_most": 20, "preview": True}),
)
def assign(person: Lead, body: JsonBody, store: StoreDep) -> Assignment:
    """Deal the most urgent unassigned cases to people, the least loaded first. A preview changes nothing."""
    return store.oversight.assign(parse_draft(AssignmentDraft, body), by=person.user)


@router.delete("/assignments/{batch_id}", responses=problem_responses(401, 403, 404, 422, 503, 507))
def undo_assignment(person: Lead, batch_id: Annotated[Identifier, Path()], store: StoreDep) -> Undone:
    """Take a batch back. Cases decided or dealt anew since stay as they are."""
    return Undone(n_cases=store.oversight.undo_assignment(batch_id, by=person.user))


def _chunks(lines: Iterator[str]) -> Iterator[str]:
    """Join lines: each chunk is a hop between threads, so one a line would cost more than the line."""
    while chunk := "".join(itertools.islice(lines, _ROWS_A_CHUNK)):
        yield chunk


def _jsonl(rows: Iterator[DecisionRow]) -> Iterator[str]:
    for row in rows:
        yield row.model_dump_json() + "\n"


def _csv(rows: Iterator[DecisionRow]) -> Iterator[str]:
    yield "\ufeff" + _line(["claim", "state", *_COLUMNS, "refund_minor", "outbound_freight", "return_freight"])
    for row in rows:
        told = row.decision.model_dump(mode="json")
        yield _line([row.claim, row.state, *(told[name] for name in _COLUMNS), *told["remedy"].values()])


def _line(cells: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_safe(cell) for cell in cells])
    return out.getvalue()


def _safe(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula, also behind blanks or in full-width signs."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(_BLANK).startswith(_FORMULA) else cell
