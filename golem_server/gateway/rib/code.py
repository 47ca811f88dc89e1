"""Runs scripts: each function here makes the code of one kind of expression out of the code of its parts.

Code is an async function of a Run. It goes strictly from left to right, and calls workers one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from golem_server.gateway.rib.errors import Position, RibRuntimeError
from golem_server.gateway.rib.exports import Callee
from golem_server.gateway.rib.values import MAX_TEXT, Fault, check_size
from golem_server.model.errors import GolemError
from golem_server.model.types import Value

MAX_STEPS = 100_000
"""Expressions of blocks, turns of loops and calls of one evaluation; large values that are copied count too."""

_STEPS_WITHOUT_PAUSE = 1_000
_PARTS_PER_STEP = 10
_CHARACTERS_PER_STEP = 1_000


class Invoker(Protocol):
    """What a script reaches workers through; given by the caller of an evaluation."""

    async def invoke(
        self, worker_name: str | None, function: str, parameters: Sequence[Value], call_number: int
    ) -> Value:
        """Call a function by its full name and wait for its result, None where it gives none.

        No worker name means a worker of the callee's choice. Calls of one evaluation are numbered from 0 in the order
        in which they are made, which is the same whenever the script gets the same request and results: a retried
        request can therefore find the results of calls that were made before. Any GolemError fails the script.
        """
        ...

    def ephemeral_worker(self, number: int) -> str | None:
        """The name for the worker of an `instance()`, numbered from 0; None lets every call go to another worker."""
        ...


@dataclass(slots=True)
class Worker:
    """The value of an instance."""

    name: str | None


@dataclass(slots=True)
class Resource:
    """A resource and the worker where it lives. `handle` is its value for the worker."""

    worker: Worker
    handle: Value


@dataclass(slots=True)
class Run:
    """One evaluation of a script."""

    variables: list[Value]
    invoker: Invoker | None
    worker_name: str | None
    steps_left: int = MAX_STEPS
    calls: int = 0
    instances: int = 0
    pause_at: int = field(default=MAX_STEPS - _STEPS_WITHOUT_PAUSE)

    def spend(self, position: Position, steps: int = 1) -> None:
        """Count steps. Raises RibRuntimeError when there have been too many."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise RibRuntimeError(f"the script takes more than {MAX_STEPS} steps", position)

    async def turn(self, position: Position) -> None:
        """Count a turn of a loop, and let others run from time to time."""
        self.spend(position)
        if self.steps_left < self.pause_at:
            self.pause_at = self.steps_left - _STEPS_WITHOUT_PAUSE
            await asyncio.sleep(0)


Code: TypeAlias = Callable[[Run], Awaitable[Value]]


def constant(value: Value) -> Code:
    """Always the same value."""

    async def run(_: Run) -> Value:
        return value

    return run


def load(slot: int) -> Code:
    """The value of a variable."""

    async def run(run: Run) -> Value:
        return run.variables[slot]

    return run


def store(slot: int, value: Code) -> Code:
    """Give a variable its value."""

    async def run(run: Run) -> Value:
        run.variables[slot] = await value(run)

    return run


def sequence(codes: Sequence[Code], position: Position) -> Code:
    """One after another; the value of the last."""

    async def run(run: Run) -> Value:
        result = None
        for code in codes:
            run.spend(position)
            result = await code(run)
        return result

    return run


def apply(function: Callable[[Value], Value], operand: Code, position: Position) -> Code:
    """A function of one value; its Fault becomes the error of the place."""

    async def run(run: Run) -> Value:
        value = await operand(run)
        try:
            return function(value)
        except Fault as fault:
            raise RibRuntimeError(str(fault), position) from None

    return run


def apply_two(function: Callable[[Value, Value], Value], left: Code, right: Code, position: Position) -> Code:
    """A function of two values."""

    async def run(run: Run) -> Value:
        first = await left(run)
        second = await right(run)
        try:
            return function(first, second)
        except Fault as fault:
            raise RibRuntimeError(str(fault), position) from None

    return run


def short_circuit(left: Code, right: Code, *, decided_by: bool) -> Code:
    """`&&` and `||`: the right side counts only if the left one has not decided."""

    async def run(run: Run) -> Value:
        return decided_by if await left(run) is decided_by else await right(run)

    return run


def choose(condition: Code, consequence: Code, alternative: Code) -> Code:
    """`if`."""

    async def run(run: Run) -> Value:
        return await (consequence if await condition(run) else alternative)(run)

    return run


def collect(items: Sequence[Code], make: Callable[[list[Value]], Value]) -> Code:
    """Something made of the values of all items."""

    async def run(run: Run) -> Value:
        return make([await item(run) for item in items])

    return run


