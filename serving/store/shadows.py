"""A challenger in shadow: which live cases it is still to be asked about, what it said, switching it on and off.

What it says lies apart from suggestions and is read by nothing that shows a case. Only what the champion said since the
switch is asked about: older cases may be among those that the challenger learned from. Knows nothing of models.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from models.domain import Suggestion
from models.vocabulary import Ruling
from serving.audit import Action
from serving.model_records import ShadowState
from serving.records import CaseStatus, ShadowJob, User
from serving.store import jobs, outcomes, trail
from serving.store.cases import locked
from serving.store.database import Database
from serving.tables import cases, shadow_runs, shadow_suggestions, suggestions
from serving.tables import jobs as job_table

SHADOW = "shadow"
_LOOK_BACK = 200
"""Suggestions whose number is lower but which came to light later are looked for among so many."""


@dataclass(frozen=True)
class Said:
    """What a model said to a case. probabilities : by ruling; prediction_set : rulings"""

    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]

    @property
    def likeliest(self) -> str:
        return max(self.probabilities, key=lambda ruling: self.probabilities[ruling])


@dataclass(frozen=True)
class Pair:
    """What both models said to one case. blind_ruling : what a person ruled who had seen neither, None without one"""

    claim: str
    language: str
    platform: str
    champion: Said
    challenger: Said
    blind_ruling: Ruling | None
    alpha: float


class Shadows:
    """Each method is one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def state(self) -> ShadowState:
        with self.database.read() as connection:
            return _state(connection)

    def switch(self, *, on: bool, by: User) -> ShadowState:
        """Switch the shadow on or off; what is so already stays as it is."""
        with self.database.write() as connection:
            if _state(connection).on != on:
                at = datetime.now(UTC)
                if on:
                    connection.execute(shadow_runs.insert().values(on_by=by.name, on_at=at))
                else:
                    open_runs = shadow_runs.update().where(shadow_runs.c.off_at.is_(None))
                    connection.execute(open_runs.values(off_by=by.name, off_at=at))
                action = Action.SHADOW_ON if on else Action.SHADOW_OFF
                trail.record(connection, action, actor=by.name, subject="shadow", at=at)
            return _state(connection)

    def take(
        self, *, number: int, model_version: str, since: datetime, after: int, worker: str, lease_s: float
    ) -> ShadowJob | None:
        """Lease the next suggestion that challenger `number` is to be asked about; None when there is none now.

        since : suggestions made before are left out; after : so are those of a lower `suggestion_key`
        None also while a scoring job is due: the champion's work comes first.
        """
        with self.database.alter() as connection:
            at = datetime.now(UTC)
            run = _state(connection)
            if run.since is None or jobs.is_any_due(connection, at=at):
                return None
            kind = _kind(number)
            row = jobs.take(connection, kind, worker=worker, at=at, lease_s=lease_s)
            if row is not None:
                asked = sa.select(suggestions).where(suggestions.c.id == json.loads(row.payload)["suggestion_key"])
                return _job(connection.execute(asked).one(), row.id, row.fence + 1, row.attempts + 1)
            subject = sa.literal(f"{kind}:") + sa.cast(suggestions.c.id, sa.String)
            query = (
                sa.select(suggestions)
                .join(cases, sa.and_(cases.c.id == suggestions.c.case_key, cases.c.version == suggestions.c.version))
                .where(
                    suggestions.c.id > after - _LOOK_BACK,
                    suggestions.c.created_at >= max(run.since, since),
                    suggestions.c.model_version != model_version,
                    cases.c.status != CaseStatus.ERASED.value,
                    ~sa.exists().where(job_table.c.subject == subject),
                    ~sa.exists().where(
                        shadow_suggestions.c.case_key == suggestions.c.case_key,
                        shadow_suggestions.c.version == suggestions.c.version,
                        shadow_suggestions.c.suggestion_id == suggestions.c.suggestion_id,
                        shadow_suggestions.c.model_version == model_version,
                    ),
                )
                .order_by(suggestions.c.id)
                .limit(1)
            )
            found = connection.execute(query).first()
            if found is None:
                return None
            values = {
                "kind": kind,
                "subject": f"{kind}:{found.id}",
                "payload": json.dumps({"suggestion_key": found.id}),
                "state": "leased",
                "attempts": 1,
                "fence": 1,
                "worker": worker,
                "run_after": at,
                "leased_until": at + timedelta(seconds=lease_s),
                "created_at": at,
            }
            key = connection.execute(job_table.insert().values(**values).returning(job_table.c.id)).scalar_one()
            return _job(found, key, 1, 1)

    def keep(self, job: ShadowJob, suggestion: Suggestion) -> None:
        """Close the job and keep what the challenger said.

        A second answer of one model is left out, and so is one on a case that was erased meanwhile.
        Raises LeaseLostError.
        """
        answer = {
            "case_key": job.case_key,
            "version": job.version,
            "suggestion_id": job.suggestion_id,
            "model_version": suggestion.model_version,
        }
        said = suggestion.model_dump(mode="json", include={"probabilities", "prediction_set", "abstained"})
        with self.database.alter() as connection:
            at, case = datetime.now(UTC), locked(connection, job.case_key)
            jobs.finish(connection, job, at=at)
            if case.status == CaseStatus.ERASED:
                return
            if connection.execute(sa.select(shadow_suggestions.c.id).filter_by(**answer)).first() is None:
                row = shadow_suggestions.insert().values(**answer, payload=json.dumps(said), created_at=at)
                connection.execute(row)

    def fail(self, job: ShadowJob, problem: str, *, retry_in_s: float | None) -> None:
        """Let the job wait for another attempt, or give it up. Raises LeaseLostError."""
        with self.database.alter() as connection:
            at = datetime.now(UTC)
            if retry_in_s is None:
                jobs.finish(connection, job, at=at, state="failed", problem=problem)
            else:
                jobs.put_back(connection, job, run_after=at + timedelta(seconds=retry_in_s), problem=problem)

    def n_failed(self, number: int) -> int:
        """Return how many cases challenger `number` could not score."""
        query = sa.select(sa.func.count()).where(job_table.c.kind == _kind(number), job_table.c.state == "failed")
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def pairs(self, model_version: str, *, champion_version: str | None, limit: int = 5_000) -> list[Pair]:
        """Return the newest cases that both models scored. champion_version : None for whichever it was"""
        query = (
            sa.select(
                shadow_suggestions.c.case_key,
                shadow_suggestions.c.version,
                shadow_suggestions.c.payload.label("challenger"),
                suggestions.c.payload.label("champion"),
                cases.c.claim,
                cases.c.language,
                cases.c.platform,
            )
            .join(
                suggestions,
                sa.and_(
                    suggestions.c.case_key == shadow_suggestions.c.case_key,
                    suggestions.c.version == shadow_suggestions.c.version,
                    suggestions.c.suggestion_id == shadow_suggestions.c.suggestion_id,
                ),
            )
            .join(cases, cases.c.id == shadow_suggestions.c.case_key)
            .where(shadow_suggestions.c.model_version == model_version)
            .order_by(shadow_suggestions.c.id.desc())
            .limit(limit)
        )
        if champion_version is not None:
            query = query.where(suggestions.c.model_version == champion_version)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            ruled = outcomes.first_rulings(connection, [row.case_key for row in rows])
        blind = {place: decision.ruling for place, decision in ruled.items() if decision.blind}
        return [
            Pair(
                row.claim,
                row.language,
                row.platform,
                _said(row.champion),
                _said(row.challenger),
                blind.get((row.case_key, row.version)),
                float(json.loads(row.champion)["alpha"]),
            )
            for row in rows
        ]


def _kind(number: int) -> str:
    return f"{SHADOW}:{number}"


def _state(connection: Connection) -> ShadowState:
    query = sa.select(shadow_runs).where(shadow_runs.c.off_at.is_(None)).order_by(shadow_runs.c.id).limit(1)
    row = connection.execute(query).first()
    return ShadowState(on=True, by=row.on_by, since=row.on_at) if row is not None else ShadowState(on=False)


def _job(asked: Row[Any], key: int, fence: int, attempts: int) -> ShadowJob:
    return ShadowJob(
        job_id=key,
        fence=fence,
        attempts=attempts,
        suggestion_key=asked.id,
        case_key=asked.case_key,
        version=asked.version,
        suggestion_id=asked.suggestion_id,
        suggested_at=asked.created_at,
    )


def _said(payload: str) -> Said:
    told = json.loads(payload)
    return Said(told["probabilities"], tuple(told["prediction_set"]))
