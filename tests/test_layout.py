"""The house stands as drawn: folders, directions of import, no code among the data."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "training", "serving", "bench")


def _tracked(pattern: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_datasets_holds_data_and_never_python() -> None:
    assert _tracked("datasets/*.py") == []
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_tests_have_no_package_files_that_could_shadow_the_code() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_every_module_opens_with_what_it_is() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert path.read_text(encoding="utf-8").startswith('"""'), f"{path} has no module docstring"


def test_no_file_outgrows_400_lines() -> None:
    for package in (*PACKAGES, "tests"):
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, f"{path} wants a second noun"


def test_tracked_files_stay_small() -> None:
    for name in _tracked("*"):
        path = ROOT / name
        if path.exists():
            assert path.stat().st_size <= 5_000_000, f"{name} is over 5 MB"


def test_shipped_weights_stay_under_twelve_megabytes() -> None:
    weights = [path for path in (ROOT / "models" / "weights").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in weights) <= 12_000_000


def test_importing_models_loads_no_heavy_library() -> None:
    code = "import sys, models.domain, models.burden; print([m for m in ('torch', 'onnxruntime') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_nothing_unpickles() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                assert "import pickle" not in line, path
                assert "joblib.load" not in line, path
                assert "torch.load(" not in line or "weights_only=True" in line, path
