"""What leads and auditors ask of the store: figures, the log of decisions, bulk assignment. Knows nothing of HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from serving.desk_records import Assignment, AssignmentDraft, DecisionRow, Figures, Pass
from serving.records import QueueFilter, User
from serving.store import assignments, decision_log, figures
from serving.store.database import Database

_AT_A_TIME = 1_000


class Oversight:
    def __init__(self, database: Database) -> None:
        self.database = database

    def figures(self, *, days: int) -> Figures:
        """Return the figures over the cases first decided in the last `days`."""
        with self.database.read() as connection:
            return figures.figures(connection, since=datetime.now(UTC) - timedelta(days=days))

    def newest_decisions(self, wanted: QueueFilter, *, by: str | None = None, limit: int = 100) -> list[DecisionRow]:
        with self.database.read() as connection:
            return decision_log.page(connection, after=0, limit=limit, wanted=wanted, by=by, newest=True)

    def every_decision(self, wanted: QueueFilter, *, by: str | None = None) -> Iterator[DecisionRow]:
        """Yield every decision in the order they were made, a page in memory at a time."""
        after = 0
        while True:
            with self.database.read() as connection:
                rows = decision_log.page(connection, after=after, limit=_AT_A_TIME, wanted=wanted, by=by)
            is_last = len(rows) < _AT_A_TIME
            after = rows[-1].row if rows else after
            yield from rows
            if is_last:
                return
            rows.clear()

    def set_aside(self, *, limit: int = 100) -> list[Pass]:
        """Return skips and recusals with their reasons, the newest first."""
        with self.database.read() as connection:
            return list(decision_log.set_aside(connection, limit=limit))

    def assign(self, draft: AssignmentDraft, *, by: User) -> Assignment:
        """Raises ForbiddenError, InputError."""
        with self.database.write() as connection:
            return assignments.deal(connection, draft, by=by, at=datetime.now(UTC))

    def undo_assignment(self, batch_id: str, *, by: User) -> int:
        """Raises ForbiddenError, UnknownError."""
        with self.database.write() as connection:
            return assignments.undo(connection, batch_id, by=by, at=datetime.now(UTC))
