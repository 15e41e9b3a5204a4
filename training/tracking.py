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
from pathlib import Path
from typing import Any

from models.errors import RegistryError
from models.registry import ModelRegistry, asking, mlflow_client

EXPERIMENT = "dispute-evidence-review"
_FROZEN = "frozen.json"
_FROZEN_TAG = "frozen_holdout"
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

    def freeze(self, keys: frozenset[str], *, scratch: Path) -> None:
        """Keep these cases for judging, for ever."""
        path = scratch / _FROZEN
        path.write_text(json.dumps(sorted(keys), indent=1), encoding="utf-8")
        with asking(self.uri):
            self.client.log_artifact(self.run_id, str(path))
            self.client.set_tag(self.run_id, _FROZEN_TAG, "true")


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
            _end_failed(client, run_id, f"{type(error).__name__}: {error}")
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
            _end_failed(client, run.info.run_id, "the process ended without a word")
        return len(abandoned)

    def frozen_keys(self) -> frozenset[str] | None:
        """Return the cases kept for judging for ever, None where none were kept yet."""
        with asking(self.uri):
            client = mlflow_client(self.uri)
            found = client.search_runs(
                [self._experiment(client)], filter_string=f"tags.{_FROZEN_TAG} = 'true'", order_by=["start_time ASC"]
            )
            if not found:
                return None
            path = Path(client.download_artifacts(found[0].info.run_id, _FROZEN))
        return frozenset(json.loads(path.read_text(encoding="utf-8")))

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


def _end_failed(client: Any, run_id: str, problem: str) -> None:
    """A server that went away can't be told; the next run on this machine will tell it."""
    try:
        client.set_tag(run_id, "problem", problem[:_LONGEST])
        client.set_terminated(run_id, "FAILED")
    except Exception:
        return
