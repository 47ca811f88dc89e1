"""Compiled components: compiled once per content, kept on disk, mapped when wanted, shared while in use.

A file of machine code is executed as it is, so it is never trusted by its name alone: a digest lies beside it and is
compared before the file is mapped. What does not match, is of another wasmtime, CPU or configuration, or cannot be
read, is compiled again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import platform
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from weakref import WeakValueDictionary

from blake3 import blake3

from golem_server.model.types import ComponentType
from golem_server.wasm import native
from golem_server.wasm.engine import Engine
from golem_server.wasm.errors import InvalidComponent
from golem_server.wasm.introspection import ComponentShape, check_component, read_shape
from golem_server.wasm.resource_drops import with_resource_drops

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 5.0
_KEPT_UNUSED = 64
"""Components that stay mapped though nothing uses them. Their pages belong to the page cache."""


class CompiledComponent:
    """A component compiled for one engine. Freed with the last reference."""

    def __init__(self, engine: Engine, address: int, wasm_hash: str) -> None:
        self.engine = engine
        self.address = address
        self.wasm_hash = wasm_hash

    @cached_property
    def shape(self) -> ComponentShape:
        """The type and what linking needs beside it."""
        return read_shape(self.address, self.engine.address)

    @property
    def type(self) -> ComponentType:
        """What the component imports and exports; read when first asked for."""
        return self.shape.type

    def __del__(self) -> None:
        if self.address:
            native.component_delete(self.address)
            self.address = 0


class CodeCache:
    """Gives compiled components by the hash of their bytes. `folder` is made if it does not exist.

    `compile_threads` components can be compiled at once; each compilation uses all processors by itself.
    """

    def __init__(self, engine: Engine, folder: Path, *, compile_threads: int = 1) -> None:
        self._engine = engine
        self._folder = folder
        self._threads = ThreadPoolExecutor(compile_threads, thread_name_prefix="compiler")
        self._files = ThreadPoolExecutor(1, thread_name_prefix="code cache")
        self._in_use: WeakValueDictionary[str, CompiledComponent] = WeakValueDictionary()
        self._recent: OrderedDict[str, CompiledComponent] = OrderedDict()
        self._loading: dict[str, asyncio.Task[CompiledComponent]] = {}
        self.compilations = 0
        """How many components were compiled rather than found, for metrics."""

    async def load(self, wasm_hash: str, fetch: Callable[[], Awaitable[bytes]]) -> CompiledComponent:
        """The compiled component of the bytes with this hash; `fetch` gives them if they must be compiled.

        Callers that ask for the same hash at once share one compilation, which goes on if some of them give up.
        Raises InvalidComponent if the bytes are no component that this server can run, and whatever `fetch` raises.
        """
        known = self._in_use.get(wasm_hash)
        if known is not None:
            self._keep(known)
            return known
        loading = self._loading.get(wasm_hash)
        if loading is None:
            loading = asyncio.create_task(self._load(wasm_hash, fetch))
            self._loading[wasm_hash] = loading
            loading.add_done_callback(lambda task: self._loaded(wasm_hash, task))
        return await asyncio.shield(loading)

    def close(self) -> None:
        """Stop the threads and let go of everything that nobody uses."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._files.shutdown(wait=True, cancel_futures=True)
        self._recent.clear()

    def _loaded(self, wasm_hash: str, task: asyncio.Task[CompiledComponent]) -> None:
        del self._loading[wasm_hash]
        if not task.cancelled() and task.exception() is None:
            self._keep(task.result())

    def _keep(self, component: CompiledComponent) -> None:
        self._in_use[component.wasm_hash] = component
        self._recent[component.wasm_hash] = component
        self._recent.move_to_end(component.wasm_hash)
        if len(self._recent) > _KEPT_UNUSED:
            self._recent.popitem(last=False)

    async def _load(self, wasm_hash: str, fetch: Callable[[], Awaitable[bytes]]) -> CompiledComponent:
        loop = asyncio.get_running_loop()
        path = self._folder / f"{wasm_hash}-{cache_key(self._engine)}.cwasm"
        address = await loop.run_in_executor(self._files, _map_file, self._engine, path)
        if address:
            return CompiledComponent(self._engine, address, wasm_hash)
        wasm = await fetch()
        check_component(wasm)
        logger.info("compiling component %s (%s)", wasm_hash, _size(len(wasm)))
        began = time.monotonic()
        compiling = loop.run_in_executor(self._threads, _compile, self._engine, path, wasm)
        while not (await asyncio.wait((compiling,), timeout=_PROGRESS_SECONDS))[0]:
            logger.info("still compiling component %s (%.0f s)", wasm_hash, time.monotonic() - began)
        component = CompiledComponent(self._engine, compiling.result(), wasm_hash)
        self.compilations += 1
        logger.info("component %s compiled in %.1f s", wasm_hash, time.monotonic() - began)
        return component


