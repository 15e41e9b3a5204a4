"""The pointer finds the marked cell of 8 pixels and never padding; known weights are the oracle."""

import numpy as np
from numpy.typing import NDArray

from models.encoders import PhotoFeatures
from models.photo_cells import GRID
from models.photo_point import FINE_GRID, LEVEL_INPUTS, most_marked, point_inputs

CHANNELS = {"stride8": 40, "stride16": 112}


def make_features(*, marked: tuple[int, int]) -> PhotoFeatures:
    """Return features of a photo twice as wide as high, zero but for channel 2 of one cell of 8 pixels."""
    maps: dict[str, NDArray[np.float32]] = {
        "stride8": np.zeros((40, FINE_GRID, FINE_GRID), np.float32),
        "stride16": np.zeros((112, GRID, GRID), np.float32),
    }
    maps["stride8"][2, marked[0], marked[1]] = 5.0
    thumbnail = np.zeros((112, 112, 3), np.uint8)
    return PhotoFeatures(maps=maps, thumbnail=thumbnail, scale=2.0, offset=(0, 112), size=(896, 448))


def make_views(*, heads: float = 0.0) -> dict[str, NDArray[np.float32]]:
    """Return weights that look for what differs from its surroundings in channel 2."""
    views = {f"{level}.mean": np.zeros(n, np.float32) for level, n in CHANNELS.items()}
    views |= {f"{level}.std": np.ones(n, np.float32) for level, n in CHANNELS.items()}
    views |= {f"{level}.weight": np.zeros(n, np.float32) for level, n in LEVEL_INPUTS.items()}
    views["stride8.weight"][2 * 40 + 2] = 1.0
    views["heads"] = np.array([heads], np.float32)
    return views


def test_it_points_at_the_marked_cell() -> None:
    column, row = most_marked(make_features(marked=(27, 40)), make_views(), np.zeros((GRID, GRID), np.float32))
    assert (column, row) == (20.25, 13.75)


def test_it_never_points_at_padding() -> None:
    _, row = most_marked(make_features(marked=(3, 40)), make_views(), np.zeros((GRID, GRID), np.float32))
    assert 7 <= row < 21


def test_the_heads_are_heard() -> None:
    logits = np.zeros((GRID, GRID), np.float32)
    logits[10:13, 4:7] = 10.0
    column, row = most_marked(make_features(marked=(27, 40)), make_views(heads=5.0), logits)
    assert 4 <= column < 7
    assert 10 <= row < 13


def test_an_even_photo_differs_nowhere_from_its_surroundings() -> None:
    features = make_features(marked=(27, 40))
    features.maps["stride16"][:] = 3.0
    read = point_inputs(features, make_views())["stride16"]
    assert np.abs(read[112:, 9:19, 6:22]).max() < 0.02
