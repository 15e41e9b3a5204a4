"""Statement heads moved by what people corrected in chats, each label on its own; the encoder stays as it is.

A label's head moves away from the present one only as far as the corrections warrant (`offset_regression`), held by
what was shown and not corrected, and only if that helps on the corrections of other sellers' cases and does no harm on
texts that readers labelled (`reading_gate`). Knows nothing of rulings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.chat import ChatClassifier
from models.chat_heads import LABELS, Heads
from models.scorer import conversation, own_accounts
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from models.windows import Utterance
from training.chat_corpus import LabelledConversation
from training.corrections import (
    FEWEST_CORRECTED,
    HELD_WEIGHT,
    Learned,
    last_words,
    seen_with_reading,
    seller_of,
    weight_of,
)
from training.offset_regression import Floats, Offset, fit_offset
from training.reading_gate import Told, folds_by_group, judge_reading
from training.snapshot import DecidedCase

_MOST_HELD_CASES = 300
_LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class StatementRefit(Learned):
    """classifier : the one given where nothing was learned"""

    classifier: ChatClassifier


@dataclass(frozen=True)
class _Messages:
    """states : shape (n_rows, n_labels, hidden); logits : (n_rows, n_labels); told : what is known of each label"""

    states: NDArray[np.float16]
    logits: Floats
    speakers: list[Speaker]
    groups: NDArray[np.str_]
    told: list[dict[StatementLabel, bool]]

    def of(self, label: StatementLabel) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Return rows, states (n, hidden) and logits (n,) of the messages whose speaker can bear the label."""
        rows = np.array([n for n, speaker in enumerate(self.speakers) if label in LABELS_OF_SPEAKER[speaker]], np.intp)
        place = LABELS.index(label)
        return rows, self.states[rows, place].astype(np.float64), self.logits[rows, place]


def refit_statements(
    classifier: ChatClassifier,
    decided: Sequence[DecidedCase],
    *,
    reference: Sequence[LabelledConversation],
    seed: int = 0,
) -> StatementRefit:
    """Return the classifier with moved heads for each label with enough corrected messages among these cases.

    reference : conversations labelled by readers, not learned from here
    """
    said = [(one, correction) for one in decided for correction in last_words(one, "statement")]
    labels = sorted({correction.label for _, correction in said if correction.label is not None})
    if not labels:
        return StatementRefit({}, {}, classifier)
    desk = _of_cases(classifier, seen_with_reading(decided, kind="statement", at_most=_MOST_HELD_CASES))
    learned: dict[str, int] = {}
    left: dict[str, str] = {}
    moves: dict[StatementLabel, tuple[Offset, Floats]] = {}
    read: _Messages | None = None
    for label in labels:
        rows, states, logits = desk.of(label)
        corrected = np.array([label in desk.told[row] for row in rows], bool)
        truth = np.array([desk.told[row].get(label, False) for row in rows], bool)
        n_wrong = int(((logits >= 0) != truth)[corrected].sum())
        groups = desk.groups[rows]
        if n_wrong < FEWEST_CORRECTED:
            left[label] = f"{n_wrong} messages still read wrongly, {FEWEST_CORRECTED} needed"
            continue
        if classifier.heads.encoder_share[LABELS.index(label)] < _LEAST_SHARE:
            left[label] = "is read by phrases alone"
            continue
        if len(np.unique(groups[corrected])) < 2:
            left[label] = "was corrected in one seller's cases only"
            continue
        read = read or _of_readers(classifier, reference)
        target = np.where(corrected, truth, expit(logits)).astype(np.float64)
        weight = np.array(
            [
                weight_of(read=bool(logit >= 0), right=bool(right)) if is_corrected else HELD_WEIGHT
                for logit, right, is_corrected in zip(logits, truth, corrected, strict=True)
            ]
        )
        offset = fit_offset(states, logits, target, weight)
        told = Told(truth, logits, logits.copy(), groups)
        fold = folds_by_group(groups)
        for number in range(fold.max() + 1):
            own, others = fold == number, fold != number
            if (corrected & own).any() and (corrected & others).any():
                held_out = fit_offset(states[others], logits[others], target[others], weight[others])
                told.new[own] += held_out.added(states[own])
        verdict = judge_reading(
            Told(truth[corrected], logits[corrected], told.new[corrected], groups[corrected]),
            _told_by_readers(read, label, offset),
            seed=seed,
            n_tests=len(labels),
        )
        if verdict.passed:
            learned[label] = int(corrected.sum())
            moves[label] = offset, states[~corrected].mean(axis=0) if (~corrected).any() else states.mean(axis=0)
        else:
            left[label] = f"{int(corrected.sum())} corrected messages: {'; '.join(verdict.reasons)}"
    return StatementRefit(learned, left, _moved(classifier, moves) if moves else classifier)


