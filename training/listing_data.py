"""Photos for the listing matcher: the rows of `grocery/photos.csv` read into frozen records.

Knows nothing of encoders or classifiers.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from models.errors import CaseFormatError

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class ListingPhoto:
    """One received photo beside the listing photo of what it shows.

    path, listing : the files
    product : the goods; siblings are other products of the same family
    family : kind of goods; a family lies in one split only
    packaged : whether the goods come in printed packaging
    split : "train", "dev" or "test"
    """

    path: Path
    listing: Path
    product: str
    family: str
    packaged: bool
    split: str


def read_listing_photos(data_dir: Path) -> list[ListingPhoto]:
    """Return the rows of `data_dir/grocery/photos.csv`, in file order.

    Raises CaseFormatError, which lists every bad line, and FileNotFoundError where there is no such table.
    """
    table = data_dir / "grocery" / "photos.csv"
    photos: list[ListingPhoto] = []
    problems: list[tuple[str, str]] = []
    splits: dict[str, str] = {}
    with table.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                photo = ListingPhoto(
                    path=table.parent / row["photo"],
                    listing=table.parent / row["listing"],
                    product=row["product"],
                    family=row["family"],
                    packaged={"1": True, "0": False}[row["packaged"]],
                    split=row["split"],
                )
            except KeyError as error:
                problems.append((f"line {number}", f"KeyError: {error}"))
                continue
            if photo.split not in SPLITS:
                problems.append((f"line {number}", f"unknown split {photo.split!r}"))
            elif splits.setdefault(photo.family, photo.split) != photo.split:
                problems.append((f"line {number}", f"family {photo.family} lies in two splits"))
            else:
                photos.append(photo)
    if problems:
        raise CaseFormatError(problems, source=str(table))
    return photos
