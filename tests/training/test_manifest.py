"""The data card's manifest is true."""

import json
from pathlib import Path

from training.manifest import build_manifest

DATASETS = Path(__file__).parents[2] / "datasets"


def test_every_data_file_is_listed_with_its_digest_rows_origin_and_licence() -> None:
    listed = json.loads((DATASETS / "manifest.json").read_text(encoding="utf-8"))
    assert listed == build_manifest(DATASETS)
