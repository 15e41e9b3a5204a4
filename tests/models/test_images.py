"""Untrusted bytes become upright RGB or one of our own errors: caps, rotation, colour modes, damage, polyglots."""

import contextlib
import io
import struct
import time
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.errors import ImageError, ImageTooLargeError, ImageUnreadableError
from models.images import MAX_PHOTO_PIXELS, open_photo

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(*, size: tuple[int, int] = (50, 40), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def rotated_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise to see it upright
    return exif


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


SEEDS = {
    "jpeg": encoded(noise(), "JPEG", exif=rotated_exif()),
    "progressive": encoded(noise(), "JPEG", progressive=True),
    "cmyk": encoded(noise(mode="CMYK"), "JPEG"),
    "png": encoded(noise(), "PNG", exif=rotated_exif()),
    "palette": encoded(noise(mode="P"), "PNG", transparency=3),
    "webp": encoded(noise(), "WEBP", exif=rotated_exif()),
    "mpo": encoded(noise(), "MPO", save_all=True, append_images=[noise()]),
}


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (12_000, 12_000), (8_000, 5_001)])
def test_pixel_bombs_are_refused_before_a_pixel_is_decoded(width: int, height: int) -> None:
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ImageTooLargeError):
        open_photo(png_of(width, height))
    assert time.perf_counter() - started < 0.5
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_the_pixel_cap_itself_is_allowed_and_one_pixel_more_is_not() -> None:
    assert open_photo(encoded(Image.new("L", (60, 50))), max_pixels=3_000).image.size == (60, 50)
    with pytest.raises(ImageTooLargeError, match="60x50 pixels, at most 2999"):
        open_photo(encoded(Image.new("L", (60, 50))), max_pixels=2_999)
    assert MAX_PHOTO_PIXELS == 40_000_000


def test_too_many_bytes_are_refused_whatever_they_are() -> None:
    with pytest.raises(ImageTooLargeError, match="has 101 bytes, at most 100"):
        open_photo(b"x" * 101, max_bytes=100)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_photos_stand_upright_by_their_exif(kind: str) -> None:
    image = Image.new("RGB", (60, 40), BLUE)
    image.paste(RED, (0, 0, 30, 40))  # the left half is red; turned clockwise it is the upper half
    upright = open_photo(encoded(image, kind, exif=rotated_exif(), quality=95)).image
    assert upright.size == (40, 60)
    top, bottom = (np.array(upright.getpixel((20, y)), int) for y in (5, 55))
    assert np.abs(top - RED).max() < 12
    assert np.abs(bottom - BLUE).max() < 12


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_every_accepted_kind_becomes_rgb(name: str) -> None:
    photo = open_photo(SEEDS[name])
    assert photo.image.mode == "RGB"
    assert sorted(photo.image.size) == [40, 50]
    assert photo.scale == 1.0


def test_cmyk_keeps_its_colours() -> None:
    image = open_photo(encoded(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG", quality=95)).image
    assert np.abs(np.array(image.getpixel((8, 8)), int) - RED).max() < 12


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16)[None].repeat(4, axis=0)
    grey = np.asarray(open_photo(encoded(Image.fromarray(ramp))).image)[0, :, 0]
    assert np.abs(grey.astype(int) - np.arange(256)).max() <= 1


def test_what_is_transparent_shows_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert open_photo(encoded(clear)).image.getpixel((4, 4)) == WHITE
    assert open_photo(encoded(clear, "WEBP", lossless=True)).image.getpixel((4, 4)) == WHITE
    grey = Image.new("LA", (8, 8), (0, 0))
    assert open_photo(encoded(grey)).image.getpixel((4, 4)) == WHITE
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([10] * 768)
    assert open_photo(encoded(palette, transparency=3)).image.getpixel((4, 4)) == WHITE


def test_sixteen_bit_grey_with_a_transparent_shade_is_taken() -> None:
    image = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    data = encoded(image)
    chunk = b"tRNS" + struct.pack(">H", 40_000)
    place = data.index(b"IDAT") - 4
    data = data[:place] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[place:]
    assert open_photo(data).image.mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_read_by_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, BLUE)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert open_photo(data).image.getpixel((10, 10)) == RED


