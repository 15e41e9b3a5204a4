"""Retrainings asked for on the lead's page: the decisions so far are exported, then `evidence-train retrain` runs.

It is the same command as from a shell, in a process of its own, one at a time, at low priority. Its lines are told
while it runs; a cancelled or lost lease ends it. Nothing is promoted. Knows nothing of HTTP or of training.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

import structlog

from models.errors import ReviewError
from models.privacy import mask
from serving.child import STOP_S, stop
from serving.loop import Loop
from serving.records import RetrainingJob
from serving.refusals import LeaseLostError, StorageError
from serving.store.retrainings import Retrainings

COMMAND = (sys.executable, "-c", "from training.cli import app; app()", "retrain")
_LINES_KEPT = 30
_LONGEST_LINE = 500
_LOOK_S = 0.1
_TELL_S = 2.0

log = structlog.get_logger(__name__)


class RetrainingRunner(Loop):
    """Runs the retraining that waits. One under way stops at once and begins anew at the next start.

    export : writes the outcomes that the command reads, by whom
    arguments : of the command, besides by whom; lease_s : how long after its last word a run counts as lost
    """

    stop_s = STOP_S + 5

    def __init__(
        self,
        retrainings: Retrainings,
        *,
        export: Callable[[str], object],
        arguments: Sequence[str],
        poll_s: float,
        lease_s: float,
        command: Sequence[str] = COMMAND,
    ) -> None:
        super().__init__(name=f"retraining-{os.getpid()}-{uuid.uuid4().hex[:6]}", pause_s=poll_s)
        self.retrainings = retrainings
        self.export = export
        self.arguments = tuple(arguments)
        self.lease_s = lease_s
        self.command = tuple(command)

    def work_once(self) -> bool:
        return self.run_next()

    def run_next(self) -> bool:
        """Run the retraining that waits; return whether there was one."""
        job = self.retrainings.lease(worker=self.name, lease_s=self.lease_s)
        if job is None:
            return False
        try:
            self._run(job)
        except LeaseLostError:
            log.info("retraining_given_up", retraining=job.job_id)
        return True

    def _run(self, job: RetrainingJob) -> None:
        said: deque[str] = deque(["exporting decisions ..."], maxlen=_LINES_KEPT)
        try:
            self.export(job.asked_by)
        except ReviewError as error:
            self._end(job, said, problem=str(error))
            return
        nice = ["nice", "-n", "10"] if shutil.which("nice") else []
        process = subprocess.Popen(  # noqa: S603  our own command
            [*nice, *self.command, *self.arguments, "--by", job.asked_by],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        log.info("retraining_started", retraining=job.job_id, asked_by=job.asked_by)
        listener = threading.Thread(target=_listen, args=(process.stdout, said), daemon=True)
        listener.start()
        try:
            finished = self._watch(job, process, said)
        except LeaseLostError:
            stop(process)
            raise
        if not finished:
            stop(process)
            self.retrainings.put_back(job, worker=self.name)
            return
        listener.join(STOP_S)
        failed = process.returncode != 0
        self._end(job, said, problem=said[-1] if failed else None)

    def _watch(self, job: RetrainingJob, process: "subprocess.Popen[bytes]", said: deque[str]) -> bool:
        """Wait for the end, telling what is said; return False when this program is to stop. Raises LeaseLostError."""
        tell_at = time.monotonic()
        while process.poll() is None:
            if self.stopping.wait(_LOOK_S):
                return False
            if time.monotonic() < tell_at:
                continue
            tell_at = time.monotonic() + _TELL_S
            try:
                self.retrainings.keep(job, list(said), lease_s=self.lease_s)
            except StorageError:
                log.warning("retraining_not_told", retraining=job.job_id)
        return True

    def _end(self, job: RetrainingJob, said: Sequence[str], *, problem: str | None) -> None:
        self.retrainings.end(job, list(said), worker=self.name, problem=mask(problem) if problem is not None else None)
        log.info("retraining_ended", retraining=job.job_id, failed=problem is not None)


def _listen(stream: IO[bytes] | None, said: deque[str]) -> None:
    for line in stream or ():
        text = mask(line.decode("utf-8", "replace").strip())[:_LONGEST_LINE]
        if text:
            said.append(text)
