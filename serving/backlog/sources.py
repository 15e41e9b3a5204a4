"""The files of a backlog, on this machine or wherever fsspec reaches, in a fixed order, with the digests that tell
whether they changed.

Knows nothing of what stands in their rows.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from serving.backlog.manifest import MANIFEST_NAME, SourceRecord
from serving.backlog.place import WatchedFile, answering, open_at
from serving.backlog.refusals import BacklogUnreadableError

Kind = Literal["jsonl", "parquet", "snapshot"]
_KINDS: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".snapshot": "snapshot"}
_REPORT_NAME = "refused.jsonl"
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
        return open_at(*url_to_fs(self.location))

    def is_unchanged(self) -> bool:
        """Whether the file system says of the file what it said when the digest was taken. Raises OSError."""
        try:
            with answering():
                return _state(*url_to_fs(self.location)) == self.state
        except FileNotFoundError:
            return False


def find_sources(backlog: str, *, out: Path, photos_dir: str | None = None) -> list[Source]:
    """Return the files of `backlog`, a file, a folder or a glob, by path or URL, sorted by name.

    A file named refused.jsonl is one only where `backlog` itself names it, and so is what a run, of whatever time,
    keeps in its folder.
    out : what lies in there is never a source; photos_dir : by default each file's own folder
    Raises BacklogUnreadableError when there is none, or none can be read.
    """
    try:
        files, given = url_to_fs(backlog)
        paths = _paths(files, given, backlog, out=out.resolve())
    except BacklogUnreadableError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise BacklogUnreadableError(f"{backlog}: {getattr(error, 'strerror', None) or error}") from error
    if not paths:
        raise BacklogUnreadableError(
            f"{backlog}: no .jsonl, .ndjson or .parquet file is there; "
            f"{_REPORT_NAME} doesn't count, nor does what lies beside or below a {MANIFEST_NAME}"
        )
    base = given if given not in paths and files.isdir(given) else os.path.commonpath([_folder(path) for path in paths])
    names = [_utf8_name(os.path.relpath(path, base), path=path) for path in paths]
    sources = [_source(files, path, name=name, photos_dir=photos_dir) for name, path in zip(names, paths, strict=True)]
    if all(source.problem for source in sources):
        raise BacklogUnreadableError("; ".join(f"{source.location}: {source.problem}" for source in sources))
    return sources


def records_of(sources: Sequence[Source]) -> tuple[SourceRecord, ...]:
    return tuple(SourceRecord(name=source.name, sha256=source.sha256, n_bytes=source.n_bytes) for source in sources)


def _paths(files: Any, given: str, backlog: str, *, out: Path) -> list[str]:
    if PurePosixPath(given).suffix.lower() in _KINDS and files.isfile(given):
        return [given]
    if files.isdir(given):
        found = files.find(given)
    elif files.isfile(given):
        raise BacklogUnreadableError(f"{backlog}: neither .jsonl, .ndjson nor .parquet")
    else:
        found = files.glob(given)
    above = {path: _folders_above(files, path) for path in found if _is_source(files, path, out)}
    runs = {folder for folder in set().union(*above.values()) if files.isfile(f"{folder.rstrip('/')}/{MANIFEST_NAME}")}
    return sorted(path for path, folders in above.items() if runs.isdisjoint(folders))


def _is_source(files: Any, path: str, out: Path) -> bool:
    name = PurePosixPath(path)
    if name.suffix.lower() not in _KINDS or name.name.startswith((".", "_")) or name.name == _REPORT_NAME:
        return False
    if not files.isfile(path):
        return False
    return not isinstance(files, LocalFileSystem) or out not in Path(path).resolve().parents


def _source(files: Any, path: str, *, name: str, photos_dir: str | None) -> Source:
    kind = _KINDS[PurePosixPath(path).suffix.lower()]
    location = _location(files, path)
    problem = None
    try:
        state, n_bytes = _state(files, path), int(files.size(path) or 0)
        sha256, n_rows = _read_through(files, path)
        if kind == "parquet":
            n_rows, problem = _parquet_rows(files, path)
    except Exception as error:  # each file system has errors of its own
        raise BacklogUnreadableError(f"{location}: {getattr(error, 'strerror', None) or error}") from error
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
    """Return the folder of a path; the file system for http has whole URLs for paths, where `//` is to stay."""
    return path.rsplit("/", 1)[0] if "://" in path else str(PurePosixPath(path).parent)


def _folders_above(files: Any, path: str) -> set[str]:
    """Return every folder that a file lies in, near or far; on this machine the real ones behind links."""
    folder = _folder(path)
    if isinstance(files, LocalFileSystem):
        real = Path(folder).resolve()
        return {str(real), *map(str, real.parents)}
    folders: set[str] = set()
    while folder not in folders and folder != "." and not folder.endswith(":/"):
        folders.add(folder)
        folder = _folder(folder)
    return folders


def _utf8_name(name: str, *, path: str) -> str:
    """Return `name`. Raises BacklogUnreadableError when it isn't UTF-8 on the disk: no report can hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        printable = repr(path).replace(r"\udc", r"\x")
        raise BacklogUnreadableError(f"{printable}: the name is not UTF-8; rename it") from error
    return name


def _state(files: Any, path: str) -> str:
    """Return what the file system tells of a file, without the times that reading it changes."""
    told = files.info(path)
    return repr(sorted((key, value) for key, value in told.items() if key not in ("atime", "nlink")))


def _read_through(files: Any, path: str) -> tuple[str, int]:
    """Return (sha256, number of lines) of a file of any size."""
    digest, n_lines, last = hashlib.sha256(), 0, b"\n"
    with open_at(files, path) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            n_lines += block.count(b"\n")
            last = block[-1:]
    return digest.hexdigest(), n_lines + (last != b"\n")


def _parquet_rows(files: Any, path: str) -> tuple[int, str | None]:
    """Return the number of rows, or why they can't be read. Raises OSError when the place doesn't answer."""
    import pyarrow
    from pyarrow import parquet

    with open_at(files, path) as opened:
        file = WatchedFile(opened)
        try:
            with parquet.ParquetFile(file) as table:
                return int(table.metadata.num_rows), None
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            if file.error is not None:
                raise file.error from error
            return 0, f"not readable as Parquet, maybe truncated: {' '.join(str(error).split())[:300]}"
