"""Champion and challenger on the same live cases: agreement, and who is right where people decided blind.

Every difference is paired and carries a bootstrap interval over cases. Only blind decisions judge: a person who saw a
suggestion may have followed it. Knows nothing of where the answers are kept.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import Ruling
from serving.desk_records import Share
from serving.model_records import GateDifference, ShadowComparison, ShadowSlice, ShadowState
from serving.store.shadows import Pair, Said

MIN_BLIND = 10
"""Blind cases under which no difference is told."""
MIN_SLICE = 20
_N_BOOTSTRAP = 1_000
_LEVEL = 0.05
_LEAST = 1e-12
_RULINGS = tuple(Ruling)


def compare(
    pairs: Sequence[Pair],
    *,
    state: ShadowState,
    champion: str | None,
    challenger: str | None,
    refused: str | None = None,
    n_failed: int = 0,
) -> ShadowComparison:
    """Return the comparison. pairs : what both models said, in any order"""
    blind = [pair for pair in pairs if pair.blind_ruling is not None]
    return ShadowComparison(
        state=state,
        champion=champion,
        challenger=challenger,
        refused=refused,
        n_failed=n_failed,
        agreement=Share.of(_agree(pair) for pair in pairs),
        figures=_figures(blind) if len(blind) >= MIN_BLIND else (),
        champion_covered=Share.of(pair.blind_ruling in pair.champion.prediction_set for pair in blind),
        challenger_covered=Share.of(pair.blind_ruling in pair.challenger.prediction_set for pair in blind),
        promised=1 - pairs[0].alpha if pairs else None,
        slices=tuple(_slices(pairs)),
    )


def _figures(blind: Sequence[Pair]) -> tuple[GateDifference, ...]:
    from models.calibration import debiased_ece

    y_true = np.array([_RULINGS.index(Ruling(pair.blind_ruling or "")) for pair in blind], np.intp)
    old, new = (_table([getattr(pair, side) for pair in blind]) for side in ("champion", "challenger"))
    rows = np.arange(len(blind))

    def log_loss(y_prob: NDArray[np.float64], some: NDArray[np.intp]) -> float:
        return float(-np.log(np.maximum(y_prob[some, y_true[some]], _LEAST)).mean())

    def error_rate(y_prob: NDArray[np.float64], some: NDArray[np.intp]) -> float:
        return float((y_prob[some].argmax(axis=1) != y_true[some]).mean())

    def calibration_error(y_prob: NDArray[np.float64], some: NDArray[np.intp]) -> float:
        said = y_prob[some]
        return debiased_ece(said.max(axis=1), said.argmax(axis=1) == y_true[some], n_bins=10)

    statistics: dict[str, Callable[[NDArray[np.float64], NDArray[np.intp]], float]] = {
        "log_loss": log_loss,
        "error_rate": error_rate,
        "calibration_error": calibration_error,
    }
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(blind), size=(_N_BOOTSTRAP, len(blind)))
    told = []
    for name, statistic in statistics.items():
        differences = [statistic(new, some) - statistic(old, some) for some in drawn]
        low, high = np.quantile(differences, [_LEVEL / 2, 1 - _LEVEL / 2])
        before, after = statistic(old, rows), statistic(new, rows)
        interval = {"value": after - before, "low": float(low), "high": float(high), "n": float(len(blind))}
        told.append(
            GateDifference(name=name, champion=before, challenger=after, difference=interval, worse=bool(low > 0))
        )
    return tuple(told)


def _table(answers: Sequence[Said]) -> NDArray[np.float64]:
    """Return probabilities, shape (n_cases, n_rulings)."""
    return np.array([[said.probabilities.get(ruling.value, 0.0) for ruling in _RULINGS] for said in answers])


def _slices(pairs: Sequence[Pair]) -> list[ShadowSlice]:
    found = []
    for kind in ("claim", "language", "platform"):
        for name in sorted({getattr(pair, kind) for pair in pairs}):
            own = [pair for pair in pairs if getattr(pair, kind) == name]
            blind = [pair for pair in own if pair.blind_ruling is not None]
            if len(own) >= MIN_SLICE:
                found.append(
                    ShadowSlice(
                        kind=kind,
                        name=name,
                        agreement=Share.of(_agree(pair) for pair in own),
                        champion_right=Share.of(pair.champion.likeliest == pair.blind_ruling for pair in blind),
                        challenger_right=Share.of(pair.challenger.likeliest == pair.blind_ruling for pair in blind),
                    )
                )
    return found


def _agree(pair: Pair) -> bool:
    return pair.champion.likeliest == pair.challenger.likeliest
