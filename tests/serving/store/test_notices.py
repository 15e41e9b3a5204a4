"""A notice is sent once, as it was last written, and never when its decision was withdrawn first."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from models.domain import DecisionDraft
from models.vocabulary import Ruling
from serving.desk_records import Notice, NoticeText
from serving.house import House
from serving.records import CaseKey, DecisionRecord, Role, WithdrawalDraft
from serving.refusals import NoticeSentError
from serving.tables import outbox
from tests.builders import build_case
from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
from tests.serving.conftest import user_of
from tests.serving.store.overtaking import overtaken

KEY = CaseKey(build_case().platform, "TB-1")
WRITTEN = NoticeText(zh="退款", en="refund")
EDITED = NoticeText(zh="改过", en="edited")


class Desk:
    """A decided case and what an arbitrator does with its notice."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.me = user_of(house, Role.ARBITRATOR)
        house.store.take_in(build_case(), by=user_of(house, Role.SERVICE))
        draft = DecisionDraft(ruling=Ruling.REFUND)
        house.store.decide(KEY, draft, by=self.me, input_digest="sha256:0", write_notice=lambda _: WRITTEN)

    @property
    def notice(self) -> Notice:
        return self.house.store.desk.notices(KEY)[0]

    def send(self) -> Notice:
        return self.house.store.desk.send_notice(KEY, self.notice.notice_id, by=self.me)

    def edit(self) -> Notice:
        return self.house.store.desk.edit_notice(KEY, self.notice.notice_id, EDITED, by=self.me)

    def withdraw(self) -> DecisionRecord:
        return self.house.store.withdraw(KEY, WithdrawalDraft(reason="看错了"), by=self.me)

    def told(self) -> list[str]:
        """Return the kinds of the messages about the case, in order."""
        with self.house.store.database.read() as connection:
            return list(connection.execute(sa.select(outbox.c.kind).order_by(outbox.c.id)).scalars())

    def sent(self) -> list[Notice]:
        query = sa.select(outbox.c.payload).where(outbox.c.kind == "notice").order_by(outbox.c.id)
        with self.house.store.database.read() as connection:
            return [Notice.model_validate(json.loads(payload)) for payload in connection.execute(query).scalars()]

    def noted(self) -> list[str]:
        return [entry.action for entry in self.house.store.audit_trail() if entry.action.startswith("notice_")]


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


@pytest.fixture
def in_an_hour(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an hour later, and the undo window over, for whoever asks the desk."""
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("serving.store.desk._now", lambda: later)


def test_of_two_sends_at_once_one_sends(desk: Desk) -> None:
    first, second = overtaken(desk.house, desk.send, desk.send, at="UPDATE notices")
    assert (first.state, type(second)) == ("sent", NoticeSentError)
    assert desk.sent() == [desk.notice]
    assert desk.noted() == ["notice_written", "notice_sent"]


def test_a_notice_that_a_withdrawal_has_taken_back_is_not_sent(desk: Desk) -> None:
    first, second = overtaken(desk.house, desk.withdraw, desk.send, at="UPDATE audit_events")
    assert (first.state, type(second)) == ("withdrawn", NoticeSentError)
    assert (desk.notice.state, desk.sent()) == ("void", [])


def test_a_notice_that_leaves_while_its_decision_is_withdrawn_leaves_before_the_withdrawal(desk: Desk) -> None:
    overtaken(desk.house, desk.send, desk.withdraw, at="UPDATE notices")
    assert (desk.notice.state, desk.told()) == ("sent", ["decision", "notice", "withdrawal"])


def test_a_withdrawal_under_way_keeps_a_notice_from_leaving(desk: Desk) -> None:
    _, second = overtaken(desk.house, desk.withdraw, desk.send, at="UPDATE notices")
    assert type(second) is NoticeSentError
    assert (desk.notice.state, desk.told()) == ("void", ["decision", "withdrawal"])


@pytest.mark.usefixtures("in_an_hour")
def test_a_withdrawal_under_way_keeps_a_notice_from_leaving_when_its_time_comes(desk: Desk) -> None:
    _, n_done = overtaken(desk.house, desk.withdraw, desk.house.store.desk.keep_up, at="UPDATE notices")
    assert (n_done, desk.notice.state, desk.told()) == (0, "void", ["decision", "withdrawal"])


@pytest.mark.usefixtures("in_an_hour")
def test_a_notice_that_is_being_sent_when_its_time_comes_is_sent_once(desk: Desk) -> None:
    _, n_done = overtaken(desk.house, desk.send, desk.house.store.desk.keep_up, at="UPDATE notices")
    assert (n_done, desk.told()) == (0, ["decision", "notice"])


def test_an_edit_that_the_sending_overtakes_is_in_the_message_or_nowhere(desk: Desk) -> None:
    overtaken(desk.house, desk.edit, desk.send, at="UPDATE notices")
    assert [one.text for one in desk.sent()] == [desk.notice.text]


def test_a_notice_that_is_being_sent_is_not_edited(desk: Desk) -> None:
    first, second = overtaken(desk.house, desk.send, desk.edit, at="UPDATE audit_events")
    assert (first.text, type(second)) == (WRITTEN, NoticeSentError)
    assert desk.notice.text == WRITTEN
    assert desk.noted() == ["notice_written", "notice_sent"]
