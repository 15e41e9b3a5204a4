"""The manifest of the data folder: each file with its sha256, rows, origin and licence.

Knows nothing of what the files are used for.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

_ORIGIN = {
    "chat": ("written for this project, model-assisted", "Apache-2.0"),
    "written": ("written for this project, model-assisted", "Apache-2.0"),
    "heldout": ("written for this project, model-assisted", "Apache-2.0"),
    "reviews": ("labels of this project; public texts are not included", "Apache-2.0"),
    "simulation": ("written for this project", "Apache-2.0"),
    "samples": ("written and rendered for this project", "Apache-2.0"),
    "privacy": ("written for this project, model-assisted; every person, number and address is made up", "Apache-2.0"),
    "schema": ("generated from models/domain.py", "Apache-2.0"),
}


def build_manifest(datasets_dir: Path) -> dict[str, Any]:
    """Return the manifest content of every file in the listed folders, by relative path."""
    entries: dict[str, Any] = {}
    for folder, (origin, licence) in _ORIGIN.items():
        for path in sorted((datasets_dir / folder).rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                entry: dict[str, Any] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "origin": origin,
                    "licence": licence,
                }
                if path.suffix == ".jsonl":
                    entry["rows"] = sum(1 for line in data.split(b"\n") if line.strip())
                entries[str(path.relative_to(datasets_dir))] = entry
    return entries


def write_manifest(datasets_dir: Path) -> None:
    text = json.dumps(build_manifest(datasets_dir), indent=1, ensure_ascii=False, sort_keys=True)
    (datasets_dir / "manifest.json").write_text(text + "\n", encoding="utf-8")
