"""Log lines cannot be forged and hold no secret; metrics come out in Prometheus' format."""

import io
import json
import logging

import pytest

from golem_server.settings import LogFormat, LogLevel
from golem_server.telemetry import InvocationOutcome, Metrics, configure_logging

SECRET = "canary-0123456789-canary"


@pytest.fixture
def log(request: pytest.FixtureRequest) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(LogLevel.DEBUG, request.param, secrets=[SECRET, ""], stream=stream)
    return stream


both = pytest.mark.parametrize("log", [LogFormat.TEXT, LogFormat.JSON], indirect=True)
text_only = pytest.mark.parametrize("log", [LogFormat.TEXT], indirect=True)
json_only = pytest.mark.parametrize("log", [LogFormat.JSON], indirect=True)


@both
def test_a_message_with_line_ends_stays_one_line(log: io.StringIO) -> None:
    logging.getLogger("guest").info("first\nERROR forged\r\x1b[2J\u2028x", extra={"worker": "a\nb"})
    lines = log.getvalue().splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]


@both
def test_secrets_are_blanked_wherever_they_are(log: io.StringIO) -> None:
    logger = logging.getLogger("golem_server.api")
    logger.info("token %s", SECRET, extra={"header": f"Bearer {SECRET}x", "nested": {"deep": [SECRET]}})
    logger.info("Authorization: Bearer another.secret-value")
    logger.info("database postgresql://golem:pass-w0rd@localhost:5432/golem")
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError:
        logger.exception("failed")
    text = log.getvalue()
    for secret in (SECRET, "another.secret-value", "pass-w0rd"):
        assert secret not in text
    assert "postgresql://golem:***@localhost:5432/golem" in text


@json_only
def test_a_json_record_is_one_object_with_its_fields(log: io.StringIO) -> None:
    try:
        raise RuntimeError("deep down")
    except RuntimeError:
        logging.getLogger("golem_server.durable").exception("replay failed", extra={"worker": "w-1", "entries": 3})
    (line,) = log.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["message"], entry["level"], entry["logger"]) == ("replay failed", "error", "golem_server.durable")
    assert (entry["worker"], entry["entries"]) == ("w-1", 3)
    assert "deep down" in entry["traceback"]


@text_only
def test_a_text_record_reads_well(log: io.StringIO) -> None:
    logging.getLogger("golem_server.durable").info("loaded", extra={"worker": "my worker", "entries": 3})
    assert log.getvalue().endswith(' INFO    durable: loaded worker="my worker" entries=3\n')


@text_only
def test_a_traceback_is_indented_so_that_no_line_of_it_looks_like_a_record(log: io.StringIO) -> None:
    try:
        raise ValueError("one\n2026-01-01T00:00:00.000Z ERROR forged")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert all(line.startswith("    ") for line in log.getvalue().splitlines()[1:])


def test_metrics_count_what_happened() -> None:
    metrics = Metrics()
    metrics.invocation_ended(InvocationOutcome.COMPLETED, 0.003)
    metrics.committed(12, 0.001)
    metrics.worker_loaded()
    metrics.worker_loaded()
    metrics.worker_unloaded(evicted=True)
    metrics.replayed(100, 0.01)
    metrics.host_calls(7)
    metrics.host_calls(5, replay=True)
    metrics.compiled(0.2)
    metrics.request_answered(204)
    metrics.error("fenced")
    text = metrics.render().decode()
    for line in (
        'golem_invocations_total{outcome="completed"} 1.0',
        "golem_invocation_seconds_count 1.0",
        "golem_commit_entries_sum 12.0",
        "golem_commit_seconds_count 1.0",
        "golem_loaded_workers 1.0",
        "golem_evictions_total 1.0",
        "golem_replayed_entries_total 100.0",
        'golem_host_calls_total{mode="live"} 7.0',
        'golem_host_calls_total{mode="replay"} 5.0',
        "golem_compile_seconds_count 1.0",
        'golem_http_requests_total{status="2xx"} 1.0',
        'golem_errors_total{kind="fenced"} 1.0',
    ):
        assert line in text.splitlines()


def test_two_servers_in_one_process_do_not_share_figures() -> None:
    first, second = Metrics(), Metrics()
    first.worker_loaded()
    assert "golem_loaded_workers 0.0" in second.render().decode()
