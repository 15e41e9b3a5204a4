"""A store filled for the desk's measurements: the samples, scored once, under new ids; waiting or decided.

Rows are as intake, worker and desk leave them. Measures nothing.
"""

import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bench.backlogs import ROOT
from models.case_file import CaseFile
from models.domain import Case, Decision, Suggestion, parse_case
from models.encoders import default_cache_dir
from models.registry import load_suggester
from models.vocabulary import Stage
from serving.house import House
from serving.records import User
from serving.store import order, precedents
from serving.store.cases import keep_photo
from serving.tables import case_photos, case_versions, cases, decision_events, suggestions
from tests.postgres import PostgresServer

SAMPLES = ROOT / "datasets" / "samples" / "cases.jsonl"
PAGE = ROOT / "docs" / "desk-speed.md"
EXPORTS = "## The export of every decision\n"
"""Where that page's second part begins; each part is measured and written by itself."""
_AT_A_TIME = 2_000
_PARTS = (
    (cases, "cases"),
    (case_versions, "versions"),
    (case_photos, "photos"),
    (suggestions, "suggestions"),
)


@contextmanager
def new_databases() -> Iterator[dict[str, str]]:
    """Yield the addresses of an empty SQLite database and of one on a PostgreSQL server of its own."""
    server = PostgresServer()
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield {"sqlite": f"sqlite:///{folder}/review.db", "postgresql": server.url(server.new_database())}
    finally:
        server.remove()


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
        (file.case, case_row(file.case, now), file.case.model_dump_json(), suggestion, suggestion.model_dump_json())
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


def case_row(case: Case, now: datetime) -> dict[str, object]:
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


def fill_decisions(
    house: House, samples: list[tuple[CaseFile, Suggestion]], *, by: User, first: int, n_rows: int
) -> None:
    """Store `n_rows` decided cases under ids from `first` on, each with one decision."""
    now = datetime.now(UTC)
    drawn = zip(range(first, first + n_rows), itertools.cycle(samples), strict=False)
    while chunk := list(itertools.islice(drawn, _AT_A_TIME)):
        case_rows, decision_rows = [], []
        for key, (file, suggestion) in chunk:
            case_rows.append(
                {
                    **case_row(file.case, now),
                    "id": key,
                    "case_id": f"X-{key}",
                    "opened_at": file.case.opened_at,
                    "status": "decided",
                    "ruling": suggestion.likeliest.value,
                }
            )
            decision_rows.append(
                {
                    "event_id": f"x-{key}",
                    "case_key": key,
                    "version": 1,
                    "kind": "decision",
                    "stage": Stage.FIRST_REVIEW.value,
                    "turn": 0,
                    "is_end": False,
                    "by_user": by.user_key,
                    "at": now,
                    "payload": _decision(f"X-{key}", file, suggestion, by=by, at=now).model_dump_json(),
                }
            )
        with house.store.database.write() as connection:
            connection.execute(cases.insert(), case_rows)
            connection.execute(decision_events.insert(), decision_rows)


def _decision(case_id: str, file: CaseFile, suggestion: Suggestion, *, by: User, at: datetime) -> Decision:
    return Decision(
        decision_id=f"d-{case_id}",
        case_id=case_id,
        platform=file.case.platform,
        case_version=1,
        stage=Stage.FIRST_REVIEW,
        ruling=suggestion.likeliest,
        responsible=suggestion.responsible,
        remedy=suggestion.remedy,
        reason=f"证据足以认定\n{file.case.buyer_statement[:80]} 13800138000",
        decided_by=by.name,
        decided_at=at,
        suggestion_id=suggestion.suggestion_id,
        suggestion_shown=True,
        agreed=True,
        model_version=suggestion.model_version,
        input_digest=suggestion.input_digest,
        review_seconds=41.5,
    )
