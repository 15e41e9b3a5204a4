"""The packaged encoders, prepared once in the default cache and shared by every test of models."""

import pytest

from models.encoders import (
    ImageEncoder,
    TextEncoder,
    default_cache_dir,
    prepare_image_encoder,
    prepare_text_encoder,
)


@pytest.fixture(scope="session")
def text_encoder() -> TextEncoder:
    return prepare_text_encoder(cache_dir=default_cache_dir())


@pytest.fixture(scope="session")
def image_encoder() -> ImageEncoder:
    return prepare_image_encoder(cache_dir=default_cache_dir())
