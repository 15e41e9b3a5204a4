"""Where training reads and writes, and with which seed.

Made once by the command line; nothing else knows of folders.
"""

from dataclasses import dataclass
from pathlib import Path

DATASETS_DIR = Path(__file__).parent.parent / "datasets"
SEED = 20250815


@dataclass(frozen=True)
class TrainingConfig:
    """data_dir : the photos and texts to train on; weights_dir : where the fitted model goes."""

    data_dir: Path
    weights_dir: Path
    cache_dir: Path
    datasets_dir: Path = DATASETS_DIR
    seed: int = SEED
