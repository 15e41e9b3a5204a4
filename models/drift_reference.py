"""The drift reference of a model: written and pinned with it when it is made from outcomes, read where it is at work.

A model made from simulated cases has none. Knows nothing of how a reference comes about.
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from models.drift import Reference
from models.errors import WeightsError
from models.registry import verified_manifest

REFERENCE = "reference.json"


def write_reference(reference: Reference, folder: Path) -> None:
    """Write what the training cases looked like into a model folder, whose manifest is to be written after."""
    (folder / REFERENCE).write_text(reference.model_dump_json(), encoding="utf-8")


def read_reference(folder: Path) -> Reference | None:
    """Return the reference in a model folder, None where it has none. Raises WeightsError on an altered folder."""
    if REFERENCE not in verified_manifest(folder).files:
        return None
    try:
        return Reference.model_validate_json((folder / REFERENCE).read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"{folder / REFERENCE} can't be read: {error}") from error


def reference_of_model(model_version: str, folders: Iterable[Path]) -> Reference | None:
    """Return the reference of a model that lies in one of these folders; None where it isn't there or has none."""
    for folder in folders:
        try:
            if verified_manifest(folder).model_version == model_version:
                return read_reference(folder)
        except WeightsError:
            continue
    return None
