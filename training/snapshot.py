"""Exported outcomes as the service writes them: cases with their photos, and what people decided.

A snapshot whose files differ from its manifest is refused whole. Knows nothing of models.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from models.case_file import CaseFile
from models.domain import Outcome, parse_case
from models.errors import CaseFormatError, InputError
from models.snapshot import verify


@dataclass(frozen=True)
class DecidedCase:
    """A case as it was judged, and the outcome."""

    file: CaseFile
    outcome: Outcome


def read_snapshot(folder: Path) -> list[DecidedCase]:
    """Return the decided cases of one exported folder. Raises InputError naming the file that is missing or altered."""
    verify(folder)
    files = {}
    for number, line in enumerate(_lines(folder / "cases.jsonl"), start=1):
        case = parse_case(line, source=f"cases.jsonl:{number}")
        photos = {
            photo.photo_id: (folder / photo.path).read_bytes()
            for photo in case.photos
            if photo.path is not None and (folder / photo.path).is_file()
        }
        files[(case.platform, case.case_id)] = CaseFile(case, photos)
    decided = []
    for number, line in enumerate(_lines(folder / "outcomes.jsonl"), start=1):
        try:
            outcome = Outcome.model_validate_json(line, strict=True)
        except ValidationError as error:
            raise CaseFormatError([("outcome", str(error))], source=f"outcomes.jsonl:{number}") from error
        matching = [
            file
            for (platform, case_id), file in files.items()
            if case_id == outcome.case_id and outcome.platform in (None, platform)
        ]
        if len(matching) != 1:
            raise InputError(f"{outcome.case_id} fits {len(matching)} cases", field=f"outcomes.jsonl:{number}")
        decided.append(DecidedCase(matching[0], outcome))
    return decided


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
