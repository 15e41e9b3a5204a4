"""The service in a process of its own, to be killed: `python -m tests.promises.served PORT`, settings by environment.

It runs as `evidence-review serve` does, with a model that reads known words instead of the shipped one.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
PREFIX = "EVIDENCE_REVIEW_"


class Served:
    """settings : by name, over the defaults"""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        chosen = {"photo_dir": folder / "photos", "log_level": "error", "requests_per_minute": 10_000_000, **settings}
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = {
            **own,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            **{PREFIX + name.upper(): str(value) for name, value in chosen.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait_s: float = 240) -> None:
        """Start and wait until it answers. Raises TimeoutError."""
        with (self.folder / "served.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.promises.served", str(self.port)],
                cwd=ROOT, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{self.url}/health/live", timeout=2)
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError((self.folder / "served.log").read_text()[-2000:])

    def kill(self) -> None:
        """End it as a power cut would, as far as a process goes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def main(port: int) -> None:
    import uvicorn

    from serving.app import create_app
    from serving.house import build_house
    from serving.logs import configure_logs
    from serving.settings import Settings
    from tests.suggesters import build_suggester

    settings = Settings()
    configure_logs(settings.log_level)
    app = create_app(settings, house=build_house(settings, build_suggester()))
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
