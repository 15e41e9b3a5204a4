"""The service and a worker in processes of their own, to be killed, wired as `serve` and `worker` wire them.

Their model reads known words instead of being the shipped one. Processes are forked from one that has imported all of
it, so that fifty of them start in seconds.
"""

import multiprocessing
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from serving.house import House

PREFIX = "EVIDENCE_REVIEW_"
_PROCESSES = multiprocessing.get_context("forkserver")


class Forked:
    """A process that runs `target` until killed. settings : by name, over the defaults"""

    def __init__(self, folder: Path, target: Callable[..., None], **settings: object) -> None:
        self.log = folder / f"{target.__name__}.log"
        self.target = target
        self.settings = {
            "photo_dir": folder / "photos",
            "log_level": "error",
            "requests_per_minute": 10_000_000,
            **settings,
        }
        self.process: ForkServerProcess | None = None

    def start(self) -> None:
        _PROCESSES.set_forkserver_preload(["serving.app", "tests.suggesters", "uvicorn"])
        self.process = _PROCESSES.Process(target=self.target, args=(self.settings, self.log), daemon=True)
        self.process.start()

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def kill(self) -> None:
        """End it as a power cut would, as far as a process goes."""
        if self.process is not None:
            self.process.kill()
            self.process.join()


class Served(Forked):
    """The service, on a free port."""

    def __init__(self, folder: Path, **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        super().__init__(folder, serve, port=port, **settings)
        self.url = f"http://127.0.0.1:{port}"

    def start(self, *, wait_s: float = 240) -> None:
        """Start and wait until it answers. Raises TimeoutError."""
        super().start()
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and self.is_alive:
            try:
                httpx.get(f"{self.url}/health/live", timeout=2)
                return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise TimeoutError(self.log.read_text()[-2000:])


def serve(settings: dict[str, Any], log: Path) -> None:
    """Serve until killed, whatever goes wrong written to `log`."""
    import uvicorn

    from serving.app import create_app

    house = _wired(settings, log)
    app = create_app(house.settings, house=house)
    uvicorn.run(app, host="127.0.0.1", port=house.settings.port, log_config=None, access_log=False)


def work(settings: dict[str, Any], log: Path) -> None:
    """Score waiting cases until killed."""
    from serving.loop import run_until_told

    run_until_told([_wired(settings, log).worker()])


def _wired(settings: dict[str, Any], log: Path) -> "House":
    from serving.house import build_house
    from serving.logs import configure_logs
    from serving.settings import Settings
    from tests.suggesters import build_suggester

    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(written, stream.fileno())
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    chosen = Settings(**settings)
    configure_logs(chosen.log_level)
    return build_house(chosen, build_suggester())


def in_words(answers: Counter[int]) -> str:
    """Say how often each status was answered."""
    return ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
