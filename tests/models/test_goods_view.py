"""What the matcher reads of a photo: goods weigh, backdrop and padding don't, colours are known ones."""

import numpy as np
import pytest
from PIL import Image

from models.goods_view import COLOUR_BINS, GRID, coarsen, colour_histograms, read_view, to_lab
from tests.listing_goods import TinyEncoder


def test_white_backdrop_and_padding_weigh_nothing() -> None:
    pixels = np.full((100, 200, 3), 255, np.uint8)
    pixels[25:75, 50:150] = (200, 30, 30)

    weight = read_view(TinyEncoder().encode(Image.fromarray(pixels))).weight.reshape(GRID, GRID)

    assert weight[:4].max() == 0
    assert weight[:, :3].max() == 0
    assert weight[6:8, 5:9].min() == 1


def test_an_all_white_photo_is_its_own_goods() -> None:
    view = read_view(TinyEncoder().encode(Image.new("RGB", (80, 80), (255, 255, 255))))

    assert view.weight.min() == 1


def test_cells_hold_the_mean_colour_and_its_spread() -> None:
    view = read_view(TinyEncoder().encode(Image.new("RGB", (64, 64), (255, 0, 0))))

    np.testing.assert_allclose(view.cells[:, -6:-3], np.tile([53.24, 80.09, 67.20], (GRID * GRID, 1)), atol=0.1)
    np.testing.assert_allclose(view.cells[:, -3:], 0, atol=0.05)


def test_lab_of_known_colours() -> None:
    known = {(255, 255, 255): (100, 0, 0), (0, 0, 0): (0, 0, 0), (0, 0, 255): (32.30, 79.19, -107.86)}

    for rgb, lab in known.items():
        np.testing.assert_allclose(to_lab(np.array(rgb, np.uint8)), lab, atol=0.1)


def test_every_pixel_counts_once_in_a_histogram() -> None:
    rng = np.random.default_rng(0)
    lab = to_lab(rng.integers(0, 256, (5, 30, 3), np.uint8))
    mask = np.ones((5, 30), np.float32)
    mask[4] = 0

    shares = colour_histograms(lab, mask)

    assert shares.shape == (5, int(np.prod(COLOUR_BINS)))
    np.testing.assert_allclose(shares.sum(1), [1, 1, 1, 1, 0], atol=1e-5)


@pytest.mark.parametrize("angle", [0, 90, 180])
def test_coarse_cells_keep_the_weighted_mean(angle: int) -> None:
    rng = np.random.default_rng(1)
    pixels = np.full((90, 90, 3), 255, np.uint8)
    pixels[20:70, 30:60] = rng.integers(0, 200, (50, 30, 3))
    view = read_view(TinyEncoder().encode(Image.fromarray(pixels).rotate(angle)))

    coarse = coarsen(view)

    assert len(coarse.weight) == (GRID // 2) ** 2
    for whole, part in ((view.cells, coarse.cells), (view.colours, coarse.colours)):
        before = view.weight @ whole / view.weight.sum()
        after = coarse.weight @ part / coarse.weight.sum()
        np.testing.assert_allclose(before, after, atol=1e-3)
