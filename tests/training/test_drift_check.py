"""Outcomes are tested for drift against what a model learned from, by the tests that the service runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.case_file import CaseFile
from models.drift import Reference
from models.errors import InputError
from models.registry import SHIPPED_DIR, verified_manifest
from models.suggester import Suggester
from tests.training.simulated_outcomes import SimulatedOutcomes
from training.cli import app
from training.drift_check import check_drift
from training.model_reference import training_reference
from training.snapshot import DecidedCase, read_snapshots

N_TRAINED = 500


@pytest.fixture(scope="module")
def suggester(outcomes: SimulatedOutcomes) -> Suggester:
    return outcomes.load(SHIPPED_DIR)


@pytest.fixture(scope="module")
def decided(outcomes: SimulatedOutcomes, tmp_path_factory: pytest.TempPathFactory) -> list[DecidedCase]:
    return read_snapshots([outcomes.write(tmp_path_factory.mktemp("outcomes"))])


@pytest.fixture(scope="module")
def reference(suggester: Suggester, decided: list[DecidedCase]) -> Reference:
    trained = decided[:N_TRAINED]
    evidence = suggester.scorer.score([one.file for one in trained])
    return training_reference(suggester, trained, evidence, taught=range(0, N_TRAINED, 4))


def alarms(suggester: Suggester, reference: Reference, window: Sequence[DecidedCase]) -> dict[str, tuple[str, ...]]:
    found = check_drift(suggester, reference, window, progress=lambda message: None)
    return {one.drift.feature: one.keys for one in found if one.drift.alarmed}


def talkative(one: DecidedCase) -> DecidedCase:
    chat = tuple(message.model_copy(update={"text": message.text * 3}) for message in one.file.case.chat)
    return DecidedCase(CaseFile(one.file.case.model_copy(update={"chat": chat}), one.file.photos), one.outcome)


def test_a_reference_holds_what_came_in_and_what_the_model_makes_of_blind_cases_it_did_not_learn(
    reference: Reference, decided: list[DecidedCase]
) -> None:
    n_blind = sum(one.is_gold for place, one in enumerate(decided[:N_TRAINED]) if place % 4)
    assert sum(reference.kinds["claim"].values()) == N_TRAINED
    assert len(reference.numbers["confidence"]) == sum(reference.kinds["ruling"].values()) == n_blind
    assert reference.overridden is None


def test_later_cases_of_the_same_kind_raise_no_alarm_but_sets_that_no_longer_hold(
    suggester: Suggester, reference: Reference, decided: list[DecidedCase]
) -> None:
    # These people refund where the rules that the shipped model knows want goods back.
    assert set(alarms(suggester, reference, decided[N_TRAINED:])) <= {"covered"}


def test_longer_messages_are_alarmed_with_the_longest(
    suggester: Suggester, reference: Reference, decided: list[DecidedCase]
) -> None:
    window = [talkative(one) for one in decided[N_TRAINED:]]
    found = alarms(suggester, reference, window)
    longest = max(
        window, key=lambda one: sum(len(m.text) for m in one.file.case.chat) / max(1, len(one.file.case.chat))
    )
    assert longest.key in found["message_length"]


def test_too_few_cases_are_refused(suggester: Suggester, reference: Reference, decided: list[DecidedCase]) -> None:
    with pytest.raises(InputError, match="hold 49 cases decided since then, 50 needed"):
        check_drift(suggester, reference, decided[:49])


def test_a_model_without_a_reference_is_refused_by_name(tmp_path: Path, outcomes: SimulatedOutcomes) -> None:
    folder = outcomes.write(tmp_path / "out", only=slice(60))
    told = CliRunner().invoke(app, ["drift", "--outcomes", str(folder), "--model", str(SHIPPED_DIR)])
    assert told.exit_code == 2
    assert f"{verified_manifest(SHIPPED_DIR).model_version} wasn't made from outcomes" in told.output
