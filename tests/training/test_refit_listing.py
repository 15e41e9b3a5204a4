"""Pairs of photos that people corrected move the matcher's curve; too few change nothing."""

import io
from pathlib import Path

import numpy as np
import pytest

from models.case_file import CaseFile
from models.domain import Outcome
from models.listing import ListingMatcher
from models.truth import EvidenceCorrection
from models.vocabulary import Platform
from tests.builders import build_case
from tests.listing_goods import TinyEncoder, draw_goods, plain_head
from training.refit_listing import PAIRS, KnownPair, refit_listing
from training.snapshot import DecidedCase

PAIR_OF = {True: ("cup-red", "cup-red"), False: ("cup-red", "cup-blue")}


def picture(product: str, *, listed: bool, seed: int) -> bytes:
    kept = io.BytesIO()
    draw_goods(product, np.random.default_rng(seed), listed=listed).save(kept, "PNG")
    return kept.getvalue()


def file(place: int, *, matches: bool) -> CaseFile:
    listed, came = PAIR_OF[matches]
    case = build_case(
        case_id=f"TB-{place}",
        order={"seller_id": f"s-{place // 3}"},
        photos=[
            {"photo_id": "p1", "role": "listing", "filed_by": "seller", "path": "p1.png"},
            {"photo_id": "p2", "role": "received", "filed_by": "buyer", "path": "p2.png"},
        ],
    )
    return CaseFile(
        case, {"p1": picture(listed, listed=True, seed=place), "p2": picture(came, listed=False, seed=place)}
    )


def decided(place: int, *, matches: bool, corrected: bool) -> DecidedCase:
    of_case = file(place, matches=matches)
    said = EvidenceCorrection(
        platform=Platform.TAOBAO,
        case_id=of_case.case.case_id,
        kind="listing_match",
        ref="p1|p2",
        matches_listing=matches,
    )
    outcome = Outcome.model_validate({"case_id": f"TB-{place}", "ruling": "refund", "suggestion_shown": True})
    return DecidedCase(of_case, outcome, (said,) if corrected else ())


@pytest.fixture
def suspicious() -> ListingMatcher:
    """A matcher that takes nearly everything for other goods."""
    matcher = ListingMatcher()
    matcher.heads_ = (plain_head(),)
    matcher.slopes_, matcher.intercept_ = (-1.0, -1.0, -1.0), 4.0
    return matcher


def mismatch(matcher: ListingMatcher, *, matches: bool) -> float:
    listed, came = (
        TinyEncoder().encode(draw_goods(product, np.random.default_rng(99), listed=listed))
        for product, listed in zip(PAIR_OF[matches], (True, False), strict=True)
    )
    return matcher.score([listed], [came]).probability


def test_corrected_pairs_move_the_curve_and_it_is_saved(suspicious: ListingMatcher, tmp_path: Path) -> None:
    cases = [decided(place, matches=place % 2 == 0, corrected=place % 2 == 0) for place in range(32)]
    reference = [KnownPair(file(50 + place, matches=place % 2 == 0), "p1", "p2", place % 2 == 0) for place in range(8)]
    refit = refit_listing(suspicious, cases, encoder=TinyEncoder(), reference=reference)
    assert (refit.learned, refit.left) == ({PAIRS: 16}, {})
    assert mismatch(refit.matcher, matches=True) < mismatch(suspicious, matches=True) - 0.2
    assert mismatch(refit.matcher, matches=True) < mismatch(refit.matcher, matches=False)
    assert all(slope <= 0 for slope in refit.matcher.slopes_)
    refit.matcher.save(tmp_path)
    again = ListingMatcher.load(tmp_path)
    assert mismatch(again, matches=True) == pytest.approx(mismatch(refit.matcher, matches=True), abs=1e-6)


def test_too_few_corrected_pairs_and_unreadable_photos_change_nothing(suspicious: ListingMatcher) -> None:
    few = [decided(place, matches=True, corrected=True) for place in range(5)]
    refit = refit_listing(suspicious, few, encoder=TinyEncoder())
    assert refit.matcher is suspicious
    assert refit.left == {PAIRS: "5 pairs still read wrongly, 10 needed"}
    unseen = [DecidedCase(CaseFile(one.file.case, {}), one.outcome, one.corrections) for one in few]
    assert refit_listing(suspicious, unseen, encoder=TinyEncoder()).left == {}
