"""`python -m bench.desk`: the server's time from the decision key to the next case's page, with a long queue behind it.

On SQLite and PostgreSQL, over the real application without a network: POST of the decision, then GET of the page it
leads to. Cases are the samples under new ids, scored once without photos. Writes docs/desk-speed.md.
"""

import argparse
import itertools
import json
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi.testclient import TestClient

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
from serving.tables import case_versions, cases, suggestions
from tests.postgres import PostgresServer

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "datasets" / "samples" / "cases.jsonl"
_AT_A_TIME = 2_000


def scored_samples() -> list[tuple[Case, Suggestion]]:
    lines = SAMPLES.read_text(encoding="utf-8").splitlines()
    read = [parse_case(json.loads(line)) for line in lines if line]
    suggester = load_suggester(cache_dir=default_cache_dir())
    return list(zip(read, suggester.suggest([CaseFile(case, {}) for case in read]), strict=True))


def fill(house: House, samples: list[tuple[Case, Suggestion]], *, n_cases: int) -> None:
    """Store `n_cases` waiting cases with their suggestions, as intake and worker would leave them."""
    now = datetime.now(UTC)
    ready = [
        (case, _case_row(case, now), case.model_dump_json(), suggestion, suggestion.model_dump_json())
        for case, suggestion in samples
    ]
    drawn = zip(range(1, n_cases + 1), itertools.cycle(ready), strict=False)
    while chunk := list(itertools.islice(drawn, _AT_A_TIME)):
        rows: dict[str, list[dict[str, object]]] = {"cases": [], "versions": [], "suggestions": []}
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
            for table, wanted in ((cases, "cases"), (case_versions, "versions"), (suggestions, "suggestions")):
                connection.execute(table.insert(), rows[wanted])


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


def presses(house: House, *, n_decisions: int) -> Iterator[float]:
    """Decide case after case as the page does; yield milliseconds from the decision key to the next case."""
    client = TestClient(create_app(house.settings, house=house), base_url="http://127.0.0.1")
    user = house.gatekeeper.add_user("bench", role=Role.ARBITRATOR, by="system:bench")
    page = client.get(f"/sign-in?token={house.gatekeeper.make_link(user, by='system:bench')}")
    token = _field(page.text, "csrf_token")
    page = client.post("/next", data={"csrf_token": token, "query": "status=open"})
    for n in range(n_decisions):
        names = ("version", "stage", "suggestion_id", "opened_at", "query")
        form = {name: _field(page.text, name) for name in names}
        form |= {"csrf_token": token, "go_on": "1", "reason": "evidence", "distinguishes": "开箱视频"}
        form["ruling"] = ("refund", "dismiss", "return_and_refund")[n % 3]
        began = time.perf_counter()
        page = client.post(f"{page.url.path}/decision", data=form)
        took = time.perf_counter() - began
        if page.status_code != 200 or "/cases/" not in str(page.url):
            raise RuntimeError(f"the desk didn't go on: {page.status_code} {page.url}")
        yield took * 1000


def _field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    if found is None:
        raise RuntimeError(f"the page has no field {name}")
    return found[1]


def measured(url: str, samples: list[tuple[Case, Suggestion]], *, n_cases: int, n_decisions: int) -> str:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        house = build_house(Settings(database_url=url, photo_dir=Path(folder), blind_share=0))
        fill(house, samples, n_cases=n_cases)
        print(f"{url.split(':')[0]}: {n_cases:,} cases stored", flush=True)
        taken = sorted(presses(house, n_decisions=n_decisions))
        house.store.close()
    kind = url.split(":")[0]
    tail = taken[int(len(taken) * 0.95)]
    row = f"| {kind} | {n_cases:,} | {n_decisions} | {statistics.median(taken):.0f} | {tail:.0f} | {taken[-1]:.0f} |"
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--decisions", type=int, default=100)
    arguments = parser.parse_args()
    configure_logs("error")
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
    text = _PAGE.format(machine=platform.processor() or platform.machine(), day=f"{datetime.now(UTC):%Y-%m-%d}")
    (ROOT / "docs" / "desk-speed.md").write_text(text + "\n".join(rows) + "\n", encoding="utf-8")


_PAGE = """# From the decision key to the next case

Written by `make bench-desk` on {day} ({machine}, 2 cores shared with other work, so read it as an upper bound).
One arbitrator, the whole application in one process, no network: the POST of the decision (decision, notice, audit
trail, hold on the next case) and the GET of the next case's page. The goal: a median under 150 ms with 50,000 cases.
PostgreSQL 15 runs with `fsync` off; SQLite writes through (`synchronous=FULL`).

| database | waiting cases | decisions | median ms | 95th percentile ms | slowest ms |
|---|---:|---:|---:|---:|---:|
"""


if __name__ == "__main__":
    main()
