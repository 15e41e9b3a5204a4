"""The ruling classifier starts from the rules, learns departures from them, and keeps its weights exactly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.burden import Order
from models.calibration import debiased_ece
from models.errors import CalibrationError, NotFittedError, WeightsError
from models.evidence import Finding
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings
from models.ruling import FEATURES, RULINGS, RulingClassifier, features, ruling_prior
from models.vocabulary import Claim, Responsible, Ruling
from tests.builders import build_case
from tests.suggesters import drawn_rulings, fitted_ruling

REFUND = Order(Ruling.REFUND, Responsible.SELLER, "seller", None)
DISMISS = Order(Ruling.DISMISS, Responsible.BUYER, "buyer", None)
CARRIER = Order(Ruling.REFUND, Responsible.CARRIER, "seller", None)


def no_findings() -> Findings:
    return Findings(dict.fromkeys(PROPOSITIONS, Finding(0.25)), {remedy: Finding(0.125) for remedy in AGREED_REMEDIES})


def test_the_prior_adds_up_orders_of_one_ruling() -> None:
    prior = ruling_prior({REFUND: 0.5, CARRIER: 0.2, DISMISS: 0.3})
    assert prior.sum() == pytest.approx(1)
    assert prior[RULINGS.index(Ruling.REFUND)] == pytest.approx(0.7)


def test_features_stand_in_the_order_of_their_names() -> None:
    case = build_case(claim="counterfeit", requested="replace")
    named = dict(zip(FEATURES, features(case, no_findings(), {REFUND: 1.0}), strict=True))
    assert named["rules:refund"] == pytest.approx(np.log(1.01))
    assert named["rules:dismiss"] == pytest.approx(np.log(0.01))
    assert named["finding:delivery"] == 0.25
    assert named["agreed:replace"] == 0.125
    assert [name for name in FEATURES if name.startswith("claim:") and named[name]] == ["claim:counterfeit"]
    assert [name for name in FEATURES if name.startswith("requested:") and named[name]] == ["requested:replace"]


def test_on_outcomes_drawn_from_the_rules_it_stays_with_the_rules() -> None:
    X, _ = drawn_rulings(300, seed=5)
    prior = np.exp(X[:, : len(RULINGS)]) - 0.01
    found = fitted_ruling().predict_proba(X)
    assert np.abs(found - prior).mean() < 0.05
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_it_learns_where_arbitrators_depart_from_the_rules() -> None:
    X, y_true = drawn_rulings(1_000, seed=6)
    place = FEATURES.index("finding:keeps_goods")
    X[::2, place] = 1.0
    y_true[::2] = RULINGS.index(Ruling.PARTIAL_REFUND)
    fitted = RulingClassifier(C=1.0).fit(X[:900], y_true[:900], calibration=(X[900:], y_true[900:]))
    keeps, plain = fitted.predict_proba(X[900:902])[:, RULINGS.index(Ruling.PARTIAL_REFUND)]
    assert keeps > 0.7
    assert plain < 0.5


def test_its_confidence_and_sets_hold_on_cases_never_seen() -> None:
    X, y_true = drawn_rulings(4_000, seed=7)
    found = fitted_ruling().predict_proba(X)
    assert found.max(axis=1).mean() == pytest.approx((found.argmax(axis=1) == y_true).mean(), abs=0.05)
    sets = fitted_ruling().predict_sets(found, [Claim.DAMAGED] * len(y_true))
    covered = sets[np.arange(len(y_true)), y_true]
    assert covered.mean() == pytest.approx(0.9, abs=0.03)


def _drawn_by_claim(n_cases: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, list[Claim]]:
    """Return rulings that follow the rules in damage cases and half of the time anything in return cases."""
    X, y_true = drawn_rulings(n_cases, seed=seed)
    rng = np.random.default_rng(seed)
    hard = rng.random(n_cases) < 0.25
    wild = hard & (rng.random(n_cases) < 0.5)
    y_true[wild] = rng.integers(len(RULINGS), size=int(wild.sum()))
    claims = [Claim.RETURN_NOT_REFUNDED if one else Claim.DAMAGED for one in hard]
    X[:, [FEATURES.index(f"claim:{claim}") for claim in Claim]] = 0.0
    for row, claim in enumerate(claims):
        X[row, FEATURES.index(f"claim:{claim}")] = 1.0
    return X, y_true, claims


def test_confidence_and_sets_hold_within_each_claim_though_one_is_harder() -> None:
    X, y_true, _ = _drawn_by_claim(13_000, seed=21)
    fitted = RulingClassifier().fit(X[:1_000], y_true[:1_000], calibration=(X[1_000:], y_true[1_000:]))
    new_X, new_true, claims = _drawn_by_claim(12_000, seed=22)
    found = fitted.predict_proba(new_X)
    covered = fitted.predict_sets(found, claims)[np.arange(len(new_true)), new_true]
    for claim in (Claim.DAMAGED, Claim.RETURN_NOT_REFUNDED):
        rows = np.array([one == claim for one in claims])
        assert covered[rows].mean() == pytest.approx(0.9, abs=0.02)
        assert debiased_ece(found[rows].max(axis=1), found[rows].argmax(axis=1) == new_true[rows]) < 0.04
    assert fitted.threshold_of(Claim.RETURN_NOT_REFUNDED) < fitted.threshold_of(Claim.DAMAGED) - 0.02


def test_a_claim_without_cases_of_its_own_is_calibrated_like_all_together() -> None:
    X, y_true, _ = _drawn_by_claim(2_000, seed=23)
    fitted = RulingClassifier().fit(X[:1_000], y_true[:1_000], calibration=(X[1_000:], y_true[1_000:]))
    assert fitted.threshold_of(Claim.COUNTERFEIT) == fitted.threshold_of(Claim.CHANGE_OF_MIND)
    assert fitted.threshold_of(Claim.RETURN_NOT_REFUNDED) <= fitted.threshold_of(Claim.COUNTERFEIT)


def test_a_probability_never_depends_on_the_other_rows() -> None:
    X, _ = drawn_rulings(50, seed=8)
    together = fitted_ruling().predict_proba(X)
    for place in range(len(X)):
        np.testing.assert_array_equal(together[place], fitted_ruling().predict_proba(X[place : place + 1])[0])
    assert fitted_ruling().predict_proba(X[:0]).shape == (0, len(RULINGS))


def test_the_same_data_gives_the_same_weights() -> None:
    X, y_true = drawn_rulings(80, seed=9)
    one, two = (RulingClassifier().fit(X, y_true, calibration=(X, y_true)) for _ in range(2))
    assert one.fitted_ is not None
    assert two.fitted_ is not None
    np.testing.assert_array_equal(one.fitted_.coef, two.fitted_.coef)


def test_weighted_cases_count_by_their_weight() -> None:
    X, y_true = drawn_rulings(200, seed=10)
    weight = np.r_[np.ones(100), np.zeros(100)]
    by_weight = RulingClassifier().fit(X, y_true, calibration=(X, y_true), sample_weight=weight)
    by_rows = RulingClassifier().fit(X[:100], y_true[:100], calibration=(X, y_true))
    np.testing.assert_allclose(by_weight.predict_proba(X), by_rows.predict_proba(X), atol=1e-4)


def test_too_few_cases_to_calibrate_are_refused() -> None:
    X, y_true = drawn_rulings(60, seed=11)
    with pytest.raises(CalibrationError, match="needs 50 cases, got 49"):
        RulingClassifier().fit(X, y_true, calibration=(X[:49], y_true[:49]))


def test_scoring_before_fit_is_refused(tmp_path: Path) -> None:
    X, _ = drawn_rulings(1, seed=0)
    with pytest.raises(NotFittedError):
        RulingClassifier().predict_proba(X)
    with pytest.raises(NotFittedError):
        RulingClassifier().save(tmp_path)
    with pytest.raises(NotFittedError):
        RulingClassifier().threshold_of(Claim.DAMAGED)


def test_saved_and_loaded_probabilities_are_equal(tmp_path: Path) -> None:
    fitted_ruling().save(tmp_path)
    loaded = RulingClassifier.load(tmp_path)
    X, _ = drawn_rulings(100, seed=12)
    np.testing.assert_allclose(loaded.predict_proba(X), fitted_ruling().predict_proba(X), atol=1e-4)
    assert loaded.alpha == fitted_ruling().alpha
    assert all(loaded.threshold_of(claim) == fitted_ruling().threshold_of(claim) for claim in Claim)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / "ruling.json").read_bytes() == (tmp_path / "ruling.json").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ["other"]}, "made for other features"),
        ({"rulings": ["refund"]}, "made for other features"),
        ({"coef": [[0.0]]}, "made for other features"),
        ({"coef": "none"}, "can't be read"),
        ({"intercept": [float("nan")] * 6}, "no weights"),
        ({"claims": ["damaged"]}, "made for other features"),
        ({"temperatures": [1.0]}, "made for other features"),
        ({"temperatures": [0.0] * len(Claim)}, "no weights"),
        ({"noise": [-0.1] * len(Claim)}, "no weights"),
        ({"thresholds": [2.0] * len(Claim)}, "no weights"),
        ({"C": "much"}, "can't be read"),
    ],
)
def test_weights_of_another_making_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    fitted_ruling().save(tmp_path)
    path = tmp_path / "ruling.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    with pytest.raises(WeightsError, match=message):
        RulingClassifier.load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"features": []'])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(WeightsError, match=r"ruling\.json can't be read"):
        RulingClassifier.load(tmp_path)
    (tmp_path / "ruling.json").write_text(content, encoding="utf-8")
    with pytest.raises(WeightsError, match=r"ruling\.json"):
        RulingClassifier.load(tmp_path)
