"""Scripts from the outside: compile a text once, evaluate it for every request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from golem_server.gateway.rib.code import Code, Invoker, Run, detached
from golem_server.gateway.rib.context import REQUEST, Context, Global
from golem_server.gateway.rib.errors import RibRuntimeError
from golem_server.gateway.rib.exports import AgentConstructor, Exports
from golem_server.gateway.rib.inference import Inference
from golem_server.gateway.rib.parser import parse_script
from golem_server.gateway.rib.printer import print_script
from golem_server.gateway.rib.syntax import Block, Expression
from golem_server.gateway.rib.values import Fault, check_size, narrowed
from golem_server.model.json_values import contains_handles
from golem_server.model.types import ComponentType, RecordType, Value, WitType


@dataclass(frozen=True, slots=True)
class CompiledScript:
    """A script that fits its component. May be evaluated any number of times, also at once."""

    tree: Expression
    """What the text says."""

    inputs: Mapping[str, RecordType]
    """The globals that the script uses, each with exactly the fields that it uses."""

    output: WitType | None
    """The type of the values, None for a script that gives none. A single value may have less: see `output_of`."""

    called_functions: frozenset[str]
    """Full names of the functions that the script may call."""

    _code: Code
    _input_slots: Mapping[str, int]
    _slots: int
    _gives_handles: bool

    @property
    def text(self) -> str:
        """The script printed anew."""
        return print_script(self.tree)

    async def evaluate(
        self, inputs: Mapping[str, Value], invoker: Invoker | None = None, worker_name: str | None = None
    ) -> Value:
        """The value for these inputs, which are of the types in `inputs`; None if the script gives none.

        `worker_name` is for calls without an instance, and for instances without a name. Raises RibRuntimeError; what
        the invoker raises that is no GolemError passes through.
        """
        run = Run([None] * self._slots, invoker, worker_name)
        for name, slot in self._input_slots.items():
            if name not in inputs:
                raise RibRuntimeError(f"input not found: {name}", self.tree.position)
            run.variables[slot] = inputs[name]
        value = await self._code(run)
        try:
            check_size(value)
        except Fault as fault:
            raise RibRuntimeError(str(fault), self.tree.position) from None
        return detached(value) if self._gives_handles else value

    def output_of(self, value: Value) -> WitType | None:
        """The type of one value of the script: its records may lack fields that those of other branches have.

        Raises RibRuntimeError for a list whose records differ.
        """
        try:
            return None if self.output is None else narrowed(self.output, value)
        except Fault as fault:
            raise RibRuntimeError(str(fault), self.tree.position) from None


def compile_script(
    text: str,
    component: ComponentType | None = None,
    *,
    globals_: Sequence[Global] = (REQUEST,),
    agents: Sequence[AgentConstructor] = (),
    pure: bool = False,
) -> CompiledScript:
    """Read a script and check it against the exports of a component.

    A `pure` script (a worker's name, an idempotency key) calls no workers. Raises RibSyntaxError and RibTypeError.
    """
    tree = parse_script(text)
    context = Context(Exports(component, agents), globals_, pure=pure)
    typed = Inference(context).infer(tree)
    context.solve(tree)
    code = typed.emit()
    last = tree.expressions[-1] if isinstance(tree, Block) else tree
    output = context.type_of(last, typed.term)
    inputs = {name: context.type_of(tree, binding.term) for name, binding in context.globals.items()}
    return CompiledScript(
        tree=tree,
        inputs={name: type_ for name, type_ in inputs.items() if isinstance(type_, RecordType)},
        output=output,
        called_functions=frozenset(context.called),
        _code=code,
        _input_slots={name: binding.slot for name, binding in context.globals.items()},
        _slots=context.slots,
        _gives_handles=output is not None and contains_handles(output),
    )
