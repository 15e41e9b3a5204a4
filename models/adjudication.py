"""Adjudication: what the rules are to be expected to order while the findings are uncertain.

The rules (`models.burden.adjudicate`) are asked once for each way in which the answers to their own questions can fall;
the tree of questions that grows out of it is shared by all cases that differ in nothing the rules look at. Knows
nothing of how findings are read or of what arbitrators make of them.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.burden import Order, adjudicate
from models.domain import Case
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings, Proposition
from models.recent import Recent
from models.rule_pack import RulePack
from models.vocabulary import Claim

_N_DRAWS = 256
CERTAIN = 0.01
_COLUMN: dict[Proposition, int] = {name: place for place, name in enumerate(PROPOSITIONS)}
_NOWHERE = 0


class Adjudication:
    """The orders of one case under one rule pack."""

    def __init__(self, case: Case, pack: RulePack) -> None:
        self.case = case
        self.pack = pack
        self._tree = _shared_tree(case, pack)

    def expected_orders(self, findings: Sequence[Findings]) -> list[dict[Order, float]]:
        """Return the probability of each order over each of the uncertain findings, by 256 fixed quasi-random draws.

        Findings under 1 % or over 99 % count as settled. Probabilities sum to 1.
        """
        uniforms = draws()
        stated = np.array([[one.stated[name].probability for name in PROPOSITIONS] for one in findings])
        stated = np.where(stated < CERTAIN, 0.0, np.where(stated > 1 - CERTAIN, 1.0, stated))
        agreed = np.array([[one.agreed[remedy].probability for remedy in AGREED_REMEDIES] for one in findings])
        truths = uniforms[None, :, :-1] < stated[:, None, :]
        remedies = np.stack([edges.searchsorted(uniforms[:, -1], side="right") for edges in agreed.cumsum(axis=1)])
        ordered = self._tree.places(truths.reshape(-1, len(PROPOSITIONS)), remedies.ravel())
        orders = self._tree.orders
        counts = (Counter(row) for row in ordered.reshape(-1, _N_DRAWS).tolist())
        return [{orders[place]: n / _N_DRAWS for place, n in row.items()} for row in counts]


def expected_orders(case: Case, pack: RulePack, findings: Findings) -> dict[Order, float]:
    """Return the probability of each order over the uncertain findings of one case."""
    return Adjudication(case, pack).expected_orders([findings])[0]


@lru_cache(maxsize=1)
def draws() -> NDArray[np.float64]:
    """Fixed uniforms in (0, 1), shape (n_draws, n_propositions + 1): the same for every case, so nothing is random."""
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(len(PROPOSITIONS) + 1, seed=20250815).random(_N_DRAWS))


class _Answers(Mapping[Proposition, bool]):
    """Answers to the rules' questions. asked : the columns asked for, each once, in order"""

    def __init__(self, truths: Sequence[bool]) -> None:
        self.truths = truths
        self.asked: dict[int, None] = {}

    def __getitem__(self, name: Proposition) -> bool:
        self.asked[_COLUMN[name]] = None
        return self.truths[_COLUMN[name]]

    def __iter__(self) -> Iterator[Proposition]:
        return iter(PROPOSITIONS)

    def __len__(self) -> int:
        return len(PROPOSITIONS)


class _Tree:
    """The rules' questions about one kind of case, as far as they were ever asked; safe to share between threads.

    An inner node asks whether a proposition holds. A leaf leads to itself and gives a place in `orders`. Node 0 is
    where nobody has been, and leads to itself too.
    """

    def __init__(self, case: Case, pack: RulePack) -> None:
        self.case = case
        self.pack = pack
        self.orders: list[Order] = []
        self._roots = [_NOWHERE] * (len(AGREED_REMEDIES) + 1)
        self._gives = [_NOWHERE]
        self._next = [[_NOWHERE, _NOWHERE]]
        self._leaves: set[int] = set()
        self._depth = 0
        self._growing = threading.Lock()
        self._table = self._as_arrays()

    def places(self, truths: NDArray[np.bool_], remedies: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the place in `orders` of what is ordered on each row, shape (n_rows,).

        truths : shape (n_rows, n_propositions)
        remedies : shape (n_rows,), place of the one agreed in AGREED_REMEDIES, past its end where there is none
        """
        found = self._walk(truths, remedies)
        lost = np.flatnonzero(found == _NOWHERE)
        if lost.size:
            with self._growing:
                for row in lost:
                    self._grow(truths[row].tolist(), int(remedies[row]))
                self._table = self._as_arrays()
            found[lost] = self._walk(truths[lost], remedies[lost])
        return self._table[1][found]

    def _as_arrays(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], int]:
        return np.array(self._roots), np.array(self._gives), np.array(self._next), self._depth

    def _walk(self, truths: NDArray[np.bool_], remedies: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the leaf of each row, or node 0."""
        roots, asks, onward, depth = self._table
        answers, starts = truths.ravel().view(np.int8), np.arange(len(truths)) * truths.shape[1]
        found = roots[remedies]
        for _ in range(depth):
            found = onward[found, answers[starts + asks[found]]]
        return found

    def _grow(self, truths: list[bool], remedy: int) -> None:
        """Ask the rules about a row that leads nowhere yet, and keep the way they went."""
        node = self._roots[remedy]
        while node != _NOWHERE and node not in self._leaves:
            node = self._next[node][truths[self._gives[node]]]
        if node != _NOWHERE:
            return
        answers = _Answers(truths)
        agreed = AGREED_REMEDIES[remedy] if remedy < len(AGREED_REMEDIES) else None
        order = adjudicate(self.case, self.pack, answers, agreed=agreed)
        branches, turn = self._roots, remedy
        for column in answers.asked:
            if branches[turn] == _NOWHERE:
                branches[turn] = self._add(column, [_NOWHERE, _NOWHERE])
            branches, turn = self._next[branches[turn]], int(truths[column])
        if order not in self.orders:
            self.orders.append(order)
        leaf = len(self._next)
        branches[turn] = self._add(self.orders.index(order), [leaf, leaf])
        self._leaves.add(leaf)
        self._depth = max(self._depth, len(answers.asked))

    def _add(self, gives: int, onward: list[int]) -> int:
        self._gives.append(gives)
        self._next.append(onward)
        return len(self._next) - 1


_TREES: Recent[tuple[int, Claim, str, str], _Tree] = Recent(capacity=512)


def _shared_tree(case: Case, pack: RulePack) -> _Tree:
    """Return the tree of all cases of this claim, request and state of goods: the rules read nothing else of a case.

    A pack is known by its identity; its tree holds it, so that no other can take its place in memory.
    """
    key = (id(pack), case.claim, str(case.requested), str(case.order.goods_state))
    known = _TREES.find(key)
    if known is not None:
        return known[0]
    tree = _Tree(case, pack)
    _TREES.keep(key, tree)
    return tree
