"""Attempts at one name that come at the same moment are all counted."""

from datetime import datetime, timedelta

from serving.house import House
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.store.overtaking import overtaken


def test_of_two_first_attempts_at_once_both_are_counted(house: House) -> None:
    def attempt() -> datetime | None:
        return house.store.accounts.begin_attempt("0" * 64, allowed=1, lock=timedelta(minutes=5))

    locked = overtaken(house, attempt, attempt, at="INSERT INTO sign_in_attempts")
    assert sorted(one is None for one in locked) == [False, True], locked
    assert all(one is None or isinstance(one, datetime) for one in locked)
    assert [entry.action for entry in house.store.audit_trail()] == ["locked_out"]
