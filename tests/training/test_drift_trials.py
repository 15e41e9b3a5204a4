"""Planted drift is found, and windows without any raise at most one alarm in twenty."""

import math

import pytest
from typer.testing import CliRunner

from training.cli import app
from training.drift_trials import PLANTS, REFERENCES, try_drift


@pytest.fixture(scope="module")
def told() -> str:
    return CliRunner().invoke(app, ["drift", "--simulate", "80"]).output


@pytest.mark.parametrize("n_reference", REFERENCES)
def test_at_most_one_window_in_twenty_without_drift_raises_an_alarm(n_reference: int) -> None:
    false_alarms = try_drift(200, n_planted=1, n_reference=n_reference, seed=7).false_alarms
    # The most that chance lets 1 in 20 come out as, one time in a hundred.
    assert false_alarms.value <= 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / false_alarms.n)


def test_planted_drift_is_found_in_nine_windows_of_ten() -> None:
    found = try_drift(1, n_planted=20, seed=11).found
    assert {name: share.hits for name, share in found.items() if share.value < 0.9} == {}


def test_the_table_says_how_many_windows_and_with_what_interval(told: str) -> None:
    lines = told.splitlines()
    assert lines[0] == "| windows with an alarm | reference of 500 | reference of 100 |"
    assert lines[2].startswith("| no drift: any alarm | ")
    assert " of 80, " in lines[2]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[3:]] == [one.name for one in PLANTS]
