"""The point of a photo where a mark most likely lies, on cells of 8 pixels: finer than the damage heads see.

Linear in what a cell shows and in how it differs from its surroundings; added to the heads' logits. Knows nothing of
whether the photo is damaged at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from models.encoders import PhotoFeatures
from models.photo_cells import GRID, Array, content_share, double, quarter

FINE_GRID = 2 * GRID
LEVEL_INPUTS = {"stride8": 3 * 40, "stride16": 3 * 112}
_CLIP = 6.0
_SOFTENED_CELLS = 1.0
_AROUND = {"stride8": 13, "stride16": 9}


def point_inputs(features: PhotoFeatures, views: Mapping[str, Array]) -> dict[str, Array]:
    """Return, by level, values in standard units, differences from the surroundings, and their sizes.

    "stride8": (120, 56, 56); "stride16": (336, 28, 28). views : "stride8.mean", "stride8.std" and so on, (channels,)
    """
    fine = content_share(features, cells=FINE_GRID)
    read = {}
    for level, content in (("stride8", fine), ("stride16", quarter(fine))):
        side = _AROUND[level]
        mean, std = views[f"{level}.mean"][:, None, None], views[f"{level}.std"][:, None, None]
        values = np.clip((features.maps[level] - mean) / std, -_CLIP, _CLIP)
        covered = ndimage.uniform_filter(content, side) + 1e-3
        difference = values - ndimage.uniform_filter(values * content, (0, side, side)) / covered
        read[level] = np.concatenate([values, difference, np.abs(difference)]).astype(np.float32)
    return read


def most_marked(features: PhotoFeatures, views: Mapping[str, Array], logits: Array) -> tuple[float, float]:
    """Return the middle (column, row) of the likeliest mark, in cells of the 28 × 28 grid.

    logits : (28, 28), the heads' damage logit of each cell; views : as `point_inputs` reads them, with
        "stride8.weight" (120,), "stride16.weight" (336,), and "heads" (1,), the weight of the heads' logits
    """
    read = point_inputs(features, views)
    coarse = np.tensordot(views["stride16.weight"], read["stride16"], axes=1)
    marked = np.tensordot(views["stride8.weight"], read["stride8"], axes=1) + coarse.repeat(2, 0).repeat(2, 1)
    marked = marked + float(views["heads"][0]) * double(logits[None])[0]
    marked = ndimage.gaussian_filter(marked, _SOFTENED_CELLS)
    content = content_share(features, cells=FINE_GRID)
    marked = np.where(content >= min(0.5, float(content.max())), marked, -np.inf)
    row, column = (int(place) for place in np.unravel_index(marked.argmax(), marked.shape))
    return (column + 0.5) / 2, (row + 0.5) / 2