def _of_cases(classifier: ChatClassifier, decided: Sequence[DecidedCase]) -> _Messages:
    spoken = [
        (one, said) for one in decided for said in (conversation(one.file.case), *own_accounts(one.file.case)) if said
    ]
    corrected = {
        (one.key, correction.ref, correction.label): bool(correction.holds)
        for one in decided
        for correction in last_words(one, "statement")
    }
    return _messages(
        classifier,
        [said for _, said in spoken],
        claims=[one.file.case.claim for one, _ in spoken],
        groups=[seller_of(one) for one, _ in spoken],
        told=[
            [
                {
                    label: corrected[one.key, utterance.message_id, label]
                    for label in _from_text(utterance)
                    if (one.key, utterance.message_id, label) in corrected
                }
                for utterance in said
            ]
            for one, said in spoken
        ],
    )


def _of_readers(classifier: ChatClassifier, reference: Sequence[LabelledConversation]) -> _Messages:
    return _messages(
        classifier,
        [one.utterances for one in reference],
        claims=[one.claim for one in reference],
        groups=[one.group for one in reference],
        told=[
            [{label: label in given for label in known} for given, known in zip(one.labels, one.known, strict=True)]
            for one in reference
        ],
    )


def _messages(
    classifier: ChatClassifier,
    conversations: Sequence[Sequence[Utterance]],
    *,
    claims: Sequence[Claim | None],
    groups: Sequence[str],
    told: Sequence[Sequence[dict[StatementLabel, bool]]],
) -> _Messages:
    rows = [
        (features, utterance.speaker, group, known)
        for said, of_said, group, of_told in zip(
            conversations, classifier.features(conversations, claims), groups, told, strict=True
        )
        for utterance, features, known in zip(said, of_said, of_told, strict=True)
        if features is not None
    ]
    hidden = classifier.heads.weight.shape[1]
    return _Messages(
        np.array([features.states for features, *_ in rows], np.float16).reshape(-1, len(LABELS), hidden),
        np.array([features.logits for features, *_ in rows], np.float64).reshape(-1, len(LABELS)),
        [speaker for _, speaker, _, _ in rows],
        np.array([group for _, _, group, _ in rows], np.str_),
        [known for *_, known in rows],
    )


def _from_text(utterance: Utterance) -> tuple[StatementLabel, ...]:
    """Return the labels that the text can teach: an attachment files evidence whatever is written beside it."""
    attached = {StatementLabel.FILES_EVIDENCE} if utterance.attachments else set()
    return tuple(label for label in LABELS_OF_SPEAKER[utterance.speaker] if label not in attached)


def _told_by_readers(read: _Messages, label: StatementLabel, offset: Offset) -> Told:
    rows, states, logits = read.of(label)
    known = np.array([label in read.told[row] for row in rows], bool)
    truth = np.array([read.told[row].get(label, False) for row in rows], bool)
    moved = logits + offset.added(states)
    return Told(truth[known], logits[known], moved[known], read.groups[rows][known])


def _moved(classifier: ChatClassifier, moves: dict[StatementLabel, tuple[Offset, Floats]]) -> ChatClassifier:
    """Return the classifier with the offsets in its heads; what a token usually adds moves along."""
    heads = classifier.heads
    weight, bias, resting = heads.weight.copy(), heads.bias.copy(), heads.resting.copy()
    for label, (offset, usual) in moves.items():
        place = LABELS.index(label)
        share = float(heads.encoder_share[place])
        weight[place] += (offset.weight / share).astype(np.float32)
        bias[place] += offset.bias / share
        resting[place] += float(usual @ offset.weight) / share
    moved: Heads = replace(heads, weight=weight, bias=bias, resting=resting)
    return ChatClassifier(
        encoder=classifier.encoder,
        heads=moved,
        windows=classifier.windows,
        delta=classifier.delta,
        source=classifier.source,
    )
