"""Told to stop (SIGTERM), a process ends what it has in hand, or gives it back, and leaves with 0."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from serving.api.documents import EXAMPLE_CASE
from serving.house import House
from serving.records import CaseKey, Role
from serving.settings import PREFIX
from serving.tables import jobs
from tests.builders import build_case
from tests.serving.conftest import headers_of, user_of

ROOT = Path(__file__).parents[2]
KEY = CaseKey(build_case().platform, "TB-1")
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(house: House) -> Iterator[Start]:
    """Start a slow worker or service on the house's database."""
    started: list[subprocess.Popen[bytes]] = []
    chosen = {"DATABASE_URL": house.settings.database_url, "PHOTO_DIR": house.settings.photo_dir, "REGISTRY_URI": ""}
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment = {**own, "PYTHONPATH": str(ROOT), **{PREFIX + name: str(value) for name, value in chosen.items()}}

    def begin(what: str, *, takes_s: float, stop_s: float = 60, port: int = 0) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.serving.slow_service", what, str(takes_s), str(stop_s), str(port)]
        started.append(subprocess.Popen(command, cwd=house.settings.photo_dir.parent, env=environment))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def wait_for(found: Callable[[], bool], *, at_most_s: float = 120) -> None:
    deadline = time.monotonic() + at_most_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def job_of(house: House) -> tuple[str, int]:
    with house.store.database.read() as connection:
        row = connection.execute(sa.select(jobs.c.state, jobs.c.attempts)).one()
    return row.state, row.attempts


@pytest.mark.parametrize(
    ("takes_s", "stop_s", "left"), [(2.0, 60.0, ("done", 1)), (300.0, 0.2, ("waiting", 0))], ids=["short", "long"]
)
def test_a_worker_ends_a_short_job_and_gives_a_long_one_back(
    house: House, start: Start, takes_s: float, stop_s: float, left: tuple[str, int]
) -> None:
    house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
    worker = start("worker", takes_s=takes_s, stop_s=stop_s)
    wait_for(lambda: job_of(house)[0] == "leased")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert job_of(house) == left
    assert house.store.view(KEY).suggestion_state == ("ready" if left[0] == "done" else "pending")


def test_a_service_answers_the_request_under_way_and_takes_no_other(house: House, start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, service = f"http://127.0.0.1:{port}", headers_of(house, Role.SERVICE)
    process = start("serve", takes_s=2.0, port=port)
    wait_for(lambda: _answers(url))
    answers: list[httpx.Response] = []
    body = {**EXAMPLE_CASE, "photos": [], "chat": []}
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/api/v1/suggestions", json=body, headers=service, timeout=60))
    )
    asking.start()
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: not _answers(url))
    asking.join()
    assert process.wait(60) in (0, -signal.SIGTERM)  # uvicorn ends by the signal that it was sent
    assert (answers[0].status_code, answers[0].json()["case_id"]) == (200, EXAMPLE_CASE["case_id"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
