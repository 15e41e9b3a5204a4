"""Cues: named patterns of what a text says, read from cues.yaml.

Cues are about words, not truth; a text that poses as the platform or the system is only a party's text.
"""

import re
from functools import cache, lru_cache
from pathlib import Path

import yaml

from models.errors import RulePackError

CUES_FILE = Path(__file__).with_name("cues.yaml")
_TEXTS_REMEMBERED = 4096


class CueBook:
    """Compiled patterns by cue name."""

    def __init__(self, patterns: dict[str, re.Pattern[str]]) -> None:
        self.patterns = patterns
        # An explanation asks the same of the same texts again for every piece that it leaves out.
        self._search = lru_cache(maxsize=_TEXTS_REMEMBERED)(lambda cue, text: patterns[cue].search(text) is not None)

    def has(self, cue: str, text: str | None) -> bool:
        """Tell whether `text` holds the cue. An absent text holds none."""
        return bool(text) and self._search(cue, text or "")


def load_cues(path: Path = CUES_FILE) -> CueBook:
    """Read and compile the cues. Raises RulePackError naming the cue that doesn't compile."""
    patterns = {}
    for name, pattern in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        try:
            patterns[name] = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise RulePackError(f"{name}: {error}", field=path.name) from error
    return CueBook(patterns)


@cache
def shipped_cues() -> CueBook:
    """Return the cues shipped with the package."""
    return load_cues()