@pytest.mark.parametrize("name", sorted(SEEDS))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_truncated_files_are_unreadable(name: str, share: float) -> None:
    data = SEEDS[name]
    if name == "mpo":  # its second picture may be cut away without harm
        data = SEEDS["jpeg"]
    with pytest.raises(ImageUnreadableError):
        open_photo(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + b"\0" * 100,
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(Image.new("RGB", (8, 8)), "TIFF"),
        encoded(Image.new("RGB", (8, 8)), "GIF"),
        encoded(Image.new("RGB", (8, 8)), "BMP"),
    ],
)
def test_other_formats_are_refused_whatever_they_are_named(data: bytes) -> None:
    with pytest.raises(ImageUnreadableError, match="not a JPEG, PNG or WEBP"):
        open_photo(data)


def test_a_polyglot_is_only_ever_a_photo() -> None:
    photo = SEEDS["jpeg"]
    appended = open_photo(photo + b"PK\x03\x04<script>alert(1)</script>")
    assert np.array_equal(np.asarray(appended.image), np.asarray(open_photo(photo).image))
    with pytest.raises(ImageUnreadableError):
        open_photo(b"<html>" + photo)


def test_bytes_that_declare_one_kind_and_hold_another_are_unreadable() -> None:
    with pytest.raises(ImageError):
        open_photo(SEEDS["png"][:16] + SEEDS["jpeg"])


@given(st.integers(300, 1200), st.integers(20, 300), st.sampled_from([64, 100, 151]), st.booleans())
def test_draft_decoding_keeps_scale_true_and_its_longer_side_long_enough(
    long: int, short: int, needed: int, turned: bool
) -> None:
    image = Image.new("RGB", (long, short), BLUE)
    options = {"exif": rotated_exif()} if turned else {}
    photo = open_photo(encoded(image, "JPEG", **options), needed_side=needed)
    assert max(photo.image.size) >= min(needed, max(long, short))
    assert max(photo.image.size) * photo.scale == pytest.approx(max(long, short))
    assert (photo.image.width < photo.image.height) == (turned if long > short else not turned) or long == short


def test_a_mark_keeps_its_place_at_a_fraction_of_the_size() -> None:
    image = Image.new("RGB", (1600, 800), WHITE)
    image.paste(RED, (1200, 200, 1280, 280))
    photo = open_photo(encoded(image, "JPEG", quality=95), needed_side=200)
    assert photo.image.size == (200, 100)
    assert photo.scale == 8.0
    rows, columns = np.nonzero(np.asarray(photo.image)[:, :, 1] < 128)
    assert (columns.mean() + 0.5) * photo.scale == pytest.approx(1240, abs=8)
    assert (rows.mean() + 0.5) * photo.scale == pytest.approx(240, abs=8)


def test_nothing_is_shrunk_unless_asked() -> None:
    assert open_photo(encoded(noise(size=(640, 320)), "JPEG")).image.size == (640, 320)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=12),
    st.sampled_from([None, 16]),
)
def test_altered_bytes_raise_nothing_but_image_errors(
    name: str, changes: list[tuple[float, int]], needed_side: int | None
) -> None:
    data = bytearray(SEEDS[name])
    for share, value in changes:
        data[int(share * len(data))] = value
    with contextlib.suppress(ImageError):
        open_photo(bytes(data), needed_side=needed_side)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 "]))
def test_random_bytes_after_a_true_beginning_raise_nothing_but_image_errors(tail: bytes, head: bytes) -> None:
    with contextlib.suppress(ImageError):
        open_photo(head + tail)
