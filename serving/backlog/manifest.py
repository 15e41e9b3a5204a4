"""What a run began with: written first, never altered, compared when the same command goes on.

Knows nothing of what was scored.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import AwareDatetime

from models.domain import Frozen

MANIFEST_NAME = "run.json"


class SourceRecord(Frozen):
    name: str
    sha256: str
    n_bytes: int


class RunManifest(Frozen):
    """now : the one time of ruling of every case; photos_dir : None means each file's own folder

    weight_range : of the workers' processors (`models.int8.weight_range`), None where an earlier version ran
    part_cases : rows of the backlog a part covers
    """

    format: Literal[1] = 1
    run_id: str
    now: AwareDatetime
    model_version: str
    weight_range: int | None = None
    photos_dir: str | None
    part_cases: int
    max_line_bytes: int
    sources: tuple[SourceRecord, ...]

    def input_changes(self, sources: Sequence[SourceRecord], *, photos_dir: str | None) -> list[str]:
        """Return what differs from the input of this run, in words; empty when nothing does."""
        before = {record.name: record for record in self.sources}
        present = {source.name: source for source in sources}
        changes = [f"{name} is gone" for name in before if name not in present]
        changes += [f"{name} is new" for name in present if name not in before]
        changes += [
            f"the content of {name} changed ({before[name].n_bytes} bytes then, {source.n_bytes} now)"
            for name, source in present.items()
            if name in before and before[name].sha256 != source.sha256
        ]
        if self.photos_dir != photos_dir:
            changes.append(f"--photos was {_folder(self.photos_dir)} and is {_folder(photos_dir)}")
        return changes

    def model_changes(self, model_version: str, *, weight_range: int | None) -> list[str]:
        if self.model_version != model_version:
            return [f"the model was {self.model_version} and is {model_version}"]
        if self.weight_range not in (None, weight_range):
            return ["the processor has 8-bit dot products and had none, or the other way: it would not answer alike"]
        return []


def _folder(photos_dir: str | None) -> str:
    return photos_dir or "each file's own folder"
