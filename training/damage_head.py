"""The damage head while it learns: a small torch module over encoder cells, and its training loop.

It learns from whole photos (the hottest cells must tell damaged from intact) and, where it is known which
part is damaged, from cells. `HeadTrainer.export` gives the plain arrays that `models.photo` scores with.
Knows nothing of files or of photos, only of encoded examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional as nnf

from models.photo import CLIP, mean_hottest
from models.photo_cells import GRID, LEVELS
from training.damage_examples import DRAWN, ExampleTable

_FINE_SPLIT = 80

Rows = NDArray[np.intp]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch and BLAS on one thread: on small matrices waiting threads cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class HeadSettings:
    """How the head is built and trained.

    width : hidden channels; top_cells, wide_cells : hottest cells averaged into the narrow and the wide score
    passes : times that as many examples as there are get drawn; n_heads : heads whose scores are averaged
    pairs : in a batch
    kin_share : share of pairs that are real photos of one product type and not twins
    level_weight, cell_weight : of the losses by photo and by cell, next to the ranking of pairs
    """

    width: int = 64
    top_cells: int = 7
    wide_cells: int = GRID * GRID
    passes: float = 2.0
    n_heads: int = 2
    pairs: int = 16
    kin_share: float = 0.4
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    level_weight: float = 0.3
    cell_weight: float = 1.0
    dropout: float = 0.1


class DamageHead(nn.Module):
    """Cells of one photo → a damage logit a cell and one for the photo."""

    def __init__(self, settings: HeadSettings) -> None:
        super().__init__()
        width = settings.width
        self.top_cells = settings.top_cells
        self.fine = nn.Linear(192, width)
        self.coarse = nn.Linear(320, width, bias=False)
        self.fine_usual = nn.Linear(192, width, bias=False)
        self.coarse_usual = nn.Linear(320, width, bias=False)
        self.dropout = nn.Dropout2d(settings.dropout)
        self.around = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, width, 1)
        self.out = nn.Conv2d(width, 1, 1)
        self.pool = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.fine_mean, self.fine_std = _fixed(torch.zeros(192)), _fixed(torch.ones(192))
        self.coarse_mean, self.coarse_std = _fixed(torch.zeros(320)), _fixed(torch.ones(320))

    def forward(
        self, fine: torch.Tensor, coarse: torch.Tensor, content: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (photo logits (n,), cell logits (n, 28, 28)).

        fine : (n, 784, 192); coarse : (n, 196, 320); content : (n, 28, 28)
        """
        fine = ((fine - self.fine_mean) / self.fine_std).clamp(-CLIP, CLIP)
        coarse = ((coarse - self.coarse_mean) / self.coarse_std).clamp(-CLIP, CLIP)
        fine_usual = _mean_over(fine, content.flatten(1))
        coarse_usual = _mean_over(coarse, nnf.avg_pool2d(content[:, None], 2).flatten(1))
        usual = self.fine_usual(fine_usual) + self.coarse_usual(coarse_usual)
        low = self.coarse(coarse).transpose(1, 2).unflatten(2, (GRID // 2, GRID // 2))
        low = nnf.interpolate(low, size=GRID, mode="bilinear", align_corners=False)
        hidden = (self.fine(fine) + usual[:, None]).transpose(1, 2).unflatten(2, (GRID, GRID)) + low
        hidden = self.dropout(torch.relu(hidden))
        hidden = torch.relu(self.mix(self.around(hidden)) + hidden)
        cells: torch.Tensor = self.out(hidden)[:, 0]
        seen = cells.masked_fill(content < 0.5, -1e4).flatten(1)
        hottest = seen.topk(self.top_cells, dim=1).values.mean(1)
        return self.pool[0] * hottest + self.pool[1], cells


def _fixed(values: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _mean_over(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)


def train_head(table: ExampleTable, rows: Rows, *, settings: HeadSettings, seed: int) -> DamageHead:
    """Return a head trained on some rows of the table.

    Every batch holds pairs of an intact and a damaged photo: drawn twins, or goods of one product type. The
    damaged one must score higher, so neither a source nor a product type can stand for damage.
    rows : shape (n_train,), places in the table
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = DamageHead(settings)
    sample = np.sort(rng.choice(rows, min(400, len(rows)), replace=False))
    for name, values in (("fine", table.fine[sample]), ("coarse", table.coarse[sample])):
        flat = values.astype(np.float32).reshape(-1, values.shape[-1])
        getattr(head, f"{name}_mean").data.copy_(torch.from_numpy(flat.mean(0)))
        getattr(head, f"{name}_std").data.copy_(torch.from_numpy(flat.std(0) + 1e-3))
    pairs = _Pairs(table, rows)
    n_steps = max(10, int(settings.passes * len(rows) / (2 * settings.pairs)))
    optimiser = torch.optim.AdamW(
        [p for p in head.parameters() if p.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=n_steps, pct_start=0.15
    )
    head.train()
    for _ in range(n_steps):
        loss = _loss(head, table, pairs.draw(settings, rng), settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(head.parameters(), 2.0)
        optimiser.step()
        schedule.step()
    return head.eval()


class _Pairs:
    """Pairs of a damaged and an intact row: drawn twins, and kin (goods of one product type)."""

    def __init__(self, table: ExampleTable, rows: Rows) -> None:
        inside = np.zeros(len(table.damaged), np.bool_)
        inside[rows] = True
        self.twins = np.array([row for row in rows if table.twin[row] >= 0 and inside[table.twin[row]]], np.intp)
        self.twin_of = table.twin
        self.kin = []
        for product in np.unique(table.product[rows]):
            of_type = rows[table.product[rows] == product]
            damaged = of_type[table.damaged[of_type] & (table.origin[of_type] != DRAWN)]
            intact = of_type[~table.damaged[of_type]]
            if len(damaged) and len(intact):
                self.kin.append((damaged, intact))

    def draw(self, settings: HeadSettings, rng: np.random.Generator) -> Rows:
        """Return `settings.pairs` damaged rows, then as many intact ones in the same order."""
        n_kin = round(settings.pairs * settings.kin_share) if self.kin and len(self.twins) else 0
        if self.kin and not len(self.twins):
            n_kin = settings.pairs
        damaged = rng.choice(self.twins, settings.pairs - n_kin) if n_kin < settings.pairs else np.zeros(0, np.intp)
        intact = self.twin_of[damaged]
        for _ in range(n_kin):
            harmed, whole = self.kin[int(rng.integers(len(self.kin)))]
            damaged = np.append(damaged, rng.choice(harmed))
            intact = np.append(intact, rng.choice(whole))
        return np.concatenate([damaged, intact])


def _inputs(table: ExampleTable, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    fine = torch.from_numpy(table.fine[rows].astype(np.float32))
    coarse = torch.from_numpy(table.coarse[rows].astype(np.float32))
    return fine, coarse, torch.from_numpy(table.content[rows])


def _loss(head: DamageHead, table: ExampleTable, rows: Rows, settings: HeadSettings) -> torch.Tensor:
    content = torch.from_numpy(table.content[rows])
    photo_logits, cell_logits = head(*_inputs(table, rows))
    half = len(rows) // 2
    wanted = torch.from_numpy(table.damaged[rows].astype(np.float32)) * 0.96 + 0.02
    ranked = nnf.softplus(photo_logits[half:] - photo_logits[:half]).mean()
    loss = ranked + settings.level_weight * nnf.binary_cross_entropy_with_logits(photo_logits, wanted)
    known = torch.from_numpy(table.marks_known[rows])
    if known.any():
        marks = torch.from_numpy(table.marks[rows])[known].float()
        seen = (content[known] > 0.5).float()
        each = nnf.binary_cross_entropy_with_logits(cell_logits[known], marks, reduction="none") * seen
        inside = (each * marks).sum() / (marks * seen).sum().clamp(min=1)
        outside = (each * (1 - marks)).sum() / ((1 - marks) * seen).sum().clamp(min=1)
        loss = loss + settings.cell_weight * 0.5 * (inside + outside)
    return loss


def predict_scores(
    head: DamageHead, table: ExampleTable, rows: Rows, *, settings: HeadSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the narrow and the wide score of some rows, each (n_rows,), as the classifier computes them."""
    narrow, wide = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), 64):
            batch = rows[start : start + 64]
            _, cells = head(*_inputs(table, batch))
            for logits, content in zip(cells.numpy(), table.content[batch], strict=True):
                seen = content >= min(0.5, float(content.max()))
                narrow.append(mean_hottest(logits, seen, settings.top_cells))
                wide.append(mean_hottest(logits, seen, settings.wide_cells))
    return np.array(narrow), np.array(wide)


def export_head(head: DamageHead) -> dict[str, NDArray[np.float32]]:
    """Return the head as the arrays that `DamageClassifier` reads."""
    state = {name: value.detach().numpy().astype(np.float32) for name, value in head.state_dict().items()}
    arrays = {
        "bias": state["fine.bias"],
        "around.weight": state["around.weight"][:, 0],
        "around.bias": state["around.bias"],
        "mix.weight": state["mix.weight"][:, :, 0, 0],
        "mix.bias": state["mix.bias"],
        "out.weight": state["out.weight"][0, :, 0, 0],
        "out.bias": state["out.bias"],
    }
    parts = {
        LEVELS[0]: ("fine", slice(0, _FINE_SPLIT)),
        LEVELS[1]: ("fine", slice(_FINE_SPLIT, None)),
        LEVELS[2]: ("coarse", slice(None)),
    }
    for level, (name, channels) in parts.items():
        arrays[f"{level}.mean"] = state[f"{name}_mean"][channels]
        arrays[f"{level}.std"] = state[f"{name}_std"][channels]
        arrays[f"{level}.weight"] = state[f"{name}.weight"][:, channels]
        arrays[f"{level}.usual"] = state[f"{name}_usual.weight"][:, channels]
    return arrays
