"""A worker process: loads the model once, then scores the chunks that come through its pipe.

It ends when the pipe closes, so it never outlives the process that started it. Holds no state worth keeping. Knows
nothing of other workers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from models.errors import ReviewError
from models.int8 import weight_range
from serving.backlog.chunk import Chunk, Result, Suggests, score_chunk

Load = Callable[[], Suggests]

ENVIRONMENT = {
    # One thread a worker: more of them on the same cores only disturb each other.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    # glibc asks for pages of 2 MB: weights that left the caches come back faster. Other C libraries don't read it.
    "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
}
"""What a worker's process is started with; libraries read it when first loaded."""


@dataclass(frozen=True)
class Ready:
    """The model is loaded. weight_range : as `models.int8.weight_range` gives it on the worker's processor"""

    model_version: str
    weight_range: int = field(default_factory=weight_range)


@dataclass(frozen=True)
class Done:
    results: list[Result]


@dataclass(frozen=True)
class Failed:
    """The model can't be loaded or used; no other worker could either."""

    reason: str


Message = Ready | Done | Failed


def work(pipe: Connection, load: Load) -> None:
    """Serve chunks until the pipe closes.

    load : picklable, called once in this process
    """
    try:
        suggester = load()
    except Exception as error:
        _send(pipe, Failed(f"the model can't be loaded: {said(error)}"))
        return
    _send(pipe, Ready(suggester.model_version))
    while True:
        try:
            chunk: Chunk = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Message = Done(score_chunk(chunk, suggester))
        except Exception as error:
            answer = Failed(f"scoring failed: {said(error)}")
        if not _send(pipe, answer):
            return


def _send(pipe: Connection, message: Message) -> bool:
    try:
        pipe.send(message)
    except OSError:
        return False
    return True


def said(error: Exception) -> str:
    """Return an error in words: ours as they are, any other with its kind."""
    return str(error) if isinstance(error, ReviewError) else f"{type(error).__name__}: {error}"
