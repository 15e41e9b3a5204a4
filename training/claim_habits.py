"""What is usually stated where a claim is filed: how far it moves the odds of each statement label.

Counts alone; knows nothing of texts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.chat_heads import CLAIMS
from models.vocabulary import Claim

_PRIOR_MESSAGES = 10.0


def claim_log_odds(
    y_true: NDArray[np.bool_], known: NDArray[np.bool_], claims: Sequence[Claim | None]
) -> NDArray[np.float64]:
    """Return log-odds of each label among messages of each claim, less those among all, shape (n_claims, n_labels).

    y_true, known : shape (n_messages, n_labels); claims : filed in each message's case, None where unknown
    A claim's share is drawn towards that of all by `_PRIOR_MESSAGES` messages.
    """
    filed = np.array([CLAIMS.index(claim) if claim is not None else -1 for claim in claims])
    of_any = known & (filed >= 0)[:, None]
    overall = ((y_true & of_any).sum(axis=0) + 1) / (of_any.sum(axis=0) + 2)
    shares = []
    for place in range(len(CLAIMS)):
        rows = known & (filed == place)[:, None]
        borne = (y_true & rows).sum(axis=0)
        shares.append((borne + _PRIOR_MESSAGES * overall) / (rows.sum(axis=0) + _PRIOR_MESSAGES))
    odds = np.array(shares)
    return np.asarray(np.log(odds / (1 - odds)) - np.log(overall / (1 - overall)))


def habit_logits(table: NDArray[np.float64], claims: Sequence[Claim | None]) -> NDArray[np.float64]:
    """Return each message's row of the table, zeros where its claim isn't known, shape (n_messages, n_labels)."""
    rows = np.vstack([table, np.zeros(table.shape[1])])
    return rows[[CLAIMS.index(claim) if claim is not None else -1 for claim in claims]]
