"""The linear parts of the chat classifier: phrase weights, a head on frozen features, blending, thresholds.

Every fit takes a mask: where `known` is false the reader could not have given the label, and the row says nothing
about it. Knows nothing of files and of the encoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from models.phrases import PhraseWeights, phrase_matrix, phrases, units

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ABSENT_LOGIT = -6.0
MIN_ALONE = 5


def fit_phrases(
    texts: Sequence[str],
    y_true: Bools,
    known: Bools,
    *,
    strength: float = 4.0,
    max_phrases: int = 24_000,
    min_count: int = 2,
) -> PhraseWeights:
    """Return phrase weights, one balanced logistic regression a label.

    y_true, known : shape (n_texts, n_labels)
    strength : inverse regularisation
    max_phrases : the most frequent phrases are kept, none of fewer than `min_count` texts
    """
    counts: dict[str, int] = {}
    for text in texts:
        for phrase in {phrase for phrase, _ in phrases(units(text))}:
            counts[phrase] = counts.get(phrase, 0) + 1
    frequent = [phrase for phrase, count in counts.items() if count >= min_count]
    kept = sorted(frequent, key=lambda phrase: (-counts[phrase], phrase))[:max_phrases]
    vocabulary = {phrase: row for row, phrase in enumerate(sorted(kept))}
    idf = np.array([1.0 + np.log((1 + len(texts)) / (1 + counts[phrase])) for phrase in vocabulary], np.float32)
    matrix = phrase_matrix(texts, vocabulary=vocabulary, idf=idf)
    weights, bias = fit_logits(matrix, y_true, known, strength=strength)
    return PhraseWeights(vocabulary, idf, weights.T.astype(np.float32), bias.astype(np.float32))


def fit_features(features: Floats, y_true: Bools, known: Bools, *, strength: float = 0.05) -> tuple[Floats, Floats]:
    """Return (weight, bias) of a linear head on raw features, fitted on standardised ones.

    features : shape (n_texts, hidden); weight : shape (n_labels, hidden); bias : shape (n_labels,)
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    weight, bias = fit_logits((features - mean) / scale, y_true, known, strength=strength)
    weight = weight / scale
    return weight, bias - weight @ mean


def fit_logits(matrix: object, y_true: Bools, known: Bools, *, strength: float) -> tuple[Floats, Floats]:
    """Return (weight, bias), one balanced logistic regression a label; a label never seen gets a fixed low logit."""
    n_labels = y_true.shape[1]
    width = matrix.shape[1]  # type: ignore[attr-defined]
    weight, bias = np.zeros((n_labels, width)), np.full(n_labels, ABSENT_LOGIT)
    for label in range(n_labels):
        rows = np.flatnonzero(known[:, label])
        truth = y_true[rows, label]
        if truth.any() and not truth.all():
            model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000, solver="liblinear")
            model.fit(matrix[rows], truth)  # type: ignore[index]
            weight[label], bias[label] = model.coef_[0], model.intercept_[0]
    return weight, bias


@dataclass(frozen=True)
class Blend:
    """How the two readers are added up; each array has shape (n_labels,).

    alone_shift : takes the place of shift for messages without a conversation
    claim_share : of what the filed claim tells (`claim_habits`)
    """

    encoder_share: Floats
    phrase_share: Floats
    shift: Floats
    alone_shift: Floats
    claim_share: float

    def logits(self, encoder_logits: Floats, phrase_logits: Floats, claim_logits: Floats, alone: Bools) -> Floats:
        """Return final logits, shape (n_texts, n_labels); the decision falls at 0."""
        added = self.encoder_share * encoder_logits + self.phrase_share * phrase_logits
        return added + self.claim_share * claim_logits + np.where(alone[:, None], self.alone_shift, self.shift)


def blend(
    encoder_logits: Floats, phrase_logits: Floats, claim_logits: Floats, y_true: Bools, known: Bools, alone: Bools
) -> Blend:
    """Learn the blend on held-out logits of shape (n_texts, n_labels).

    claim_logits : what the filed claim tells, 0 where it isn't known
    alone : shape (n_texts,), messages without a conversation, as reviews are; these claim more often and more plainly

    One logistic regression over all labels finds three shares for all and an intercept a label, so that the sum is a
    calibrated logit. The shift then moves each label's best threshold (by F1) to a probability of 0.5. Both are learnt
    on conversations, where there are any. Messages that stand alone have a shift of their own for each label of which
    they hold `MIN_ALONE` examples.
    """
    n_labels = y_true.shape[1]
    talk = ~alone if not alone.all() else alone
    rows, labels = np.nonzero(known & talk[:, None])
    intercepts = np.zeros((len(rows), n_labels))
    intercepts[np.arange(len(rows)), labels] = 3.0
    readers = [logits[rows, labels] for logits in (encoder_logits, phrase_logits, claim_logits)]
    columns = np.column_stack([*readers, intercepts])
    model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=2000).fit(columns, y_true[rows, labels])
    shares = np.maximum(model.coef_[0, :3], 0.0)
    added = shares[0] * encoder_logits + shares[1] * phrase_logits + shares[2] * claim_logits
    shift = 3.0 * model.coef_[0, 3:]
    for label in range(n_labels):
        chosen = known[:, label] & talk
        truth = y_true[chosen, label]
        shift[label] -= best_threshold(truth, added[chosen, label] + shift[label]) if truth.any() else 0.0
    alone_shift = shift.copy()
    for label in range(n_labels):
        chosen = known[:, label] & alone
        truth = y_true[chosen, label]
        if truth.sum() >= MIN_ALONE:
            calibrated = calibrating_shift(truth, added[chosen, label])
            alone_shift[label] = calibrated - best_threshold(truth, added[chosen, label] + calibrated)
    return Blend(np.full(n_labels, shares[0]), np.full(n_labels, shares[1]), shift, alone_shift, float(shares[2]))


def calibrating_shift(y_true: Bools, logits: Floats) -> float:
    """Return what is to be added to the logits so that probabilities sum to the number of examples, by Laplace's rule.

    y_true, logits : shape (n_texts,)
    """
    wanted = len(y_true) * (y_true.sum() + 1) / (len(y_true) + 2)
    return float(brentq(lambda shift: expit(logits + shift).sum() - wanted, -60.0, 60.0))


def best_threshold(
    y_true: Bools, logits: Floats, *, rounds: int = 40, lowest: float = -1.2, highest: float = 0.0
) -> float:
    """Return the logit above which to say yes: highest F1 averaged over bootstrap draws of the rows.

    The search stays between `lowest` and `highest`: a few examples must not move a calibrated decision further. Where
    logits are calibrated the best threshold is half the F1 it reaches, so never above a probability of 0.5.
    Source: Lipton, Elkan & Narayanaswamy, Optimal thresholding of classifiers to maximize F1, ECML 2014.
    """
    grid = np.linspace(lowest, highest, 37)
    said = logits[None, :] >= grid[:, None]
    draws = np.random.default_rng(0).multinomial(len(y_true), np.full(len(y_true), 1 / len(y_true)), size=rounds)
    hits = (said & y_true) @ draws.T.astype(np.float64)
    total = said @ draws.T.astype(np.float64) + (draws @ y_true.astype(np.float64))[None, :]
    f1 = (2 * hits / np.maximum(total, 1)).mean(axis=1)
    smooth = np.convolve(np.pad(f1, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    return float(grid[int(np.argmax(smooth))])
