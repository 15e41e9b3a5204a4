"""EvidenceScorer: the classifiers put to work on a case's chat and photos.

Anything that turns case files into `CaseEvidence` may stand in its place, which is how an evaluation draws the scores
of photos whose files are absent. Each photo is decoded and encoded once, however often the same bytes occur, and lately
seen photos and conversations are remembered: a shop's listing photo comes with every case about it, and a case on the
desk is scored again when evidence is added.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.case_file import CaseFile
from models.chat import ChatClassifier, StatementScore, Utterance
from models.domain import Case, Photo
from models.encoders import PHOTO_SIDE, ImageEncoder, PhotoFeatures
from models.errors import ImageError
from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto, Statement
from models.images import open_photo
from models.listing import ListingMatcher
from models.photo import DamageClassifier, DamageScore
from models.recent import Recent
from models.vocabulary import Claim, PhotoRole, Speaker

OWN_ACCOUNTS = {"buyer_statement": Speaker.BUYER, "seller_statement": Speaker.SELLER}
# Features of a photo take about 2 MB, a scored conversation some 10 kB.
_PHOTOS_REMEMBERED = 32
_CONVERSATIONS_REMEMBERED = 1_024
_NOT_GOODS = (PhotoRole.WAYBILL, PhotoRole.SCREENSHOT)


class Scorer(Protocol):
    """What `Suggester` needs of a scorer."""

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]: ...


@dataclass(frozen=True)
class _SeenPhoto:
    features: PhotoFeatures
    damage: DamageScore


_Looks = dict[str, Future[_SeenPhoto | None]]
"""What photos show, by digest: looked at already, or going to be."""


def conversation(case: Case) -> list[Utterance]:
    """Return the chat as utterances."""
    return [
        Utterance(message.message_id, message.speaker, message.text, attachments=len(message.photo_ids))
        for message in case.chat
    ]


def own_accounts(case: Case) -> list[list[Utterance]]:
    """Return each side's own account as a conversation of one utterance; empty ones are left out."""
    return [
        [Utterance(name, speaker, getattr(case, name))]
        for name, speaker in OWN_ACCOUNTS.items()
        if getattr(case, name).strip()
    ]


def statements(case: Case, chat: Sequence[StatementScore], accounts: Sequence[StatementScore]) -> tuple[Statement, ...]:
    """Return the scored messages with their place in the chat; own accounts stand before it, at place -1."""
    placed = [(-1, score) for score in accounts] + list(enumerate(chat))
    return tuple(
        Statement(score.message_id, score.speaker, place, dict(score.probabilities), dict(score.spans))
        for place, score in placed
    )


