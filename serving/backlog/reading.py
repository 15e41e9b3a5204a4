"""The rows of a backlog as a stream of entries, from any place on.

An entry is the JSON text of one row, or says why there is none. Knows nothing of the intake format.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from serving.backlog.parquet_rows import RawRow, parquet_rows
from serving.backlog.refusals import BacklogUnreadableError
from serving.backlog.sources import Source

MAX_LINE_BYTES = 8_000_000
_BLOCK_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, order=True)
class Place:
    """How far a backlog was read: `line` lines or rows of the source at index `source`, and all sources before it."""

    source: int = 0
    line: int = 0


@dataclass(frozen=True)
class Entry:
    """One row of a backlog.

    line : 1-based line (JSON Lines) or row (Parquet); data : its JSON, or None where `problem` says why
    after : where reading goes on; photos_dir : folder or URL that photo paths are relative to
    is_snapshot : `data` is a row of a snapshot of the database (`serving.backlog.waiting`), photos_dir its photo store
    """

    source: str
    line: int
    after: Place
    photos_dir: str
    data: bytes | None
    problem: str | None = None
    is_snapshot: bool = False

    @property
    def n_rows(self) -> int:
        """Return how many rows it stands for: more than one where a piece of a Parquet file can't be decoded."""
        return self.after.line - self.line + 1


def read_entries(
    sources: Sequence[Source], *, start: Place | None = None, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[Entry]:
    """Yield every row after `start`, in order; blank lines are left out.

    max_line_bytes : longer rows are entries with a problem, and are never held in memory
    Raises BacklogUnreadableError when a file vanishes or changes meanwhile, or its place stops answering.
    """
    start = start or Place()
    for index, source in enumerate(sources):
        if index < start.source:
            continue
        skip = start.line if index == start.source else 0
        if source.problem is not None:
            if not skip:
                yield Entry(source.name, 1, Place(index, 1), source.photos_dir, None, source.problem)
            continue
        read = parquet_rows if source.kind == "parquet" else _lines
        try:
            for line, last, data, problem in read(source, skip, max_line_bytes):
                after = Place(index, last)
                yield Entry(
                    source.name, line, after, source.photos_dir, data, problem, is_snapshot=source.kind == "snapshot"
                )
            if not source.is_unchanged():
                raise BacklogUnreadableError(f"{source.location}: was changed while it was read")
        except OSError as error:
            raise BacklogUnreadableError(f"{source.location}: {error.strerror or error}") from error


def _lines(source: Source, skip: int, max_line_bytes: int) -> Iterator[RawRow]:
    with source.open() as file:
        number = 0
        while (read := _next_line(file, max_line_bytes)) is not None:
            number += 1
            data, problem = read
            if number <= skip:
                continue
            if number == 1:
                data = data.removeprefix(_BYTE_ORDER_MARK)
            if problem is not None:
                yield number, number, None, problem
            elif data.strip():
                yield number, number, data, None


def _next_line(file: BinaryIO, max_line_bytes: int) -> tuple[bytes, str | None] | None:
    data = file.readline(max_line_bytes + 1)
    if not data:
        return None
    if len(data) <= max_line_bytes or data.endswith(b"\n"):
        return data, None
    while (rest := file.readline(_BLOCK_BYTES)) and not rest.endswith(b"\n"):
        pass
    return b"", f"is longer than {max_line_bytes} bytes"
