"""Heat maps: where the machine sees damage in a photo, as a transparent picture to lay over it. Knows no page."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.case_views import view_for
from serving.house import House
from serving.records import CaseKey, Person
from serving.refusals import UnknownError

_RED = (226, 32, 32)


def heat_picture_of(house: House, key: CaseKey, photo_id: str, *, person: Person) -> bytes:
    """Return the heat map of a photo as a PNG. It is a part of the suggestion: whoever gets it was shown that.

    Raises UnknownError without such a photo or a model that draws one, and while what the machine says is hidden or
    withheld.
    """
    digest = house.store.version(key).digests.get(photo_id)
    if digest is None or house.store.view(key).suggestion is None:
        raise UnknownError("heat map", photo_id)
    cells = house.scoring.heat_map(house.photos.get(digest))
    if cells is None or view_for(house, key, person=person).suggestion is None:
        raise UnknownError("heat map", photo_id)
    return heat_picture(cells)


def heat_picture(cells: NDArray[np.float32]) -> bytes:
    """Return cells in [0, 1] as a PNG that lets the photo through where nothing is found."""
    pixels = np.zeros((*cells.shape, 4), np.uint8)
    pixels[..., :3] = _RED
    pixels[..., 3] = np.clip(cells * 255, 0, 255)
    out = io.BytesIO()
    large = (cells.shape[1] * 8, cells.shape[0] * 8)
    Image.fromarray(pixels, "RGBA").resize(large, Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()
