"""Fits the chat classifier: tunes the encoder's layers, fits the heads, blends them on held-out text.

A fifth of the goods and cases is held out: a model fitted on the rest scores it, and from those honest logits come the
shares of the two readers, every label's threshold and the pool that simulated chats are written from. What is shipped
is fitted on everything, in the same way. The two fits need nothing of each other. Knows nothing of test sets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.chat import ATTACHED_PROBABILITY, ChatClassifier, LowRank, full_rank
from models.chat_heads import LABELS, Heads
from models.encoders import prepare_text_encoder
from models.errors import ModelError
from models.phrases import PhraseWeights
from models.pretrained import load_text_model
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from models.windows import Window, WindowMaker
from training.chat_corpus import LabelledConversation
from training.chat_heads import Blend, Bools, Floats, blend, fit_phrases
from training.claim_habits import claim_log_odds, habit_logits
from training.metrics import macro_f1
from training.statement_pool import PooledMessage, StatementPool
from training.tune_encoder import OwnTokens, TunedReader, Tuner, TuneSettings

N_FOLDS = 5
FILES_EVIDENCE = LABELS.index(StatementLabel.FILES_EVIDENCE)
ByReader = tuple[Floats, Floats, Floats]
"""Held-out logits of the encoder, of the phrases and of the filed claim, each of shape (n_messages, n_labels)."""

ATTACHED_LOGIT = float(np.log(ATTACHED_PROBABILITY / (1 - ATTACHED_PROBABILITY)))


@dataclass(frozen=True)
class HeldOut:
    """What a fifth of the goods and cases taught a model fitted on the others.

    pool : its messages with the probabilities they got; figures : on them, by name
    """

    shares: Blend
    pool: StatementPool
    figures: dict[str, float]


@dataclass(frozen=True)
class Whole:
    """What everything taught.

    source, depth : the encoder and how many of its layers are kept
    weight, focus : shape (n_labels, hidden); bias : shape (n_labels,); mean_state : shape (hidden,)
    habits : shape (n_claims, n_labels), log-odds that each filed claim adds
    """

    source: str
    depth: int
    delta: LowRank
    weight: Floats
    focus: Floats
    bias: Floats
    phrases: PhraseWeights
    mean_state: Floats
    habits: Floats


@dataclass(frozen=True)
class FittedChat:
    """A classifier and the messages it was not fitted on, with the probabilities it gave them.

    held_out : figures on the held-out fifth, by name
    """

    classifier: ChatClassifier
    pool: StatementPool
    held_out: dict[str, float]

    def save(self, directory: Path) -> None:
        """Write the classifier's files and pool.json."""
        self.classifier.save(directory)
        self.pool.save(directory / "pool.json")


