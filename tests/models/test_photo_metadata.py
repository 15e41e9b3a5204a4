"""What a photo's file says is read, and nothing it says can break anything."""

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from models.photo_metadata import PhotoMetadata, read_metadata, thumbnail_differs
from tests.builders import photo_bytes


def with_exif(*, taken: str | None = None, offset: str | None = None, software: str | None = None) -> bytes:
    """Return a JPEG that says so."""
    exif = Image.Exif()
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    if taken is not None:
        camera[ExifTags.Base.DateTimeOriginal] = taken
    if offset is not None:
        camera[ExifTags.Base.OffsetTimeOriginal] = offset
    if software is not None:
        exif[ExifTags.Base.Software] = software
    out = io.BytesIO()
    Image.open(io.BytesIO(photo_bytes(size=(64, 48)))).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_a_time_with_an_offset_is_exact() -> None:
    said = read_metadata(with_exif(taken="2026:03:01 18:30:00", offset="+08:00"))
    assert said.taken_at == datetime(2026, 3, 1, 18, 30, tzinfo=timezone(timedelta(hours=8)))
    assert said.zone_known


def test_a_time_without_an_offset_says_so() -> None:
    said = read_metadata(with_exif(taken="2026:03:01 18:30:00"))
    assert (said.taken_at, said.zone_known) == (datetime(2026, 3, 1, 18, 30, tzinfo=UTC), False)


@pytest.mark.parametrize("taken", ["", "yesterday", "0000:00:00 00:00:00", "2026:13:40 99:99:99", "\x00\x00"])
def test_a_broken_time_is_no_time(taken: str) -> None:
    assert read_metadata(with_exif(taken=taken)).taken_at is None


@pytest.mark.parametrize("offset", ["", "+99:00", "08:00", "Z", "+08:99"])
def test_a_broken_offset_is_no_offset(offset: str) -> None:
    assert not read_metadata(with_exif(taken="2026:03:01 18:30:00", offset=offset)).zone_known


def test_an_editor_is_named_and_a_camera_is_not() -> None:
    assert read_metadata(with_exif(software="Adobe Photoshop 25.1")).editor == "Adobe Photoshop 25.1"
    assert read_metadata(with_exif(software="HUAWEI P60 Pro")).editor is None


def test_a_plain_photo_and_what_is_no_photo_say_nothing() -> None:
    assert read_metadata(photo_bytes()) == PhotoMetadata()
    assert read_metadata(b"GIF89a nothing") == PhotoMetadata()


@given(st.binary(max_size=200), st.integers(0, 400))
def test_bytes_changed_anywhere_break_nothing(junk: bytes, place: int) -> None:
    data = with_exif(taken="2026:03:01 18:30:00", software="gimp")
    read_metadata(data[:place] + junk + data[place + len(junk) :])


def test_a_thumbnail_of_another_picture_differs_and_of_the_same_one_does_not() -> None:
    whole = photo_bytes(size=(640, 480), seed=1)
    same = photo_bytes(size=(160, 120), seed=1)
    turned = io.BytesIO()
    Image.open(io.BytesIO(same)).rotate(90, expand=True).save(turned, "JPEG")
    assert not thumbnail_differs(whole, same)
    assert not thumbnail_differs(whole, turned.getvalue())
    assert thumbnail_differs(whole, photo_bytes(size=(160, 120), seed=2))
    assert not thumbnail_differs(whole, b"broken")
