"""Components: upload, update, look up, delete, and what is remembered of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import ComponentId, EnvironmentId
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_APPLICATION_ID, DEFAULT_ENVIRONMENT_ID
from golem_server.registry.components import RegisteredComponent
from tests.registry.conftest import Registry


async def create(registry: Registry, name: str = "shop:cart", wasm: bytes = b"add") -> RegisteredComponent:
    return await registry.components.create(DEFAULT_ENVIRONMENT_ID, name, wasm, DEFAULT_ACCOUNT_ID)


async def test_created_component_is_found_with_all_that_is_known_of_it(registry: Registry) -> None:
    created = await registry.components.create(
        DEFAULT_ENVIRONMENT_ID, "shop:cart", b"add", DEFAULT_ACCOUNT_ID, environment={"A": "\0 1"}
    )
    assert (created.revision, created.size_bytes, created.environment) == (0, 3, {"A": "\0 1"})
    assert (created.account_id, created.application_id) == (DEFAULT_ACCOUNT_ID, DEFAULT_APPLICATION_ID)
    assert created.functions.resolve("test:label/api.{add}").function == "add"
    assert created.initial_memory_bytes == 65536
    assert await created.fetch() == b"add"
    elsewhere = registry.another()
    assert await elsewhere.latest(created.component_id) == created
    assert await elsewhere.revision(created.component_id, 0) == created
    assert await elsewhere.by_name(DEFAULT_ENVIRONMENT_ID, "shop:cart") == created
    assert await elsewhere.list(DEFAULT_ENVIRONMENT_ID) == [created]


async def test_upload_may_be_a_file(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(b"x" * 3_000_000)
    created = await registry.components.create(DEFAULT_ENVIRONMENT_ID, "big", file, DEFAULT_ACCOUNT_ID)
    download = await registry.components.wasm(created.component_id, 0)
    assert download.size_bytes == 3_000_000
    assert b"".join([part async for part in download.parts]) == file.read_bytes()


async def test_name_is_taken_once_in_an_environment(registry: Registry) -> None:
    await create(registry)
    with pytest.raises(
        Conflict, match="Component with this name already exists in the environment: shop:cart"
    ) as caught:
        await create(registry)
    assert caught.value.code == "COMPONENT_NAME_ALREADY_EXISTS"


async def test_of_two_uploads_under_one_name_at_a_time_one_wins(registry: Registry) -> None:
    both_checked = asyncio.Barrier(2)
    registry.inspector.before_answer = both_checked.wait
    outcomes = await asyncio.gather(create(registry), create(registry, wasm=b"sub"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "RegisteredComponent"]
    assert len(await registry.components.list(DEFAULT_ENVIRONMENT_ID)) == 1


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "a\0b", "x" * 256, "\ud800"])
async def test_wrong_name_is_refused_and_not_found(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^Invalid component name: "):
        await create(registry, name)
    with pytest.raises(NotFound):
        await registry.components.by_name(DEFAULT_ENVIRONMENT_ID, name)


@pytest.mark.parametrize("name", ["cart", "Shop:cart", "shop:cart@1.0.0", "shop:cart-", "a:b:c"])
async def test_strict_names_have_a_namespace(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput, match="expected namespace:name"):
        await registry.components.create(DEFAULT_ENVIRONMENT_ID, name, b"add", DEFAULT_ACCOUNT_ID, strict_name=True)
    assert (await create(registry, name)).name == name


async def test_binary_that_is_no_component_is_refused_with_the_reason(registry: Registry) -> None:
    with pytest.raises(InvalidInput, match=r"^Invalid component: This is not a WebAssembly file$") as caught:
        await create(registry, wasm=b"\0\0")
    assert caught.value.code == "COMPONENT_PROCESSING_ERROR"
    assert await registry.components.list(DEFAULT_ENVIRONMENT_ID) == []


async def test_unknown_things_are_told_by_code(registry: Registry) -> None:
    component, environment = ComponentId(uuid4()), EnvironmentId(uuid4())
    for code, call in [
        ("COMPONENT_NOT_FOUND", registry.components.latest(component)),
        ("COMPONENT_NOT_FOUND", registry.components.revision(component, 0)),
        ("COMPONENT_NOT_FOUND", registry.components.wasm(component, 0)),
        ("COMPONENT_NOT_FOUND", registry.components.delete(component)),
        ("COMPONENT_NOT_FOUND", registry.components.update(component, DEFAULT_ACCOUNT_ID, upload=b"add")),
        ("COMPONENT_NOT_FOUND", registry.components.by_name(DEFAULT_ENVIRONMENT_ID, "other")),
        ("ENVIRONMENT_NOT_FOUND", registry.components.by_name(environment, "other")),
        ("ENVIRONMENT_NOT_FOUND", registry.components.list(environment)),
        ("ENVIRONMENT_NOT_FOUND", registry.components.create(environment, "n", b"add", DEFAULT_ACCOUNT_ID)),
    ]:
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.code == code


@pytest.mark.parametrize("revision", [-1, 1, 2**63, 2**70])
async def test_revision_that_does_not_exist_is_not_found(registry: Registry, revision: int) -> None:
    created = await create(registry)
    with pytest.raises(NotFound):
        await registry.components.revision(created.component_id, revision)


async def test_update_adds_a_revision_and_the_old_one_stays(registry: Registry) -> None:
    created = await registry.components.create(
        DEFAULT_ENVIRONMENT_ID, "shop:cart", b"add", DEFAULT_ACCOUNT_ID, environment={"A": "1"}
    )
    identifier = created.component_id
    registry.clock.advance(timedelta(seconds=1))
    updated = await registry.components.update(identifier, DEFAULT_ACCOUNT_ID, upload=b"sub")
    assert (updated.revision, updated.environment, updated.created_at) == (1, {"A": "1"}, registry.clock.now())
    assert updated.functions.resolve("test:label/api.{sub}")
    variables = await registry.components.update(identifier, DEFAULT_ACCOUNT_ID, environment={"B": "2"})
    assert (variables.revision, variables.wasm_hash, variables.environment) == (2, updated.wasm_hash, {"B": "2"})
    assert variables.hash != updated.hash
    assert await registry.components.latest(identifier) == variables
    assert await registry.another().revision(identifier, 0) == created
    assert await registry.components.list(DEFAULT_ENVIRONMENT_ID) == [variables]


async def test_update_of_another_revision_than_expected_is_refused(registry: Registry) -> None:
    created = await create(registry)
    await registry.components.update(created.component_id, DEFAULT_ACCOUNT_ID, upload=b"sub", current_revision=0)
    with pytest.raises(Conflict, match=r"^Concurrent update of component$") as caught:
        await registry.components.update(created.component_id, DEFAULT_ACCOUNT_ID, upload=b"mul", current_revision=0)
    assert caught.value.code == "CONCURRENT_UPDATE"
    assert (await registry.components.latest(created.component_id)).revision == 1


async def test_updates_at_a_time_get_a_revision_each(registry: Registry) -> None:
    identifier = (await create(registry)).component_id
    registry.inspector.before_answer = asyncio.Barrier(5).wait
    updates = [registry.components.update(identifier, DEFAULT_ACCOUNT_ID, upload=b"sub") for _ in range(5)]
    revisions = [updated.revision for updated in await asyncio.gather(*updates)]
    assert sorted(revisions) == [1, 2, 3, 4, 5]


async def test_of_expecting_updates_at_a_time_one_wins(registry: Registry) -> None:
    identifier = (await create(registry)).component_id
    registry.inspector.before_answer = asyncio.Barrier(5).wait
    outcomes = await asyncio.gather(
        *(
            registry.components.update(identifier, DEFAULT_ACCOUNT_ID, upload=b"sub", current_revision=0)
            for _ in range(5)
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 4 + ["RegisteredComponent"]


async def test_deleted_component_is_not_found_and_its_name_is_free(registry: Registry) -> None:
    created = await create(registry)
    with pytest.raises(Conflict):
        await registry.components.delete(created.component_id, current_revision=1)
    await registry.components.delete(created.component_id, current_revision=0)
    for call in (
        registry.components.latest(created.component_id),
        registry.components.wasm(created.component_id, 0),
        registry.components.by_name(DEFAULT_ENVIRONMENT_ID, "shop:cart"),
        registry.components.delete(created.component_id),
        registry.components.update(created.component_id, DEFAULT_ACCOUNT_ID, upload=b"sub"),
    ):
        with pytest.raises(NotFound):
            await call
    assert await registry.components.list(DEFAULT_ENVIRONMENT_ID) == []
    assert (await create(registry)).component_id != created.component_id
    # Its workers may still have to be ended.
    assert (await registry.another().revision(created.component_id, 0)).wasm_hash == created.wasm_hash


async def test_components_are_listed_by_name(registry: Registry) -> None:
    for name in ("b:b", "B", "a:a", "\u00e4"):
        await create(registry, name)
    listed = await registry.components.list(DEFAULT_ENVIRONMENT_ID)
    assert [component.name for component in listed] == ["B", "a:a", "b:b", "\u00e4"]


async def test_hot_path_asks_the_store_nothing(registry: Registry) -> None:
    identifier = (await create(registry)).component_id
    registry.store.asked.clear()
    for _ in range(3):
        await registry.components.latest(identifier)
        await registry.components.revision(identifier, 0)
    assert registry.store.asked == []


async def test_change_by_another_server_is_seen_when_the_answer_is_old(registry: Registry) -> None:
    identifier = (await create(registry)).component_id
    elsewhere = registry.another()
    await elsewhere.update(identifier, DEFAULT_ACCOUNT_ID, upload=b"sub")
    assert (await registry.components.latest(identifier)).revision == 0
    registry.clock.advance(timedelta(seconds=5))
    assert (await registry.components.latest(identifier)).revision == 1
    await elsewhere.delete(identifier)
    registry.clock.advance(timedelta(seconds=5))
    with pytest.raises(NotFound):
        await registry.components.latest(identifier)
