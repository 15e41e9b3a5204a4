"""Ray as the engine: the same results as the pool's, a lost actor costs no case, and silence ends the run."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.backlog.chunk import Chunk
from serving.backlog.pool import PoolEngine
from serving.backlog.ray_engine import RayAbsentError, RayEngine, RaySilentError, _Scorer
from serving.backlog.reading import Entry, Place
from serving.backlog.rounds import Engine
from serving.backlog.run import score_backlog
from tests.serving.backlog.backlogs import KILLS, SLOW, case_content, load_deadly, load_nothing, results, write_lines

pytest.importorskip("ray")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[RayEngine]:
    with RayEngine(load_deadly, processes=8) as engine:
        yield engine


def test_ray_and_the_pool_give_equal_results_and_a_deadly_case_is_refused_alone(
    ray_engine: RayEngine, pool: PoolEngine, tmp_path: Path
) -> None:
    rows = [case_content(n, buyer_statement=KILLS if n == 5 else "") for n in range(14)]
    backlog = write_lines(tmp_path / "cases.jsonl", [*rows[:9], "{", *rows[9:]])
    for name, engine in (("pool", pool), ("ray", ray_engine)):
        score_backlog(str(backlog), out=tmp_path / name, engine=engine, now=NOW, chunk_cases=4, part_cases=8)
    by_pool, by_ray = results(tmp_path / "pool"), results(tmp_path / "ray")
    for found in (by_pool, by_ray):
        (refused,) = (row for row in found["refused"] if row["kind"] == "scoring")
        assert (refused["case_id"], refused["line"]) == ("TB-5", 6)
        assert refused.pop("reason").startswith("can't be scored: it was being scored both times when its worker was")
    assert by_ray == by_pool


def test_a_run_by_ray_that_was_stopped_goes_on_and_equals_the_uninterrupted(
    ray_engine: RayEngine, pool: PoolEngine, tmp_path: Path
) -> None:
    backlog = write_lines(tmp_path / "cases.jsonl", [case_content(n) for n in range(14)])

    def stop_after_a_part(done: int, total: int, refused: int) -> None:
        if done > 8:
            raise KeyboardInterrupt

    def score(out: Path, engine: Engine, *, stopped: bool = False) -> None:
        on_progress = stop_after_a_part if stopped else lambda done, total, refused: None
        score_backlog(
            str(backlog), out=out, engine=engine, now=NOW, chunk_cases=2, part_cases=4, on_progress=on_progress
        )

    with pytest.raises(KeyboardInterrupt):
        score(tmp_path / "ray", ray_engine, stopped=True)
    assert len(list((tmp_path / "ray" / "suggestions").glob("part-*.parquet"))) == 2
    score(tmp_path / "ray", ray_engine)
    score(tmp_path / "pool", pool)
    assert results(tmp_path / "ray") == results(tmp_path / "pool")


def test_a_cluster_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for given in (address, f"ray://{address}"):
        monkeypatch.setenv("RAY_ADDRESS", given)
        began = time.monotonic()
        with pytest.raises(RayAbsentError, match=f"nothing listens at {given}"):
            _ = RayEngine(load_deadly, processes=1).model_version
        assert time.monotonic() - began < 60


def test_one_cpu_is_left_to_ray(ray_engine: RayEngine) -> None:
    assert ray_engine.model_version
    assert ray_engine._ray is not None
    assert ray_engine.processes == ray_engine._ray.cluster_resources()["CPU"] - 1


def test_a_model_that_cannot_be_loaded_is_said() -> None:
    assert _Scorer(load_nothing).ready() == (None, "the model can't be loaded: RuntimeError: the weights are gone")


def test_silence_ends_the_run_and_says_where_to_look(ray_engine: RayEngine) -> None:
    """The last test of the module: its actors are left at work."""
    assert ray_engine.model_version
    ray_engine.silence_s = 0.001
    slow = json.dumps(case_content(1, buyer_statement=SLOW)).encode()
    chunk = Chunk(tuple(Entry("a.jsonl", n, Place(0, n), ".", slow) for n in range(1, 6)), NOW)
    with pytest.raises(RaySilentError, match=r"no sign .*ray status"):
        list(ray_engine.score([chunk]))
