"""Exported outcomes without what was erased: written again under a new name, the old one revoked and removed.

Knows nothing of who or what is erased: a predicate on the exported case tells.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.snapshot import MANIFEST, add_photo, revoke, seal, write_rows
from serving.refusals import StorageError
from serving.removal import finish_removals, remove_folder

Row = Mapping[str, Any]
_CASES, _OUTCOMES, _CORRECTIONS = "cases.jsonl", "outcomes.jsonl", "corrections.jsonl"


@dataclass(frozen=True)
class Revoked:
    """replaced_by : None when nothing was left, or the rest couldn't be read"""

    name: str
    replaced_by: str | None


def reissue(
    directory: Path, *, is_erased: Callable[[Row], bool], note: Callable[[Revoked], None] = lambda _: None
) -> list[Revoked]:
    """Revoke every snapshot in `directory` that holds a case to be erased. The rest of it gets a new name.

    note : told of each before it is revoked and the rest written, so that one cut off in between is known of
    A snapshot whose rows can't be read is revoked without another in its place. Raises StorageError.
    """
    revoked = []
    finish_removals(directory)
    for manifest in sorted(directory.glob(f"*/{MANIFEST}")):
        folder = manifest.parent
        try:
            try:
                rows = _rows(folder / _CASES)
                gone = {_key(row) for row in rows if is_erased(row)}
                if not gone:
                    continue
                new = _write_rest(folder, [row for row in rows if _key(row) not in gone], gone, note=note)
            except (ValueError, KeyError, TypeError):
                new = None
            revoked.append(Revoked(folder.name, new))
            if new is None:
                note(revoked[-1])
            revoke(folder.name, directory, replaced_by=new)
            remove_folder(folder)
        except OSError as error:
            raise StorageError(f"{folder} can't be written anew: {error.strerror}") from error
    return revoked


def _write_rest(
    folder: Path, cases: list[Row], gone: set[tuple[str, str]], *, note: Callable[[Revoked], None]
) -> str | None:
    if not cases:
        return None
    outcomes = [row for row in _rows(folder / _OUTCOMES) if not _is_of(row, gone)]
    corrections = [row for row in _rows(folder / _CORRECTIONS) if _key(row) not in gone]
    about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    kept = {name: about[name] for name in ("since", "until", "imported_from") if name in about}
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        write_rows(draft / _OUTCOMES, outcomes)
        write_rows(draft / _CASES, cases)
        if corrections:
            write_rows(draft / _CORRECTIONS, corrections)
        for path in {photo["path"] for case in cases for photo in case["photos"] if photo.get("path")}:
            add_photo(draft, (folder / path).read_bytes(), ending=Path(path).suffix)
        told = {**kept, "n_outcomes": len(outcomes), "replaces": folder.name}
        return seal(draft, folder.parent, about=told, note=lambda name: note(Revoked(folder.name, name))).name
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _key(row: Row) -> tuple[str, str]:
    return row["platform"], row["case_id"]


def _is_of(outcome: Row, gone: set[tuple[str, str]]) -> bool:
    """An outcome may leave its platform unsaid where the id alone is clear."""
    if outcome.get("platform") is None:
        return outcome["case_id"] in {case_id for _, case_id in gone}
    return _key(outcome) in gone
