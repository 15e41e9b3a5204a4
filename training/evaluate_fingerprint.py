"""How well a photo is known again after somebody changed it, and how often two photos are wrongly taken for one.

Every photo of the data folder stands in the index; photos of the test rows are changed and looked up. A false match is
an untouched photo, looked up without itself, that is said to be another one. Baseline: PDQ hashes of the whole photo in
its eight turns, at most 31 of 256 bits apart. Knows nothing of cases.
"""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from models.fingerprint import Features, PhotoIndex, asked_views, features, same_photo
from models.images import open_photo
from training.shares import Share

Change = Callable[[Image.Image, random.Random], Image.Image]
_PDQ_DISTANCE = 31
# Its photos come in series from a camera that stands still: they are the same photo to any such test.
_SERIES = "tile_surface"


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(image: Image.Image, rng: random.Random, *, share: float, sideways: bool = False) -> Image.Image:
    """Return the photo without `share` of its width and, unless sideways, of its height."""
    width = int(image.width * (1 - share))
    height = image.height if sideways else int(image.height * (1 - share))
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


CHANGES: dict[str, Change] = {
    "JPEG at quality 30": lambda image, rng: recompressed(image, 30),
    "half the size": lambda image, rng: image.resize((image.width // 2, image.height // 2)),
    "mirrored": lambda image, rng: ImageOps.mirror(image),
    "turned by 90 degrees": lambda image, rng: image.rotate(90, expand=True),
    "brighter by 30 %": lambda image, rng: ImageEnhance.Brightness(image).enhance(1.3),
    "white border": lambda image, rng: ImageOps.expand(image, 20, "white"),
    "5 % cropped": lambda image, rng: cropped(image, rng, share=0.05),
    "25 % cropped": lambda image, rng: cropped(image, rng, share=0.25),
    "40 % cropped": lambda image, rng: cropped(image, rng, share=0.4),
    "30 % of the width cropped": lambda image, rng: cropped(image, rng, share=0.3, sideways=True),
    "mirrored, 20 % cropped, JPEG 50": lambda image, rng: recompressed(
        cropped(ImageOps.mirror(image), rng, share=0.2), 50
    ),
}


@dataclass
class FingerprintFigures:
    """recall, pdq_recall : by change; false_matches, pdq_false_matches : of untouched photos looked up"""

    n_indexed: int
    recall: dict[str, Share] = field(default_factory=dict)
    pdq_recall: dict[str, Share] = field(default_factory=dict)
    false_matches: Share = field(default_factory=lambda: Share(0, 0))
    pdq_false_matches: Share = field(default_factory=lambda: Share(0, 0))


def measure_fingerprints(
    data_dir: Path, *, n_asked: int, seed: int = 0, progress: Callable[[str], None] = lambda text: None
) -> FingerprintFigures:
    """Return the figures on photos of `data_dir` (grocery and damage), series from a fixed camera left out."""
    paths, test = _photos(data_dir)
    progress(f"fingerprinting {len(paths)} photos ...")
    index, known, pdq = PhotoIndex(), {}, np.zeros((len(paths), 32), np.uint8)
    for place, path in enumerate(paths):
        image = open_photo(path.read_bytes()).image
        known[str(path)] = features(image)
        pdq[place] = _pdq(image)[0]
    index.add((key, found.words) for key, found in known.items())
    rng = random.Random(seed)
    asked = rng.sample(test, min(n_asked, len(test)))
    figures = FingerprintFigures(len(paths))
    places = {str(path): place for place, path in enumerate(paths)}
    for name, change in CHANGES.items():
        progress(name)
        hits = pdq_hits = 0
        for path in asked:
            changed = change(open_photo(path.read_bytes()).image, rng)
            hits += str(path) in look_up(changed, index, known)
            pdq_hits += places[str(path)] in _pdq_matches(changed, pdq)
        figures.recall[name] = Share(hits, len(asked))
        figures.pdq_recall[name] = Share(pdq_hits, len(asked))
    progress("false matches")
    wrong = pdq_wrong = 0
    for path in test:
        image = open_photo(path.read_bytes()).image
        wrong += bool(look_up(image, index, known) - {str(path)})
        pdq_wrong += bool(_pdq_matches(image, pdq) - {places[str(path)]})
    figures.false_matches, figures.pdq_false_matches = Share(wrong, len(test)), Share(pdq_wrong, len(test))
    return figures


def look_up(image: Image.Image, index: PhotoIndex, known: dict[str, Features]) -> set[str]:
    """Return the keys of all indexed photos that are said to be this one."""
    found = set()
    for asked, _ in asked_views(image):
        found |= {key for key in index.candidates(asked.words) if same_photo(asked, known[key]) is not None}
    return found


def fingerprint_table(figures: FingerprintFigures) -> str:
    """Return the figures as a Markdown table."""
    rows = ["| change | known again | PDQ, whole photo |", "|---|---|---|"]
    rows += [f"| {name} | {share} | {figures.pdq_recall[name].value:.3f} |" for name, share in figures.recall.items()]
    rows.append(f"| none: wrongly another photo | {figures.false_matches} | {figures.pdq_false_matches.value:.4f} |")
    return "\n".join(rows)


def _pdq(image: Image.Image) -> NDArray[np.uint8]:
    """Shape (8, 32): the hash of the photo in its eight turns, the photo itself first."""
    hashes, _ = pdqhash.compute_dihedral(np.asarray(image))
    return np.packbits(np.asarray(hashes, np.uint8), axis=1)


def _pdq_matches(image: Image.Image, known: NDArray[np.uint8]) -> set[int]:
    near: set[int] = set()
    for turned in _pdq(image):
        distances = np.bitwise_count(known ^ turned).sum(axis=1)
        near |= {int(place) for place in np.flatnonzero(distances <= _PDQ_DISTANCE)}
    return near


def _photos(data_dir: Path) -> tuple[list[Path], list[Path]]:
    every, test = [], []
    for folder in ("grocery", "damage"):
        with (data_dir / folder / "photos.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                path = data_dir / folder / row["photo"]
                if row["product"] != _SERIES and path.exists():
                    every.append(path)
                    test += [path] if row["split"] == "test" else []
    return every, test