def join(parts: Sequence[Code], position: Position) -> Code:
    """A text out of texts."""

    async def run(run: Run) -> Value:
        texts: list[str] = []
        length = 0
        for part in parts:
            texts.append(await part(run))
            length += len(texts[-1])
            if length > MAX_TEXT:
                raise RibRuntimeError(f"a text is longer than {MAX_TEXT} characters", position)
        run.spend(position, 1 + length // _CHARACTERS_PER_STEP)
        return "".join(texts)

    return run


def element(subject: Code, index: Code, position: Position) -> Code:
    """An element of a list or tuple."""

    def select(values: Sequence[Value], at: int) -> Value:
        if not 0 <= at < len(values):
            raise Fault(f"index out of bound: {at} (size: {len(values)})")
        return values[at]

    return apply_two(select, subject, index, position)


def part_of_list(subject: Code, bounds: Code, position: Position) -> Code:
    """The elements of a list within a range. A range without end leaves out the last element, as it always has."""

    async def run(run: Run) -> Value:
        values = await subject(run)
        range_ = await bounds(run)
        start, size = range_["from"], len(values)
        end = range_["to"] + range_["inclusive"] if "to" in range_ else size - 1
        for bound in (start, end):
            if start < end and not 0 <= bound <= size:
                raise RibRuntimeError(f"index out of bound: {bound} (size: {size})", position)
        run.spend(position, 1 + max(0, end - start) // _PARTS_PER_STEP)
        return values[start:end] if start < end else values[:0]

    return run


def _turns(value: Value, position: Position) -> Iterable[Value]:
    """What a loop goes over: the elements of a list, the numbers of a range."""
    if not isinstance(value, dict):
        return value
    if "to" not in value:
        raise RibRuntimeError(
            "infinite computation detected: an infinite range is being iterated. "
            "make sure range is finite to avoid infinite computation",
            position,
        )
    bounds = cast("dict[str, int]", value)
    return range(bounds["from"], bounds["to"] + bounds["inclusive"])


def loop(slot: int, iterable: Code, body: Code, make: Callable[[list[Value]], Value], position: Position) -> Code:
    """`for`: something made of what the body yields in each turn."""

    async def run(run: Run) -> Value:
        yielded: list[Value] = []
        for item in _turns(await iterable(run), position):
            await run.turn(position)
            run.variables[slot] = item
            yielded.append(await body(run))
        return make(yielded)

    return run


def fold(slots: tuple[int, int], iterable: Code, initial: Code, body: Code, position: Position) -> Code:
    """`reduce`; the slots are those of the accumulator and of the item."""

    async def run(run: Run) -> Value:
        items = _turns(await iterable(run), position)
        result = await initial(run)
        for item in items:
            await run.turn(position)
            run.variables[slots[0]] = result
            run.variables[slots[1]] = item
            result = await body(run)
        return result

    return run


Test: TypeAlias = Callable[[Run, Value], Awaitable[bool]]
"""Whether a value fits a pattern; binds the pattern's variables."""


def match(subject: Code, arms: Sequence[tuple[Test, Code]], position: Position) -> Code:
    """The value of the first arm whose pattern fits."""

    async def run(run: Run) -> Value:
        value = await subject(run)
        for test, code in arms:
            if await test(run, value):
                return await code(run)
        raise RibRuntimeError("error: No match found", position)

    return run


def instance(name: Code | None) -> Code:
    """A worker by its name, or one that the request alone has (which the binding may have named)."""

    async def run(run: Run) -> Value:
        if name is not None:
            return Worker(await name(run))
        if run.worker_name is not None or run.invoker is None:
            return Worker(run.worker_name)
        run.instances += 1
        return Worker(run.invoker.ephemeral_worker(run.instances - 1))

    return run


def call(callee: Callee, subject: Code | None, arguments: Sequence[Code], position: Position) -> Code:
    """A call of a worker's function. The subject is the worker, a resource on it, or nothing: the binding's worker."""

    takes_handles = callee.takes_handles

    async def run(run: Run) -> Value:
        target = None if subject is None else await subject(run)
        values = [] if not isinstance(target, Resource) else [target.handle]
        values += [await argument(run) for argument in arguments]
        if takes_handles:
            values = [detached(value) for value in values]
        worker = target.worker if isinstance(target, Resource) else target
        if worker is None:
            worker = Worker(run.worker_name)
        if not isinstance(worker, Worker) or run.invoker is None:
            raise RibRuntimeError(f"failed to invoke function {callee.name}: there is no worker", position)
        run.spend(position)
        number = run.calls
        run.calls += 1
        result = await _invoke(run.invoker, worker.name, callee.name, values, number, position)
        return Resource(worker, result) if callee.gives_handle else result

    return run


async def _invoke(
    invoker: Invoker, worker: str | None, function: str, values: list[Value], number: int, position: Position
) -> Value:
    try:
        check_size(values)
        return await invoker.invoke(worker, function, values, number)
    except Fault as fault:
        raise RibRuntimeError(f"failed to invoke function {function}: {fault}", position) from None
    except RibRuntimeError:
        raise
    except GolemError as error:
        raise RibRuntimeError(f"failed to invoke function {function}: {error.message}", position) from error


def detached(value: Value) -> Value:
    """A value as workers and answers know it: a resource is its handle, wherever it stands."""
    match value:
        case Resource():
            return value.handle
        case dict():
            return {name: detached(part) for name, part in cast("dict[str, Value]", value).items()}
        case tuple():
            return tuple([detached(item) for item in cast("tuple[Value, ...]", value)])
        case list():
            return [detached(item) for item in cast("list[Value]", value)]
        case _:
            return value
