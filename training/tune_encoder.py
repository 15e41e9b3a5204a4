"""Low-rank tuning of the text encoder's upper layers for the statement labels, in plain torch on the CPU.

The lower layers stay as they are, so their output is computed once and kept. What is learnt is a pair of thin factors
for each matrix of the upper layers, and a linear head on the average of a message's own token states.
Source: Hu et al., LoRA, arXiv:2106.09685 (2021). Knows nothing of corpora, folds and files.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.chat import LowRank
from models.windows import Window
from training.chat_heads import Bools, Floats

_MATRICES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


@dataclass(frozen=True)
class TuneSettings:
    """How the encoder is tuned.

    depth : how many of the encoder's layers are kept, from the lowest up
    layers : how many of those, the upper ones, are tuned
    rank : columns of each left factor
    rate, head_rate : peak learning rates of factors and head
    smoothing : a label's target is this far from 0 and 1
    positive_power : positives weigh (negatives / positives) ** positive_power, at most `positive_cap`
    """

    depth: int = 6
    layers: int = 6
    rank: int = 16
    epochs: int = 4
    batch: int = 32
    rate: float = 1.5e-3
    head_rate: float = 5e-3
    dropout: float = 0.1
    smoothing: float = 0.02
    positive_power: float = 0.5
    positive_cap: float = 6.0
    weight_decay: float = 0.01
    seed: int = 0


class LowRankLinear(nn.Module):
    """A frozen linear map in bfloat16 plus a trained product of two thin factors."""

    def __init__(self, base: nn.Linear, *, rank: int) -> None:
        super().__init__()
        self.base = base
        self.left = nn.Parameter(torch.zeros(base.out_features, rank))
        self.right = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)

    def forward(self, states: Tensor) -> Tensor:
        added: Tensor = states @ self.right.to(states.dtype).T @ self.left.to(states.dtype).T
        return self.base(states) + added  # type: ignore[no-any-return]


@dataclass(frozen=True)
class OwnTokens:
    """Where a message stands: [start, end) of the ids of the window of this place."""

    window: int
    start: int
    end: int


@dataclass(frozen=True)
class Batch:
    """Windows and the messages read in them, in the order of `rows`.

    lower : shape (n_windows, n_tokens, hidden)
    attended : additive mask, shape (n_windows, 1, 1, n_tokens)
    tokens : shape (n_messages, n_own), places of a message's own tokens in the windows laid end to end
    own : shape (n_messages, n_own), 1 for a token and 0 for filling
    """

    rows: NDArray[np.intp]
    lower: Tensor
    attended: Tensor
    tokens: Tensor
    own: Tensor


class UpperReader(nn.Module):
    """The tuned upper layers and the head: lower states → logits.

    The head weighs a message's own tokens for each label (`focus`) and reads them (`head`), as `models.chat` does.
    mean, scale : of untuned averaged states, so that the head reads standardised features
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, layers: nn.ModuleList, *, mean: Floats, scale: Floats, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(len(mean), n_labels)
        self.focus = nn.Linear(len(mean), n_labels, bias=False)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.focus.weight)

    def states(self, batch: Batch) -> Tensor:
        """Return the last states of the messages' own tokens, shape (n_messages, n_own, hidden)."""
        states = batch.lower
        for layer in self.layers:
            out = layer(states, attention_mask=batch.attended)
            states = out[0] if isinstance(out, tuple) else out
        return states.reshape(-1, states.shape[-1])[batch.tokens].float()

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, shape (n_messages, n_labels)."""
        features = self.dropout((self.states(batch) - self.mean) / self.scale)
        looked = self.focus(features).masked_fill(batch.own[:, :, None] == 0, -1e9).softmax(dim=1)
        logits: Tensor = (looked * (features @ self.head.weight.T)).sum(dim=1) + self.head.bias
        return logits


class Tuner:
    """Holds the encoder, computes the lower states once, and tunes as often as asked.

    own : where each message stands in `windows`; rows are places in it
    """

    def __init__(self, model: Any, windows: Sequence[Window], own: Sequence[OwnTokens], *, layers: int) -> None:
        self.model = model.eval()
        model.set_attn_implementation("eager")
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.n_lower = max(0, len(model.encoder.layer) - layers)
        self.windows = list(windows)
        self.own = list(own)
        self.lower = self._lower_states()

    def tune(
        self,
        rows: NDArray[np.intp],
        y_true: Bools,
        known: Bools,
        *,
        settings: TuneSettings,
        report: Callable[[int, float, "TunedReader"], None] = lambda epoch, loss, reader: None,
    ) -> "TunedReader":
        """Return the reader tuned on `rows`.

        y_true, known : shape (n_messages, n_labels)
        report : called after each epoch with its number, its mean loss and the reader so far
        """
        torch.manual_seed(settings.seed)
        rng = np.random.default_rng(settings.seed)
        reader = self._reader(rows, settings=settings, n_labels=y_true.shape[1])
        factors = [
            p for name, p in reader.named_parameters() if p.requires_grad and not name.startswith(("head", "focus"))
        ]
        optimizer = torch.optim.AdamW(
            [
                {"params": factors, "lr": settings.rate, "weight_decay": settings.weight_decay},
                {
                    "params": [*reader.head.parameters(), *reader.focus.parameters()],
                    "lr": settings.head_rate,
                    "weight_decay": settings.weight_decay,
                },
            ]
        )
        n_steps = settings.epochs * len(self._batches(rows, settings.batch, np.random.default_rng(0)))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / (0.1 * n_steps), max(0.0, 1 - step / n_steps) / 0.9, 1.0)
        )
        weight = _positive_weights(y_true[rows], known[rows], settings)
        for epoch in range(settings.epochs):
            reader.train()
            losses = []
            for chosen in self._batches(rows, settings.batch, rng):
                batch = self._inputs(chosen)
                target = torch.tensor(y_true[chosen], dtype=torch.float32)
                mask = torch.tensor(known[chosen], dtype=torch.float32)
                logits = reader(batch)
                smooth = target * (1 - 2 * settings.smoothing) + settings.smoothing
                loss = nn.functional.binary_cross_entropy_with_logits(
                    logits, smooth, pos_weight=weight, reduction="none"
                )
                loss = (loss * mask).sum() / len(chosen)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(factors, 1.0)
                optimizer.step()
                schedule.step()
                losses.append(float(loss.detach()))
            report(epoch + 1, float(np.mean(losses)), TunedReader(self, reader.eval(), first_layer=self.n_lower))
        return TunedReader(self, reader.eval(), first_layer=self.n_lower)

    def _reader(self, rows: NDArray[np.intp], *, settings: TuneSettings, n_labels: int) -> UpperReader:
        layers = nn.ModuleList(copy.deepcopy(layer) for layer in self.model.encoder.layer[self.n_lower :])
        layers = layers.to(torch.bfloat16)
        for module in layers.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        plain = UpperReader(layers, mean=np.zeros(1), scale=np.ones(1), n_labels=n_labels, dropout=0.0)
        features = self.averaged(plain, rows[:: max(1, len(rows) // 512)])
        for layer in layers:
            for name in _MATRICES:
                parent, _, last = name.rpartition(".")
                owner = layer.get_submodule(parent)
                setattr(owner, last, LowRankLinear(getattr(owner, last), rank=settings.rank))
        return UpperReader(
            layers,
            mean=features.mean(axis=0),
            scale=features.std(axis=0) + 1e-3,
            n_labels=n_labels,
            dropout=settings.dropout,
        )

    def averaged(self, reader: UpperReader, rows: NDArray[np.intp]) -> Floats:
        """Return the mean own state of each row, shape (n_rows, hidden)."""

        def mean(batch: Batch) -> Tensor:
            return (reader.states(batch) * batch.own[:, :, None]).sum(dim=1) / batch.own.sum(dim=1, keepdim=True)

        return self.run(reader, mean, rows)

    def run(self, reader: UpperReader, read: Callable[[Batch], Tensor], rows: NDArray[np.intp]) -> Floats:
        """Return `read` of each row, shape (n_rows, …), without gradients or dropout."""
        reader.eval()
        found: dict[int, Any] = {}
        for chosen in self._batches(rows, 64, None):
            with torch.no_grad():
                vectors = read(self._inputs(chosen)).float().numpy()
            found.update(zip(chosen.tolist(), vectors, strict=True))
        return np.array([found[row] for row in rows.tolist()], np.float64)

    def _batches(self, rows: NDArray[np.intp], size: int, rng: np.random.Generator | None) -> list[NDArray[np.intp]]:
        """Return batches of `size` or a few more rows: whole windows of similar length.

        With `rng`, shuffled and with lengths jittered.
        """
        members: dict[int, list[int]] = {}
        for row in rows.tolist():
            members.setdefault(self.own[row].window, []).append(row)
        lengths = np.array([len(self.windows[window].ids) for window in members], np.float64)
        if rng is not None:
            lengths = lengths + rng.uniform(0, 12, len(lengths))
        by_window = list(members.values())
        batches: list[NDArray[np.intp]] = []
        batch: list[int] = []
        for place in np.argsort(lengths, kind="stable").tolist():
            batch += by_window[place]
            if len(batch) >= size:
                batches.append(np.array(batch))
                batch = []
        if batch:
            batches.append(np.array(batch))
        if rng is not None:
            order = rng.permutation(len(batches))
            batches = [batches[place] for place in order]
        return batches

    def _inputs(self, rows: NDArray[np.intp]) -> Batch:
        places = {window: place for place, window in enumerate(dict.fromkeys(self.own[row].window for row in rows))}
        longest = max(len(self.windows[window].ids) for window in places)
        longest_own = max(self.own[row].end - self.own[row].start for row in rows)
        lower = torch.zeros(len(places), longest, self.lower[0].shape[1], dtype=torch.bfloat16)
        attended = torch.full((len(places), 1, 1, longest), -1e9, dtype=torch.bfloat16)
        for window, place in places.items():
            n_tokens = len(self.windows[window].ids)
            lower[place, :n_tokens] = self.lower[window]
            attended[place, :, :, :n_tokens] = 0.0
        tokens = torch.zeros(len(rows), longest_own, dtype=torch.long)
        own = torch.zeros(len(rows), longest_own)
        for message, row in enumerate(rows):
            found = self.own[row]
            first = places[found.window] * longest
            tokens[message, : found.end - found.start] = torch.arange(first + found.start, first + found.end)
            own[message, : found.end - found.start] = 1.0
        return Batch(rows, lower, attended, tokens, own)

    def _lower_states(self) -> list[Tensor]:
        lower: list[Any] = [None] * len(self.windows)
        order = sorted(range(len(self.windows)), key=lambda window: len(self.windows[window].ids))
        for batch in (order[start : start + 32] for start in range(0, len(order), 32)):
            longest = max(len(self.windows[row].ids) for row in batch)
            ids = torch.zeros(len(batch), longest, dtype=torch.long)
            attended = torch.full((len(batch), 1, 1, longest), -1e9)
            for place, row in enumerate(batch):
                ids[place, : len(self.windows[row].ids)] = torch.tensor(self.windows[row].ids)
                attended[place, :, :, : len(self.windows[row].ids)] = 0.0
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                states = self.model.embeddings(input_ids=ids)
                for layer in self.model.encoder.layer[: self.n_lower]:
                    out = layer(states, attention_mask=attended)
                    states = out[0] if isinstance(out, tuple) else out
            for place, row in enumerate(batch):
                lower[row] = states[place, : len(self.windows[row].ids)].to(torch.bfloat16)
        return lower


@dataclass(frozen=True)
class TunedReader:
    """What tuning learnt, as numpy."""

    tuner: Tuner
    reader: UpperReader
    first_layer: int

    def heads(self) -> tuple[Floats, Floats, Floats]:
        """Return (weight, focus, bias) for raw states: twice (n_labels, hidden), and (n_labels,)."""
        reader = self.reader
        scale, mean = reader.get_buffer("scale").double().numpy(), reader.get_buffer("mean").double().numpy()
        weight = reader.head.weight.detach().double().numpy() / scale
        focus = reader.focus.weight.detach().double().numpy() / scale
        return weight, focus, reader.head.bias.detach().double().numpy() - weight @ mean

    def logits(self, rows: NDArray[np.intp]) -> Floats:
        """Return logits of the rows, shape (n_rows, n_labels)."""
        return self.tuner.run(self.reader, self.reader, rows)

    def mean_state(self, rows: NDArray[np.intp], *, at_most: int = 512) -> Floats:
        """Return the mean of the averaged own states over a sample of the rows, shape (hidden,)."""
        mean: Floats = self.tuner.averaged(self.reader, rows[:: max(1, len(rows) // at_most)]).mean(axis=0)
        return mean

    def delta(self) -> LowRank:
        """Return the factors by the encoder's parameter names."""
        found = {}
        for place, layer in enumerate(self.reader.layers):
            for name in _MATRICES:
                module: Any = layer.get_submodule(name)
                found[f"encoder.layer.{self.first_layer + place}.{name}.weight"] = (
                    module.left.detach().numpy().astype(np.float16),
                    module.right.detach().numpy().astype(np.float16),
                )
        return found


def _positive_weights(y_true: Bools, known: Bools, settings: TuneSettings) -> Tensor:
    positives = np.maximum((y_true & known).sum(axis=0), 1)
    negatives = (~y_true & known).sum(axis=0)
    weight = np.clip((negatives / positives) ** settings.positive_power, 1.0, settings.positive_cap)
    return torch.tensor(weight, dtype=torch.float32)
