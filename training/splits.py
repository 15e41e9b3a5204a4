"""Which outcomes teach, which calibrate and which judge, so that none of the judged is known from another side.

A case is linked to another by buyer, seller, order or a photo that looks the same (PDQ hash). What is linked to a
judged case is set aside from teaching, and counted by what links it. Knows nothing of models.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.domain import Case
from models.errors import ImageError
from models.images import open_photo
from training.snapshot import DecidedCase

Link = Literal["buyer", "seller", "order", "photo"]
LINKS: tuple[Link, ...] = ("order", "buyer", "seller", "photo")
SAME_PHOTO_BITS = 31
_HASH_SIDE = 512


@dataclass(frozen=True)
class Splits:
    """Places in the list of decided cases, each at most in one part.

    teach, calibrate : for fitting; frozen, newest : for judging, gold only
    set_aside : linked to a judged case (or to a calibrating one), with what links it
    """

    teach: tuple[int, ...]
    calibrate: tuple[int, ...]
    frozen: tuple[int, ...]
    newest: tuple[int, ...]
    set_aside: dict[int, frozenset[Link]]

    @property
    def judged(self) -> tuple[int, ...]:
        return (*self.frozen, *self.newest)

    def counts(self) -> dict[str, int]:
        """Return the size of each part, and how many were set aside for each link (a case may have several)."""
        by_link = Counter(link for links in self.set_aside.values() for link in links)
        return {
            "teach": len(self.teach),
            "calibrate": len(self.calibrate),
            "frozen": len(self.frozen),
            "newest": len(self.newest),
            "set_aside": len(self.set_aside),
            **{f"set_aside.{link}": by_link[link] for link in LINKS},
        }


def split(
    decided: Sequence[DecidedCase],
    *,
    frozen_keys: frozenset[str],
    newest_share: float = 0.2,
    calibrate_share: float = 0.4,
    photo_hashes: Sequence[NDArray[np.uint8]] | None = None,
) -> Splits:
    """Return the parts.

    frozen_keys : cases kept for judging once and for all, by `DecidedCase.key`
    newest_share : of the other gold cases, the newest such share judges too
    calibrate_share : of the gold cases left to teach, the newest such share calibrates
    photo_hashes : shape (n_photos, 32) a case; computed where not given
    """
    hashes = photo_hashes if photo_hashes is not None else [photo_hashes_of(one) for one in decided]
    links = [_identities(one.file.case) for one in decided]
    frozen = [place for place, one in enumerate(decided) if one.key in frozen_keys and one.is_gold]
    gold = _by_time(decided, (p for p, one in enumerate(decided) if one.is_gold and p not in set(frozen)))
    newest = gold[len(gold) - round(newest_share * len(gold)) :]
    judged = {*frozen, *newest}
    rest = [place for place in range(len(decided)) if place not in judged]
    set_aside = _linked(rest, sorted(judged), links, hashes)
    left = [place for place in rest if place not in set_aside]
    left_gold = _by_time(decided, (place for place in left if decided[place].is_gold))
    calibrate = left_gold[len(left_gold) - round(calibrate_share * len(left_gold)) :]
    teaching = [place for place in left if place not in set(calibrate)]
    near = _linked(teaching, calibrate, links, hashes)
    return Splits(
        teach=tuple(place for place in teaching if place not in near),
        calibrate=tuple(sorted(calibrate)),
        frozen=tuple(frozen),
        newest=tuple(sorted(newest)),
        set_aside={**set_aside, **near},
    )


def photo_hashes_of(one: DecidedCase) -> NDArray[np.uint8]:
    """Return the PDQ hash of each readable photo, packed, shape (n_photos, 32)."""
    import pdqhash

    rows = []
    for data in one.file.photos.values():
        try:
            image = open_photo(data, needed_side=_HASH_SIDE).image
        except ImageError:
            continue
        bits, _quality = pdqhash.compute(np.asarray(image.convert("RGB")))
        rows.append(np.packbits(np.asarray(bits, np.uint8)))
    return np.array(rows, np.uint8).reshape(-1, 32)


def _by_time(decided: Sequence[DecidedCase], places: Iterable[int]) -> list[int]:
    return sorted(places, key=lambda place: (decided[place].moment, decided[place].key))


def _identities(case: Case) -> dict[Link, str]:
    order = case.order
    named: dict[Link, str] = {"order": order.order_id, "buyer": order.buyer_id, "seller": order.seller_id}
    return {link: f"{case.platform}/{name}" for link, name in named.items() if name}


def _linked(
    places: Sequence[int],
    judged: Sequence[int],
    links: Sequence[dict[Link, str]],
    hashes: Sequence[NDArray[np.uint8]],
) -> dict[int, frozenset[Link]]:
    known = {(link, name) for place in judged for link, name in links[place].items()}
    seen = np.concatenate([hashes[place] for place in judged]) if judged else np.zeros((0, 32), np.uint8)
    found = {}
    for place in places:
        shared: set[Link] = {link for link, name in links[place].items() if (link, name) in known}
        if _looks_like_any(hashes[place], seen):
            shared.add("photo")
        if shared:
            found[place] = frozenset(shared)
    return found


def _looks_like_any(photos: NDArray[np.uint8], seen: NDArray[np.uint8]) -> bool:
    return any(
        bool((np.bitwise_count(np.bitwise_xor(photo, block)).sum(axis=1) <= SAME_PHOTO_BITS).any())
        for photo in photos
        for block in _blocks(seen)
    )


def _blocks(rows: NDArray[np.uint8], size: int = 50_000) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