@dataclass(frozen=True)
class Examples:
    """The corpus message by message, only speakers that can bear labels.

    windows : of whole conversations; own : where each message stands in them
    y_true, known : shape (n_messages, n_labels)
    attached : shape (n_messages,), a buyer's message with a photo, which files evidence whatever its text
    alone : shape (n_messages,), the only message of its conversation
    claims : filed in the case of each message, where it is known
    """

    windows: list[Window]
    own: list[OwnTokens]
    texts: list[str]
    speakers: list[Speaker]
    languages: list[str]
    sources: list[str]
    groups: list[str]
    claims: list[Claim | None]
    y_true: Bools
    known: Bools
    attached: Bools
    alone: Bools

    @property
    def judged(self) -> Bools:
        """Return where the classifier gives a verdict: what its text could teach, and what an attachment shows."""
        judged = self.known.copy()
        judged[self.attached, FILES_EVIDENCE] = True
        return judged

    def take(self, rows: NDArray[np.intp]) -> "Examples":
        """Return the chosen messages."""
        return Examples(
            windows=self.windows,
            own=[self.own[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            speakers=[self.speakers[row] for row in rows],
            languages=[self.languages[row] for row in rows],
            sources=[self.sources[row] for row in rows],
            groups=[self.groups[row] for row in rows],
            claims=[self.claims[row] for row in rows],
            y_true=self.y_true[rows],
            known=self.known[rows],
            attached=self.attached[rows],
            alone=self.alone[rows],
        )


def read_examples(conversations: Sequence[LabelledConversation], *, windows: WindowMaker) -> Examples:
    """Return every message that a buyer or seller wrote."""
    nothing = np.zeros((0, len(LABELS)), bool)
    found = Examples([], [], [], [], [], [], [], [], nothing, nothing, nothing[:, 0], nothing[:, 0])
    y_true, known, attached, alone = [], [], [], []
    for conversation in conversations:
        for window in windows.cut(conversation.utterances):
            found.windows.append(window)
            for member in window.members:
                utterance = conversation.utterances[member.place]
                if not LABELS_OF_SPEAKER[utterance.speaker] or not member.offsets or not utterance.text.strip():
                    continue
                found.own.append(OwnTokens(len(found.windows) - 1, member.start, member.end))
                found.texts.append(utterance.text)
                found.speakers.append(utterance.speaker)
                found.languages.append(conversation.language)
                found.sources.append(conversation.source)
                found.groups.append(conversation.group)
                found.claims.append(conversation.claim)
                y_true.append([label in conversation.labels[member.place] for label in LABELS])
                known.append([label in conversation.known[member.place] for label in LABELS])
                attached.append(utterance.attachments > 0 and utterance.speaker is Speaker.BUYER)
                alone.append(len(conversation.utterances) == 1)
    if not y_true:
        raise ModelError("there is no labelled message to fit on")
    return replace(
        found,
        y_true=np.array(y_true),
        known=np.array(known),
        attached=np.array(attached),
        alone=np.array(alone),
    )


def folds_of(groups: Sequence[str], *, n_folds: int, seed: int = 0) -> NDArray[np.intp]:
    """Return a fold for each row so that a group is never split."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[place]: rank % n_folds for rank, place in enumerate(order)}
    return np.array([fold[group] for group in groups], np.intp)


def fit_conversations(
    conversations: Sequence[LabelledConversation],
    *,
    cache_dir: Path,
    source: str,
    settings: TuneSettings,
    threads: int,
    progress: Callable[[str], None],
) -> FittedChat:
    """Fit on the given conversations: on four fifths for the shares and thresholds, then on all for the weights.

    source : the encoder, as in `models.encoders.prepare_text_encoder`
    Raises ModelError when there is nothing to fit on.
    """
    held_out = fit_held_out(conversations, source=source, settings=settings, threads=threads, progress=progress)
    whole = fit_whole(conversations, source=source, settings=settings, threads=threads, progress=progress)
    return join(whole, held_out, cache_dir=cache_dir, threads=threads)


def fit_held_out(
    conversations: Sequence[LabelledConversation],
    *,
    source: str,
    settings: TuneSettings,
    threads: int,
    progress: Callable[[str], None],
) -> HeldOut:
    """Fit on four fifths of the goods and cases and learn from the fifth left out. Arguments as `fit_conversations`."""
    tuner, examples = _examples(conversations, source=source, settings=settings, threads=threads)
    fold = folds_of(examples.groups, n_folds=N_FOLDS, seed=settings.seed)
    kept, held = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    reader, phrases = _fit_readers(tuner, examples, kept, settings=settings, progress=progress)
    aside = examples.take(held)
    habits = _habits(examples, kept)
    read = (reader.logits(held), phrases.score(aside.texts), habit_logits(habits, aside.claims))
    by_text, by_claim = _honest_logits(aside, read)
    shares = _blend(aside, np.arange(len(held)), read)
    progress(f"held out, told the claim: {(figures := _figures(aside, by_text + by_claim))}")
    progress(f"held out, not told: {_figures(aside, by_text)}")
    pool = StatementPool(_pooled(aside, by_text), (shares.claim_share * habits).astype(np.float32))
    return HeldOut(shares, pool, figures)


def fit_whole(
    conversations: Sequence[LabelledConversation],
    *,
    source: str,
    settings: TuneSettings,
    threads: int,
    progress: Callable[[str], None],
) -> Whole:
    """Fit on everything. Arguments as `fit_conversations`."""
    tuner, examples = _examples(conversations, source=source, settings=settings, threads=threads)
    everything = np.arange(len(examples.texts))
    reader, phrases = _fit_readers(tuner, examples, everything, settings=settings, progress=progress)
    weight, focus, bias = reader.heads()
    return Whole(
        source=source,
        depth=settings.depth,
        delta=reader.delta(),
        weight=weight,
        focus=focus,
        bias=bias,
        phrases=phrases,
        mean_state=reader.mean_state(everything),
        habits=_habits(examples, everything),
    )


def join(whole: Whole, held_out: HeldOut, *, cache_dir: Path, threads: int) -> FittedChat:
    """Return the classifier of what everything taught, blended as the held-out fifth taught."""
    shares = held_out.shares
    heads = Heads(
        weight=whole.weight.astype(np.float32),
        focus=whole.focus.astype(np.float32),
        bias=whole.bias.astype(np.float32),
        phrases=whole.phrases,
        encoder_share=shares.encoder_share.astype(np.float32),
        phrase_share=shares.phrase_share.astype(np.float32),
        shift=shares.shift.astype(np.float32),
        alone_shift=shares.alone_shift.astype(np.float32),
        resting=(whole.weight @ whole.mean_state).astype(np.float32),
        claim_shift=(shares.claim_share * whole.habits).astype(np.float32),
    )
    encoder = prepare_text_encoder(
        whole.source, cache_dir=cache_dir, layers=whole.depth, delta=full_rank(whole.delta), threads=threads
    )
    classifier = ChatClassifier(
        encoder=encoder,
        heads=heads,
        windows=WindowMaker(encoder.tokenizer),
        delta=whole.delta,
        source=whole.source,
        layers=whole.depth,
    )
    return FittedChat(classifier, held_out.pool, held_out.figures)


def _examples(
    conversations: Sequence[LabelledConversation], *, source: str, settings: TuneSettings, threads: int
) -> tuple[Tuner, Examples]:
    import torch

    torch.set_num_threads(threads)
    model, tokenizer = load_text_model(source, layers=settings.depth)
    examples = read_examples(conversations, windows=WindowMaker(tokenizer))
    return Tuner(model, examples.windows, examples.own, layers=settings.layers), examples


def _fit_readers(
    tuner: Tuner,
    examples: Examples,
    rows: NDArray[np.intp],
    *,
    settings: TuneSettings,
    progress: Callable[[str], None],
) -> tuple[TunedReader, PhraseWeights]:
    reader = tuner.tune(
        rows,
        examples.y_true,
        examples.known,
        settings=settings,
        report=lambda epoch, loss, _: progress(f"tuning on {len(rows)} messages: epoch {epoch}, loss {loss:.3f}"),
    )
    return reader, fit_phrases([examples.texts[row] for row in rows], examples.y_true[rows], examples.known[rows])


def _habits(examples: Examples, rows: NDArray[np.intp]) -> Floats:
    return claim_log_odds(examples.y_true[rows], examples.known[rows], [examples.claims[row] for row in rows])


def _honest_logits(aside: Examples, read: ByReader) -> tuple[Floats, Floats]:
    """Return logits of held-out rows and what the claim adds, each half judged by what was learnt on the other half."""
    half = folds_of(aside.groups, n_folds=2, seed=1)
    by_text, by_claim = np.zeros(aside.y_true.shape), np.zeros(aside.y_true.shape)
    for side in (0, 1):
        other, own = np.flatnonzero(half != side), np.flatnonzero(half == side)
        shares = _blend(aside, other, read)
        encoder_logits, phrase_logits, claim_logits = (logits[own] for logits in read)
        by_text[own] = shares.logits(encoder_logits, phrase_logits, 0.0 * claim_logits, aside.alone[own])
        by_claim[own] = shares.claim_share * claim_logits
    by_text[aside.attached, FILES_EVIDENCE] = np.maximum(by_text[aside.attached, FILES_EVIDENCE], ATTACHED_LOGIT)
    by_claim[aside.attached, FILES_EVIDENCE] = 0.0
    return by_text, by_claim


def _blend(aside: Examples, rows: NDArray[np.intp], read: ByReader) -> Blend:
    encoder_logits, phrase_logits, claim_logits = (logits[rows] for logits in read)
    return blend(
        encoder_logits,
        phrase_logits,
        claim_logits,
        aside.y_true[rows],
        aside.known[rows],
        alone=aside.alone[rows],
    )


def _pooled(aside: Examples, logits: Floats) -> tuple[PooledMessage, ...]:
    probabilities = 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))
    return tuple(
        PooledMessage(
            language=aside.languages[row],
            speaker=aside.speakers[row],
            text=aside.texts[row],
            labels=frozenset(label for place, label in enumerate(LABELS) if aside.y_true[row, place]),
            probabilities={
                label: float(probabilities[row, LABELS.index(label)])
                for label in LABELS_OF_SPEAKER[aside.speakers[row]]
            },
        )
        for row in range(len(aside.texts))
        if aside.sources[row] != "review"
    )


def _figures(aside: Examples, logits: Floats) -> dict[str, float]:
    """Return macro-F1 over labels of five or more examples, of chats (also by language) and of reviews."""
    is_review = np.array(aside.sources) == "review"
    language = np.array(aside.languages)
    rows = {
        "chat": ~is_review,
        "chat_zh": ~is_review & (language == "zh"),
        "chat_en": ~is_review & (language == "en"),
        "reviews": is_review,
    }
    return {
        name: round(macro_f1(aside.y_true[r], (logits[r] >= 0) & aside.judged[r], min_examples=5), 3)
        for name, r in rows.items()
    }
