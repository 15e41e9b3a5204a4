"""What is tested for drift, what is told of it, and what a reference holds."""

import numpy as np

from models.drift import MAX_REFERENCE, MAX_WINDOW, MIN_LABELS, MIN_REFERENCE, Reference, find_drift
from training.drift_trials import ALPHA, PLANTS, draw_observations, plant


def test_the_cases_that_show_it_are_named() -> None:
    rng = np.random.default_rng(3)
    reference, window = Reference.of(draw_observations(rng, MAX_REFERENCE)), draw_observations(rng, MAX_WINDOW)
    for drift in PLANTS[:2]:
        window = plant(drift, window, rng)
    found = {one.feature: one for one in find_drift(reference, window, alpha=ALPHA)}
    length, language = found["message_length"], found["language"]
    assert (length.alarmed, length.now > length.before) == (True, True)
    longest = sorted((one.message_length for one in window), reverse=True)[:5]
    assert [window[place].message_length for place in length.shown_by] == longest
    assert language.category == "en"
    assert {window[place].language for place in language.shown_by} == {"en"}


def test_too_few_decisions_are_not_tested() -> None:
    rng = np.random.default_rng(5)
    undecided = [
        one.model_copy(update={"overridden": None, "covered": None}) for one in draw_observations(rng, MAX_WINDOW)
    ]
    few = [one.model_copy(update={"covered": False}) for one in undecided[: MIN_LABELS - 1]]
    tested = {
        one.feature
        for one in find_drift(Reference.of(draw_observations(rng, MAX_REFERENCE)), [*undecided, *few], alpha=ALPHA)
    }
    assert tested.isdisjoint({"overridden", "covered"})


def test_a_category_that_is_always_the_same_is_no_drift() -> None:
    rng = np.random.default_rng(5)
    same = [one.model_copy(update={"platform": "taobao"}) for one in draw_observations(rng, MAX_REFERENCE)]
    assert "platform" not in {one.feature for one in find_drift(Reference.of(same), same[:MAX_WINDOW], alpha=ALPHA)}


def test_a_reference_holds_no_case_only_each_feature_by_itself() -> None:
    seen = draw_observations(np.random.default_rng(5), MIN_REFERENCE)
    reference = Reference.of(seen)
    assert list(reference.numbers["confidence"]) == sorted(one.confidence for one in seen)
    assert sum(reference.kinds["claim"].values()) == MIN_REFERENCE
    assert reference.overridden == (
        sum(bool(one.overridden) for one in seen),
        sum(one.overridden is not None for one in seen),
    )
    assert Reference.of(seen[1:]).features == {"overridden"}


def test_what_a_reference_lacks_is_taken_from_another_and_nothing_else() -> None:
    rng = np.random.default_rng(5)
    unseen = {"confidence": None, "photos": None, "ruling": None, "abstained": None, "overridden": None}
    came_in = Reference.of([one.model_copy(update=unseen) for one in draw_observations(rng, MAX_REFERENCE)])
    first = Reference.of(draw_observations(rng, MAX_REFERENCE))
    assert came_in.features == {"message_length", "n_messages", "language", "claim", "platform"}
    both = came_in.or_else(first)
    assert both.features == first.features
    assert both.numbers["message_length"] == came_in.numbers["message_length"]
    assert both.numbers["confidence"] == first.numbers["confidence"]
