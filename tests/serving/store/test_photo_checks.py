"""Reports on one version that come at the same moment."""

from functools import partial

from models.integrity import IntegrityReport
from serving.house import House
from serving.records import CaseKey, Role
from tests.builders import build_case
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of
from tests.serving.store.overtaking import overtaken

WORKERS = IntegrityReport(findings=(), checked=("reused_photo",))
PERSONS = IntegrityReport(findings=(), checked=("reused_photo", "screenshot_text"))


def test_of_two_reports_at_once_the_later_one_is_kept_whether_or_not_there_was_one_before(house: House) -> None:
    house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
    version, keep = house.store.version(CaseKey(build_case().platform, "TB-1")), house.store.photo_checks.keep
    workers, persons = partial(keep, version, WORKERS, by="system:worker"), partial(keep, version, PERSONS, by="me")
    for slow, quick, kept in ((workers, persons, PERSONS), (persons, workers, WORKERS)):
        assert overtaken(house, slow, quick, at="INSERT INTO photo_checks") == (None, None)
        assert house.store.photo_checks.report_on(version) == kept
    noted = [entry.actor for entry in house.store.audit_trail() if entry.action == "photos_checked"]
    assert noted == ["system:worker", "me", "me", "system:worker"]
