"""The language of a case: Chinese or English, by what most of its texts are written in."""

import re
from typing import Literal

from models.domain import Case

_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")


def language_of(case: Case) -> Literal["zh", "en"]:
    """Return the language most of the texts are in; a Chinese character says about as much as three letters."""
    text = " ".join(
        [case.listing.title, case.buyer_statement, case.seller_statement, *(m.text for m in case.chat[:200])]
    )
    return "en" if len(_LATIN.findall(text)) > 3 * len(_HAN.findall(text)) else "zh"
