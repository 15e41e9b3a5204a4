"""A worker or a service in a process of its own whose model takes its time: `python -m tests.serving.slow_service`.

Arguments: worker or serve, how long a case takes, how long stopping waits for it, the port; settings by environment.
"""

import sys
import time
from collections.abc import Sequence

from models.case_file import CaseFile
from models.domain import Suggestion
from serving.app import create_app
from serving.house import build_house
from serving.loop import Loop, run_until_told
from serving.settings import Settings
from tests.suggesters import build_suggester


class SlowSuggester:
    model_version = "ruling/test"

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s

    def suggest(self, files: Sequence[CaseFile]) -> list[Suggestion]:
        time.sleep(self.takes_s)
        return build_suggester().suggest(files)


def main(what: str, takes_s: str, stop_s: str, port: str) -> None:
    Loop.stop_s = float(stop_s)
    settings = Settings()
    house = build_house(settings, SlowSuggester(float(takes_s)))
    if what == "worker":
        run_until_told([house.worker()])
    else:
        import uvicorn

        uvicorn.run(create_app(settings, house=house), port=int(port), log_config=None, timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main(*sys.argv[1:])
