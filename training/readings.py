"""What people's corrections change in the reading of evidence: chat statements, damage in photos, listing mismatch.

Each part is judged by itself and stays as it is where the change doesn't help. Knows the parts; how each learns is
known in its own module.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.case_file import CaseFile
from models.chat import ChatClassifier
from models.domain import parse_case
from models.scorer import EvidenceScorer
from models.suggester import Suggester
from models.vocabulary import PhotoRole
from training.case_photos import with_photos
from training.chat_corpus import LabelledConversation, read_cases, read_written
from training.corrections import Learned
from training.fine_tune import worse_for_readers
from training.fit_chat import FittedChat
from training.refit_damage import refit_damage
from training.refit_listing import KnownPair, refit_listing
from training.refit_statements import StatementRefit, refit_statements
from training.snapshot import DecidedCase
from training.written_cases import read_written_cases

Progress = Callable[[str], None]
Tune = Callable[[ChatClassifier], tuple[FittedChat, int]]
"""Fits a chat classifier anew; the number is that of the messages it learned from."""
TUNED = "encoder"


@dataclass(frozen=True)
class Readings:
    """What reads the evidence from now on, and what of it is new.

    parts : by part (chat, damage, listing), what was learned and what was left; savers : how a part is written
    """

    suggester: Suggester
    parts: dict[str, Learned]
    savers: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the parts that learned something."""
        return tuple(part for part, found in self.parts.items() if found.learned)

    def save(self, folder: Path) -> None:
        """Write the changed parts into a model folder, over the old ones."""
        for part in self.changed:
            self.savers[part](folder / part)


@dataclass(frozen=True)
class ReadersLabels:
    """What readers labelled without any machine, to judge by: whole chats, and pairs of photos.

    unlearned : chats that no classifier was fitted on
    """

    chats: Sequence[LabelledConversation] = ()
    pairs: Sequence[KnownPair] = ()
    unlearned: Sequence[LabelledConversation] = ()


def refit_readings(
    champion: Suggester,
    teaching: Sequence[DecidedCase],
    *,
    readers: Callable[[], ReadersLabels],
    seed: int,
    progress: Progress,
    tune: Tune | None = None,
) -> Readings:
    """Return the champion's reading with every part that people's corrections improve in its place.

    readers : asked for only where there is something to judge
    tune : fits the chat classifier anew, encoder and all, in place of moving its heads
    """
    scorer = champion.scorer
    if not isinstance(scorer, EvidenceScorer) or not (tune or any(one.corrections for one in teaching)):
        return Readings(champion, {})
    progress("learning from what people corrected in chats and photos ...")
    known = readers()
    chat, save_chat = (
        _tuned(scorer.chat, tune, known, seed=seed)
        if tune
        else _moved(refit_statements(scorer.chat, teaching, reference=known.chats, seed=seed))
    )
    damage = refit_damage(scorer.damage, teaching, encoder=scorer.image_encoder, seed=seed)
    listing = refit_listing(scorer.listing, teaching, encoder=scorer.image_encoder, reference=known.pairs, seed=seed)
    parts: dict[str, Learned] = {"chat": chat, "damage": damage, "listing": listing}
    for part, found in parts.items():
        for name, n_labels in found.learned.items():
            progress(f"{part}: learned {name} from {n_labels} labels")
        for name, why in found.left.items():
            progress(f"{part}: left {name} as it was, {why}")
    savers = {"chat": save_chat, "damage": damage.classifier.save, "listing": listing.matcher.save}
    readings = Readings(copy.copy(champion), parts, savers)
    if readings.changed:
        readings.suggester.scorer = EvidenceScorer(
            chat=chat.classifier,
            damage=damage.classifier,
            listing=listing.matcher,
            image_encoder=scorer.image_encoder,
            threads=scorer.threads,
        )
    return readings


def _moved(refit: StatementRefit) -> tuple[StatementRefit, Callable[[Path], None]]:
    return refit, refit.classifier.save


def _tuned(
    old: ChatClassifier, tune: Tune, readers: ReadersLabels, *, seed: int
) -> tuple[StatementRefit, Callable[[Path], None]]:
    """Return the tuned classifier, or the old one where readers' labels speak against it."""
    fitted, n_messages = tune(old)
    why = worse_for_readers(old, fitted.classifier, readers.unlearned, seed=seed)
    if why is None:
        return StatementRefit({TUNED: n_messages}, {}, fitted.classifier), fitted.save
    return StatementRefit({}, {TUNED: why}, old), old.save


def sample_labels(datasets_dir: Path) -> ReadersLabels:
    """Return what readers labelled in the repository's samples and written cases.

    The samples were never learned from. The present chat heads learned from the written cases, which judge a change the
    more strictly for it.
    """
    samples = datasets_dir / "samples"
    pairs = [
        KnownPair(file, listing.photo_id, truth.photo_id, truth.matches_listing)
        for written, file in zip(read_written_cases(samples), sample_files(samples), strict=True)
        for listing in file.case.photos
        if listing.role == PhotoRole.LISTING
        for truth in written.photos.values()
        if truth.matches_listing is not None
    ]
    unlearned = read_cases(samples)
    return ReadersLabels([*unlearned, *read_written(datasets_dir / "written")], pairs, unlearned)


def sample_files(samples: Path) -> list[CaseFile]:
    """Return the sample cases with their photos."""
    lines = (samples / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [with_photos(parse_case(line, source="cases.jsonl"), samples) for line in lines if line.strip()]
