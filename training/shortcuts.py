"""What a classifier could tell without looking at the goods: background, borders, colours, file traits.

The sources of the photos differ in rulers, backgrounds, resolution and JPEG quality. A figure that a control reaches as
well is no proof that goods were looked at. Knows no classifier.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.photo_scene import find_object

_GREY = (127, 127, 127)
_FOUND_AT_SIDE = 224
_MIDDLE = 0.84
_BORDER = 0.08
_BINS = 8
FILE_TRAITS = ("log_width", "log_height", "log_bytes_per_pixel", "quantisation", "has_exif", "is_png")

Floats = NDArray[np.float64]
Alteration = Callable[[Image.Image], Image.Image]


def background_only(image: Image.Image) -> Image.Image:
    """Return the photo with its object painted grey; where none stands out, the middle ellipse of 84 % each way."""
    small = image.copy()
    small.thumbnail((_FOUND_AT_SIDE, _FOUND_AT_SIDE))
    found = find_object(np.asarray(small.convert("RGB"), np.float32))
    if found is None:
        mask = Image.new("L", image.size, 0)
        width, height = image.size
        margin_x, margin_y = width * (1 - _MIDDLE) / 2, height * (1 - _MIDDLE) / 2
        ImageDraw.Draw(mask).ellipse((margin_x, margin_y, width - margin_x, height - margin_y), fill=255)
    else:
        grown = Image.fromarray(found.astype(np.uint8) * 255).resize(image.size, Image.Resampling.BILINEAR)
        mask = grown.point(lambda value: 255 if value > 0 else 0)
    altered = image.convert("RGB")
    altered.paste(_GREY, mask=mask)
    return altered


def borders_only(image: Image.Image) -> Image.Image:
    """Return the photo with everything but its outer 8 % painted grey."""
    altered = image.convert("RGB")
    width, height = image.size
    margin_x, margin_y = round(width * _BORDER), round(height * _BORDER)
    altered.paste(_GREY, (margin_x, margin_y, width - margin_x, height - margin_y))
    return altered


ALTERATIONS: dict[str, Alteration] = {"background_only": background_only, "borders_only": borders_only}


def colours(image: Image.Image) -> Floats:
    """Return the share of each of 8 × 8 × 8 RGB colours, shape (512,), summing to 1."""
    small = image.convert("RGB")
    small.thumbnail((_FOUND_AT_SIDE, _FOUND_AT_SIDE))
    pixels = np.asarray(small, np.float64).reshape(-1, 3)
    counts, _ = np.histogramdd(pixels, bins=_BINS, range=((0, 256),) * 3)
    return np.asarray(counts.ravel() / counts.sum(), np.float64)


def file_traits(data: bytes) -> Floats:
    """Return what the file says without a look at the picture, shape (n_traits,), in the order of FILE_TRAITS.

    quantisation : mean of the JPEG's first table, high where it was compressed hard; 0 for other formats
    """
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
        tables = getattr(image, "quantization", None)
        quantisation = float(np.mean(tables[min(tables)])) if tables else 0.0
        width, height = image.size
        return np.array(
            [
                np.log(width),
                np.log(height),
                np.log(len(data) / (width * height)),
                quantisation,
                float(bool(image.getexif())),
                float(image.format == "PNG"),
            ]
        )


def fit_control(X: Floats, y_true: NDArray[np.bool_], train: NDArray[np.bool_]) -> Floats:
    """Return the probabilities of a logistic regression fitted on the training rows, for the other rows.

    X : shape (n_photos, n_features); y_true, train : shape (n_photos,)
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced"))
    model.fit(X[train], y_true[train])
    return np.asarray(model.predict_proba(X[~train])[:, 1], np.float64)
