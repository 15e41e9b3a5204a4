"""Messages that the chat classifier never saw in training, with the probabilities it gave them.

Simulated chats are written from them, so that the ruling model learns from honest statement scores. Knows nothing of
cases.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.chat import ATTACHED_PROBABILITY
from models.chat_heads import CLAIMS, LABELS
from models.errors import WeightsError
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel

_KEPT_PROBABILITY = 0.005


@dataclass(frozen=True)
class PooledMessage:
    """labels : what a reader gave; probabilities : what the classifier gave without knowing the claim, in [0, 1]."""

    language: str
    speaker: Speaker
    text: str
    labels: frozenset[StatementLabel]
    probabilities: Mapping[StatementLabel, float]


class StatementPool:
    """Held-out messages by language, speaker and label.

    claim_shift : shape (n_claims, n_labels), added to the logits where the message is said in a case of that claim
    """

    def __init__(self, messages: tuple[PooledMessage, ...], claim_shift: NDArray[np.float32]) -> None:
        self.messages = messages
        self.claim_shift = claim_shift

    def heard(self, message: PooledMessage, claim: Claim) -> dict[StatementLabel, float]:
        """Return what the message is read as in a case of this claim: the probability of each label it can bear."""
        shift = self.claim_shift[CLAIMS.index(claim)]
        attached = message.probabilities.get(StatementLabel.FILES_EVIDENCE, 0.0) >= ATTACHED_PROBABILITY
        return {
            label: probability
            if label == StatementLabel.FILES_EVIDENCE and attached
            else shifted(probability, float(shift[LABELS.index(label)]))
            for label in LABELS_OF_SPEAKER[message.speaker]
            for probability in [message.probabilities.get(label, 0.0)]
        }

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

    def save(self, path: Path) -> None:
        """Write the pool; probabilities under 0.5 % are left out and read back as 0."""
        messages = [
            {
                "language": message.language,
                "speaker": message.speaker,
                "text": message.text,
                "labels": sorted(message.labels),
                "probabilities": {
                    label: round(p, 4) for label, p in message.probabilities.items() if p >= _KEPT_PROBABILITY
                },
            }
            for message in self.messages
        ]
        shift = {
            claim: {label: round(float(value), 4) for label, value in zip(LABELS, row, strict=True)}
            for claim, row in zip(CLAIMS, self.claim_shift, strict=True)
        }
        path.write_text(json.dumps({"claim_shift": shift, "messages": messages}, ensure_ascii=False), encoding="utf-8")


def shifted(probability: float, shift: float) -> float:
    """Return the probability with `shift` added to its log-odds; 0 and 1 stay."""
    odds = probability * math.exp(shift)
    return odds / (odds + 1 - probability)


def load_pool(path: Path) -> StatementPool:
    """Raises WeightsError when the file is absent or broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return StatementPool(
            tuple(
                PooledMessage(
                    row["language"],
                    Speaker(row["speaker"]),
                    row["text"],
                    frozenset(StatementLabel(label) for label in row["labels"]),
                    {StatementLabel(label): float(p) for label, p in row["probabilities"].items()},
                )
                for row in content["messages"]
            ),
            np.array([[content["claim_shift"][claim][label] for label in LABELS] for claim in CLAIMS], np.float32),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path.name} can't be read: {error}") from error
