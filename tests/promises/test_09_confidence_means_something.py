"""Promise 9: the shipped model's confidence and prediction sets mean what they say, on simulated disputes.

Simulated, and only that: the disputes come from the simulator that the model learned from (`docs/simulation.md`), drawn
with seeds it never saw. What holds on written cases is in the model card.
"""

from collections.abc import Callable

import pytest

from models.registry import SHIPPED_DIR
from models.ruling import RulingClassifier
from models.vocabulary import Claim
from training.fit_rulings import simulated_figures
from training.metrics import Figure
from training.photo_errors import load_photo_errors
from training.statement_pool import load_pool

MOST_ECE, COVERAGE, WITHIN = 0.03, 0.9, 0.02
SEED = 9


@pytest.fixture(scope="module")
def classifier() -> RulingClassifier:
    return RulingClassifier.load(SHIPPED_DIR / "ruling")


def measure(classifier: RulingClassifier, *, n_cases: int, least_a_claim: int) -> dict[str, Figure]:
    return simulated_figures(
        classifier,
        pool=load_pool(SHIPPED_DIR / "chat" / "pool.json"),
        photo_errors=load_photo_errors(SHIPPED_DIR),
        n_cases=n_cases,
        seed=SEED,
        least_a_claim=least_a_claim,
    )


def test_confidence_and_sets_keep_their_promise_on_a_few_simulated_cases(classifier: RulingClassifier) -> None:
    figures = measure(classifier, n_cases=1_000, least_a_claim=0)
    ece, coverage = figures["simulated.ece"], figures["simulated.set_coverage"]
    assert classifier.alpha == pytest.approx(1 - COVERAGE)
    assert ece.low <= MOST_ECE
    assert coverage.low - WITHIN <= COVERAGE <= coverage.high + WITHIN


def test_a_model_too_sure_of_itself_would_be_found_out(classifier: RulingClassifier) -> None:
    """The measure itself: the same rulings at doubled odds are no longer calibrated."""
    from models.calibration import debiased_ece
    from training.fit_rulings import MEASURE_SEED_OFFSET, score_simulated
    from training.simulate import simulate

    cases = simulate(
        1_000,
        pool=load_pool(SHIPPED_DIR / "chat" / "pool.json"),
        photo_errors=load_photo_errors(SHIPPED_DIR),
        seed=SEED + MEASURE_SEED_OFFSET,
    )
    scores = score_simulated(classifier, cases)
    odds = (scores.confidence / (1 - scores.confidence).clip(1e-9)) * 3
    assert debiased_ece(odds / (1 + odds), scores.correct) > MOST_ECE


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_confidence_and_sets_keep_their_promise_on_twenty_thousand_simulated_cases(
    classifier: RulingClassifier, measured: Callable[[str], None]
) -> None:
    figures = measure(classifier, n_cases=20_000, least_a_claim=1_000)
    ece, coverage = figures["simulated.ece"], figures["simulated.set_coverage"]
    missed = [
        f"{claim} {name} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, n={figure.n})"
        for claim in Claim
        for name, figure, worst in (
            ("calibration error", figures[f"simulated.ece.{claim}"], MOST_ECE),
            ("coverage", figures[f"simulated.set_coverage.{claim}"], WITHIN),
        )
        if (figure.value if worst == MOST_ECE else abs(figure.value - COVERAGE)) > worst
    ]
    measured(
        f"simulated disputes, n={ece.n}: calibration error {ece.value:.3f} ({ece.low:.3f} to {ece.high:.3f}), set "
        f"coverage {coverage.value:.3f} ({coverage.low:.3f} to {coverage.high:.3f}) of {COVERAGE:.3f} promised; by "
        + (f"claim it misses on {'; '.join(missed)}" if missed else "claim it holds everywhere")
    )
    assert ece.value <= MOST_ECE
    assert coverage.value == pytest.approx(COVERAGE, abs=WITHIN)
