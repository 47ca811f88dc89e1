"""wasmtime's C functions and the memory of this process, bound for speed.

The public Python wrapper of wasmtime costs ten times what a call into the guest does, so this room calls the C API of
the pinned wheel directly. Two habits make that quick:

- Addresses are plain integers. C structures are read and written through memory views that begin at address zero and
  cover all of user space: `WORDS[address >> 3]` is one indexing operation, a ctypes structure takes several objects.
- Short C functions are called through `ctypes.PyDLL`, which keeps the interpreter lock. Only what may run guest code or
  the compiler goes through `wasmtime._ffi`'s own `CDLL`, which releases it, so that other threads go on meanwhile.

The layouts relied upon are those of `wasmtime/component/val.h` and `wasmtime/async.h` of the version that
`pyproject.toml` pins; `verify_layout` compares them with the wheel's own structures when the room is imported.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_bool, c_char_p, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, cast

WASMTIME_VERSION: str = importlib.metadata.version("wasmtime")
"""The version of the wheel. Compiled code of one version is refused by every other."""

bindings: Any = importlib.import_module("wasmtime._ffi")
"""The wheel's generated bindings. Used as they are where speed does not matter."""

_holding = ctypes.PyDLL(bindings.dll._name)
_releasing: Any = bindings.dll

VAL_SIZE = 32
"""sizeof(wasmtime_component_val_t): the kind is its first byte, the payload begins at byte 8."""
ENTRY_SIZE = 48
"""sizeof(wasmtime_component_valrecord_entry_t): the name (16 bytes), then the value."""
FUNC_SIZE = 32
"""sizeof(wasmtime_component_func_t), rounded up."""

_ADDRESS_BITS = 56  # user space of x86-64 and AArch64, also with five-level page tables

_everything = (ctypes.c_ubyte * (1 << _ADDRESS_BITS)).from_address(0)
BYTES: memoryview = memoryview(_everything).cast("B")
"""All memory as bytes. Whoever writes here must know exactly what is there."""
WORDS: memoryview = BYTES.cast("Q")
"""All memory as 64-bit words: index with `address >> 3`."""


def view(code: str) -> memoryview[Any]:
    """All memory as items of a `struct` code; index with the address divided by the item's size."""
    return cast(Any, BYTES).cast(code)