class EvidenceScorer:
    """Scores chats and photos with the shipped classifiers.

    threads : photos decoded and encoded at a time; with more than one, while the chats are read
    """

    def __init__(
        self,
        *,
        chat: ChatClassifier,
        damage: DamageClassifier,
        listing: ListingMatcher,
        image_encoder: ImageEncoder,
        threads: int = 1,
    ) -> None:
        self.chat = chat
        self.damage = damage
        self.listing = listing
        self.image_encoder = image_encoder
        self.threads = threads
        self._photos: Recent[str, _SeenPhoto | None] = Recent(capacity=_PHOTOS_REMEMBERED)
        self._conversations: Recent[tuple[Claim, tuple[Utterance, ...]], list[StatementScore]] = Recent(
            capacity=_CONVERSATIONS_REMEMBERED
        )

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]:
        """Return the scored evidence of each case, in order."""
        with ThreadPoolExecutor(self.threads) as pool:
            looks: _Looks = {}
            if self.threads > 1:
                for file in files:
                    self._start_looking(file, pool, looks)
            spoken = self.score_chats([file.case for file in files])
            return [
                self._with_photos(file, said, looks if self.threads > 1 else self._start_looking(file, pool, {}))
                for file, said in zip(files, spoken, strict=True)
            ]

    def score_chats(self, cases: Sequence[Case]) -> list[tuple[Statement, ...]]:
        """Return the statements of each case: its chat and both sides' own accounts."""
        accounts = [own_accounts(case) for case in cases]
        said = [(case.claim, conversation(case)) for case in cases]
        own = [(case.claim, account) for case, of_case in zip(cases, accounts, strict=True) for account in of_case]
        scored = self._read([*said, *own])
        rest = iter(scored[len(cases) :])
        return [
            statements(case, chat, [next(rest)[0] for _ in of_case])
            for case, chat, of_case in zip(cases, scored[: len(cases)], accounts, strict=True)
        ]

    def _read(self, conversations: Sequence[tuple[Claim, Sequence[Utterance]]]) -> list[list[StatementScore]]:
        """Score what wasn't read lately, all together."""
        keys = [(claim, tuple(said)) for claim, said in conversations]
        read = {key: found[0] for key in set(keys) if (found := self._conversations.find(key)) is not None}
        new = [key for key in dict.fromkeys(keys) if key not in read]
        scored = self.chat.score([said for _, said in new], [claim for claim, _ in new])
        for key, scores in zip(new, scored, strict=True):
            read[key] = scores
            self._conversations.keep(key, scores)
        return [read[key] for key in keys]

    def _start_looking(self, file: CaseFile, pool: ThreadPoolExecutor, looks: _Looks) -> _Looks:
        """Add what the case's photos will have shown; those seen lately are there at once."""
        for photo in _at_hand(file):
            digest = file.digests[photo.photo_id]
            if digest not in looks:
                known = self._photos.find(digest)
                data = file.photos[photo.photo_id]
                looks[digest] = pool.submit(self._look_at, data) if known is None else _done(known[0])
        return looks

    def _with_photos(self, file: CaseFile, said: tuple[Statement, ...], looks: _Looks) -> CaseEvidence:
        seen, unreadable = {}, []
        for photo in _at_hand(file):
            digest = file.digests[photo.photo_id]
            found = looks[digest].result()
            self._photos.keep(digest, found)
            if found is None:
                unreadable.append(photo.photo_id)
            else:
                seen[photo.photo_id] = found
        photos = tuple(
            _scored_photo(photo, seen[photo.photo_id]) for photo in file.case.photos if photo.photo_id in seen
        )
        return CaseEvidence(file.case, said, photos, self._match(file.case, seen), tuple(unreadable))

    def _look_at(self, data: bytes) -> _SeenPhoto | None:
        try:
            upright = open_photo(data, needed_side=PHOTO_SIDE)
        except ImageError:
            return None
        features = self.image_encoder.encode(upright.image, scale=upright.scale)
        return _SeenPhoto(features, self.damage.score(features))

    def heat_map(self, data: bytes) -> NDArray[np.float32] | None:
        """Return where a photo looks damaged, in [0, 1], over the photo itself; None where it can't be read.

        Shape (rows, columns) of cells, at most 28 a side, in the proportions of the upright photo.
        """
        seen = self._look_at(data)
        if seen is None:
            return None
        width, height = open_photo(data, needed_side=PHOTO_SIDE).image.size
        heat = seen.damage.heat_map
        kept = [max(1, round(len(heat) * side / max(width, height))) for side in (height, width)]
        top, left = ((len(heat) - cells) // 2 for cells in kept)
        return heat[top : top + kept[0], left : left + kept[1]]

    def _match(self, case: Case, seen: dict[str, _SeenPhoto]) -> ListingMatch | None:
        shown = [photo for photo in case.photos if photo.role == PhotoRole.LISTING and photo.photo_id in seen]
        received = [photo for photo in case.photos if photo.role == PhotoRole.RECEIVED and photo.photo_id in seen]
        if not shown or not received:
            return None
        score = self.listing.score(
            [seen[photo.photo_id].features for photo in shown], [seen[photo.photo_id].features for photo in received]
        )
        first, second = score.pair
        return ListingMatch(shown[first].photo_id, received[second].photo_id, score.probability)


def _at_hand(file: CaseFile) -> list[Photo]:
    return [photo for photo in file.case.photos if photo.photo_id in file.photos]


def _done(seen: _SeenPhoto | None) -> Future[_SeenPhoto | None]:
    done: Future[_SeenPhoto | None] = Future()
    done.set_result(seen)
    return done


def _scored_photo(photo: Photo, seen: _SeenPhoto) -> ScoredPhoto:
    """Papers, waybills and screenshots show no goods: their damage is not scored."""
    if photo.role in _NOT_GOODS:
        return ScoredPhoto(photo.photo_id, photo.role, photo.filed_by, None)
    damage = seen.damage
    return ScoredPhoto(
        photo.photo_id, photo.role, photo.filed_by, damage.probability, damage.region, damage.out_of_distribution
    )
