"""A chunk of a backlog: a few rows parsed, their photos read, and all scored at once by `Suggester.suggest`.

The same whatever engine runs it. Knows nothing of processes or of what is written where.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from models.case_file import CaseFile
from models.domain import Case, Suggestion, parse_case
from models.errors import CaseFormatError, EncoderError, ModelError
from models.fields import written_out
from models.privacy import mask
from serving.backlog.photos import PhotoUnreachableError, read_photos, read_stored_photos
from serving.backlog.reading import Entry
from serving.backlog.rows import Row, to_row
from serving.backlog.snapshot import snapshot_row

_MAX_REASON = 1_000
_MAX_PHOTO_BYTES_AT_ONCE = 64_000_000
_CASE_ID = re.compile(r'"case_id"\s*:\s*"([^"\\]{1,128})"')

RefusalKind = Literal["unreadable", "format", "duplicate", "scoring"]


class Suggests(Protocol):
    """What a backlog needs of `models.suggester.Suggester`; importing that one would load heavy libraries."""

    model_version: str

    def suggest(self, files: Sequence[CaseFile], *, now: datetime | None = None) -> list[Suggestion]: ...


@dataclass(frozen=True)
class Chunk:
    """now : the time of ruling, the same for the whole run"""

    entries: tuple[Entry, ...]
    now: datetime


@dataclass(frozen=True)
class Refused:
    """A row that has no suggestion.

    line : 1-based; case_id, platform : None where the row doesn't say
    n_rows : rows from `line` on that it stands for
    """

    source: str
    line: int
    case_id: str | None
    platform: str | None
    kind: RefusalKind
    reason: str
    n_rows: int = 1


@dataclass(frozen=True)
class Scored:
    """A row that has one."""

    row: Row

    @property
    def identity(self) -> tuple[str, str]:
        """(platform, case_id)"""
        return self.row["case"]["platform"], self.row["case_id"]


Result = Scored | Refused


def score_chunk(chunk: Chunk, suggester: Suggests) -> list[Result]:
    """Return one result an entry, in order.

    A case that can't be scored is refused alone. Raises ModelError or EncoderError when the model itself is unfit.
    """
    results: dict[int, Result] = {}
    readable: list[tuple[int, CaseFile]] = []
    held_bytes = 0
    for place, entry in enumerate(chunk.entries):
        parsed = parse_entry(entry)
        if isinstance(parsed, Refused):
            results[place] = parsed
            continue
        try:
            file = CaseFile(parsed, _photos(parsed, entry))
        except PhotoUnreachableError as error:
            results[place] = refused_in_scoring(entry, str(error))
            continue
        n_bytes = sum(map(len, file.photos.values()))
        if readable and held_bytes + n_bytes > _MAX_PHOTO_BYTES_AT_ONCE:
            results.update(_suggest(readable, chunk, suggester))
            readable, held_bytes = [], 0
        readable.append((place, file))
        held_bytes += n_bytes
    results.update(_suggest(readable, chunk, suggester))
    return [results[place] for place in range(len(chunk.entries))]


def parse_entry(entry: Entry) -> Case | Refused:
    """Return the case of an entry, or why there is none."""
    if entry.data is None:
        problem = entry.problem or "can't be read"
        return Refused(entry.source, entry.line, None, None, "unreadable", problem, n_rows=entry.n_rows)
    try:
        text = entry.data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _malformed(entry, f"is not UTF-8 at byte {error.start}", text="")
    try:
        return snapshot_row(text).case if entry.is_snapshot else parse_case(text)
    except CaseFormatError as error:
        return _malformed(entry, str(error), text=text)


def _photos(case: Case, entry: Entry) -> dict[str, bytes]:
    if entry.is_snapshot:
        return read_stored_photos(snapshot_row((entry.data or b"").decode()).photos, entry.photos_dir)
    return read_photos(case, entry.photos_dir)


def refused_in_scoring(entry: Entry, reason: str) -> Refused:
    """Return the refusal of a case that parsed, or would have, but can't be scored."""
    parsed = parse_entry(entry)
    if isinstance(parsed, Refused):
        return parsed
    return Refused(
        entry.source, entry.line, parsed.case_id, parsed.platform.value, "scoring", mask(reason)[:_MAX_REASON]
    )


def _suggest(readable: list[tuple[int, CaseFile]], chunk: Chunk, suggester: Suggests) -> Iterator[tuple[int, Result]]:
    if not readable:
        return
    try:
        suggestions = suggester.suggest([file for _, file in readable], now=chunk.now)
    except (ModelError, EncoderError):
        raise
    except Exception as error:
        if len(readable) > 1:
            for one in readable:
                yield from _suggest([one], chunk, suggester)
        else:
            place = readable[0][0]
            yield place, refused_in_scoring(chunk.entries[place], f"can't be scored: {type(error).__name__}: {error}")
        return
    for (place, file), suggestion in zip(readable, suggestions, strict=True):
        entry = chunk.entries[place]
        yield place, Scored(to_row(suggestion, file.case, now=chunk.now, source=entry.source, line=entry.line))


def _malformed(entry: Entry, reason: str, *, text: str) -> Refused:
    case_id = _case_id(text)
    return Refused(entry.source, entry.line, case_id, None, "format", mask(written_out(reason))[:_MAX_REASON])


def _case_id(text: str) -> str | None:
    """Return the case_id that a malformed row seems to bear, to help find it."""
    try:
        decoded = json.loads(text)
        found = decoded.get("case_id") if isinstance(decoded, dict) else None
    except (ValueError, RecursionError):
        match = _CASE_ID.search(text)
        found = match.group(1) if match else None
    return written_out(found)[:128] if isinstance(found, str) else None
