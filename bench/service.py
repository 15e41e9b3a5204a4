"""The service under load: `evidence-review serve` and `mlflow models serve` with the same model behind it.

Each runs in a process of its own on a free port and is stopped by its id. Knows nothing of scoring.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.backlogs import ROOT, case_content

_START_S = 180.0
_ANSWER_S = 300.0

Ask = Callable[[int], None]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], *, url: str, environment: dict[str, str], log: Path) -> Iterator[float]:
    """Run a server until left; yield the seconds from its start until `url` answered."""
    started = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=said, stderr=said)
        try:
            while True:
                if process.poll() is not None or time.monotonic() - started > _START_S:
                    raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-2_000:]}")
                try:
                    with urllib.request.urlopen(url, timeout=5):  # noqa: S310  our own server
                        break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.1)
            yield time.monotonic() - started
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def review_service(folder: Path) -> Iterator[tuple[Ask, float]]:
    """Run our service; yield (ask for one suggestion, seconds until it was ready)."""
    from serving.house import build_house
    from serving.records import Role
    from serving.settings import Settings

    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder}/review.db"
    house = build_house(Settings(database_url=url, photo_dir=folder / "photos"))
    user = house.gatekeeper.add_user("bench", role=Role.SERVICE, by="system:bench")
    token = house.gatekeeper.make_token(user, label="bench", by="system:bench")
    house.store.close()
    port = free_port()
    environment = {
        "EVIDENCE_REVIEW_DATABASE_URL": url,
        "EVIDENCE_REVIEW_PHOTO_DIR": str(folder / "photos"),
        "EVIDENCE_REVIEW_REQUESTS_PER_MINUTE": "1000000",
        "EVIDENCE_REVIEW_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-c", "from serving.cli import app; app()", "serve", "--port", str(port)]

    def ask(number: int) -> None:
        body = json.dumps(case_content(number, n_photos=0)).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        _post(f"http://127.0.0.1:{port}/api/v1/suggestions", body, headers)

    with running(
        command, url=f"http://127.0.0.1:{port}/health/live", environment=environment, log=folder / "serve.log"
    ) as ready_s:
        yield ask, ready_s


@contextmanager
def mlflow_service(folder: Path) -> Iterator[tuple[Ask, float]]:
    """Run MLflow's server with the same model behind it; yield (ask for one suggestion, seconds until it was ready)."""
    import mlflow

    model = folder / "model"
    mlflow.pyfunc.save_model(str(model), python_model=str(Path(__file__).with_name("mlflow_model.py")))
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model), "--port", str(port)]
    command += ["--env-manager", "local", "--workers", "1"]

    def ask(number: int) -> None:
        cases = [json.dumps(case_content(number, n_photos=0), ensure_ascii=False)]
        body = json.dumps({"dataframe_split": {"columns": ["case"], "data": [cases]}}).encode()
        _post(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})

    # MLflow calls uvicorn by name.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    environment = {"PATH": path, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with running(
        command, url=f"http://127.0.0.1:{port}/ping", environment=environment, log=folder / "mlflow.log"
    ) as ready_s:
        yield ask, ready_s


def latencies(ask: Ask, *, n_clients: int, n_requests: int, start: int) -> dict[str, float]:
    """Return p50 and p99 in milliseconds and answers a second, each client asking again as soon as it is answered."""

    def timed(number: int) -> float:
        began = time.perf_counter()
        ask(number)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as clients:
        found = sorted(clients.map(timed, range(start, start + n_requests)))
    whole = time.perf_counter() - began
    return {
        "n": n_requests,
        "p50_ms": 1000 * statistics.median(found),
        "p99_ms": 1000 * found[min(len(found) - 1, int(0.99 * len(found)))],
        "per_s": n_requests / whole,
    }


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    request = urllib.request.Request(url, body, headers)  # noqa: S310  our own server
    with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
        answer.read()
