"""The simulator repeats itself exactly, writes valid files, and its rulings follow the rules."""

import numpy as np
import pytest

from models.domain import parse_case
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Ruling, Speaker
from training.hidden_truth import PARAMETERS
from training.photo_errors import PhotoErrors
from training.simulate import simulate
from training.statement_pool import PooledMessage, StatementPool

ERRORS = PhotoErrors(damaged=[0.9], intact=[0.1], mismatched=[0.8], matched=[0.2])


@pytest.fixture(scope="module")
def pool() -> StatementPool:
    """One telling message a label, speaker and language, and one that says nothing."""
    messages = []
    for language in ("zh", "en"):
        for speaker in (Speaker.BUYER, Speaker.SELLER):
            for label in (*LABELS_OF_SPEAKER[speaker], None):
                labels = frozenset({label}) if label else frozenset()
                probabilities = dict.fromkeys(labels, 0.95)
                messages.append(PooledMessage(language, speaker, f"{speaker} {label}", labels, probabilities))
    return StatementPool(tuple(messages))


def test_the_same_seed_gives_the_same_cases(pool: StatementPool) -> None:
    first = simulate(30, pool=pool, photo_errors=ERRORS, seed=3)
    again = simulate(30, pool=pool, photo_errors=ERRORS, seed=3)
    other = simulate(30, pool=pool, photo_errors=ERRORS, seed=4)
    assert first == again
    assert first != other


def test_a_case_does_not_depend_on_how_many_are_simulated(pool: StatementPool) -> None:
    assert (
        simulate(5, pool=pool, photo_errors=ERRORS, seed=3) == simulate(9, pool=pool, photo_errors=ERRORS, seed=3)[:5]
    )


def test_every_simulated_case_keeps_the_intake_format(pool: StatementPool) -> None:
    for simulated in simulate(60, pool=pool, photo_errors=ERRORS, seed=5):
        case = simulated.evidence.case
        assert parse_case(case.model_dump_json()) == case


def test_all_claims_and_rulings_occur(pool: StatementPool) -> None:
    cases = simulate(800, pool=pool, photo_errors=ERRORS, seed=6)
    assert {simulated.evidence.case.claim for simulated in cases} == set(Claim)
    assert {simulated.order.ruling for simulated in cases} == set(Ruling)


def test_arbitrator_noise_is_as_frequent_as_set(pool: StatementPool) -> None:
    for noise in (0.0, 0.3):
        cases = simulate(600, pool=pool, photo_errors=ERRORS, seed=7, parameters={"arbitrator_noise": noise})
        changed = np.mean([simulated.order != simulated.rule_order for simulated in cases])
        assert changed == pytest.approx(noise, abs=0.06)


def test_the_parties_have_no_names_that_could_be_learned(pool: StatementPool) -> None:
    cases = simulate(50, pool=pool, photo_errors=ERRORS, seed=8)
    assert {(s.evidence.case.order.buyer_id, s.evidence.case.order.seller_id) for s in cases} == {("b-sim", "s-sim")}


def test_every_parameter_is_a_probability() -> None:
    assert all(0 <= value <= 1 for value in PARAMETERS.values())
