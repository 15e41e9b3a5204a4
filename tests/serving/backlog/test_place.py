"""Files at a place: drivers differ in what they return and raise; who reads sees one kind of file."""

import io
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from serving.backlog.place import WatchedFile, open_at
from tests.serving.backlog.backlogs import case_content, write_parquet


class SilentFile(io.BytesIO):
    """A file whose `seek` returns nothing, as over SFTP."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> Any:
        super().seek(offset, whence)


class LostFile(io.BytesIO):
    """A file whose place goes away before `seek`."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        raise EOFError("the server hung up")


class Place:
    def __init__(self, file: io.BytesIO) -> None:
        self.file = file

    def open(self, path: str, mode: str) -> io.BytesIO:
        return self.file


def test_parquet_is_read_from_a_place_whose_files_do_not_say_where_they_stand_after_seek(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [case_content(0), case_content(1)])
    place = Place(SilentFile((tmp_path / "a.parquet").read_bytes()))
    with open_at(place, "a.parquet") as file, parquet.ParquetFile(WatchedFile(file)) as table:
        assert table.read(columns=["case_id"]).to_pydict() == {"case_id": ["TB-0", "TB-1"]}


def test_a_place_that_goes_away_at_seek_is_told_from_damaged_bytes() -> None:
    with open_at(Place(LostFile(b"PAR1")), "a.parquet") as opened:
        file = WatchedFile(opened)
        with pytest.raises(OSError, match="EOFError: the server hung up"):
            file.seek(0, io.SEEK_END)
        assert "the server hung up" in str(file.error)
