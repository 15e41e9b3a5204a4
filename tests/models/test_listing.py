"""The listing matcher: what it must never confuse, and what it must never depend on."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
from models.encoders import ImageEncoder
from models.errors import NotFittedError, WeightsError
from models.listing import LIKENESSES, ListingMatcher
from tests.listing_goods import TinyEncoder, draw_goods, plain_head

SHIPPED = Path(models.__file__).parent / "weights" / "listing"


@pytest.fixture
def matcher() -> ListingMatcher:
    fitted = ListingMatcher()
    fitted.heads_ = (plain_head(),)
    fitted.slopes_, fitted.intercept_ = (-2.0, -4.0, -4.0), 5.0
    return fitted


def look_at(product: str, *, listed: bool, seed: int = 0) -> object:
    return TinyEncoder().encode(draw_goods(product, np.random.default_rng(seed), listed=listed))


def test_the_listed_goods_match_better_than_a_sibling(matcher: ListingMatcher) -> None:
    received = [look_at("cup-red", listed=False)]

    own = matcher.score([look_at("cup-red", listed=True)], received).probability
    other = matcher.score([look_at("cup-blue", listed=True)], received).probability

    assert own < 0.5 < other


def test_the_order_of_photos_changes_nothing_but_the_indexes(matcher: ListingMatcher) -> None:
    listing = [look_at("cup-blue", listed=True), look_at("cup-red", listed=True)]
    received = [look_at("cup-red", listed=False, seed=seed) for seed in range(3)]

    ahead = matcher.score(listing, received)
    back = matcher.score(listing[::-1], received[::-1])

    assert back.probability == pytest.approx(ahead.probability, abs=1e-6)
    assert back.pair == (1 - ahead.pair[0], 2 - ahead.pair[1])
    assert ahead.pair[0] == 1
    assert back.region == ahead.region


def test_another_view_in_the_listing_never_makes_a_mismatch_likelier(matcher: ListingMatcher) -> None:
    received = [look_at("cup-red", listed=False)]
    listing = [look_at("cup-red", listed=True), look_at("cup-blue", listed=True)]

    assert matcher.score(listing, received).raw <= matcher.score(listing[:1], received).raw


def test_the_region_holds_the_goods_in_original_pixels(matcher: ListingMatcher) -> None:
    pixels = np.full((300, 600, 3), 128, np.uint8)
    pixels[60:240, 380:560] = (210, 40, 40)
    received = TinyEncoder().encode(Image.fromarray(pixels).resize((300, 150)), scale=2.0)
    received = type(received)(received.maps, received.thumbnail, received.scale, received.offset, (600, 300))

    region = matcher.score([look_at("cup-red", listed=True)], [received]).region

    assert region is not None
    x0, y0, x1, y1 = region
    assert 0 <= x0 < x1 <= 600
    assert 0 <= y0 < y1 <= 300
    assert x0 <= 400 <= 540 <= x1
    assert y0 <= 80 <= 220 <= y1
    assert x0 > 250


def test_goods_all_over_the_photo_have_no_region(matcher: ListingMatcher) -> None:
    photo = TinyEncoder().encode(Image.new("RGB", (200, 200), (210, 40, 40)))

    assert matcher.score([photo], [photo]).region is None


def test_a_match_needs_photos_on_both_sides(matcher: ListingMatcher) -> None:
    photo = look_at("cup-red", listed=True)

    with pytest.raises(ValueError, match="a listing photo and a received photo"):
        matcher.score([], [photo])
    with pytest.raises(ValueError, match="a listing photo and a received photo"):
        matcher.score([photo], [])


def test_scoring_before_fitting_is_refused() -> None:
    photo = look_at("cup-red", listed=True)

    with pytest.raises(NotFittedError):
        ListingMatcher().score([photo], [photo])


def test_saved_weights_score_alike(matcher: ListingMatcher, tmp_path: Path) -> None:
    listing, received = [look_at("cup-red", listed=True)], [look_at("cup-red", listed=False)]
    matcher.save(tmp_path)

    assert ListingMatcher.load(tmp_path).score(listing, received) == matcher.score(listing, received)


def test_missing_altered_or_foreign_weights_are_refused(matcher: ListingMatcher, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        ListingMatcher.load(tmp_path / "nowhere")
    matcher.save(tmp_path)
    settings = json.loads((tmp_path / "matcher.json").read_text())
    (tmp_path / "matcher.json").write_text(json.dumps(settings | {"format": 99}))
    with pytest.raises(WeightsError, match="format 99"):
        ListingMatcher.load(tmp_path)
    (tmp_path / "matcher.json").write_text(json.dumps(settings | {"n_heads": 2}))
    with pytest.raises(WeightsError, match="head"):
        ListingMatcher.load(tmp_path)
    (tmp_path / "matcher.json").write_text(json.dumps(settings))
    (tmp_path / "matcher.safetensors").write_bytes(b"cut short")
    with pytest.raises(WeightsError):
        ListingMatcher.load(tmp_path)


def test_shipped_weights_are_small_and_bring_their_error_rates() -> None:
    size = sum(path.stat().st_size for path in SHIPPED.iterdir())
    rates = json.loads((SHIPPED / "error_rates.json").read_text())

    assert size <= 2_500_000
    assert np.mean(rates["match"]) < np.mean(rates["sibling"]) < np.mean(rates["random"])


def test_shipped_slopes_let_likeness_only_speak_for_a_match() -> None:
    matcher = ListingMatcher.load(SHIPPED)

    assert len(matcher.slopes_) == len(LIKENESSES)
    assert all(slope <= 0 for slope in matcher.slopes_)


@pytest.mark.parametrize("product", ["cup-red", "bag-green", "tin-teal"])
def test_the_same_photo_recompressed_or_cropped_matches(product: str, image_encoder: ImageEncoder) -> None:
    matcher = ListingMatcher.load(SHIPPED)
    photo = draw_goods(product, np.random.default_rng(1), listed=True).resize((400, 400))
    compressed = io.BytesIO()
    photo.save(compressed, "JPEG", quality=40)
    listing = [image_encoder.encode(photo)]

    for same in (Image.open(compressed).convert("RGB"), photo.crop((20, 20, 390, 380))):
        assert matcher.score(listing, [image_encoder.encode(same)]).probability < 0.3
    other = draw_goods("cup-blue", np.random.default_rng(1), listed=True).resize((400, 400))
    assert matcher.score(listing, [image_encoder.encode(other)]).probability > 0.5
