"""Untrusted bytes → upright RGB photos.

The decode is the check: only JPEG, PNG and WEBP are tried, whatever the file's name says. Byte and pixel caps hold
before any pixel is decoded. Knows nothing of where bytes come from or of what a photo shows.
"""

import io
import struct
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import ImageTooLargeError, ImageUnreadableError

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PHOTO_BYTES = 20_000_000
MAX_PHOTO_PIXELS = 40_000_000
# What Pillow's decoders and its reading of EXIF raise on damaged bytes.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    struct.error,
)


@dataclass(frozen=True)
class UprightPhoto:
    """A decoded photo, EXIF rotation applied.

    image : RGB, maybe smaller than the original
    scale : original pixels per pixel of `image`, >= 1
    """

    image: Image.Image
    scale: float


def open_photo(
    data: bytes,
    *,
    max_bytes: int = MAX_PHOTO_BYTES,
    max_pixels: int = MAX_PHOTO_PIXELS,
    needed_side: int | None = None,
) -> UprightPhoto:
    """Decode `data` into an upright RGB photo.

    needed_side : if given, a JPEG may be decoded at a fraction of its size, its longer side never below this (pixels)
    Raises ImageTooLargeError over a cap, ImageUnreadableError if it is no JPEG, PNG or WEBP, or is damaged.
    """
    if len(data) > max_bytes:
        raise ImageTooLargeError(f"photo has {len(data)} bytes, at most {max_bytes} are taken")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise ImageTooLargeError(f"photo has {width}x{height} pixels, at most {max_pixels} are taken")
                longer = max(width, height)
                if needed_side is not None and image.format in ("JPEG", "MPO") and longer > needed_side:
                    shrunk = [max(1, side * needed_side // longer) for side in (width, height)]
                    image.draft("RGB", (shrunk[0], shrunk[1]))
                upright = ImageOps.exif_transpose(image)
                return UprightPhoto(_to_rgb(upright), longer / max(upright.size))
    except ImageTooLargeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError("photo has too many pixels") from error
    except UnidentifiedImageError as error:
        raise ImageUnreadableError("photo is not a JPEG, PNG or WEBP") from error
    except DECODER_ERRORS as error:
        raise ImageUnreadableError(f"photo is damaged: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Flatten transparency onto white, as shops' pages do."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    if image.mode in ("I", "I;16", "F"):
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    return image.convert("RGB")
