"""How well personal data is found, on lines written before the masker.

A span counts as masked when at least `COVERED` of its characters and all of its digits are hidden; a mask is right when
it touches a span of its kind. Knows nothing of how personal data is found.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.domain import Frozen
from models.personal_numbers import Personal, PersonalKind
from models.privacy import find_personal
from training.shares import Share

COVERED = 0.8
KINDS: tuple[PersonalKind, ...] = ("phone", "id", "card", "email", "address", "name")


class PrivacyLine(Frozen):
    line_id: str
    split: Literal["dev", "test"]
    language: Literal["zh", "en"]
    hard_negative: bool
    text: str
    spans: tuple[tuple[int, int, PersonalKind], ...]


@dataclass(frozen=True)
class PrivacyFigures:
    """recall, precision : by kind, and "all"; clean : hard negatives left untouched"""

    recall: dict[str, Share]
    precision: dict[str, Share]
    clean: Share
    missed: list[tuple[str, str]]
    false_alarms: list[tuple[str, str]]


def read_lines(path: Path) -> list[PrivacyLine]:
    rows = path.read_text(encoding="utf-8").splitlines()
    return [PrivacyLine.model_validate(json.loads(row)) for row in rows]


def measure_privacy(lines: list[PrivacyLine]) -> PrivacyFigures:
    """Return the figures over lines, with the spans missed and the masks that hid nothing personal."""
    hidden, wanted, right, made = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    missed, false_alarms, n_clean = [], [], 0
    for line in lines:
        found = find_personal(line.text)
        for start, end, kind in line.spans:
            wanted[kind] += 1
            if _is_hidden(line.text, start, end, found):
                hidden[kind] += 1
            else:
                missed.append((line.line_id, f"{kind}: {line.text[start:end]}"))
        for item in found:
            made[item.kind] += 1
            if any(start < item.end and item.start < end and kind == item.kind for start, end, kind in line.spans):
                right[item.kind] += 1
            else:
                false_alarms.append((line.line_id, f"{item.kind}: {line.text[item.start : item.end]}"))
        n_clean += line.hard_negative and not found
    return PrivacyFigures(
        recall=_shares(hidden, wanted),
        precision=_shares(right, made),
        clean=Share(n_clean, sum(line.hard_negative for line in lines)),
        missed=missed,
        false_alarms=false_alarms,
    )


def privacy_table(figures: PrivacyFigures) -> str:
    """Return the figures as a Markdown table."""
    rows = ["| kind | recall | precision |", "|---|---|---|"]
    for kind in (*KINDS, "all"):
        rows.append(f"| {kind} | {figures.recall[kind]} | {figures.precision[kind]} |")
    return "\n".join([*rows, "", f"Hard negatives left untouched: {figures.clean}."])


def _shares(hits: Counter[str], n: Counter[str]) -> dict[str, Share]:
    return {kind: Share(hits[kind], n[kind]) for kind in KINDS} | {"all": Share(hits.total(), n.total())}


def _is_hidden(text: str, start: int, end: int, found: list[Personal]) -> bool:
    covered = {place for item in found for place in range(max(start, item.start), min(end, item.end))}
    digits = {place for place in range(start, end) if text[place].isdigit()}
    return digits <= covered and len(covered) >= COVERED * (end - start)
