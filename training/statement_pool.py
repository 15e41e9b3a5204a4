"""Messages that the chat classifier never saw in training, with the probabilities it gave them.

Simulated chats are written from them, so that the ruling model learns from honest statement scores. Knows nothing of
cases.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.errors import WeightsError
from models.vocabulary import Speaker, StatementLabel

_KEPT_PROBABILITY = 0.005


@dataclass(frozen=True)
class PooledMessage:
    """labels : what a reader gave; probabilities : what the classifier gave, in [0, 1]."""

    language: str
    speaker: Speaker
    text: str
    labels: frozenset[StatementLabel]
    probabilities: Mapping[StatementLabel, float]


class StatementPool:
    """Held-out messages by language, speaker and label."""

    def __init__(self, messages: tuple[PooledMessage, ...]) -> None:
        self.messages = messages

    @cached_property
    def _by_key(self) -> dict[tuple[str, Speaker, StatementLabel | None], list[PooledMessage]]:
        found: dict[tuple[str, Speaker, StatementLabel | None], list[PooledMessage]] = {}
        for message in self.messages:
            for label in message.labels or (None,):
                found.setdefault((message.language, message.speaker, label), []).append(message)
        return found

    def draw(
        self,
        rng: np.random.Generator,
        *,
        language: str,
        speaker: Speaker,
        label: StatementLabel | None,
        avoid: frozenset[StatementLabel] = frozenset(),
    ) -> PooledMessage:
        """Draw a message that bears `label` (None: no label) and, if it can be helped, none of `avoid`.

        Falls back to the other language where this one has no such message.
        """
        for wanted in (language, "en" if language == "zh" else "zh"):
            candidates = self._by_key.get((wanted, speaker, label), [])
            plain = [message for message in candidates if not (message.labels - {label}) & avoid] or candidates
            if plain:
                return plain[int(rng.integers(len(plain)))]
        raise WeightsError(f"the pool holds no message of the {speaker} with label {label}")


def save_pool(messages: list[PooledMessage], path: Path) -> None:
    """Write the pool; probabilities under 0.5 % are left out and read back as 0."""
    rows = [
        {
            "language": message.language,
            "speaker": message.speaker,
            "text": message.text,
            "labels": sorted(message.labels),
            "probabilities": {
                label: round(p, 4) for label, p in message.probabilities.items() if p >= _KEPT_PROBABILITY
            },
        }
        for message in messages
    ]
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def load_pool(path: Path) -> StatementPool:
    """Raises WeightsError when the file is absent or broken."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return StatementPool(
            tuple(
                PooledMessage(
                    row["language"],
                    Speaker(row["speaker"]),
                    row["text"],
                    frozenset(StatementLabel(label) for label in row["labels"]),
                    {StatementLabel(label): float(p) for label, p in row["probabilities"].items()},
                )
                for row in rows
            )
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path.name} can't be read: {error}") from error
