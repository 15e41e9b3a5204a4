"""One JSON line an event on standard error, with the request's id and without personal data.

That holds for what libraries log and warn of, too. Set up once, by the program that is started.
"""

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from models.privacy import mask


def configure_logs(level: str) -> None:
    """level : "debug", "info", "warning" or "error" """
    stream = cast(TextIO, UnfailingStream(sys.stderr))
    marked: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    told: list[Processor] = [
        structlog.processors.format_exc_info,
        mask_personal_data,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    structlog.configure(
        processors=[*marked, *told],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    of_libraries = logging.StreamHandler(stream)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=marked, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *told]
        )
    )
    logging.basicConfig(handlers=[of_libraries], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


class UnfailingStream(io.TextIOBase):
    """Drops what can't be written: a full disk or a closed stream under the log must not fail the request that logs."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()


def mask_personal_data(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Return the event with every text in it masked, stack traces included."""
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(str(value))
