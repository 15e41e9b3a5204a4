"""How far a run is, on a terminal as a bar, in a log as a line now and then: rate, time left, rows refused.

Knows nothing of what is scored.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINE_EVERY_S = 30.0


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f} cases/s", style="dim")


class RunProgress:
    """Rate and time left count this session only, not what an earlier one had done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[refused]} refused"),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=120,
        )
        self._task = self._progress.add_task("loading the model", total=None, refused=0)
        self._began: tuple[float, int] | None = None
        self._said_at = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, done: int, total: int, refused: int) -> None:
        """Show that `done` of about `total` rows are through."""
        if self._began is None:
            self._began = time.monotonic(), done
            self._progress.reset(self._task, description="scoring", total=total, completed=done, refused=refused)
        self._progress.update(self._task, completed=done, refused=refused)
        if not self.console.is_terminal and time.monotonic() - self._said_at >= _LINE_EVERY_S:
            self._said_at = time.monotonic()
            self.console.print(self._line(done, total, refused))

    def say(self, told: str) -> None:
        """Say something that happened, above the bar."""
        self.console.print(told, style="yellow", markup=False, highlight=False)

    def _line(self, done: int, total: int, refused: int) -> str:
        began_at, before = self._began or (time.monotonic(), done)
        rate = (done - before) / max(time.monotonic() - began_at, 1e-9)
        left = f", {(total - done) / rate / 60:.0f} min left" if rate > 0 else ""
        return f"{done} of {total} rows, {rate:.1f} cases/s{left}, {refused} refused"
