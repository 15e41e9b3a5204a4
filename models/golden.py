"""Golden cases: what a model said when it was made, so that whoever loads it can see whether it still says so.

They lie in the model folder and are pinned with it. A difference means other libraries, rules or encoders than those it
was judged with. Knows nothing of registries or of the web.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from models.case_file import CaseFile
from models.domain import Case, Frozen, Probability
from models.errors import GoldenCaseError, WeightsError
from models.suggester import Suggester
from models.vocabulary import Ruling

GOLDEN = "golden.json"
TOLERANCE = 1e-6


class GoldenCase(Frozen):
    """photos : bytes in base64 by photo_id; ruling : null where the model abstained"""

    case: Case
    photos: dict[str, str]
    ruling: Ruling | None
    probabilities: dict[Ruling, Probability]


class GoldenCases(Frozen):
    ruled_on: AwareDatetime
    cases: tuple[GoldenCase, ...]


def write_golden(suggester: Suggester, files: Sequence[CaseFile], folder: Path, *, ruled_on: datetime) -> None:
    """Write what `suggester`, as loaded from `folder`, says to these cases."""
    suggestions = suggester.suggest(files, now=ruled_on)
    cases = tuple(
        GoldenCase(
            case=file.case,
            photos={photo_id: base64.b64encode(data).decode() for photo_id, data in file.photos.items()},
            ruling=suggestion.ruling,
            probabilities=suggestion.probabilities,
        )
        for file, suggestion in zip(files, suggestions, strict=True)
    )
    (folder / GOLDEN).write_text(GoldenCases(ruled_on=ruled_on, cases=cases).model_dump_json(), encoding="utf-8")


def check_golden(suggester: Suggester, folder: Path) -> int:
    """Return how many golden cases the model repeats; a folder without any gives 0.

    Raises GoldenCaseError at the first case with another ruling or a probability further off than 1e-6, WeightsError
    when the file can't be read.
    """
    path = folder / GOLDEN
    if not path.exists():
        return 0
    try:
        golden = GoldenCases.model_validate_json(path.read_bytes())
        files = [
            CaseFile(one.case, {photo_id: base64.b64decode(data) for photo_id, data in one.photos.items()})
            for one in golden.cases
        ]
    except (ValidationError, ValueError) as error:
        raise WeightsError(f"{path} can't be read: {error}") from error
    for one, said in zip(golden.cases, suggester.suggest(files, now=golden.ruled_on), strict=True):
        furthest = max(abs(said.probabilities[ruling] - p) for ruling, p in one.probabilities.items())
        if said.ruling != one.ruling or furthest > TOLERANCE:
            raise GoldenCaseError(
                f"golden case {one.case.case_id}: {said.ruling or 'abstains'} instead of {one.ruling or 'abstaining'}, "
                f"a probability differs by {furthest:.2g}"
            )
    return len(files)
