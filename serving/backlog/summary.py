"""What came of a backlog, in counts.

Knows nothing of how anything was scored.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyarrow import parquet
from pydantic import AwareDatetime

from models.domain import Frozen
from models.missing import PHOTO_FILE
from serving.backlog.manifest import RunManifest, SourceRecord
from serving.backlog.writing import Part

_COLUMNS = ["ruling", "abstain_reason", "calibrated_on", "prediction_set", "missing_evidence", "case"]
ABSTAINED = "abstained"


class Throughput(Frozen):
    """seconds : wall time of the finished parts over all sessions, with loading of the model"""

    seconds: float
    cases_per_s: float | None


class Summary(Frozen):
    """Counts over the whole backlog.

    n_rows : rows read, each scored or refused; by_claim : per claim, cases by suggested ruling, "abstained" among them
    safe : cases whose prediction set holds one ruling
    n_lacking_photos : cases of which a photo is absent or can't be read; their missing_evidence names it
    workers_lost : where workers died, how, and what was done about it
    """

    n_rows: int
    n_scored: int
    n_abstained: int
    n_refused: int
    n_lacking_photos: int
    safe: int
    by_ruling: dict[str, int]
    by_claim: dict[str, dict[str, int]]
    abstained_by_reason: dict[str, int]
    refused_by_kind: dict[str, int]
    workers_lost: tuple[str, ...]
    throughput: Throughput
    model_version: str
    calibrated_on: str | None
    ruled_at: AwareDatetime
    sources: tuple[SourceRecord, ...]


def summarise(manifest: RunManifest, parts: Iterable[Part], paths: Sequence[Path]) -> Summary:
    """Return the summary of a complete run; paths : the files of `parts`"""
    by_claim: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    calibrated_on, safe, n_lacking_photos = None, 0, 0
    for path in paths:
        with parquet.ParquetFile(path) as file:
            rows = file.read(columns=_COLUMNS).to_pylist()
        for row in rows:
            calibrated_on = row["calibrated_on"]
            by_claim.setdefault(row["case"]["claim"], Counter())[row["ruling"] or ABSTAINED] += 1
            reasons.update([row["abstain_reason"]] if row["abstain_reason"] else [])
            n_lacking_photos += any(item["what"].startswith(PHOTO_FILE) for item in row["missing_evidence"])
            safe += row["ruling"] is not None and len(row["prediction_set"]) == 1
    by_ruling: Counter[str] = sum(by_claim.values(), Counter())
    refused: Counter[str] = Counter()
    seconds, losses = 0.0, list[str]()
    for part in parts:
        seconds += part.seconds
        losses += part.losses
        for one in part.refused:
            refused[one.kind] += one.n_rows
    n_scored = by_ruling.total()
    return Summary(
        n_rows=n_scored + refused.total(),
        n_scored=n_scored,
        n_abstained=by_ruling.pop(ABSTAINED, 0),
        n_refused=refused.total(),
        n_lacking_photos=n_lacking_photos,
        safe=safe,
        by_ruling=_sorted(by_ruling),
        by_claim={claim: _sorted(counts) for claim, counts in sorted(by_claim.items())},
        abstained_by_reason=_sorted(reasons),
        refused_by_kind=_sorted(refused),
        workers_lost=tuple(losses),
        throughput=Throughput(
            seconds=round(seconds, 3), cases_per_s=round(n_scored / seconds, 2) if seconds > 0 else None
        ),
        model_version=manifest.model_version,
        calibrated_on=calibrated_on,
        ruled_at=manifest.now,
        sources=manifest.sources,
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
