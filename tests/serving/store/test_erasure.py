"""What an erasure meets on its way leaves nothing of the case behind, and neither of the two fails."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from models.integrity import IntegrityReport, ReusedPhoto
from models.vocabulary import Platform
from serving.house import House
from serving.records import CaseKey, Role
from serving.store.erasure import ErasedCase
from serving.tables import photos
from tests.builders import build_case, photo_bytes
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of
from tests.serving.store.overtaking import overtaken

ONE, TWO, THREE = (CaseKey(Platform.TAOBAO, f"TB-{name}") for name in ("ONE", "TWO", "THREE"))
PHOTO = {"photo_id": "p1", "role": "received", "filed_by": "buyer"}


@pytest.fixture
def filed(house: House) -> House:
    """A house with three cases of one photo each, which nobody has filed yet."""
    for key in (ONE, TWO, THREE):
        house.store.take_in(build_case(case_id=key.case_id, photos=[PHOTO]), by=user_of(house, Role.SERVICE))
    return house


def erasing(house: House, key: CaseKey) -> Callable[[], ErasedCase]:
    return lambda: house.store.erasures.erase(key, by="test-lead", reason="asked", under_way_too=True)


def looking(house: House, key: CaseKey, *named: CaseKey) -> Callable[[], None]:
    """Look at a case's photos and find that these other cases have them too."""
    version, found = house.store.version(key), tuple(map(reused, named))
    report = IntegrityReport(findings=found, checked=("reused_photo",))
    return lambda: house.store.photo_checks.keep(version, report, by="system:worker")


def reused(other: CaseKey) -> ReusedPhoto:
    return ReusedPhoto(
        ref="p1", other_platform=other.platform, other_case_id=other.case_id, other_ref="p1", same_buyer=False,
        same_seller=False, overlap=1, mirrored=False,
    )  # fmt: skip


def named_on(house: House, key: CaseKey) -> list[str]:
    report = house.store.photo_checks.report_on(house.store.version(key))
    assert report is not None
    return [finding.other_case_id for finding in report.findings if isinstance(finding, ReusedPhoto)]


def test_a_finding_that_names_a_case_erased_before_it_is_kept_is_left_out(filed: House) -> None:
    look = looking(filed, ONE, TWO, THREE)
    erasing(filed, TWO)()
    look()
    assert named_on(filed, ONE) == [THREE.case_id]
    assert filed.store.audit_trail(subject=str(ONE))[-1].detail["n_findings"] == 1


def test_a_finding_that_names_a_case_just_being_erased_is_left_out(filed: House) -> None:
    erased, kept = overtaken(filed, erasing(filed, TWO), looking(filed, ONE, TWO, THREE), at="UPDATE cases")
    assert (type(erased), kept) == (ErasedCase, None)
    assert named_on(filed, ONE) == [THREE.case_id]


def test_a_finding_that_is_being_kept_while_the_case_it_names_is_erased_goes_with_it(filed: House) -> None:
    look = looking(filed, ONE, TWO, THREE)
    kept, erased = overtaken(filed, look, erasing(filed, TWO), at="INSERT INTO photo_checks")
    assert (kept, type(erased)) == (None, ErasedCase)
    assert named_on(filed, ONE) == [THREE.case_id]


def test_two_cases_that_one_report_names_may_be_erased_at_once(filed: House) -> None:
    looking(filed, ONE, TWO, THREE)()
    done = overtaken(filed, erasing(filed, TWO), erasing(filed, THREE), at="UPDATE photo_checks")
    assert [type(one) for one in done] == [ErasedCase, ErasedCase]
    assert named_on(filed, ONE) == []


def test_two_cases_that_name_each_other_may_be_erased_at_once(filed: House) -> None:
    looking(filed, ONE, TWO)()
    looking(filed, TWO, ONE)()
    done = overtaken(filed, erasing(filed, ONE), erasing(filed, TWO), at="UPDATE photo_checks")
    assert [type(one) for one in done] == [ErasedCase, ErasedCase]


def photos_kept(house: House) -> int:
    with house.store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(photos)).scalar_one())


def add_photo(house: House, key: CaseKey) -> Any:
    photo = house.photo_intake.keep(photo_bytes())
    return house.store.add_photo(key, "p1", photo, by=user_of(house, Role.SERVICE))


def test_a_photo_that_another_case_is_just_getting_stays_with_that_case(filed: House) -> None:
    add_photo(filed, ONE)
    done = overtaken(filed, lambda: add_photo(filed, TWO), erasing(filed, ONE), at="INSERT INTO case_photos")
    assert (done[0].changed, type(done[1])) == (True, ErasedCase)
    assert len(filed.store.version(TWO).digests) == photos_kept(filed) == 1


def test_a_photo_of_two_cases_erased_at_once_goes_with_the_later_one(filed: House) -> None:
    for key in (ONE, TWO):
        add_photo(filed, key)
    done = overtaken(filed, erasing(filed, ONE), erasing(filed, TWO), at="DELETE FROM photos")
    assert [len(one.photos) for one in done] == [0, 1]
    assert photos_kept(filed) == 0