def cache_key(engine: Engine) -> str:
    """Names what compiled code depends on besides the component: wasmtime, processor and engine settings."""
    text = f"{native.WASMTIME_VERSION} {platform.machine()} {_cpu_features()} {engine.settings_key}"
    return f"{native.WASMTIME_VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _cpu_features() -> str:
    # The compiler uses what the processor has, so code must not travel to one that has less. wasmtime checks that too;
    # the name only keeps the files of different machines on a shared folder apart.
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


def _map_file(engine: Engine, path: Path) -> int:
    """The address of the mapped component, 0 if there is no usable file."""
    try:
        expected = _digest_path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    try:
        found = blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
    except OSError:
        return 0
    if found != expected:
        logger.warning("compiled code %s is damaged and will be made again", path.name)
        return 0
    cell = native.Cell(1)
    error = native.component_deserialize_file(engine.address, os.fsencode(path), cell.address)
    if error:
        logger.warning("compiled code %s cannot be used: %s", path.name, native.take_message(error))
        return 0
    return native.WORDS[cell.word]


def _compile(engine: Engine, path: Path, wasm: bytes) -> int:
    address = _compile_binary(engine, wasm)
    resources = read_shape(address, engine.address).guest_resources
    if resources:
        extended = with_resource_drops(wasm, resources)
        if extended is None:
            logger.warning("the resources that component %s exports can only be dropped with the instance", path.stem)
        else:
            native.component_delete(address)
            address = _compile_binary(engine, extended)
    vector = native.Cell(2)
    error = native.component_serialize(address, vector.address)
    if error:
        logger.warning("compiled code cannot be kept: %s", native.take_message(error))
        return address
    size, data = native.WORDS[vector.word], native.WORDS[vector.word + 1]
    code = native.BYTES[data : data + size]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The digest comes last: a crash in between leaves code that nobody trusts.
        _write(path, code)
        _write(_digest_path(path), blake3(code).hexdigest().encode())
    except OSError as reason:
        logger.warning("compiled code cannot be kept in %s: %s", path.parent, reason)
    finally:
        native.byte_vec_delete(vector.address)
    return address


def _compile_binary(engine: Engine, wasm: bytes) -> int:
    cell = native.Cell(1)
    error = native.component_new(engine.address, wasm, len(wasm), cell.address)
    if error:
        message = native.take_message(error)
        if "component model async" in message:
            raise InvalidComponent(
                "The component uses asynchronous WIT (async functions, streams or futures, as in WASI 0.3), which this "
                f"server does not run: build it for WASI 0.2. {message}"
            )
        raise InvalidComponent(f"The component cannot be compiled: {message}")
    return native.WORDS[cell.word]


def _digest_path(path: Path) -> Path:
    return path.with_suffix(".blake3")


def _write(path: Path, data: bytes | memoryview) -> None:
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        try:
            file.write(data)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB" if count >= 1 << 20 else f"{count / 1024:.1f} KiB"
