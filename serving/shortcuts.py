"""Keyboard shortcuts: what each does and its key, as `KeyboardEvent.code`, so that a layout or input method moves none.

Knows no page.
"""

import re

from models.errors import InputError
from models.vocabulary import Ruling

DEFAULTS: dict[str, str] = {
    **dict(
        zip((f"ruling.{ruling}" for ruling in Ruling), ("KeyQ", "KeyW", "KeyE", "KeyR", "KeyT", "KeyY"), strict=True)
    ),
    **{f"reason.{n}": f"Digit{n}" for n in range(1, 7)},
    "next": "KeyN",
    "take": "KeyC",
    "undo": "KeyZ",
    "skip": "KeyS",
    "piece.next": "KeyJ",
    "piece.previous": "KeyK",
    "piece.open": "KeyO",
    "piece.back": "KeyB",
    "evidence.next": "Period",
    "evidence.previous": "Comma",
    "correct": "KeyX",
    "label": "KeyL",
    "region": "KeyD",
    "viewer": "KeyV",
    "heat": "KeyH",
    "reload": "KeyG",
    "help": "Slash",
}
_CODE = re.compile(r"^(Key[A-Z]|Digit\d|Numpad\d|F\d{1,2}|Slash|Comma|Period|Semicolon|Quote|Minus|Equal|Backquote)$")


def chosen(kept: dict[str, str]) -> dict[str, str]:
    """Return every shortcut with the person's own keys in place of the defaults."""
    return {action: kept.get(action, code) for action, code in DEFAULTS.items()}


def check(wanted: dict[str, str]) -> dict[str, str]:
    """Return the keys that differ from the defaults. Raises InputError on an unknown key, or one used twice."""
    keys = chosen(wanted)
    for action, code in keys.items():
        if not _CODE.match(code):
            raise InputError(f"{code!r} is no key that can be chosen", field=action)
        twin = next((other for other, taken in keys.items() if taken == code and other != action), None)
        if twin is not None:
            raise InputError(f"{code} is taken by {twin}", field=action)
    return {action: code for action, code in keys.items() if code != DEFAULTS[action]}


def shown(code: str) -> str:
    """Return what stands on the key."""
    marks = {"Slash": "?", "Comma": ",", "Period": ".", "Semicolon": ";", "Quote": "'", "Minus": "-", "Equal": "="}
    return marks.get(code, code.removeprefix("Key").removeprefix("Digit").removeprefix("Numpad"))
