"""Structured logs: every line with its request id and tenant where there is one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import structlog

from ecpmon import loglines
from ecpmon.settings import Settings

_log = structlog.get_logger(__name__)


class Rendering:
    """The processors of a line. What cannot be rendered (an object whose `repr` fails) leaves a line that says so."""

    def __init__(self, processors: Sequence[structlog.typing.Processor]) -> None:
        self._processors = processors

    def __call__(
        self, logger: object, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.ProcessorReturnValue:
        name = event.get("event")
        shown: structlog.typing.ProcessorReturnValue = event
        try:
            for process in self._processors:
                shown = process(logger, method, shown)  # type: ignore[arg-type]
        except structlog.DropEvent:
            raise
        except Exception as error:  # noqa: BLE001 - a log line must not break what it tells about
            loglines.count_lost("unprintable")
            kept = name if isinstance(name, str) else ""
            return f"{method} {kept} [the rest of this line cannot be shown: {type(error).__name__}]"
        return shown


def configure_logging(settings: Settings) -> loglines.LogStream:
    """Everything that logs writes to stderr, through a stream that neither raises nor waits. Whoever ends without
    Python's own ending closes it."""
    stream = loglines.open_stderr(lambda lines: _log.warning("log_lines_lost", lines=lines))
    _write_to(stream, settings)
    handler = loglines.LineHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=max(_level(settings), logging.WARNING), handlers=[handler])
    return stream


def configure_direct_logging(settings: Settings) -> None:
    """The same of structlog's lines for a process that must have no thread; its children configure theirs anew."""
    _write_to(loglines.direct_stderr(), settings)


def _level(settings: Settings) -> int:
    return int(getattr(logging, settings.log_level.upper()))


def _write_to(stream: loglines.LogStream | loglines.DirectStream, settings: Settings) -> None:
    structlog.configure(
        processors=[Rendering(_processors(settings))],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


def _processors(settings: Settings) -> list[structlog.typing.Processor]:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        return [*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    colours = sys.stderr is not None and sys.stderr.isatty()
    # The default prints local variables: passwords and tokens among them.
    formatter = structlog.dev.plain_traceback
    return [*shared, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=formatter)]
