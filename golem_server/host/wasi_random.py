"""wasi:random: chance, recorded. The insecure functions are as good as the secure ones."""

from __future__ import annotations

import os

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.model.oplog import Category
from golem_server.model.types import Value

MAX_RANDOM_BYTES = 64 * 1024
"""Bytes that one call may ask for (reference: reliability, section 3)."""

random = HostInterface("wasi:random/random")
insecure = HostInterface("wasi:random/insecure")
insecure_seed_interface = HostInterface("wasi:random/insecure-seed")

INTERFACES = [random, insecure, insecure_seed_interface]


@random.recorded("get-random-bytes", Category.READ_LOCAL, "random::get_random_bytes")
def get_random_bytes(_context: WorkerContext, length: int) -> Value:
    """That many random bytes."""
    return _bytes(length)


@random.recorded("get-random-u64", Category.READ_LOCAL, "random::get_random_u64")
def get_random_u64(_context: WorkerContext) -> Value:
    """A random number."""
    return _u64()


@insecure.recorded("get-insecure-random-bytes", Category.READ_LOCAL, "random::insecure::get_insecure_random_bytes")
def get_insecure_random_bytes(_context: WorkerContext, length: int) -> Value:
    """That many random bytes."""
    return _bytes(length)


@insecure.recorded("get-insecure-random-u64", Category.READ_LOCAL, "random::insecure::get_insecure_random_u64")
def get_insecure_random_u64(_context: WorkerContext) -> Value:
    """A random number."""
    return _u64()


@insecure_seed_interface.recorded("insecure-seed", Category.READ_LOCAL, "random::insecure_seed::insecure_seed")
def insecure_seed(_context: WorkerContext) -> Value:
    """Two random numbers, for hash tables."""
    return (_u64(), _u64())


def _bytes(length: int) -> bytes:
    if length > MAX_RANDOM_BYTES:
        raise GuestError(f"more than {MAX_RANDOM_BYTES} random bytes in one call")
    return os.urandom(length)


def _u64() -> int:
    return int.from_bytes(os.urandom(8), "little")
