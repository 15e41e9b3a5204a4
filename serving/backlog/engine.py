"""The process pool: workers that score chunks, and what is done when one of them dies.

A dead worker's chunk is scored again case by case, each alone in its worker; a case whose worker dies again is refused.
So one bad case costs itself, never its neighbours. Results come out in the order the chunks went in, and only so many
chunks are held at a time. Knows nothing of files.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Protocol, Self

from serving.backlog.chunk import Chunk, Result, refused_in_scoring
from serving.backlog.refusals import WorkerFailedError, WorkersLostError
from serving.backlog.worker import Done, Failed, Load, Message, Ready, work

_CHUNKS_HELD_PER_WORKER = 4
_DEATHS_IN_A_ROW = 10
_STOP_S = 5.0
# One thread a worker: more of them on the same cores only disturb each other.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Engine(Protocol):
    """What a run needs of an engine."""

    @property
    def model_version(self) -> str: ...

    def score(self, chunks: Iterable[Chunk]) -> Iterator[list[Result]]: ...


@dataclass(eq=False)
class _Round:
    """One call of `score`: what is asked and what has come back."""

    todo: deque["_Task"] = field(default_factory=deque)
    open: dict[int, "_Open"] = field(default_factory=dict)


@dataclass(eq=False)
class _Open:
    """A chunk on its way; results : by place in the chunk"""

    chunk: Chunk
    results: dict[int, Result] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return len(self.results) == len(self.chunk.entries)


@dataclass(eq=False)
class _Task:
    """Some places of a chunk, for one worker. n_deaths : workers that have died of it"""

    round: _Round
    of: _Open
    places: tuple[int, ...]
    n_deaths: int = 0

    @property
    def chunk(self) -> Chunk:
        return Chunk(tuple(self.of.chunk.entries[place] for place in self.places), self.of.chunk.now)


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    is_ready: bool = False
    task: _Task | None = None


class PoolEngine:
    """Worker processes on this machine, started at first need and stopped on leaving the `with` block.

    load : picklable; returns the Suggester, called once in each worker
    """

    def __init__(self, load: Load, *, processes: int) -> None:
        self.load = load
        self.processes = processes
        self._workers: list[_Worker] = []
        self._model_version: str | None = None
        self._deaths_in_a_row = 0
        self._last_death = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def model_version(self) -> str:
        """Version of the model that the workers loaded. Raises WorkerFailedError, WorkersLostError."""
        while self._model_version is None:
            self._fill_up()
            self._listen()
        return self._model_version

    @property
    def worker_pids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def score(self, chunks: Iterable[Chunk]) -> Iterator[list[Result]]:
        """Yield the results of each chunk, in order. Raises WorkerFailedError, WorkersLostError."""
        upcoming = enumerate(chunks)
        this, next_out, is_last = _Round(), 0, False
        while True:
            while not is_last and len(this.open) < self.processes * _CHUNKS_HELD_PER_WORKER:
                number, chunk = next(upcoming, (-1, None))
                if chunk is None:
                    is_last = True
                    break
                this.open[number] = _Open(chunk)
                this.todo.append(_Task(this, this.open[number], tuple(range(len(chunk.entries)))))
            if next_out in this.open and this.open[next_out].is_done:
                done = this.open.pop(next_out)
                next_out += 1
                yield [done.results[place] for place in range(len(done.chunk.entries))]
                continue
            if is_last and not this.open:
                return
            self._fill_up()
            self._hand_out(this)
            self._listen()

    def stop(self) -> None:
        """Stop every worker; what they were doing is dropped."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_STOP_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def _fill_up(self) -> None:
        """Start what is lacking; the first worker goes ahead, so that encoders are prepared only once."""
        wanted = self.processes if self._model_version is not None else 1
        while len(self._workers) < wanted:
            self._workers.append(_start(self.load, number=len(self._workers)))

    def _hand_out(self, this: _Round) -> None:
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
        """Wait until a worker says something or dies, and see to it."""
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
            case Ready(model_version):
                if self._model_version not in (None, model_version):
                    raise WorkerFailedError(f"the model changed while running, to {model_version}")
                self._model_version = model_version
                worker.is_ready = True
            case Done(results) if worker.task is not None:
                task, worker.task = worker.task, None
                task.of.results.update(zip(task.places, results, strict=True))
                self._deaths_in_a_row = 0

    def _bury(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        how = _how_it_ended(worker.process.exitcode)
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _DEATHS_IN_A_ROW:
            raise WorkersLostError(n_deaths=self._deaths_in_a_row, last=how)
        if worker.task is not None:
            self._give_back(worker.task, how)

    def _give_back(self, task: _Task, how: str) -> None:
        task.n_deaths += 1
        if task.n_deaths > 1:
            for place in task.places:
                reason = f"can't be scored: it was being scored both times when its worker was {how}"
                task.of.results[place] = refused_in_scoring(task.of.chunk.entries[place], reason)
            return
        alone = [_Task(task.round, task.of, (place,), task.n_deaths) for place in task.places]
        task.round.todo.extendleft(reversed(alone))


def _start(load: Load, *, number: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, load), name=f"backlog-{number}", daemon=True)
    with _environment(_ONE_THREAD), _interrupts_held():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Let a child inherit `values`; libraries read them when first loaded."""
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
