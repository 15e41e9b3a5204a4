"""The database's waiting cases as a backlog: a snapshot goes in, suggestions go back to the cases.

The snapshot is taken once, so that a stopped run goes on with the same cases. A case that changed meanwhile keeps
waiting: what was scored is no longer what stands there. Knows nothing of scoring.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pyarrow import parquet

from models.domain import Suggestion
from models.vocabulary import Platform
from serving.backlog.rows import to_suggestion
from serving.backlog.snapshot import as_line, snapshot_row
from serving.backlog.writing import HANDED_BACK, SUGGESTIONS, OutputFolder
from serving.records import CaseKey, CaseStatus, QueueFilter, QueuePage, StoredVersion
from serving.refusals import UnknownError

SNAPSHOT_NAME = "waiting.snapshot"
_PAGE_CASES = 200
_ACTOR = "system:backlog"


class CaseBook(Protocol):
    """What a snapshot needs of `serving.store.Store`."""

    def queue(self, wanted: QueueFilter, *, cursor: str | None = None, limit: int = 50) -> QueuePage: ...

    def version(self, key: CaseKey) -> StoredVersion: ...

    def keep_suggestion(self, version: StoredVersion, suggestion: Suggestion, *, by: str) -> bool: ...


@dataclass(frozen=True)
class HandedBack:
    """n_changed : cases that changed, or went, since the snapshot; they keep waiting"""

    n_kept: int
    n_changed: int


def take_snapshot(book: CaseBook, *, out: Path, fresh: bool = False) -> Path:
    """Write the cases that wait for a decision into `out`, unless a run there began with a snapshot of its own.

    Raises OutputBusyError, OutputFullError, OutputUnwritableError.
    """
    folder = OutputFolder(out)
    with folder.held():
        if fresh or not (out / SNAPSHOT_NAME).is_file():
            folder.write(SNAPSHOT_NAME, (as_line(stored) for stored in _waiting(book)))
    return out / SNAPSHOT_NAME


def hand_back(book: CaseBook, *, out: Path) -> HandedBack:
    """Store the suggestions of a complete run on the cases that are still what they were. Again, it changes nothing.

    HANDED_BACK in `out` says that all of it is done.
    """
    n_kept = n_changed = 0
    versions = _versions(out / SNAPSHOT_NAME)
    for path in sorted((out / SUGGESTIONS).glob("part-*.parquet")):
        with parquet.ParquetFile(path) as file:
            rows = file.read().to_pylist()
        for row in rows:
            suggestion = to_suggestion(row)
            key = CaseKey(Platform(row["case"]["platform"]), suggestion.case_id)
            try:
                stored = book.version(key)
            except UnknownError:
                n_changed += 1
                continue
            same = stored.version == versions.get(key)
            kept = same and book.keep_suggestion(stored, suggestion, by=_ACTOR)
            n_kept, n_changed = n_kept + kept, n_changed + (not kept)
    handed = HandedBack(n_kept, n_changed)
    OutputFolder(out).write(HANDED_BACK, [(json.dumps(asdict(handed)) + "\n").encode()])
    return handed


def _waiting(book: CaseBook) -> Iterator[StoredVersion]:
    cursor = None
    while True:
        page = book.queue(QueueFilter(status=CaseStatus.OPEN), cursor=cursor, limit=_PAGE_CASES)
        for row in page.cases:
            yield book.version(CaseKey(row.platform, row.case_id))
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def _versions(snapshot: Path) -> dict[CaseKey, int]:
    """About 200 bytes a case."""
    versions = {}
    with snapshot.open(encoding="utf-8") as file:
        for line in file:
            row = snapshot_row(line)
            versions[CaseKey(row.case.platform, row.case.case_id)] = row.version
    return versions
