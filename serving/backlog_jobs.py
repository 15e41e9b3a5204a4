"""Backlogs asked for over the API: each a folder of its own, scored by the command `score` in a process of its own.

What a job is, stands in its folder alone, so that any process of the service may answer for it and a restart loses
nothing: a job that was cut off goes on where its parts end. One job runs at a time on a machine. Knows nothing of HTTP
or of how a backlog is scored.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog
from pydantic import AwareDatetime, ValidationError

from models.domain import Frozen
from models.privacy import mask
from serving.backlog.summary import Summary
from serving.backlog.waiting import HANDED_BACK_NAME, SNAPSHOT_NAME
from serving.backlog.writing import SUGGESTIONS, OutputFolder
from serving.child import STOP_S, stop
from serving.loop import Loop
from serving.refusals import ConflictError, UnknownError
from serving.removal import finish_removals, remove_folder

JobState = Literal["waiting", "running", "complete", "failed", "cancelled"]
_ENDED: tuple[JobState, ...] = ("complete", "failed", "cancelled")
_JOB, _CANCELLED, _FAILED, _KILLED, _RESULT = "job.json", "cancelled", "failed.txt", "killed.txt", "result.zip"
_MOST_KILLS = 3
_LONGEST_REASON = 1_000
_INTERRUPTED = 130
COMMAND = (sys.executable, "-c", "from serving.cli import app; app()", "score")

log = structlog.get_logger(__name__)


class BacklogJobNotReadyError(ConflictError):
    """The results of a backlog job are asked for before it is complete."""

    def __init__(self, job_id: str, state: JobState) -> None:
        super().__init__(f"backlog job {job_id} is {state}; its results can be had once it is complete")
        self.job_id, self.state = job_id, state


class BacklogJobUnderWayError(ConflictError):
    """A backlog job that runs is to be removed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"backlog job {job_id} is under way; cancel it first")
        self.job_id = job_id


class JobRecord(Frozen):
    """What a job began with. n_rows : lines sent; None for the database's waiting cases, counted when it runs"""

    job_id: str
    kind: Literal["upload", "waiting"]
    created_at: AwareDatetime
    created_by: str
    n_rows: int | None


class BacklogJob(Frozen):
    """A job as it stands.

    n_done : rows in finished parts, scored or refused; reason : why it failed
    """

    job_id: str
    kind: Literal["upload", "waiting"]
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


