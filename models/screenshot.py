"""Screenshots of chats: the lines read from them, and which of those the filed chat doesn't hold.

Reading makes mistakes, and a screenshot shows more than messages (names, times, buttons): a line that isn't found is a
reason to look, no more. Knows nothing of cases.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from models.images import open_photo

_READ_SIDE = 1600
_MIN_CHARACTERS = 4
_ALIKE = 0.7
_MIN_SCORE = 0.6
_CHROME = re.compile(
    r"^(?:(?:上午|下午|昨天|今天|星期.|周.)?\d{1,2}[:：]\d{2}(?:am|pm)?|\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,2}.{0,12}|已读|未读|发送|"
    r"对方正在输入|按住说话|语音通话|客服|店铺|read|delivered|today|yesterday|typingamessage|send|\d{1,3}%?)$"
)


class ScreenshotReader:
    """Reads text with the recogniser that comes with rapidocr (PP-OCR, Chinese and English); loaded on first use.

    threads : of the recogniser
    """

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads
        self._engine: Callable[..., Any] | None = None

    def __call__(self, data: bytes) -> list[str]:
        """Return the lines of a photo, top to bottom. Raises ImageError."""
        image = open_photo(data, needed_side=_READ_SIDE).image
        image.thumbnail((_READ_SIDE, _READ_SIDE))
        read = self._loaded()(np.asarray(image)[:, :, ::-1])
        return [
            text
            for text, score in zip(read.txts or (), read.scores or (), strict=True)
            if score >= _MIN_SCORE and text.strip()
        ]

    def _loaded(self) -> Callable[..., Any]:
        if self._engine is None:
            from rapidocr import RapidOCR

            engine: Callable[..., Any] = RapidOCR(
                params={
                    "EngineConfig.onnxruntime.intra_op_num_threads": self.threads,
                    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                    "Global.log_level": "error",
                }
            )
            self._engine = engine
        return self._engine


def absent_lines(lines: Sequence[str], messages: Sequence[str]) -> list[str]:
    """Return the lines that no message holds, not even nearly; short ones and those of the program itself aside."""
    said = [plain for message in messages if (plain := _plain(message))]
    absent = []
    for line in lines:
        asked = _plain(line)
        if len(asked) < _MIN_CHARACTERS or _CHROME.match(asked):
            continue
        if not any(_holds(message, asked) for message in said):
            absent.append(line)
    return absent


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(character for character in folded if character.isalnum() or character in ":%-/.").strip(".")


def _holds(message: str, asked: str) -> bool:
    """Whether the characters of `asked` stand in `message` in order, most of them and close together."""
    if asked in message:
        return True
    matching = [
        block for block in SequenceMatcher(None, message, asked, autojunk=False).get_matching_blocks() if block.size
    ]
    if sum(block.size for block in matching) < _ALIKE * len(asked):
        return False
    return matching[-1].a + matching[-1].size - matching[0].a <= 2 * len(asked)
