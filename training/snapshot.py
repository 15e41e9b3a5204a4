"""Exported outcomes as the service writes them: cases with their photos, and what people decided.

A snapshot whose files differ from its manifest is refused whole. Knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from models.case_file import CaseFile
from models.domain import Outcome, parse_case
from models.errors import CaseFormatError, InputError
from models.snapshot import verify
from models.truth import EvidenceCorrection
from models.vocabulary import Ruling
from training.case_photos import with_photos
from training.provenance import GOLD, Provenance, label_of, provenance_of


@dataclass(frozen=True)
class DecidedCase:
    """A case as it was judged, and the outcome; what people corrected in the machine's reading of it, if anything."""

    file: CaseFile
    outcome: Outcome
    corrections: tuple[EvidenceCorrection, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.file.case.platform}/{self.file.case.case_id}"

    @property
    def moment(self) -> datetime:
        """When it was decided; when it was opened where nobody noted that."""
        return self.outcome.decided_at or self.file.case.opened_at

    @property
    def provenance(self) -> Provenance:
        return provenance_of(self.outcome)

    @property
    def is_gold(self) -> bool:
        return self.provenance in GOLD

    @property
    def label(self) -> Ruling:
        return label_of(self.outcome)


def read_snapshots(folders: Sequence[Path]) -> list[DecidedCase]:
    """Return the decided cases of all folders in order of decision; of a case told twice the later one stands.

    Raises InputError naming the file that is missing or altered.
    """
    latest: dict[str, DecidedCase] = {}
    for folder in folders:
        for one in read_snapshot(folder):
            known = latest.get(one.key)
            if known is None or known.moment <= one.moment:
                latest[one.key] = one
    return sorted(latest.values(), key=lambda one: (one.moment, one.key))


def read_snapshot(folder: Path) -> list[DecidedCase]:
    """Return the decided cases of one exported folder. Raises InputError naming the file that is missing or altered."""
    verify(folder)
    files = {}
    for number, line in enumerate(_lines(folder / "cases.jsonl"), start=1):
        case = parse_case(line, source=f"cases.jsonl:{number}")
        files[(case.platform, case.case_id)] = with_photos(case, folder)
    corrections = _corrections(folder / "corrections.jsonl")
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
        file = matching[0]
        key = file.case.platform, file.case.case_id
        own = tuple(one for one in corrections if (one.platform, one.case_id) == key)
        decided.append(DecidedCase(file, outcome, own))
    return decided


def _corrections(path: Path) -> list[EvidenceCorrection]:
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            found.append(EvidenceCorrection.model_validate_json(line, strict=True))
        except ValidationError as error:
            raise CaseFormatError([("correction", str(error))], source=f"{path.name}:{number}") from error
    return found


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
