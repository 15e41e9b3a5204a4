"""Fitting the listing matcher on tiny photos: it must learn, repeat itself and keep its promises."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.errors import CalibrationError
from models.goods_view import coarsen, read_view
from models.listing import ListingMatcher, compare, embed_listing, embed_received, look_for
from tests.listing_goods import FAMILIES, SPLITS, TinyEncoder, draw_goods, write_goods
from training.evaluate_listing import evaluate_listing, mismatch_figures
from training.fit_listing import (
    ERROR_RATES_FILE,
    KINDS,
    FittedListing,
    fit_listing,
    hold_out,
)
from training.listing_data import read_listing_photos
from training.listing_head import Goods, HeadSettings, export_head, predict_likenesses, train_head
from training.listing_table import encode_photos, split_families, without

SETTINGS = HeadSettings(
    n_codes=16, n_colour_codes=8, epochs=8, batch_size=16, learning_rate=2e-2, hidden_cells=0.5, stand_ins=0.3
)
FEW = {
    "settings": SETTINGS,
    "n_heads": 1,
    "n_folds": 2,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny products of matrices only lose by threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goods(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def fitted(data_dir: Path) -> FittedListing:
    return fit_listing(data_dir, encoder=TinyEncoder(), seed=1, **FEW)


def test_goods_of_unseen_families_are_told_from_others_and_from_their_siblings(
    fitted: FittedListing, data_dir: Path
) -> None:
    pairs = evaluate_listing(fitted.matcher, TinyEncoder(), data_dir)

    assert set(pairs.family) == {"hat"}
    assert mismatch_figures(pairs, pairs.y_prob)["mismatch.auroc_random"].value > 0.9
    assert mismatch_figures(pairs, pairs.y_prob)["mismatch.auroc_sibling"].value > 0.9


def test_a_seed_gives_the_same_matcher_twice(fitted: FittedListing, data_dir: Path) -> None:
    again = fit_listing(data_dir, encoder=TinyEncoder(), seed=1, **FEW)

    assert again.error_rates == fitted.error_rates
    assert (again.matcher.slopes_, again.matcher.intercept_) == (
        fitted.matcher.slopes_,
        fitted.matcher.intercept_,
    )
    for one, other in zip(again.matcher.heads_, fitted.matcher.heads_, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_saved_matcher_scores_as_before(fitted: FittedListing, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    listing = TinyEncoder().encode(draw_goods("hat-pink", rng, listed=True))
    received = TinyEncoder().encode(draw_goods("hat-pink", rng, listed=False))
    fitted.save(tmp_path)

    loaded = ListingMatcher.load(tmp_path)

    assert loaded.score([listing], [received]) == fitted.matcher.score([listing], [received])
    assert loaded.encoder_digest == "tiny"


def test_error_rates_are_probabilities_of_held_out_pairs_by_kind(fitted: FittedListing, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    rates = json.loads((tmp_path / ERROR_RATES_FILE).read_text())

    assert tuple(rates) == KINDS
    assert all(0 <= p <= 1 for values in rates.values() for p in values)
    assert len(rates["match"]) == sum(len(goods) * 6 for family, goods in FAMILIES.items() if family != "hat")
    assert np.mean(rates["match"]) < np.mean(rates["random"])


def test_test_rows_are_never_read(data_dir: Path, tmp_path: Path, fitted: FittedListing) -> None:
    root = write_goods(tmp_path)
    for path in (root / "grocery").rglob("hat-*.png"):
        path.unlink()

    without_test = fit_listing(root, encoder=TinyEncoder(), seed=1, **FEW)

    assert without_test.error_rates == fitted.error_rates


def test_folds_keep_families_whole() -> None:
    families = np.array(["a", "a", "b", "c", "c", "c", "d", "e"])

    fold = split_families(families, n_folds=3)

    assert set(fold) == {0, 1, 2}
    assert all(len(set(fold[families == family])) == 1 for family in families)


def test_leaving_goods_out_numbers_the_rest_anew(data_dir: Path) -> None:
    table = encode_photos(read_listing_photos(data_dir), encoder=TinyEncoder())
    left_out = table.families == "cup"

    goods = without(table, left_out)

    assert len(goods.listing) == 8
    assert list(np.unique(goods.goods)) == list(range(8))
    named = table.products[goods.listing[goods.goods]]
    assert list(named) == list(table.products[table.goods[goods.received - len(table.products)]])
    assert not any(str(name).startswith("cup") for name in named)


def test_held_out_pairs_know_their_kind(data_dir: Path) -> None:
    photos = [photo for photo in read_listing_photos(data_dir) if photo.split != "test"]
    table = encode_photos(photos, encoder=TinyEncoder())

    pairs = hold_out(table, seed=0, settings=replace(SETTINGS, epochs=1), n_heads=1, n_folds=2)

    assert np.bincount(pairs.kind).tolist() == [48, 48, 48 * 6]


def test_numpy_and_torch_find_the_same_likenesses(data_dir: Path) -> None:
    photos = read_listing_photos(data_dir)
    encoder = TinyEncoder()
    table = encode_photos(photos, encoder=encoder)
    goods = Goods(listing=table.listing, received=table.received, goods=table.goods)
    settings = replace(SETTINGS, epochs=1)
    head = train_head(table.views, goods, settings=settings, seed=0)
    torch_found = predict_likenesses(head, table.views, listing=table.listing[:3], received=table.received[:4])

    weights = export_head(head)
    by_product = {photo.product: photo.listing for photo in photos}
    listings = [by_product[str(product)] for product in table.products[:3]]
    for i, photo in enumerate(photos[:4]):
        came = embed_received(weights, read_view(encoder.encode(Image.open(photo.path))))
        for j, path in enumerate(listings):
            shown = embed_listing(weights, coarsen(read_view(encoder.encode(Image.open(path)))))
            found = compare(weights, shown, came, look=look_for(weights, shown, came))
            np.testing.assert_allclose(found, torch_found[i, j], atol=2e-3)


def test_too_few_families_promise_no_calibration(tmp_path: Path) -> None:
    splits = SPLITS | {"tin": "test", "pen": "test"}
    root = write_goods(tmp_path, photos_each=2, splits=splits)

    with pytest.raises(CalibrationError, match="4 cases, got 2"):
        fit_listing(root, encoder=TinyEncoder(), seed=0, settings=SETTINGS)
