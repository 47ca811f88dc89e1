"""The registry on a real PostgreSQL, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from golem_server.model.errors import InvalidInput
from golem_server.model.metadata import BinaryMetadata
from golem_server.model.types import ComponentType, FunctionType, InterfaceType, Parameter, Primitive
from golem_server.registry.accounts import Accounts
from golem_server.registry.components import Components
from golem_server.registry.ports import Upload
from golem_server.registry.tokens import Tokens
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.registry_store import PostgresRegistryStore


@dataclass
class ManualClock:
    """Time that stands still until the test moves it."""

    time: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def now_ns(self) -> int:
        return int(self.time.timestamp() * 1_000_000_000)

    def monotonic(self) -> float:
        return self.time.timestamp()

    def advance(self, duration: timedelta) -> None:
        self.time += duration


@dataclass
class LabelInspector:
    """Reads "components" that are the name of their only function. The real inspector is the wasm room's."""

    before_answer: Callable[[], Awaitable[object]] | None = field(default=None)

    async def inspect(self, wasm: Upload) -> tuple[ComponentType, BinaryMetadata]:
        content = wasm if isinstance(wasm, bytes) else wasm.read_bytes()
        if self.before_answer is not None:
            await self.before_answer()
        name = content.decode(errors="replace")
        if not name.isidentifier():
            raise InvalidInput("This is not a WebAssembly file")
        api = InterfaceType("test:label/api", {name: FunctionType((Parameter("a", Primitive.U64),), None)}, {})
        return (
            ComponentType({}, {}, {api.name: api}, {}),
            BinaryMetadata(({"language": [("Rust", "")]},), ((65536, None),), "test:label", None),
        )

    async def compose(self, socket: Upload, plug: Upload) -> bytes:
        raise InvalidInput("labels cannot be joined")


class CountingStore:
    """Passes everything on to a store and counts the questions."""

    def __init__(self, store: PostgresRegistryStore) -> None:
        self._store = store
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._store, name)


@dataclass
class Registry:
    """A registry and what it is made of."""

    store: Any
    clock: ManualClock
    inspector: LabelInspector
    accounts: Accounts
    components: Components
    tokens: Tokens
    blobs: PostgresBlobStore

    def another(self) -> Components:
        """The components as a second server on the same database sees them."""
        return Components(self.store, self.accounts, self.blobs, self.inspector, self.clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def registry(database: Database, clock: ManualClock) -> Registry:
    """A registry after its first start."""
    store: Any = CountingStore(PostgresRegistryStore(database))
    inspector = LabelInspector()
    accounts = Accounts(store, clock)
    blobs = PostgresBlobStore(database)
    await accounts.create_defaults()
    return Registry(
        store=store,
        clock=clock,
        inspector=inspector,
        accounts=accounts,
        components=Components(store, accounts, blobs, inspector, clock),
        tokens=Tokens(store, clock, allow_local_token=True),
        blobs=blobs,
    )
