"""The hold-out is drawn anew only by somebody, for a reason, from enough gold cases; then the older ones are out."""

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import InputError, RegistryError
from tests.training.simulated_outcomes import START, SimulatedOutcomes
from training.hold_out import LOCK_NAME, decided_since, draw_hold_out, refreeze
from training.snapshot import read_snapshots
from training.tracking import HoldOut, Tracking, only_one

CHANGE = (START + timedelta(days=60)).date()


@pytest.fixture
def tracking(tmp_path: Path, empty_registry: Path) -> Tracking:
    shutil.copy(empty_registry, tmp_path / "registry.db")
    return Tracking(f"sqlite:///{tmp_path}/registry.db", artifact_dir=tmp_path / "artifacts")


@pytest.fixture(scope="module")
def folder(outcomes: SimulatedOutcomes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return outcomes.write(tmp_path_factory.mktemp("out"))


def drawn_anew(
    snapshots: Sequence[Path], tracking: Tracking, work_dir: Path, *, since: date = CHANGE, reason: str = "new rules"
) -> HoldOut:
    return refreeze(snapshots, tracking=tracking, work_dir=work_dir, since=since, by="lead-li", reason=reason, seed=1)


def test_a_fifth_of_the_gold_cases_since_the_change_judges_from_then_on(
    folder: Path, tracking: Tracking, tmp_path: Path
) -> None:
    drawn = drawn_anew([folder], tracking, tmp_path)
    known = {one.key: one for one in read_snapshots([folder])}
    gold = [one for one in decided_since(list(known.values()), CHANGE) if one.is_gold]
    assert len(drawn.keys) == round(len(gold) / 5)
    assert all(known[key].is_gold and known[key].moment.date() >= CHANGE for key in drawn.keys)
    assert (drawn.by, drawn.reason, drawn.since) == ("lead-li", "new rules", CHANGE)
    assert datetime.now(UTC) - drawn.at < timedelta(minutes=5)
    later = drawn_anew([folder], tracking, tmp_path, since=CHANGE + timedelta(days=1), reason="again")
    assert tracking.hold_outs() == [drawn, later]


def test_no_reason_too_few_gold_cases_and_a_running_retraining_are_refused(
    folder: Path, tracking: Tracking, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="must say what changed"):
        drawn_anew([folder], tracking, tmp_path, reason=" ")
    with pytest.raises(InputError, match=r"hold 0 blind or appealed cases decided since 2030-01-01, 100 needed"):
        drawn_anew([folder], tracking, tmp_path, since=date(2030, 1, 1))
    with only_one(tmp_path / LOCK_NAME), pytest.raises(RegistryError, match="another retraining is running"):
        drawn_anew([folder], tracking, tmp_path)
    assert tracking.hold_outs() == []


def test_the_draw_is_the_same_for_the_same_seed_and_none_below_a_hundred(folder: Path) -> None:
    decided = read_snapshots([folder])
    assert draw_hold_out(decided, seed=3) == draw_hold_out(decided, seed=3) != draw_hold_out(decided, seed=4)
    assert draw_hold_out([one for one in decided if one.is_gold][:99], seed=3) == frozenset()
