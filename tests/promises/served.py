"""The service in a process of its own, to be killed, wired as `evidence-review serve` wires it.

Its model reads known words instead of being the shipped one. Processes are forked from one that has imported all of it,
so that fifty of them start in seconds.
"""

import multiprocessing
import os
import socket
import sys
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx

PREFIX = "EVIDENCE_REVIEW_"
_PROCESSES = multiprocessing.get_context("forkserver")


class Served:
    """settings : by name, over the defaults"""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.log = folder / "served.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.settings = {
            "photo_dir": folder / "photos",
            "log_level": "error",
            "requests_per_minute": 10_000_000,
            **settings,
        }
        self.process: ForkServerProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait_s: float = 240) -> None:
        """Start and wait until it answers. Raises TimeoutError."""
        _PROCESSES.set_forkserver_preload(["serving.app", "tests.suggesters", "uvicorn"])
        self.process = _PROCESSES.Process(target=serve, args=(self.port, self.settings, self.log), daemon=True)
        self.process.start()
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and self.process.is_alive():
            try:
                httpx.get(f"{self.url}/health/live", timeout=2)
                return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise TimeoutError(self.log.read_text()[-2000:])

    def kill(self) -> None:
        """End it as a power cut would, as far as a process goes."""
        if self.process is not None:
            self.process.kill()
            self.process.join()


def serve(port: int, settings: dict[str, Any], log: Path) -> None:
    """Serve until killed, whatever goes wrong written to `log`."""
    import uvicorn

    from serving.app import create_app
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
    app = create_app(chosen, house=build_house(chosen, build_suggester()))
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


def in_words(answers: Counter[int]) -> str:
    """Say how often each status was answered."""
    return ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
