"""Goods that never were: photos of real goods with every hue turned by one angle, siblings of the real ones.

A listing and its received photos turned alike still match each other; against the real goods they differ by
colour only. That teaches which colours tell siblings apart, which few real families can.
Knows nothing of encoders.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

# YIQ, NTSC 1953: luma and two chroma axes.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def turn_hues(image: Image.Image, *, angle: float) -> Image.Image:
    """Return an RGB image with every hue turned by `angle` (radians), its lightness and all greys kept."""
    turn = np.array(
        [[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]],
    )
    matrix = np.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ
    pixels = np.asarray(image.convert("RGB"), np.float64) @ matrix.T
    return Image.fromarray(np.clip(pixels.round(), 0, 255).astype(np.uint8))
