"""A simulated year of deciding and of monthly retraining, lived through once for every set of safeguards.

Each arm meets the same cases and the same people with a champion of its own; labels given with the suggestion on screen
echo it at a stated rate. What learns, splits and judges is what `retrain` uses; only photos, the behaviour tests and
the registry are left out. Everything here is simulated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from models.case_file import CaseFile
from models.domain import Outcome
from models.ruling import RULINGS, RulingClassifier
from models.vocabulary import Ruling
from training.docket import START, Docket, Year, write_docket
from training.fit_rulings import ruling_table
from training.gate import answers, judge
from training.hold_out import decided_since, draw_hold_out
from training.outcome_table import table_of, winner
from training.photo_errors import PhotoErrors
from training.refit_rulings import Weighting, refit_rulings
from training.simulate import simulate
from training.snapshot import DecidedCase
from training.splits import split
from training.statement_pool import StatementPool
from training.suspects import suspects

_NO_PHOTOS = np.zeros((0, 32), np.uint8)
_DISMISS = RULINGS.index(Ruling.DISMISS)
_BIASED = "p-0"
Progress = Callable[[str], None]
Simulated = tuple[NDArray[np.float64], NDArray[np.intp]]


@dataclass(frozen=True)
class Arm:
    """A way of retraining. told : after the change of practice older outcomes are left out, the hold-out drawn anew"""

    name: str
    retrains: bool = True
    blind: bool = False
    weighting: Weighting = "equal"
    told: bool = False


NEVER = Arm("never retrained", retrains=False)
ECHO_EQUAL = Arm("no blind arm, equal weights")
ECHO_WEIGHTED = Arm("no blind arm, provenance weights", weighting="provenance")
BLIND_EQUAL = Arm("blind arm, equal weights", blind=True)
BLIND_WEIGHTED = Arm("blind arm, provenance weights", blind=True, weighting="provenance")
TOLD = Arm("blind arm, provenance weights, told of the change", blind=True, weighting="provenance", told=True)
ARMS = (NEVER, ECHO_EQUAL, ECHO_WEIGHTED, BLIND_EQUAL, BLIND_WEIGHTED, TOLD)


@dataclass(frozen=True)
class Lived:
    """What one arm's champions said to each case of the year, before anybody decided it.

    y_prob, in_set : shape (n_cases, n_rulings); promoted : months (from 0) at whose end a challenger was promoted
    doubtful : what the last retraining's list of doubtful labels is worth; None without retraining
    """

    y_prob: NDArray[np.float64]
    in_set: NDArray[np.bool_]
    promoted: tuple[int, ...]
    doubtful: "Doubtful | None" = None


@dataclass(frozen=True)
class Doubtful:
    """Shares, each in [0, 1].

    wrong_taught, wrong_listed : wrong labels among all that were taught, and among those listed as doubtful
    bias_listed : of the biased arbitrator's wrong dismissals, those that are listed; NaN where there is none
    """

    wrong_taught: float
    wrong_listed: float
    bias_listed: float


def live(
    year: Year,
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    arms: Sequence[Arm] = ARMS,
    progress: Progress = print,
) -> tuple[Docket, dict[str, Lived]]:
    """Return the year's cases and, by the arm's name, how each arm fared."""
    progress(f"simulating {year.n_months} months of {year.cases_a_month} cases ...")
    docket = write_docket(year, pool=pool, photo_errors=photo_errors)
    X, y_true = ruling_table(simulate(year.n_simulated, pool=pool, photo_errors=photo_errors, seed=year.seed + 1))
    n_fit = year.n_simulated * 2 // 3
    first = RulingClassifier().fit(X[:n_fit], y_true[:n_fit], calibration=(X[n_fit:], y_true[n_fit:]))
    lived = {}
    for arm in arms:
        lived[arm.name] = _Life(year, arm, docket, (X, y_true), first).live()
        progress(f"lived through: {arm.name}; promoted {len(lived[arm.name].promoted)} times")
    return docket, lived


class _Life:
    """One arm's year: its champion, the labels given beside it, its hold-out."""

    def __init__(self, year: Year, arm: Arm, docket: Docket, simulated: Simulated, first: RulingClassifier) -> None:
        self.year = year
        self.arm = arm
        self.docket = docket
        self.simulated = simulated
        self.champion = first
        self.photos_learned = False
        self.decided: list[DecidedCase] = []
        self.hold_out: frozenset[str] = frozenset()
        self.told = False
        self.doubtful: Doubtful | None = None

    def live(self) -> Lived:
        n_cases = self.year.n_cases
        y_prob, in_set = np.zeros((n_cases, len(RULINGS))), np.zeros((n_cases, len(RULINGS)), bool)
        promoted = []
        for month in range(self.year.n_months):
            places = np.flatnonzero(self.docket.month == month)
            said = answers(self.champion, self._features(places, learned=self.photos_learned))
            y_prob[places], in_set[places] = said.y_prob, said.in_set
            self._decide(month, places, said.y_prob.argmax(axis=1).astype(np.intp))
            if self.arm.retrains and self._retrain(last=month == self.year.n_months - 1):
                promoted.append(month)
        return Lived(y_prob, in_set, tuple(promoted), self.doubtful)

    def _features(self, places: NDArray[np.intp], *, learned: bool) -> NDArray[np.float64]:
        return self.docket.X[int(learned)][places]

    def _decide(self, month: int, places: NDArray[np.intp], suggested: NDArray[np.intp]) -> None:
        """Let the same people with the same views decide in every arm; what differs is what they see."""
        rng = np.random.default_rng([self.year.seed, month])
        turns = START + timedelta(days=self.year.biased_day)
        for place, suggestion in zip(places.tolist(), suggested.tolist(), strict=True):
            slips, leans, is_blind, gives_in = (
                float(draw) < share
                for draw, share in zip(
                    rng.random(4),
                    (self.year.noise, self.year.bias, self.year.blind_share, self.year.echo),
                    strict=True,
                )
            )
            slip, arbitrator = int(rng.integers(len(RULINGS))), int(rng.integers(self.year.n_arbitrators))
            right = int(self.docket.y_true[place])
            view = slip if slips else right
            moment = self.year.moment(place)
            if moment >= turns and arbitrator == 0 and leans and winner(right) == "buyer":
                view = _DISMISS
            blind = self.arm.blind and is_blind
            ruled = suggestion if gives_in and not blind else view
            case = self.docket.cases[place]
            outcome = Outcome(
                case_id=case.case_id,
                platform=case.platform,
                ruling=RULINGS[ruled],
                decided_by=f"p-{arbitrator}",
                decided_at=moment,
                suggestion_shown=not blind,
                agreed=None if blind else ruled == suggestion,
            )
            self.decided.append(DecidedCase(CaseFile(case), outcome))

    def _retrain(self, *, last: bool) -> bool:
        """Train a challenger on what was decided so far and promote it if it passes; tell whether it did."""
        self._keep_for_judging()
        since = self.year.rule_change if self.told else None
        used = decided_since(self.decided, since)
        first = len(self.decided) - len(used)
        places = np.arange(first, len(self.decided))
        splits = split(
            [self._as_gold(one) for one in used], frozen_keys=self.hold_out, photo_hashes=[_NO_PHOTOS] * len(used)
        )
        learns = self.photos_learned or int(self.docket.is_new[places].sum()) >= self.year.photos_needed
        known, taught = (
            table_of(used, self._features(places, learned=learned)) for learned in (self.photos_learned, learns)
        )
        teaching = taught.rows(splits.teach)
        challenger = refit_rulings(
            teaching,
            taught.rows(splits.calibrate),
            simulated=self.simulated,
            like=self.champion,
            seed=self.year.seed,
            weighting=self.arm.weighting,
        ).classifier
        judged = known.to_judge(frozen=splits.frozen, newest=splits.newest)
        verdict = judge(
            judged,
            answers(self.champion, judged.X),
            answers(challenger, taught.rows(splits.judged).X),
            seed=self.year.seed,
        )
        if last:
            listed = suspects(
                teaching,
                [used[place].provenance for place in splits.teach],
                classifier=self.champion,
                seed=self.year.seed,
                simulated=self.simulated,
            )
            self.doubtful = self._worth_of_list(
                [used[place] for place in splits.teach], first + np.array(splits.teach), {one.key for one in listed}
            )
        if verdict.passed:
            self.champion, self.photos_learned = challenger, learns
        return verdict.passed

    def _worth_of_list(self, taught: Sequence[DecidedCase], places: NDArray[np.intp], listed: set[str]) -> Doubtful:
        wrong = np.array([one.label for one in taught]) != np.array([RULINGS[n] for n in self.docket.y_true[places]])
        is_listed = np.array([one.key in listed for one in taught], bool)
        turns = START + timedelta(days=self.year.biased_day)
        biased = wrong & np.array(
            [
                one.outcome.decided_by == _BIASED and one.moment >= turns and one.label == Ruling.DISMISS
                for one in taught
            ],
            bool,
        )
        nothing = float("nan")
        return Doubtful(
            float(wrong.mean()),
            float(wrong[is_listed].mean()) if is_listed.any() else nothing,
            float(is_listed[biased].mean()) if biased.any() else nothing,
        )

    def _keep_for_judging(self) -> None:
        """Draw the hold-out once there are enough gold cases, and anew where somebody tells of the change."""
        if self.arm.told and not self.told:
            since_change = decided_since(self.decided, self.year.rule_change)
            if drawn := draw_hold_out(since_change, seed=self.year.seed):
                self.hold_out, self.told = drawn, True
        if not self.hold_out:
            self.hold_out = draw_hold_out([self._as_gold(one) for one in self.decided], seed=self.year.seed)

    def _as_gold(self, one: DecidedCase) -> DecidedCase:
        """Where no label is blind, splits and gate have nothing but labels given with the suggestion on screen."""
        if self.arm.blind:
            return one
        return replace(one, outcome=one.outcome.model_copy(update={"suggestion_shown": False, "agreed": None}))