def _function(library: Any, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    # A new object per binding: the wheel's own function objects keep their pointer types.
    function = library[name]
    function.restype = result
    function.argtypes = arguments
    return function


def holding(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A C function called with the interpreter lock held. Only for functions that end at once."""
    return _function(_holding, name, result, *arguments)


def releasing(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A C function during which other Python threads run."""
    return _function(_releasing, name, result, *arguments)


P = c_void_p  # any pointer, as an integer

# Engine and store.
engine_delete = holding("wasm_engine_delete", None, P)
engine_increment_epoch = holding("wasmtime_engine_increment_epoch", None, P)
store_new = holding("wasmtime_store_new", P, P, P, P)
store_context = holding("wasmtime_store_context", P, P)
store_delete = holding("wasmtime_store_delete", None, P)
store_limiter = holding("wasmtime_store_limiter", None, P, c_int64, c_int64, c_int64, c_int64, c_int64)
set_epoch_deadline = holding("wasmtime_context_set_epoch_deadline", None, c_size_t, c_uint64)
yield_at_epoch_deadline = holding("wasmtime_context_epoch_deadline_async_yield_and_update", P, P, c_uint64)

# Components.
component_new = releasing("wasmtime_component_new", P, P, c_char_p, c_size_t, P)
component_serialize = releasing("wasmtime_component_serialize", P, P, P)
component_deserialize_file = releasing("wasmtime_component_deserialize_file", P, P, c_char_p, P)
component_delete = holding("wasmtime_component_delete", None, P)
component_export_index = holding("wasmtime_component_get_export_index", P, P, P, c_char_p, c_size_t)
export_index_delete = holding("wasmtime_component_export_index_delete", None, P)

# Linking.
linker_new = holding("wasmtime_component_linker_new", P, P)
linker_delete = holding("wasmtime_component_linker_delete", None, P)
linker_root = holding("wasmtime_component_linker_root", P, P)
linker_instance_delete = holding("wasmtime_component_linker_instance_delete", None, P)
linker_add_instance = holding("wasmtime_component_linker_instance_add_instance", P, P, c_char_p, c_size_t, P)
linker_add_func_async = holding("wasmtime_component_linker_instance_add_func_async", P, P, c_char_p, c_size_t, P, P, P)
linker_add_resource = holding("wasmtime_component_linker_instance_add_resource", P, P, c_char_p, c_size_t, P, P, P, P)
linker_trap_unknown = holding("wasmtime_component_linker_define_unknown_imports_as_traps", P, P, P)
resource_type_new_host = holding("wasmtime_component_resource_type_new_host", P, c_uint32)
resource_type_delete = holding("wasmtime_component_resource_type_delete", None, P)

# Calls. Only the poll runs guest code.
instantiate_async = holding("wasmtime_component_linker_instantiate_async", P, P, P, P, P, P)
instance_get_func = holding("wasmtime_component_instance_get_func", c_bool, P, P, P, P)
call_async = holding(
    "wasmtime_component_func_call_async", P, c_size_t, c_size_t, c_size_t, c_size_t, c_size_t, c_size_t, c_size_t
)
future_poll = releasing("wasmtime_call_future_poll", c_bool, c_size_t)
future_delete = holding("wasmtime_call_future_delete", None, c_size_t)
resource_any_drop = releasing("wasmtime_component_resource_any_drop", P, P, P)

# Values.
name_new = holding("wasm_byte_vec_new", None, c_size_t, c_size_t, c_char_p)
byte_vec_delete = holding("wasm_byte_vec_delete", None, P)
list_new_uninit = holding("wasmtime_component_vallist_new_uninit", None, c_size_t, c_size_t)
flags_new_uninit = holding("wasmtime_component_valflags_new_uninit", None, c_size_t, c_size_t)
record_new_uninit = holding("wasmtime_component_valrecord_new_uninit", None, c_size_t, c_size_t)
tuple_new_uninit = holding("wasmtime_component_valtuple_new_uninit", None, c_size_t, c_size_t)
val_new = holding("wasmtime_component_val_new", P, c_size_t)
val_clone = holding("wasmtime_component_val_clone", None, c_size_t, c_size_t)
val_delete = holding("wasmtime_component_val_delete", None, c_size_t)

# Resources.
resource_host_new = holding("wasmtime_component_resource_host_new", P, c_bool, c_uint32, c_uint32)
resource_host_rep = holding("wasmtime_component_resource_host_rep", c_uint32, P)
resource_host_delete = holding("wasmtime_component_resource_host_delete", None, P)
resource_any_to_host = holding("wasmtime_component_resource_any_to_host", P, P, P, P)
resource_host_to_any = holding("wasmtime_component_resource_host_to_any", P, P, P, P)
resource_any_clone = holding("wasmtime_component_resource_any_clone", P, P)
resource_any_delete = holding("wasmtime_component_resource_any_delete", None, P)

# Errors.
error_new = holding("wasmtime_error_new", P, c_char_p)
error_message = holding("wasmtime_error_message", None, P, P)
error_delete = holding("wasmtime_error_delete", None, P)
error_exit_status = holding("wasmtime_error_exit_status", c_bool, P, P)

HostCallback = CFUNCTYPE(None, P, P, P, P, c_size_t, P, c_size_t, P, P)
"""data, context, function type, arguments, their number, results, their number, error out, continuation out."""
ResourceDestructor = CFUNCTYPE(c_size_t, P, P, c_uint32)
"""data, context, representation; gives a wasmtime_error_t pointer or 0."""

IS_DONE: int = cast(int, ctypes.cast(ctypes.CDLL(None).strlen, P).value)
"""The continuation callback of every suspended host call: `strlen` of a flag of two bytes, the second always 0.

wasmtime asks `bool callback(void *environment)` at each poll whether the host call has its result. With `strlen` that
is 1 as soon as the flag's first byte is, and no Python code runs for it.
"""

_done = ctypes.create_string_buffer(b"\x01\x00", 16)
DONE: int = ctypes.addressof(_done)
"""A flag that is always set: the environment of host calls that have their result already."""

_empty_value = (c_uint64 * 4)()
EMPTY_VALUE: int = ctypes.addressof(_empty_value)
"""A value without parts (`false`), to be moved from wherever a fresh box is needed."""


class Cell:
    """Zeroed memory of a number of 64-bit words at a fixed address, alive as long as the object."""

    __slots__ = ("_memory", "address", "word")

    def __init__(self, words: int) -> None:
        self._memory = (c_uint64 * words)()
        self.address: int = ctypes.addressof(self._memory)
        self.word: int = self.address >> 3


def take_message(error: int) -> str:
    """The text of a wasmtime error, with the wasm backtrace where it has one. The error is freed."""
    cell = Cell(2)
    error_message(error, cell.address)
    size, data = WORDS[cell.word], WORDS[cell.word + 1]
    text = str(BYTES[data : data + size], "utf-8", "replace") if size else ""
    byte_vec_delete(cell.address)
    error_delete(error)
    return text


def verify_layout() -> None:
    """Raise RuntimeError if the wheel's structures are not laid out as this room writes them."""
    val, union = bindings.wasmtime_component_val, bindings.wasmtime_component_valunion
    found = (
        ctypes.sizeof(val),
        val.of.offset,
        ctypes.sizeof(bindings.wasmtime_component_valrecord_entry),
        bindings.wasmtime_component_valrecord_entry.val.offset,
        ctypes.sizeof(union),
        bindings.wasmtime_component_valvariant.val.offset,
        bindings.wasmtime_component_valresult.val.offset,
        ctypes.sizeof(bindings.wasmtime_async_continuation_t),
        ctypes.sizeof(bindings.wasmtime_component_func) <= FUNC_SIZE,
        ctypes.sizeof(bindings.wasmtime_component_instance),
    )
    if found != (VAL_SIZE, 8, ENTRY_SIZE, 16, 24, 16, 8, 24, True, 16):
        raise RuntimeError(f"the layout of wasmtime {WASMTIME_VERSION} is not the one this version was written for")


verify_layout()
