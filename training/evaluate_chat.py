"""The chat classifier and its baselines on rows that were never fitted on: test reviews and whole cases.

Knows which rows and labels a figure is taken over, not how figures are computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.chat import ChatClassifier
from models.chat_heads import LABELS
from models.encoders import TextEncoder
from models.vocabulary import LABELS_OF_SPEAKER, StatementLabel
from training.chat_corpus import LabelledConversation, read_cases, read_reviews, read_training_corpus
from training.chat_heads import fit_features, fit_phrases

REVIEW_FIGURE_LABELS: tuple[StatementLabel, ...] = (
    StatementLabel.CLAIMS_DAMAGE,
    StatementLabel.CLAIMS_MISMATCH,
    StatementLabel.CLAIMS_DEFECT,
    StatementLabel.CLAIMS_COUNTERFEIT,
    StatementLabel.CLAIMS_MISSING,
    StatementLabel.CLAIMS_NOT_RECEIVED,
)


@dataclass(frozen=True)
class ScoredMessages:
    """Truth and probabilities, one row a message that can bear labels, one column a label of `labels`.

    y_true : bool, shape (n_messages, n_labels)
    y_prob : in [0, 1], the same shape; 0 where the speaker can't bear the label
    groups : shape (n_messages,), the conversation each message belongs to
    language : shape (n_messages,), "zh" or "en"
    """

    labels: tuple[StatementLabel, ...]
    y_true: NDArray[np.bool_]
    y_prob: NDArray[np.float64]
    groups: NDArray[np.str_]
    language: NDArray[np.str_]

    def of(self, label: StatementLabel) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return (y_true, y_prob) of one label, each of shape (n_messages,)."""
        column = self.labels.index(label)
        return self.y_true[:, column], self.y_prob[:, column]


def score_reviews(classifier: ChatClassifier, data_dir: Path) -> ScoredMessages:
    """Score the test rows of `text/reviews.csv` over the six labels of the figure."""
    return _scored(classifier, read_reviews(data_dir, split="test"), REVIEW_FIGURE_LABELS)


def score_cases(classifier: ChatClassifier, data_dir: Path) -> ScoredMessages:
    """Score every chat message of `cases/` over all labels."""
    return _scored(classifier, read_cases(data_dir / "cases"), LABELS)


def score_baselines(data_dir: Path, *, datasets_dir: Path, encoder: TextEncoder) -> dict[str, ScoredMessages]:
    """Score the test reviews by simple models fitted on the same rows as the classifier.

    encoder : the encoder as published, not a tuned one
    Returns "tfidf" (TF-IDF of phrases and logistic regression) and "e5" (the encoder's mean vector and logistic
    regression), each cut at a probability of 0.5.
    """
    train = _flat(read_training_corpus(datasets_dir, data_dir=data_dir))
    test = read_reviews(data_dir, split="test")
    texts = [conversation.utterances[0].text for conversation in test]
    columns = [LABELS.index(label) for label in REVIEW_FIGURE_LABELS]
    y_true, known = train.y_true[:, columns], train.known[:, columns]
    phrases = fit_phrases(train.texts, y_true, known)
    weight, bias = fit_features(encoder.encode(train.texts).astype(np.float64), y_true, known)
    logits = {"tfidf": phrases.score(texts), "e5": encoder.encode(texts).astype(np.float64) @ weight.T + bias}
    return {name: _table(test, REVIEW_FIGURE_LABELS, 1.0 / (1.0 + np.exp(-found))) for name, found in logits.items()}


@dataclass(frozen=True)
class _Flat:
    texts: list[str]
    y_true: NDArray[np.bool_]
    known: NDArray[np.bool_]


def _flat(conversations: Sequence[LabelledConversation]) -> _Flat:
    texts, y_true, known = [], [], []
    for conversation in conversations:
        for utterance, given, possible in zip(
            conversation.utterances, conversation.labels, conversation.known, strict=True
        ):
            if possible and utterance.text.strip():
                texts.append(utterance.text)
                y_true.append([label in given for label in LABELS])
                known.append([label in possible for label in LABELS])
    return _Flat(texts, np.array(y_true), np.array(known))


def _scored(
    classifier: ChatClassifier, conversations: Sequence[LabelledConversation], labels: tuple[StatementLabel, ...]
) -> ScoredMessages:
    scores = classifier.score(
        [conversation.utterances for conversation in conversations],
        [conversation.claim for conversation in conversations],
    )
    y_prob = [
        [score.probabilities.get(label, 0.0) for label in labels]
        for row in scores
        for score in row
        if LABELS_OF_SPEAKER[score.speaker]
    ]
    return _table(conversations, labels, np.array(y_prob, np.float64).reshape(-1, len(labels)))


def _table(
    conversations: Sequence[LabelledConversation],
    labels: tuple[StatementLabel, ...],
    y_prob: NDArray[np.float64],
) -> ScoredMessages:
    rows = [
        (conversation, given)
        for conversation in conversations
        for utterance, given in zip(conversation.utterances, conversation.labels, strict=True)
        if LABELS_OF_SPEAKER[utterance.speaker]
    ]
    return ScoredMessages(
        labels=labels,
        y_true=np.array([[label in given for label in labels] for _, given in rows], np.bool_).reshape(-1, len(labels)),
        y_prob=y_prob,
        groups=np.array([conversation.conversation_id for conversation, _ in rows], np.str_),
        language=np.array([conversation.language for conversation, _ in rows], np.str_),
    )
