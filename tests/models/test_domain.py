"""The intake format is a contract: what breaks it is refused with the field's name."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain import Suggestion, parse_case
from models.errors import CaseFormatError, ReviewError

CASE: dict[str, Any] = {
    "case_id": "TB-1",
    "platform": "taobao",
    "opened_at": "2026-03-02T10:00:00+08:00",
    "claim": "damaged",
    "requested": "refund",
    "listing": {"title": "杯子"},
    "order": {
        "order_id": "o1",
        "buyer_id": "b1",
        "seller_id": "s1",
        "paid_minor": 5900,
        "currency": "CNY",
        "goods_state": "received",
    },
    "chat": [
        {"message_id": "m1", "at": "2026-03-01T10:00:00+08:00", "speaker": "buyer", "text": "碎了😂 مكسور"},
        {"message_id": "m2", "at": "2026-03-01T10:05:00+08:00", "speaker": "seller", "text": "抱歉"},
    ],
    "photos": [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "photos/p1.jpg"}],
}


def _with(**changes: Any) -> dict[str, Any]:
    case = copy.deepcopy(CASE)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node: Any = case
        for key in parents:
            node = node[int(key) if key.isdigit() else key]
        node[int(last) if last.isdigit() else last] = value
    return case


def test_a_whole_case_comes_in_and_goes_out_the_same() -> None:
    case = parse_case(json.dumps(CASE))
    assert parse_case(case.model_dump_json()) == case


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"claim": "broken"}, "claim"),
        ({"requested": "dismiss"}, "requested"),
        ({"opened_at": "2026-03-02T10:00:00"}, "opened_at"),
        ({"opened_at": 1700000000}, "opened_at"),
        ({"order__paid_minor": -1}, "order.paid_minor"),
        ({"order__paid_minor": "59.00"}, "order.paid_minor"),
        ({"order__currency": "yuan"}, "order.currency"),
        ({"chat__1__at": "2026-02-01T10:00:00+08:00"}, "chat.1.at"),
        ({"chat__1__message_id": "m1"}, "chat.1.message_id"),
        ({"chat__0__photo_ids": ["p9"]}, "chat.0.photo_ids"),
        ({"chat__0__speaker": "robot"}, "chat.0.speaker"),
        ({"chat__0__text": "a\u0000b"}, "chat.0.text"),
        ({"photos__0__path": "../../etc/passwd"}, "photos.0.path"),
        ({"photos__0__path": "/etc/passwd"}, "photos.0.path"),
        ({"photos__0__path": "C:\\windows"}, "photos.0.path"),
    ],
)
def test_what_breaks_the_format_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(CaseFormatError) as refusal:
        parse_case(_with(**changes))
    assert field in [name for name, _ in refusal.value.problems]


def test_every_missing_key_is_named_at_once() -> None:
    with pytest.raises(CaseFormatError) as refusal:
        parse_case({})
    names = {name for name, _ in refusal.value.problems}
    assert names == {"case_id", "platform", "opened_at", "claim", "requested", "listing", "order"}


@pytest.mark.parametrize("data", [b"", b"[1]", b"nope", b"\xff\xfe", b'{"case_id": "\\ud800"}', "[" * 100_000])
def test_what_is_no_case_is_a_clear_error(data: bytes | str) -> None:
    with pytest.raises(CaseFormatError):
        parse_case(data)


def test_ten_thousand_messages_are_taken_and_one_more_is_not() -> None:
    message = CASE["chat"][0]
    chat = [{**message, "message_id": f"m{place}"} for place in range(10_001)]
    assert len(parse_case({**CASE, "chat": chat[:-1]}).chat) == 10_000
    with pytest.raises(CaseFormatError, match="chat"):
        parse_case({**CASE, "chat": chat})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_raises_anything_but_our_own_error(value: Any) -> None:
    with contextlib.suppress(ReviewError):
        parse_case(json.dumps(value))


def test_a_suggestion_refuses_unknown_keys() -> None:
    assert Suggestion.model_config["extra"] == "forbid"
    assert Suggestion.model_config["frozen"] is True


@pytest.mark.parametrize("case_id", ["..", ".", "TB-1/../TB-2", "../../lead", "TB-1/."])
def test_an_id_that_would_lead_elsewhere_in_an_address_is_refused(case_id: str) -> None:
    """A browser sends a form of `/cases/taobao/TB-1/../TB-2/decision` to the other case."""
    with pytest.raises(CaseFormatError, match="case_id: holds a path segment of dots only"):
        parse_case(_with(case_id=case_id))


@pytest.mark.parametrize("case_id", ["TB.1", "...", "TB-1/2", "..TB", "a b", "退款#1?"])
def test_other_ids_are_taken_whatever_they_hold(case_id: str) -> None:
    assert parse_case(_with(case_id=case_id)).case_id == case_id
