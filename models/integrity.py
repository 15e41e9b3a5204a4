"""What photos tell about themselves: reused pictures, times, traces of editing, screenshots against the filed chat.

Evidence quality, never a verdict: nothing here moves a suggestion, and every finding says what it can and can't show
(`meaning`). Detectors of machine-made pictures are not reliable, and none is here. Knows nothing of other cases: who
looks those up hands the findings in.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Protocol

import yaml
from PIL import Image
from pydantic import AwareDatetime, Field

from models.case_file import CaseFile
from models.domain import Case, Frozen, Photo, Probability
from models.errors import ImageError
from models.fingerprint import asked_views, features, same_photo
from models.images import open_photo
from models.photo_metadata import PhotoMetadata, read_metadata, thumbnail_differs
from models.screenshot import absent_lines
from models.vocabulary import LogisticsEventKind, PhotoRole

MAX_SCREENSHOTS = 5
_UNKNOWN_ZONE = timedelta(hours=14)
_SLACK = timedelta(minutes=10)
_SHOWS_GOODS = (PhotoRole.RECEIVED, PhotoRole.PACKAGING, PhotoRole.RETURNED)
_MEANING = Path(__file__).parent / "integrity.yaml"


class ReusedPhoto(Frozen):
    """The same photo stands in another case, of another order."""

    kind: Literal["reused_photo"] = "reused_photo"
    ref: str
    other_platform: str
    other_case_id: str
    other_ref: str
    same_buyer: bool
    same_seller: bool
    overlap: Probability
    mirrored: bool


class ListingPicture(Frozen):
    """A photo filed as of the goods is the listing's own picture."""

    kind: Literal["listing_picture"] = "listing_picture"
    ref: str
    listing_ref: str
    overlap: Probability
    mirrored: bool


class PhotoTime(Frozen):
    """The time a camera wrote into a photo doesn't fit the record; `zone_known` is false where it wrote no offset."""

    kind: Literal["photo_time"] = "photo_time"
    ref: str
    taken_at: AwareDatetime
    zone_known: bool
    problem: Literal["before_shipping", "before_delivery", "after_shipping", "after_sending"]
    against: str
    against_at: AwareDatetime


class EditingTrace(Frozen):
    """A program that edits photos wrote its name, or the small picture inside the file shows something else."""

    kind: Literal["editing_trace"] = "editing_trace"
    ref: str
    trace: Literal["software", "thumbnail"]
    software: str | None = None


class ScreenshotText(Frozen):
    """Lines read from a screenshot that the filed chat doesn't hold."""

    kind: Literal["screenshot_text"] = "screenshot_text"
    ref: str
    n_lines: int
    absent: tuple[str, ...]


IntegrityFinding = Annotated[
    ReusedPhoto | ListingPicture | PhotoTime | EditingTrace | ScreenshotText, Field(discriminator="kind")
]


class IntegrityReport(Frozen):
    """findings : by photo; checked : the checks that could be made, e.g. no screenshot is read without a reader"""

    findings: tuple[IntegrityFinding, ...]
    checked: tuple[str, ...]


class ReadsText(Protocol):
    def __call__(self, data: bytes) -> list[str]:
        """Return the lines of text on a photo. Raises ImageError."""
        ...


class Meaning(Frozen):
    """What a finding can and can't show, in one language."""

    title: str
    can: str
    cannot: str


@cache
def meanings() -> dict[str, dict[Literal["zh", "en"], Meaning]]:
    """Return by finding's kind, then by language, what it can and can't show."""
    content = yaml.safe_load(_MEANING.read_text(encoding="utf-8"))
    return {
        kind: {language: Meaning.model_validate(said) for language, said in both.items()}
        for kind, both in content.items()
    }


def inspect(
    file: CaseFile, *, reused: Sequence[ReusedPhoto] | None = None, reader: ReadsText | None = None
) -> IntegrityReport:
    """Return what the photos of a case tell about themselves; absent and unreadable ones tell nothing.

    reused : found in other cases by whoever knows them; reader : reads screenshots, at most MAX_SCREENSHOTS
    """
    found: list[IntegrityFinding] = [*(reused or ()), *_listing_pictures(file)]
    for photo in file.case.photos:
        data = file.photos.get(photo.photo_id)
        if data is None:
            continue
        metadata = read_metadata(data)
        found += _times(file.case, photo, metadata)
        found += _traces(photo, data, metadata)
    checked = ["listing_picture", "photo_time", "editing_trace"]
    checked += ["reused_photo"] if reused is not None else []
    if reader is not None:
        checked.append("screenshot_text")
        found += _screenshots(file, reader)
    order = {photo.photo_id: place for place, photo in enumerate(file.case.photos)}
    return IntegrityReport(
        findings=tuple(sorted(found, key=lambda item: (order.get(item.ref, 0), item.kind))), checked=tuple(checked)
    )


