"""Ray actors as workers: for backlogs that one machine is too small for.

Joins the cluster that RAY_ADDRESS names, else starts Ray on this machine alone. At least one CPU is left to Ray itself:
with every CPU taken by actors it waits for one in silence. A watchdog ends a run that hears nothing for too long. The
code must be installed on every node, and the photos must lie where every node finds them. Knows nothing of files.
"""

import logging
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import Any

from serving.backlog.chunk import Chunk, Result, score_chunk
from serving.backlog.refusals import BacklogError, WorkerFailedError
from serving.backlog.rounds import Engine, Round, Task
from serving.backlog.worker import ENVIRONMENT, Load, Ready, said

SILENCE_S = 900.0
_KNOCK_S = 10.0


class RayAbsentError(BacklogError):
    """Ray isn't installed, can't be started or joined, or has no CPU to spare."""


class RaySilentError(BacklogError):
    def __init__(self, *, silence_s: float, n_actors: int) -> None:
        super().__init__(
            f"Ray gave no sign for {silence_s:g} s with {n_actors} actors at work: see `ray status` for free CPUs "
            "and lost nodes. Every finished part is kept; the same command goes on"
        )
        self.silence_s = silence_s


class _Scorer:
    """The actor: loads the model once, then scores chunk after chunk."""

    def __init__(self, load: Load) -> None:
        self.load = load

    def ready(self) -> tuple[Ready | None, str]:
        """Return (what it loaded, ""), or (None, reason) when the model can't be loaded."""
        try:
            self.suggester = self.load()
        except Exception as error:
            return None, f"the model can't be loaded: {said(error)}"
        return Ready(self.suggester.model_version), ""

    def score(self, chunk: Chunk) -> tuple[list[Result] | None, str]:
        """Return (results, ""), or (None, reason) when the model can't be used."""
        try:
            return score_chunk(chunk, self.suggester), ""
        except Exception as error:
            return None, f"scoring failed: {said(error)}"


@dataclass(eq=False)
class _Worker:
    """asked : what the actor's next answer is to, None while it is idle"""

    actor: Any
    asked: Any = None
    is_ready: bool = False
    task: Task | None = field(default=None)


class RayEngine(Engine):
    """Ray actors, one CPU and one thread each.

    load : picklable; returns the Suggester, called once in each actor
    processes : actors wanted; never more than the cluster's CPUs less one, and as many for None
    silence_s : how long no actor may say anything before the run ends
    """

    def __init__(self, load: Load, *, processes: int | None, silence_s: float = SILENCE_S) -> None:
        super().__init__(processes=processes or 1)
        self.asked = processes
        self.load = load
        self.silence_s = silence_s
        self._workers: list[_Worker] = []
        self._ray: Any = None

    def stop(self) -> None:
        if self._ray is None:
            return
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers = []
        self._ray.shutdown()
        self._ray = None

    def _fill_up(self, wanted: int) -> None:
        if self._ray is None:
            self._ray = _joined()
            free = max(1, int(self._ray.cluster_resources().get("CPU", 1)) - 1)
            self.processes = min(self.asked or free, free)
        actor_class = self._ray.remote(num_cpus=1, max_restarts=0, runtime_env={"env_vars": _environment()})(_Scorer)
        while len(self._workers) < min(wanted, self.processes):
            actor = actor_class.remote(self.load)
            self._workers.append(_Worker(actor, actor.ready.remote()))

    def _hand_out(self, this: Round) -> None:
        for worker in self._workers:
            if this.todo and worker.is_ready and worker.asked is None:
                worker.task = this.todo.popleft()
                worker.asked = worker.actor.score.remote(worker.task.chunk)

    def _listen(self) -> None:
        by_answer = {worker.asked: worker for worker in self._workers if worker.asked is not None}
        heard, _ = self._ray.wait(list(by_answer), num_returns=1, timeout=self.silence_s)
        if not heard:
            raise RaySilentError(silence_s=self.silence_s, n_actors=len(self._workers))
        worker = by_answer[heard[0]]
        try:
            answer, reason = self._ray.get(heard[0])
        except self._ray.exceptions.RayError as error:
            self._workers.remove(worker)
            self._ray.kill(worker.actor)
            self._died(worker.task, f"lost by Ray ({type(error).__name__})")
            return
        if answer is None:
            raise WorkerFailedError(reason)
        task, worker.task, worker.asked = worker.task, None, None
        if task is None:
            self._is_ready(answer.model_version, answer.weight_range)
            worker.is_ready = True
        else:
            self._is_done(task, answer)


def _environment() -> dict[str, str]:
    """A worker's; on this machine, modules are found where this process finds them."""
    found = dict(ENVIRONMENT)
    if "RAY_ADDRESS" not in os.environ:
        found["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return found


def _joined() -> Any:
    """Return Ray, joined to its cluster or started here. Raises RayAbsentError."""
    try:
        import ray
    except ImportError as error:
        raise RayAbsentError("Ray is not installed: pip install 'dispute-evidence-review[ray]'") from error
    here = "RAY_ADDRESS" not in os.environ
    _knock(os.environ.get("RAY_ADDRESS", ""))
    try:
        ray.init(
            # Alone on one CPU it gets a second by name, else no actor would ever start.
            num_cpus=max(2, len(os.sched_getaffinity(0))) if here else None,
            include_dashboard=False if here else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # Ray has errors of many kinds here
        raise RayAbsentError(f"Ray can't be joined or started: {error}") from error
    if ray.cluster_resources().get("CPU", 0) < 2:
        ray.shutdown()
        raise RayAbsentError("the Ray cluster has fewer than 2 CPUs; one is Ray's own")
    return ray


def _knock(address: str) -> None:
    """Raise RayAbsentError when nothing listens at HOST:PORT: Ray itself would wait there for minutes, in silence."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except OSError as error:
        raise RayAbsentError(f"Ray can't be joined: nothing listens at {address} ({error})") from error
