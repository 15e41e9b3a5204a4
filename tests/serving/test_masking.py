"""Personal data doesn't leave; what a dispute is about stays readable."""

import pytest

from serving.masking import mask, masked_case, pseudonym
from tests.builders import build_case


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("打我13812345678吧", "打我[phone]吧"),
        ("+86 138 1234 5678", "[phone]"),
        ("座机 010-12345678", "座机 [phone]"),
        ("call 555-123-4567 now", "call [phone] now"),
        ("身份证11010519491231002X", "身份证[id]"),
        ("卡号6222021234567890123", "卡号[card]"),
        ("6222 0212 3456 7890", "[card]"),
        ("写信到 a.b+c@mail.example.com 。", "写信到 [email] 。"),
        ("收货人：王小明，谢谢", "收货人：[name]，谢谢"),
        ("地址是上海市浦东新区世纪大道100号", "地址是[address]"),
        ("Call +1 (555) 123-4567", "Call [phone]"),
        ("Hello, My name is Jane Doe.", "Hello, My name is [name]."),
        ("ship to 221 Baker Street please", "ship to [address] please"),
    ],
)
def test_personal_data_is_replaced_by_its_kind(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "杯子碎了2个，赔59.00元",
        "订单260218-55013307",
        "2026-03-01 10:00",
        "350ml 白色 8寸",
        "20mm x 30mm",
        "SF1234567890",
    ],
)
def test_what_is_not_personal_is_left(text: str) -> None:
    assert mask(text) == text


def test_masking_twice_is_masking_once() -> None:
    text = "收货人：王小明 13812345678 地址是上海市浦东新区100号 a@b.cn"
    assert mask(mask(text)) == mask(text)


def test_equal_ids_keep_equal_stand_ins_on_one_platform() -> None:
    assert pseudonym("s", "s-1", platform="jd") == pseudonym("s", "s-1", platform="jd")
    assert pseudonym("s", "s-1", platform="jd") != pseudonym("s", "s-1", platform="ebay")
    assert masked_case(build_case()).order.seller_id == masked_case(build_case(case_id="2")).order.seller_id
