"""Photos of cases that are filed at the same moment."""

import sqlalchemy as sa

from serving.house import House
from serving.records import CaseKey, Intake, Role
from serving.tables import photos
from tests.builders import build_case, photo_bytes
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of
from tests.serving.store.overtaking import overtaken


def test_one_photo_filed_to_two_cases_at_once_stands_in_both(house: House) -> None:
    filer, photo = user_of(house, Role.SERVICE), house.photo_intake.keep(photo_bytes())
    keys = [CaseKey(build_case().platform, case_id) for case_id in ("TB-1", "TB-2")]
    for key in keys:
        listed = [{"photo_id": "p1", "role": "received", "filed_by": "buyer"}]
        house.store.take_in(build_case(case_id=key.case_id, photos=listed), by=filer)

    def file_to(key: CaseKey) -> Intake:
        return house.store.add_photo(key, "p1", photo, by=filer)

    intakes = overtaken(house, lambda: file_to(keys[0]), lambda: file_to(keys[1]), at="INSERT INTO photos")
    assert [(one.version, one.changed) for one in intakes] == [(2, True), (2, True)]
    assert [house.store.version(key).digests for key in keys] == [{"p1": photo.digest}] * 2
    with house.store.database.read() as connection:
        assert connection.execute(sa.select(photos.c.digest)).scalars().all() == [photo.digest]
