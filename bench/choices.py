"""What decided how the chat is read: 8 bits beside 32, and what a cascade in front of the encoder could skip.

Measured on our own dialogues, never on test rows. Knows nothing of backlogs.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.backlogs import ROOT
from bench.floor import cpu_s
from models.chat import ChatClassifier
from models.encoders import default_cache_dir
from models.phrases import phrase_matrix, phrases, units
from models.registry import SHIPPED_DIR
from models.vocabulary import LABELS_OF_SPEAKER
from models.windows import Utterance, WindowMaker
from training.chat_corpus import LabelledConversation, read_cases, read_dialogues
from training.evaluate_chat import score_cases
from training.metrics import macro_f1

_KEPT_OUT = ROOT / "datasets" / "heldout" / "fresh-a"
_OVERLOOKED = (0.005, 0.01, 0.02, 0.05)


def int8_beside_float(*, n_dialogues: int) -> dict[str, float]:
    """Return how many times faster 8 bits read the same dialogues, what they change in the probabilities, and the
    macro-F1 of both on whole cases kept out of fitting.
    """
    said = [dialogue.utterances for dialogue in _dialogues()[:n_dialogues]]
    whole, small = (
        ChatClassifier.load(SHIPPED_DIR / "chat", cache_dir=default_cache_dir(), int8=int8) for int8 in (False, True)
    )
    before, after = _probabilities(whole, said), _probabilities(small, said)
    kept_out = {name: score_cases(chat, _KEPT_OUT) for name, chat in (("whole", whole), ("int8", small))}
    pairs = [(cpu_s(lambda: whole.score(said)), cpu_s(lambda: small.score(said))) for _ in range(3)]
    return {
        "n_messages": float(sum(map(len, said))),
        "n_probabilities": float(len(before)),
        "times_faster": float(np.median([slow / fast for slow, fast in pairs])),
        "mean_change": float(np.abs(after - before).mean()),
        "likely_before": float((before >= 0.5).sum()),
        "crossed": float(((after >= 0.5) != (before >= 0.5)).sum()),
        "n_kept_out": float(len(kept_out["whole"].y_true)),
        **{
            f"f1_{name}": macro_f1(found.y_true, found.y_prob >= 0.5, min_examples=5)
            for name, found in kept_out.items()
        },
    }


def windows(*, n_dialogues: int) -> dict[str, float]:
    """Return CPU milliseconds a message when each has a window of its own, and when windows hold several messages."""
    chat = ChatClassifier.load(SHIPPED_DIR / "chat", cache_dir=default_cache_dir(), int8=True)
    said = [dialogue.utterances for dialogue in _dialogues()[:n_dialogues]]
    limits = chat.windows.limits
    makers = {n: WindowMaker(chat.encoder.tokenizer, **{**limits, "max_window_tokens": n}) for n in (0, 256)}
    times: dict[int, list[float]] = {n: [] for n in makers}
    for _ in range(3):
        for n_tokens, maker in makers.items():
            chat.windows = maker
            times[n_tokens].append(cpu_s(lambda: chat.score(said)))
    ms = {n: 1_000 * float(np.median(series)) / sum(map(len, said)) for n, series in times.items()}
    return {"alone_ms": ms[0], "together_ms": ms[256], "times_faster": ms[0] / ms[256], "n": float(sum(map(len, said)))}


def cascade() -> dict[str, Any]:
    """Return what phrases alone could pass over, by the share of stating messages that may be overlooked.

    A logistic regression on phrases tells whether a message states anything. "skipped", of our dialogues: five folds
    that share no goods. "kept_out": share passed over and macro-F1 left on whole cases kept out of fitting, by the
    thresholds found on the dialogues; "f1_all": with every message read.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict

    lines = [
        (utterance, bool(labels), dialogue.group)
        for dialogue in _dialogues()
        for utterance, labels in zip(dialogue.utterances, dialogue.labels, strict=True)
    ]
    texts, y_true = [_line(utterance) for utterance, _, _ in lines], np.array([states for _, states, _ in lines])
    groups = [group for _, _, group in lines]
    matrix_of = _phrase_reader(texts)
    X = matrix_of(texts)
    model = LogisticRegression(C=5, max_iter=200)
    y_prob = cross_val_predict(model, X, y_true, groups=groups, cv=GroupKFold(5), method="predict_proba")[:, 1]
    thresholds = {str(share): float(np.quantile(y_prob[y_true], share)) for share in _OVERLOOKED}
    model.fit(X, y_true)
    return {
        "n_messages": len(texts),
        "stating": float(y_true.mean()),
        "skipped": {share: float((y_prob < threshold).mean()) for share, threshold in thresholds.items()},
        **_on_cases_kept_out(lambda asked: model.predict_proba(matrix_of(asked))[:, 1], thresholds),
    }


def _phrase_reader(texts: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    """Return what turns texts into rows of the phrases that these hold more than once."""
    counts = Counter(phrase for text in texts for phrase in dict.fromkeys(p for p, _ in phrases(units(text))))
    known = [phrase for phrase, count in counts.items() if count > 1]
    vocabulary = {phrase: row for row, phrase in enumerate(known)}
    idf = np.array([np.log(len(texts) / counts[phrase]) + 1 for phrase in known], np.float32)
    return partial(phrase_matrix, vocabulary=vocabulary, idf=idf)


def _on_cases_kept_out(
    probability: Callable[[list[str]], NDArray[np.float64]], thresholds: dict[str, float]
) -> dict[str, Any]:
    """probability : that each text states something"""
    read = score_cases(ChatClassifier.load(SHIPPED_DIR / "chat", cache_dir=default_cache_dir(), int8=True), _KEPT_OUT)
    asked = [
        _line(utterance)
        for conversation in read_cases(_KEPT_OUT / "cases")
        for utterance in conversation.utterances
        if LABELS_OF_SPEAKER[utterance.speaker]
    ]
    likely, stated = probability(asked), read.y_prob >= 0.5
    return {
        "n_kept_out": len(asked),
        "f1_all": macro_f1(read.y_true, stated, min_examples=5),
        "kept_out": {
            share: {
                "skipped": float((likely < threshold).mean()),
                "f1": macro_f1(read.y_true, stated & (likely >= threshold)[:, None], min_examples=5),
            }
            for share, threshold in thresholds.items()
        },
    }


def _line(utterance: Utterance) -> str:
    return f"{utterance.speaker.value} {utterance.text}"


def _dialogues() -> list[LabelledConversation]:
    found = read_dialogues(Path(ROOT / "datasets" / "chat"))
    random.Random(1).shuffle(found)
    return found


def _probabilities(chat: ChatClassifier, said: Any) -> NDArray[np.float64]:
    scored = chat.score(said)
    return np.array([p for conversation in scored for score in conversation for p in score.probabilities.values()])
