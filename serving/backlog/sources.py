"""The files of a backlog, on this machine or wherever fsspec reaches, in a fixed order, with the digests that tell
whether they changed.

Knows nothing of what stands in their rows.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, cast

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from serving.backlog.refusals import BacklogUnreadableError

Kind = Literal["jsonl", "parquet", "snapshot"]
_KINDS: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".snapshot": "snapshot"}
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file of a backlog.

    name : path relative to the backlog's own folder; location : a path on this machine, or a URL
    photos_dir : folder or URL that photo paths are relative to
    state : what the file system says of the file; another one means that the file changed
    n_rows : lines or rows, 0 where `problem` says why the file can't be read
    """

    name: str
    location: str
    kind: Kind
    photos_dir: str
    sha256: str
    n_bytes: int
    state: str
    n_rows: int
    problem: str | None = None

    def open(self) -> BinaryIO:
        """Raises OSError."""
        files, path = url_to_fs(self.location)
        return cast(BinaryIO, files.open(path, "rb"))

    def is_unchanged(self) -> bool:
        """Whether the file system says of the file what it said when the digest was taken."""
        try:
            files, path = url_to_fs(self.location)
            return _state(files, path) == self.state
        except OSError:
            return False


def find_sources(backlog: str, *, out: Path, photos_dir: str | None = None) -> list[Source]:
    """Return the files of `backlog`, a file, a folder or a glob, by path or URL, sorted by name.

    out : what lies in there is never a source; photos_dir : by default each file's own folder
    Raises BacklogUnreadableError when there is none, or none can be read.
    """
    try:
        files, given = url_to_fs(backlog)
        paths = _paths(files, given, backlog, out=out.resolve())
    except (ImportError, ValueError) as error:
        raise BacklogUnreadableError(f"{backlog}: {error}") from error
    except OSError as error:
        raise BacklogUnreadableError(f"{backlog}: {error.strerror or error}") from error
    if not paths:
        raise BacklogUnreadableError(f"{backlog}: no .jsonl, .ndjson or .parquet file is there")
    base = given if given not in paths and files.isdir(given) else os.path.commonpath([_folder(path) for path in paths])
    sources = [_source(files, path, name=os.path.relpath(path, base), photos_dir=photos_dir) for path in paths]
    if all(source.problem for source in sources):
        raise BacklogUnreadableError("; ".join(f"{source.location}: {source.problem}" for source in sources))
    return sources


def _paths(files: Any, given: str, backlog: str, *, out: Path) -> list[str]:
    if files.isfile(given):
        if PurePosixPath(given).suffix.lower() not in _KINDS:
            raise BacklogUnreadableError(f"{backlog}: neither .jsonl, .ndjson nor .parquet")
        return [given]
    found = files.find(given) if files.isdir(given) else files.glob(given)
    return sorted(path for path in found if _is_source(files, path, out))


def _is_source(files: Any, path: str, out: Path) -> bool:
    name = PurePosixPath(path)
    if name.suffix.lower() not in _KINDS or name.name.startswith((".", "_")) or not files.isfile(path):
        return False
    return not isinstance(files, LocalFileSystem) or out not in Path(path).resolve().parents


def _source(files: Any, path: str, *, name: str, photos_dir: str | None) -> Source:
    kind = _KINDS[PurePosixPath(path).suffix.lower()]
    location = _location(files, path)
    problem = None
    try:
        state, n_bytes = _state(files, path), int(files.size(path) or 0)
        sha256, n_rows = _read_through(files, path)
    except OSError as error:
        raise BacklogUnreadableError(f"{location}: {error.strerror or error}") from error
    if kind == "parquet":
        n_rows, problem = _parquet_rows(files, path)
    return Source(
        name=name,
        location=location,
        kind=kind,
        photos_dir=photos_dir or _location(files, _folder(path)),
        sha256=sha256,
        n_bytes=n_bytes,
        state=state,
        n_rows=n_rows,
        problem=problem,
    )


def _location(files: Any, path: str) -> str:
    return path if isinstance(files, LocalFileSystem) else str(files.unstrip_protocol(path))


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _state(files: Any, path: str) -> str:
    """Return what the file system tells of a file, without the times that reading it changes."""
    told = files.info(path)
    return repr(sorted((key, value) for key, value in told.items() if key not in ("atime", "nlink")))


def _read_through(files: Any, path: str) -> tuple[str, int]:
    """Return (sha256, number of lines) of a file of any size."""
    digest, n_lines, last = hashlib.sha256(), 0, b"\n"
    with files.open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            n_lines += block.count(b"\n")
            last = block[-1:]
    return digest.hexdigest(), n_lines + (last != b"\n")


def _parquet_rows(files: Any, path: str) -> tuple[int, str | None]:
    import pyarrow
    from pyarrow import parquet

    try:
        with files.open(path, "rb") as file, parquet.ParquetFile(file) as table:
            return int(table.metadata.num_rows), None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        return 0, f"not readable as Parquet, maybe truncated: {' '.join(str(error).split())[:300]}"
