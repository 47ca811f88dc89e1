"""What the server tells about itself: log lines and Prometheus metrics.

A log record is one line. In text, control characters of a message are escaped, so that nothing a guest or a client
wrote can forge a second line or move a terminal's cursor; in JSON each record is one object. Fields given by
`extra={...}` become `name=value` or keys of the object. Secrets that the composition root names, bearer tokens and
passwords in URLs are blanked in the finished line, wherever they came from.

Metrics live in one `Metrics` object that the composition root builds and hands to the rooms; nothing is global, so
two servers in one process (as in tests) do not mix.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from golem_server.settings import LogFormat, LogLevel

BLANK = "***"

_STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+")
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s@]+@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure_logging(
    level: LogLevel, log_format: LogFormat, *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send every log record of the process to `stream` (stderr if none is given) in this format.

    `secrets` are texts that must never appear in a line. May be called again; the last call counts.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(secrets) if log_format is LogFormat.JSON else TextFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    logging.captureWarnings(True)
    # These tell of every connection and statement below INFO, with payloads in them.
    for library in ("asyncio", "aiohttp", "sqlalchemy", "multipart", "python_multipart"):
        logging.getLogger(library).setLevel(logging.WARNING)


class _Formatter(logging.Formatter):
    """What both formats share: the fields of a record and the blanking of secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        # The longest first, so that a secret which contains another leaves no rest.
        named = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, named))) if named else None

    def _blanked(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub(BLANK, text)
        return _URL_PASSWORD.sub(rf"\1{BLANK}@", _BEARER.sub(rf"\1{BLANK}", text))

    def _traceback(self, record: logging.LogRecord) -> str | None:
        return self.formatException(record.exc_info) if record.exc_info else record.exc_text


class TextFormatter(_Formatter):
    """A line for a person: time, level, logger, message, fields; a traceback follows in indented lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        time = _timestamp(record)
        line = _escaped(f"{time} {record.levelname:<7} {_short_name(record)}: {record.getMessage()}{fields}")
        if traceback := self._traceback(record):
            line += "".join(f"\n    {_escaped(part)}" for part in traceback.splitlines())
        return self._blanked(line)


class JsonFormatter(_Formatter):
    """A line for a machine: one JSON object with time, level, logger, message, the fields, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, object] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in _fields(record).items() if name not in entry}
        if traceback := self._traceback(record):
            entry["traceback"] = traceback
        blanked = {name: self._blanked(value) if isinstance(value, str) else value for name, value in entry.items()}
        return self._blanked(json.dumps(blanked, default=str))


class InvocationOutcome(StrEnum):
    """How an invocation ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Metrics:
    """The server's own figures for Prometheus; each method is a counter's step and costs about a microsecond.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        invocations = Counter("golem_invocations", "Invocations that ended.", ["outcome"], registry=registry)
        self._invocations = {outcome: invocations.labels(outcome.value) for outcome in InvocationOutcome}
        self._invocation_seconds = Histogram(
            "golem_invocation_seconds",
            "Time from the acceptance of an invocation to its end.",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "golem_commit_seconds",
            "Time of one commit of oplog entries.",
            buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
            registry=registry,
        )
        self._commit_entries = Histogram(
            "golem_commit_entries",
            "Oplog entries written by one commit, of all workers that shared it.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
            registry=registry,
        )
        self._loaded_workers = Gauge("golem_loaded_workers", "Workers whose instance is in memory.", registry=registry)
        self._evictions = Counter("golem_evictions", "Idle workers unloaded for others.", registry=registry)
        self._replay_seconds = Histogram(
            "golem_replay_seconds",
            "Time to rebuild a worker from its oplog.",
            buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
            registry=registry,
        )
        self._replayed_entries = Counter("golem_replayed_entries", "Oplog entries replayed.", registry=registry)
        host_calls = Counter("golem_host_calls", "Host calls of guests, by mode.", ["mode"], registry=registry)
        self._live_host_calls = host_calls.labels("live")
        self._replayed_host_calls = host_calls.labels("replay")
        self._compile_seconds = Histogram(
            "golem_compile_seconds",
            "Time to compile a component.",
            buckets=(0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
            registry=registry,
        )
        self._requests = Counter("golem_http_requests", "HTTP requests answered.", ["status"], registry=registry)
        self._errors = Counter("golem_errors", "Errors of the server itself, by kind.", ["kind"], registry=registry)

    def invocation_ended(self, outcome: InvocationOutcome, seconds: float) -> None:
        """An invocation ended, `seconds` after it was accepted."""
        self._invocations[outcome].inc()
        self._invocation_seconds.observe(seconds)

    def committed(self, entries: int, seconds: float) -> None:
        """One commit wrote this many oplog entries."""
        self._commit_entries.observe(entries)
        self._commit_seconds.observe(seconds)

    def worker_loaded(self) -> None:
        """A worker's instance came into memory."""
        self._loaded_workers.inc()

    def worker_unloaded(self, *, evicted: bool = False) -> None:
        """A worker's instance left memory; `evicted` if it had to make room."""
        self._loaded_workers.dec()
        if evicted:
            self._evictions.inc()

    def replayed(self, entries: int, seconds: float) -> None:
        """A worker was rebuilt from this many oplog entries."""
        self._replayed_entries.inc(entries)
        self._replay_seconds.observe(seconds)

    def host_calls(self, count: int = 1, *, replay: bool = False) -> None:
        """Guests made `count` host calls; callers on the hot path add them up and report once an invocation."""
        (self._replayed_host_calls if replay else self._live_host_calls).inc(count)

    def compiled(self, seconds: float) -> None:
        """A component was compiled (not loaded from the code cache)."""
        self._compile_seconds.observe(seconds)

    def request_answered(self, status: int) -> None:
        """An HTTP request was answered with this status; counted by its class (2xx, 4xx, ...)."""
        self._requests.labels(f"{status // 100}xx").inc()

    def error(self, kind: str) -> None:
        """Something failed in the server itself. `kind` is a fixed word of the caller, never text from outside."""
        self._errors.labels(kind).inc()

    def render(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short_name(record: logging.LogRecord) -> str:
    return record.name.removeprefix("golem_server.")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD_FIELDS}


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def _escaped(text: str) -> str:
    return _CONTROL.sub(
        lambda match: f"\\x{ord(match[0]):02x}" if match[0] not in "\n\t" else repr(match[0])[1:-1], text
    )
