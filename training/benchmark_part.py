"""What each section of the benchmark begins with: the shipped suggester and `evaluate` on one part of the data."""

from models.registry import load_suggester
from models.suggester import Suggester
from training.benchmark_section import BenchmarkConfig
from training.evaluate import Evaluation, evaluate
from training.side_by_side import Progress


def evaluate_part(config: BenchmarkConfig, part: str, progress: Progress) -> tuple[Suggester, Evaluation]:
    """Return the suggester and its figures on a part: one of `training.evaluate.PARTS`."""
    suggester = load_suggester(config.weights_dir, cache_dir=config.cache_dir)
    found = evaluate(
        suggester,
        data_dir=config.data_dir,
        datasets_dir=config.datasets_dir,
        weights_dir=config.weights_dir,
        cache_dir=config.cache_dir,
        ruled_on=config.ruled_on,
        parts=(part,),
        progress=progress,
    )
    return suggester, found
