"""Taobao's refunds: every code is mapped or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.domain import parse_case
from serving.cli import app
from serving.taobao import import_refund, import_refunds


def refund(**changes: Any) -> dict[str, Any]:
    return {
        "refund_id": "R-1",
        "tid": "T-1",
        "buyer_nick": "b**1",
        "seller_nick": "骨瓷店",
        "title": "骨瓷马克杯",
        "num": 1,
        "payment": "0.00",
        "refund_fee": "59.00",
        "total_fee": "59.00",
        "status": "SELLER_REFUSE_BUYER",
        "cs_status": 3,
        "good_status": "BUYER_RECEIVED",
        "has_good_return": True,
        "reason": "收到商品破损",
        "desc": "杯子碎了",
        "created": "2026-03-01 10:00:00",
        "modified": "2026-03-03 12:30:00",
        "alipay_no": "a key that is not ours",
        **changes,
    }


MESSAGES = [
    {"id": 2, "owner_role": 2, "content": "发货前是好的", "created": "2026-03-01 11:00:00"},
    {
        "id": 1,
        "owner_role": 1,
        "content": "看图",
        "created": "2026-03-01 10:30:00",
        "pic_urls": {"pic_url": [{"url": "https://img.example.com/1.jpg"}]},
    },
]


def test_a_refund_becomes_a_case_with_its_times_amounts_messages_and_pictures() -> None:
    case = import_refund(refund(messages={"refund_message": MESSAGES})).case
    assert case is not None
    assert (case.platform, case.case_id, case.order.order_id) == ("taobao", "R-1", "T-1")
    assert (case.claim, case.requested) == ("damaged", "return_and_refund")
    assert (case.order.paid_minor, case.order.currency, case.order.goods_state) == (5900, "CNY", "received")
    assert case.opened_at.isoformat() == "2026-03-03T12:30:00+08:00"
    assert [event.event for event in case.timeline] == ["refund_applied", "refused", "platform_stepped_in"]
    assert [(message.speaker, message.text) for message in case.chat] == [("buyer", "看图"), ("seller", "发货前是好的")]
    assert case.chat[0].photo_ids == ("1-1",)
    assert [(p.filed_by, p.role, p.path) for p in case.photos] == [
        ("buyer", "received", "https://img.example.com/1.jpg")
    ]


@pytest.mark.parametrize(
    ("changes", "claim", "requested"),
    [
        ({"reason": "商品与描述不符"}, "not_as_described", "return_and_refund"),
        ({"reason": "质量问题", "has_good_return": False}, "quality_defect", "refund"),
        ({"reason": "少件/漏发", "has_good_return": False, "refund_fee": "9.50"}, "missing_item", "partial_refund"),
        ({"reason": "假冒品牌"}, "counterfeit", "return_and_refund"),
        ({"reason": "七天无理由退换货"}, "change_of_mind", "return_and_refund"),
        ({"reason": "其他", "good_status": "BUYER_NOT_RECEIVED", "has_good_return": False}, "not_received", "refund"),
        (
            {"status": "WAIT_SELLER_CONFIRM_GOODS", "good_status": "BUYER_RETURNED_GOODS"},
            "return_not_refunded",
            "return_and_refund",
        ),
    ],
)
def test_reason_and_codes_make_the_claim_and_what_is_asked(changes: dict[str, Any], claim: str, requested: str) -> None:
    case = import_refund(refund(**changes)).case
    assert case is not None
    assert (case.claim, case.requested) == (claim, requested)


@pytest.mark.parametrize(
    ("total_fee", "payment", "refund_fee", "paid", "requested"),
    [
        ("59.00", "0.00", "59.00", 5900, "refund"),
        ("59.00", "40.00", "19.00", 5900, "partial_refund"),
        (None, "40.00", "19.00", 5900, "partial_refund"),
        (None, "0.00", "59.00", 5900, "refund"),
        ("59.00", "38.00", "19.00", 5900, "partial_refund"),
        ("59.00", None, "59.00", 5900, "refund"),
        ("59.00", None, None, 5900, "refund"),
    ],
)
def test_the_buyer_paid_what_the_seller_keeps_and_what_goes_back(
    total_fee: str | None, payment: str | None, refund_fee: str | None, paid: int, requested: str
) -> None:
    amounts = {"total_fee": total_fee, "payment": payment, "refund_fee": refund_fee}
    case = import_refund(refund(has_good_return=False, **amounts)).case
    assert case is not None
    assert (case.order.paid_minor, case.requested) == (paid, requested)


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        ({"payment": "59.00"}, "total_fee: is required, or payment and refund_fee"),
        ({"refund_fee": "59.00"}, "total_fee: is required, or payment and refund_fee"),
        ({}, "total_fee: is required, or payment and refund_fee"),
        ({"total_fee": "59.00", "refund_fee": "59.01"}, "refund_fee: 59.01 is more than total_fee, 59.00"),
    ],
)
def test_amounts_that_do_not_say_what_was_paid_are_refused_by_name(amounts: dict[str, str], reason: str) -> None:
    found = import_refund(refund(**{"total_fee": None, "payment": None, "refund_fee": None, **amounts}))
    assert (found.case, found.reason) == (None, reason)


MESSAGE_KEYS = ("messages", "refund_messages", "refund_messages_get_response", "refund_message")
LISTED = {"refund_message": MESSAGES}
ANSWER = {"refund_messages": LISTED, "total_results": 2, "request_id": "q"}
WHOLE_ANSWER = {"refund_messages_get_response": ANSWER}
SIMPLIFIED = {"refund_messages": MESSAGES, "total_results": 2}


@pytest.mark.parametrize("key", MESSAGE_KEYS)
@pytest.mark.parametrize("messages", [MESSAGES, LISTED, {"refund_messages": LISTED}, ANSWER, WHOLE_ANSWER, SIMPLIFIED])
def test_messages_are_read_in_any_of_the_platforms_wrappings(key: str, messages: Any) -> None:
    case = import_refund(refund(**{key: messages})).case
    assert case is not None
    assert [message.message_id for message in case.chat] == ["1", "2"]
    assert [photo.photo_id for photo in case.photos] == ["1-1"]


@pytest.mark.parametrize("key", MESSAGE_KEYS)
@pytest.mark.parametrize(
    "nothing",
    [
        None,
        {},
        [],
        {"refund_message": []},
        {"refund_messages": {}},
        {"refund_messages_get_response": {"refund_messages": {}, "total_results": 0}},
        {"refund_messages_get_response": {"total_results": 0, "request_id": "q"}},
    ],
)
def test_an_answer_without_messages_makes_a_case_without_chat(key: str, nothing: Any) -> None:
    case = import_refund(refund(**{key: nothing})).case
    assert case is not None
    assert case.chat == ()


@pytest.mark.parametrize("key", MESSAGE_KEYS)
@pytest.mark.parametrize(
    "unknown",
    [
        {"message": MESSAGES},
        {"request_id": "q"},
        {"error_response": {"code": 15, "msg": "Remote service error"}},
        {"refund_message": None},
        {"refund_message": {}},
        {"refund_message": MESSAGES[0]},
        {"refund_messages": None},
        {"refund_messages": {"message": MESSAGES}},
        {"refund_messages": {}, "total_results": 2},
        {"refund_messages_get_response": {"data": LISTED}},
    ],
)
def test_messages_in_no_known_wrapping_are_refused_by_name(key: str, unknown: Any) -> None:
    found = import_refund(refund(**{key: unknown}))
    assert (found.case, found.case_id, found.reason) == (None, "R-1", f"{key}: holds no refund_message")


def test_messages_under_two_keys_are_refused_and_an_empty_key_is_passed_over() -> None:
    found = import_refund(refund(messages=MESSAGES[:1], refund_messages=MESSAGES[1:]))
    assert (found.case, found.reason) == (None, "refund_messages: messages already stand under messages")
    case = import_refund(refund(messages=[], refund_messages_get_response=ANSWER)).case
    assert case is not None
    assert len(case.chat) == 2


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (WHOLE_ANSWER, "refund_messages_get_response"),
        ({"refund_messages_get_response": {}}, "refund_messages_get_response"),
        (ANSWER, "refund_messages"),
        (LISTED, "refund_message"),
        ({"messages": MESSAGES}, "messages"),
        ({"refund_get_response": {"refund": refund()}, **WHOLE_ANSWER}, "refund_messages_get_response"),
        ({"refunds_receive_get_response": {"refunds": {"refund": [refund()]}, **ANSWER}}, "refund_messages"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_messages_outside_a_refund_are_told_where_they_belong(
    content: dict[str, Any], key: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"messages{suffix}"
    path.write_text(json.dumps(content), encoding="utf-8")
    reason = f"{key}: no refund_id stands beside it; put it under its refund's messages"
    assert [(found.case, found.reason) for found in import_refunds(path)] == [(None, reason)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *(({"cs_status": code}, f"cs_status: {code}, ") for code in (1, 6, 7, 8, 9, 11)),
        ({"cs_status": 12}, "cs_status: '12' is none of 2, 3, 4, 5, 10"),
        ({"status": "SUCCESS"}, "status: SUCCESS, the refund has been paid"),
        ({"status": "GONE"}, "status: 'GONE' is none of"),
        ({"good_status": "LOST"}, "good_status: 'LOST' is none of"),
        ({"reason": "其他"}, "reason: '其他' holds no word of taobao.yaml"),
        ({"payment": "5.999"}, "payment: Value error, has more than two places"),
        ({"created": "yesterday"}, "created: Value error"),
        ({"messages": [{**MESSAGES[0], "owner_role": 9}]}, "messages.2.owner_role: '9' is none of 1, 2, 3"),
        ({"messages": 5}, "messages: Input should be a valid tuple"),
        ({"messages": ""}, "messages: Input should be a valid tuple"),
        (
            {"messages": [{**MESSAGES[1], "pic_urls": {"url": []}}]},
            "messages.0.pic_urls: Input should be a valid tuple",
        ),
        ({"payment": "Infinity"}, "payment: Value error, is no amount of yuan"),
        ({"payment": "NaN"}, "payment: Value error, is no amount of yuan"),
        ({"payment": "1E+999999"}, "payment: Value error, is no amount of yuan"),
        ({"status": "\ud800"}, "status: '\\ud800' is none of"),
    ],
)
def test_what_is_no_open_dispute_or_has_an_unknown_code_is_refused_by_name(
    changes: dict[str, Any], reason: str
) -> None:
    found = import_refund(refund(**changes))
    assert found.case is None
    assert found.case_id == "R-1"
    assert reason in found.reason


def test_answers_of_the_platform_are_unwrapped(tmp_path: Path) -> None:
    path = tmp_path / "refunds.json"
    wrapped = {"refunds_receive_get_response": {"refunds": {"refund": [refund(), refund(refund_id="R-2")]}}}
    for content, n_cases in (
        (wrapped, 2),
        ({"refund_get_response": {"refund": refund()}}, 1),
        ([refund()], 1),
        (refund(), 1),
    ):
        path.write_text(json.dumps(content), encoding="utf-8")
        assert len([found for found in import_refunds(path) if found.case]) == n_cases


def test_wrapping_without_end_is_refused_without_a_crash(tmp_path: Path) -> None:
    content: Any = 5
    for _ in range(50_000):
        content = {"refunds": content}
    assert "refund" in import_refund(content).reason
    messages: Any = 5
    for _ in range(50_000):
        messages = {"refund_messages": messages}
    assert import_refund(refund(messages=messages)).reason == "messages: holds no refund_message"
    path = tmp_path / "refunds.jsonl"
    path.write_text('{"refunds":' * 100_000, encoding="utf-8")
    assert [found.reason.split(":")[0] for found in import_refunds(path)] == ["is not valid JSON"]


def test_the_command_writes_cases_that_a_backlog_takes_and_a_report_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "refunds.jsonl"
    hostile = '{"refund_id": "\\ud800", "status": "\\ud800"}'
    rows = [refund(), "{", refund(), refund(refund_id="R-2", cs_status=8), refund(refund_id="R-3"), hostile]
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows),
        encoding="utf-8",
    )
    told = CliRunner().invoke(app, ["import", "taobao", str(path), "--out", str(tmp_path / "out")])
    assert told.exit_code == 0, told.output
    lines = (tmp_path / "out" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    assert [parse_case(line).case_id for line in lines] == ["R-1", "R-3"]
    refused = [json.loads(line) for line in (tmp_path / "out" / "refused.jsonl").read_text("utf-8").splitlines()]
    assert [(row["line"], row["case_id"]) for row in refused] == [(2, None), (3, "R-1"), (4, "R-2"), (6, "\\ud800")]
    assert refused[1]["reason"] == "refund R-1 already stands at 1"

    told = CliRunner().invoke(app, ["import", "taobao", str(tmp_path / "no.json"), "--out", str(tmp_path / "out")])
    assert told.exit_code == 2
    assert "No such file" in told.output
    assert len((tmp_path / "out" / "cases.jsonl").read_text(encoding="utf-8").splitlines()) == 2
