"""Known answers: who is right on blind cases, with intervals, and how often two models agree."""

import numpy as np

from models.vocabulary import Ruling
from serving.comparison import MIN_BLIND, compare
from serving.model_records import ShadowComparison, ShadowState
from serving.store.shadows import Pair, Said

RULINGS = tuple(Ruling)


def said(likeliest: str, probability: float, *, in_set: tuple[str, ...] = ()) -> Said:
    rest = (1 - probability) / (len(RULINGS) - 1)
    return Said({r.value: probability if r == likeliest else rest for r in RULINGS}, in_set or (likeliest,))


def pair(champion: Said, challenger: Said, blind: Ruling | None, *, claim: str = "damaged") -> Pair:
    return Pair(claim, "zh", "taobao", champion, challenger, blind, alpha=0.1)


def compared(pairs: list[Pair]) -> ShadowComparison:
    return compare(pairs, state=ShadowState(on=True), champion="ruling/a", challenger="ruling/b")


def test_a_better_challenger_has_the_lower_error_and_its_interval_says_so() -> None:
    rng = np.random.default_rng(0)
    right, wrong = said("refund", 0.8), said("dismiss", 0.8)
    pairs = [
        pair(right if rng.random() < 0.6 else wrong, right if rng.random() < 0.9 else wrong, Ruling.REFUND)
        for _ in range(300)
    ]
    told = compared(pairs)
    figures = {one.name: one for one in told.figures}
    errors = figures["error_rate"]
    assert errors.champion == np.mean([p.champion.likeliest != "refund" for p in pairs])
    assert (errors.difference["high"] or 0) < 0
    assert not any(one.worse for one in told.figures)
    swapped = compared([pair(p.challenger, p.champion, p.blind_ruling) for p in pairs])
    assert {one.name for one in swapped.figures if one.worse} >= {"error_rate", "log_loss"}


def test_agreement_counts_every_case_and_only_blind_ones_judge() -> None:
    same, other = said("refund", 0.7, in_set=("refund", "dismiss")), said("dismiss", 0.6)
    told = compared([pair(same, same, None)] * 30 + [pair(same, other, Ruling.REFUND)] * 10)
    assert (told.agreement.value, told.agreement.n) == (0.75, 40)
    assert (told.champion_covered.value, told.challenger_covered.value, told.champion_covered.n) == (1.0, 0.0, 10)
    assert told.promised == 0.9
    (claim, language, platform) = told.slices
    assert (claim.name, language.name, platform.name) == ("damaged", "zh", "taobao")
    assert (claim.champion_right.value, claim.challenger_right.value) == (1.0, 0.0)


def test_too_few_blind_cases_tell_no_difference() -> None:
    one = pair(said("refund", 0.7), said("dismiss", 0.6), Ruling.REFUND)
    assert compared([one] * (MIN_BLIND - 1)).figures == ()
    assert compared([]).agreement.value is None
