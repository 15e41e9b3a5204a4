"""The audit trail answers for what was decided and corrected: a row altered afterwards is named."""

import pytest
import sqlalchemy as sa

from serving.audit import Action, Broken, Verified
from serving.erasure import Target
from serving.house import House
from serving.tables import audit_events, corrections, decision_events
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.used import ID, use_everything

# What is altered, and the action whose entry answers for it.
_COVERED = (
    (decision_events, decision_events.c.kind == "decision", Action.DECIDED),
    (decision_events, decision_events.c.kind == "withdrawal", Action.DECISION_WITHDRAWN),
    (corrections, sa.true(), Action.CORRECTED),
)


def alter(house: House, table: sa.Table, which: sa.ColumnElement[bool], **values: object) -> str:
    """Change the last row of some and return its own id as it was."""
    with house.store.database.alter() as connection:
        row = connection.execute(sa.select(table).where(which).order_by(table.c.id.desc()).limit(1)).one()
        connection.execute(table.update().where(table.c.id == row.id).values(values))
    return str(row.correction_id if table is corrections else row.event_id)


def place_of(house: House, action: Action) -> int:
    """Return the place of the last entry of an action."""
    query = sa.select(sa.func.max(audit_events.c.place)).where(audit_events.c.action == action.value)
    with house.store.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def test_an_altered_payload_is_found_and_named(scoring_house: House) -> None:
    use_everything(scoring_house)
    assert isinstance(scoring_house.store.verify_audit(), Verified)
    for table, which, action in _COVERED:
        row = alter(scoring_house, table, which, payload=table.c.payload + " ")
        found = scoring_house.store.verify_audit()
        assert isinstance(found, Broken)
        assert found.place == place_of(scoring_house, action)
        assert found.what == f"its row in {table.name} was altered: {row}"
        alter(scoring_house, table, which, payload=sa.func.rtrim(table.c.payload))
        assert isinstance(scoring_house.store.verify_audit(), Verified)


def test_a_row_that_is_gone_or_renamed_is_found(scoring_house: House) -> None:
    use_everything(scoring_house)
    row = alter(scoring_house, decision_events, decision_events.c.kind == "decision", event_id="f" * 32)
    found = scoring_house.store.verify_audit()
    assert isinstance(found, Broken)
    assert (found.place, row in found.what) == (place_of(scoring_house, Action.DECIDED), True)


def test_what_was_erased_is_not_missed(scoring_house: House) -> None:
    use_everything(scoring_house)
    before = scoring_house.store.audit_head()
    scoring_house.eraser().erase(Target.parse(f"taobao/{ID}"), by="test-lead", reason="asked by the buyer")
    found = scoring_house.store.verify_audit(heads=[before])
    assert isinstance(found, Verified)
    assert found.n_erased > 0


def test_an_entry_from_before_there_were_digests_is_valid(
    scoring_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("serving.store.payloads.DIGEST", "not_looked_at")
        use_everything(scoring_house)
    assert isinstance(scoring_house.store.verify_audit(), Verified)
