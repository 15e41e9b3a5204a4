"""The listing matcher's probability moved by the pairs of photos that people corrected; its heads stay as they are.

What moves is the logistic curve over the three likenesses, under the same rules as the statement heads
(`offset_regression`, `reading_gate`). Knows nothing of chats or rulings.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.case_file import CaseFile, photo_digest
from models.encoders import PHOTO_SIDE, ImageEncoder, PhotoFeatures
from models.errors import ImageError
from models.images import open_photo
from models.listing import LIKENESSES, ListingMatcher
from models.vocabulary import PhotoRole
from training.corrections import (
    FEWEST_CORRECTED,
    HELD_WEIGHT,
    Learned,
    last_words,
    seen_with_reading,
    seller_of,
    weight_of,
)
from training.offset_regression import Floats, Offset, fit_offset
from training.reading_gate import Told, folds_by_group, judge_reading
from training.snapshot import DecidedCase

PAIRS = "pairs"
_MOST_HELD_CASES = 100


@dataclass(frozen=True)
class ListingRefit(Learned):
    """matcher : the one given where nothing was learned"""

    matcher: ListingMatcher


@dataclass(frozen=True)
class KnownPair:
    """A listing photo and a received one of a case, and whether readers say that they show the same goods."""

    file: CaseFile
    listing: str
    received: str
    matches: bool


def refit_listing(
    matcher: ListingMatcher,
    decided: Sequence[DecidedCase],
    *,
    encoder: ImageEncoder,
    reference: Sequence[KnownPair] = (),
    seed: int = 0,
) -> ListingRefit:
    """Return the matcher with a moved curve if these cases hold enough corrected pairs and moving it helps."""
    said = [(one, correction) for one in decided for correction in last_words(one, "listing_match")]
    look = _Eye(matcher, encoder)
    told = [
        (one, likeness, not correction.matches_listing)
        for one, correction in said
        if (likeness := look.at(one.file, *correction.ref.split("|", 1))) is not None
    ]
    if not told:
        return ListingRefit({}, {}, matcher)
    held = [
        (one, likeness)
        for one in seen_with_reading(decided, kind="listing_match", at_most=_MOST_HELD_CASES)
        if not any(one is corrected for corrected, *_ in told)
        for likeness in look.at_all(one.file)
    ]
    likenesses = np.array([*(likeness for _, likeness, _ in told), *(likeness for _, likeness in held)])
    logits = look.logits(likenesses)
    corrected = np.arange(len(logits)) < len(told)
    truth = np.zeros(len(logits), bool)
    truth[corrected] = [differs for *_, differs in told]
    groups = np.array([seller_of(one) for one in (*(one for one, _, _ in told), *(one for one, _ in held))], np.str_)
    n_wrong = int(((logits >= 0) != truth)[corrected].sum())
    if n_wrong < FEWEST_CORRECTED:
        return ListingRefit({}, {PAIRS: f"{n_wrong} pairs still read wrongly, {FEWEST_CORRECTED} needed"}, matcher)
    if len(np.unique(groups[corrected])) < 2:
        return ListingRefit({}, {PAIRS: "were corrected in one seller's cases only"}, matcher)
    target = np.where(corrected, truth, expit(logits)).astype(np.float64)
    weight = np.array(
        [
            weight_of(read=bool(logit >= 0), right=bool(right)) if is_corrected else HELD_WEIGHT
            for logit, right, is_corrected in zip(logits, truth, corrected, strict=True)
        ]
    )

    def curve_without(rows: NDArray[np.bool_]) -> ListingMatcher:
        return _moved(matcher, fit_offset(likenesses[rows], logits[rows], target[rows], weight[rows]))

    fold, new = folds_by_group(groups), logits.copy()
    for number in range(fold.max() + 1):
        own = fold == number
        if (corrected & own).any() and (corrected & ~own).any():
            new[own] = _Eye(curve_without(~own), encoder).logits(likenesses[own])
    moved = curve_without(np.ones(len(logits), bool))
    verdict = judge_reading(
        Told(truth[corrected], logits[corrected], new[corrected], groups[corrected]),
        _told_by_readers(look, moved, reference),
        seed=seed,
    )
    if verdict.passed:
        return ListingRefit({PAIRS: len(told)}, {}, moved)
    return ListingRefit({}, {PAIRS: f"{len(told)} corrected pairs: {'; '.join(verdict.reasons)}"}, matcher)


class _Eye:
    """Likenesses and logits of pairs of photos by one matcher; every photo is encoded once."""

    def __init__(self, matcher: ListingMatcher, encoder: ImageEncoder) -> None:
        self.matcher = matcher
        self.encoder = encoder
        self._seen: dict[str, PhotoFeatures | None] = {}

    def at(self, file: CaseFile, listing: str, received: str = "") -> Floats | None:
        """Return the likenesses of one pair, shape (3,); None where a photo can't be seen."""
        shown, came = self._features(file, listing), self._features(file, received)
        if shown is None or came is None:
            return None
        return np.asarray(self.matcher.likenesses([shown], [came])[0, 0])

    def at_all(self, file: CaseFile) -> list[Floats]:
        """Return the likenesses of each received photo with the listing photo that it fits best."""
        shown, came = (
            [
                features
                for photo in file.case.photos
                if photo.role == role and (features := self._features(file, photo.photo_id)) is not None
            ]
            for role in (PhotoRole.LISTING, PhotoRole.RECEIVED)
        )
        if not shown or not came:
            return []
        likenesses = self.matcher.likenesses(shown, came)
        best = self.logits(likenesses.reshape(-1, len(LIKENESSES))).reshape(len(shown), len(came)).argmin(axis=0)
        return [likenesses[first, second] for second, first in enumerate(best)]

    def logits(self, likenesses: Floats) -> Floats:
        """Return mismatch logits, shape (n_pairs,). likenesses : shape (n_pairs, 3)"""
        return np.asarray(likenesses @ np.array(self.matcher.slopes_) + self.matcher.intercept_)

    def _features(self, file: CaseFile, photo_id: str) -> PhotoFeatures | None:
        data = file.photos.get(photo_id)
        if data is None:
            return None
        digest = photo_digest(data)
        if digest not in self._seen:
            try:
                photo = open_photo(data, needed_side=PHOTO_SIDE)
                self._seen[digest] = self.encoder.encode(photo.image, scale=photo.scale)
            except ImageError:
                self._seen[digest] = None
        return self._seen[digest]


def _moved(matcher: ListingMatcher, offset: Offset) -> ListingMatcher:
    """Return the matcher with the offset in its curve; a greater likeness never makes a mismatch likelier."""
    moved = copy.copy(matcher)
    moved.slopes_ = tuple(
        min(0.0, slope + float(more)) for slope, more in zip(matcher.slopes_, offset.weight, strict=True)
    )
    moved.intercept_ = matcher.intercept_ + offset.bias
    return moved


def _told_by_readers(look: _Eye, moved: ListingMatcher, reference: Sequence[KnownPair]) -> Told | None:
    known = [
        (pair, likeness)
        for pair in reference
        if (likeness := look.at(pair.file, pair.listing, pair.received)) is not None
    ]
    if not known:
        return None
    likenesses = np.array([likeness for _, likeness in known])
    return Told(
        np.array([not pair.matches for pair, _ in known], bool),
        look.logits(likenesses),
        _Eye(moved, look.encoder).logits(likenesses),
        np.array([pair.file.case.case_id for pair, _ in known], np.str_),
    )
