"""The process pool: workers on this machine, each with the whole model and one thread.

Knows nothing of files.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from serving.backlog.refusals import WorkerFailedError
from serving.backlog.rounds import Engine, Round, Task
from serving.backlog.worker import ENVIRONMENT, Done, Failed, Load, Message, Ready, work

_STOP_S = 5.0


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    is_ready: bool = False
    task: Task | None = None


class PoolEngine(Engine):
    """Worker processes on this machine.

    load : picklable; returns the Suggester, called once in each worker
    """

    def __init__(self, load: Load, *, processes: int) -> None:
        super().__init__(processes=processes)
        self.load = load
        self._workers: list[_Worker] = []

    @property
    def worker_pids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def stop(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_STOP_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def _fill_up(self, wanted: int) -> None:
        while len(self._workers) < wanted:
            self._workers.append(_start(self.load, number=len(self._workers)))

    def _hand_out(self, this: Round) -> None:
        for worker in self._workers:
            if not this.todo:
                return
            if worker.is_ready and worker.task is None:
                task = this.todo.popleft()
                try:
                    worker.pipe.send(task.chunk)
                    worker.task = task
                except OSError:
                    # It died idle, not of this task; `_listen` finds it dead.
                    this.todo.appendleft(task)
                    worker.is_ready = False

    def _listen(self) -> None:
        by_handle: dict[object, _Worker] = {}
        for worker in self._workers:
            by_handle[worker.pipe] = by_handle[worker.process.sentinel] = worker
        heard = {id(by_handle[handle]): by_handle[handle] for handle in wait(list(by_handle))}  # type: ignore[arg-type]
        for worker in heard.values():
            message = _receive(worker)
            if message is None:
                self._bury(worker)
            else:
                self._hear(worker, message)

    def _hear(self, worker: _Worker, message: Message) -> None:
        match message:
            case Failed(reason):
                raise WorkerFailedError(reason)
            case Ready(model_version, weight_range):
                self._is_ready(model_version, weight_range)
                worker.is_ready = True
            case Done(results) if worker.task is not None:
                task, worker.task = worker.task, None
                self._is_done(task, results)

    def _bury(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        self._died(worker.task, _how_it_ended(worker.process.exitcode))


def _start(load: Load, *, number: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, load), name=f"backlog-{number}", daemon=True)
    with _environment(ENVIRONMENT), _interrupts_held():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Let a child inherit `values`."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to every process of the terminal: a child started now never sees it, we see it after."""
    # Its own first start, else inside `start`, would let interrupts through again.
    resource_tracker.ensure_running()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(worker: _Worker) -> Message | None:
    """Return what the worker said, None when it is dead."""
    try:
        message: Message = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    return message


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name if -exitcode in list(signal.Signals) else f"signal {-exitcode}"
        return f"killed by {name}" + (" (often for lack of memory)" if name == "SIGKILL" else "")
    return f"ended with status {exitcode}"
