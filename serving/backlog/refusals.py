"""Why a backlog, or the go-on of one, is refused.

BacklogError                    (under serving.refusals.RefusalError)
├── BacklogUnreadableError      no file of the backlog can be read
├── RunChangedError             the folder holds a run of another input, model or photos folder
├── OutputBusyError             another run is writing to the folder
├── OutputUnwritableError       the folder can't be written
│   └── OutputFullError             no room is left on its disk
├── WorkerFailedError           a worker can't load or use the model
└── WorkersLostError            workers die whatever they are given
"""

from pathlib import Path

from serving.refusals import RefusalError


class BacklogError(RefusalError):
    """Root of every refusal about a backlog."""


class BacklogUnreadableError(BacklogError):
    """No file of the backlog can be read; the message names file and reason."""


class RunChangedError(BacklogError):
    """`changes` lists what is not as it was when the run in `out` began."""

    def __init__(self, out: Path, changes: list[str]) -> None:
        super().__init__(
            f"{out} holds a run that began otherwise: {'; '.join(changes)}. "
            "Give another --out, or --fresh to discard what was scored and begin anew"
        )
        self.out, self.changes = out, changes


class OutputBusyError(BacklogError):
    def __init__(self, out: Path) -> None:
        super().__init__(f"another run is writing to {out}; wait for it, or give another --out")
        self.out = out


class OutputUnwritableError(BacklogError):
    def __init__(self, out: Path, reason: str) -> None:
        super().__init__(
            f"{out} can't be written: {reason}. Every part listed there is whole; the same command goes on"
        )
        self.out = out


class OutputFullError(OutputUnwritableError):
    def __init__(self, out: Path) -> None:
        super().__init__(out, "no room is left on the disk; make room first")


class WorkerFailedError(BacklogError):
    """A worker can't load or use the model; the message is the worker's own."""


class WorkersLostError(BacklogError):
    def __init__(self, *, n_deaths: int, last: str) -> None:
        super().__init__(
            f"{n_deaths} workers died one after another, the last {last}. "
            "Use fewer --processes or a machine with more memory; the same command goes on"
        )
        self.n_deaths = n_deaths
