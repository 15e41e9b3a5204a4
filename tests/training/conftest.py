"""A telling pool of messages and made-up photo errors for tests of the simulator and of what learns from it."""

from pathlib import Path

import numpy as np
import pytest

from models.chat import ChatClassifier
from models.chat_heads import CLAIMS, LABELS
from models.mlflow_server import mlflow_client
from models.vocabulary import LABELS_OF_SPEAKER, Speaker
from tests.training.corrected_chats import deaf_classifier
from tests.training.simulated_outcomes import SimulatedOutcomes
from training.photo_errors import PhotoErrors
from training.statement_pool import PooledMessage, StatementPool

N_OUTCOMES = 700


@pytest.fixture(scope="session")
def pool() -> StatementPool:
    """Several messages a label, speaker and language, and some that say nothing, with imperfect probabilities."""
    rng = np.random.default_rng(0)
    messages = []
    for language in ("zh", "en"):
        for speaker in (Speaker.BUYER, Speaker.SELLER):
            for label in (*LABELS_OF_SPEAKER[speaker], None):
                for number in range(5):
                    labels = frozenset({label}) if label else frozenset()
                    probabilities = {name: float(rng.beta(0.3, 6)) for name in LABELS_OF_SPEAKER[speaker]}
                    probabilities |= {name: float(rng.beta(6, 1.5)) for name in labels}
                    text = f"{speaker} {label} {number}"
                    messages.append(PooledMessage(language, speaker, text, labels, probabilities))
    return StatementPool(tuple(messages), np.zeros((len(CLAIMS), len(LABELS)), np.float32))


@pytest.fixture(scope="session")
def photo_errors() -> PhotoErrors:
    rng = np.random.default_rng(1)
    return PhotoErrors(
        damaged=list(rng.beta(3, 2, 100)),
        intact=list(rng.beta(2, 3, 100)),
        mismatched=list(rng.beta(4, 2, 100)),
        matched=list(rng.beta(2, 4, 100)),
    )


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def deaf(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> ChatClassifier:
    """A chat classifier that hears no statement in anything."""
    return deaf_classifier(tmp_path_factory.mktemp("encoder"), cache_dir=cache_dir)


@pytest.fixture(scope="session")
def outcomes(pool: StatementPool, photo_errors: PhotoErrors) -> SimulatedOutcomes:
    return SimulatedOutcomes(N_OUTCOMES, pool=pool, photo_errors=photo_errors)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with its tables made, to copy."""
    path = tmp_path_factory.mktemp("mlflow") / "registry.db"
    mlflow_client(f"sqlite:///{path}").search_registered_models()
    return path
