"""The frozen hold-out: gold cases that judge and never teach, and drawing it anew when the rules have changed.

A hold-out keeps the practice of its day; after a change of rules it would speak against whoever learns the new one.
Knows nothing of models.
"""

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np

from models.errors import InputError
from training.snapshot import DecidedCase, read_snapshots
from training.tracking import HoldOut, Tracking, only_one

FROZEN_SHARE = 0.2
MIN_TO_FREEZE = 100
LOCK_NAME = "retrain.lock"


def draw_hold_out(decided: Sequence[DecidedCase], *, seed: int) -> frozenset[str]:
    """Return a fifth of the gold cases, by `DecidedCase.key`; none below 100 of them."""
    gold = sorted(one.key for one in decided if one.is_gold)
    if len(gold) < MIN_TO_FREEZE:
        return frozenset()
    drawn = np.random.default_rng(seed).permutation(len(gold))[: round(FROZEN_SHARE * len(gold))]
    return frozenset(gold[place] for place in drawn)


def decided_since(decided: Sequence[DecidedCase], since: date | None) -> list[DecidedCase]:
    """Return the cases decided on this day (UTC) or later, all where it is None."""
    if since is None:
        return list(decided)
    start = datetime.combine(since, time.min, UTC)
    return [one for one in decided if one.moment >= start]


def refreeze(
    snapshots: Sequence[Path], *, tracking: Tracking, work_dir: Path, since: date, by: str, reason: str, seed: int
) -> HoldOut:
    """Draw the hold-out anew from the gold cases decided since a change of practice, and record by whom and why.

    From then on retraining uses outcomes since that day only.
    Raises InputError where no reason is given or there are too few gold cases, RegistryError as retraining does.
    """
    if not reason.strip():
        raise InputError("must say what changed", field="reason")
    with only_one(work_dir / LOCK_NAME):
        gold = [one for one in decided_since(read_snapshots(snapshots), since) if one.is_gold]
        keys = draw_hold_out(gold, seed=seed)
        if not keys:
            raise InputError(
                f"hold {len(gold)} blind or appealed cases decided since {since}, {MIN_TO_FREEZE} needed",
                field="outcomes",
            )
        with tracking.run("refreeze", by=by) as run, tempfile.TemporaryDirectory() as scratch:
            run.note({"since": since, "n_gold": len(gold), "n_frozen": len(keys)})
            run.freeze(keys, scratch=Path(scratch), reason=reason, since=since)
        return tracking.hold_outs()[-1]
