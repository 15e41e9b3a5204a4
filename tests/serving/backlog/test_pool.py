"""The pool: a dead worker costs at most the case that kills it."""

import json
import os
import signal
from pathlib import Path

import pytest

from serving.backlog import rounds
from serving.backlog.chunk import Chunk, Refused, Result, Scored
from serving.backlog.pool import PoolEngine
from serving.backlog.reading import Entry, Place
from serving.backlog.refusals import WorkerFailedError, WorkersLostError
from tests.builders import START
from tests.serving.backlog.backlogs import KILLS, RAISES, case_content, load_and_die, load_nothing


def _chunk(*numbers: int, **deadly: str) -> Chunk:
    contents = [case_content(n, buyer_statement=deadly.get(f"case_{n}", "")) for n in numbers]
    entries = [
        Entry("a.jsonl", n, Place(0, n), Path(), json.dumps(content).encode())
        for n, content in zip(numbers, contents, strict=True)
    ]
    return Chunk(tuple(entries), START)


def _named(results: list[Result]) -> list[str]:
    return [result.identity[1] if isinstance(result, Scored) else f"{result.case_id} refused" for result in results]


def test_results_come_in_the_order_of_the_chunks(pool: PoolEngine) -> None:
    found = list(pool.score(_chunk(n, n + 1) for n in range(0, 60, 2)))
    assert [name for results in found for name in _named(results)] == [f"TB-{n}" for n in range(60)]


def test_a_worker_has_one_thread_and_asks_for_large_pages(pool: PoolEngine) -> None:
    list(pool.score([_chunk(1)]))
    for pid in pool.worker_pids:
        given = dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in line)
        assert given["OMP_NUM_THREADS"] == "1"
        assert given["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


def test_a_case_that_kills_its_worker_twice_is_refused_and_its_neighbours_are_scored(pool: PoolEngine) -> None:
    told: list[str] = []
    pool.on_loss = told.append
    found = list(pool.score([_chunk(1, 2, 3, case_2=KILLS), _chunk(4, 5)]))
    assert [_named(results) for results in found] == [["TB-1", "TB-2 refused", "TB-3"], ["TB-4", "TB-5"]]
    refused = found[0][1]
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.line, refused.platform) == ("scoring", 2, "taobao")
    assert "worker was killed by SIGKILL" in refused.reason
    assert len(told) == 2
    assert "SIGKILL" in told[0]
    assert told[0].endswith("lines 1 to 3: scored again, case by case")
    assert told[1].endswith("line 2: refused, for it is the second time")


def test_a_case_that_raises_is_refused_alone(pool: PoolEngine) -> None:
    found = list(pool.score([_chunk(1, 2, 3, case_2=RAISES)]))
    assert _named(found[0]) == ["TB-1", "TB-2 refused", "TB-3"]
    assert isinstance(found[0][1], Refused)
    assert found[0][1].reason == "can't be scored: RuntimeError: no way to score this"


def test_a_worker_killed_from_outside_costs_no_case(pool: PoolEngine) -> None:
    names = []
    for number, results in enumerate(pool.score(_chunk(n, n + 1) for n in range(0, 80, 2))):
        names += _named(results)
        if number == 3:
            os.kill(pool.worker_pids[0], signal.SIGKILL)
    assert names == [f"TB-{n}" for n in range(80)]


def test_an_abandoned_round_leaves_nothing_in_the_next(pool: PoolEngine) -> None:
    for _ in pool.score(_chunk(n) for n in range(20)):
        break
    assert [_named(results) for results in pool.score([_chunk(90), _chunk(91)])] == [["TB-90"], ["TB-91"]]


def test_few_chunks_are_held_at_a_time(pool: PoolEngine) -> None:
    taken = []

    def chunks() -> object:
        for n in range(100):
            taken.append(n)
            yield _chunk(n)

    for number, _ in enumerate(pool.score(chunks())):  # type: ignore[arg-type]
        assert len(taken) - number <= 2 * 4 + 1


def test_a_model_that_cannot_be_loaded_is_said() -> None:
    with (
        PoolEngine(load_nothing, processes=2) as engine,
        pytest.raises(WorkerFailedError, match="the weights are gone"),
    ):
        _ = engine.model_version


def test_workers_that_only_die_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_DEATHS_IN_A_ROW", 2)
    with PoolEngine(load_and_die, processes=1) as engine, pytest.raises(WorkersLostError, match="killed by SIGKILL"):
        list(engine.score([_chunk(1)]))
