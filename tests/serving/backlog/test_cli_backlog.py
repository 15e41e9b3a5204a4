"""The command itself, in a process of its own: killed, interrupted, and told what it can't do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from serving.backlog.pool import PoolEngine
from serving.backlog.run import score_backlog
from serving.cli_backlog import score
from tests.serving.backlog.backlogs import SLOW, case_content, results, write_lines

ROOT = Path(__file__).parents[3]
# The command as it is, but for the weights, those of the tests load in no time, and the size of a part.
COMMAND = """
import typer
from functools import partial
from serving.backlog import run, shipped
from tests.serving.backlog.backlogs import load_deadly
shipped.loader = lambda model_dir, *, cache_dir: load_deadly
run.score_backlog = partial(run.score_backlog, part_cases=32, chunk_cases=8)
from serving.cli_backlog import score
typer.run(score)
"""
PART_CASES = 32
# Far more than is needed on a free machine.
PATIENCE_S = 200
N_CASES = 3 * PART_CASES


@pytest.fixture
def backlog(tmp_path: Path) -> Path:
    # Slow enough that a signal after a part comes before the next one is written.
    rows = [case_content(n, buyer_statement=SLOW if n >= PART_CASES else "") for n in range(N_CASES)]
    return write_lines(tmp_path / "cases.jsonl", [*rows[:50], "{", *rows[50:]])


def _begin(backlog: Path, out: Path, *, processes: int = 1) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", COMMAND, str(backlog), "--out", str(out), "--processes", str(processes)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + PATIENCE_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AssertionError(f"{path.name} never came: {process.communicate()}")
        time.sleep(0.01)


def _gone(group: int) -> bool:
    """Whether no process of the group is left; its first process is its own session's leader."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_killed_and_interrupted_the_same_command_goes_on_to_every_row_once(
    backlog: Path, tmp_path: Path, pool: PoolEngine
) -> None:
    out = tmp_path / "out"
    killed = _begin(backlog, out, processes=2)
    _wait_for(out / "suggestions" / "part-000000.parquet", killed)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert _gone(killed.pid), "workers outlive their run"
    assert not (out / "summary.json").exists()

    stopped = _begin(backlog, out)
    _wait_for(out / "suggestions" / "part-000001.parquet", stopped)
    os.killpg(stopped.pid, signal.SIGINT)
    _, said = stopped.communicate(timeout=PATIENCE_S)
    assert (stopped.returncode, "the same command goes on" in " ".join(said.split())) == (130, True), said
    assert "Traceback" not in said

    ended = _begin(backlog, out)
    printed, said = ended.communicate(timeout=PATIENCE_S)
    assert ended.returncode == 0, said
    assert printed.strip() == str(out / "summary.json")

    found = results(out)
    assert [row["case_id"] for row in found["rows"]] == [f"TB-{n}" for n in range(N_CASES)]
    assert [(row["line"], row["kind"]) for row in found["refused"]] == [(51, "format")]
    began = found["rows"][0]["created_at"]
    score_backlog(str(backlog), out=tmp_path / "whole", engine=pool, now=began)
    assert results(tmp_path / "whole") == found


def test_what_the_command_cannot_do_it_says(tmp_path: Path) -> None:
    app = Typer()
    app.command()(score)
    runner = CliRunner()
    backlog = write_lines(tmp_path / "cases.jsonl", [])
    for options, words in (
        (["--engine", "spark"], "neither `pool` nor `ray`"),
        (["--waiting"], "give a backlog, or --waiting"),
        (["--photos", str(tmp_path / "nowhere")], "is not a folder"),
    ):
        told = runner.invoke(app, [str(backlog), "--out", str(tmp_path / "out"), *options])
        assert told.exit_code == 2
        assert words in " ".join(told.output.replace("│", " ").split())
    told = runner.invoke(app, [str(tmp_path / "absent.jsonl"), "--out", str(tmp_path / "out")])
    assert told.exit_code == 2
    assert "is there" in told.output


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_REVIEW_PORT", "abc")
    app = Typer()
    app.command()(score)
    backlog = write_lines(tmp_path / "cases.jsonl", [])
    told = CliRunner().invoke(app, [str(backlog), "--out", str(tmp_path / "out")])
    assert told.exit_code == 2
    assert told.output.startswith("settings: EVIDENCE_REVIEW_PORT: ")
