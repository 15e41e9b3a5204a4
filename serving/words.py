"""The desk's words in Chinese and English, read from catalogue.yaml.

Knows no page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from models.money import written

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
_CATALOGUE = Path(__file__).with_name("catalogue.yaml")


@dataclass(frozen=True)
class Words:
    """Calling it with a dotted key returns the words; a key that isn't there comes back itself, without its prefix."""

    language: Language
    entries: Mapping[str, str]

    def __call__(self, key: str) -> str:
        return self.entries.get(key, key.split(".", 1)[-1].replace("_", " "))

    @property
    def gap(self) -> str:
        """What stands between two words."""
        return " " if self.language == "en" else ""

    @property
    def colon(self) -> str:
        return ": " if self.language == "en" else "："

    def has(self, key: str) -> bool:
        return key in self.entries


@cache
def _catalogue() -> dict[Language, dict[str, str]]:
    loaded: dict[Language, dict[str, str]] = yaml.safe_load(_CATALOGUE.read_text(encoding="utf-8"))
    return loaded


def words(language: Language) -> Words:
    return Words(language, _catalogue()[language])


def language_of(cookie: str | None, accepted: str | None) -> Language:
    """Return the chosen language, else the browser's, else Chinese."""
    if cookie in LANGUAGES:
        return "en" if cookie == "en" else "zh"
    first = (accepted or "zh").split(",")[0].strip().lower()
    return "en" if first.startswith("en") else "zh"


def moment(at: datetime) -> str:
    """Return a time as the case tells it, with its offset kept out of sight."""
    return at.strftime("%Y-%m-%d %H:%M")


def money(minor: int, currency: str) -> str:
    """Return minor units as a sum with its currency before it."""
    return f"{currency} {written(minor, currency)}"


def percent(probability: float) -> str:
    return f"{probability * 100:.0f}%"
