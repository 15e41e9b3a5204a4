"""Fits the chat classifier: tunes the encoder's upper layers, fits the heads, blends them on held-out text.

Knows nothing of where corpora lie and of test sets.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.chat import LABELS, ChatClassifier, Heads, LowRank, StatementScore
from models.encoders import PACKAGED, TextEncoder, equal_lengths, prepare_text_encoder
from models.errors import ModelError
from models.vocabulary import LABELS_OF_SPEAKER, Speaker, StatementLabel
from models.windows import Window, WindowMaker
from training.chat_corpus import LabelledConversation
from training.chat_heads import Bools, Floats, blend, fit_features, fit_phrases


@dataclass(frozen=True)
class Examples:
    """The corpus message by message, only speakers that can bear labels.

    y_true, known : shape (n_messages, n_labels)
    """

    windows: list[Window]
    texts: list[str]
    speakers: list[Speaker]
    languages: list[str]
    sources: list[str]
    groups: list[str]
    y_true: Bools
    known: Bools

    def take(self, rows: NDArray[np.intp]) -> "Examples":
        """Return the chosen messages."""
        lists = (self.windows, self.texts, self.speakers, self.languages, self.sources, self.groups)
        return Examples(*([values[row] for row in rows] for values in lists), self.y_true[rows], self.known[rows])  # type: ignore[arg-type]


def read_examples(conversations: Sequence[LabelledConversation], *, windows: WindowMaker) -> Examples:
    """Return every message that a buyer or seller wrote."""
    found: Examples = Examples([], [], [], [], [], [], np.zeros((0, 0), bool), np.zeros((0, 0), bool))
    y_true, known = [], []
    for conversation in conversations:
        cut = windows.cut(conversation.utterances)
        for place, utterance in enumerate(conversation.utterances):
            if not LABELS_OF_SPEAKER[utterance.speaker] or not cut[place].offsets:
                continue
            found.windows.append(cut[place])
            found.texts.append(utterance.text)
            found.speakers.append(utterance.speaker)
            found.languages.append(conversation.language)
            found.sources.append(conversation.source)
            found.groups.append(conversation.group)
            y_true.append([label in conversation.labels[place] for label in LABELS])
            known.append([label in conversation.known[place] for label in LABELS])
    if not y_true:
        raise ModelError("there is no labelled message to fit on")
    lists = (found.windows, found.texts, found.speakers, found.languages, found.sources, found.groups)
    return Examples(*lists, np.array(y_true), np.array(known))


def folds_of(groups: Sequence[str], *, n_folds: int, seed: int = 0) -> NDArray[np.intp]:
    """Return a fold for each row so that a group is never split."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[place]: rank % n_folds for rank, place in enumerate(order)}
    return np.array([fold[group] for group in groups], np.intp)


def pooled_states(encoder: TextEncoder, windows: Sequence[Window]) -> Floats:
    """Return the mean state of each window's own tokens, shape (n_windows, hidden)."""
    pooled: list[Any] = [None] * len(windows)
    for group in equal_lengths([len(window.ids) for window in windows]):
        states = encoder.token_states(np.array([windows[place].ids for place in group], np.int64))
        for place, state in zip(group, states, strict=True):
            start, end = windows[place].own
            pooled[place] = state[start:end].mean(axis=0)
    return np.array(pooled, np.float64)
