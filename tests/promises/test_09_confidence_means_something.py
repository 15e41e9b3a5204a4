"""Promise 9: confidence and prediction sets mean what they say, and drift away from that is alarmed.

Simulated disputes come from the simulator that the model learned from (`docs/simulation.md`), with seeds it never saw;
drift is planted by changing the simulator. Written cases are those of `datasets/heldout`, their photo scores drawn.
"""

import math
from collections.abc import Callable
from datetime import date

import pytest

from models.calibration import debiased_ece
from models.drift import LEVEL, Observation, Reference, find_drift, observe
from models.encoders import default_cache_dir
from models.registry import SHIPPED_DIR, load_suggester
from models.ruling import RULINGS, RulingClassifier
from models.scorer import EvidenceScorer
from models.vocabulary import Claim
from training.config import DATASETS_DIR
from training.evaluate_rulings import rule_cases, ruling_figures
from training.fit_rulings import MEASURE_SEED_OFFSET, score_simulated, simulated_figures
from training.metrics import Figure
from training.photo_errors import PhotoErrors, load_photo_errors
from training.simulate import SimulatedCase, simulate
from training.statement_pool import StatementPool, load_pool
from training.written_cases import read_written_cases

MOST_ECE, COVERAGE, WITHIN = 0.03, 0.9, 0.02
SEED = 9
PLANTS = {
    "more cases in English": ({"chinese": 0.4}, "language"),
    "arbitrators who rule otherwise": ({"arbitrator_noise": 0.25}, "covered"),
}
SHORT, LONG = 1, 40


@pytest.fixture(scope="module")
def classifier() -> RulingClassifier:
    return RulingClassifier.load(SHIPPED_DIR / "ruling")


@pytest.fixture(scope="module")
def pool() -> StatementPool:
    return load_pool(SHIPPED_DIR / "chat" / "pool.json")


@pytest.fixture(scope="module")
def photo_errors() -> PhotoErrors:
    return load_photo_errors(SHIPPED_DIR)


def test_confidence_and_sets_keep_their_promise_on_a_few_simulated_cases(
    classifier: RulingClassifier, pool: StatementPool, photo_errors: PhotoErrors
) -> None:
    figures = simulated_figures(
        classifier, pool=pool, photo_errors=photo_errors, n_cases=1_000, seed=SEED, least_a_claim=0
    )
    ece, coverage = figures["simulated.ece"], figures["simulated.set_coverage"]
    assert classifier.alpha == pytest.approx(1 - COVERAGE)
    assert ece.low <= MOST_ECE
    assert coverage.low - WITHIN <= COVERAGE <= coverage.high + WITHIN


def test_a_model_too_sure_of_itself_would_be_found_out(
    classifier: RulingClassifier, pool: StatementPool, photo_errors: PhotoErrors
) -> None:
    """The measure itself: the same rulings at tripled odds are no longer calibrated."""
    cases = simulate(1_000, pool=pool, photo_errors=photo_errors, seed=SEED + MEASURE_SEED_OFFSET)
    scores = score_simulated(classifier, cases)
    odds = (scores.confidence / (1 - scores.confidence).clip(1e-9)) * 3
    assert debiased_ece(odds / (1 + odds), scores.correct) > MOST_ECE


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_confidence_and_sets_keep_their_promise_on_twenty_thousand_simulated_cases(
    classifier: RulingClassifier, pool: StatementPool, photo_errors: PhotoErrors, measured: Callable[[str], None]
) -> None:
    figures = simulated_figures(
        classifier, pool=pool, photo_errors=photo_errors, n_cases=20_000, seed=SEED, least_a_claim=2_000
    )
    ece, coverage = figures["simulated.ece"], figures["simulated.set_coverage"]
    measured(
        f"{ece.n} simulated disputes: calibration error {told(ece)}, set coverage {told(coverage)} of {COVERAGE} "
        "promised"
    )
    assert ece.value <= MOST_ECE
    assert coverage.value == pytest.approx(COVERAGE, abs=WITHIN)
    of_claims = {claim: figures[f"simulated.ece.{claim}"] for claim in Claim}
    worst = max(of_claims, key=lambda claim: of_claims[claim].value)
    measured(f"by claim at most {told(of_claims[worst])} ({worst})")
    assert of_claims[worst].value <= MOST_ECE
    for claim in Claim:
        covered, alone = figures[f"simulated.set_coverage.{claim}"], figures[f"simulated.accuracy.{claim}"]
        assert covered.value >= COVERAGE - WITHIN
        if covered.value > COVERAGE + WITHIN:
            # No set is smaller than its first ruling.
            assert alone.value >= covered.value - WITHIN
            measured(f"{claim} is covered {told(covered)}, for its first ruling alone is right in {alone.value:.3f}")


