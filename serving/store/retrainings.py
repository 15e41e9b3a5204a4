"""Retrainings as leased jobs: asked for, run by one worker, cancelled, ended, one open at a time.

A retraining whose worker went away is not begun anew by another: it counts as failed, and whoever wants it asks again.
Knows nothing of what is run.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from serving.audit import Action
from serving.model_records import Retraining, RetrainingState
from serving.records import RetrainingJob, User
from serving.refusals import LeaseLostError, RetrainingUnderWayError, UnknownError
from serving.store import idempotency, jobs, trail
from serving.store.database import Database
from serving.tables import jobs as table

RETRAIN = "retrain"
_STATES: dict[str, RetrainingState] = {"leased": "running"}
_LOST = "the worker that ran it went away; what it had begun is marked failed by the next run"


class Retrainings:
    """Each method is one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def ask(self, *, by: User) -> Retraining:
        """Raises RetrainingUnderWayError."""
        try:
            with self.database.write() as connection:
                at = datetime.now(UTC)
                _fail_lost(connection, at=at)
                _refuse_another(connection)
                values = {
                    "kind": RETRAIN,
                    "subject": RETRAIN,
                    "payload": json.dumps({"asked_by": by.name}),
                    "state": "waiting",
                    "attempts": 0,
                    "fence": 0,
                    "run_after": at,
                    "created_at": at,
                }
                key = connection.execute(table.insert().values(**values).returning(table.c.id)).scalar_one()
                _note(connection, Action.RETRAINING_ASKED, key, by=by.name, at=at)
                asked = _record(_row(connection, key))
                idempotency.answer_with(connection, 202, asked)
                return asked
        except IntegrityError as error:
            with self.database.read() as connection:
                _refuse_another(connection)
            raise RetrainingUnderWayError(asked_by="somebody else") from error

    def find(self, retraining_id: int) -> Retraining:
        """Raises UnknownError."""
        with self.database.read() as connection:
            return _record(_row(connection, retraining_id))

    def newest(self, *, limit: int = 20) -> tuple[Retraining, ...]:
        query = sa.select(table).where(table.c.kind == RETRAIN).order_by(table.c.id.desc()).limit(limit)
        with self.database.read() as connection:
            return tuple(_record(row) for row in connection.execute(query))

    def cancel(self, retraining_id: int, *, by: User) -> Retraining:
        """Stop a retraining for good; one that has ended stays as it is. Raises UnknownError."""
        with self.database.write() as connection:
            at = datetime.now(UTC)
            changed = connection.execute(
                table.update()
                .where(table.c.id == retraining_id, table.c.kind == RETRAIN, table.c.state.in_(("waiting", "leased")))
                .values(state="cancelled", finished_at=at)
            )
            if changed.rowcount:
                _note(connection, Action.RETRAINING_CANCELLED, retraining_id, by=by.name, at=at)
            return _record(_row(connection, retraining_id))

    def lease(self, *, worker: str, lease_s: float) -> RetrainingJob | None:
        """Take the retraining that waits; None when none does. One whose worker went away is marked failed."""
        with self.database.write() as connection:
            at = datetime.now(UTC)
            _fail_lost(connection, at=at)
            row = jobs.take(connection, RETRAIN, worker=worker, at=at, lease_s=lease_s, take_over=False)
            if row is None:
                return None
            told = json.loads(row.payload) | {"started_at": at.isoformat(), "said": []}
            connection.execute(table.update().where(table.c.id == row.id).values(payload=json.dumps(told)))
            _note(connection, Action.RETRAINING_STARTED, row.id, by=f"system:{worker}", at=at)
            return RetrainingJob(row.id, row.fence + 1, told["asked_by"])

    def keep(self, job: RetrainingJob, said: Sequence[str], *, lease_s: float) -> None:
        """Hold the lease longer and note what the command said. Raises LeaseLostError, also once it is cancelled."""
        with self.database.alter() as connection:
            told = json.loads(_row(connection, job.job_id).payload) | {"said": list(said)}
            until = datetime.now(UTC) + timedelta(seconds=lease_s)
            changed = connection.execute(
                table.update()
                .where(jobs.held(job))
                .values(payload=json.dumps(told, ensure_ascii=False), leased_until=until)
            )
            if changed.rowcount != 1:
                raise LeaseLostError(job.job_id)

    def end(self, job: RetrainingJob, said: Sequence[str], *, worker: str, problem: str | None = None) -> None:
        """Close a retraining as done, or as failed by a problem. Raises LeaseLostError."""
        with self.database.write() as connection:
            at = datetime.now(UTC)
            told = json.loads(_row(connection, job.job_id).payload) | {"said": list(said)}
            state = "failed" if problem is not None else "done"
            jobs.finish(connection, job, at=at, state=state, problem=problem or "")
            payload = json.dumps(told, ensure_ascii=False)
            connection.execute(table.update().where(table.c.id == job.job_id).values(payload=payload))
            _note(connection, Action.RETRAINING_ENDED, job.job_id, by=f"system:{worker}", at=at, state=state)

    def put_back(self, job: RetrainingJob, *, worker: str) -> None:
        """Let a retraining that a stop of the service cut off wait for the next start. Raises LeaseLostError."""
        with self.database.write() as connection:
            at = datetime.now(UTC)
            jobs.put_back(connection, job, run_after=at, problem="")
            _note(connection, Action.RETRAINING_PUT_BACK, job.job_id, by=f"system:{worker}", at=at)


def _refuse_another(connection: Connection) -> None:
    query = sa.select(table.c.payload).where(table.c.kind == RETRAIN, table.c.state.in_(("waiting", "leased")))
    payload = connection.execute(query).scalar()
    if payload is not None:
        raise RetrainingUnderWayError(asked_by=json.loads(payload)["asked_by"])


def _fail_lost(connection: Connection, *, at: datetime) -> None:
    lost = sa.select(table.c.id).where(table.c.kind == RETRAIN, jobs.is_lost(at)).with_for_update()
    for key in connection.execute(lost).scalars().all():
        connection.execute(
            table.update().where(table.c.id == key).values(state="failed", finished_at=at, problem=_LOST)
        )
        _note(connection, Action.RETRAINING_ENDED, key, by="system:store", at=at, state="failed")


def _row(connection: Connection, key: int) -> Row[Any]:
    row = connection.execute(sa.select(table).where(table.c.id == key, table.c.kind == RETRAIN)).first()
    if row is None:
        raise UnknownError("retraining", str(key))
    return row


def _record(row: Row[Any]) -> Retraining:
    told = json.loads(row.payload)
    return Retraining(
        retraining_id=row.id,
        state=_STATES.get(row.state, row.state),
        asked_by=told["asked_by"],
        asked_at=row.created_at,
        started_at=told.get("started_at"),
        ended_at=row.finished_at,
        said=tuple(told.get("said", ())),
        problem=row.problem or None,
    )


def _note(connection: Connection, action: Action, key: int, *, by: str, at: datetime, state: str | None = None) -> None:
    detail: trail.Detail = {"state": state} if state else {}
    trail.record(connection, action, actor=by, subject=f"retraining:{key}", at=at, detail=detail)
