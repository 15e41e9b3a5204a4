"""The cases of a simulated year: what happens on which day, and what careful people rule afterwards.

On known days people's practice changes, a new product category arrives whose photos the damage classifier misreads, and
one arbitrator turns to favour sellers. Every share is an assumption. Knows nothing of retraining.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.domain import Case
from models.evidence import CaseEvidence
from models.ruling import RULINGS
from models.vocabulary import Claim, Ruling
from training.fit_rulings import ruling_table
from training.photo_errors import PhotoErrors
from training.simulate import SimulatedCase, simulate
from training.statement_pool import StatementPool

START = datetime(2026, 1, 1, tzinfo=UTC)
NEW_CATEGORY = "new category"
DAYS_A_MONTH = 30
_N_SELLERS_A_HUNDRED = 5


@dataclass(frozen=True)
class Year:
    """What happens, and when. Days count from 0; a month has 30.

    rule_change_day : from then on people refund damaged goods where the rules still want them sent back
    new_category_day, new_category_share : from then on, of all cases; a photo of its goods tells what a photo of known
        goods tells in a share `photo_sharpness` of cases, until `photos_needed` were labelled and learned from
    biased_day : from then on one of `n_arbitrators` dismisses a share `bias` of what the buyer should win
    noise : share of rulings in which an arbitrator slips; echo : of own views given up to the suggestion on screen
    blind_share : of cases decided before the suggestion is seen, where there is a blind arm; the desk's default
    n_simulated : simulated cases that the first champion and every challenger learn from besides
    """

    n_months: int = 12
    cases_a_month: int = 400
    rule_change_day: int = 90
    new_category_day: int = 180
    new_category_share: float = 0.25
    photo_sharpness: float = 0.2
    photos_needed: int = 50
    biased_day: int = 240
    n_arbitrators: int = 4
    bias: float = 0.5
    noise: float = 0.06
    echo: float = 0.4
    blind_share: float = 0.1
    n_simulated: int = 3000
    seed: int = 11

    @property
    def n_cases(self) -> int:
        return self.n_months * self.cases_a_month

    @property
    def events(self) -> dict[str, float]:
        """Return what happens, with the months passed until it does; what doesn't happen in the year is left out."""
        days = {
            "rule change": self.rule_change_day,
            "new category": self.new_category_day,
            "biased arbitrator": self.biased_day,
        }
        last = self.n_months * DAYS_A_MONTH
        return {name: day / DAYS_A_MONTH for name, day in days.items() if day < last}

    @property
    def rule_change(self) -> date:
        return (START + timedelta(days=self.rule_change_day)).date()

    def moment(self, place: int) -> datetime:
        """Return when the case at this place of the docket is decided."""
        return START + timedelta(days=DAYS_A_MONTH * place / self.cases_a_month)


@dataclass(frozen=True)
class Docket:
    """The year's cases in the order of their days.

    X : features before and after the new category's photos are learned, shape (n_cases, n_features) each
    y_true : shape (n_cases,), what careful people rule, index into RULINGS; is_new : of the new category
    month : shape (n_cases,), from 0
    """

    cases: list[Case]
    X: tuple[NDArray[np.float64], NDArray[np.float64]]
    y_true: NDArray[np.intp]
    is_new: NDArray[np.bool_]
    month: NDArray[np.intp]


def write_docket(year: Year, *, pool: StatementPool, photo_errors: PhotoErrors) -> Docket:
    """Return the cases of a year; the same seed gives the same ones."""
    known = simulate(year.n_cases, pool=pool, photo_errors=photo_errors, seed=year.seed)
    blurred = _blurred(photo_errors, year.photo_sharpness)
    day = np.array([(year.moment(place) - START).days for place in range(year.n_cases)])
    drawn = np.random.default_rng(year.seed).random(year.n_cases)
    is_new = (day >= year.new_category_day) & (drawn < year.new_category_share)
    sharp, _ = ruling_table(known)
    blurry = sharp.copy()
    if is_new.any():
        seen = simulate(year.n_cases, pool=pool, photo_errors=blurred, seed=year.seed)
        blurry[is_new], _ = ruling_table([one for one, new in zip(seen, is_new, strict=True) if new])
    y_true = [
        RULINGS.index(_practice(one, changed=bool(changed)))
        for one, changed in zip(known, day >= year.rule_change_day, strict=True)
    ]
    cases = [
        _in_market(one.evidence, place, year.n_cases, new=bool(new))
        for place, (one, new) in enumerate(zip(known, is_new, strict=True))
    ]
    return Docket(cases, (blurry, sharp), np.array(y_true, np.intp), is_new, day // DAYS_A_MONTH)


def _practice(one: SimulatedCase, *, changed: bool) -> Ruling:
    """Return what careful people rule: the rules, and after the change no sending back of damaged goods."""
    ruling = one.rule_order.ruling
    if changed and ruling == Ruling.RETURN_AND_REFUND and one.evidence.case.claim == Claim.DAMAGED:
        return Ruling.REFUND
    return ruling


def _in_market(evidence: CaseEvidence, place: int, n_cases: int, *, new: bool) -> Case:
    """Return the case with a buyer and an order of its own; a seller has some twenty on all platforms."""
    case, n_sellers = evidence.case, max(2, n_cases * _N_SELLERS_A_HUNDRED // 100)
    ids = {"order_id": f"O-{place}", "buyer_id": f"b-{place}", "seller_id": f"s-{place % n_sellers}"}
    listing = case.listing.model_copy(update={"category": NEW_CATEGORY}) if new else case.listing
    return case.model_copy(update={"order": case.order.model_copy(update=ids), "listing": listing})


def _blurred(errors: PhotoErrors, sharpness: float) -> PhotoErrors:
    """Return damage scores that tell damaged from intact photos in a share of cases only."""
    draw = np.random.default_rng(0).choice
    mixed = [*draw(list(errors.damaged), 100), *draw(list(errors.intact), 100)]
    n_kept = round(100 * sharpness)

    def mostly_mixed(scores: Sequence[float]) -> list[float]:
        return [float(score) for score in (*draw(list(scores), n_kept), *draw(mixed, 100 - n_kept))]

    return replace(errors, damaged=mostly_mixed(errors.damaged), intact=mostly_mixed(errors.intact))
