"""The service's logs as it writes them, for the length of a `with` block."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from serving.logs import configure_logs


@contextmanager
def service_logs() -> Iterator[None]:
    """Log as the service does, one JSON object a line to stderr, and as tests do afterwards."""
    kept = logging.getLogger().handlers[:]
    configure_logs("info")
    # A logger that remembered this configuration would write to this test's stderr for ever.
    structlog.configure(**{**structlog.get_config(), "cache_logger_on_first_use": False})
    try:
        yield
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        logging.getLogger().handlers[:] = kept