class BacklogJobs:
    """directory : made on first use

    processes : of a job under way; photos : folder or URL that photo paths of sent backlogs are relative to
    environment : settings that the command must share with this process
    """

    def __init__(
        self,
        directory: Path,
        *,
        processes: int = 1,
        photos: str | None = None,
        environment: dict[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.directory = directory
        self.processes = processes
        self.photos = photos
        self.environment = environment or {}
        self.command = tuple(command)

    def create(self, *, by: str, rows: bytes | None = None, job_id: str | None = None) -> BacklogJob:
        """Keep a job to be run; one that is there already is returned as it is.

        rows : JSON Lines; None for the database's waiting cases
        job_id : 32 hexadecimal digits, by default new ones
        """
        job_id = job_id or uuid.uuid4().hex
        with suppress(UnknownError):
            return self.find(job_id)
        unfinished = self.directory / f".new-{job_id}"
        unfinished.mkdir(parents=True, exist_ok=True)
        try:
            if rows is not None:
                _write(unfinished / "cases.jsonl", rows)
            record = JobRecord(
                job_id=job_id,
                kind="upload" if rows is not None else "waiting",
                created_at=datetime.now(UTC),
                created_by=by,
                n_rows=n_rows_of(rows),
            )
            _write(unfinished / _JOB, record.model_dump_json(indent=1).encode())
            unfinished.rename(self.directory / job_id)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return self.find(job_id)

    def find(self, job_id: str) -> BacklogJob:
        """Raises UnknownError."""
        folder = self._folder(job_id)
        record = _record(folder)
        state, reason, summary = self._state(folder, record.kind)
        n_done = summary.n_rows if summary is not None else _n_done(folder / "out")
        return BacklogJob(**record.model_dump(), state=state, n_done=n_done, reason=reason, summary=summary)

    def all(self) -> list[BacklogJob]:
        """Return every job, the newest first."""
        jobs = []
        for record in self._records():
            with suppress(UnknownError):
                jobs.append(self.find(record.job_id))
        return jobs

    def cancel(self, job_id: str) -> BacklogJob:
        """Stop a job for good; finished parts stay. One that has ended stays as it is. Raises UnknownError."""
        job = self.find(job_id)
        if not job.is_ended:
            _write(self._folder(job_id) / _CANCELLED, b"")
        return self.find(job_id)

    def resume(self, job_id: str, *, fresh: bool = False) -> BacklogJob:
        """Let a job that failed wait again. Any other stays as it is. Raises UnknownError.

        fresh : discard what it scored before, instead of going on where its parts end
        """
        folder = self._folder(job_id)
        if self.find(job_id).state == "failed":
            if fresh:
                shutil.rmtree(folder / "out", ignore_errors=True)
            for name in (_KILLED, _FAILED):
                (folder / name).unlink(missing_ok=True)
        return self.find(job_id)

    def lines(self, job_id: str) -> Iterator[bytes]:
        """Yield the rows that a job was begun with, as they were sent or taken. Raises UnknownError."""
        for path in (self._folder(job_id) / "cases.jsonl", self._folder(job_id) / "out" / SNAPSHOT_NAME):
            if path.is_file():
                with path.open("rb") as file:
                    yield from file

    def finish_removals(self) -> None:
        """Remove what a removal left when it was cut off."""
        finish_removals(self.directory)

    def remove(self, job_id: str) -> None:
        """Remove a job with all it was sent and wrote. Raises UnknownError, BacklogJobUnderWayError."""
        folder = self._folder(job_id)
        with _held(folder / ".running") as handle:
            if handle is None:
                raise BacklogJobUnderWayError(job_id)
            remove_folder(folder)

    def result(self, job_id: str) -> Path:
        """Return a ZIP of what the job wrote. Raises UnknownError, BacklogJobNotReadyError."""
        job, folder = self.find(job_id), self._folder(job_id)
        if job.state != "complete":
            raise BacklogJobNotReadyError(job_id, job.state)
        packed = folder / _RESULT
        if not packed.exists():
            out, unfinished = folder / "out", folder / f".{uuid.uuid4().hex}.zip"
            try:
                with zipfile.ZipFile(unfinished, "w") as archive:
                    for name in ("summary.json", "refused.jsonl", "triage.parquet"):
                        archive.write(out / name, name, zipfile.ZIP_DEFLATED)
                    for part in sorted((out / "suggestions").glob("part-*.parquet")):
                        archive.write(part, f"suggestions/{part.name}")
                unfinished.rename(packed)
            finally:
                unfinished.unlink(missing_ok=True)
        return packed

    def run_next(self, *, is_stopping: Callable[[], bool]) -> bool:
        """Run the oldest job that waits, if no other process of this machine runs one; return whether one was run."""
        waiting = [record for record in self._records() if self._waits(record)]
        if not waiting:
            return False
        with _held(self.directory / ".runner") as handle:
            if handle is None:
                return False
            job = self.find(waiting[-1].job_id)
            if job.state == "waiting":
                self._run(job, handle, is_stopping)
            return True

    def _records(self) -> list[JobRecord]:
        """Return what every job began with, the newest first; one that is removed meanwhile is left out."""
        records = []
        for path in self.directory.glob(f"*/{_JOB}"):
            with suppress(FileNotFoundError):
                records += [] if path.parent.name.startswith(".") else [_record(path.parent)]
        return sorted(records, key=lambda record: (record.created_at, record.job_id), reverse=True)

    def _waits(self, record: JobRecord) -> bool:
        return self._state(self.directory / record.job_id, record.kind)[0] == "waiting"

    def _run(self, job: BacklogJob, runner_handle: int, is_stopping: Callable[[], bool]) -> None:
        folder = self._folder(job.job_id)
        arguments = ["--waiting"] if job.kind == "waiting" else [str(folder / "cases.jsonl")]
        arguments += ["--out", str(folder / "out"), "--processes", str(self.processes)]
        if job.kind == "upload" and self.photos is not None:
            arguments += ["--photos", self.photos]
        with _held(folder / ".running") as handle, (folder / "said.txt").open("wb") as said:
            if handle is None:
                return
            # The child holds both locks too: should this process be killed, nobody starts the job beside it.
            process = subprocess.Popen(  # noqa: S603  our own command
                [*self.command, *arguments],
                env={**os.environ, **self.environment},
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                pass_fds=(handle, runner_handle),
                start_new_session=True,
            )
            log.info("backlog_started", job=job.job_id)
            stopped = False
            while process.poll() is None:
                if is_stopping() or (folder / _CANCELLED).exists():
                    stop(process)
                    stopped = True
                    break
                threading.Event().wait(0.1)
        if process.returncode != 0 and not stopped and not is_stopping():
            self._failed(folder, process.returncode)
        log.info("backlog_ended", job=job.job_id, status=process.returncode)

    def _failed(self, folder: Path, status: int) -> None:
        """Say why a job ended; what a signal ended goes on by itself, but not for ever."""
        if status < 0 or status == _INTERRUPTED:
            kills = [*_lines_of(folder / _KILLED), signal.strsignal(-status) or str(status)]
            _write(folder / _KILLED, "\n".join(kills).encode())
            if len(kills) < _MOST_KILLS:
                return
            reason = f"its process was ended from outside {len(kills)} times, the last time by: {kills[-1]}"
        else:
            words = " ".join((folder / "said.txt").read_text(encoding="utf-8", errors="replace").split())
            reason = mask(words[-_LONGEST_REASON:]) or "no reason was given"
        _write(folder / _FAILED, reason.encode())

    def _state(self, folder: Path, kind: Literal["upload", "waiting"]) -> tuple[JobState, str | None, Summary | None]:
        try:
            summary = Summary.model_validate_json((folder / "out" / "summary.json").read_bytes())
        except (OSError, ValidationError):
            summary = None
        if _is_held(folder / ".running"):
            return "running", None, None
        is_handed_back = kind == "upload" or (folder / "out" / HANDED_BACK_NAME).is_file()
        if summary is not None and is_handed_back:
            return "complete", None, summary
        if (folder / _CANCELLED).exists():
            return "cancelled", None, None
        if (folder / _FAILED).exists():
            return "failed", (folder / _FAILED).read_text(encoding="utf-8", errors="replace"), None
        return "waiting", None, None

    def _folder(self, job_id: str) -> Path:
        folder = self.directory / job_id
        if len(job_id) != 32 or not job_id.isalnum() or not (folder / _JOB).is_file():
            raise UnknownError("backlog job", job_id)
        return folder


class BacklogRunner(Loop):
    """Runs the jobs that wait, one after another. A job under way stops at once and goes on at the next start."""

    stop_s = STOP_S + 5

    def __init__(self, jobs: BacklogJobs, *, poll_s: float) -> None:
        super().__init__(name="backlog-runner", pause_s=poll_s)
        self.jobs = jobs

    def work_once(self) -> bool:
        return self.jobs.run_next(is_stopping=self.stopping.is_set)


def n_rows_of(rows: bytes | None) -> int | None:
    """Return how many lines of a backlog hold something, None for no backlog."""
    return None if rows is None else sum(1 for line in rows.splitlines() if line.strip())


def _n_done(out: Path) -> int:
    folder = OutputFolder(out)
    if not (out / SUGGESTIONS).is_dir():
        return 0
    manifest = folder.manifest()
    return sum(part.n_scored + part.n_refused for part in folder.parts(manifest)) if manifest is not None else 0


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _record(folder: Path) -> JobRecord:
    return JobRecord.model_validate_json((folder / _JOB).read_bytes())


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock on `path`, without standing in the way of others who ask."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def _held(path: Path) -> Iterator[int | None]:
    """Yield the handle of a lock on `path`, None while another holder has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield handle
    finally:
        os.close(handle)
