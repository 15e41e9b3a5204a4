"""What two people, or two processes, do on the desk at the same moment is done by both."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from models.domain import DecisionDraft, EvidenceAsk, RequestText
from models.vocabulary import Party, Platform, Ruling
from serving.desk_records import AssignmentDraft, NoticeText
from serving.house import House
from serving.records import CaseKey, Role
from tests.builders import build_case
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of
from tests.serving.store.overtaking import overtaken

EARLIER, LATER = (CaseKey(Platform.TAOBAO, f"TB-{name}") for name in ("EARLIER", "LATER"))
NOTICE = NoticeText(zh="请补充", en="please add")


@pytest.fixture
def keep_up(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """What time has brought about two months from now."""
    later = datetime.now(UTC) + timedelta(days=60)
    monkeypatch.setattr("serving.store.desk._now", lambda: later)
    return house.store.desk.keep_up


def ask(house: House, key: CaseKey, *, notice: NoticeText | None = None) -> None:
    """File a case and ask a party for evidence."""
    house.store.take_in(build_case(case_id=key.case_id), by=user_of(house, Role.SERVICE))
    request = EvidenceAsk(party=Party.SELLER, text=RequestText(zh="请补充", en="please add"))
    house.store.decide(
        key,
        DecisionDraft(ruling=Ruling.REQUEST_EVIDENCE, request=request),
        by=user_of(house, Role.ARBITRATOR),
        input_digest="sha256:0",
        write_notice=(lambda _: notice) if notice is not None else None,
    )


def missed(house: House, key: CaseKey) -> list[str]:
    return [step.event for step in house.store.version(key).case.timeline]


def test_two_that_keep_up_at_once_do_everything_once(house: House, keep_up: Callable[[], int]) -> None:
    ask(house, EARLIER)
    ask(house, LATER, notice=NOTICE)
    done = overtaken(house, keep_up, keep_up, at="UPDATE notices")
    assert sum(done) == 3
    assert missed(house, EARLIER) == missed(house, LATER) == ["deadline_missed"]


def test_two_that_note_for_the_first_time_what_time_brought_add_one_clerk(
    house: House, keep_up: Callable[[], int]
) -> None:
    ask(house, EARLIER)

    def ask_and_keep_up() -> int:
        ask(house, LATER)
        return keep_up()

    assert overtaken(house, keep_up, ask_and_keep_up, at="INSERT INTO users") == (1, 1)
    assert missed(house, EARLIER) == missed(house, LATER) == ["deadline_missed"]
    assert [entry.action for entry in house.store.audit_trail(subject="user:system:desk")] == ["user_added"]


def test_of_two_deals_at_once_each_case_goes_to_one_person(house: House) -> None:
    house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
    lead = user_of(house, Role.LEAD)

    def deal(name: str) -> list[str]:
        people = (user_of(house, Role.ARBITRATOR, name=name).name,)
        return [
            one.to
            for one in house.store.oversight.assign(AssignmentDraft(people=people, preview=False), by=lead).assigned
        ]

    dealt = overtaken(house, lambda: deal("wang"), lambda: deal("lin"), at="UPDATE cases")
    assert dealt == (["wang"], [])
    assert house.store.view(CaseKey(Platform.TAOBAO, "TB-1")).assigned_to == "wang"


def test_of_two_views_saved_at_once_under_one_name_the_later_stands(house: House) -> None:
    desk, me = house.store.desk, user_of(house, Role.ARBITRATOR)

    def save(query: str) -> None:
        desk.keep_preference("mine", query, of=me, kind="view")

    done = overtaken(house, lambda: save("min=1"), lambda: save("min=2"), at="INSERT INTO preferences")
    assert done == (None, None)
    assert desk.preferences(of=me, kind="view") == {"mine": "min=2"}


def test_of_two_sets_of_keys_chosen_at_once_the_later_stands_alone(house: House) -> None:
    desk, me = house.store.desk, user_of(house, Role.ARBITRATOR)

    def choose(**keys: str) -> None:
        desk.replace_preferences(keys, of=me, kind="shortcut")

    done = overtaken(
        house, lambda: choose(next="F2", undo="F3"), lambda: choose(next="F4"), at="INSERT INTO preferences"
    )
    assert done == (None, None)
    assert desk.preferences(of=me, kind="shortcut") == {"next": "F4"}
