"""Fingerprints of photos: known again after cropping, mirroring, turning, rescaling and recompression.

A fingerprint is a bag of words, each made of some bits of an ORB descriptor (Rublee et al., ICCV 2011); an index counts
the words that two photos share, and `same_photo` then lays one photo over the other and compares the pixels. Two photos
of the same thing, taken one after the other by a camera that doesn't move, count as the same photo. Knows nothing of
storage or of who filed what. Scores are reused by exact content only, never by likeness.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FINGERPRINT_SIDE = 384
_ASKED_SIDES = (256, 384, 576)
N_TABLES, _BITS = 3, 16
_N_FEATURES = 200
# A strip this narrow holds no corner whole; OpenCV fails on its smaller copies.
_MIN_SIDE = 40
_MIN_VOTES = 4
_MAX_CANDIDATES = 4
_COMMON_WORD = 60
_MAX_SEGMENTS = 8
_MIN_INLIERS = 8
_MAX_BIT_DISTANCE = 64
MIN_OVERLAP = 0.5
MIN_CORRELATION = 0.97
_SCALES = (0.2, 5.0)

Words = NDArray[np.uint16]
Grey = NDArray[np.uint8]

_CHOSEN_BITS = tuple(np.random.default_rng(7).choice(256, _BITS, replace=False) for _ in range(N_TABLES))
_WEIGHTS = (1 << np.arange(_BITS)).astype(np.uint32)


@dataclass(frozen=True)
class Features:
    """What a photo looks like at its corners.

    grey : shape (height, width), the longer one the side asked for; points : shape (n, 2), pixels x, y
    descriptors : shape (n, 32), bits packed
    """

    grey: Grey
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    @property
    def words(self) -> Words:
        """Shape (N_TABLES, n)."""
        bits = np.unpackbits(self.descriptors, axis=1)
        return np.stack([(bits[:, chosen] * _WEIGHTS).sum(axis=1) for chosen in _CHOSEN_BITS]).astype(np.uint16)


@dataclass(frozen=True)
class SamePhoto:
    """How one photo lies over another.

    overlap : share of the smaller one that both show, in [0, 1]; correlation : of their grey values there
    mirrored : whether one is the other's mirror image
    """

    overlap: float
    correlation: float
    mirrored: bool


def features(image: Image.Image, *, mirrored: bool = False, side: int = FINGERPRINT_SIDE) -> Features:
    """Return the features of an upright photo, or of its mirror image, at `side` pixels of its longer side."""
    scale = side / max(image.size)
    small = image.convert("L").resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
    grey = np.ascontiguousarray(ImageOps.mirror(small) if mirrored else small, dtype=np.uint8)
    if min(grey.shape) < _MIN_SIDE:
        return Features(grey, np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    found, descriptors = cv2.ORB.create(nfeatures=_N_FEATURES, fastThreshold=5, edgeThreshold=15).detectAndCompute(
        grey, None
    )
    if descriptors is None:
        return Features(grey, np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    return Features(grey, np.array([point.pt for point in found], np.float32), np.asarray(descriptors, np.uint8))


def asked_views(image: Image.Image) -> Iterator[tuple[Features, bool]]:
    """Yield what to look a photo up by, and whether it is mirrored: three sizes, for a crop is a part made larger."""
    for mirrored in (False, True):
        for side in _ASKED_SIDES:
            yield features(image, mirrored=mirrored, side=side), mirrored


def to_bytes(words: Words) -> bytes:
    return words.astype("<u2").tobytes()


def from_bytes(data: bytes) -> Words:
    """Raises ValueError on bytes that are no fingerprint."""
    return np.frombuffer(data, "<u2").reshape(N_TABLES, -1).astype(np.uint16)


@dataclass
class _Segment:
    """words, owners : by table, sorted by word"""

    words: list[Words]
    owners: list[NDArray[np.int64]]


@dataclass
class PhotoIndex:
    """Fingerprints of many photos in memory, about 2.4 kB each."""

    keys: list[str] = field(default_factory=list)
    _segments: list[_Segment] = field(default_factory=list)

    def add(self, prints: Iterable[tuple[str, Words]]) -> None:
        """Add photos by key; a key given twice stands twice."""
        added = list(prints)
        if not added:
            return
        first = len(self.keys)
        self.keys += [key for key, _ in added]
        segment = _Segment(
            [np.concatenate([words[table] for _, words in added]) for table in range(N_TABLES)],
            [
                np.concatenate(
                    [np.full(words.shape[1], first + place, np.int64) for place, (_, words) in enumerate(added)]
                )
                for _ in range(N_TABLES)
            ],
        )
        self._segments.append(_in_order([segment]))
        if len(self._segments) > _MAX_SEGMENTS:
            self._segments = [_in_order(self._segments)]

    def candidates(self, words: Words) -> list[str]:
        """Return the keys that share most words with a photo, at most four, likeliest first."""
        votes = np.zeros(len(self.keys), np.int32)
        for segment in self._segments:
            for table in range(N_TABLES):
                asked = np.unique(words[table])
                starts = np.searchsorted(segment.words[table], asked, "left")
                ends = np.searchsorted(segment.words[table], asked, "right")
                for start, end in zip(starts, ends, strict=True):
                    if 0 < end - start <= max(_COMMON_WORD, len(self.keys) // 100):
                        votes[np.unique(segment.owners[table][start:end])] += 1
        best = np.argsort(-votes, kind="stable")[:_MAX_CANDIDATES]
        return [self.keys[place] for place in best if votes[place] >= _MIN_VOTES]


def _in_order(segments: list[_Segment]) -> _Segment:
    words, owners = [], []
    for table in range(N_TABLES):
        together = np.concatenate([segment.words[table] for segment in segments])
        order = np.argsort(together, kind="stable")
        words.append(together[order])
        owners.append(np.concatenate([segment.owners[table] for segment in segments])[order])
    return _Segment(words, owners)


def same_photo(asked: Features, known: Features, *, mirrored: bool = False) -> SamePhoto | None:
    """Return how `asked` lies over `known`, None where they are not one photo.

    mirrored : carried into the answer; the caller has mirrored `asked`
    """
    if min(len(asked.points), len(known.points)) < _MIN_INLIERS:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(asked.descriptors, known.descriptors)
    near = [match for match in matches if match.distance < _MAX_BIT_DISTANCE]
    if len(near) < _MIN_INLIERS:
        return None
    there = known.points[[match.trainIdx for match in near]]
    here = asked.points[[match.queryIdx for match in near]]
    cv2.setRNGSeed(0)
    placed, fitting = cv2.estimateAffinePartial2D(there, here, method=cv2.RANSAC, ransacReprojThreshold=4)
    if placed is None or int(fitting.sum()) < _MIN_INLIERS:
        return None
    scale = float(np.hypot(placed[0, 0], placed[0, 1]))
    if not _SCALES[0] < scale < _SCALES[1]:
        return None
    overlap, correlation = _laid_over(asked.grey, known.grey, placed, scale=scale)
    if overlap < MIN_OVERLAP or correlation < MIN_CORRELATION:
        return None
    return SamePhoto(min(overlap, 1.0), correlation, mirrored)


def _laid_over(asked: Grey, known: Grey, placed: NDArray[np.float64], *, scale: float) -> tuple[float, float]:
    height, width = asked.shape
    moved = cv2.warpAffine(known, placed, (width, height))
    shared = cv2.warpAffine(np.full(known.shape, 255, np.uint8), placed, (width, height)) > 250
    overlap = float(shared.sum() / min(asked.size, known.size * scale * scale))
    if overlap < MIN_OVERLAP:
        return overlap, 0.0
    left = cv2.GaussianBlur(asked, (5, 5), 0)[shared].astype(np.float64)
    right = cv2.GaussianBlur(moved, (5, 5), 0)[shared].astype(np.float64)
    if left.std() < 1 or right.std() < 1:
        return overlap, 0.0
    return overlap, float(np.corrcoef(left, right)[0, 1])
