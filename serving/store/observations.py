"""Cases as drift looks at them: what a model said of each at first, and how people then ruled. Knows no tests."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from models.domain import Case, Decision, Suggestion
from models.drift import Observation, observe
from models.vocabulary import Platform
from serving.records import CaseKey, CaseStatus
from serving.store import outcomes
from serving.store.database import Database
from serving.tables import case_versions, cases, suggestions


@dataclass(frozen=True)
class SeenCase:
    """A case that a model scored. hidden : what the machine says of it is withheld until somebody has ruled"""

    key: CaseKey
    observation: Observation
    hidden: bool
    alpha: float


class Observations:
    """Each method is one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def newest_model(self) -> str | None:
        """Return the version of the model that scored last, None where none has."""
        query = sa.select(suggestions.c.model_version).order_by(suggestions.c.id.desc()).limit(1)
        with self.database.read() as connection:
            return connection.execute(query).scalar()

    def count(self, model_version: str) -> int:
        """Return how many cases the model scored, erased ones aside."""
        with self.database.read() as connection:
            query = sa.select(sa.func.count()).select_from(_firsts(suggestions.c.model_version == model_version))
            return int(connection.execute(query).scalar_one())

    def oldest(self, model_version: str, *, limit: int) -> list[SeenCase]:
        """Return the first cases that the model scored, in that order."""
        return self._seen(_firsts(suggestions.c.model_version == model_version), limit=limit, newest=False)

    def newest(self, model_version: str, *, limit: int) -> list[SeenCase]:
        """Return the last cases that the model scored, the newest first."""
        return self._seen(_firsts(suggestions.c.model_version == model_version), limit=limit, newest=True)

    def _seen(self, first: sa.Subquery, *, limit: int, newest: bool) -> list[SeenCase]:
        query = (
            sa.select(
                suggestions.c.case_key,
                suggestions.c.version,
                suggestions.c.model_version,
                suggestions.c.payload.label("said"),
                case_versions.c.payload.label("case"),
                cases.c.platform,
                cases.c.case_id,
                cases.c.blind,
                cases.c.committed_at,
            )
            .join(first, first.c.id == suggestions.c.id)
            .join(cases, cases.c.id == suggestions.c.case_key)
            .join(
                case_versions,
                sa.and_(
                    case_versions.c.case_key == suggestions.c.case_key, case_versions.c.version == suggestions.c.version
                ),
            )
            .order_by(suggestions.c.id.desc() if newest else suggestions.c.id)
            .limit(limit)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
            ruled = outcomes.first_rulings(connection, [row.case_key for row in rows])
        return [
            _seen_case(row, Suggestion.model_validate_json(row.said), ruled.get((row.case_key, row.version)))
            for row in rows
        ]


def _firsts(wanted: sa.ColumnElement[bool]) -> sa.Subquery:
    """Number the first of the wanted suggestions on each case that isn't erased."""
    return (
        sa.select(sa.func.min(suggestions.c.id).label("id"))
        .join(cases, cases.c.id == suggestions.c.case_key)
        .where(wanted, cases.c.status != CaseStatus.ERASED.value)
        .group_by(suggestions.c.case_key)
        .subquery()
    )


def _seen_case(row: Any, said: Suggestion, ruled: Decision | None) -> SeenCase:
    """A ruling tells of overrides only where that model's suggestion was on screen, of coverage only where none was."""
    overridden = covered = None
    if (
        ruled is not None
        and ruled.suggestion_shown
        and ruled.agreed is not None
        and ruled.model_version == row.model_version
    ):
        overridden = not ruled.agreed
    if ruled is not None and ruled.blind:
        covered = ruled.ruling in said.prediction_set
    case = Case.model_validate_json(row.case)
    return SeenCase(
        CaseKey(Platform(row.platform), row.case_id),
        observe(case, said, overridden=overridden, covered=covered),
        hidden=bool(row.blind and row.committed_at is None),
        alpha=said.alpha,
    )
