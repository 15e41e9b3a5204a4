"""Rows of the grocery table: read as they stand, and every bad line named."""

from pathlib import Path

import pytest

from models.errors import CaseFormatError
from training.listing_data import ListingPhoto, read_listing_photos

HEADER = "photo,listing,product,family,packaged,split\n"


def write_table(root: Path, rows: str) -> Path:
    (root / "grocery").mkdir()
    (root / "grocery" / "photos.csv").write_text(HEADER + rows, encoding="utf-8")
    return root


def test_a_row_becomes_a_record(tmp_path: Path) -> None:
    root = write_table(tmp_path, "received/a.jpg,listing/a.jpg,Anjou,Pear,0,train\n")

    assert read_listing_photos(root) == [
        ListingPhoto(
            path=root / "grocery/received/a.jpg",
            listing=root / "grocery/listing/a.jpg",
            product="Anjou",
            family="Pear",
            packaged=False,
            split="train",
        )
    ]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    root = write_table(tmp_path, "a,b,c,d,maybe,train\na,b,c,e,1,holdout\na,b,c,f,1,dev\n")

    with pytest.raises(CaseFormatError, match=r"line 2.*maybe.*; line 3.*holdout"):
        read_listing_photos(root)


def test_a_family_in_two_splits_is_refused(tmp_path: Path) -> None:
    root = write_table(tmp_path, "a,b,Anjou,Pear,0,train\na,b,Conference,Pear,0,test\n")

    with pytest.raises(CaseFormatError, match="family Pear lies in two splits"):
        read_listing_photos(root)
