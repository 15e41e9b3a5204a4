"""Leased jobs: a worker holds one for a while, and a fencing token keeps a worker that lost it from writing."""

import json
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from serving.records import ScoreJob
from serving.refusals import LeaseLostError
from serving.store import clock
from serving.tables import cases, jobs

SCORE = "score"
_LONGEST_WAIT = timedelta(hours=1)
"""No job is put off for longer."""


class Leased(Protocol):
    """A job as its holder knows it."""

    @property
    def job_id(self) -> int: ...

    @property
    def fence(self) -> int: ...


def _subject(case_key: int) -> str:
    return f"case:{case_key}"


def ask_score(connection: Connection, *, case_key: int, version: int, at: datetime, delay_s: float = 0) -> None:
    """Ask for a suggestion on a version, wanted before the case's clock runs out. What waits for an older version of
    the case is dropped.
    """
    drop_waiting(connection, case_key=case_key, at=at)
    connection.execute(
        jobs.insert().values(
            kind=SCORE,
            subject=_subject(case_key),
            payload=json.dumps({"case_key": case_key, "version": version}),
            state="waiting",
            attempts=0,
            fence=0,
            run_after=at + timedelta(seconds=delay_s),
            due_at=sa.select(cases.c.due_at).where(cases.c.id == case_key).scalar_subquery(),
            created_at=at,
        )
    )


def drop_waiting(connection: Connection, *, case_key: int, at: datetime) -> None:
    connection.execute(
        jobs.update()
        .where(jobs.c.subject == _subject(case_key), jobs.c.state == "waiting")
        .values(state="dropped", finished_at=at)
    )


def forget(connection: Connection, *, case_key: int) -> None:
    """Drop every job on a case; whoever holds one finds the lease lost."""
    connection.execute(jobs.delete().where(jobs.c.subject == _subject(case_key)))


def lease(connection: Connection, *, worker: str, at: datetime, lease_s: float) -> ScoreJob | None:
    """Take the scoring job whose case's clock runs out first, among those that may run or whose holder's lease ran
    out; None when there is none.
    """
    row = take(connection, SCORE, worker=worker, at=at, lease_s=lease_s)
    if row is None:
        return None
    payload = json.loads(row.payload)
    return ScoreJob(row.id, payload["case_key"], payload["version"], row.fence + 1, row.attempts + 1)


def take(
    connection: Connection, kind: str, *, worker: str, at: datetime, lease_s: float, take_over: bool = True
) -> Row[Any] | None:
    """Lease the job of a kind that is wanted first and return its row as it was before; its fence and attempts rise by
    one. A job that nothing waits for is wanted from the time it may run.

    take_over : whether a job whose holder's lease ran out may run
    """
    due = sa.and_(jobs.c.state == "waiting", clock.is_due(jobs.c.run_after, at=at, longest=_LONGEST_WAIT))
    if take_over:
        longest = max(_LONGEST_WAIT, timedelta(seconds=10 * lease_s))
        run_out = clock.is_due(jobs.c.leased_until, at=at, longest=longest)
        due = sa.or_(due, sa.and_(jobs.c.state == "leased", run_out))
    query = (
        sa.select(jobs)
        .where(jobs.c.kind == kind, due)
        .order_by(sa.func.coalesce(jobs.c.due_at, jobs.c.run_after), jobs.c.run_after, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    connection.execute(
        jobs.update()
        .where(jobs.c.id == row.id)
        .values(
            state="leased",
            fence=row.fence + 1,
            attempts=row.attempts + 1,
            worker=worker,
            leased_until=at + timedelta(seconds=lease_s),
        )
    )
    return row


def is_lost(at: datetime) -> sa.ColumnElement[bool]:
    """Tell whether a job's holder let its lease run out."""
    return sa.and_(jobs.c.state == "leased", jobs.c.leased_until < at)


def held(job: Leased) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.id == job.job_id, jobs.c.fence == job.fence, jobs.c.state == "leased")


def finish(connection: Connection, job: Leased, *, at: datetime, state: str = "done", problem: str = "") -> None:
    """Close a job. Raises LeaseLostError when another worker took it over."""
    changed = connection.execute(
        jobs.update().where(held(job)).values(state=state, finished_at=at, problem=problem or None)
    )
    if changed.rowcount != 1:
        raise LeaseLostError(job.job_id)


def put_back(connection: Connection, job: Leased, *, run_after: datetime, problem: str) -> None:
    """Let the job wait for another attempt. Raises LeaseLostError when another worker took it over."""
    changed = connection.execute(
        jobs.update().where(held(job)).values(state="waiting", run_after=run_after, leased_until=None, problem=problem)
    )
    if changed.rowcount != 1:
        raise LeaseLostError(job.job_id)


def give_back(connection: Connection, job: Leased, *, at: datetime) -> None:
    """Let a job wait as if it had never been taken. Raises LeaseLostError when another worker took it over."""
    changed = connection.execute(
        jobs.update()
        .where(held(job))
        .values(state="waiting", run_after=at, leased_until=None, attempts=jobs.c.attempts - 1)
    )
    if changed.rowcount != 1:
        raise LeaseLostError(job.job_id)


def oldest_due_at(connection: Connection, *, at: datetime) -> datetime | None:
    """Return since when the scoring job has been due that has waited longest and isn't done; None if none is due."""
    query = sa.select(sa.func.min(jobs.c.run_after)).where(
        jobs.c.kind == SCORE, jobs.c.state.in_(("waiting", "leased")), jobs.c.run_after <= at
    )
    oldest: datetime | None = connection.execute(query).scalar_one()
    return oldest


def is_any_due(connection: Connection, *, at: datetime) -> bool:
    """Return whether a scoring job waits to be taken."""
    due = clock.is_due(jobs.c.run_after, at=at, longest=_LONGEST_WAIT)
    query = sa.select(jobs.c.id).where(jobs.c.kind == SCORE, jobs.c.state == "waiting", due).limit(1)
    return connection.execute(query).first() is not None


def count_open(connection: Connection) -> int:
    """Return how many scoring jobs wait or are held."""
    open_ones = jobs.c.kind == SCORE, jobs.c.state.in_(("waiting", "leased"))
    query = sa.select(sa.func.count()).select_from(jobs).where(*open_ones)
    return int(connection.execute(query).scalar_one())
