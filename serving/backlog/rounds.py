"""What every engine shares: chunks in, results out in the same order, and what is done when a worker dies.

A dead worker's chunk is scored again case by case, each alone in its worker; a case whose worker dies again is refused.
So one bad case costs itself, never its neighbours. Only so many chunks are held at a time. Knows nothing of how workers
are started or spoken to.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from serving.backlog.chunk import Chunk, Result, refused_in_scoring
from serving.backlog.refusals import WorkerFailedError, WorkersLostError

_CHUNKS_HELD_PER_WORKER = 4
_DEATHS_IN_A_ROW = 10


@dataclass(eq=False)
class Round:
    """One call of `score`: what is asked and what has come back."""

    todo: deque["Task"] = field(default_factory=deque)
    open: dict[int, "OpenChunk"] = field(default_factory=dict)


@dataclass(eq=False)
class OpenChunk:
    """A chunk on its way; results : by place in the chunk"""

    chunk: Chunk
    results: dict[int, Result] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return len(self.results) == len(self.chunk.entries)


@dataclass(eq=False)
class Task:
    """Some places of a chunk, for one worker. n_deaths : workers that have died of it"""

    round: Round
    of: OpenChunk
    places: tuple[int, ...]
    n_deaths: int = 0

    @property
    def chunk(self) -> Chunk:
        return Chunk(tuple(self.of.chunk.entries[place] for place in self.places), self.of.chunk.now)


class Engine(ABC):
    """Workers that score chunks, started at first need and stopped on leaving the `with` block.

    processes : workers wanted
    weight_range : of all its workers, once the model is loaded: as `models.int8.weight_range` gives it
    on_loss : told, in a sentence, of each worker that dies while it scores
    losses : those sentences, until somebody takes them
    """

    def __init__(self, *, processes: int) -> None:
        self.processes = processes
        self.on_loss: Callable[[str], None] = lambda told: None
        self.losses: list[str] = []
        self._known_version: str | None = None
        self.weight_range: int | None = None
        self._deaths_in_a_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def model_version(self) -> str:
        """Version of the model that the workers loaded. Raises BacklogError."""
        while self._known_version is None:
            self._fill_up(1)
            self._listen()
        return self._known_version

    def score(self, chunks: Iterable[Chunk]) -> Iterator[list[Result]]:
        """Yield the results of each chunk, in order. Raises BacklogError when the engine itself fails."""
        upcoming = enumerate(chunks)
        this, next_out, is_last = Round(), 0, False
        while True:
            while not is_last and len(this.open) < self.processes * _CHUNKS_HELD_PER_WORKER:
                number, chunk = next(upcoming, (-1, None))
                if chunk is None:
                    is_last = True
                    break
                this.open[number] = OpenChunk(chunk)
                this.todo.append(Task(this, this.open[number], tuple(range(len(chunk.entries)))))
            if next_out in this.open and this.open[next_out].is_done:
                done = this.open.pop(next_out)
                next_out += 1
                yield [done.results[place] for place in range(len(done.chunk.entries))]
                continue
            if is_last and not this.open:
                return
            # The first worker goes ahead, so that encoders are prepared only once.
            self._fill_up(self.processes if self._known_version is not None else 1)
            self._hand_out(this)
            self._listen()

    @abstractmethod
    def stop(self) -> None:
        """Stop every worker; what they were doing is dropped."""

    @abstractmethod
    def _fill_up(self, wanted: int) -> None:
        """Start workers until there are so many."""

    @abstractmethod
    def _hand_out(self, this: Round) -> None:
        """Give the tasks that wait to the workers that are free."""

    @abstractmethod
    def _listen(self) -> None:
        """Wait until a worker says something or dies, and see to it by the methods below."""

    def _is_ready(self, model_version: str, weight_range: int) -> None:
        if self._known_version not in (None, model_version):
            raise WorkerFailedError(f"the model changed while running, to {model_version}")
        if self.weight_range not in (None, weight_range):
            raise WorkerFailedError(
                "workers run on processors with and without 8-bit dot products, which would not answer alike: "
                "give them one kind"
            )
        self._known_version, self.weight_range = model_version, weight_range

    def _is_done(self, task: Task, results: list[Result]) -> None:
        task.of.results.update(zip(task.places, results, strict=True))
        self._deaths_in_a_row = 0

    def _died(self, task: Task | None, how: str) -> None:
        """See to a death. task : what the worker was doing; how : "killed by …" """
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _DEATHS_IN_A_ROW:
            raise WorkersLostError(n_deaths=self._deaths_in_a_row, last=how)
        if task is not None:
            then = "refused, for it is the second time" if task.n_deaths else "scored again, case by case"
            self.losses.append(f"a worker was {how} while it scored {_where(task)}: {then}")
            self.on_loss(self.losses[-1])
            _give_back(task, how)


def _where(task: Task) -> str:
    first, last = (task.of.chunk.entries[place] for place in (task.places[0], task.places[-1]))
    if first == last:
        return f"{first.source}, line {first.line}"
    if first.source == last.source:
        return f"{first.source}, lines {first.line} to {last.line}"
    return f"{first.source}, line {first.line}, to {last.source}, line {last.line}"


def _give_back(task: Task, how: str) -> None:
    task.n_deaths += 1
    if task.n_deaths > 1:
        for place in task.places:
            reason = f"can't be scored: it was being scored both times when its worker was {how}"
            task.of.results[place] = refused_in_scoring(task.of.chunk.entries[place], reason)
        return
    alone = [Task(task.round, task.of, (place,), task.n_deaths) for place in task.places]
    task.round.todo.extendleft(reversed(alone))
