"""Runs in MLflow: what a retraining was given, what it measured, what it left behind, and how it ended.

A run that ends by an error is marked failed, and so is one whose process died, by the next run. Knows nothing of what
is trained.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from models.errors import RegistryError
from models.mlflow_server import asking, mlflow_client
from models.privacy import mask
from models.registry import ModelRegistry

EXPERIMENT = "dispute-evidence-review"
_FROZEN = "frozen.json"
_FROZEN_TAG = "frozen_holdout"
_REASON_TAG = "frozen_reason"
_SINCE_TAG = "frozen_since"
_LONGEST = 5_000


@dataclass(frozen=True)
class Run:
    """An open run. Every method raises RegistryError when the server doesn't answer any more."""

    uri: str
    client: Any
    run_id: str

    def note(self, params: Mapping[str, object]) -> None:
        with asking(self.uri):
            for name, value in params.items():
                self.client.log_param(self.run_id, name, str(value)[:_LONGEST])

    def measure(self, metrics: Mapping[str, float]) -> None:
        with asking(self.uri):
            for name, value in metrics.items():
                self.client.log_metric(self.run_id, name, float(value))

    def keep(self, folder: Path) -> None:
        """Keep every file of `folder` with the run."""
        with asking(self.uri):
            self.client.log_artifacts(self.run_id, str(folder))

    def freeze(self, keys: frozenset[str], *, scratch: Path, reason: str, since: date | None = None) -> None:
        """Keep these cases for judging, instead of those kept before. The arguments are as in `HoldOut`."""
        path = scratch / _FROZEN
        path.write_text(json.dumps(sorted(keys), indent=1), encoding="utf-8")
        tags = {_FROZEN_TAG: "true", _REASON_TAG: reason[:_LONGEST], _SINCE_TAG: since.isoformat() if since else ""}
        with asking(self.uri):
            self.client.log_artifact(self.run_id, str(path))
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)


@dataclass(frozen=True)
class HoldOut:
    """The cases kept for judging, by `DecidedCase.key`, and who drew them when and why.

    since : cases decided before this day follow another practice and are not used any more; None: all are
    """

    keys: frozenset[str]
    at: datetime
    by: str
    reason: str
    since: date | None


class Tracking:
    """uri : MLflow tracking address; artifact_dir : where a SQLite registry keeps files, a server knows its own"""

    def __init__(self, uri: str, *, artifact_dir: Path) -> None:
        self.uri = uri
        self.artifact_dir = artifact_dir
        self.registry = ModelRegistry(uri)

    @contextmanager
    def run(self, kind: str, *, by: str) -> Iterator[Run]:
        """Open a run; leaving by an exception marks it failed and says why. Raises RegistryError."""
        tags = {"kind": kind, "by": by, "host": socket.gethostname(), "pid": str(os.getpid())}
        with asking(self.uri):
            client = mlflow_client(self.uri)
            run_id = client.create_run(self._experiment(client), tags=tags, run_name=kind).info.run_id
        try:
            yield Run(self.uri, client, run_id)
        except BaseException as error:
            _end_failed(self.uri, run_id, f"{type(error).__name__}: {error}")
            raise
        with asking(self.uri):
            client.set_terminated(run_id, "FINISHED")

    def fail_abandoned(self) -> int:
        """Mark the runs of dead processes of this machine failed and return how many; call it holding the lock."""
        with asking(self.uri):
            client = mlflow_client(self.uri)
            runs = client.search_runs([self._experiment(client)], filter_string="attributes.status = 'RUNNING'")
        abandoned = [run for run in runs if run.data.tags.get("host") == socket.gethostname()]
        for run in abandoned:
            _end_failed(self.uri, run.info.run_id, "the process ended without a word")
        return len(abandoned)

    def hold_outs(self) -> list[HoldOut]:
        """Return every hold-out that was ever drawn, the newest, which is in force, last."""
        with asking(self.uri):
            client = mlflow_client(self.uri)
            found = client.search_runs(
                [self._experiment(client)], filter_string=f"tags.{_FROZEN_TAG} = 'true'", order_by=["start_time ASC"]
            )
            return [_hold_out(client, run) for run in found]

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        local = self.uri.startswith("sqlite:")
        place = self.artifact_dir.resolve().as_uri() if local else None
        return str(client.create_experiment(EXPERIMENT, artifact_location=place))


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Hold the lock of retraining on this machine. Raises RegistryError when another process has it."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise RegistryError(f"another retraining is running ({file.read().strip()}); try again later") from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def _hold_out(client: Any, run: Any) -> HoldOut:
    path = Path(client.download_artifacts(run.info.run_id, _FROZEN))
    tags = run.data.tags
    since = tags.get(_SINCE_TAG)
    return HoldOut(
        keys=frozenset(json.loads(path.read_text(encoding="utf-8"))),
        at=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        by=tags.get("by", ""),
        reason=tags.get(_REASON_TAG, ""),
        since=date.fromisoformat(since) if since else None,
    )


def _end_failed(uri: str, run_id: str, problem: str) -> None:
    """A server that went away can't be told; the next run on this machine will tell it."""
    try:
        client = mlflow_client(uri)
        client.set_tag(run_id, "problem", mask(problem)[:_LONGEST])
        client.set_terminated(run_id, "FAILED")
    except Exception:
        return
