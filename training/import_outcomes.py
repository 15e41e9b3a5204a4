"""Outcomes that were decided elsewhere, brought into a snapshot by a mapping; what can't be used is reported by row.

The cases come in the intake format and are masked. Knows no platform's export: the mapping says which column is what.
"""

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from models.domain import Case, Frozen, Outcome, parse_case
from models.errors import CaseFormatError, InputError
from models.fields import written_out
from models.privacy import mask, masked_case, pseudonym
from models.snapshot import add_photo, seal, write_rows

_MOST_PHOTO_BYTES = 20_000_000


class OutcomeMapping(Frozen):
    """How a table becomes outcomes.

    columns : outcome key → column of the table; default: the same name
    values : outcome key → value in the table → value in the outcome
    constants : outcome key → value for every row
    """

    columns: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A row that wasn't taken. line : its place in the table, the header not counted, from 1"""

    line: int
    case_id: str | None
    reason: str


@dataclass(frozen=True)
class Imported:
    folder: Path
    n_taken: int
    refused: tuple[Refusal, ...]


def import_outcomes(
    table: Path, *, cases: Path, mapping: Path | None, directory: Path, photos: Path | None = None
) -> Imported:
    """Write a snapshot of the usable rows under `directory`, and refused.jsonl beside it.

    table : CSV, JSONL or Parquet; cases : JSON Lines in the intake format; mapping : YAML, see `OutcomeMapping`
    photos : folder of the cases' photos; default: the one the cases lie in
    Raises InputError when a file can't be read or no row is usable, CaseFormatError on a wrong mapping.
    """
    known = _cases(cases)
    how = _mapping(mapping)
    taken: dict[tuple[str, str], tuple[Outcome, Case]] = {}
    refused = []
    for place, row in enumerate(_rows(table), start=1):
        named = row.get(how.columns.get("case_id", "case_id"))
        case_id = written_out(str(named)) if named is not None else None
        try:
            outcome = _outcome(row, how)
            case = _case_of(outcome, known)
            if (case.platform, case.case_id) in taken:
                raise InputError("the case has an outcome already", field="case_id")
            taken[case.platform, case.case_id] = (outcome.model_copy(update={"platform": case.platform}), case)
        except InputError as error:
            refused.append(Refusal(place, case_id, mask(written_out(str(error)))))
    directory.mkdir(parents=True, exist_ok=True)
    report = directory / "refused.jsonl"
    write_rows(report, [vars(one) for one in refused])
    if not taken:
        why = f": {refused[0].reason}; {report} has every row" if refused else ""
        raise InputError(f"holds no usable row{why}", field=str(table))
    folder = _write(list(taken.values()), photos or cases.parent, directory, source=table.name)
    return Imported(folder, len(taken), tuple(refused))


def _mapping(path: Path | None) -> OutcomeMapping:
    if path is None:
        return OutcomeMapping()
    try:
        mapping = OutcomeMapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        raise CaseFormatError(_problems(error), source=path.name) from error
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"can't be read: {error}", field=str(path)) from error
    for part in (mapping.columns, mapping.values, mapping.constants):
        for key in part:
            if key not in Outcome.model_fields:
                raise CaseFormatError([(key, "is no key of an outcome")], source=path.name)
    return mapping


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pandas as pd

    readers: dict[str, Callable[[], list[Any]]] = {
        ".csv": lambda: _of_csv(path),
        ".parquet": lambda: list(pd.read_parquet(path).to_dict("records")),
        ".jsonl": lambda: _of_json_lines(path),
    }
    if path.suffix not in readers:
        raise InputError(f"must end in {', '.join(readers)}", field=str(path))
    try:
        rows = readers[path.suffix]()
    except InputError:
        raise
    except (OSError, ValueError, ImportError, ArithmeticError, LookupError, csv.Error) as error:
        raise InputError(f"can't be read: {error}", field=str(path)) from error
    for place, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"row {place} is no object", field=str(path))
        yield {str(name): value for name, value in row.items() if not _is_nothing(value)}


def _of_csv(path: Path) -> list[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = []
        for row in reader:
            if None in row:
                raise InputError("has more values than the header has columns", field=f"{path}:{reader.line_num}")
            rows.append({name: value for name, value in row.items() if value is not None})
        return rows


def _of_json_lines(path: Path) -> list[Any]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            raise InputError(f"can't be read: {error}", field=f"{path}:{number}") from error
    return rows


def _is_nothing(value: object) -> bool:
    import pandas as pd

    return value == "" if isinstance(value, str) else bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _outcome(row: Mapping[str, Any], how: OutcomeMapping) -> Outcome:
    content: dict[str, Any] = dict(how.constants)
    for key in Outcome.model_fields:
        column = how.columns.get(key, key)
        if column not in row:
            continue
        value = row[column]
        if key in how.values:
            if str(value) not in how.values[key]:
                raise InputError(f"the mapping doesn't say what {value!r} is", field=key)
            value = how.values[key][str(value)]
        content[key] = value.isoformat() if hasattr(value, "isoformat") else value
    try:
        return Outcome.model_validate(content)
    except ValidationError as error:
        raise CaseFormatError(_problems(error)) from error


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    return [
        (".".join(map(str, item["loc"])), item["msg"]) for item in error.errors(include_url=False, include_input=False)
    ]


def _cases(path: Path) -> dict[tuple[str, str], Case]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't be read: {error}", field=str(path)) from error
    cases = [parse_case(line, source=f"{path.name}:{n}") for n, line in enumerate(lines, start=1) if line.strip()]
    return {(case.platform, case.case_id): case for case in cases}


def _case_of(outcome: Outcome, known: Mapping[tuple[str, str], Case]) -> Case:
    found = [
        case
        for (platform, case_id), case in known.items()
        if case_id == outcome.case_id and outcome.platform in (None, platform)
    ]
    if len(found) != 1:
        raise InputError(f"fits {len(found)} of the cases", field="case_id")
    return found[0]


def _write(taken: list[tuple[Outcome, Case]], photos: Path, directory: Path, *, source: str) -> Path:
    draft = Path(tempfile.mkdtemp(dir=directory, prefix=".new-"))
    try:
        write_rows(draft / "outcomes.jsonl", [_masked(outcome) for outcome, _ in taken])
        write_rows(draft / "cases.jsonl", [_with_photos(case, photos, draft) for _, case in taken])
        return seal(draft, directory, about={"n_outcomes": len(taken), "imported_from": source})
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _masked(outcome: Outcome) -> dict[str, Any]:
    by = pseudonym("p", outcome.decided_by, platform="elsewhere") if outcome.decided_by else None
    why = mask(outcome.why) if outcome.why else outcome.why
    return outcome.model_copy(update={"decided_by": by, "why": why}).model_dump(mode="json")


def _with_photos(case: Case, photos: Path, draft: Path) -> dict[str, Any]:
    listed = []
    for photo in case.photos:
        data = _read(photos, photo.path) if photo.path else None
        path = add_photo(draft, data, ending=Path(photo.path or "").suffix.lower()) if data is not None else None
        listed.append(photo.model_copy(update={"path": path}))
    return masked_case(case).model_copy(update={"photos": tuple(listed)}).model_dump(mode="json")


def _read(folder: Path, relative: str) -> bytes | None:
    """A photo that is absent, too large or outside the folder is left out; its case is taken all the same."""
    path = (folder / relative).resolve()
    try:
        if not path.is_relative_to(folder.resolve()) or not path.is_file() or path.stat().st_size > _MOST_PHOTO_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None
