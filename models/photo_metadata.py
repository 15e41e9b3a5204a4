"""What a photo's file says beside its pixels: when a camera took it, which program wrote it, the small picture inside.

All of it is written by whoever made the file and can be changed or absent; chat programs strip it. Knows nothing of
cases.
"""

import io
import re
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from PIL import ExifTags, Image

from models.errors import ImageError
from models.images import DECODER_ERRORS, FORMATS, open_photo

_EDITORS = re.compile(
    r"photoshop|lightroom|gimp|snapseed|picsart|meitu|美图|xiuxiu|faceu|affinity|paint\.net|pixelmator|canva|facetune|"
    r"photoscape|醒图|黄油相机|vsco|illustrator|imagemagick",
    re.IGNORECASE,
)
_MAX_TEXT = 100
_OFFSET = re.compile(r"^([+-])(\d{2}):(\d{2})$")
_THUMBNAIL_SIDE = 48
_MIN_CORRELATION = 0.6
_MAX_THUMBNAIL_BYTES = 100_000


@dataclass(frozen=True)
class PhotoMetadata:
    """taken_at : aware; read as UTC where the camera wrote no offset, and then zone_known is false
    editor : a program known to edit photos; thumbnail : the small JPEG inside the file
    """

    taken_at: datetime | None = None
    zone_known: bool = False
    editor: str | None = None
    thumbnail: bytes | None = None


def read_metadata(data: bytes) -> PhotoMetadata:
    """Return what the file says; nothing where it is no photo, says nothing, or says it in a broken way."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                exif = image.getexif()
                camera = exif.get_ifd(ExifTags.IFD.Exif)
                software = [exif.get(ExifTags.Base.Software), exif.get(ExifTags.Base.ProcessingSoftware)]
                software += [image.info.get("Software"), image.info.get("software")]
    except (*DECODER_ERRORS, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PhotoMetadata()
    taken_at, zone_known = _moment(
        camera.get(ExifTags.Base.DateTimeOriginal), camera.get(ExifTags.Base.OffsetTimeOriginal)
    )
    editor = next((text for text in map(_text, software) if text and _EDITORS.search(text)), None)
    return PhotoMetadata(taken_at, zone_known, editor, _thumbnail(data))


def thumbnail_differs(data: bytes, thumbnail: bytes) -> bool:
    """Whether the small picture inside a file shows something else than the photo, turned or padded aside.

    False where either can't be decoded.
    """
    try:
        whole = open_photo(data, needed_side=256).image
        small = open_photo(thumbnail).image
    except ImageError:
        return False
    best = max(
        _correlation(_squeezed(whole), _squeezed(_unpadded(small).rotate(turn, expand=True)))
        for turn in (0, 90, 180, 270)
    )
    return best < _MIN_CORRELATION


def _moment(written: object, offset: object) -> tuple[datetime | None, bool]:
    try:
        at = datetime.strptime(_text(written) or "", "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None, False
    zone = _OFFSET.match(_text(offset) or "")
    if zone is None or int(zone[2]) > 14 or int(zone[3]) > 59:
        return at, False
    shift = timedelta(hours=int(zone[2]), minutes=int(zone[3])) * (-1 if zone[1] == "-" else 1)
    return at.replace(tzinfo=timezone(shift)), True


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    printable = "".join(character for character in value if character.isprintable())
    return printable.encode("utf-8", "replace").decode("utf-8").strip()[:_MAX_TEXT] or None


def _thumbnail(data: bytes) -> bytes | None:
    """Return the JPEG that the first EXIF segment carries, found by its own start and end marks."""
    if data[:2] != b"\xff\xd8":
        return None
    segment = data.find(b"Exif\x00\x00", 0, 4096)
    if segment < 4:
        return None
    length = int.from_bytes(data[segment - 2 : segment], "big")
    block = data[segment : segment - 2 + length]
    start, end = block.find(b"\xff\xd8\xff"), block.rfind(b"\xff\xd9")
    return block[start : end + 2] if 0 <= start < end and end - start < _MAX_THUMBNAIL_BYTES else None


def _unpadded(image: Image.Image) -> Image.Image:
    """Cut off black bars: cameras pad a 16:9 photo into a 4:3 thumbnail."""
    box = image.convert("L").point(lambda value: 255 if value > 16 else 0).getbbox()
    return image.crop(box) if box else image


def _squeezed(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(image.convert("L").resize((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE)), np.float64)


def _correlation(
    left: np.ndarray[tuple[int, ...], np.dtype[np.float64]], right: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> float:
    if left.std() < 1 or right.std() < 1:
        return 1.0
    return float(np.corrcoef(left.ravel(), right.ravel())[0, 1])
