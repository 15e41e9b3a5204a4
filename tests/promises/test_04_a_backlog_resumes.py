"""Promise 4: a backlog killed at any point resumes with every row exactly once, and process pool and Ray score alike.

What a run is answerable for is compared whole with an uninterrupted run: rows, refusals, triage and summary, apart from
what its clock says. Stopped at a write, the operation fails half done, for good or once; killed, the process gets
`kill -9` at moments drawn at random.
"""

import errno
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.backlog.pool import PoolEngine
from serving.backlog.ray_engine import RayEngine
from serving.backlog.refusals import OutputFullError
from serving.backlog.run import score_backlog
from tests.serving.backlog.backlogs import SLOW, case_content, load_deadly, results, write_lines
from tests.serving.backlog.test_cli_backlog import COMMAND, PART_CASES, PATIENCE_S, ROOT

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KILLS = 20


class StoppedError(Exception):
    """The process died, as far as the disk can tell."""


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def failing_at(n: int, failure: Callable[[], BaseException], *, for_good: bool) -> Iterator[list[str]]:
    """Let the n-th operation on the disk fail, a write half done; for_good : and every later one, as in death."""
    done: list[str] = []
    real = {name: getattr(os, name) for name in ("write", "fsync", "replace", "unlink")}

    def counted(name: str) -> Callable[..., Any]:
        def operate(*given: Any) -> Any:
            done.append(name)
            if len(done) == n or (for_good and len(done) > n):
                if name == "write":
                    real["write"](given[0], bytes(given[1])[: len(given[1]) // 2])
                raise failure()
            return real[name](*given)

        return operate

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(os, name, counted(name))
        yield done


def score(backlog: Path, out: Path, pool: PoolEngine, *, now: datetime = NOW) -> None:
    score_backlog(str(backlog), out=out, engine=pool, now=now, chunk_cases=2, part_cases=5)


@pytest.mark.parametrize("dies", [False, True], ids=["disk full", "killed"])
def test_stopped_at_the_nth_write_for_every_n_it_resumes_to_the_same(
    mixed: Path,
    tmp_path: Path,
    pool: PoolEngine,
    measured: Callable[[str], None],
    *,
    dies: bool,
) -> None:
    score(mixed, tmp_path / "warm", pool)  # the first run starts the workers, which writes too
    with failing_at(0, StoppedError, for_good=False) as done:
        score(mixed, tmp_path / "whole", pool)
    whole = results(tmp_path / "whole")
    # run.json, 3 parts and 3 results, each written, flushed, renamed and its folder flushed
    assert len(done) >= 4 * 7

    for n in range(1, len(done) + 1):
        out = tmp_path / f"stopped-{n}"
        stop, told = (StoppedError, StoppedError) if dies else (disk_full, OutputFullError)
        with pytest.raises(told), failing_at(n, stop, for_good=dies):
            score(mixed, out, pool)
        if not dies:
            assert not list(out.rglob(".new-*")), "a half-written file was left"
        # Had run.json been written, its own time would stand: any other now must not matter.
        began = (out / "run.json").exists()
        score(mixed, out, pool, now=datetime(2027, 1, 1, tzinfo=UTC) if began else NOW)
        assert results(out) == whole, f"stopped at operation {n}"
        assert not list(out.rglob(".new-*"))
    how = "killed" if dies else "out of room"
    measured(f"{how} at each of {len(done)} operations on the disk in turn: the resumed run equals the uninterrupted")


def begin(backlog: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", COMMAND, str(backlog), "--out", str(out), "--processes", "2"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_after_a_part(running: "subprocess.Popen[bytes]", out: Path, *, pause_s: float) -> bool:
    """Kill the run a moment after it has written one part more; say whether it was still at work."""
    before, until = n_parts(out), time.monotonic() + PATIENCE_S
    while n_parts(out) == before and running.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(pause_s)
    was_running = running.poll() is None
    running.kill()
    running.wait()
    return was_running


def n_parts(out: Path) -> int:
    return len(list((out / "suggestions").glob("part-*.parquet")))


def check_kills(folder: Path, engine: PoolEngine, *, kills: int) -> int:
    """Kill a run so many times, let it end, compare it with an uninterrupted one; return its number of rows."""
    n_cases, rng = PART_CASES * (2 * kills + 1), random.Random(4)
    rows = [case_content(n, buyer_statement="" if n % 4 else SLOW) for n in range(n_cases)]
    backlog, out = write_lines(folder / "cases.jsonl", [*rows[:50], "{", *rows[50:]]), folder / "out"
    for _ in range(kills):
        assert kill_after_a_part(begin(backlog, out), out, pause_s=rng.uniform(0, 0.4))
    assert begin(backlog, out).wait(PATIENCE_S) == 0
    found = results(out)
    assert [row["case_id"] for row in found["rows"]] == [f"TB-{n}" for n in range(n_cases)]
    score_backlog(str(backlog), out=folder / "whole", engine=engine, now=found["rows"][0]["created_at"])
    assert results(folder / "whole") == found
    return n_cases


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_random_moments_again_and_again_every_row_is_there_once(
    tmp_path: Path,
    pool: PoolEngine,
    measured: Callable[[str], None],
) -> None:
    n_cases = check_kills(tmp_path, pool, kills=KILLS)
    measured(f"kill -9 {KILLS} times at random moments over {n_cases} rows: every row once, equal to the uninterrupted")


@pytest.mark.long
def test_pool_and_ray_give_equal_scores(
    tmp_path: Path,
    pool: PoolEngine,
    measured: Callable[[str], None],
) -> None:
    n_cases = 400
    backlog = write_lines(tmp_path / "cases.jsonl", [case_content(n) for n in range(n_cases)])
    with RayEngine(load_deadly, processes=2) as ray_engine:
        for name, engine in (("pool", pool), ("ray", ray_engine)):
            score_backlog(str(backlog), out=tmp_path / name, engine=engine, now=NOW)
    assert results(tmp_path / "ray") == results(tmp_path / "pool")
    measured(f"process pool and Ray equal on {n_cases} rows")
