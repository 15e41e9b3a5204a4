"""Text that poses as the platform, the program or a language model's prompt, though a party wrote it.

Such a message is still read for what it states; this only tells it apart, so that it can't colour how others are read.
Known forms alone are told: whoever words an order like ordinary speech is read as ordinary speech.
"""

import re

_FORMS = (
    r"^\W*(?:system|assistant|user|系统|平台通知|系统提示)\W*[:：\]】#]",
    r"[【\[<](?:平台|系统|官方|platform|system)",
    r"</?[a-z_]{2,}>|<\|\w*\|>|###",
    r"(?:忽略|无视|忘记|忘掉).{0,8}(?:以上|之前|前面|上述|所有).{0,8}(?:规定|规则|指令|内容|要求|证据)",
    r"(?:ignore|disregard|forget)\b.{0,20}\b(?:above|previous|prior|all|earlier)\b.{0,20}\b(?:rules?|instructions?|evidence)",
    r"\bruling\s*[\"'“”]?\s*[=:：]|\bconfidence\s*[\"'“”]?\s*[=:：]|置信度",
)
_POSING = re.compile("|".join(_FORMS), re.IGNORECASE)


def poses_as_program(text: str) -> bool:
    """Tell whether the text has the form of an order to the program or of a notice by the platform."""
    return _POSING.search(text) is not None
