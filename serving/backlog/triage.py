"""The triage list of a finished backlog: which cases to look at first.

`rank` puts the safest to confirm first: a prediction set of one ruling, then of two and so on, then those without a
suggestion; within each the longest waiting first. `urgency_rank` is the desk's order by urgency: what happens by itself
next, how much hangs on it, how sure the suggestion is (`serving.policy.priority`). A safe case still needs a person's
decision. Knows nothing of how anything was scored.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from serving.backlog.rows import SCHEMA
from serving.policy import priority

_COLUMNS = ["suggestion_id", "case_id", "ruling", "confidence", "prediction_set", "abstained", "abstain_reason", "case"]
_OF_CASE = ("platform", "claim", "requested", "opened_at", "due_at", "paid_minor", "currency", "source", "line")
_ORDER = (
    "rank",
    "urgency_rank",
    "platform",
    "case_id",
    "claim",
    "requested",
    "ruling",
    "confidence",
    "n_in_set",
    "abstained",
    "abstain_reason",
    "opened_at",
    "due_at",
    "paid_minor",
    "currency",
    "suggestion_id",
    "source",
    "line",
)
_IDENTITY = [("platform", "ascending"), ("case_id", "ascending")]
_WAITING = [("opened_at", "ascending"), ("confidence", "descending"), *_IDENTITY]
_SAFEST = [("abstained", "ascending"), ("n_in_set", "ascending"), *_WAITING]


def triage_table(parts: Iterable[Path]) -> pa.Table:
    """Return one row a scored case, sorted by `rank` (from 1)."""
    table = pa.concat_tables([_narrow(SCHEMA.empty_table()), *(_narrow(_read(path)) for path in parts)])
    table = table.append_column("priority", pa.array(_priorities(table), pa.float64()))
    table = table.take(pc.sort_indices(table, sort_keys=[("priority", "ascending"), *_WAITING]))
    table = table.append_column("urgency_rank", pa.array(range(1, table.num_rows + 1), pa.int64()))
    as_numbers = table.set_column(
        table.schema.get_field_index("abstained"), "abstained", table["abstained"].cast(pa.int8())
    )
    table = table.take(pc.sort_indices(as_numbers, sort_keys=_SAFEST))
    table = table.append_column("rank", pa.array(range(1, table.num_rows + 1), pa.int64()))
    return table.select(list(_ORDER))


def _priorities(table: pa.Table) -> list[float]:
    columns = (table[name].to_pylist() for name in ("due_at", "paid_minor", "currency", "confidence"))
    return [
        priority(due_at=due_at, paid_minor=paid_minor, currency=currency, uncertainty=1 - confidence)
        for due_at, paid_minor, currency, confidence in zip(*columns, strict=True)
    ]


def _read(path: Path) -> pa.Table:
    with parquet.ParquetFile(path) as file:
        return file.read(columns=_COLUMNS)


def _narrow(table: pa.Table) -> pa.Table:
    kept = {name: table[name] for name in _COLUMNS if name not in ("case", "prediction_set")}
    of_case = {name: pc.struct_field(table["case"], name) for name in _OF_CASE}
    return pa.table({**kept, **of_case, "n_in_set": pc.list_value_length(table["prediction_set"])})
