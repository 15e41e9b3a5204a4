"""Builders of valid cases, evidence and photos for tests: pass only what the test is about."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from PIL import Image

from models.domain import Case
from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto, Statement
from models.vocabulary import LABELS_OF_SPEAKER, Speaker, StatementLabel

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def hours(count: float) -> datetime:
    """Return the moment `count` hours after the start of every built case."""
    return START + timedelta(hours=count)


def build_case(**changes: Any) -> Case:
    """Return a valid damage case; keyword arguments replace its keys, `order` is merged."""
    order = {
        "order_id": "o-1",
        "buyer_id": "b-1",
        "seller_id": "s-1",
        "paid_minor": 5900,
        "currency": "CNY",
        "goods_state": "received",
        "paid_at": START,
    }
    content: dict[str, Any] = {
        "case_id": "TB-1",
        "platform": "taobao",
        "opened_at": hours(200),
        "claim": "damaged",
        "requested": "refund",
        "listing": {"title": "马克杯"},
        **changes,
        "order": {**order, **changes.get("order", {})},
    }
    return Case.model_validate(content)


def signed(by: str | None, *, at: float = 48, note: str | None = None) -> dict[str, Any]:
    return {"at": hours(at), "event": "signed", "by": by, "note": note}


def happened(event: str, by: str | None = None, *, at: float = 60, note: str | None = None) -> dict[str, Any]:
    return {"at": hours(at), "event": event, "by": by, "note": note}


def said(
    speaker: str, labels: dict[StatementLabel, float] | None = None, *, place: int, ref: str | None = None
) -> Statement:
    """Return a scored message; labels not given have probability 0.01."""
    possible = LABELS_OF_SPEAKER[Speaker(speaker)]
    return Statement(
        ref or f"m{place + 1}", Speaker(speaker), place, {**dict.fromkeys(possible, 0.01), **(labels or {})}, {}
    )


def build_evidence(
    case: Case | None = None,
    *statements: Statement,
    photos: tuple[ScoredPhoto, ...] = (),
    match: ListingMatch | None = None,
) -> CaseEvidence:
    return CaseEvidence(case or build_case(), tuple(statements), photos, match)


def photo_bytes(*, size: tuple[int, int] = (64, 48), seed: int = 0, kind: str = "JPEG") -> bytes:
    """Return a small photo of smooth noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
