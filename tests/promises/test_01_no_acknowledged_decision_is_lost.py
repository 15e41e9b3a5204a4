"""Promise 1: what was acknowledged is there after `kill -9` of service and worker, a hard stop of PostgreSQL, or a cut.

They are killed while requests and scoring run: the service, which scores too, and a worker beside it. What survives is
what the operating system was handed: the machine itself isn't cut off.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION
from serving.audit import Verified
from serving.house import House
from serving.records import Role
from serving.tables import case_versions, cases, decision_events, suggestions
from tests.postgres import PostgresServer
from tests.promises.served import Forked, Served, work
from tests.serving.conftest import headers_of

CASES = "/api/v1/cases"
_LEASE_S = 2
_PATIENCE_S = 300
Headers = dict[str, str]


class Clients:
    """People who file and decide cases until told to stop, and remember what was acknowledged."""

    def __init__(self, url: str, *, service: Headers, arbitrator: Headers, n_threads: int = 4) -> None:
        self.url, self.service, self.arbitrator = url, service, arbitrator
        self.n_threads = n_threads
        self.taken_in: set[str] = set()
        self.decided: set[str] = set()
        self.problems: list[str] = []
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def n_acknowledged(self) -> int:
        return len(self.taken_in) + len(self.decided)

    def start(self, *, label: str) -> None:
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._work, args=(f"{label}-{place}",)) for place in range(self.n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, n_acknowledged: float) -> None:
        """Wait until so many are acknowledged in all."""
        while self.n_acknowledged < n_acknowledged:
            time.sleep(0.02)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self, label: str) -> None:
        number = 0
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while not self._stopping.is_set():
                number += 1
                case_id = f"{label}-{number}"
                try:
                    case = {**EXAMPLE_CASE, "case_id": case_id, "photos": [], "chat": []}
                    answer = client.post(CASES, json=case, headers=self.service)
                    if answer.status_code == 201:
                        self.taken_in.add(case_id)
                        keyed = {**self.arbitrator, "Idempotency-Key": case_id}
                        path = f"{CASES}/taobao/{case_id}/decision"
                        answer = client.post(path, json=EXAMPLE_DECISION, headers=keyed)
                        if answer.status_code == 201:
                            self.decided.add(case_id)
                    if answer.status_code not in (201, 503):
                        self.problems.append(f"{answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError:
                    time.sleep(0.05)


def lost(house: House, clients: Clients) -> tuple[set[str], set[str]]:
    """Return the cases and the decisions that were acknowledged and are not there."""
    with house.store.database.read() as connection:
        kept = set(connection.execute(sa.select(cases.c.case_id)).scalars())
        query = sa.select(cases.c.case_id).join(decision_events, decision_events.c.case_key == cases.c.id)
        decided = set(connection.execute(query).scalars())
    return clients.taken_in - kept, clients.decided - decided


def check_whole(house: House, clients: Clients) -> None:
    """Nothing acknowledged is missing, nothing is half there, the trail verifies."""
    assert lost(house, clients) == (set(), set())
    assert clients.problems == []
    assert isinstance(house.store.verify_audit(), Verified)
    with house.store.database.read() as connection:
        bare = sa.select(cases.c.case_id).where(
            ~sa.exists().where(case_versions.c.case_key == cases.c.id, case_versions.c.version == cases.c.version)
        )
        assert connection.execute(bare).all() == []
        twice = sa.select(decision_events.c.case_key).group_by(decision_events.c.case_key).having(sa.func.count() > 1)
        assert connection.execute(twice).all() == []
        if house.store.database.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


@pytest.fixture
def served(house: House, tmp_path: Path) -> Iterator[Served]:
    service = Served(tmp_path, database_url=house.settings.database_url, job_lease_s=_LEASE_S)
    yield service
    service.kill()


@pytest.fixture
def worker(house: House, tmp_path: Path) -> Iterator[Forked]:
    beside = Forked(tmp_path, work, database_url=house.settings.database_url, job_lease_s=_LEASE_S, worker_poll_s=0.01)
    yield beside
    beside.kill()


def people(house: House, served: Served) -> Clients:
    return Clients(served.url, service=headers_of(house, Role.SERVICE), arbitrator=headers_of(house, Role.ARBITRATOR))


def kill_rounds(house: House, served: Served, worker: Forked, *, rounds: int, acknowledged: int) -> Clients:
    """Kill service and worker `rounds` times each while people work, until that much was acknowledged in all."""
    rng, clients = random.Random(1), people(house, served)
    for number in range(rounds):
        worker.start()
        served.start()
        clients.start(label=f"round-{number}")
        clients.wait_for(acknowledged * (number + 0.5) / rounds)
        assert worker.is_alive
        worker.kill()
        worker.start()
        clients.wait_for(acknowledged * (number + 1) / rounds)
        time.sleep(rng.uniform(0, 0.05))
        served.kill()
        clients.stop()
        worker.kill()
        assert lost(house, clients) == (set(), set())
    return clients


def score_the_rest(house: House, worker: Forked) -> int:
    """Let the worker score what waits; return how many suggestions were stored, one a case and version at most."""
    worker.start()
    deadline = time.monotonic() + _PATIENCE_S
    while house.store.score_queue.count_open():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker.kill()
    with house.store.database.read() as connection:
        waiting = sa.select(cases.c.case_id).where(cases.c.suggestion_state == "pending")
        assert connection.execute(waiting).all() == []
        each = sa.select(suggestions.c.case_key, suggestions.c.version)
        kept = connection.execute(each).all()
    assert len(kept) == len(set(kept))
    return len(kept)


def test_nothing_acknowledged_is_lost_to_a_killed_service_and_worker(
    house: House, served: Served, worker: Forked
) -> None:
    clients = kill_rounds(house, served, worker, rounds=2, acknowledged=40)
    check_whole(house, clients)
    assert score_the_rest(house, worker) > 0


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_nothing_acknowledged_is_lost_to_a_postgresql_stopped_hard(
    house: House, served: Served, postgres: PostgresServer
) -> None:
    check_whole(house, stop_rounds(house, served, postgres, rounds=1, acknowledged=20))


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_nothing_acknowledged_is_lost_to_connections_cut_under_load(
    house: House, served: Served, database_url: str
) -> None:
    check_whole(house, cut_rounds(house, served, database_url, rounds=3, acknowledged=30))


def cut_rounds(house: House, served: Served, database_url: str, *, rounds: int, acknowledged: int) -> Clients:
    """Cut every connection to the database `rounds` times, in the middle of whatever it does."""
    clients = people(house, served)
    served.start()
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    for number in range(rounds):
        clients.start(label=f"cut-{number}")
        clients.wait_for(acknowledged * (number + 1) / rounds)
        with engine.connect() as connection:
            n_cut = connection.execute(
                sa.text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).scalar_one()
        assert n_cut > 0
        clients.wait_for(clients.n_acknowledged + 1)
        clients.stop()
    engine.dispose()
    house.store.close()
    return clients


def stop_rounds(house: House, served: Served, postgres: PostgresServer, *, rounds: int, acknowledged: int) -> Clients:
    """Stop PostgreSQL in immediate mode `rounds` times under a running service, which goes on by itself."""
    clients = people(house, served)
    served.start()
    for number in range(rounds):
        clients.start(label=f"stop-{number}")
        clients.wait_for(acknowledged * (number + 1) / rounds)
        postgres.stop(mode="immediate")
        away = httpx.get(f"{served.url}/api/v1/health/ready", timeout=20)
        refused = httpx.get(f"{served.url}{CASES}", headers=clients.arbitrator, timeout=20)
        postgres.start()
        clients.wait_for(clients.n_acknowledged + 1)
        clients.stop()
        assert (away.status_code, refused.status_code) == (503, 503)
        assert "retry-after" in refused.headers
        house.store.close()
    return clients


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_fifty_kills_and_ten_thousand_acknowledgements(
    house: House, served: Served, worker: Forked, measured: Callable[[str], None]
) -> None:
    clients = kill_rounds(house, served, worker, rounds=50, acknowledged=10_000)
    check_whole(house, clients)
    n_suggestions = score_the_rest(house, worker)
    measured(
        f"SQLite: kill -9 of the service 50 times and of a worker beside it 100 times, {clients.n_acknowledged} "
        f"acknowledgements ({len(clients.decided)} of them decisions), 0 missing, integrity check clean, "
        f"{n_suggestions} suggestions, none twice and no case left waiting"
    )


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_fifty_hard_stops_of_postgresql_and_ten_thousand_acknowledgements(
    house: House, served: Served, postgres: PostgresServer, measured: Callable[[str], None]
) -> None:
    clients = stop_rounds(house, served, postgres, rounds=50, acknowledged=10_000)
    check_whole(house, clients)
    measured(
        f"PostgreSQL 15: stopped 50 times in immediate mode under load, {clients.n_acknowledged} acknowledgements, "
        "0 missing; 503 with Retry-After meanwhile, and on by itself"
    )


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_fifty_cuts_of_every_connection(
    house: House, served: Served, database_url: str, measured: Callable[[str], None]
) -> None:
    clients = cut_rounds(house, served, database_url, rounds=50, acknowledged=5_000)
    check_whole(house, clients)
    measured(f"all its connections cut 50 times under load, {clients.n_acknowledged} acknowledgements, 0 missing")
