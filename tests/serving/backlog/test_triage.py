"""Triage and summary: safest first, most urgent first, and counts that add up."""

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from models.domain import parse_case
from serving.backlog.pool import PoolEngine
from serving.backlog.run import score_backlog
from serving.backlog.summary import Summary
from serving.backlog.waiting import hand_back, take_snapshot
from serving.house import House
from serving.records import CaseStatus, QueueFilter, Role
from tests.serving.backlog.backlogs import RAISES, case_content, suggestion_rows, write_lines
from tests.serving.conftest import user_of


@pytest.fixture
def finished(tmp_path: Path, pool: PoolEngine) -> tuple[Summary, Path]:
    rows: list[Any] = [case_content(number) for number in range(40)]
    rows += ["not json", rows[3], case_content(50, buyer_statement=RAISES)]
    # Nothing at all is known of this one: no suggestion.
    rows.append(case_content(51, chat=[]))
    backlog = write_lines(tmp_path / "cases.jsonl", rows)
    return score_backlog(str(backlog), out=tmp_path / "out", engine=pool), tmp_path / "out"


def test_the_safest_stand_first_and_among_them_the_longest_waiting(finished: tuple[Summary, Path]) -> None:
    with parquet.ParquetFile(finished[1] / "triage.parquet") as file:
        triage = file.read().to_pylist()
    assert len(triage) == 41
    assert [row["rank"] for row in triage] == list(range(1, 42))
    keys = [(row["abstained"], row["n_in_set"], row["opened_at"], -row["confidence"]) for row in triage]
    assert keys == sorted(keys)
    assert len({key[:2] for key in keys}) >= 3, "the example shows several degrees of safety"
    by_urgency = sorted(triage, key=lambda row: row["urgency_rank"])
    assert [row["urgency_rank"] for row in by_urgency] == list(range(1, 42))
    assert [row["case_id"] for row in by_urgency] != [row["case_id"] for row in triage]


def test_the_most_urgent_stand_first_by_the_order_of_the_desk(house: House, tmp_path: Path, pool: PoolEngine) -> None:
    rng = random.Random(3)
    contents = [case_content(number) for number in range(30)]
    for content in contents:
        content["order"]["paid_minor"] = rng.choice((900, 5_900, 89_900))
        opened_at = datetime.fromisoformat(content["opened_at"])
        content["opened_at"] = (opened_at + timedelta(hours=rng.randint(0, 90))).isoformat()
    clerk = user_of(house, Role.SERVICE)
    for content in contents:
        house.store.take_in(parse_case(content), by=clerk)
    out = tmp_path / "out"
    snapshot = take_snapshot(house.store, out=out)
    score_backlog(str(snapshot), out=out, engine=pool, photos_dir=house.settings.photo_dir)
    hand_back(house.store, out=out)

    desk = house.store.queue(QueueFilter(status=CaseStatus.OPEN), order="urgency", limit=100).cases
    with parquet.ParquetFile(out / "triage.parquet") as file:
        triage = file.read().sort_by("urgency_rank").to_pylist()
    assert [row["case_id"] for row in triage] == [row.case_id for row in desk]


def test_triage_says_of_each_case_what_its_suggestion_says(finished: tuple[Summary, Path]) -> None:
    with parquet.ParquetFile(finished[1] / "triage.parquet") as file:
        triage = {row["case_id"]: row for row in file.read().to_pylist()}
    for row in suggestion_rows(finished[1]):
        listed = triage.pop(row["case_id"])
        for key in ("suggestion_id", "ruling", "confidence", "abstained", "abstain_reason"):
            assert listed[key] == row[key]
        for key in ("platform", "claim", "opened_at", "paid_minor", "source", "line"):
            assert listed[key] == row["case"][key]
        assert listed["n_in_set"] == len(row["prediction_set"])
    assert not triage


def test_counts_add_up(finished: tuple[Summary, Path]) -> None:
    summary, out = finished
    assert (summary.n_rows, summary.n_scored, summary.n_refused) == (44, 41, 3)
    assert summary.refused_by_kind == {"duplicate": 1, "format": 1, "scoring": 1}
    assert sum(summary.by_ruling.values()) + summary.n_abstained == summary.n_scored
    assert sum(summary.abstained_by_reason.values()) == summary.n_abstained >= 1
    assert sum(sum(counts.values()) for counts in summary.by_claim.values()) == summary.n_scored
    for ruling, count in summary.by_ruling.items():
        assert count == sum(counts.get(ruling, 0) for counts in summary.by_claim.values())
    rows = suggestion_rows(out)
    assert summary.safe == sum(row["ruling"] is not None and len(row["prediction_set"]) == 1 for row in rows)
    assert (summary.model_version, summary.calibrated_on) == ("ruling/test", "simulated")
    assert summary == Summary.model_validate_json((out / "summary.json").read_bytes())


def test_an_empty_backlog_has_empty_results(tmp_path: Path, pool: PoolEngine) -> None:
    summary = score_backlog(str(write_lines(tmp_path / "none.jsonl", [])), out=tmp_path / "out", engine=pool)
    assert (summary.n_rows, summary.safe) == (0, 0)
    with parquet.ParquetFile(tmp_path / "out" / "triage.parquet") as file:
        assert file.read().num_rows == 0
