"""A retraining gives a judged challenger or leaves everything as it was and says why."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from models.drift_reference import read_reference
from models.errors import InputError, RegistryError, ReviewError
from models.golden import check_golden
from models.mlflow_server import mlflow_client
from models.registry import ModelRegistry, verified_manifest
from tests.training.simulated_outcomes import START, SimulatedOutcomes
from training.hold_out import refreeze
from training.retrain import Retrained, Retraining, retrain
from training.tracking import EXPERIMENT, Tracking, only_one


@pytest.fixture
def retraining(tmp_path: Path, empty_registry: Path, outcomes: SimulatedOutcomes) -> Callable[..., Retraining]:
    shutil.copy(empty_registry, tmp_path / "registry.db")
    tracking = Tracking(f"sqlite:///{tmp_path}/registry.db", artifact_dir=tmp_path / "artifacts")

    def given(*snapshots: Path, n_simulated: int = 450) -> Retraining:
        return Retraining(
            snapshots=snapshots,
            tracking=tracking,
            work_dir=tmp_path / "work",
            cache_dir=tmp_path,
            by="wang",
            n_simulated=n_simulated,
            n_behaviour=30,
            load=outcomes.load,
        )

    return given


def run(given: Retraining) -> Retrained:
    return retrain(given, progress=lambda message: None)


def statuses(given: Retraining) -> list[str]:
    client = mlflow_client(given.tracking.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = client.search_runs([experiment], filter_string="tags.kind = 'retrain'", order_by=["start_time ASC"])
    return [one.info.status for one in runs]


def test_a_challenger_that_learned_what_people_do_passes_is_promoted_and_rolled_back(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out"), n_simulated=1500)
    done = run(given)
    registry = given.tracking.registry
    assert done.verdict.passed, done.verdict.reasons
    assert done.calibrated_on == "outcomes"
    assert done.counts["frozen"] > 0
    assert done.counts["set_aside.seller"] > 0
    assert (registry.named("champion").number, registry.named("challenger")) == (1, done.model)

    folder = registry.fetch(done.model, tmp_path / "fetched")
    assert check_golden(outcomes.load(folder), folder) == 6
    assert outcomes.load(folder).calibrated_on == "outcomes"
    assert read_reference(folder).features >= {"message_length", "language", "confidence", "ruling"}
    assert verified_manifest(folder).learned == {"ruling": {"outcomes": done.counts["teach"]}}
    report = registry.artifact(done.model, "report.html").decode()
    assert "Passed" in report
    assert "data:image/png" in report
    suspects = registry.artifact(done.model, "suspects.jsonl").decode().splitlines()
    assert all(json.loads(line)["key"] for line in suspects)

    registry.promote(done.model.number, by="lead-li", reason="better on the new practice")
    assert registry.named("champion") == done.model
    assert registry.named("challenger") is None
    registry.rollback(by="lead-li")
    assert registry.named("champion").number == 1
    assert [(entry.by, entry.action, entry.to_number) for entry in registry.promotions()] == [
        ("wang", "promote", 1),
        ("lead-li", "promote", 2),
        ("lead-li", "rollback", 1),
    ]
    [drawn] = given.tracking.hold_outs()
    assert (len(drawn.keys), drawn.by, drawn.reason) == (done.counts["frozen"], "wang", "first hold-out")


def test_labels_given_with_the_suggestion_on_screen_never_decide_a_promotion(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out", suggestion_shown=True, agreed=True))
    done = run(given)
    assert not done.verdict.passed
    assert "0 blind or appealed cases" in done.verdict.reasons[0]
    assert done.calibrated_on == "simulated"
    with pytest.raises(RegistryError, match="didn't pass the gate"):
        given.tracking.registry.promote(done.model.number, by="wang")
    assert given.tracking.registry.named("champion").number == 1


@pytest.mark.parametrize(
    ("rows", "changes", "said"),
    [(slice(0), {}, "hold no decided case"), (slice(40), {"ruling": "dismiss"}, "are all dismiss")],
    ids=["an empty month", "one class only"],
)
def test_outcomes_that_teach_nothing_fail_the_run_and_the_next_is_clean(
    retraining: Callable[..., Retraining],
    outcomes: SimulatedOutcomes,
    tmp_path: Path,
    rows: slice,
    changes: dict[str, object],
    said: str,
) -> None:
    bad, told = retraining(outcomes.write(tmp_path / "bad", only=rows, **changes)), list[str]()
    with pytest.raises(InputError, match=said):
        retrain(bad, progress=told.append)
    assert told[-1].endswith("; the champion stays")
    assert not any(line.startswith("simulating") for line in told)
    assert statuses(bad) == ["FAILED"]
    run(retraining(outcomes.write(tmp_path / "good", only=slice(40))))
    assert statuses(bad) == ["FAILED", "FINISHED"]


def test_outcomes_from_before_a_change_are_left_out_when_asked_or_when_the_hold_out_says_so(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out", only=slice(300)))
    with pytest.raises(InputError, match="hold no decided case since 2030-01-01"):
        run(dataclasses.replace(given, since=date(2030, 1, 1)))
    drawn = refreeze(
        given.snapshots,
        tracking=given.tracking,
        work_dir=given.work_dir,
        since=(START + timedelta(days=20)).date(),
        by="lead-li",
        reason="new rules",
        seed=1,
    )
    counts = run(given).counts
    assert counts["frozen"] == len(drawn.keys)
    assert sum(counts[part] for part in ("teach", "calibrate", "frozen", "newest", "set_aside")) == 300 - 80


def test_a_flipped_byte_fails_the_run_by_the_name_of_the_file(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    folder = outcomes.write(tmp_path / "out", only=slice(20))
    data = bytearray((folder / "cases.jsonl").read_bytes())
    data[100] ^= 1
    (folder / "cases.jsonl").write_bytes(data)
    given = retraining(folder)
    with pytest.raises(InputError, match=r"cases\.jsonl: is altered"):
        run(given)
    assert statuses(given) == ["FAILED"]
    assert given.tracking.registry.named("champion") is None


def test_a_tracking_server_that_is_away_is_said_at_once(
    outcomes: SimulatedOutcomes, retraining: Callable[..., Retraining], tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out", only=slice(20)))
    away = Tracking("http://127.0.0.1:9", artifact_dir=tmp_path)
    with pytest.raises(RegistryError, match="doesn't answer"):
        run(Retraining(given.snapshots, away, given.work_dir, given.cache_dir, "wang"))


def test_two_retrainings_at_once_are_refused(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out", only=slice(40)))
    with only_one(given.work_dir / "retrain.lock"), pytest.raises(RegistryError, match="another retraining is running"):
        run(given)
    run(given)


def _die_in_the_middle(given: Retraining) -> None:
    def last_words(message: str) -> None:
        if "judging" in message:
            os.kill(os.getpid(), signal.SIGKILL)

    retrain(given, progress=last_words)


def test_a_crash_in_the_middle_leaves_the_champion_and_the_next_run_marks_it_failed(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out", only=slice(40)))
    process = multiprocessing.get_context("fork").Process(target=_die_in_the_middle, args=(given,))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert statuses(given) == ["RUNNING"]
    assert given.tracking.registry.named("champion").number == 1
    assert given.tracking.registry.named("challenger") is None
    run(given)
    assert statuses(given) == ["FAILED", "FINISHED"]


def test_an_altered_file_in_the_registry_is_never_loaded(
    retraining: Callable[..., Retraining], outcomes: SimulatedOutcomes, tmp_path: Path
) -> None:
    given = retraining(outcomes.write(tmp_path / "out", only=slice(40)))
    run(given)
    registry = ModelRegistry(given.tracking.uri)
    champion = registry.named("champion")
    path = Path(champion.source.removeprefix("file://")) / "ruling" / "ruling.json"
    path.write_text(path.read_text(encoding="utf-8").replace("0.", "1.", 1), encoding="utf-8")
    with pytest.raises(ReviewError, match=r"ruling\.json is not the file that was pinned"):
        registry.fetch(champion, tmp_path / "fetched")
    assert not list((tmp_path / "fetched").glob("[!.]*"))
