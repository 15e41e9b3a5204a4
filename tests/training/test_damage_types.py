"""A few labelled photos of a new type teach the classifier that type and change nothing it knew."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import CalibrationError
from models.photo import PhotoReading
from models.photo_cells import GRID, N_SUMMARY
from models.photo_types import TypeExpert, with_experts
from training.damage_types import learn_type

N_DIMS = 8


def make_readings(damaged: NDArray[np.bool_], *, seed: int) -> list[PhotoReading]:
    """Return photos of one type: a code near the first axis, and damage that shows in the first 300 inputs."""
    rng = np.random.default_rng(seed)
    readings = []
    for harmed in damaged:
        inputs = rng.normal(0, 0.3, N_SUMMARY).astype(np.float32)
        inputs[:300] += 0.5 if harmed else -0.5
        code = np.eye(N_DIMS)[0] + rng.normal(0, 0.05, N_DIMS)
        code = (code / np.linalg.norm(code)).astype(np.float32)
        cells = np.zeros((GRID, GRID), np.float32)
        readings.append(PhotoReading(0.0, 0.0, cells, cells == 0, inputs, code, base=float(rng.normal())))
    return readings


@pytest.fixture(scope="module")
def expert() -> TypeExpert:
    damaged = np.arange(20) % 2 == 0
    return learn_type(make_readings(damaged, seed=0), damaged, product="box")


def test_twenty_photos_teach_a_new_type(expert: TypeExpert) -> None:
    damaged = np.arange(40) < 20
    readings = make_readings(damaged, seed=1)
    elsewhere = np.eye(N_DIMS, dtype=np.float32)[3:6]
    logits = [with_experts([expert], elsewhere, r.code, r.inputs, r.base) for r in readings]
    assert min(logits[:20]) > max(logits[20:])


def test_goods_of_other_types_keep_their_score(expert: TypeExpert) -> None:
    reading = make_readings(np.array([True]), seed=2)[0]
    known = np.eye(N_DIMS, dtype=np.float32)[3:6]
    assert with_experts([expert], known, known[0], reading.inputs, -1.5) == -1.5


def test_where_the_photos_teach_nothing_the_classifiers_own_score_leads() -> None:
    damaged = np.arange(40) % 2 == 0
    readings = []
    for reading, harmed in zip(make_readings(damaged, seed=3), damaged, strict=True):
        inputs = np.where(np.arange(N_SUMMARY) < 300, 0, reading.inputs).astype(np.float32)
        base = 2.0 if harmed else -2.0
        readings.append(PhotoReading(0.0, 0.0, reading.logits, reading.seen, inputs, reading.code, base=base))
    learned = learn_type(readings, damaged, product="box")
    assert learned.logit(np.zeros(N_SUMMARY, np.float32), 2.0) > learned.logit(np.zeros(N_SUMMARY, np.float32), -2.0)
    assert learned.trust > 0


@pytest.mark.parametrize("damaged", [[True] * 4 + [False] * 4, [True] * 18 + [False] * 2])
def test_too_few_photos_or_one_kind_are_refused(damaged: list[bool]) -> None:
    with pytest.raises(CalibrationError):
        learn_type(make_readings(np.array(damaged), seed=0), np.array(damaged), product="box")
