"""What an erasure meets on its way leaves nothing of the case behind, and neither of the two fails."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from models.case_file import CaseFile
from models.domain import DecisionDraft
from models.integrity import IntegrityReport, ReusedPhoto
from models.vocabulary import Claim, Platform, Ruling
from serving.desk_records import Correction, CorrectionDraft, SwitchDraft
from serving.house import House
from serving.records import CaseKey, EvidenceDraft, Role, ScoreJob
from serving.refusals import LeaseLostError
from serving.store.erasure import ErasedCase
from serving.tables import photos
from tests.builders import build_case, photo_bytes
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of
from tests.serving.store.overtaking import overtaken

ONE, TWO, THREE = (CaseKey(Platform.TAOBAO, f"TB-{name}") for name in ("ONE", "TWO", "THREE"))
PHOTO = {"photo_id": "p1", "role": "received", "filed_by": "buyer"}


@pytest.fixture
def filed(scoring_house: House) -> House:
    """A house with three cases of one photo each, which nobody has filed yet."""
    for key in (ONE, TWO, THREE):
        case = build_case(case_id=key.case_id, photos=[PHOTO])
        scoring_house.store.take_in(case, by=user_of(scoring_house, Role.SERVICE))
    return scoring_house


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


def test_photos_that_a_case_is_just_getting_and_an_erasure_are_locked_in_one_order(filed: House) -> None:
    filer = user_of(filed, Role.SERVICE)
    first, last = sorted((filed.photo_intake.keep(photo_bytes(seed=n)) for n in (1, 2)), key=lambda one: one.digest)
    keys = [CaseKey(Platform.TAOBAO, case_id) for case_id in ("TB-FOUR", "TB-FIVE")]
    for key in keys:
        listed = [PHOTO, {**PHOTO, "photo_id": "p2"}]
        filed.store.take_in(build_case(case_id=key.case_id, photos=listed), by=filer)
        filed.store.add_photo(key, "p1", first, by=filer)
    filed.store.add_photo(keys[0], "p2", last, by=filer)
    done = overtaken(
        filed,
        lambda: filed.store.add_photo(keys[1], "p2", last, by=filer),
        erasing(filed, keys[0]),
        at="INSERT INTO case_photos",
    )
    assert (done[0].changed, type(done[1])) == (True, ErasedCase)
    assert photos_kept(filed) == 2


def test_photos_that_a_case_keeps_are_locked_in_order_before_its_new_version_names_them(filed: House) -> None:
    add_photo(filed, ONE)
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    engine = filed.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    draft = EvidenceDraft.model_validate({"photos": [{**PHOTO, "photo_id": "p2"}]})
    assert filed.store.add_evidence(ONE, draft, by=user_of(filed, Role.SERVICE)).changed
    sa.event.remove(engine, "before_cursor_execute", note)
    locking = next(n for n, statement in enumerate(said) if statement.startswith("SELECT photos.digest"))
    assert "ORDER BY photos.digest" in said[locking]
    assert locking < next(n for n, statement in enumerate(said) if statement.startswith("INSERT INTO case_photos"))


def test_a_photo_of_two_cases_erased_at_once_goes_with_the_later_one(filed: House) -> None:
    for key in (ONE, TWO):
        add_photo(filed, key)
    done = overtaken(filed, erasing(filed, ONE), erasing(filed, TWO), at="DELETE FROM photos")
    assert [len(one.photos) for one in done] == [0, 1]
    assert photos_kept(filed) == 0


def noted(house: House, key: CaseKey) -> list[str]:
    return [entry.action.value for entry in house.store.audit_trail(subject=str(key))]


def leased(house: House, key: CaseKey) -> ScoreJob:
    """Return the job on a case, taken; those on other cases are dropped."""
    queue, case_key = house.store.score_queue, house.store.version(key).case_key
    while True:
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
            job = queue.lease(worker="w", lease_s=600)
        assert job is not None
        if job.case_key == case_key:
            return job
        queue.drop(job)


def finishing(house: House, key: CaseKey) -> Callable[[], bool]:
    job, suggestion = leased(house, key), house.scoring.suggest(CaseFile(house.store.version(key).case))
    return lambda: house.store.score_queue.finish(job, suggestion, worker="w")


def switch_off(house: House) -> str:
    draft = SwitchDraft(claim=Claim.DAMAGED, reason="checked")
    return house.store.desk.switch_off(draft, by=user_of(house, Role.LEAD)).switch_id


def test_that_a_suggestion_is_withheld_is_in_no_entry_once_its_case_is_erased(filed: House) -> None:
    job, queue = leased(filed, ONE), filed.store.score_queue
    switch_off(filed)
    done = overtaken(filed, lambda: queue.is_wanted(job, worker="w"), erasing(filed, ONE), at="UPDATE cases")
    assert (done[0], type(done[1])) == (False, ErasedCase)
    assert noted(filed, ONE) == []


def test_nothing_is_wanted_or_noted_on_a_case_that_was_erased(filed: House) -> None:
    job = leased(filed, ONE)
    switch_off(filed)
    erased = erasing(filed, ONE)()
    assert not filed.store.score_queue.is_wanted(job, worker="w")
    assert noted(filed, CaseKey(ONE.platform, erased.stand_in)) == ["content_erased"]


def test_that_scoring_failed_is_in_no_entry_once_its_case_is_erased(filed: House) -> None:
    job, queue = leased(filed, ONE), filed.store.score_queue

    def fail() -> None:
        queue.fail(job, "broken", worker="w", retry_in_s=None)

    done = overtaken(filed, fail, erasing(filed, ONE), at="UPDATE cases")
    assert (done[0], type(done[1])) == (None, ErasedCase)
    assert noted(filed, ONE) == []


def test_a_job_that_ends_while_its_case_is_erased_ends_first(filed: House) -> None:
    done = overtaken(filed, finishing(filed, ONE), erasing(filed, ONE), at="SELECT cases.platform")
    assert (done[0], type(done[1])) == (True, ErasedCase)
    assert noted(filed, ONE) == []


def test_a_job_that_ends_once_its_case_is_being_erased_finds_its_lease_lost(filed: House) -> None:
    done = overtaken(filed, erasing(filed, ONE), finishing(filed, ONE), at="DELETE FROM jobs")
    assert [type(one) for one in done] == [ErasedCase, LeaseLostError]
    assert noted(filed, ONE) == []


def test_a_case_that_is_erased_as_its_switch_ends_waits_for_no_suggestion(filed: House) -> None:
    job, queue, lead = leased(filed, ONE), filed.store.score_queue, user_of(filed, Role.LEAD)
    switch = switch_off(filed)
    queue.is_wanted(job, worker="w")
    queue.drop(job)
    n_others = queue.count_open()
    done = overtaken(filed, lambda: filed.store.desk.switch_on(switch, by=lead), erasing(filed, ONE), at="UPDATE cases")
    assert (done[0].ended_by, type(done[1])) == (lead.name, ErasedCase)
    assert queue.count_open() == n_others


def test_that_a_case_is_let_go_is_in_no_entry_once_it_is_erased(filed: House) -> None:
    desk, me = filed.store.desk, user_of(filed, Role.ARBITRATOR)
    desk.take(ONE, by=me)
    done = overtaken(filed, lambda: desk.release(ONE, by=me), erasing(filed, ONE), at="UPDATE holds")
    assert (done[0], type(done[1])) == (None, ErasedCase)
    assert noted(filed, ONE) == []


def test_that_a_correction_is_taken_back_is_in_no_entry_once_its_case_is_erased(filed: House) -> None:
    desk, me = filed.store.desk, user_of(filed, Role.ARBITRATOR)
    made = desk.correct(ONE, CorrectionDraft(kind="photo", ref="p1", damaged=True), by=me)

    def take_back() -> object:
        return desk.withdraw_correction(ONE, made.correction_id, by=me)

    done = overtaken(filed, take_back, erasing(filed, ONE), at="UPDATE corrections")
    assert (type(done[0]), type(done[1])) == (Correction, ErasedCase)
    assert noted(filed, ONE) == []


def test_that_a_message_was_delivered_is_in_no_entry_once_its_case_is_erased(filed: House) -> None:
    draft = DecisionDraft(ruling=Ruling.REFUND)
    filed.store.decide(ONE, draft, by=user_of(filed, Role.ARBITRATOR), input_digest="sha256:0")
    message = filed.store.outbox.take(hold=timedelta(minutes=1))
    assert message is not None

    def deliver() -> None:
        filed.store.outbox.delivered(message)

    done = overtaken(filed, deliver, erasing(filed, ONE), at="INSERT INTO audit_events")
    assert (done[0], type(done[1])) == (None, ErasedCase)
    assert noted(filed, ONE) == []
