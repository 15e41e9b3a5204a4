"""How far a run is: in a log, a line now and then with the rate and the time left of this session."""

import io
import itertools

import pytest
from rich.console import Console

from serving.backlog import progress
from serving.backlog.progress import RunProgress


def test_a_log_is_told_the_rate_and_the_time_left_of_this_session(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    clock = itertools.count(step=60.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with RunProgress(Console(file=log, width=120)) as told:
        monkeypatch.setattr(progress.time, "monotonic", lambda: 60.0)
        told.show(100, 460, 0)
        monkeypatch.setattr(progress.time, "monotonic", lambda: 120.0)
        told.show(220, 460, 3)
        told.show(221, 460, 3)
    assert log.getvalue().splitlines()[-1] == "220 of 460 rows, 2.0 cases/s, 2 min left, 3 refused"


def test_what_happened_is_said_as_it_is() -> None:
    log = io.StringIO()
    with RunProgress(Console(file=log, width=120)) as told:
        told.say("a process was killed by [SIGKILL]: lines 1 to 16 are scored again")
    assert "a process was killed by [SIGKILL]: lines 1 to 16 are scored again" in log.getvalue()
