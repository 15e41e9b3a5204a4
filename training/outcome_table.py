"""Decided cases as a table that the ruling model learns from and is judged on.

Knows nothing of who may be learned from: that is provenance and splits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.case_language import language_of
from models.evidence import CaseEvidence
from models.ruling import RULINGS, features
from models.suggester import Suggester
from models.vocabulary import Ruling
from training.provenance import WEIGHTS
from training.snapshot import DecidedCase

_ASKS_MORE = RULINGS.index(Ruling.REQUEST_EVIDENCE)
_DISMISSES = RULINGS.index(Ruling.DISMISS)


@dataclass(frozen=True)
class OutcomeTable:
    """One row a decided case.

    X : shape (n_cases, n_features); y_true : shape (n_cases,), index into RULINGS
    weight : what the label's provenance is worth, in (0, 1]
    groups : the seller of each case, resampled together
    slices : party (whom the ruling gives right), claim, category, language, platform of each case
    """

    X: NDArray[np.float64]
    y_true: NDArray[np.intp]
    weight: NDArray[np.float64]
    keys: tuple[str, ...]
    groups: NDArray[np.str_]
    slices: dict[str, NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.y_true)

    def rows(self, places: Sequence[int]) -> "OutcomeTable":
        """Return the table of these cases."""
        kept = np.array(places, np.intp)
        return OutcomeTable(
            self.X[kept],
            self.y_true[kept],
            self.weight[kept],
            tuple(self.keys[place] for place in kept),
            self.groups[kept],
            {name: values[kept] for name, values in self.slices.items()},
        )

    def to_judge(self, *, frozen: Sequence[int], newest: Sequence[int]) -> "OutcomeTable":
        """Return the table of these cases, with a slice that says which of both each is."""
        judged = self.rows([*frozen, *newest])
        judged.slices["judged"] = np.array(["frozen"] * len(frozen) + ["newest"] * len(newest), np.str_)
        return judged


def outcome_table(
    suggester: Suggester, decided: Sequence[DecidedCase], evidence: Sequence[CaseEvidence]
) -> OutcomeTable:
    """Return the table of these cases on `evidence`, under the rules of the day each was decided."""
    rows = []
    for one, piece in zip(decided, evidence, strict=True):
        ruled = suggester.rule(piece, ruled_on=one.moment.date())
        rows.append(features(piece.case, ruled.findings, ruled.orders))
    return table_of(decided, np.array(rows, np.float64).reshape(len(decided), -1))


def table_of(decided: Sequence[DecidedCase], X: NDArray[np.float64]) -> OutcomeTable:
    """Return the table of these cases with features known already, shape (n_cases, n_features)."""
    y_true = np.array([RULINGS.index(one.label) for one in decided], np.intp)
    cases = [one.file.case for one in decided]
    slices = {
        "party": [winner(int(label)) for label in y_true],
        "claim": [str(case.claim) for case in cases],
        "category": [case.listing.category or "none" for case in cases],
        "language": [language_of(case) for case in cases],
        "platform": [str(case.platform) for case in cases],
    }
    return OutcomeTable(
        X,
        y_true,
        np.array([WEIGHTS[one.provenance] for one in decided]),
        tuple(one.key for one in decided),
        np.array([f"{case.platform}/{case.order.seller_id}" for case in cases], np.str_),
        {name: np.array(values, np.str_) for name, values in slices.items()},
    )


def winner(label: int) -> str:
    """Return the party that a ruling gives right: the seller on a dismissal, none where more evidence is asked for."""
    if label == _ASKS_MORE:
        return "open"
    return "seller" if label == _DISMISSES else "buyer"


def towards(y_true: NDArray[np.intp], y_pred: NDArray[np.intp], party: str) -> NDArray[np.bool_]:
    """Tell which suggestions err towards `party`: they give it right where people gave it to the other side.

    Shapes (n_cases,).
    """
    given = np.array([winner(int(label)) for label in y_pred], np.str_)
    right = np.array([winner(int(label)) for label in y_true], np.str_)
    return np.asarray((given == party) & (right != party) & (right != "open"))
