"""Photos on their way in and out: the decode is the check, and what pages show is re-encoded.

A decoded photo may take 120 MB, so only so many are decoded at a time. Knows nothing of cases or HTTP.
"""

import io
import threading

from PIL import Image

from models.fingerprint import features, to_bytes
from models.images import open_photo
from serving.photo_store import PhotoStore
from serving.records import NewPhoto

PREVIEW_SIDE = 1280


class PhotoIntake:
    """max_bytes : largest photo taken; turns : photos decoded at a time"""

    def __init__(self, photos: PhotoStore, *, max_bytes: int, turns: int = 2) -> None:
        self.photos = photos
        self.max_bytes = max_bytes
        self._turns = threading.BoundedSemaphore(turns)

    def check(self, data: bytes) -> tuple[int, int]:
        """Return width and height, upright, in pixels. Raises ImageTooLargeError, ImageUnreadableError."""
        with self._turns:
            return open_photo(data, max_bytes=self.max_bytes).image.size

    def keep(self, data: bytes) -> NewPhoto:
        """Check a photo and keep its bytes as filed. Raises ImageError, StorageError."""
        with self._turns:
            image = open_photo(data, max_bytes=self.max_bytes).image
            fingerprint = to_bytes(features(image).words)
        return NewPhoto(self.photos.put(data), len(data), image.width, image.height, fingerprint)

    def original(self, digest: str) -> tuple[bytes, str]:
        """Return the bytes as filed and their media type. Raises PhotoCorruptError."""
        data = self.photos.get(digest)
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            return data, Image.MIME.get(image.format or "", "application/octet-stream")

    def preview(self, digest: str) -> bytes:
        """Return an upright JPEG, at most PREVIEW_SIDE pixels on its longer side, without the original's metadata."""
        data = self.photos.get(digest)
        with self._turns:
            image = open_photo(data, needed_side=PREVIEW_SIDE).image
            image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
            clean = Image.new("RGB", image.size)
            clean.paste(image)
            out = io.BytesIO()
            clean.save(out, "JPEG", quality=88)
        return out.getvalue()