def _listing_pictures(file: CaseFile) -> list[ListingPicture]:
    opened = {photo.photo_id: image for photo in file.case.photos if (image := _opened(file, photo)) is not None}
    listed = {
        photo.photo_id: features(opened[photo.photo_id])
        for photo in file.case.photos
        if photo.role == PhotoRole.LISTING and photo.photo_id in opened
    }
    found: dict[tuple[str, str], ListingPicture] = {}
    for photo in file.case.photos:
        if not listed or photo.role not in _SHOWS_GOODS or photo.photo_id not in opened:
            continue
        for asked, mirrored in asked_views(opened[photo.photo_id]):
            for listing_ref, known in listed.items():
                same = same_photo(asked, known, mirrored=mirrored)
                if same is not None:
                    picture = ListingPicture(
                        ref=photo.photo_id, listing_ref=listing_ref, overlap=same.overlap, mirrored=mirrored
                    )
                    found.setdefault((photo.photo_id, listing_ref), picture)
    return list(found.values())


def _opened(file: CaseFile, photo: Photo) -> Image.Image | None:
    data = file.photos.get(photo.photo_id)
    if data is None or photo.role not in (*_SHOWS_GOODS, PhotoRole.LISTING):
        return None
    try:
        return open_photo(data, needed_side=1024).image
    except ImageError:
        return None


def _times(case: Case, photo: Photo, metadata: PhotoMetadata) -> list[PhotoTime]:
    """Compare the camera's time with the record, by what the photo is said to show. At most one finding a photo."""
    if metadata.taken_at is None:
        return []
    slack = _SLACK if metadata.zone_known else _UNKNOWN_ZONE
    for problem, against, at in _bounds(case, photo):
        early = problem in ("before_shipping", "before_delivery")
        if (early and metadata.taken_at < at - slack) or (not early and metadata.taken_at > at + slack):
            return [
                PhotoTime(
                    ref=photo.photo_id,
                    taken_at=metadata.taken_at,
                    zone_known=metadata.zone_known,
                    problem=problem,
                    against=against,
                    against_at=at,
                )
            ]
    return []


_Bound = tuple[Literal["before_shipping", "before_delivery", "after_shipping", "after_sending"], str, datetime]


def _bounds(case: Case, photo: Photo) -> list[_Bound]:
    """Return the times that a photo of this role can't lie beyond, strictest meaning first."""
    bounds: list[_Bound] = []
    shipped = _first(case, LogisticsEventKind.SHIPPED)
    arrived = _first(case, LogisticsEventKind.DELIVERED) or _first(case, LogisticsEventKind.SIGNED)
    if photo.role in (PhotoRole.RECEIVED, PhotoRole.PACKAGING):
        bounds += [("before_shipping", *shipped)] if shipped else []
        bounds += [("before_delivery", *arrived)] if arrived else []
    if photo.role == PhotoRole.BEFORE_SHIPPING and shipped:
        bounds.append(("after_shipping", *shipped))
    sent = next((message for message in case.chat if photo.photo_id in message.photo_ids), None)
    if sent is not None:
        bounds.append(("after_sending", sent.message_id, sent.at))
    return bounds


def _first(case: Case, kind: LogisticsEventKind) -> tuple[str, datetime] | None:
    return next(
        ((f"logistics.{place}", event.at) for place, event in enumerate(case.logistics) if event.event == kind), None
    )


def _traces(photo: Photo, data: bytes, metadata: PhotoMetadata) -> list[EditingTrace]:
    found = []
    if metadata.editor is not None:
        found.append(EditingTrace(ref=photo.photo_id, trace="software", software=metadata.editor))
    if metadata.thumbnail is not None and thumbnail_differs(data, metadata.thumbnail):
        found.append(EditingTrace(ref=photo.photo_id, trace="thumbnail"))
    return found


def _screenshots(file: CaseFile, reader: ReadsText) -> list[ScreenshotText]:
    found = []
    shots = [photo for photo in file.case.photos if photo.role == PhotoRole.SCREENSHOT]
    for photo in shots[:MAX_SCREENSHOTS]:
        data = file.photos.get(photo.photo_id)
        if data is None:
            continue
        try:
            lines = reader(data)
        except ImageError:
            continue
        absent = absent_lines(lines, [message.text for message in file.case.chat])
        if lines and absent:
            found.append(ScreenshotText(ref=photo.photo_id, n_lines=len(lines), absent=tuple(absent)))
    return found
