"""`python -m bench.desk`: the server's time from the decision key to the next case's page, with a long queue behind it.

On SQLite and PostgreSQL, over the real application without a network: POST of the decision, then GET of the page it
leads to. Cases are the samples with their photos under new ids, scored once. Writes docs/desk-speed.md.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient

from bench.speed import machine
from models.case_file import CaseFile
from models.domain import Case, Suggestion, parse_case
from models.encoders import default_cache_dir
from models.registry import load_suggester
from serving.app import create_app
from serving.house import House, build_house
from serving.logs import configure_logs
from serving.records import Role
from serving.settings import Settings
from serving.store import order, precedents
from serving.store.cases import keep_photo
from serving.tables import case_photos, case_versions, cases, suggestions
from tests.postgres import PostgresServer

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "datasets" / "samples" / "cases.jsonl"
_AT_A_TIME = 2_000
AIM_MS = 150
_PARTS = (
    (cases, "cases"),
    (case_versions, "versions"),
    (case_photos, "photos"),
    (suggestions, "suggestions"),
)


@dataclass(frozen=True)
class Press:
    """A decision and the page of the next case. wall_ms, cpu_ms : of client and server together, milliseconds"""

    wall_ms: float
    cpu_ms: float


def scored_samples() -> list[tuple[CaseFile, Suggestion]]:
    lines = SAMPLES.read_text(encoding="utf-8").splitlines()
    read = [_file_of(parse_case(json.loads(line))) for line in lines if line]
    suggester = load_suggester(cache_dir=default_cache_dir())
    return list(zip(read, suggester.suggest(read), strict=True))


def _file_of(case: Case) -> CaseFile:
    found = {photo.photo_id: SAMPLES.parent / (photo.path or "") for photo in case.photos}
    return CaseFile(case, {photo_id: path.read_bytes() for photo_id, path in found.items() if path.is_file()})


def fill(house: House, samples: list[tuple[CaseFile, Suggestion]], *, n_cases: int) -> None:
    """Store `n_cases` waiting cases with their photos and suggestions, as intake and worker would leave them."""
    now = datetime.now(UTC)
    digests = {file.case.case_id: _keep_photos(house, file, at=now) for file, _ in samples}
    ready = [
        (file.case, _case_row(file.case, now), file.case.model_dump_json(), suggestion, suggestion.model_dump_json())
        for file, suggestion in samples
    ]
    drawn = zip(range(1, n_cases + 1), itertools.cycle(ready), strict=False)
    while chunk := list(itertools.islice(drawn, _AT_A_TIME)):
        rows: dict[str, list[dict[str, object]]] = {"cases": [], "versions": [], "photos": [], "suggestions": []}
        for key, (case, row, payload, suggestion, suggested) in chunk:
            name, shift = f"B-{key}", key % 20_000
            rows["cases"].append(
                {
                    **row,
                    "id": key,
                    "case_id": name,
                    "opened_at": case.opened_at + timedelta(minutes=shift),
                    "priority": float(str(row["priority"])) + shift / 1440,
                }
            )
            rows["versions"].append(
                {
                    "case_key": key,
                    "version": 1,
                    "payload": payload.replace(case.case_id, name),
                    "content_digest": f"sha256:{key}",
                    "created_by": "bench",
                    "created_at": now,
                }
            )
            rows["photos"] += [
                {"case_key": key, "version": 1, "photo_id": photo_id, "digest": digest}
                for photo_id, digest in digests[case.case_id].items()
            ]
            rows["suggestions"].append(
                {
                    "case_key": key,
                    "version": 1,
                    "suggestion_id": suggestion.suggestion_id,
                    "model_version": suggestion.model_version,
                    "ruling": suggestion.ruling,
                    "confidence": suggestion.confidence,
                    "payload": suggested.replace(case.case_id, name),
                    "created_at": now,
                }
            )
        with house.store.database.write() as connection:
            for table, wanted in _PARTS:
                if rows[wanted]:
                    connection.execute(table.insert(), rows[wanted])
    if not house.store.database.is_sqlite:
        with house.store.database.alter() as connection:
            connection.exec_driver_sql("ANALYZE")


def _keep_photos(house: House, file: CaseFile, *, at: datetime) -> dict[str, str]:
    """Keep a sample's photos once; return their digests by photo_id."""
    kept = {photo_id: house.photo_intake.keep(data) for photo_id, data in file.photos.items()}
    with house.store.database.write() as connection:
        for photo in kept.values():
            keep_photo(connection, photo, at=at)
    return {photo_id: photo.digest for photo_id, photo in kept.items()}


def _case_row(case: Case, now: datetime) -> dict[str, object]:
    return {
        "platform": case.platform.value,
        "claim": case.claim.value,
        "requested": case.requested,
        "paid_minor": min(case.order.paid_minor, 400_000),
        "currency": case.order.currency,
        "title": case.listing.title,
        "status": "open",
        "version": 1,
        "suggestion_state": "ready",
        "created_at": now,
        "updated_at": now,
        **order.standing(case, at=now),
        **precedents.facts_of(case),
    }


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
    print(row, flush=True)
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
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--decisions", type=int, default=200)
    arguments = parser.parse_args()
    configure_logs("error")
    told = machine()
    samples = scored_samples()
    with tempfile.TemporaryDirectory() as folder:
        sqlite = f"sqlite:///{folder}/review.db"
        rows = [measured(sqlite, samples, n_cases=arguments.cases, n_decisions=arguments.decisions)]
    server = PostgresServer()
    server.start()
    try:
        postgres = server.url(server.new_database())
        rows.append(measured(postgres, samples, n_cases=arguments.cases, n_decisions=arguments.decisions))
    finally:
        server.remove()
    text = _PAGE.format(**told, aim=AIM_MS, load_at_end=os.getloadavg()[0])
    (ROOT / "docs" / "desk-speed.md").write_text(text + "\n".join(rows) + "\n", encoding="utf-8")


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
"""


if __name__ == "__main__":
    main()
