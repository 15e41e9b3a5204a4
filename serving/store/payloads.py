"""Payloads that the audit trail answers for: an entry holds the SHA-256 of the row's payload that it tells of.

Of decisions, of what ends them, of corrections. Entries from before there were digests, and erased ones, answer for
nothing; an erasure empties the rows and erases their entries in one transaction.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from models.domain import Frozen
from serving.audit import Action, Broken
from serving.tables import audit_events, corrections, decision_events

DIGEST = "payload_sha256"
"""The digest's name in an entry's detail."""
_ROWS_AT_A_TIME = 1_000


@dataclass(frozen=True)
class _Source:
    """Where the rows of some entries stand.

    named_by : the detail of an entry that holds its row's `name`
    rows : name, the row's own id, payload
    may_be_gone : for good reasons, as when an older schema had no such table
    """

    table: str
    named_by: str
    rows: sa.Select[str, str, str]
    may_be_gone: bool = False

    def of(self, names: Sequence[str]) -> sa.Select[str, str, str]:
        return self.rows.where(self.rows.selected_columns.name.in_(names))


def _rows(
    name: sa.ColumnElement[str], *, row: sa.ColumnElement[str], payload: sa.ColumnElement[str]
) -> sa.Select[str, str, str]:
    return sa.select(name.label("name"), row.label("row"), payload.label("payload"))


_event, _end = decision_events, decision_events.alias("ended")
_DECISIONS = _Source(
    table="decision_events",
    named_by="decision_id",
    rows=_rows(_event.c.event_id, row=_event.c.event_id, payload=_event.c.payload),
)
_ENDS = _Source(
    table="decision_events",
    named_by="decision_id",
    rows=_rows(_event.c.event_id, row=_end.c.event_id, payload=_end.c.payload).where(
        _end.c.case_key == _event.c.case_key,
        _end.c.stage == _event.c.stage,
        _end.c.turn == _event.c.turn,
        _end.c.is_end,
    ),
)
_CORRECTIONS = _Source(
    table="corrections",
    named_by="correction_id",
    rows=_rows(corrections.c.correction_id, row=corrections.c.correction_id, payload=corrections.c.payload),
    may_be_gone=True,
)
_SOURCES = {
    Action.DECIDED.value: _DECISIONS,
    Action.DECISION_WITHDRAWN.value: _ENDS,
    Action.EVIDENCE_REQUEST_ANSWERED.value: _ENDS,
    Action.CORRECTED.value: _CORRECTIONS,
}


def digest(payload: Frozen) -> str:
    """Return the SHA-256, in hex, of a payload as it is stored."""
    return _sha256(payload.model_dump_json())


def first_altered(connection: Connection) -> Broken | None:
    """Return the first entry whose row says something else than it did, or is gone and may not be."""
    query = (
        sa.select(audit_events.c.place, audit_events.c.action, audit_events.c.detail)
        .where(audit_events.c.action.in_(_SOURCES), audit_events.c.detail.contains(DIGEST))
        .order_by(audit_events.c.place)
    )
    entries = connection.execute(query, execution_options={"yield_per": _ROWS_AT_A_TIME})
    for some in entries.partitions():
        broken = [found for action in _SOURCES if (found := _first_of(connection, action, some)) is not None]
        if broken:
            return min(broken, key=lambda found: found.place or 0)
    return None


def _first_of(connection: Connection, action: str, entries: Sequence[Row[int, str, str]]) -> Broken | None:
    source = _SOURCES[action]
    told = [(entry.place, json.loads(entry.detail)) for entry in entries if entry.action == action]
    names = [detail[source.named_by] for _, detail in told]
    rows = {row.name: row for row in connection.execute(source.of(names))} if names else {}
    for place, detail in told:
        name = detail[source.named_by]
        if name not in rows and not source.may_be_gone:
            return Broken(place=place, what=f"its row in {source.table} is gone: that of {source.named_by} {name}")
        if name in rows and _sha256(rows[name].payload) != detail[DIGEST]:
            return Broken(place=place, what=f"its row in {source.table} was altered: {rows[name].row}")
    return None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
