"""The trainable form of the listing matcher: two towers, a search for the goods, and colours.

`train_head` learns by telling each received photo's own listing from all others, and each listing's photos
from the other photos of the batch. `models.listing` computes the same likenesses without torch.
Knows nothing of files or calibration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, normalize

from models.goods_view import GoodsView, coarsen
from models.listing import ATTENTION_SCALE, FLOOR, Array

Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class HeadSettings:
    """How the head is trained; chosen on families left out of training, see docs/experiments-listing.md.

    n_codes, n_colour_codes : sizes of the learned codes
    epochs, batch_size, learning_rate : of the training, photos a batch
    temperature : of the softmax over listings
    hidden_channels, hidden_cells : shares of channels and cells hidden at random in training, in [0, 1)
    stand_ins : share of listings replaced by a received photo of the same goods, in [0, 1]
    """

    n_codes: int = 64
    n_colour_codes: int = 24
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 2e-3
    temperature: float = 0.07
    hidden_channels: float = 0.3
    hidden_cells: float = 0.5
    stand_ins: float = 0.35


@dataclass(frozen=True)
class ViewTable:
    """Views of photos, stacked.

    cells : float16 (n, 196, n_channels); weight : float32 (n, 196); colours : float16 (n, 196, n_bins)
    """

    cells: NDArray[np.float16]
    weight: Array
    colours: NDArray[np.float16]

    def rows(self, places: NDArray[np.intp]) -> Tensors:
        """Return the views at `places` as float32 tensors."""
        return (
            torch.from_numpy(self.cells[places].astype(np.float32)),
            torch.from_numpy(self.weight[places]),
            torch.from_numpy(self.colours[places].astype(np.float32)),
        )


def stack_views(views: Sequence[GoodsView]) -> ViewTable:
    """Return views as one table."""
    return ViewTable(
        cells=np.stack([view.cells for view in views]).astype(np.float16),
        weight=np.stack([view.weight for view in views]).astype(np.float32),
        colours=np.stack([view.colours for view in views]).astype(np.float16),
    )


@dataclass(frozen=True)
class Goods:
    """Which photos show which goods.

    listing : (n_goods,), row of each goods' listing photo in the table
    received : (n_photos,), rows of received photos; goods : (n_photos,), what each shows, in [0, n_goods)
    """

    listing: NDArray[np.intp]
    received: NDArray[np.intp]
    goods: NDArray[np.intp]


class MatchHead(torch.nn.Module):
    """Likeness of received photos and listings, both given as cells, weights and colours."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, *, mean: Array, std: Array, listing_shift: Array, n_bins: int, settings: HeadSettings) -> None:
        super().__init__()
        n_channels = len(mean)
        self.settings = settings
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("std", torch.from_numpy(std))
        start = torch.randn(n_channels, settings.n_codes) / math.sqrt(n_channels)
        self.shift = torch.nn.Parameter(torch.from_numpy(listing_shift))
        self.received_axes = torch.nn.Parameter(start.clone())
        self.listing_axes = torch.nn.Parameter(start.clone())
        self.received_notice = torch.nn.Parameter(torch.zeros(n_channels))
        self.listing_notice = torch.nn.Parameter(torch.zeros(n_channels))
        self.colour_axes = torch.nn.Parameter(
            torch.randn(n_bins, settings.n_colour_codes) / math.sqrt(settings.n_colour_codes)
        )
        self.sharpness = torch.nn.Parameter(torch.tensor(math.log(8.0)))
        self.mixing = torch.nn.Parameter(torch.zeros(3))

    def scale(self, cells: torch.Tensor) -> torch.Tensor:
        """Return cells in units of their spread, clipped, of length about one."""
        return ((cells - self.mean) / self.std).clamp(-6, 6) / math.sqrt(cells.shape[-1])

    def _hide(self, cells: torch.Tensor) -> torch.Tensor:
        share = self.settings.hidden_channels
        if not self.training or not share:
            return cells
        return cells * (torch.rand(cells.shape[0], 1, cells.shape[2]) >= share) / (1 - share)

    def forward(self, listing: Tensors, received: Tensors) -> torch.Tensor:
        """Return likenesses, shape (3, n_received, n_listings)."""
        cells, weight, colours = listing
        cells = self._hide(self.scale(cells) - self.shift)
        notice = torch.softmax(cells @ self.listing_notice * ATTENTION_SCALE + torch.log(weight + FLOOR), 1)
        shown = normalize((notice[..., None] * (cells @ self.listing_axes)).sum(1), dim=1)
        shown_colour = self._colour_code((notice[..., None] * colours).sum(1))

        cells, weight, colours = received
        cells = self._hide(self.scale(cells))
        logits = cells @ self.received_notice * ATTENTION_SCALE + torch.log(weight + FLOOR)
        codes = cells @ self.received_axes
        whole = normalize((torch.softmax(logits, 1)[..., None] * codes).sum(1), dim=1) @ shown.T
        near = torch.einsum("rtd,ld->rlt", normalize(codes, dim=2), shown)
        look = torch.softmax(near * self.sharpness.exp() + logits[:, None], 2)
        found = (normalize(torch.einsum("rlt,rtd->rld", look, codes), dim=2) * shown[None]).sum(2)
        colour = (self._colour_code(torch.einsum("rlt,rtk->rlk", look, colours)) * shown_colour[None]).sum(2)
        return torch.stack([whole, found, colour])

    def _colour_code(self, histogram: torch.Tensor) -> torch.Tensor:
        return normalize(torch.sqrt(histogram + 1e-6) @ self.colour_axes, dim=-1)


