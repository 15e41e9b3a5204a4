"""Tuning of the whole text encoder on what people corrected, beside everything that it was fitted on before.

Every layer gets low-rank factors; heads, thresholds and pool are fitted anew (`fit_chat`). Before that a short run on a
sample measures what the machine would need, and a machine that is too small is told so. Knows nothing of rulings.
"""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.chat import ChatClassifier
from models.errors import ModelError
from models.pretrained import load_text_model
from models.scorer import conversation
from models.vocabulary import StatementLabel
from models.windows import WindowMaker
from training.chat_corpus import LabelledConversation, language_of, read_training_corpus
from training.corrections import last_words, seller_of
from training.fit_chat import FittedChat, fit_conversations, read_examples
from training.reading_gate import Told, judge_unlearned
from training.snapshot import DecidedCase
from training.tune_encoder import Tuner, TuneSettings

_PROBED = 64
_FITS = 2
_MARGIN = 1.3
Progress = Callable[[str], None]


class MachineTooSmallError(ModelError):
    """This machine can't tune the encoder: it has too little memory, or would take longer than allowed."""


@dataclass(frozen=True)
class Allowance:
    """What tuning may take. memory_bytes : free memory; minutes : of wall-clock time"""

    memory_bytes: int
    minutes: float


@dataclass(frozen=True)
class Need:
    """What tuning takes, measured on a sample and carried over. n_messages : to be tuned on"""

    memory_bytes: int
    minutes: float
    n_messages: int


def free_memory() -> int:
    """Return the bytes that may be used without swapping: what Linux calls available, elsewhere half the memory."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def fine_tune(
    chat: ChatClassifier,
    teaching: Sequence[DecidedCase],
    *,
    datasets_dir: Path,
    cache_dir: Path,
    allowance: Allowance,
    settings: TuneSettings | None = None,
    threads: int = 1,
    progress: Progress,
) -> tuple[FittedChat, int]:
    """Return a chat classifier fitted anew, encoder and all, and the number of messages it learned from.

    The messages are the corpus and what people corrected.

    settings : all layers that the classifier's encoder keeps are tuned, whatever it says
    Raises MachineTooSmallError where a sample shows that `allowance` won't do.
    """
    corpus = [*read_training_corpus(datasets_dir, data_dir=None), *corrected_chats(teaching)]
    model, _ = load_text_model(chat.source, layers=chat.layers)
    n_layers = len(model.encoder.layer)
    chosen = replace(settings or TuneSettings(), depth=n_layers, layers=n_layers)
    progress("measuring what tuning the text encoder takes ...")
    need = measure_need(corpus, source=chat.source, settings=chosen, threads=threads)
    said = f"{need.memory_bytes / 1e9:.1f} GB and about {need.minutes:.0f} minutes for {need.n_messages} messages"
    if need.memory_bytes > allowance.memory_bytes or need.minutes > allowance.minutes:
        raise MachineTooSmallError(
            f"tuning the text encoder takes {said}; this machine has {allowance.memory_bytes / 1e9:.1f} GB free and "
            f"--minutes allows {allowance.minutes:.0f}: use a larger one, allow more, or retrain without it"
        )
    progress(f"tuning the text encoder: {said}")
    fitted = fit_conversations(
        corpus, cache_dir=cache_dir, source=chat.source, settings=chosen, threads=threads, progress=progress
    )
    return fitted, need.n_messages


def corrected_chats(decided: Sequence[DecidedCase]) -> list[LabelledConversation]:
    """Return the chats in which people corrected something; only the labels they spoke of are known."""
    found = []
    for one in decided:
        told: dict[str, dict[StatementLabel, bool]] = {}
        for correction in last_words(one, "statement"):
            if correction.label is not None:
                told.setdefault(correction.ref, {})[correction.label] = bool(correction.holds)
        utterances = conversation(one.file.case)
        known = tuple(frozenset(told.get(utterance.message_id, {})) for utterance in utterances)
        if any(known):
            found.append(
                LabelledConversation(
                    conversation_id=one.key,
                    group=f"seller:{seller_of(one)}",
                    source="case",
                    language=language_of(" ".join(utterance.text for utterance in utterances)),
                    utterances=tuple(utterances),
                    labels=tuple(
                        frozenset(label for label in labels if told[utterance.message_id][label])
                        for utterance, labels in zip(utterances, known, strict=True)
                    ),
                    known=known,
                )
            )
    return found


def measure_need(corpus: Sequence[LabelledConversation], *, source: str, settings: TuneSettings, threads: int) -> Need:
    """Return what tuning on this corpus takes, from one epoch on a sample of its conversations."""
    import torch

    torch.set_num_threads(threads)
    model, tokenizer = load_text_model(source, layers=settings.depth)
    windows = WindowMaker(tokenizer)
    everything = read_examples(corpus, windows=windows)
    order = np.random.default_rng(0).permutation(len(corpus))[:_PROBED]
    sample = read_examples([corpus[place] for place in order], windows=windows)
    before, started = _peak_memory(), time.monotonic()
    tuner = Tuner(model, sample.windows, sample.own, layers=settings.layers)
    tuner.tune(np.arange(len(sample.texts)), sample.y_true, sample.known, settings=replace(settings, epochs=1))
    seconds = time.monotonic() - started
    n_tokens, n_sampled = (sum(len(window.ids) for window in part.windows) for part in (everything, sample))
    hidden = model.config.hidden_size
    weights = sum(parameter.numel() for parameter in model.parameters()) * 4
    kept = 2 * hidden * n_tokens
    working = max(_peak_memory() - before, weights)
    return Need(
        memory_bytes=round(_MARGIN * (2 * weights + kept + working)),
        minutes=_MARGIN * seconds * n_tokens / max(1, n_sampled) * (settings.epochs + 1) / 2 * _FITS / 60,
        n_messages=len(everything.texts),
    )


def worse_for_readers(
    old: ChatClassifier, new: ChatClassifier, reference: Sequence[LabelledConversation], *, seed: int
) -> str | None:
    """Return why the tuned classifier may not take the old one's place, None where it may.

    reference : chats labelled by readers that neither learned from
    """
    rows = [
        (label in given, before.probabilities[label], after.probabilities[label], one.group)
        for one, was, now in zip(
            reference,
            old.score([one.utterances for one in reference]),
            new.score([one.utterances for one in reference]),
            strict=True,
        )
        for given, known, before, after in zip(one.labels, one.known, was, now, strict=True)
        for label in known
        if label in before.probabilities
    ]
    truth, was_said, is_said, groups = zip(*rows, strict=True)
    told = Told(np.array(truth, bool), _logits(was_said), _logits(is_said), np.array(groups, np.str_))
    return judge_unlearned(told, seed=seed)


def _logits(probabilities: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    p = np.clip(np.array(probabilities, np.float64), 1e-9, 1 - 1e-9)
    return np.log(p / (1 - p))


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
