"""The MLflow server behind registry and tracking: reached, or said to be away. Knows nothing of what is kept there."""

import fcntl
import logging
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import RegistryError, ReviewError

_ANSWER_TIMEOUT_S = 5.0
_RETRIES = "4"
"""Of a request to a server that answered before: half a minute. MLflow's own seven take four."""


def mlflow_client(uri: str) -> Any:
    """Return an MLflow client; importing MLflow takes seconds, so it happens here.

    Raises RegistryError at once when a server behind `uri` doesn't answer: MLflow itself would try for minutes.
    """
    if uri.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_ANSWER_TIMEOUT_S):  # noqa: S310
                pass
        except (OSError, ValueError) as error:
            raise RegistryError(f"the tracking server {uri} doesn't answer: {error}") from error
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _RETRIES)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = sqlite_file(uri)
    if path is None:
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    with _only_one_makes_tables(path):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite address, None for any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextmanager
def asking(uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database or the network raise into one error that names the registry."""
    try:
        yield
    except ReviewError:
        raise
    except Exception as error:
        raise RegistryError(f"the model registry {uri} can't be used: {error}") from error


@contextmanager
def _only_one_makes_tables(path: Path) -> Iterator[None]:
    """A client makes the tables of a new file; two at once, threads or processes, spoil each other's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
