"""Backlogs asked for over the API: each in a folder of its own, scored by the command `score` in a process of its own.

A job that was cut off goes on where its parts end. One job runs at a time on a machine. Knows nothing of HTTP or of how
a backlog is scored.
"""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from serving.backlog_folder import BacklogJob, JobFolder, JobRecord, JobState, folders_in
from serving.child import STOP_S, stop
from serving.file_lock import locked
from serving.loop import Loop
from serving.refusals import ConflictError, UnknownError
from serving.removal import finish_removals, remove_folder

COMMAND = (sys.executable, "-c", "from serving.cli import app; app()", "score")
_LOOK_S = 0.1

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
        record = JobRecord(
            job_id=job_id,
            kind="upload" if rows is not None else "waiting",
            created_at=datetime.now(UTC),
            created_by=by,
            n_rows=n_rows_of(rows),
        )
        JobFolder(self.directory / job_id).begin(record, rows)
        return self.find(job_id)

    def find(self, job_id: str) -> BacklogJob:
        """Raises UnknownError."""
        return self._folder(job_id).job()

    def all(self) -> list[BacklogJob]:
        """Return every job, the newest first."""
        jobs = []
        for record in self._records():
            with suppress(UnknownError):
                jobs.append(self.find(record.job_id))
        return jobs

    def cancel(self, job_id: str) -> BacklogJob:
        """Stop a job for good; finished parts stay. One that has ended stays as it is. Raises UnknownError."""
        folder = self._folder(job_id)
        if not folder.job().is_ended:
            folder.cancel()
        return self.find(job_id)

    def resume(self, job_id: str, *, fresh: bool = False) -> BacklogJob:
        """Let a job that failed wait again. Any other stays as it is. Raises UnknownError.

        fresh : discard what it scored before, instead of going on where its parts end
        """
        folder = self._folder(job_id)
        if folder.job().state == "failed":
            folder.forget_failure(fresh=fresh)
        return self.find(job_id)

    def holds(self, job_id: str, is_meant: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Tell whether a job was begun with such a case. What is no case is none. Raises UnknownError."""
        return any(_is_meant(line, is_meant) for line in self._folder(job_id).lines())

    def finish_removals(self) -> None:
        """Remove what a removal left when it was cut off."""
        finish_removals(self.directory)

    def remove(self, job_id: str) -> None:
        """Remove a job with all it was sent and wrote. Raises UnknownError, BacklogJobUnderWayError."""
        folder = self._folder(job_id)
        with locked(folder.lock) as handle:
            if handle is None:
                raise BacklogJobUnderWayError(job_id)
            remove_folder(folder.path)

    def result(self, job_id: str) -> Path:
        """Return a ZIP of what the job wrote. Raises UnknownError, BacklogJobNotReadyError."""
        folder = self._folder(job_id)
        state = folder.job().state
        if state != "complete":
            raise BacklogJobNotReadyError(job_id, state)
        return folder.packed()

    def run_next(self, *, is_stopping: Callable[[], bool]) -> bool:
        """Run the oldest job that waits, if no other process of this machine runs one; return whether one was run."""
        waiting = [record for record in self._records() if JobFolder(self.directory / record.job_id).waits(record.kind)]
        if not waiting:
            return False
        with locked(self.directory / ".runner") as handle:
            if handle is None:
                return False
            job = self.find(waiting[-1].job_id)
            if job.state == "waiting":
                self._run(job, handle, is_stopping)
            return True

    def _records(self) -> list[JobRecord]:
        """Return what every job began with, the newest first; one that is removed meanwhile is left out."""
        records = []
        for folder in folders_in(self.directory):
            with suppress(FileNotFoundError):
                records.append(folder.record())
        return sorted(records, key=lambda record: (record.created_at, record.job_id), reverse=True)

    def _run(self, job: BacklogJob, runner_handle: int, is_stopping: Callable[[], bool]) -> None:
        folder = self._folder(job.job_id)
        with locked(folder.lock) as handle, folder.said.open("wb") as said:
            if handle is None:
                return
            # The child holds both locks too: should this process be killed, nobody starts the job beside it.
            process = subprocess.Popen(  # noqa: S603  our own command
                [*self.command, *self._arguments(job, folder)],
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
                if is_stopping() or folder.is_cancelled:
                    stop(process)
                    stopped = True
                    break
                threading.Event().wait(_LOOK_S)
        if process.returncode != 0 and not stopped and not is_stopping():
            folder.fail(process.returncode)
        log.info("backlog_ended", job=job.job_id, status=process.returncode)

    def _arguments(self, job: BacklogJob, folder: JobFolder) -> list[str]:
        whence = ["--waiting"] if job.kind == "waiting" else [str(folder.rows)]
        photos = ["--photos", self.photos] if job.kind == "upload" and self.photos is not None else []
        return [*whence, "--out", str(folder.out), "--processes", str(self.processes), *photos]

    def _folder(self, job_id: str) -> JobFolder:
        folder = JobFolder(self.directory / job_id)
        if len(job_id) != 32 or not job_id.isalnum() or not folder.is_there:
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


def _is_meant(line: bytes, is_meant: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Ask of a row of a backlog, or of a snapshot of waiting cases."""
    try:
        row = json.loads(line)
        return is_meant(row.get("case", row))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
