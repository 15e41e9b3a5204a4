"""Corrections and heat maps as the case page shows them: what was called wrong already, one press, one picture.

Knows no store.
"""

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from models.errors import InputError
from models.vocabulary import StatementLabel
from serving.desk_records import Correction, CorrectionDraft

_RED = (226, 32, 32)


def wrong(kind: str, ref: str, label: str) -> CorrectionDraft:
    """Return the correction that calls `label` wrong for a piece of evidence. Raises InputError."""
    try:
        if kind == "statement":
            return CorrectionDraft(kind="statement", ref=ref, label=StatementLabel(label), holds=False)
        if kind == "photo":
            return CorrectionDraft(kind="photo", ref=ref, damaged=label != "damaged")
        return CorrectionDraft(kind="listing_match", ref=ref, matches_listing=label != "match")
    except (ValidationError, ValueError) as error:
        raise InputError("can't be corrected", field="ref") from error


def corrected(made: Iterable[Correction]) -> set[tuple[str, str, str]]:
    """Return (kind, ref, label) of every label that was called wrong and not taken back."""
    return {
        (one.said.kind, one.said.ref, label)
        for one in made
        if one.withdrawn_at is None and (label := _label(one.said)) is not None
    }


def _label(said: CorrectionDraft) -> str | None:
    if said.kind == "statement":
        return said.label.value if said.label is not None and said.holds is False else None
    if said.kind == "photo":
        return {True: "intact", False: "damaged", None: None}[said.damaged]
    return {True: "mismatch", False: "match", None: None}[said.matches_listing]


def heat_picture(cells: NDArray[np.float32]) -> bytes:
    """Return cells in [0, 1] as a PNG that lets the photo through where nothing is found."""
    pixels = np.zeros((*cells.shape, 4), np.uint8)
    pixels[..., :3] = _RED
    pixels[..., 3] = np.clip(cells * 255, 0, 255)
    out = io.BytesIO()
    large = (cells.shape[1] * 8, cells.shape[0] * 8)
    Image.fromarray(pixels, "RGBA").resize(large, Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()
