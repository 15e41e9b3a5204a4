"""Measuring the listing matcher: the right pairs, and figures that are known beforehand."""

from pathlib import Path

import numpy as np
import pytest

from models.listing import ListingMatcher
from tests.listing_goods import TinyEncoder, plain_head, write_goods
from training.evaluate_listing import ScoredPairs, draw_pairs, evaluate_listing, mismatch_figures
from training.listing_data import read_listing_photos


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goods(tmp_path_factory.mktemp("data"), photos_each=3)


def test_each_test_photo_meets_its_listing_one_stranger_and_every_sibling(data_dir: Path) -> None:
    photos = read_listing_photos(data_dir)
    family = {photo.listing: photo.family for photo in photos}
    product = {photo.listing: photo.product for photo in photos}

    pairs = draw_pairs(photos, seed=0)

    assert len(pairs) == 2 * 3 * 3
    assert {pair.photo.family for pair in pairs} == {"hat"}
    for pair in pairs:
        same_family = family[pair.listing] == pair.photo.family
        same_product = product[pair.listing] == pair.photo.product
        assert (same_family, same_product) == {
            "match": (True, True),
            "sibling": (True, False),
            "random": (False, False),
        }[pair.kind]


def test_a_seed_draws_the_same_pairs(data_dir: Path) -> None:
    photos = read_listing_photos(data_dir)

    assert draw_pairs(photos, seed=4) == draw_pairs(photos, seed=4)
    assert draw_pairs(photos, seed=4) != draw_pairs(photos, seed=5)


def test_pairs_are_scored_as_the_service_scores_them(data_dir: Path) -> None:
    matcher = ListingMatcher()
    matcher.heads_ = (plain_head(),)
    matcher.slopes_, matcher.intercept_ = (-2.0, -4.0, -4.0), 5.0

    pairs = evaluate_listing(matcher, TinyEncoder(), data_dir)

    assert pairs.y_true.tolist() == [kind != "match" for kind in pairs.kind]
    for figure in (pairs.y_prob, pairs.cosine, pairs.histogram):
        assert np.all((figure >= -1e-9) & (figure <= 2))
    assert mismatch_figures(pairs, pairs.y_prob)["mismatch.auroc_sibling"].value == 1.0


def test_only_families_with_siblings_count_against_siblings() -> None:
    pairs = ScoredPairs(
        y_true=np.array([False, True, False, True]),
        y_prob=np.array([0.1, 0.4, 0.9, 0.8]),
        cosine=np.zeros(4),
        histogram=np.zeros(4),
        product=np.array(["a1", "a1", "b", "b"]),
        family=np.array(["a", "a", "b", "b"]),
        kind=np.array(["match", "sibling", "match", "random"]),
        photo=np.array(["p"] * 4),
        listing=np.array(["l"] * 4),
    )

    assert mismatch_figures(pairs, pairs.y_prob)["mismatch.auroc_sibling"].value == 1.0
    assert mismatch_figures(pairs, pairs.y_prob)["mismatch.auroc_random"].value == 0.0


def test_without_mismatches_of_a_kind_there_is_no_figure() -> None:
    pairs = ScoredPairs(
        *(np.array([False]), *(np.zeros(1),) * 3, *(np.array([name]) for name in ("a", "a", "match", "p", "l")))
    )

    assert "mismatch.auroc_random" not in mismatch_figures(pairs, pairs.y_prob)
