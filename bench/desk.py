"""`python -m bench.desk`: the server's time from the decision key to the next case's page, with a long queue behind it.

On SQLite and PostgreSQL, over the real application without a network: POST of the decision, then GET of the page it
leads to. Cases are the samples with their photos under new ids, scored once. Writes docs/desk-speed.md down to the
export.
"""

import argparse
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from bench.desk_store import EXPORTS, PAGE, fill, new_databases, scored_samples
from bench.speed import machine
from models.case_file import CaseFile
from models.domain import Suggestion
from serving.app import create_app
from serving.house import House, build_house
from serving.logs import configure_logs
from serving.records import Role
from serving.settings import Settings

AIM_MS = 150


@dataclass(frozen=True)
class Press:
    """A decision and the page of the next case. wall_ms, cpu_ms : of client and server together, milliseconds"""

    wall_ms: float
    cpu_ms: float


def presses(house: House, *, n_decisions: int) -> Iterator[Press]:
    """Decide case after case as the page does; yield what each cost from the decision key to the next case."""
    with TestClient(create_app(house.settings, house=house), base_url="http://127.0.0.1") as client:
        user = house.gatekeeper.add_user("bench", role=Role.ARBITRATOR, by="system:bench")
        page = client.get(f"/sign-in?token={house.gatekeeper.make_link(user, by='system:bench')}")
        token = _field(page.text, "csrf_token")
        page = client.post("/next", data={"csrf_token": token, "query": "status=open"})
        for n in range(n_decisions):
            names = ("version", "stage", "suggestion_id", "opened_at", "query")
            form = {name: _field(page.text, name) for name in names}
            form |= {"csrf_token": token, "go_on": "1", "reason": "evidence", "distinguishes": "开箱视频"}
            form["ruling"] = ("refund", "dismiss", "return_and_refund")[n % 3]
            wall, cpu = time.perf_counter(), time.process_time()
            page = client.post(f"{page.url.path}/decision", data=form)
            pressed = Press(1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu))
            if page.status_code != 200 or "/cases/" not in str(page.url):
                raise RuntimeError(f"the desk didn't go on: {page.status_code} {page.url}")
            yield pressed


def _field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    if found is None:
        raise RuntimeError(f"the page has no field {name}")
    return found[1]


def measured(url: str, samples: list[tuple[CaseFile, Suggestion]], *, n_cases: int, n_decisions: int) -> str:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        house = build_house(
            Settings(database_url=url, photo_dir=Path(folder), blind_share=0, requests_per_minute=100_000)
        )
        fill(house, samples, n_cases=n_cases)
        print(f"{url.split(':')[0]}: {n_cases:,} cases stored", flush=True)
        row = table_row(url.split(":")[0], list(presses(house, n_decisions=n_decisions)), n_cases=n_cases)
        house.store.close()
    print(row, end="", flush=True)
    return row


def table_row(database: str, pressed: Sequence[Press], *, n_cases: int) -> str:
    wall = sorted(one.wall_ms for one in pressed)
    cells = (
        database,
        f"{n_cases:,}",
        f"{len(wall)}",
        f"{statistics.median(wall):.0f}",
        f"{wall[int(len(wall) * 0.95)]:.0f}",
        f"{wall[-1]:.0f}",
        f"{statistics.median(one.cpu_ms for one in pressed):.0f}",
        "yes" if statistics.median(wall) < AIM_MS else "**no**",
    )
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--decisions", type=int, default=200)
    arguments = parser.parse_args()
    configure_logs("error")
    told = machine()
    samples = scored_samples()
    with new_databases() as databases:
        rows = [
            measured(url, samples, n_cases=arguments.cases, n_decisions=arguments.decisions)
            for url in databases.values()
        ]
    text = _PAGE.format(**told, aim=AIM_MS, load_at_end=os.getloadavg()[0], rows="".join(rows))
    _, mark, exports = PAGE.read_text(encoding="utf-8").partition(EXPORTS)
    PAGE.write_text(text + mark + exports, encoding="utf-8")


_PAGE = """# From the decision key to the next case

Written by `make bench-desk` on {measured_at}. Machine: {cpu}, {cores} cores, {memory_gb} GB, Python {python}. The
load average was {load_at_start:.1f} at the start and {load_at_end:.1f} at the end: where that is over the cores, **wall
times are those of a machine with other work on it**, and only the CPU time tells of this program.

One arbitrator, the whole application in one process, no network: the POST of the decision (decision, notice, audit
trail, hold on the next case) and the GET of the next case's page. CPU time is that of client and server together,
without the database server's. Cases have their photos and suggestions on file; every claim meets comparable rulings as
soon as some are decided. PostgreSQL 15 runs with `fsync` off, after the `ANALYZE` that its autovacuum makes by itself
within a minute of such an intake; SQLite writes through (`synchronous=FULL`).

The goal: a median under {aim} ms.

| database | waiting cases | decisions | median ms | 95th percentile ms | slowest ms | median CPU ms | reached |
|---|---:|---:|---:|---:|---:|---:|---|
{rows}
"""


if __name__ == "__main__":
    main()
