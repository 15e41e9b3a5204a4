"""The desk's policy: how decisions are made here. And the order of the queue that follows from it.

Knows nothing of storage or pages. The settings carry the same names.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.clocks import RunningClock
from models.domain import Case
from models.vocabulary import Claim, Ruling

_AMOUNT_OF = {"CNY": 1.0, "USD": 7.0, "EUR": 8.0, "GBP": 9.0, "JPY": 5.0, "HKD": 0.9}
"""Rough worth of a minor unit, to order a queue of several currencies; unknown ones count as 1."""
_NO_CLOCK = timedelta(hours=72)
_UNKNOWN = 0.5
_LEAST_UNCERTAIN = 0.05


@dataclass(frozen=True)
class DeskPolicy:
    """blind_share : share of new cases whose machine output stays hidden until somebody has committed to a ruling
    reason_required : whether every decision needs a reason, whatever the machine suggested
    undo_minutes : how long whoever decided may take it back, and how long the notice waits; a lead always may
    four_eyes_minor, four_eyes_claims : from this amount in minor units (0: never), or on these claims, a lead reviews
    hold_minutes : how long a taken case is held for one person without a sign of life
    cases_per_person : cases one person may hold at a time
    skip_hours : how long a skipped case isn't offered again to whoever skipped it
    """

    blind_share: float = 0.1
    reason_required: bool = True
    undo_minutes: float = 10
    four_eyes_minor: int = 500_000
    four_eyes_claims: tuple[Claim, ...] = ()
    hold_minutes: float = 20
    cases_per_person: int = 5
    skip_hours: float = 4

    @property
    def undo(self) -> timedelta:
        return timedelta(minutes=self.undo_minutes)

    def needs_lead(self, case: Case, ruling: Ruling) -> bool:
        """Return whether a first ruling on this case waits for a lead's review (初审 → 主管复审)."""
        if ruling == Ruling.REQUEST_EVIDENCE:
            return False
        dear = 0 < self.four_eyes_minor <= case.order.paid_minor
        return dear or case.claim in self.four_eyes_claims


def due_at(case: Case, clock: RunningClock | None) -> datetime:
    """Return when something happens by itself on a case. clock : its running one; without any, days after it came in"""
    return clock.due_at if clock is not None else case.opened_at + _NO_CLOCK


def priority(*, due_at: datetime, paid_minor: int, currency: str, uncertainty: float | None) -> float:
    """Return a case's place in the queue: the lowest first.

    A case weighs amount x uncertainty x exp(-days until something happens by itself). The logarithm of that, less what
    is the same for all at any one moment, doesn't depend on the present, so an index can hold it: a tenfold amount
    counts like 2.3 days less.

    uncertainty : 1 - confidence, in [0, 1]; None where there is no suggestion or it must not show, as on blind cases
    """
    amount = paid_minor * _AMOUNT_OF.get(currency, 1.0)
    doubt = _UNKNOWN if uncertainty is None else max(uncertainty, _LEAST_UNCERTAIN)
    return due_at.timestamp() / 86_400 - math.log(amount + 1) - math.log(doubt)
