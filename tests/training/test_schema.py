"""The published JSON Schemas are those of the code."""

import json
from pathlib import Path

import jsonschema
from typer.testing import CliRunner

from tests.builders import build_case
from training.cli import app

SCHEMA = Path(__file__).parents[2] / "datasets" / "schema"


def test_published_schemas_are_regenerated_from_the_code(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", "--out", str(tmp_path)])
    assert result.exit_code == 0
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    published = {path.name: path.read_text(encoding="utf-8") for path in SCHEMA.iterdir()}
    assert fresh == published


def test_a_valid_case_fits_the_published_schema() -> None:
    schema = json.loads((SCHEMA / "case.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(build_case().model_dump_json(exclude_none=True)), schema)
