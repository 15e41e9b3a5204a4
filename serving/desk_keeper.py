"""The desk's clockwork: a thread that sends notices after their undo window and reopens cases whose deadline passed.

Any number of processes may run one. Knows nothing of HTTP.
"""

import threading

import structlog

from serving.store import Store

log = structlog.get_logger(__name__)


class DeskKeeper:
    """pause_s : pause between two looks at the clock, seconds"""

    def __init__(self, store: Store, *, pause_s: float) -> None:
        self.store = store
        self.pause_s = pause_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="desk-keeper", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float = 10) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Work until stopped. A database that doesn't answer is waited for."""
        while not self._stopping.wait(self.pause_s):
            try:
                self.store.desk.keep_up()
            except Exception:
                log.exception("desk_keeper_trouble")
