"""A few labelled photos of a new type teach the classifier that type and change nothing it knew."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import CalibrationError
from models.photo_cells import N_SUMMARY
from models.photo_types import TypeExpert, with_experts
from training.damage_types import TypePhotos, learn_type, learning_curve

N_DIMS = 8


def make_photos(damaged: NDArray[np.bool_], *, seed: int, shown: bool = True) -> TypePhotos:
    """Return photos of one type: codes near the first axis, and damage that shows in the first 300 inputs."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0, 0.3, (len(damaged), N_SUMMARY)).astype(np.float32)
    if shown:
        inputs[:, :300] += np.where(damaged, 0.5, -0.5)[:, None]
    codes = np.eye(N_DIMS)[0] + rng.normal(0, 0.05, (len(damaged), N_DIMS))
    codes = (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float32)
    base = rng.normal(0, 1, len(damaged)) if shown else np.where(damaged, 2.0, -2.0)
    return TypePhotos(inputs, base, codes, damaged)


ELSEWHERE = np.eye(N_DIMS, dtype=np.float32)[3:6]


@pytest.fixture(scope="module")
def expert() -> TypeExpert:
    return learn_type(make_photos(np.arange(20) % 2 == 0, seed=0), product="box")


def test_twenty_photos_teach_a_new_type(expert: TypeExpert) -> None:
    photos = make_photos(np.arange(40) < 20, seed=1)
    logits = [
        with_experts([expert], ELSEWHERE, code, inputs, base)
        for code, inputs, base in zip(photos.codes, photos.inputs, photos.base.tolist(), strict=True)
    ]
    assert min(logits[:20]) > max(logits[20:])


def test_goods_of_other_types_keep_their_score(expert: TypeExpert) -> None:
    inputs = make_photos(np.array([True]), seed=2).inputs[0]
    assert with_experts([expert], ELSEWHERE, ELSEWHERE[0], inputs, -1.5) == -1.5


def test_where_the_photos_teach_nothing_the_classifiers_own_score_leads() -> None:
    learned = learn_type(make_photos(np.arange(40) % 2 == 0, seed=3, shown=False), product="box")
    nothing = np.zeros(N_SUMMARY, np.float32)
    assert learned.trust > 0
    assert learned.logit(nothing, 2.0) > learned.logit(nothing, -2.0)


@pytest.mark.parametrize("damaged", [[True] * 4 + [False] * 4, [True] * 18 + [False] * 2])
def test_too_few_photos_or_one_kind_are_refused(damaged: list[bool]) -> None:
    with pytest.raises(CalibrationError):
        learn_type(make_photos(np.array(damaged), seed=0), product="box")


def test_a_learning_curve_leaves_out_sizes_that_leave_too_few_photos() -> None:
    curve = learning_curve(make_photos(np.arange(30) % 2 == 0, seed=4), ELSEWHERE, sizes=(10, 20, 28), n_draws=2)
    assert set(curve) == {10, 20}
    assert np.mean(curve[20]) > 0.9
