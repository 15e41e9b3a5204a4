"""ChatClassifier: which statements a chat message makes, with probabilities and the words that show it.

Two readers of one message are added up: the encoder's token states, averaged over the message's own tokens with
weights that say where each label looks (`models.windows`: the encoder also sees what was said around it), and short
phrases (`models.phrases`). Both are sums over places, so every character's share of a logit is exact. A last slope and
shift per label, learnt on held-out text, make the decision fall at a probability of 0.5; where it's known which claim
was filed, what such chats usually state counts too. onnxruntime only. Knows nothing of cases, files of labels, or
training.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from models.chat_heads import CLAIMS, LABELS, Heads, Setting, attention, token_shares
from models.encoders import TextEncoder, equal_lengths, prepare_text_encoder
from models.errors import WeightsError
from models.phrases import Place, Unit, units
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from models.windows import Member, Utterance, Window, WindowMaker

__all__ = ["ChatClassifier", "LowRank", "MessageFeatures", "StatementScore", "Utterance"]

MAX_SPANS = 3
ATTACHED_PROBABILITY = 211 / 212
"""A buyer's message with a photo files evidence by definition: 210 of 210 in the written cases, by Laplace's rule."""
_FORMAT = 2
_COLUMN = {label: column for column, label in enumerate(LABELS)}
_MAX_EXPONENT = 30.0

LowRank = Mapping[str, tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]]
"""Weight differences by parameter name, each as factors (rows, rank) and (rank, columns)."""

Verdict = tuple[dict[StatementLabel, float], dict[StatementLabel, tuple[tuple[int, int], ...]]]
"""Probabilities and spans by label, as in `StatementScore`."""


@dataclass(frozen=True)
class StatementScore:
    """What one message states.

    probabilities : the labels that its speaker can bear; empty for platform and system
    spans : for each label of probability 0.5 or more, the [start, end) characters that moved it; none where an
        attachment alone shows it
    """

    message_id: str
    speaker: Speaker
    probabilities: dict[StatementLabel, float]
    spans: dict[StatementLabel, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class MessageFeatures:
    """What the heads read of one message.

    states : shape (n_labels, hidden), the message's own token states averaged as each label looks at them
    logits : shape (n_labels,), of every label, also of those that its speaker can't bear
    """

    states: NDArray[np.float16]
    logits: NDArray[np.float64]


@dataclass(frozen=True)
class _Look:
    """What is seen of one message that can state something.

    window, rank : the place of its window and its rank in it
    own : shape (n_tokens, hidden), its own token states; tokens : shape (n_tokens, n_labels), what each adds
    words : the units of its text
    phrases : the places of its known phrases and what each adds, as `PhraseWeights.contributions` gives them
    logits : shape (n_labels,)
    """

    window: int
    rank: int
    own: NDArray[np.float32]
    tokens: NDArray[np.float64]
    words: list[Unit]
    phrases: tuple[list[Place], NDArray[np.float64]]
    logits: NDArray[np.float64]


class ChatClassifier:
    """Messages → statement probabilities.

    encoder : token states, with `delta` already in them
    delta : low-rank differences from the pretrained encoder, kept to be saved
    source, layers : where the encoder came from and how many of its layers it is, kept to be saved
    """

    def __init__(
        self,
        *,
        encoder: TextEncoder,
        heads: Heads,
        windows: WindowMaker,
        delta: LowRank,
        source: str,
        layers: int | None = None,
    ) -> None:
        self.encoder = encoder
        self.heads = heads
        self.windows = windows
        self.delta = delta
        self.source = source
        self.layers = layers

    @classmethod
    def load(cls, directory: Path, *, cache_dir: Path, threads: int = 1, int8: bool = False) -> "ChatClassifier":
        """Return the classifier saved in `directory`; the encoder is prepared in `cache_dir` on first use.

        int8 : as `models.encoders.prepare_text_encoder` takes it

        Raises WeightsError when a file is missing or does not fit, EncoderError when the encoder can't be prepared.
        """
        try:
            settings = json.loads((directory / "model.json").read_text(encoding="utf-8"))
            arrays = {
                name: array.astype(np.float32) for name, array in load_file(directory / "heads.safetensors").items()
            }
            factors = load_file(directory / "delta.safetensors")
            if settings["format"] != _FORMAT or settings["labels"] != [label.value for label in LABELS]:
                raise WeightsError(f"{directory}: saved for other labels or another version of the code")
            if settings.get("claims", list(CLAIMS)) != list(CLAIMS):
                raise WeightsError(f"{directory}: saved for other claims")
            heads = Heads.of(arrays, phrases=settings["phrases"])
            delta = {
                name.removesuffix(".left"): (factors[name], factors[f"{name.removesuffix('.left')}.right"])
                for name in factors
                if name.endswith(".left")
            }
            limits = {"max_window_tokens": 0} | {name: int(value) for name, value in settings["windows"].items()}
            source, layers = str(settings["encoder"]), settings["layers"]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{directory}: the chat classifier can't be read: {error!r}") from error
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            raise WeightsError(f"{directory}: the chat classifier can't be read: {error!r}") from error
        encoder = prepare_text_encoder(
            source, cache_dir=cache_dir, layers=layers, delta=full_rank(delta), threads=threads, int8=int8
        )
        return cls(
            encoder=encoder,
            heads=heads,
            windows=WindowMaker(encoder.tokenizer, **limits),
            delta=delta,
            source=source,
            layers=layers,
        )

    def save(self, directory: Path) -> None:
        """Write model.json, heads.safetensors and delta.safetensors (float16) into `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        heads = self.heads
        settings = {
            "format": _FORMAT,
            "encoder": self.source,
            "layers": self.layers,
            "labels": [label.value for label in LABELS],
            "claims": [claim.value for claim in CLAIMS],
            "windows": self.windows.limits,
            "phrases": sorted(heads.phrases.vocabulary, key=heads.phrases.vocabulary.__getitem__),
        }
        (directory / "model.json").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
        factors = {}
        for name, (left, right) in self.delta.items():
            factors[f"{name}.left"] = left.astype(np.float16)
            factors[f"{name}.right"] = right.astype(np.float16)
        for file_name, content in (("heads.safetensors", heads.arrays()), ("delta.safetensors", factors)):
            whole = {name: np.ascontiguousarray(array) for name, array in content.items()}
            (directory / file_name).write_bytes(save(whole))

    def score(
        self, conversations: Sequence[Sequence[Utterance]], claims: Sequence[Claim | None] | None = None
    ) -> list[list[StatementScore]]:
        """Return one list a conversation, one score a message in its order.

        claims : the claim filed in each conversation's case, None where it isn't known

        A message's score depends on its own text, on the few messages before it and on those that follow in its
        window (`models.windows`), never on what else is scored. Only the first `windows.max_own_tokens` tokens of a
        message are read. A text without any readable sign states nothing: all its probabilities are 0. A buyer's
        message with an attachment files evidence whatever its text.
        """
        unique: dict[tuple[Setting, tuple[int, ...], tuple[tuple[Speaker, str], ...]], int] = {}
        wanted: list[tuple[Window, Sequence[Utterance], Setting]] = []
        placed: list[dict[int, tuple[int, int]]] = [{} for _ in conversations]
        settings = _settings(conversations, claims)
        for number, conversation in enumerate(conversations):
            for window in self.windows.cut(conversation):
                said = [conversation[member.place] for member in window.members]
                key = (settings[number], window.ids, tuple((utterance.speaker, utterance.text) for utterance in said))
                if key not in unique:
                    unique[key] = len(wanted)
                    wanted.append((window, said, settings[number]))
                for rank, member in enumerate(window.members):
                    placed[number][member.place] = unique[key], rank
        read = self._read(wanted)
        verdicts = [[read[row][rank] for _, (row, rank) in sorted(where.items())] for where in placed]
        return [
            [_score(*pair) for pair in zip(conversation, of_messages, strict=True)]
            for conversation, of_messages in zip(conversations, verdicts, strict=True)
        ]

    def _read(self, windows: Sequence[tuple[Window, Sequence[Utterance], Setting]]) -> list[list[Verdict]]:
        """Return the verdict on each member of each window, whatever is attached."""
        read: list[list[Verdict]] = [
            [(dict.fromkeys(LABELS_OF_SPEAKER[utterance.speaker], 0.0), {}) for utterance in said]
            for _, said, _ in windows
        ]
        for look in self._look_at(windows):
            window, said, _ = windows[look.window]
            read[look.window][look.rank] = self._judge(window.members[look.rank], said[look.rank], look)
        return read

    def features(
        self, conversations: Sequence[Sequence[Utterance]], claims: Sequence[Claim | None] | None = None
    ) -> list[list[MessageFeatures | None]]:
        """Return what the heads read of each message, None for one that can state nothing.

        One list a conversation, in the order of its messages; attachments play no part. claims : as `score` takes them
        """
        settings = _settings(conversations, claims)
        cut = [(number, window) for number, said in enumerate(conversations) for window in self.windows.cut(said)]
        wanted = [
            (
                window,
                [conversations[number][member.place] for member in window.members],
                settings[number],
            )
            for number, window in cut
        ]
        found: list[list[MessageFeatures | None]] = [[None] * len(said) for said in conversations]
        for look in self._look_at(wanted):
            states = attention(look.own.astype(np.float64), focus=self.heads.focus).T @ look.own
            number, window = cut[look.window]
            found[number][window.members[look.rank].place] = MessageFeatures(states.astype(np.float16), look.logits)
        return found

    def _look_at(self, windows: Sequence[tuple[Window, Sequence[Utterance], Setting]]) -> Iterator[_Look]:
        """Yield what is seen of each message that can state something."""
        wanted = [
            [
                rank
                for rank, (member, utterance) in enumerate(zip(window.members, said, strict=True))
                if member.offsets and utterance.text.strip() and LABELS_OF_SPEAKER[utterance.speaker]
            ]
            for window, said, _ in windows
        ]
        readable = [place for place, ranks in enumerate(wanted) if ranks]
        heads = self.heads
        weight, focus = heads.weight.astype(np.float64), heads.focus.astype(np.float64)
        for group in equal_lengths([len(windows[place][0].ids) for place in readable]):
            chosen = [readable[row] for row in group]
            states = self.encoder.token_states(np.array([windows[place][0].ids for place in chosen], np.int64))
            for place, state in zip(chosen, states, strict=True):
                window, said, setting = windows[place]
                shift = heads.shift_of(setting)
                for rank in wanted[place]:
                    own = state[window.members[rank].start : window.members[rank].end]
                    tokens = token_shares(own.astype(np.float64), weight=weight, focus=focus, resting=heads.resting)
                    encoder_logits = tokens.sum(axis=0) + heads.resting + heads.bias
                    words = units(said[rank].text)
                    phrases = heads.phrases.contributions(words)
                    phrase_logits = phrases[1].sum(axis=0) + heads.phrases.bias
                    logits = heads.encoder_share * encoder_logits + heads.phrase_share * phrase_logits + shift
                    yield _Look(place, rank, own, tokens, words, phrases, logits)

    def _judge(self, member: Member, utterance: Utterance, look: _Look) -> Verdict:
        likely = sigmoid(look.logits)
        probabilities = {label: float(likely[_COLUMN[label]]) for label in LABELS_OF_SPEAKER[utterance.speaker]}
        stated = [label for label, probability in probabilities.items() if probability >= 0.5]
        if not stated:
            return probabilities, {}
        shares = self._shares(member, utterance, look, stated)
        return probabilities, {label: _spans(look.words, share) for label, share in zip(stated, shares.T, strict=True)}

    def _shares(
        self, member: Member, utterance: Utterance, look: _Look, stated: Sequence[StatementLabel]
    ) -> NDArray[np.float64]:
        """Return what each character adds over a token's usual share, shape (n_characters, n_stated)."""
        heads, (places, added) = self.heads, look.phrases
        columns = [_COLUMN[label] for label in stated]
        spread = [(start, max(end, start + 1)) for start, end in member.offsets] + places
        starts, ends = np.array(spread, np.intp).reshape(-1, 2).T
        by_token = look.tokens[:, columns] * heads.encoder_share[columns]
        values = np.concatenate([by_token, added[:, columns] * heads.phrase_share[columns]])
        values /= (ends - starts)[:, None]
        steps = np.zeros((len(utterance.text) + 2, len(columns)))
        np.add.at(steps, starts, values)
        np.subtract.at(steps, ends, values)
        return np.asarray(steps.cumsum(axis=0)[: len(utterance.text)])


def _settings(conversations: Sequence[Sequence[Utterance]], claims: Sequence[Claim | None] | None) -> list[Setting]:
    """Return the setting of each conversation's messages."""
    known = [None] * len(conversations) if claims is None else claims
    return [Setting(len(said) == 1, claim) for said, claim in zip(conversations, known, strict=True)]


def _score(utterance: Utterance, verdict: Verdict) -> StatementScore:
    """Return the verdict on a text, with what the attachments show added."""
    probabilities, spans = verdict
    score = StatementScore(utterance.message_id, utterance.speaker, dict(probabilities), dict(spans))
    if utterance.attachments and StatementLabel.FILES_EVIDENCE in probabilities:
        by_text = probabilities[StatementLabel.FILES_EVIDENCE]
        score.probabilities[StatementLabel.FILES_EVIDENCE] = max(by_text, ATTACHED_PROBABILITY)
        score.spans.setdefault(StatementLabel.FILES_EVIDENCE, ())
    return score


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-logit) of each without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -_MAX_EXPONENT, _MAX_EXPONENT))))


def full_rank(delta: LowRank) -> dict[str, NDArray[np.float32]]:
    """Return the weight differences as whole matrices."""
    return {name: left.astype(np.float32) @ right.astype(np.float32) for name, (left, right) in delta.items()}


def _spans(words: Sequence[Unit], shares: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Return up to `MAX_SPANS` runs of units that add most, in text order; at least one where there is a unit.

    words : the text's units; shares : shape (n_characters,)
    """
    parts = [(start, end, float(shares[start:end].sum())) for _, start, end in words]
    if not parts:
        return ()
    strongest = max(value for _, _, value in parts)
    bar = strongest * 0.35 if strongest > 0 else strongest
    runs: list[tuple[int, int, float]] = []
    gap = True
    for start, end, value in parts:
        if value < bar:
            gap = True
        elif gap or not runs:
            runs.append((start, end, value))
            gap = False
        else:
            runs[-1] = (runs[-1][0], end, runs[-1][2] + value)
    best = sorted(runs, key=lambda run: (-run[2], run[0]))[:MAX_SPANS]
    return tuple(sorted((start, end) for start, end, _ in best))
