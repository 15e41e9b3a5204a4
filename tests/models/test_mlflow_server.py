"""The MLflow server is reached by many at once, or said to be away."""

import importlib
import multiprocessing
from pathlib import Path

import pytest

from models.errors import RegistryError
from models.mlflow_server import mlflow_client


def ask(uri: str) -> int:
    return len(mlflow_client(uri).search_registered_models())


def test_a_new_registry_is_asked_by_two_processes_while_its_tables_are_made(tmp_path: Path) -> None:
    importlib.import_module("mlflow")
    uri = f"sqlite:///{tmp_path}/new/registry.db"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(ask, [uri] * 2, chunksize=1) == [0, 0]


def test_a_server_that_is_away_is_said_at_once() -> None:
    with pytest.raises(RegistryError, match=r"the tracking server http://127.0.0.1:9 doesn't answer"):
        mlflow_client("http://127.0.0.1:9")
