"""Writes down why a guest stopped, and decides by its retry policy what follows."""

from __future__ import annotations

import logging

from golem_server.durable.context import WorkerContext
from golem_server.durable.retry import Failure, classify, verdict_on
from golem_server.model.oplog import Error, ErrorKind

log = logging.getLogger(__name__)


def write_failure(context: WorkerContext, error: Exception) -> tuple[Failure, float | None]:
    """Write the entry for what stopped the guest, and say after how many seconds it is tried again, None if never."""
    failure = classify(error)
    if failure.kind is ErrorKind.UNKNOWN:
        log.warning("host call of worker %s failed: %s", context.worker_id, failure.message, exc_info=error)
    verdict = verdict_on(context, failure, error)
    context.oplog.append(
        Error(
            timestamp=context.now_ms(),
            error_kind=failure.kind,
            message=failure.message,
            retry_from=context.retry_point,
            inside_atomic_region=context.inside_atomic_region,
            retriable=verdict.delay is not None,
            retry_policy_state=verdict.state,
            agent_error=failure.agent_error,
        )
    )
    return failure, verdict.delay