@pytest.mark.long
def test_on_written_cases_the_intervals_contain_the_promise(measured: Callable[[str], None]) -> None:
    suggester = load_suggester(cache_dir=default_cache_dir())
    assert isinstance(suggester.scorer, EvidenceScorer)
    held_out = DATASETS_DIR / "heldout"
    ruled = rule_cases(
        suggester,
        suggester.scorer,
        [case for folder in sorted(held_out.glob("*/cases")) for case in read_written_cases(folder)],
        folder=held_out,
        errors=load_photo_errors(SHIPPED_DIR),
        ruled_on=date(2026, 6, 1),
    )
    figures = ruling_figures(ruled)
    ece, coverage = figures["ruling.ece"], figures["ruling.set_coverage"]
    measured(
        f"{coverage.n} written cases of `datasets/heldout`: set coverage {told(coverage)}, "
        f"calibration error {told(ece)}"
    )
    assert coverage.low <= COVERAGE <= coverage.high
    assert ece.low <= MOST_ECE


@pytest.mark.parametrize("n_windows", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
def test_planted_drift_is_alarmed_and_its_absence_is_not(
    classifier: RulingClassifier,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    measured: Callable[[str], None],
    n_windows: int,
) -> None:
    def seen(n_cases: int, seed: int, changed: dict[str, float] | None = None) -> list[Observation]:
        return observed(
            classifier, simulate(n_cases, pool=pool, photo_errors=photo_errors, seed=seed, parameters=changed)
        )

    def alarms(reference: list[Observation], window: list[Observation]) -> set[str]:
        return {
            one.feature for one in find_drift(Reference.of(reference), window, alpha=classifier.alpha) if one.alarmed
        }

    numbers = range(n_windows)
    references = [seen(500, SEED + number) for number in numbers]
    false_alarms = sum(bool(alarms(references[number], seen(200, SEED + 1_000 + number))) for number in numbers)
    # The most that chance lets 1 in 20 come out as, one time in a hundred.
    assert false_alarms / n_windows <= LEVEL + 2.33 * math.sqrt(LEVEL * (1 - LEVEL) / n_windows)
    told_of = [f"without drift: {false_alarms} of {n_windows} windows of 200 cases alarmed"]
    for name, (changed, feature) in PLANTS.items():
        found = sum(
            feature in alarms(references[number], seen(200, SEED + 1_000 + number, changed)) for number in numbers
        )
        assert found >= 0.9 * n_windows, name
        told_of.append(f"with {name}: {found} of {n_windows}")
    if n_windows == LONG:
        measured("; ".join(told_of))


def observed(classifier: RulingClassifier, cases: list[SimulatedCase]) -> list[Observation]:
    """Return what drift looks at in simulated cases, every one of them ruled blind by its arbitrator."""
    scores = score_simulated(classifier, cases)
    rows = zip(cases, scores.y_prob, scores.covered.tolist(), strict=True)
    return [
        observe(one.evidence.case, covered=covered).model_copy(
            update={"confidence": float(y_prob.max()), "ruling": str(RULINGS[y_prob.argmax()])}
        )
        for one, y_prob, covered in rows
    ]


def told(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
