"""The files of a backlog, in a fixed order, with the digests that tell whether they changed.

Knows nothing of what stands in their rows.
"""

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serving.backlog.refusals import BacklogUnreadableError

Kind = Literal["jsonl", "parquet"]
_KINDS: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file of a backlog.

    name : path relative to the backlog's own folder; photos_dir : folder that photo paths are relative to
    n_rows : lines or rows, 0 where `problem` says why the file can't be read
    """

    name: str
    path: Path
    kind: Kind
    photos_dir: Path
    sha256: str
    n_bytes: int
    mtime_ns: int
    n_rows: int
    problem: str | None = None

    def is_unchanged(self) -> bool:
        """Whether size and time of the file are still those of the digest."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.n_bytes, self.mtime_ns)


def find_sources(backlog: str, *, out: Path, photos_dir: Path | None = None) -> list[Source]:
    """Return the files of `backlog`, a file, a folder or a glob, sorted by name.

    out : what lies in there is never a source; photos_dir : by default each file's own folder
    Raises BacklogUnreadableError when there is none, or none can be read.
    """
    paths = _paths(backlog, out.resolve())
    if not paths:
        raise BacklogUnreadableError(f"{backlog}: no .jsonl, .ndjson or .parquet file is there")
    base = Path(backlog) if Path(backlog).is_dir() else Path(os.path.commonpath([path.parent for path in paths]))
    sources = [_source(path, name=str(path.relative_to(base)), photos_dir=photos_dir) for path in paths]
    if all(source.problem for source in sources):
        raise BacklogUnreadableError("; ".join(f"{source.path}: {source.problem}" for source in sources))
    return sources


def _paths(backlog: str, out: Path) -> list[Path]:
    given = Path(backlog)
    if given.is_file():
        if given.suffix.lower() not in _KINDS:
            raise BacklogUnreadableError(f"{given}: neither .jsonl, .ndjson nor .parquet")
        return [given]
    found = given.rglob("*") if given.is_dir() else (Path(name) for name in glob.glob(backlog, recursive=True))
    return sorted(
        path
        for path in found
        if path.suffix.lower() in _KINDS
        and not path.name.startswith((".", "_"))
        and path.is_file()
        and out not in path.resolve().parents
    )


def _source(path: Path, *, name: str, photos_dir: Path | None) -> Source:
    kind = _KINDS[path.suffix.lower()]
    problem = None
    try:
        before = path.stat()
        sha256, n_rows = _read_through(path)
    except OSError as error:
        raise BacklogUnreadableError(f"{path}: {error.strerror or error}") from error
    if kind == "parquet":
        n_rows, problem = _parquet_rows(path)
    return Source(
        name=name,
        path=path,
        kind=kind,
        photos_dir=photos_dir or path.parent,
        sha256=sha256,
        n_bytes=before.st_size,
        mtime_ns=before.st_mtime_ns,
        n_rows=n_rows,
        problem=problem,
    )


def _read_through(path: Path) -> tuple[str, int]:
    """Return (sha256, number of lines) of a file of any size."""
    digest, n_lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            n_lines += block.count(b"\n")
            last = block[-1:]
    return digest.hexdigest(), n_lines + (last != b"\n")


def _parquet_rows(path: Path) -> tuple[int, str | None]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return int(file.metadata.num_rows), None
    except (pyarrow.ArrowException, OSError) as error:
        return 0, f"not readable as Parquet, maybe truncated: {' '.join(str(error).split())[:300]}"
