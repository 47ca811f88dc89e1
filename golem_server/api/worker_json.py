"""A worker as JSON, with the names of all generations side by side (reference: rest-api, section 5)."""

from __future__ import annotations

from typing import Any

from golem_server.api.timestamps import timestamp_of_milliseconds
from golem_server.model.agent_provisions import entry_to_json
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Region
from golem_server.model.status import StatusRecord, UpdateRecord, decode_status
from golem_server.model.workers import StoredWorker

_UPDATES = {"pending": "PendingUpdate", "successful": "SuccessfulUpdate", "failed": "FailedUpdate"}


def worker_id_to_json(worker_id: WorkerId) -> dict[str, str]:
    """The `workerId` object."""
    return {"componentId": str(worker_id.component_id), "workerName": worker_id.name}


def agent_id_to_json(worker_id: WorkerId) -> dict[str, str]:
    """The same in the words of newer clients: the `agentId` object."""
    return {"componentId": str(worker_id.component_id), "agentId": worker_id.name}


def created_worker_to_json(stored: StoredWorker) -> dict[str, Any]:
    """The answer to the creation of a worker."""
    worker_id = stored.worker.worker_id
    revision = stored.columns.component_revision
    return {
        **worker_id_to_json(worker_id),
        "workerId": worker_id_to_json(worker_id),
        "agentId": agent_id_to_json(worker_id),
        "componentVersion": revision,
        "componentRevision": revision,
    }


def worker_to_json(stored: StoredWorker) -> dict[str, Any]:
    """The metadata of a worker."""
    worker, columns = stored.worker, stored.columns
    status = decode_status(columns.record)
    return {
        "workerId": worker_id_to_json(worker.worker_id),
        "agentId": agent_id_to_json(worker.worker_id),
        "environmentId": str(worker.environment_id),
        "createdBy": str(worker.created_by),
        "accountId": str(worker.created_by),
        "args": worker.arguments,
        "env": worker.environment,
        "wasiConfigVars": [{"key": key, "value": value} for key, value in worker.config.items()],
        "config": [entry_to_json(entry) for entry in worker.agent_config],
        "status": columns.status.text,
        "componentVersion": columns.component_revision,
        "componentRevision": columns.component_revision,
        "retryCount": columns.retry_count,
        "pendingInvocationCount": columns.pending_count,
        "updates": [_update(update) for update in sorted(status.updates, key=lambda update: update.timestamp)],
        "createdAt": timestamp_of_milliseconds(worker.created_at),
        "lastError": _last_error(status),
        "componentSize": status.component_size,
        "totalLinearMemorySize": status.memory_bytes,
        **_resources(status),
        "activePlugins": [str(plugin.grant_id) for plugin in status.active_plugins],
        "skippedRegions": [region_to_json(region) for region in status.replay_skips],
        "deletedRegions": [region_to_json(region) for region in status.deleted_regions],
    }


def region_to_json(region: Region) -> dict[str, int]:
    """A range of oplog indexes, both ends included."""
    return {"start": region.start, "end": region.end}


def _last_error(status: StatusRecord) -> str | None:
    if status.last_error is None:
        return None
    stderr = "".join(status.stderr)
    return f"{status.last_error}\n\n{stderr}" if stderr else status.last_error


def _update(update: UpdateRecord) -> dict[str, Any]:
    json: dict[str, Any] = {
        "type": _UPDATES[update.state],
        "timestamp": timestamp_of_milliseconds(update.timestamp),
        "targetVersion": update.target_revision,
        "targetRevision": update.target_revision,
    }
    if update.state == "failed":
        json["details"] = update.details
    return json


def _resources(status: StatusRecord) -> dict[str, Any]:
    instances: list[dict[str, Any]] = []
    owned: dict[str, dict[str, Any]] = {}
    for resource in status.resources:
        created_at = timestamp_of_milliseconds(resource.created_at)
        instances.append(
            {
                "key": resource.id,
                "description": {
                    "createdAt": created_at,
                    "resourceOwner": resource.owner,
                    "resourceName": resource.name,
                },
            }
        )
        owned[str(resource.id)] = {"createdAt": created_at, "indexed": None}
    return {"exportedResourceInstances": instances, "ownedResources": owned}
