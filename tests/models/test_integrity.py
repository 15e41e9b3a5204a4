"""Photos against the record: evidence quality, with what it can and can't show."""

import inspect as inspection
import io
from typing import Any

import pytest
from PIL import Image

import models.integrity
from models.case_file import CaseFile
from models.integrity import (
    EditingTrace,
    IntegrityReport,
    ListingPicture,
    PhotoTime,
    ReusedPhoto,
    ScreenshotText,
    inspect,
    meanings,
)
from tests.builders import build_case, hours, photo_bytes
from tests.models.test_fingerprint import scene
from tests.models.test_photo_metadata import with_exif

LOGISTICS = [{"at": hours(24), "event": "shipped"}, {"at": hours(72), "event": "delivered"}]


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def file_with(data: bytes, *, role: str = "received", listing: bytes | None = None, **changes: Any) -> CaseFile:
    photos = [{"photo_id": "p1", "role": role, "filed_by": "buyer"}]
    found = {"p1": data}
    if listing is not None:
        photos.append({"photo_id": "p0", "role": "listing", "filed_by": "seller"})
        found["p0"] = listing
    return CaseFile(build_case(photos=photos, logistics=LOGISTICS, **changes), found)


def at(hour: float) -> str:
    return hours(hour).strftime("%Y:%m:%d %H:%M:%S")


@pytest.mark.parametrize(
    ("role", "hour", "problem"),
    [
        ("received", 2, "before_shipping"),
        ("packaging", 48, "before_delivery"),
        ("before_shipping", 60, "after_shipping"),
    ],
)
def test_a_camera_time_that_does_not_fit_the_record_is_told(role: str, hour: float, problem: str) -> None:
    found = inspect(file_with(with_exif(taken=at(hour), offset="+00:00"), role=role)).findings
    assert [(item.kind, item.problem) for item in found if isinstance(item, PhotoTime)] == [("photo_time", problem)]


def test_a_photo_taken_after_it_was_sent_is_told() -> None:
    chat = [{"message_id": "m1", "at": hours(80), "speaker": "buyer", "text": "看", "photo_ids": ["p1"]}]
    found = inspect(file_with(with_exif(taken=at(90), offset="+00:00"), chat=chat)).findings
    assert [(item.problem, item.against) for item in found if isinstance(item, PhotoTime)] == [("after_sending", "m1")]


@pytest.mark.parametrize(("hour", "offset"), [(73, "+00:00"), (60, None), (71.9, "+00:00")])
def test_a_time_that_fits_or_may_fit_says_nothing(hour: float, offset: str | None) -> None:
    assert inspect(file_with(with_exif(taken=at(hour), offset=offset))).findings == ()


def test_the_listing_picture_filed_as_of_the_goods_is_told() -> None:
    cropped = jpeg(scene(4).crop((40, 30, 450, 340)))
    found = inspect(file_with(cropped, listing=jpeg(scene(4)))).findings
    assert [(item.ref, item.listing_ref) for item in found if isinstance(item, ListingPicture)] == [("p1", "p0")]
    assert inspect(file_with(jpeg(scene(5)), listing=jpeg(scene(4)))).findings == ()


def test_an_editing_program_is_told_by_name() -> None:
    found = inspect(file_with(with_exif(software="GIMP 2.10"))).findings
    assert found == (EditingTrace(ref="p1", trace="software", software="GIMP 2.10"),)


def test_lines_of_a_screenshot_that_the_chat_lacks_are_told() -> None:
    chat = [{"message_id": "m1", "at": hours(80), "speaker": "buyer", "text": "收到的时候就碎了"}]
    file = file_with(photo_bytes(), role="screenshot", chat=chat)
    report = inspect(file, reader=lambda data: ["收到的时候就碎了", "我们同意全额退款"])
    assert report.findings == (ScreenshotText(ref="p1", n_lines=2, absent=("我们同意全额退款",)),)
    assert "screenshot_text" in report.checked
    assert "screenshot_text" not in inspect(file).checked


def test_a_check_that_could_not_be_made_is_not_said_to_be() -> None:
    assert "reused_photo" not in inspect(file_with(photo_bytes())).checked
    assert "reused_photo" in inspect(file_with(photo_bytes()), reused=[]).checked


def test_absent_and_broken_photos_tell_nothing() -> None:
    case = build_case(photos=[{"photo_id": "p1", "role": "received", "filed_by": "buyer"}])
    assert inspect(CaseFile(case)).findings == ()
    assert inspect(CaseFile(case, {"p1": b"broken"}), reader=lambda data: []).findings == ()


def test_every_kind_of_finding_says_what_it_can_and_cannot_show_in_both_languages() -> None:
    kinds = {
        kind.model_fields["kind"].default
        for kind in (ReusedPhoto, ListingPicture, PhotoTime, EditingTrace, ScreenshotText)
    }
    assert set(meanings()) == kinds
    for both in meanings().values():
        assert set(both) == {"zh", "en"}
        assert all(said.title and said.can and said.cannot for said in both.values())


def test_no_finding_says_that_anybody_lied_or_forged() -> None:
    source = inspection.getsource(models.integrity)
    assert "ruling" not in source.lower()
    assert IntegrityReport.model_fields.keys() == {"findings", "checked"}
