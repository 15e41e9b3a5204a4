"""The queue of cases that wait for a suggestion, as a worker sees it: each method is one transaction."""

from datetime import UTC, datetime, timedelta

from models.domain import Suggestion
from serving.records import CaseStatus, ScoreJob
from serving.store import cases, jobs, suggestions, switches
from serving.store.database import Database


class ScoreQueue:
    """database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def lease(self, *, worker: str, lease_s: float) -> ScoreJob | None:
        with self.database.write() as connection:
            return jobs.lease(connection, worker=worker, at=_now(), lease_s=lease_s)

    def is_wanted(self, job: ScoreJob, *, worker: str) -> bool:
        """Return whether the job's version is current and suggestions of its kind aren't switched off.

        Nothing is wanted on a case that was erased meanwhile.
        """
        with self.database.write() as connection:
            row = cases.locked(connection, job.case_key)
            if row.status == CaseStatus.ERASED:
                return False
            if switches.is_off(connection, claim=row.claim, platform=row.platform):
                suggestions.mark_off(
                    connection,
                    key=cases.key_of(connection, job.case_key),
                    case_key=job.case_key,
                    version=job.version,
                    actor=f"system:{worker}",
                    at=_now(),
                )
                return False
            return bool(row.version == job.version)

    def drop(self, job: ScoreJob) -> None:
        with self.database.write() as connection:
            jobs.finish(connection, job, at=_now(), state="dropped")

    def finish(self, job: ScoreJob, suggestion: Suggestion, *, worker: str) -> bool:
        """Close the job and store its suggestion together. Returns whether the version was still current.

        Raises LeaseLostError, and stores nothing, when another worker took the job over.
        """
        with self.database.write() as connection:
            cases.locked(connection, job.case_key)
            jobs.finish(connection, job, at=_now())
            return suggestions.keep(
                connection,
                suggestion,
                key=cases.key_of(connection, job.case_key),
                case_key=job.case_key,
                version=job.version,
                actor=f"system:{worker}",
                at=_now(),
            )

    def give_back(self, job: ScoreJob) -> None:
        """Let a job that was stopped in the middle wait for another worker. Raises LeaseLostError."""
        with self.database.write() as connection:
            jobs.give_back(connection, job, at=_now())

    def fail(self, job: ScoreJob, problem: str, *, worker: str, retry_in_s: float | None) -> None:
        """Let a job wait for another attempt, or give it up for good and say so on the case.

        Raises LeaseLostError when another worker took the job over.
        """
        with self.database.write() as connection:
            at = _now()
            if retry_in_s is not None:
                jobs.put_back(connection, job, run_after=at + timedelta(seconds=retry_in_s), problem=problem)
                return
            cases.locked(connection, job.case_key)
            jobs.finish(connection, job, at=at, state="failed", problem=problem)
            suggestions.mark_failed(
                connection,
                key=cases.key_of(connection, job.case_key),
                case_key=job.case_key,
                version=job.version,
                problem=problem,
                actor=f"system:{worker}",
                at=at,
            )

    def oldest_due_at(self) -> datetime | None:
        with self.database.read() as connection:
            return jobs.oldest_due_at(connection, at=_now())

    def count_open(self) -> int:
        with self.database.read() as connection:
            return jobs.count_open(connection)


def _now() -> datetime:
    return datetime.now(UTC)
