"""Turned hues: colours change, lightness and greys don't."""

import math

import numpy as np
from PIL import Image

from training.recolouring import turn_hues


def test_greys_and_white_stay() -> None:
    greys = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2))

    turned = np.asarray(turn_hues(greys, angle=2.0), np.int16)

    assert np.abs(turned - np.asarray(greys)).max() <= 1


def test_a_full_turn_changes_nothing_and_half_a_turn_does() -> None:
    colour = Image.new("RGB", (2, 2), (150, 90, 100))

    assert np.abs(np.asarray(turn_hues(colour, angle=2 * math.pi), np.int16) - (150, 90, 100)).max() <= 1
    assert np.abs(np.asarray(turn_hues(colour, angle=math.pi), np.int16) - (150, 90, 100)).max() > 30


def test_lightness_stays() -> None:
    colour = Image.new("RGB", (1, 1), (150, 90, 100))
    weights = np.array([0.299, 0.587, 0.114])

    turned = np.asarray(turn_hues(colour, angle=1.0))[0, 0] @ weights

    assert abs(turned - np.array([150, 90, 100]) @ weights) < 2
