"""Fits the listing matcher: `fit_listing(data_dir, encoder=..., seed=...)`.

Heads are trained on the families of the train and dev splits. Calibration and error rates come from heads
that never saw the family they score. Knows nothing of the test rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.errors import CalibrationError
from models.listing import ListingMatcher
from training.listing_data import read_listing_photos
from training.listing_head import Goods, HeadSettings, export_head, predict_likenesses, train_head
from training.listing_table import (
    Encoder,
    ListingTable,
    Places,
    encode_photos,
    split_families,
    without,
)

ERROR_RATES_FILE = "error_rates.json"
KINDS = ("match", "sibling", "random")
LIKENESS_SHARES = (0.3, 0.3, 0.4)
_LEAST_FAMILIES = 4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutPairs:
    """Pairs scored by heads that never saw the family of the received photo.

    likenesses : (n_pairs, 3); kind : index into KINDS, (n_pairs,); family : (n_pairs,)
    """

    likenesses: Floats
    kind: Places
    family: NDArray[np.str_]


@dataclass(frozen=True)
class FittedListing:
    """A fitted matcher and the probabilities it gave to held-out pairs, by kind."""

    matcher: ListingMatcher
    error_rates: dict[str, list[float]]

    def save(self, folder: Path) -> None:
        """Write the matcher and its error rates into `folder`."""
        self.matcher.save(folder)
        text = json.dumps({kind: [round(p, 4) for p in values] for kind, values in self.error_rates.items()})
        (folder / ERROR_RATES_FILE).write_text(text + "\n", encoding="utf-8")


def fit_listing(
    data_dir: Path,
    *,
    encoder: Encoder,
    seed: int,
    settings: HeadSettings | None = None,
    n_heads: int = 3,
    n_folds: int = 4,
) -> FittedListing:
    """Fit on the train and dev rows of `data_dir`.

    n_heads : heads whose likenesses are averaged
    n_folds : parts that the families are split into for calibration
    Raises CalibrationError below four families, CaseFormatError for a bad table.
    """
    photos = [photo for photo in read_listing_photos(data_dir) if photo.split != "test"]
    table = encode_photos(photos, encoder=encoder)
    return fit_table(
        table,
        encoder_digest=encoder.digest,
        seed=seed,
        settings=settings or HeadSettings(),
        n_heads=n_heads,
        n_folds=n_folds,
    )


def fit_table(
    table: ListingTable, *, encoder_digest: str, seed: int, settings: HeadSettings, n_heads: int, n_folds: int
) -> FittedListing:
    """Fit on encoded photos; arguments as in `fit_listing`."""
    n_families = len(set(table.families))
    if n_families < _LEAST_FAMILIES:
        raise CalibrationError(n_cases=n_families, n_needed=_LEAST_FAMILIES)
    pairs = hold_out(table, seed=seed, settings=settings, n_heads=n_heads, n_folds=n_folds)
    everything = Goods(listing=table.listing, received=table.received, goods=table.goods)
    matcher = ListingMatcher(encoder_digest=encoder_digest)
    matcher.heads_ = tuple(
        export_head(train_head(table.views, everything, settings=settings, seed=seed + number))
        for number in range(n_heads)
    )
    matcher.slopes_, matcher.intercept_ = calibrate(pairs)
    return FittedListing(matcher, list_error_rates(pairs))


def hold_out(table: ListingTable, *, seed: int, settings: HeadSettings, n_heads: int, n_folds: int) -> HeldOutPairs:
    """Score every received photo against every listing by heads trained without its family."""
    fold = split_families(table.families, n_folds=n_folds)
    parts: list[HeldOutPairs] = []
    for number in range(fold.max() + 1):
        scored = np.flatnonzero(fold[table.goods] == number)
        goods = without(table, fold == number)
        heads = [train_head(table.views, goods, settings=settings, seed=seed + place) for place in range(n_heads)]
        likenesses = [
            predict_likenesses(head, table.views, listing=table.listing, received=table.received[scored])
            for head in heads
        ]
        shown = table.goods[scored][:, None]
        own = shown == table.listing
        kin = table.families[shown] == table.families
        kind = np.where(own, KINDS.index("match"), np.where(kin, KINDS.index("sibling"), KINDS.index("random")))
        family = np.broadcast_to(table.families[shown], kind.shape)
        parts.append(
            HeldOutPairs(np.mean(likenesses, axis=0).reshape(-1, 3), kind.ravel().astype(np.intp), family.ravel())
        )
    return HeldOutPairs(
        np.concatenate([part.likenesses for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.family for part in parts]),
    )


def calibrate(pairs: HeldOutPairs) -> tuple[tuple[float, ...], float]:
    """Return slopes and intercept of the mismatch logit, a logistic curve over the mean likeness.

    Matches weigh as much as mismatches, siblings as much as random other goods. The likenesses' own shares
    are set (LIKENESS_SHARES): free slopes lean on the few families with many siblings.
    """
    mismatch = pairs.kind != KINDS.index("match")
    counts = np.bincount(pairs.kind, minlength=len(KINDS))
    share = np.array([0.5, 0.25, 0.25]) if counts[1] else np.array([0.5, 0.0, 0.5])
    weight = (share / np.maximum(counts, 1))[pairs.kind] * len(mismatch)
    likeness = pairs.likenesses @ np.array(LIKENESS_SHARES)
    model = LogisticRegression(C=100.0, max_iter=1000).fit(likeness[:, None], mismatch, sample_weight=weight)
    slope = min(float(model.coef_[0, 0]), 0.0)
    return tuple(slope * part for part in LIKENESS_SHARES), float(model.intercept_[0])


def list_error_rates(pairs: HeldOutPairs, *, most: int = 2000) -> dict[str, list[float]]:
    """Return sorted mismatch probabilities of held-out pairs by kind, at most `most` evenly chosen quantiles.

    Each pair is calibrated without its own family.
    """
    probability = np.zeros(len(pairs.kind))
    for family in np.unique(pairs.family):
        own = pairs.family == family
        rest = HeldOutPairs(pairs.likenesses[~own], pairs.kind[~own], pairs.family[~own])
        slopes, intercept = calibrate(rest)
        probability[own] = 1 / (1 + np.exp(-(pairs.likenesses[own] @ np.array(slopes) + intercept)))
    rates = {}
    for place, kind in enumerate(KINDS):
        values = np.sort(probability[pairs.kind == place])
        if len(values) > most:
            values = np.quantile(values, (np.arange(most) + 0.5) / most)
        rates[kind] = [float(value) for value in values]
    return rates