def train_head(table: ViewTable, goods: Goods, *, settings: HeadSettings, seed: int) -> MatchHead:
    """Return a head trained on the photos of `goods`."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = _new_head(table, goods, settings)
    listing = listing_tensors(table, goods.listing)
    n_batches = max(1, len(goods.received) // settings.batch_size)
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * n_batches + 1
    )
    for _ in range(settings.epochs):
        for places in np.array_split(rng.permutation(len(goods.received)), n_batches):
            received = _hide_cells(table.rows(goods.received[places]), settings.hidden_cells, rng)
            likeness = head(_with_stand_ins(table, goods, listing, settings.stand_ins, rng), received)
            loss = _loss(head, likeness, goods.goods[places], settings.temperature)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return head.eval()


def listing_tensors(table: ViewTable, places: NDArray[np.intp]) -> Tensors:
    """Return listing views at `places`, their cells averaged two by two as `models.listing` does."""
    parts = [
        coarsen(
            GoodsView(
                table.cells[place].astype(np.float32),
                table.weight[place],
                table.colours[place].astype(np.float32),
            )
        )
        for place in places
    ]
    return (
        torch.from_numpy(np.stack([part.cells for part in parts])),
        torch.from_numpy(np.stack([part.weight for part in parts])),
        torch.from_numpy(np.stack([part.colours for part in parts])),
    )


def predict_likenesses(
    head: MatchHead, table: ViewTable, *, listing: NDArray[np.intp], received: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return likenesses of every received photo with every listing, shape (n_received, n_listings, 3)."""
    shown = listing_tensors(table, listing)
    n_parts = max(1, math.ceil(len(received) / 64))
    with torch.no_grad():
        parts = [head(shown, table.rows(places)).numpy() for places in np.array_split(received, n_parts)]
    return np.concatenate(parts, axis=1).transpose(1, 2, 0).astype(np.float64)


def export_head(head: MatchHead) -> dict[str, Array]:
    """Return the head's arrays under the names that `models.listing` reads."""
    arrays = {name: values.detach().numpy() for name, values in head.named_parameters() if name != "mixing"}
    arrays |= {name: values.numpy() for name, values in head.named_buffers()}
    return {name: np.ascontiguousarray(np.atleast_1d(values), np.float32) for name, values in arrays.items()}


def _new_head(table: ViewTable, goods: Goods, settings: HeadSettings) -> MatchHead:
    sample = goods.received[::4]
    cells, weight = table.cells[sample].astype(np.float32), table.weight[sample][..., None]
    mean = (cells * weight).sum((0, 1)) / weight.sum()
    std = np.sqrt((np.square(cells - mean) * weight).sum((0, 1)) / weight.sum()) + 1e-3
    shown, shown_weight, _ = listing_tensors(table, goods.listing)
    scaled = ((shown.numpy() - mean) / std).clip(-6, 6) / math.sqrt(len(mean))
    spread = shown_weight.numpy()[..., None]
    shift = (scaled * spread).sum((0, 1)) / spread.sum()
    return MatchHead(
        mean=mean.astype(np.float32),
        std=std.astype(np.float32),
        listing_shift=shift.astype(np.float32),
        n_bins=table.colours.shape[2],
        settings=settings,
    )


def _hide_cells(received: Tensors, share: float, rng: np.random.Generator) -> Tensors:
    """Keep the same random cells of every photo: cheaper, and the goods are never fully in view."""
    if not share:
        return received
    n_cells = received[0].shape[1]
    kept = torch.from_numpy(rng.choice(n_cells, max(1, round(n_cells * (1 - share))), replace=False))
    cells, weight, colours = (part.index_select(1, kept) for part in received)
    return cells, weight, colours


def _with_stand_ins(
    table: ViewTable, goods: Goods, listing: Tensors, share: float, rng: np.random.Generator
) -> Tensors:
    """Show some goods by a received photo, not the listing's: shops don't all use a white backdrop."""
    chosen = np.flatnonzero(rng.random(len(goods.listing)) < share)
    if not len(chosen):
        return listing
    other = [goods.received[rng.choice(np.flatnonzero(goods.goods == place))] for place in chosen]
    replaced = listing_tensors(table, np.array(other, np.intp))
    parts = [part.clone() for part in listing]
    for part, values in zip(parts, replaced, strict=True):
        part[chosen] = values
    return parts[0], parts[1], parts[2]


def _loss(head: MatchHead, likeness: torch.Tensor, goods: NDArray[np.intp], temperature: float) -> torch.Tensor:
    """Mixed likeness and each kind alone, so that none leans on the others."""
    mixed = (head.mixing.exp()[:, None, None] * likeness).mean(0)
    alone = [_tell_apart(kind / (1.5 * temperature), goods) for kind in likeness]
    return _tell_apart(mixed / temperature, goods) + 0.5 * torch.stack(alone).mean()


def _tell_apart(logits: torch.Tensor, goods: NDArray[np.intp]) -> torch.Tensor:
    """Cross-entropy of a photo's own listing among listings, and half that of its photos among photos."""
    target = torch.from_numpy(goods)
    own = torch.zeros_like(logits).scatter_(1, target[:, None], 1.0)
    present = own.any(0)
    among_photos = -(torch.log_softmax(logits, 0) * own).sum(0)[present] / own.sum(0)[present]
    return cross_entropy(logits, target) + 0.5 * among_photos.mean()
