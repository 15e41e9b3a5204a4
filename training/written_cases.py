"""Whole written cases with their labels: cases, outcomes, statement labels, what each photo truly shows.

Reads a folder of cases.jsonl, outcomes.jsonl, statements.jsonl and photos.jsonl. Knows nothing of models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from models.domain import Case, Frozen, Outcome, parse_case
from models.errors import CaseFormatError, InputError
from models.truth import PhotoTruth, StatementTruth
from models.vocabulary import StatementLabel

Row = TypeVar("Row", bound=Frozen)


@dataclass(frozen=True)
class WrittenCase:
    """statements : labels by message_id; photos : truth by photo_id."""

    case: Case
    outcome: Outcome
    statements: dict[str, frozenset[StatementLabel]]
    photos: dict[str, PhotoTruth]


def read_written_cases(folder: Path) -> list[WrittenCase]:
    """Return the labelled cases of `folder`. Raises InputError naming file and line."""
    outcomes = {row.case_id: row for row in _rows(folder / "outcomes.jsonl", Outcome)}
    statements: dict[str, dict[str, frozenset[StatementLabel]]] = {}
    for said in _rows(folder / "statements.jsonl", StatementTruth):
        statements.setdefault(said.case_id, {})[said.message_id] = frozenset(said.labels)
    photos: dict[str, dict[str, PhotoTruth]] = {}
    for shown in _rows(folder / "photos.jsonl", PhotoTruth):
        photos.setdefault(shown.case_id, {})[shown.photo_id] = shown
    found = []
    for place, line in _lines(folder / "cases.jsonl"):
        case = parse_case(line, source=place)
        if case.case_id not in outcomes:
            raise InputError(f"case {case.case_id} has no outcome", field=place)
        found.append(
            WrittenCase(case, outcomes[case.case_id], statements.get(case.case_id, {}), photos.get(case.case_id, {}))
        )
    return found


def _rows(path: Path, kind: type[Row]) -> Iterator[Row]:
    if not path.exists():
        return
    for place, line in _lines(path):
        try:
            yield kind.model_validate_json(line, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise CaseFormatError([(name, first["msg"])], source=place) from error


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            yield f"{path.name}:{number}", line
