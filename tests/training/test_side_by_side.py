"""Jobs side by side: all heard, and none going on after one has failed."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from models.errors import WeightsError
from training.side_by_side import JobFailedError, Progress, run_side_by_side


def _write(path: Path, progress: Progress) -> str:
    progress("writing")
    path.write_text(os.environ["OMP_NUM_THREADS"], encoding="utf-8")
    return f"wrote {path.name}"


def _write_late(path: Path, progress: Progress) -> None:
    time.sleep(20)
    _write(path, progress)


def _refuse(progress: Progress) -> None:
    time.sleep(1)
    raise WeightsError("pool.json is empty")


def _die(progress: Progress) -> None:
    os._exit(9)


def test_every_job_runs_on_one_thread_and_is_heard_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    lines: list[str] = []
    jobs = {"left": partial(_write, tmp_path / "left"), "right": partial(_write, tmp_path / "right")}
    assert run_side_by_side(jobs, progress=lines.append) == {"left": "wrote left", "right": "wrote right"}
    assert sorted(lines) == ["left: writing", "right: writing"]
    assert (tmp_path / "left").read_text() == (tmp_path / "right").read_text() == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_job_that_fails_stops_the_others_and_says_why(tmp_path: Path) -> None:
    lines: list[str] = []
    started = time.monotonic()
    with pytest.raises(JobFailedError, match=r"right failed: pool\.json is empty") as caught:
        run_side_by_side(
            {"left": partial(_write_late, tmp_path / "left"), "right": _refuse},
            progress=lines.append,
            still_at_it_s=0.2,
        )
    assert caught.value.job == "right"
    assert time.monotonic() - started < 15
    assert not (tmp_path / "left").exists()
    assert any(line.startswith("still at it after 0 min: left") for line in lines)


def test_a_job_whose_process_dies_is_named() -> None:
    with pytest.raises(JobFailedError, match="right failed: its process ended with code 9"):
        run_side_by_side({"right": _die}, progress=lambda line: None)


def test_no_jobs_are_no_work() -> None:
    assert run_side_by_side({}, progress=lambda line: None) == {}
