"""Planted drift is found, and windows without any raise at most one alarm in twenty."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from models.drift import MIN_LABELS, Observation, find_drift

N_REFERENCE, N_WINDOW, ALPHA = 500, 200, 0.1
CLAIMS = ("damaged", "not_as_described", "quality_defect", "missing_item", "counterfeit", "change_of_mind")
RULINGS = ("refund", "return_and_refund", "partial_refund", "dismiss")
Rng = np.random.Generator


def cases(rng: Rng, n_cases: int) -> list[Observation]:
    """Draw cases whose features hang together: confident cases are overridden less, damage comes with photos."""
    claim = rng.choice(CLAIMS, n_cases, p=(0.35, 0.25, 0.2, 0.12, 0.05, 0.03))
    confidence = rng.beta(5, 2, n_cases)
    photos = np.where(rng.random(n_cases) < 0.08, "unfamiliar", "familiar")
    overridden = rng.random(n_cases) < 0.3 * (1 - confidence) + 0.1
    columns = {
        "message_length": rng.lognormal(2.6, 0.5, n_cases).round(1),
        "n_messages": rng.poisson(9, n_cases),
        "confidence": confidence,
        "language": np.where(rng.random(n_cases) < 0.9, "zh", "en"),
        "claim": claim,
        "platform": rng.choice(("taobao", "jd", "ebay"), n_cases, p=(0.7, 0.25, 0.05)),
        "photos": np.where(claim == "damaged", photos, "none"),
        "ruling": rng.choice(RULINGS, n_cases, p=(0.3, 0.35, 0.1, 0.25)),
        "abstained": np.where(confidence < 0.45, "yes", "no"),
        "overridden": np.where(rng.random(n_cases) < 0.8, overridden, None),
        "covered": np.where(rng.random(n_cases) < 0.2, rng.random(n_cases) < 1 - ALPHA, None),
    }
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [Observation.model_construct(**dict(zip(columns, row, strict=True))) for row in rows]


def alarms(reference: list[Observation], window: list[Observation]) -> set[str]:
    return {one.feature for one in find_drift(reference, window, alpha=ALPHA) if one.alarmed}


def test_at_most_one_window_in_twenty_without_drift_raises_an_alarm() -> None:
    rng = np.random.default_rng(7)
    n_windows, alarmed = 200, 0
    for window in range(n_windows):
        if window % 4 == 0:
            reference = cases(rng, N_REFERENCE)
        alarmed += bool(alarms(reference, cases(rng, N_WINDOW)))
    # The most that chance lets 1 in 20 come out as, one time in a hundred.
    assert alarmed / n_windows <= 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / n_windows)


def longer(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"message_length": one.message_length * 1.5})


def another_language(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"language": "en"} if rng.random() < 0.15 else {})


def a_new_platform(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"platform": "pdd"} if rng.random() < 0.15 else {})


def other_claims(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"claim": "counterfeit"} if rng.random() < 0.15 else {})


def strange_photos(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"photos": "unfamiliar"} if one.photos == "familiar" and rng.random() < 0.6 else {})


def less_sure(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"confidence": one.confidence**1.8})


def overridden_more(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"overridden": True} if one.overridden is False and rng.random() < 0.3 else {})


def sets_that_miss(one: Observation, rng: Rng) -> Observation:
    return one.model_copy(update={"covered": False} if one.covered and rng.random() < 0.35 else {})


@pytest.mark.parametrize(
    ("plant", "feature"),
    [
        (longer, "message_length"),
        (another_language, "language"),
        (a_new_platform, "platform"),
        (other_claims, "claim"),
        (strange_photos, "photos"),
        (less_sure, "confidence"),
        (overridden_more, "overridden"),
        (sets_that_miss, "covered"),
    ],
)
def test_planted_drift_is_found_in_nine_windows_of_ten(
    plant: Callable[[Observation, Rng], Observation], feature: str
) -> None:
    rng = np.random.default_rng(11)
    reference = cases(rng, N_REFERENCE)
    found = [feature in alarms(reference, [plant(one, rng) for one in cases(rng, N_WINDOW)]) for _ in range(10)]
    assert sum(found) >= 9


def test_the_cases_that_show_it_are_named() -> None:
    rng = np.random.default_rng(3)
    reference, window = cases(rng, N_REFERENCE), cases(rng, N_WINDOW)
    window = [longer(another_language(one, rng), rng) for one in window]
    found = {one.feature: one for one in find_drift(reference, window, alpha=ALPHA)}
    length, language = found["message_length"], found["language"]
    assert (length.alarmed, length.now > length.before) == (True, True)
    longest = sorted((one.message_length for one in window), reverse=True)[:5]
    assert [window[place].message_length for place in length.shown_by] == longest
    assert language.category == "en"
    assert {window[place].language for place in language.shown_by} == {"en"}


def test_too_few_decisions_are_not_tested() -> None:
    rng = np.random.default_rng(5)
    undecided = [one.model_copy(update={"overridden": None, "covered": None}) for one in cases(rng, N_WINDOW)]
    few = [one.model_copy(update={"covered": False}) for one in undecided[: MIN_LABELS - 1]]
    tested = {one.feature for one in find_drift(cases(rng, N_REFERENCE), [*undecided, *few], alpha=ALPHA)}
    assert tested.isdisjoint({"overridden", "covered"})


def test_a_category_that_is_always_the_same_is_no_drift() -> None:
    rng = np.random.default_rng(5)
    same = [one.model_copy(update={"platform": "taobao"}) for one in cases(rng, N_REFERENCE)]
    assert "platform" not in {one.feature for one in find_drift(same, same[:N_WINDOW], alpha=ALPHA)}
