"""The model card: what was learned from what, how right it is, what it can't do.

Written from an evaluation's figures, never by hand. Knows no model.
"""

from pathlib import Path

from training.evaluate import Evaluation
from training.metrics import Figure

CARD = Path(__file__).parent.parent / "docs" / "model-card.md"

_TEMPLATE = Path(__file__).with_name("model_card.template.md")


def write_model_card(evaluation: Evaluation, *, version: str, path: Path = CARD) -> None:
    """Write the card from measured figures."""
    rows = [_row(name, figure) for name, figure in evaluation.named()]
    table = "\n".join(["| figure | value | 95 % interval | n | photos |", "|---|---|---|---|---|", *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    card = _TEMPLATE.read_text(encoding="utf-8").replace("{version}", version).replace("{figures}", table)
    path.write_text(card, encoding="utf-8")


def _row(name: str, figure: Figure) -> str:
    interval = f"{figure.low:.3f} to {figure.high:.3f}"
    return f"| {name} | {figure.value:.3f} | {interval} | {figure.n} | {figure.photos or ''} |"
