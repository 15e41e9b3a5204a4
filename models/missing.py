"""Missing evidence: which absent item would most change the ruling, from whom, and a ready request for it.

What may be asked for is data (requests.yaml). Knows how to ask the ruling again, not how it is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from models.domain import Case, Frozen, MissingEvidence, Photo, RequestText
from models.evidence import Finding
from models.findings import Findings, Proposition
from models.vocabulary import Claim, DocumentKind, Party, PhotoRole

REQUESTS_FILE = Path(__file__).with_name("requests.yaml")
_MIN_GAIN = 0.02
_AT_MOST = 4
PHOTO_FILE = "photo_file:"
_DAMAGED = ("文件已损坏，无法打开", "can't be opened: its file is damaged")
_NEVER_CAME = ("没有收到，或超过大小限制", "did not arrive or is larger than is taken")


class _Present(Frozen):
    photos: tuple[PhotoRole, ...] = ()
    documents: tuple[DocumentKind, ...] = ()


class EvidenceRequest(Frozen):
    """An item that may be asked for, and the proposition it would settle.

    telling : probability of the proposition once the item is filed and speaks for it
    """

    party: Party
    settles: Proposition
    telling: float = Field(gt=0, lt=1)
    claims: tuple[Claim, ...] = Field(min_length=1)
    present: _Present
    zh: str
    en: str


@cache
def shipped_requests() -> dict[str, EvidenceRequest]:
    """Return the requests by name, from requests.yaml."""
    content = yaml.safe_load(REQUESTS_FILE.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, EvidenceRequest]).validate_python(content)


def missing_evidence(
    case: Case,
    findings: Findings,
    probabilities: NDArray[np.float64],
    *,
    rule: Callable[[Sequence[Findings]], NDArray[np.float64]],
    absent_photos: frozenset[str],
    unreadable_photos: frozenset[str] = frozenset(),
) -> tuple[MissingEvidence, ...]:
    """Return what would settle the case, most decisive first.

    rule : ruling probabilities under other findings, shape (n_others, n_rulings)
    absent_photos, unreadable_photos : ids of photos listed in the case whose bytes didn't arrive, and whose bytes can't
        be read; they count as not filed and are always among what is missing
    The gain is the total-variation distance between the ruling probabilities now and with the item filed and telling.
    """
    lacking = absent_photos | unreadable_photos
    found = [
        _lacking_photo(photo, arrived=photo.photo_id in unreadable_photos)
        for photo in case.photos
        if photo.photo_id in lacking
    ]
    askable = {
        name: request
        for name, request in shipped_requests().items()
        if case.claim in request.claims and not _is_filed(case, request, lacking)
    }
    reruns = rule([_with_answer(findings, name, request) for name, request in askable.items()])
    for (name, request), rerun in zip(askable.items(), reruns, strict=True):
        gain = float(np.abs(rerun - probabilities).sum() / 2)
        if gain >= _MIN_GAIN:
            text = RequestText(zh=request.zh, en=request.en)
            found.append(MissingEvidence(party=request.party, what=name, gain=min(1.0, gain), request_text=text))
    ranked = sorted(found, key=lambda item: (-item.gain, item.what))
    return tuple(item for place, item in enumerate(ranked) if place < _AT_MOST or item.what.startswith(PHOTO_FILE))


def _with_answer(findings: Findings, name: str, request: EvidenceRequest) -> Findings:
    """Return the findings as they would be with the item filed and telling."""
    telling = Finding(max(request.telling, findings.stated[request.settles].probability), (f"request.{name}",))
    return replace(findings, stated={**findings.stated, request.settles: telling})


def _lacking_photo(photo: Photo, *, arrived: bool) -> MissingEvidence:
    zh, en = _DAMAGED if arrived else _NEVER_CAME
    text = RequestText(
        zh=f"照片 {photo.photo_id} {zh}，请重新上传。", en=f"Photo {photo.photo_id} {en}; please upload it again."
    )
    return MissingEvidence(
        party=Party(photo.filed_by), what=f"{PHOTO_FILE}{photo.photo_id}", gain=0.0, request_text=text
    )


def _is_filed(case: Case, request: EvidenceRequest, lacking: frozenset[str]) -> bool:
    photos = (p for p in case.photos if p.filed_by == request.party and p.photo_id not in lacking)
    documents = (d for d in case.documents if d.filed_by == request.party)
    return any(photo.role in request.present.photos for photo in photos) or any(
        document.kind in request.present.documents for document in documents
    )
