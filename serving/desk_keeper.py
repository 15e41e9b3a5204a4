"""The desk's clockwork: sends notices after their undo window and reopens cases whose deadline passed.

Any number of processes may run one. Knows nothing of HTTP.
"""

from serving.loop import Loop
from serving.store import Store


class DeskKeeper(Loop):
    """pause_s : pause between two looks at the clock, seconds"""

    def __init__(self, store: Store, *, pause_s: float) -> None:
        super().__init__(name="desk-keeper", pause_s=pause_s)
        self.store = store

    def work_once(self) -> bool:
        self.store.desk.keep_up()
        return False
