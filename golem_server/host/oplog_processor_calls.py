"""What oplog processors are called with, in the shape of the interface that they export.

`golem:api/oplog-processor` of 1.5 takes raw entries, that of 1.3 public ones. In 1.1 it is a resource: one is made for
each installation and component, and its method takes the entries (reference: host-interfaces, section 5.3).
"""

from __future__ import annotations

from uuid import UUID, uuid5

from golem_server.durable.plugin_delivery import Batch, Invoke
from golem_server.durable.ports import WorkerComponent
from golem_server.host.golem_records import worker_id_record
from golem_server.host.golem_workers import metadata_record, with_older_names
from golem_server.host.oplog_records import PublicEntries
from golem_server.host.raw_oplog import RawEntries
from golem_server.model.errors import InternalBug
from golem_server.model.metadata import exported_interface
from golem_server.model.principals import uuid_record
from golem_server.model.types import Value

INTERFACE = "golem:api/oplog-processor"

_PROCESSORS = UUID("0f2f4b62-1f0a-4b57-8d0b-0f3c2f1c9a55")


class OplogProcessorCaller:
    """Implements `durable.plugin_delivery.ProcessorCaller`."""

    async def call(self, processor: WorkerComponent, batch: Batch, key: str, invoke: Invoke) -> str | None:
        """Hand a batch over. The processor's own error, if it gives one."""
        component_type = processor.functions.component
        interface = exported_interface(component_type, INTERFACE)
        if interface is None:
            raise InternalBug(f"component {processor.component_id} is no oplog processor")
        worker_id = batch.source.worker.worker_id
        owner = batch.component.account_id
        account = {"account-id": {"value": str(owner), "uuid": uuid_record(owner)}}
        component = {"uuid": uuid_record(worker_id.component_id)}
        config = [(name, value) for name, value in sorted(batch.plugin.parameters.items())]
        about = [worker_id_record(worker_id), with_older_names(metadata_record(batch.source)), batch.first]
        if "process" in component_type.exports[interface].functions:
            raw = interface.partition("@")[2] >= "1.5"
            entries = _raw(batch) if raw else _public(batch, "1.3")
            parameters: list[Value] = [account, config, component, *about, entries]
            result = await invoke(f"{interface}.{{process}}", parameters, key)
        else:
            made = uuid5(_PROCESSORS, f"{batch.plugin.grant_id}/{worker_id.component_id}")
            handle = await invoke(f"{interface}.{{[constructor]processor}}", [account, component, config], str(made))
            parameters = [handle, *about, _public(batch, "1.1")]
            result = await invoke(f"{interface}.{{[method]processor.process}}", parameters, key)
        tag, error = result
        return str(error) if tag == "err" else None


def _raw(batch: Batch) -> list[Value]:
    writer = RawEntries(batch.source.worker.worker_id, batch.running)
    return [writer.entry(entry) for entry in batch.entries]


def _public(batch: Batch, generation: str) -> list[Value]:
    component = batch.component
    writer = PublicEntries(
        "1.3" if generation == "1.3" else "1.1", batch.source.worker.worker_id, component.functions, component.agents
    )
    if batch.running is not None:
        writer.begin(batch.running)
    return [writer.entry(entry) for entry in batch.entries]
