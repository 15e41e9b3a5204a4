"""The folder of a backlog asked for over the API. What a job is, stands in it alone.

So any process of the service may answer for it, and a restart loses nothing. Knows nothing of how a job is run.
"""

import os
import shutil
import signal
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, ValidationError

from models.domain import Frozen
from models.privacy import mask
from serving.backlog.summary import Summary
from serving.backlog.waiting import SNAPSHOT_NAME
from serving.backlog.writing import HANDED_BACK, REFUSED, SUGGESTIONS, SUMMARY, TRIAGE, OutputFolder
from serving.durable_file import write_synced
from serving.file_lock import is_locked

JobKind = Literal["upload", "waiting"]
JobState = Literal["waiting", "running", "complete", "failed", "cancelled"]
_ENDED: tuple[JobState, ...] = ("complete", "failed", "cancelled")
_JOB, _CANCELLED, _FAILED, _KILLED, _RESULT = "job.json", "cancelled", "failed.txt", "killed.txt", "result.zip"
_MOST_KILLS = 3
_LONGEST_REASON = 1_000
_END_BYTES = 16_000
"""Of what a process said, masked before it is cut to a reason: enough that nothing cut in two by this stays in it."""
_INTERRUPTED = 130


class JobRecord(Frozen):
    """What a job began with. n_rows : lines sent; None for the database's waiting cases, counted when it runs"""

    job_id: str
    kind: JobKind
    created_at: AwareDatetime
    created_by: str
    n_rows: int | None


class BacklogJob(Frozen):
    """A job as it stands.

    n_done : rows in finished parts, scored or refused; reason : why it failed
    """

    job_id: str
    kind: JobKind
    created_at: AwareDatetime
    created_by: str
    state: JobState
    n_rows: int | None
    n_done: int
    reason: str | None = None
    summary: Summary | None = None

    @property
    def is_ended(self) -> bool:
        return self.state in _ENDED


class JobFolder:
    """path : its name is the job's id

    rows : what was sent; out : what the run writes; said : what its process says; lock : held while it runs
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = path / "cases.jsonl"
        self.out = path / "out"
        self.said = path / "said.txt"
        self.lock = path / ".running"

    @property
    def is_there(self) -> bool:
        return (self.path / _JOB).is_file()

    @property
    def is_cancelled(self) -> bool:
        return (self.path / _CANCELLED).exists()

    def begin(self, record: JobRecord, rows: bytes | None) -> None:
        """Make the folder, whole or not at all."""
        draft = JobFolder(self.path.with_name(f".new-{self.path.name}"))
        draft.path.mkdir(parents=True, exist_ok=True)
        try:
            if rows is not None:
                write_synced(draft.rows, rows)
            write_synced(draft.path / _JOB, record.model_dump_json(indent=1).encode())
            draft.path.rename(self.path)
        except BaseException:
            shutil.rmtree(draft.path, ignore_errors=True)
            raise

    def record(self) -> JobRecord:
        """Raises FileNotFoundError."""
        return JobRecord.model_validate_json((self.path / _JOB).read_bytes())

    def job(self) -> BacklogJob:
        """Raises FileNotFoundError."""
        record = self.record()
        state, reason, summary = self._state(record.kind)
        n_done = summary.n_rows if summary is not None else self._n_done()
        return BacklogJob(**record.model_dump(), state=state, n_done=n_done, reason=reason, summary=summary)

    def waits(self, kind: JobKind) -> bool:
        return self._state(kind)[0] == "waiting"

    def cancel(self) -> None:
        write_synced(self.path / _CANCELLED, b"")

    def fail(self, status: int) -> None:
        """Say why the job's process ended; what a signal ended goes on by itself, but not for ever."""
        if status < 0 or status == _INTERRUPTED:
            kills = [*_lines_of(self.path / _KILLED), signal.strsignal(-status) or str(status)]
            write_synced(self.path / _KILLED, "\n".join(kills).encode())
            if len(kills) < _MOST_KILLS:
                return
            reason = f"its process was ended from outside {len(kills)} times, the last time by: {kills[-1]}"
        else:
            reason = _last_words(mask(_end_of(self.said)), _LONGEST_REASON) or "no reason was given"
        write_synced(self.path / _FAILED, reason.encode())

    def forget_failure(self, *, fresh: bool) -> None:
        """Let the job wait again. fresh : discard what it scored before"""
        if fresh:
            shutil.rmtree(self.out, ignore_errors=True)
        for name in (_KILLED, _FAILED):
            (self.path / name).unlink(missing_ok=True)

    def lines(self) -> Iterator[bytes]:
        """Yield the rows that the job was begun with, as they were sent or taken."""
        for path in (self.rows, self.out / SNAPSHOT_NAME):
            if path.is_file():
                with path.open("rb") as file:
                    yield from file

    def packed(self) -> Path:
        """Return a ZIP of what a complete job wrote."""
        packed = self.path / _RESULT
        if not packed.exists():
            unfinished = self.path / f".{uuid.uuid4().hex}.zip"
            try:
                with zipfile.ZipFile(unfinished, "w") as archive:
                    for name in (SUMMARY, REFUSED, TRIAGE):
                        archive.write(self.out / name, name, zipfile.ZIP_DEFLATED)
                    for part in sorted((self.out / SUGGESTIONS).glob("part-*.parquet")):
                        archive.write(part, f"{SUGGESTIONS}/{part.name}")
                unfinished.rename(packed)
            finally:
                unfinished.unlink(missing_ok=True)
        return packed

    def _state(self, kind: JobKind) -> tuple[JobState, str | None, Summary | None]:
        """Return (state, why it failed, the summary of a complete one)."""
        try:
            summary = Summary.model_validate_json((self.out / SUMMARY).read_bytes())
        except (OSError, ValidationError):
            summary = None
        if is_locked(self.lock):
            return "running", None, None
        is_handed_back = kind == "upload" or (self.out / HANDED_BACK).is_file()
        if summary is not None and is_handed_back:
            return "complete", None, summary
        if self.is_cancelled:
            return "cancelled", None, None
        failed = self.path / _FAILED
        if failed.exists():
            return "failed", failed.read_text(encoding="utf-8", errors="replace"), None
        return "waiting", None, None

    def _n_done(self) -> int:
        if not (self.out / SUGGESTIONS).is_dir():
            return 0
        folder = OutputFolder(self.out)
        manifest = folder.manifest()
        return sum(part.n_scored + part.n_refused for part in folder.parts(manifest)) if manifest is not None else 0


def folders_in(directory: Path) -> list[JobFolder]:
    """Return the folder of every job in `directory`."""
    return [JobFolder(path.parent) for path in directory.glob(f"*/{_JOB}") if not path.parent.name.startswith(".")]


def _end_of(path: Path) -> str:
    """Return the last whole words of a text, which may be long, with one blank between them."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _END_BYTES)
        file.seek(start)
        words = file.read().decode("utf-8", errors="replace").split()
    return " ".join(words[1:] if start else words)


def _last_words(text: str, n_characters: int) -> str:
    """Return the end of a text from a blank on, so that no half of a word, a number or a mask stays."""
    return text if len(text) <= n_characters else text[-n_characters - 1 :].partition(" ")[2]


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
