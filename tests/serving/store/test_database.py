"""One moment for all that a page reads."""

import pytest

from serving.house import House
from serving.records import CaseStatus, Role
from tests.builders import build_case
from tests.serving.conftest import user_of


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
def test_a_snapshot_sees_one_moment_over_one_connection_and_ends_with_its_block(house: House) -> None:
    filer = user_of(house, Role.SERVICE)
    house.store.take_in(build_case(case_id="TB-1"), by=filer)
    with house.store.snapshot():
        before = house.store.counts()
        house.store.take_in(build_case(case_id="TB-2"), by=filer)
        with house.store.database.read() as one, house.store.database.read() as other:
            assert one is other
        assert house.store.counts() == before
        assert before[CaseStatus.OPEN] == 1
    assert house.store.counts()[CaseStatus.OPEN] == 2


def test_a_snapshot_that_fails_leaves_the_next_read_its_own(house: House) -> None:
    with pytest.raises(RuntimeError), house.store.snapshot():
        raise RuntimeError
    house.store.take_in(build_case(case_id="TB-1"), by=user_of(house, Role.SERVICE))
    assert house.store.counts()[CaseStatus.OPEN] == 1
