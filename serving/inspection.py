"""Inspecting the photos of a case: looked up among all stored photos, then `models.integrity.inspect`.

The fingerprints of all photos are held in memory, about 2.4 kB each, and grow as photos come in. What is found is kept
with the case version; it moves no suggestion. Knows nothing of HTTP.
"""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from PIL import Image

from models.errors import ImageError
from models.fingerprint import PhotoIndex, asked_views, features, from_bytes, same_photo
from models.images import open_photo
from models.integrity import IntegrityReport, ReadsText, ReusedPhoto, ScreenshotText, inspect
from models.privacy import mask
from models.vocabulary import PhotoRole
from serving.case_files import read_case_file
from serving.photo_store import PhotoStore
from serving.records import StoredVersion
from serving.refusals import PhotoCorruptError
from serving.store import Store

_SIDE = 1024
_LATE_COMMITS = timedelta(minutes=5)
_MAX_PLACES = 5


class Inspector:
    """reader : reads screenshots; None leaves them unread"""

    def __init__(self, store: Store, photos: PhotoStore, *, reader: ReadsText | None) -> None:
        self.store = store
        self.photos = photos
        self.reader = reader
        self._index = PhotoIndex()
        self._indexed: set[str] = set()
        self._newest: datetime | None = None
        self._turn = threading.Lock()

    def inspect(self, version: StoredVersion, *, by: str) -> IntegrityReport:
        """Inspect the photos of a case version and keep what was found, read text masked. by : whoever asked"""
        with self._turn:
            self._refresh()
            reused = list(self._reused(version))
        report = inspect(read_case_file(version, self.photos), reused=reused, reader=self.reader)
        report = report.model_copy(
            update={
                "findings": tuple(
                    finding.model_copy(update={"absent": tuple(mask(line) for line in finding.absent)})
                    if isinstance(finding, ScreenshotText)
                    else finding
                    for finding in report.findings
                )
            }
        )
        self.store.photo_checks.keep(version, report, by=by)
        return report

    def _refresh(self) -> None:
        since = self._newest - _LATE_COMMITS if self._newest is not None else None
        new = [item for item in self.store.photo_checks.fingerprints_since(since) if item.digest not in self._indexed]
        self._index.add((item.digest, from_bytes(item.fingerprint)) for item in new)
        self._indexed |= {item.digest for item in new}
        if new:
            self._newest = max(item.created_at for item in new)

    def _reused(self, version: StoredVersion) -> Iterable[ReusedPhoto]:
        """Yield where photos of the case stand in cases of other orders; a listing's picture may be anywhere."""
        case = version.case
        for photo in case.photos:
            digest = version.digests.get(photo.photo_id)
            if digest is None or photo.role == PhotoRole.LISTING:
                continue
            for known, overlap, mirrored in self._looked_up(digest):
                for other, there in self.store.photo_checks.places_of(
                    known, apart_from=version.case_key, limit=_MAX_PLACES
                ):
                    at_home = other.platform == case.platform  # ids are the platform's own
                    same_seller = at_home and other.order.seller_id == case.order.seller_id
                    same_order = at_home and other.order.order_id == case.order.order_id
                    if same_order or (same_seller and there.role == PhotoRole.LISTING):
                        continue
                    yield ReusedPhoto(
                        ref=photo.photo_id,
                        other_platform=other.platform,
                        other_case_id=other.case_id,
                        other_ref=there.photo_id,
                        same_buyer=at_home and other.order.buyer_id == case.order.buyer_id,
                        same_seller=same_seller,
                        overlap=overlap,
                        mirrored=mirrored,
                    )

    def _looked_up(self, digest: str) -> Iterable[tuple[str, float, bool]]:
        """Yield digest, overlap and mirroring of every stored photo that shows the same picture, itself included."""
        yield digest, 1.0, False
        image = self._opened(digest)
        if image is None:
            return
        found = {digest}
        for asked, mirrored in asked_views(image):
            for candidate in self._index.candidates(asked.words):
                known = self._opened(candidate) if candidate not in found else None
                same = same_photo(asked, features(known), mirrored=mirrored) if known is not None else None
                if same is not None:
                    found.add(candidate)
                    yield candidate, same.overlap, mirrored

    def _opened(self, digest: str) -> Image.Image | None:
        try:
            return open_photo(self.photos.get(digest), needed_side=_SIDE).image
        except (ImageError, PhotoCorruptError):
            return None
