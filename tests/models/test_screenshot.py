"""Lines of a screenshot are looked for in the filed chat, leniently."""

import io

import pytest
from PIL import Image, ImageDraw, ImageFont

from models.errors import ImageUnreadableError
from models.screenshot import ScreenshotReader, absent_lines

CHAT = ["你好，杯子收到的时候已经碎了，麻烦看一下", "Hello, the parcel was already broken when it came"]


def test_a_part_of_a_message_is_there_however_the_bubble_breaks_it() -> None:
    assert absent_lines(["你好，杯子收到的时候", "已经碎了，麻烦看一下"], CHAT) == []


def test_a_misread_character_does_not_make_a_line_absent() -> None:
    assert absent_lines(["你好，杯子收到的时侯已经碎了", "the parcel was a1ready broken"], CHAT) == []


def test_what_nobody_wrote_is_absent() -> None:
    assert absent_lines(["我们同意全额退款给您"], CHAT) == ["我们同意全额退款给您"]


def test_scattered_characters_are_no_match() -> None:
    long = "杯" + "一二三四五六七八九十" * 5 + "子" + "甲乙丙丁戊己庚辛壬癸" * 5 + "碎了"
    assert absent_lines(["杯子碎了"], [long]) == ["杯子碎了"]


@pytest.mark.parametrize("line", ["10:23", "昨天 18:05", "2026年3月1日 下午", "已读", "发送", "嗯嗯", "98%"])
def test_what_the_program_shows_beside_messages_is_left_aside(line: str) -> None:
    assert absent_lines([line], CHAT) == []


def test_text_is_read_from_a_screenshot() -> None:
    shot = Image.new("RGB", (640, 200), "white")
    ImageDraw.Draw(shot).text((30, 70), "refund of 5900 agreed", font=ImageFont.load_default(42), fill="black")
    out = io.BytesIO()
    shot.save(out, "PNG")
    lines = ScreenshotReader()(out.getvalue())
    assert len(absent_lines(lines, ["no refund for you"])) == 1
    assert absent_lines(lines, ["refund of 5900 agreed"]) == []


def test_what_is_no_photo_cannot_be_read() -> None:
    with pytest.raises(ImageUnreadableError):
        ScreenshotReader()(b"nothing")
