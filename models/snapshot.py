"""The folder that carries labelled outcomes from the service to training: sealed whole, named by what it holds.

outcomes.jsonl, cases.jsonl, photos/ by digest, corrections.jsonl where people made any, and manifest.json with the
sha256 of every file. One that held what was erased since is revoked: `revoked.jsonl` beside the folders lists it, and
it is refused under whatever name. Knows nothing of stores, models or what the rows mean.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import InputError

MANIFEST = "manifest.json"
REVOKED = "revoked.jsonl"


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON Lines, flushed to disk, and return how many. Raises OSError."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    _write_whole(path, "".join(lines))
    return len(lines)


def add_photo(folder: Path, data: bytes, *, ending: str) -> str:
    """Keep a photo under its digest and return its path relative to `folder`. Raises OSError."""
    path = folder / "photos" / (hashlib.sha256(data).hexdigest() + ending)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return str(path.relative_to(folder))


def seal(
    draft: Path, directory: Path, *, about: Mapping[str, Any], note: Callable[[str], None] = lambda _: None
) -> Path:
    """Pin every file of `draft`, move it under `directory` and return the new folder, named by its content.

    about : what else the manifest says, e.g. the number of outcomes
    note : told of the name before the folder bears it, so that one cut off in between is known of
    The same content gives the same folder; if it is there already, it stays. Raises OSError, and InputError when that
    content was revoked.
    """
    files = {str(path.relative_to(draft)): _sha256(path) for path in sorted(draft.rglob("*")) if path.is_file()}
    name = _name(files)
    _refuse_revoked(name, directory)
    note(name)
    target = directory / name
    if not target.exists():
        manifest = {"schema_version": 1, "created_at": datetime.now(UTC).isoformat(), **about, "files": files}
        _write_whole(draft / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        draft.rename(target)
    return target


def verify(folder: Path) -> None:
    """Raises InputError on a revoked snapshot, or naming the first file that is missing, altered or outside it."""
    try:
        pinned: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"can't be read: {error}", field=str(folder / MANIFEST)) from error
    if not isinstance(pinned, dict):
        raise InputError("names no files", field=str(folder / MANIFEST))
    _refuse_revoked(_name(pinned), folder.parent)
    for name, digest in pinned.items():
        said = f"{folder.name}/{name}"
        try:
            path = (folder / name).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise InputError("points outside the snapshot", field=said)
            if not path.is_file():
                raise InputError("is absent", field=said)
            if _sha256(path) != digest:
                raise InputError("is altered since it was exported", field=said)
        except (OSError, ValueError) as error:
            raise InputError(f"can't be read: {error}", field=said) from error


def revoke(name: str, directory: Path, *, replaced_by: str | None) -> None:
    """List a snapshot of `directory` as revoked. replaced_by : what was left of it, None if nothing. Raises OSError."""
    line = {"name": name, "revoked_at": datetime.now(UTC).isoformat(), "replaced_by": replaced_by}
    with (directory / REVOKED).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _refuse_revoked(name: str, directory: Path) -> None:
    """Raises InputError also when the list can't be read: what can't be ruled out isn't used."""
    path = directory / REVOKED
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in map(json.loads, lines):
            if line["name"] == name:
                instead = f"; {line['replaced_by']} holds the rest" if line["replaced_by"] else ""
                raise InputError(f"was revoked, for what it held was erased{instead}", field=str(directory / name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"can't be read: {error}", field=str(path)) from error


def _name(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def _write_whole(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
