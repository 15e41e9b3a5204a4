"""The sheet of worst mistakes: photos and texts on which the models were surest and wrong.

Shows photos and texts of the data folder, so it goes to a folder that is never committed. Knows no model.
"""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.images import open_photo
from models.ruling import RULINGS
from models.vocabulary import LABELS_OF_SPEAKER
from training.chat_corpus import LabelledConversation
from training.evaluate import Scored
from training.evaluate_chat import ScoredMessages
from training.evaluate_rulings import RuledCases

_THUMBNAIL_SIDE = 220
_MOST = 24
_STYLE = (
    "body{font:14px sans-serif;margin:2em;max-width:70em}"
    "figure{display:inline-block;vertical-align:top;margin:0 1em 1em 0;width:230px}"
    "td{vertical-align:top;padding:.3em .8em .3em 0;border-top:1px solid #ccc}img{max-width:220px}"
)


def write_photo_mistakes(scored: Scored, folder: Path, *, most: int = _MOST) -> None:
    """Write damage.html and listing.html, each with the `most` worst mistakes; a part that was not scored has none."""
    if scored.photos is not None:
        photos = scored.photos
        wrong = np.where(photos.y_true, 1 - photos.y_prob, photos.y_prob)
        figures = [
            _figure(
                [Path(photos.photo[row])],
                f"{photos.product[row]}: {'damaged' if photos.y_true[row] else 'intact'}, "
                f"damage probability {photos.y_prob[row]:.2f}",
            )
            for row in np.argsort(-wrong, kind="stable")[:most]
        ]
        _write(folder / "damage.html", "Damage: worst mistakes on test photos", figures)
    if scored.pairs is not None:
        pairs = scored.pairs
        wrong = np.where(pairs.y_true, 1 - pairs.y_prob, pairs.y_prob)
        figures = [
            _figure(
                [Path(pairs.listing[row]), Path(pairs.photo[row])],
                f"{pairs.kind[row]}: shows {pairs.product[row]}, mismatch probability {pairs.y_prob[row]:.2f}",
            )
            for row in np.argsort(-wrong, kind="stable")[:most]
        ]
        _write(folder / "listing.html", "Listing match: worst mistakes on test pairs", figures)


def write_text_mistakes(
    name: str, scored: ScoredMessages, conversations: Sequence[LabelledConversation], folder: Path, *, most: int = 60
) -> None:
    """Write `name`.html with the messages whose labels were missed or made up most surely.

    conversations : those that were scored, in the same order
    """
    texts = scored_texts(scored, conversations)
    wrong = np.where(scored.y_true, 1 - scored.y_prob, scored.y_prob)
    rows = []
    for place in np.argsort(-wrong, axis=None, kind="stable")[:most]:
        row, column = np.unravel_index(int(place), wrong.shape)
        truth = "missed" if scored.y_true[row, column] else "made up"
        rows.append((f"{truth}: {scored.labels[column]}", f"{scored.y_prob[row, column]:.2f}", texts[row]))
    _write(folder / f"{name}.html", f"Statements: worst mistakes on {name}", [_table(rows)])


def scored_texts(scored: ScoredMessages, conversations: Sequence[LabelledConversation]) -> list[str]:
    """Return the text of each scored row. Raises ValueError where the conversations are not those scored."""
    by_group = {conversation.conversation_id: iter(_bearing(conversation)) for conversation in conversations}
    try:
        return [next(by_group[str(group)]) for group in scored.groups]
    except (KeyError, StopIteration) as error:
        raise ValueError("these conversations are not those that were scored") from error


def write_ruling_mistakes(ruled: RuledCases, folder: Path) -> None:
    """Write rulings.html: every case whose likeliest ruling was wrong in any draw, worst first."""
    right = ruled.correct.mean(axis=0)
    rows = []
    for place in np.argsort(right, kind="stable"):
        if right[place] == 1.0:
            break
        truth = ruled.cases[place]
        given = RULINGS[int(ruled.y_prob[:, place].mean(axis=0).argmax())]
        outcome = truth.outcome
        rows.append(
            (
                f"{truth.case.case_id} ({truth.case.claim}, {outcome.difficulty})",
                f"{given} for {outcome.ruling}; right in {right[place]:.0%} of draws",
                f"{outcome.why or ''} | buyer: {truth.case.buyer_statement} | seller: {truth.case.seller_statement}",
            )
        )
    _write(folder / "rulings.html", "Rulings: mistakes on whole cases", [_table(rows)])


def _bearing(conversation: LabelledConversation) -> list[str]:
    return [utterance.text for utterance in conversation.utterances if LABELS_OF_SPEAKER[utterance.speaker]]


def _figure(paths: Sequence[Path], caption: str) -> str:
    images = "".join(_image(path) for path in paths)
    names = ", ".join(path.name for path in paths)
    return f"<figure>{images}<figcaption>{html.escape(caption)}<br>{html.escape(names)}</figcaption></figure>"


def _image(path: Path) -> str:
    picture = open_photo(path.read_bytes(), needed_side=_THUMBNAIL_SIDE).image.convert("RGB")
    picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _write(path: Path, title: str, blocks: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>{''.join(blocks)}</html>\n"
    )
    path.write_text(page, encoding="utf-8")
