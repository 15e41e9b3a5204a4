"""Backlogs for tests, and the Suggesters that worker processes load by name."""

import json
import os
import signal
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from models.case_file import CaseFile
from models.domain import Suggestion, parse_case
from models.evidence import CaseEvidence
from models.scorer import Scorer
from models.suggester import Suggester
from serving.backlog.reading import Entry, Place, read_entries
from serving.backlog.sources import find_sources
from tests.builders import build_case, hours
from tests.suggesters import KnownScorer, build_suggester

KILLS, RAISES, SLOW = "kills its worker", "raises", "slow"
SLOW_S = 0.1


class DeadlyScorer(KnownScorer):
    """Does what a case's own words say: ends its process, raises, or takes its time."""

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]:
        for file in files:
            if file.case.buyer_statement == KILLS:
                os.kill(os.getpid(), signal.SIGKILL)
            if file.case.buyer_statement == RAISES:
                raise RuntimeError("no way to score this")
            if file.case.buyer_statement == SLOW:
                time.sleep(SLOW_S)
        return super().score(files)


class RememberingSuggester(Suggester):
    """Scores a case file once: tests that run one backlog a hundred times are about the run."""

    known: dict[str, Suggestion]

    def suggest(
        self, files: Sequence[CaseFile], *, scorer: Scorer | None = None, now: datetime | None = None
    ) -> list[Suggestion]:
        keys = [f"{now} {file.case!r} {file.photos!r}" for file in files]
        new = {key: file for key, file in zip(keys, files, strict=True) if key not in self.known}
        self.known.update(zip(new, super().suggest(list(new.values()), scorer=scorer, now=now), strict=True))
        return [self.known[key] for key in keys]


def load_deadly() -> Suggester:
    like = build_suggester()
    suggester = RememberingSuggester(
        scorer=DeadlyScorer(), ruling=like.ruling, rule_book=like.rule_book, model_version=like.model_version
    )
    suggester.known = {}
    return suggester


def load_nothing() -> Suggester:
    raise RuntimeError("the weights are gone")


def load_and_die() -> Suggester:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def case_content(number: int, **changes: Any) -> dict[str, Any]:
    """Return a case as it stands in a backlog; claims, words and ages vary with `number`."""
    words = ("碎了", "arrived broken", "没包好是我们的错", "我自己摔的")[number % 4]
    case = build_case(
        **{
            "case_id": f"TB-{number}",
            "claim": ("damaged", "not_received", "quality_defect")[number % 3],
            "opened_at": hours(200 + (number * 37) % 50),
            "chat": [
                {"message_id": "m1", "at": hours(50), "speaker": ("buyer", "seller")[number // 2 % 2], "text": words}
            ],
            **changes,
        }
    )
    content: dict[str, Any] = case.model_dump(mode="json")
    return content


def write_lines(path: Path, rows: Iterable[dict[str, Any] | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def write_parquet(path: Path, contents: list[dict[str, Any]], *, row_group_size: int = 1_000) -> Path:
    """Write cases nested as in JSON; a struct without any key has no place in Parquet and becomes null."""
    table = pa.Table.from_pylist([_without_empty(content) for content in contents])
    parquet.write_table(table, path, row_group_size=row_group_size)
    return path


def _without_empty(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_empty(value) for key, value in content.items()} or None
    return [_without_empty(value) for value in content] if isinstance(content, list) else content


def case_file(content: dict[str, Any], photos: dict[str, bytes] | None = None) -> CaseFile:
    return CaseFile(parse_case(content), photos or {})


def suggestion_rows(out: Path) -> list[dict[str, Any]]:
    """Return every row of every part, in order."""
    rows: list[dict[str, Any]] = []
    for path in sorted((out / "suggestions").glob("part-*.parquet")):
        with parquet.ParquetFile(path) as file:
            rows += file.read().to_pylist()
    return rows


def refused_rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "refused.jsonl").read_text(encoding="utf-8").splitlines()]


def results(out: Path) -> dict[str, Any]:
    """Return all that a run is answerable for, without what its clock says and who died on the way."""
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    del summary["throughput"], summary["workers_lost"]
    with parquet.ParquetFile(out / "triage.parquet") as file:
        triage = file.read().to_pylist()
    return {"rows": suggestion_rows(out), "refused": refused_rows(out), "triage": triage, "summary": summary}


def entries_of(backlog: Path, *, start: Place | None = None, max_line_bytes: int = 8_000_000) -> list[Entry]:
    sources = find_sources(str(backlog), out=backlog.parent / "out")
    return list(read_entries(sources, start=start, max_line_bytes=max_line_bytes))
