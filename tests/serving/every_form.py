"""Every form that a page posts, filled in as a lead would, each ready to be sent once with success."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from models.domain import DecisionDraft, parse_case
from models.vocabulary import Platform, Ruling, StatementLabel
from serving.api.documents import EXAMPLE_CASE
from serving.case_files import read_case_file
from serving.desk_records import AssignmentDraft, CorrectionDraft, NoticeText, SwitchDraft
from serving.house import House
from serving.records import CaseKey, Role, User
from tests.serving.conftest import user_of

PAGE = "/cases/{platform}/{case_id}"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Form:
    """path : template, as in the table of pages; a value in braces is filled in by `ready`

    decided : it is on a decided case, else on an open one
    """

    path: str
    fields: dict[str, str]
    decided: bool = False


_QUERY = "claim=damaged&min=1&search=杯"
_RULED = {
    "version": "1",
    "stage": "first_review",
    "suggestion_id": "{suggestion_id}",
    "opened_at": "1772000000.5",
    "reason": "other",
    "note": "裂纹是旧的",
    "distinguishes": "杯子是定制的",
    "query": _QUERY,
    "go_on": "1",
}
_CHOSEN = {"refund": "12.50", "outbound_freight": "seller", "return_freight": "none", "responsible": "seller"}
FORMS: tuple[Form, ...] = (
    Form("/next", {"query": _QUERY}),
    Form("/views", {"name": "急件", "query": _QUERY}),
    Form("/views", {"delete": "{view}"}),
    Form("/shortcuts", {"ruling.dismiss": "F2", "next": "F3"}),
    Form("/language", {"language": "en", "back": "/lead"}),
    Form(
        "/lead/assign",
        {
            "people": "{name}",
            "claim": "damaged",
            "platform": "taobao",
            "at_most": "3",
            "at_most_each": "5000",
            "do": "1",
        },
    ),
    Form("/lead/assign", {"undo": "{batch_id}"}),
    Form("/lead/switch", {"claim": "counterfeit", "platform": "jd", "reason": "正在查"}),
    Form("/lead/switch", {"on": "{switch_id}"}),
    Form("/models/move", {"instead_of": "1", "promote": "2", "reason": "更准"}),
    Form("/models/move", {"instead_of": "2", "reason": "改判变多"}),
    Form("/models/retraining", {}),
    Form("/models/retraining", {"cancel": "{retraining_id}"}),
    Form("/models/shadow", {"on": "1"}),
    Form(f"{PAGE}/decision", {**_RULED, **_CHOSEN, "ruling": "partial_refund"}),
    Form(f"{PAGE}/decision", {**_RULED, "ruling": "request_evidence", "ask": "{ask}", "ask_text": "请补交照片"}),
    Form(f"{PAGE}/withdraw", {"stage": "first_review", "reason": "看错了"}, decided=True),
    Form(f"{PAGE}/hold", {}),
    Form(f"{PAGE}/aside", {"how": "skip", "reason": "需要懂珠宝鉴定的同事", "query": _QUERY}),
    Form(f"{PAGE}/aside", {"how": "recuse", "reason": "认识卖家", "query": _QUERY}),
    Form(f"{PAGE}/notice", {"notice_id": "{notice_id}", "zh": "通知", "en": "Notice", "send": "1"}, decided=True),
    Form(f"{PAGE}/appeal", {"filed_by": "seller", "reason": "有发货前视频"}, decided=True),
    Form(f"{PAGE}/correct", {"kind": "statement", "ref": "m1", "label": "claims_damage", "holds": "1"}),
    Form(f"{PAGE}/correct", {"kind": "photo", "ref": "p1", "region": "1,2,30,40"}),
    Form(f"{PAGE}/correct", {"kind": "photo", "ref": "p1", "damaged": "0"}),
    Form(f"{PAGE}/correct", {"kind": "listing_match", "ref": "p1|p1", "label": "match"}),
    Form(f"{PAGE}/correct", {"take_back": "{correction_id}"}),
    Form("/sign-out", {}),
    Form("/sign-in", {"name": "{typist}", "password": PASSWORD}),
    Form("/set-up", {"token": "{link}", "password": PASSWORD, "again": PASSWORD}),
)


def ready(house: House, form: Form) -> tuple[str, dict[str, str]]:
    """Make a case and whatever else the form speaks of; return its address and fields."""
    lead = user_of(house, Role.LEAD)
    key = _decided_case(house, lead) if form.decided else _open_case(house)
    made: dict[str, Callable[[], str]] = {
        "{name}": lambda: lead.name,
        "{typist}": lambda: _typist(house),
        "{view}": lambda: _view(house, lead),
        "{batch_id}": lambda: _batch(house, lead),
        "{switch_id}": lambda: house.store.desk.switch_off(SwitchDraft(reason="正在查"), by=lead).switch_id,
        "{retraining_id}": lambda: _retraining(house, lead),
        "{suggestion_id}": lambda: _suggestion(house, key),
        "{ask}": lambda: "unboxing_video",
        "{notice_id}": lambda: house.store.desk.notices(key)[0].notice_id,
        "{correction_id}": lambda: _correction(house, key, lead),
        "{link}": lambda: house.gatekeeper.make_link(lead, by="system:test", kind="set_up"),
    }
    fields = {name: made[value]() if value in made else value for name, value in form.fields.items()}
    return form.path.format(platform=key.platform, case_id=key.case_id), fields


def _open_case(house: House) -> CaseKey:
    case = parse_case({**EXAMPLE_CASE, "case_id": uuid.uuid4().hex})
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    return CaseKey(Platform.TAOBAO, case.case_id)


def _decided_case(house: House, lead: User) -> CaseKey:
    key = _open_case(house)
    draft = DecisionDraft(ruling=Ruling.REFUND, reason="签收不当", distinguishes="杯子是定制的")
    house.store.decide(
        key, draft, by=lead, input_digest="sha256:0", write_notice=lambda _: NoticeText(zh="通知", en="Notice")
    )
    return key


def _suggestion(house: House, key: CaseKey) -> str:
    version = house.store.version(key)
    suggestion = house.scoring.suggest(read_case_file(version, house.photos))
    house.store.keep_suggestion(version, suggestion, by="system:test")
    return suggestion.suggestion_id


def _typist(house: House) -> str:
    """Return the name of a new user with a password."""
    return house.gatekeeper.add_user(uuid.uuid4().hex, role=Role.LEAD, password=PASSWORD, by="system:test").name


def _retraining(house: House, lead: User) -> str:
    waiting = [one for one in house.store.retrainings.newest() if one.state == "waiting"]
    return str((waiting or [house.store.retrainings.ask(by=lead)])[0].retraining_id)


def _view(house: House, lead: User) -> str:
    house.store.desk.keep_preference("旧的", _QUERY, of=lead, kind="view")
    return "旧的"


def _batch(house: House, lead: User) -> str:
    dealt = house.store.oversight.assign(AssignmentDraft(people=(lead.name,), at_most=1, preview=False), by=lead)
    assert dealt.batch_id is not None
    return dealt.batch_id


def _correction(house: House, key: CaseKey, lead: User) -> str:
    wrong = CorrectionDraft(kind="statement", ref="m1", label=StatementLabel.CLAIMS_DAMAGE, holds=False)
    return house.store.desk.correct(key, wrong, by=lead).correction_id
