"""The rows of a Parquet file as JSON, as many as can be decoded.

Damage costs the rest of its group of rows, a value that JSON or Python can't hold its own row, and a place that doesn't
answer no row at all: reading stops there. Knows nothing of the intake format.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from serving.backlog.place import WatchedFile
from serving.backlog.refusals import BacklogUnreadableError
from serving.backlog.sources import Source

PAUSE_S = 0.5
_TRIES = 3
_BLOCK_BYTES = 1 << 20
_BATCH_ROWS = 64
_MAX_SAID = 300

RawRow = tuple[int, int, bytes | None, str | None]
"""Its line, the last line that it stands for, its JSON, and why it has none."""


@dataclass(frozen=True)
class _Group:
    """The rows `start` + 1 to `end` of a Parquet file."""

    index: int
    start: int
    end: int


class _StoppedError(Exception):
    """Decoding stopped inside a group.

    end : last row of the group; span : its bytes; said : why
    place_error : what the place of the file answered, None when it gave the bytes
    """

    def __init__(self, *, end: int, span: range, said: str, place_error: OSError | None) -> None:
        super().__init__(f"decoding stopped before row {end}: {said}")
        self.end, self.span, self.said, self.place_error = end, span, said, place_error


def parquet_rows(source: Source, skip: int, max_line_bytes: int) -> Iterator[RawRow]:
    """Yield the rows after the first `skip`.

    Where decoding stops twice at one row, though the bytes can be read, the rest of the group is one problem.
    Raises OSError when the place of the file doesn't answer.
    """
    row, stopped_at = skip, None
    while True:
        try:
            for decoded in _decoded_rows(source, row, max_line_bytes):
                row = decoded[1]
                yield decoded
            return
        except _StoppedError as error:
            stopped = error
        _await_bytes(source, stopped.span)
        if stopped_at != row:
            stopped_at = row
            continue
        if stopped.place_error is not None:
            raise stopped.place_error
        problem = f"rows {row + 1} to {stopped.end} are not readable as Parquet: {stopped.said}"
        yield row + 1, stopped.end, None, problem
        row = stopped.end


def _decoded_rows(source: Source, skip: int, max_line_bytes: int) -> Iterator[RawRow]:
    """Raises _StoppedError where a group can't be decoded, OSError when the file can't be opened."""
    import pyarrow

    with source.open() as opened:
        watched = WatchedFile(opened)
        with _parquet_file(source, watched) as file:
            for group in _groups(file.metadata, skip):
                try:
                    yield from _group_rows(file, group, skip, max_line_bytes)
                except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
                    span = _span(file.metadata.row_group(group.index), n_bytes=source.n_bytes)
                    raise _StoppedError(
                        end=group.end, span=span, said=_said(error), place_error=watched.error
                    ) from error


def _parquet_file(source: Source, file: WatchedFile) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file)
    except (pyarrow.ArrowException, ValueError) as error:
        raise BacklogUnreadableError(f"{source.location}: no longer readable as Parquet: {_said(error)}") from error


def _groups(metadata: Any, skip: int) -> Iterator[_Group]:
    end = 0
    for index in range(metadata.num_row_groups):
        start, end = end, end + int(metadata.row_group(index).num_rows)
        if end > skip:
            yield _Group(index, start, end)


def _span(group: Any, *, n_bytes: int) -> range:
    """Return where a group's bytes lie, kept inside the file where its metadata are damaged."""
    columns = [group.column(index) for index in range(group.num_columns)]
    offsets = [offset for column in columns for offset in (column.dictionary_page_offset, column.data_page_offset)]
    start = max(min((offset for offset in offsets if offset is not None), default=0), 0)
    return range(start, min(start + sum(column.total_compressed_size for column in columns), n_bytes))


def _await_bytes(source: Source, span: range) -> None:
    """Read bytes of a file and drop them. Raises OSError when its place doesn't answer three times in a row."""
    for n_failed in range(1, _TRIES + 1):
        try:
            with source.open() as file:
                for start in span[::_BLOCK_BYTES]:
                    file.seek(start)
                    file.read(min(_BLOCK_BYTES, span.stop - start))
            return
        except OSError:
            if n_failed == _TRIES:
                raise
            time.sleep(n_failed * PAUSE_S)


def _group_rows(file: Any, group: _Group, skip: int, max_line_bytes: int) -> Iterator[RawRow]:
    row = group.start
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group.index], use_threads=False):
        n_known = min(max(skip - row, 0), batch.num_rows)
        texts = _texts(batch.slice(n_known), max_line_bytes)
        for line, (data, problem) in enumerate(texts, start=row + n_known + 1):
            yield line, line, data, problem
        row += batch.num_rows


def _texts(batch: Any, max_line_bytes: int) -> Iterator[tuple[bytes | None, str | None]]:
    """Yield the JSON of each row, or why it has none: a value that Python can't hold costs only its own row."""
    import pyarrow

    try:
        contents = batch.to_pylist(maps_as_pydicts="strict")
    except (pyarrow.ArrowException, ArithmeticError, LookupError, TypeError, ValueError) as error:
        if batch.num_rows == 1:
            yield None, f"can't be read as JSON: {_said(error)}"[:_MAX_SAID]
        else:
            for row in range(batch.num_rows):
                yield from _texts(batch.slice(row, 1), max_line_bytes)
        return
    for content in contents:
        yield _as_json(content, max_line_bytes)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_SAID]


def _as_json(content: dict[str, Any], max_line_bytes: int) -> tuple[bytes | None, str | None]:
    """A null in Parquet is an absent key: columns have every key in every row."""
    try:
        data = json.dumps(_without_nulls(content), ensure_ascii=False, default=_moment).encode()
    except (TypeError, ValueError) as error:
        return None, f"can't be written as JSON: {error}"
    if len(data) > max_line_bytes:
        return None, f"is longer than {max_line_bytes} bytes"
    return data, None


def _without_nulls(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nulls(value) for key, value in content.items() if value is not None}
    if isinstance(content, list):
        return [_without_nulls(value) for value in content]
    return content


def _moment(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} has no place in a case")
