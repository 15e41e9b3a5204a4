"""Long jobs side by side, each in a process of its own on one thread; when one fails, none goes on.

Knows nothing of what the jobs do.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from models.errors import ModelError, ReviewError

Progress = Callable[[str], None]
Job = Callable[[Progress], Any]

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SAID, _DONE, _FAILED = "said", "done", "failed"


class JobFailedError(ModelError):
    """One of several jobs failed, and the others were stopped; `job` is its name."""

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(f"{job} failed: {reason}")
        self.job = job


def run_side_by_side(jobs: Mapping[str, Job], *, progress: Progress, still_at_it_s: float = 60.0) -> dict[str, Any]:
    """Run every job in a process of its own and return what each returned, by name, when all are done.

    jobs : by name; each is called with a progress of its own; it and what it returns must be picklable
    progress : gets every line of every job behind the job's name, and who is at it after `still_at_it_s` of silence
    Raises JobFailedError when a job raises or its process dies; the other jobs are stopped first.
    """
    started = time.monotonic()
    processes: dict[str, BaseProcess] = {}
    speaking: dict[Connection, str] = {}
    returned: dict[str, Any] = {}
    try:
        with _one_thread_each():
            for name, job in jobs.items():
                processes[name], ear = _start(name, job)
                speaking[ear] = name
        while speaking:
            heard = wait(list(speaking), timeout=still_at_it_s)
            if not heard:
                progress(
                    f"still at it after {(time.monotonic() - started) / 60:.0f} min: {', '.join(speaking.values())}"
                )
            for ear in [ear for ear in speaking if ear in heard]:
                _hear(ear, speaking, processes, returned, progress)
    finally:
        for process in processes.values():
            if process.is_alive():
                process.terminate()
            process.join()
    return returned


def _start(name: str, job: Job) -> tuple[BaseProcess, Connection]:
    context = get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, mouth), name=name, daemon=True)
    process.start()
    mouth.close()
    return process, ear


def _hear(
    ear: Connection,
    speaking: dict[Connection, str],
    processes: Mapping[str, BaseProcess],
    returned: dict[str, Any],
    progress: Progress,
) -> None:
    name = speaking[ear]
    try:
        kind, told = ear.recv()
    except EOFError:
        processes[name].join()
        raise JobFailedError(name, f"its process ended with code {processes[name].exitcode}") from None
    if kind == _FAILED:
        raise JobFailedError(name, told)
    if kind == _DONE:
        returned[name] = told
        del speaking[ear]
    else:
        progress(f"{name}: {told}")


def _work(job: Job, mouth: Connection) -> None:
    try:
        found = job(lambda line: mouth.send((_SAID, line)))
    except ReviewError as error:
        mouth.send((_FAILED, str(error)))
    except Exception as error:
        mouth.send((_FAILED, repr(error)))
        raise
    else:
        mouth.send((_DONE, found))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started here use one thread for linear algebra: it reads the limit once, when it is loaded."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
