"""Photos are known again after harmless changes, and two photos are not taken for one."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from models.fingerprint import PhotoIndex, asked_views, features, from_bytes, same_photo, to_bytes


def scene(seed: int) -> Image.Image:
    """Return a picture with corners of its own: forms on a gradient."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)).resize((480, 360))
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.integers(0, 460), rng.integers(0, 340)
        w, h = rng.integers(8, 60, 2)
        pen.rectangle((x, y, x + w, y + h), fill=tuple(int(c) for c in rng.integers(0, 256, 3)))
    return image


def recompressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


CHANGES = {
    "recompressed": recompressed,
    "half the size": lambda image: image.resize((240, 180)),
    "cropped": lambda image: image.crop((60, 40, 440, 330)),
    "turned": lambda image: image.rotate(90, expand=True),
}


@pytest.fixture(scope="module")
def index() -> PhotoIndex:
    made = PhotoIndex()
    for seed in range(12):
        made.add([(str(seed), features(scene(seed)).words)])
    return made


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_photo_is_found_and_recognised(index: PhotoIndex, name: str) -> None:
    asked = features(CHANGES[name](scene(3)))
    assert index.candidates(asked.words)[0] == "3"
    same = same_photo(asked, features(scene(3)))
    assert same is not None
    assert same.overlap > 0.9


def test_a_mirrored_photo_is_recognised_only_when_mirrored_back() -> None:
    asked = ImageOps.mirror(scene(3))
    assert same_photo(features(asked), features(scene(3))) is None
    assert same_photo(features(asked, mirrored=True), features(scene(3)), mirrored=True) is not None


def test_two_photos_are_not_one() -> None:
    known = [features(scene(seed)) for seed in range(12)]
    assert [
        (left, right)
        for left in range(12)
        for right in range(12)
        if left != right and same_photo(known[left], known[right]) is not None
    ] == []


def test_a_photo_without_corners_is_never_recognised(index: PhotoIndex) -> None:
    blank = features(Image.new("RGB", (200, 200), "white"))
    assert index.candidates(blank.words) == []
    assert same_photo(blank, blank) is None


@pytest.mark.parametrize("size", [(64, 29_232), (29_232, 64), (1, 1), (1, 5_000), (380, 39)])
def test_a_photo_of_any_shape_has_a_fingerprint_or_an_empty_one(size: tuple[int, int]) -> None:
    image = scene(1).resize(size)
    assert features(image).words.shape[0] == 3
    assert [found.words.shape[0] for found, _ in asked_views(image)] == [3] * 6


def test_fingerprints_go_into_bytes_and_back() -> None:
    words = features(scene(1)).words
    assert np.array_equal(from_bytes(to_bytes(words)), words)
    with pytest.raises(ValueError, match=r"cannot reshape|buffer size"):
        from_bytes(b"\x00\x01\x02\x03")


def test_an_index_that_grew_in_parts_answers_like_one_filled_at_once(index: PhotoIndex) -> None:
    whole = PhotoIndex()
    whole.add([(str(seed), features(scene(seed)).words) for seed in range(12)])
    asked = features(scene(5)).words
    assert whole.candidates(asked) == index.candidates(asked)


def test_an_empty_index_knows_nothing() -> None:
    assert PhotoIndex().candidates(features(scene(0)).words) == []
