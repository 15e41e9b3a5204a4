"""Short runs of characters and words as sparse features of a message: the fast, exactly explained half of the reader.

A unit is a Han character, a Latin word or number, or any other single sign. A phrase is a run of one to three units,
or a run of three to five letters inside a long Latin word. Weights are TF-IDF (sublinear counts, unit length), so a
message's logit is a sum over the places of its phrases. Knows nothing of speakers, encoders or probabilities.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_UNIT = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)?|[0-9]+|[^\sA-Za-z0-9]")
_LONGEST = 3
_WORD_PIECES = (4, 5)
_NUMBER = "0"

Place = tuple[int, int]
Unit = tuple[str, int, int]
"""Normalised, with its [start, end) characters."""


def units(text: str) -> list[Unit]:
    """Return the units in order; digits of any length become one sign."""
    found = []
    for match in _UNIT.finditer(text):
        unit = _NUMBER if match[0].isascii() and match[0].isdigit() else match[0].lower().replace("’", "'")
        found.append((unit, match.start(), match.end()))
    return found


def phrases(parts: Sequence[Unit]) -> list[tuple[str, Place]]:
    """Return every phrase of a text's units with its [start, end) characters, repeated ones each time."""
    starts = [start for _, start, _ in parts]
    runs = [unit for unit, _, _ in parts]
    found: list[tuple[str, Place]] = []
    for length in range(_LONGEST):
        if length:
            runs = [f"{run} {unit}" for run, (unit, _, _) in zip(runs, parts[length:], strict=False)]
        found += zip(runs, zip(starts, (end for _, _, end in parts[length:]), strict=False), strict=False)
    for unit, start, end in parts:
        if len(unit) < _WORD_PIECES[0] or len(unit) != end - start or not unit.isascii():
            continue
        for length in _WORD_PIECES:
            found += [
                (f"*{unit[k : k + length]}", (start + k, start + k + length)) for k in range(len(unit) - length + 1)
            ]
    return found


@dataclass(frozen=True)
class PhraseWeights:
    """Weights of the phrases for each label.

    vocabulary : phrase → row
    idf : shape (n_phrases,)
    weights : shape (n_phrases, n_labels)
    bias : shape (n_labels,)
    """

    vocabulary: Mapping[str, int]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def matrix(self, texts: Sequence[str]) -> csr_matrix:
        """Return the TF-IDF rows, shape (n_texts, n_phrases), each of unit length or empty."""
        return phrase_matrix(texts, vocabulary=self.vocabulary, idf=self.idf)

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return logits, shape (n_texts, n_labels), each text by itself."""
        return np.asarray(self.matrix(texts) @ self.weights.astype(np.float64)) + self.bias

    def contributions(self, parts: Sequence[Unit]) -> tuple[list[Place], NDArray[np.float64]]:
        """Return the places of known phrases of a text's units and what each adds, shape (n_places, n_labels).

        With the bias they sum to the text's `score`.
        """
        row_of = self.vocabulary.get
        found = [(row, place) for phrase, place in phrases(parts) if (row := row_of(phrase)) is not None]
        rows = [row for row, _ in found]
        times = Counter(rows)
        counts = np.array([times[row] for row in rows], np.float64)
        values = (1.0 + np.log(counts)) * self.idf[rows]
        shares = values / counts / (np.sqrt((values * values / counts).sum()) or 1.0)
        return [place for _, place in found], shares[:, None] * self.weights[rows]


def phrase_matrix(
    texts: Sequence[str], *, vocabulary: Mapping[str, int], idf: NDArray[np.float32] | None = None
) -> csr_matrix:
    """Return sublinear counts, shape (n_texts, n_phrases); with `idf`, weighted and scaled to unit length."""
    places, columns, values = [0], [], []
    for text in texts:
        counts: dict[int, int] = {}
        for phrase, _ in phrases(units(text)):
            row = vocabulary.get(phrase)
            if row is not None:
                counts[row] = counts.get(row, 0) + 1
        cells = sorted(counts)
        weights = np.array([1.0 + np.log(counts[cell]) for cell in cells])
        if idf is not None and cells:
            weights *= idf[cells]
            weights /= np.sqrt((weights * weights).sum())
        columns += cells
        values += weights.tolist()
        places.append(len(columns))
    return csr_matrix(
        (np.array(values, np.float64), np.array(columns, np.int32), np.array(places)),
        shape=(len(texts), len(vocabulary)),
    )
