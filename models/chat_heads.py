"""The linear readers of a chat message and how they are added up. Knows nothing of encoders, texts or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import WeightsError
from models.phrases import PhraseWeights
from models.vocabulary import Claim, StatementLabel

LABELS: tuple[StatementLabel, ...] = tuple(StatementLabel)
CLAIMS: tuple[Claim, ...] = tuple(Claim)


@dataclass(frozen=True)
class Setting:
    """Where a message stands. alone : it is the only one of its conversation; claim : filed by the buyer, if known."""

    alone: bool
    claim: Claim | None = None


@dataclass(frozen=True)
class Heads:
    """The linear readers and how they are added up; the last axis of shifts and shares has one entry a label.

    weight, focus : shape (n_labels, hidden); a token's share of a label is softmax(focus·state)·(weight·state)
    bias : shape (n_labels,)
    phrases : the phrase reader
    encoder_share, phrase_share, shift : logit = encoder_share·encoder + phrase_share·phrases + shift
    alone_shift : takes the place of shift for the only message of a conversation, such as a side's own account
    claim_shift : shape (n_claims, n_labels), added to either where the claim is known
    resting : a token's usual contribution to each encoder logit; what exceeds it is shown as a reason
    """

    weight: NDArray[np.float32]
    focus: NDArray[np.float32]
    bias: NDArray[np.float32]
    phrases: PhraseWeights
    encoder_share: NDArray[np.float32]
    phrase_share: NDArray[np.float32]
    shift: NDArray[np.float32]
    alone_shift: NDArray[np.float32]
    resting: NDArray[np.float32]
    claim_shift: NDArray[np.float32]

    def shift_of(self, setting: Setting) -> NDArray[np.float32]:
        """Return what is added to the logits of a message in this setting, shape (n_labels,)."""
        shift = self.alone_shift if setting.alone else self.shift
        return shift if setting.claim is None else shift + self.claim_shift[CLAIMS.index(setting.claim)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `of` reads, phrase weights as float16; the vocabulary is kept apart."""
        return {
            "weight": self.weight,
            "focus": self.focus,
            "bias": self.bias,
            "phrase_idf": self.phrases.idf.astype(np.float16),
            "phrase_weights": self.phrases.weights.astype(np.float16),
            "phrase_bias": self.phrases.bias,
            "encoder_share": self.encoder_share,
            "phrase_share": self.phrase_share,
            "shift": self.shift,
            "alone_shift": self.alone_shift,
            "resting": self.resting,
            "claim_shift": self.claim_shift,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]], *, phrases: Sequence[str]) -> Heads:
        """Return the heads of saved arrays. phrases : the vocabulary in its order

        Raises WeightsError when shapes don't fit, KeyError when an array is missing.
        """
        vocabulary = {phrase: row for row, phrase in enumerate(phrases)}
        n_labels = len(LABELS)
        if arrays["phrase_weights"].shape != (len(vocabulary), n_labels) or arrays["weight"].shape[0] != n_labels:
            raise WeightsError("the heads have another shape than their vocabulary and labels")
        reader = PhraseWeights(vocabulary, arrays["phrase_idf"], arrays["phrase_weights"], arrays["phrase_bias"])
        unknown = np.zeros((len(CLAIMS), n_labels), np.float32)
        arrays = {"alone_shift": arrays["shift"], "claim_shift": unknown, **arrays}
        names = ("encoder_share", "phrase_share", "shift", "alone_shift", "resting", "claim_shift")
        return cls(arrays["weight"], arrays["focus"], arrays["bias"], reader, *(arrays[name] for name in names))


def token_shares(
    own: NDArray[np.float64], *, weight: NDArray[Any], focus: NDArray[Any], resting: NDArray[Any]
) -> NDArray[np.float64]:
    """Return what each token adds to each label's encoder logit over a token's usual share.

    own : shape (n_tokens, hidden), the states of the message's own tokens
    Returns shape (n_tokens, n_labels); its column sums, `resting` and the bias make the encoder logits.
    """
    added = own @ weight.astype(np.float64, copy=False).T - resting
    return np.asarray(attention(own, focus=focus) * added)


def attention(own: NDArray[np.float64], *, focus: NDArray[Any]) -> NDArray[np.float64]:
    """Return how much each token counts for each label, shape (n_tokens, n_labels), columns summing to 1."""
    looked = own @ focus.astype(np.float64, copy=False).T
    looked = np.exp(looked - looked.max(axis=0))
    return np.asarray(looked / looked.sum(axis=0))
