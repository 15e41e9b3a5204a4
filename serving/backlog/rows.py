"""A suggestion as a row of Parquet, nested like the suggestion, and back.

One column more, `case`, holds what a reader of the row needs of the case: platform, claim, age, clock, amount and
where it stood in the backlog. `ref` is always a list: one id, or the two photos of a listing match. Knows nothing of
files.
"""

from datetime import datetime
from typing import Any

import pyarrow as pa

from models.clocks import running_clock
from models.domain import Case, Suggestion
from models.rule_pack import shipped_rule_book
from models.vocabulary import Ruling
from serving.policy import due_at

Row = dict[str, Any]

_TEXTS = pa.list_(pa.string())
_MOMENT = pa.timestamp("us", tz="UTC")
_CASE = pa.struct(
    {
        "platform": pa.string(),
        "claim": pa.string(),
        "requested": pa.string(),
        "opened_at": _MOMENT,
        "due_at": _MOMENT,
        "paid_minor": pa.int64(),
        "currency": pa.string(),
        "source": pa.string(),
        "line": pa.int64(),
    }
)
_EVIDENCE = pa.struct(
    {
        "kind": pa.string(),
        "ref": _TEXTS,
        "label": pa.string(),
        "probability": pa.float64(),
        "effect": pa.float64(),
        "favours": pa.string(),
        "spans": pa.list_(pa.list_(pa.int32())),
        "region": pa.list_(pa.int32()),
        "out_of_distribution": pa.bool_(),
    }
)
_STEP = pa.struct(
    {"step": pa.int32(), "party": pa.string(), "must_prove": pa.string(), "status": pa.string(), "evidence": _TEXTS}
)
_MISSING = pa.struct(
    {
        "party": pa.string(),
        "what": pa.string(),
        "gain": pa.float64(),
        "request_text": pa.struct({"zh": pa.string(), "en": pa.string()}),
    }
)
_REMEDY = pa.struct({"refund_minor": pa.int64(), "outbound_freight": pa.string(), "return_freight": pa.string()})
SCHEMA = pa.schema(
    {
        "schema_version": pa.int32(),
        "suggestion_id": pa.string(),
        "case_id": pa.string(),
        "created_at": _MOMENT,
        "model_version": pa.string(),
        "rule_pack": pa.string(),
        "calibrated_on": pa.string(),
        "input_digest": pa.string(),
        "ruling": pa.string(),
        "confidence": pa.float64(),
        "probabilities": pa.struct({ruling.value: pa.float64() for ruling in Ruling}),
        "prediction_set": _TEXTS,
        "alpha": pa.float64(),
        "abstained": pa.bool_(),
        "abstain_reason": pa.string(),
        "responsible": pa.string(),
        "remedy": _REMEDY,
        "evidence": pa.list_(_EVIDENCE),
        "ledger": pa.list_(_STEP),
        "missing_evidence": pa.list_(_MISSING),
        "case": _CASE,
    }
)


def to_row(suggestion: Suggestion, case: Case, *, now: datetime, source: str, line: int) -> Row:
    """Return the row of `suggestion`; now : the time of ruling; source, line : where its case stood"""
    pack = shipped_rule_book().pack_for(case, ruled_on=now.date())
    row: Row = suggestion.model_dump(mode="json")
    row["created_at"] = suggestion.created_at
    for piece in row["evidence"]:
        if isinstance(piece["ref"], str):
            piece["ref"] = [piece["ref"]]
    row["case"] = {
        "platform": case.platform.value,
        "claim": case.claim.value,
        "requested": case.requested,
        "opened_at": case.opened_at,
        "due_at": due_at(case, running_clock(case, pack)),
        "paid_minor": case.order.paid_minor,
        "currency": case.order.currency,
        "source": source,
        "line": line,
    }
    return row


def to_suggestion(row: Row) -> Suggestion:
    """Return the suggestion that `row` was made from. Raises pydantic.ValidationError on a row that isn't ours."""
    content = {key: value for key, value in row.items() if key != "case"}
    content["evidence"] = [_evidence(piece) for piece in content["evidence"]]
    return Suggestion.model_validate(content)


def _evidence(piece: Row) -> Row:
    known = {key: value for key, value in piece.items() if value is not None}
    if piece["kind"] != "listing_match":
        known["ref"] = piece["ref"][0]
    return known
