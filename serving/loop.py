"""Work done again and again in a thread of its own until it is told to stop. Knows nothing of what the work is."""

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import structlog

log = structlog.get_logger(__name__)


class Loop(ABC):
    """name : of the thread, and in the log; pause_s : when there was nothing to do, or trouble"""

    stop_s: ClassVar[float] = 10.0
    """How long stopping waits for the work in hand."""

    def __init__(self, *, name: str, pause_s: float) -> None:
        self.name = name
        self.pause_s = pause_s
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def work_once(self) -> bool:
        """Do one piece of work; return whether there may be more at once."""

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float | None = None) -> bool:
        """Let the work in hand end, and begin no other; return whether it ended in time."""
        self.stopping.set()
        if self._thread is None:
            return True
        self._thread.join(self.stop_s if timeout_s is None else timeout_s)
        return not self._thread.is_alive()

    def run(self) -> None:
        """Work until stopped. Whatever goes wrong is logged and tried again: a database that is away is waited for."""
        while not self.stopping.is_set():
            try:
                worked = self.work_once()
            except Exception:
                log.exception("trouble", at=self.name)
                worked = False
            if not worked:
                self.stopping.wait(self.pause_s)


def stop_all(loops: Sequence[Loop]) -> None:
    """Tell all to stop before waiting for any."""
    for loop in loops:
        loop.stopping.set()
    for loop in loops:
        if not loop.stop():
            log.warning("stopped_in_the_middle", at=loop.name)


def run_until_told(loops: Sequence[Loop]) -> None:
    """Run until the process is asked to end (SIGTERM, Ctrl-C), then let the work in hand end."""
    told = threading.Event()
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: told.set())
    for loop in loops:
        loop.start()
    told.wait()
    log.info("stopping")
    stop_all(loops)
