"""Instances of workers, their functions and resources, and the cases that are written like calls (section 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from golem_server.gateway.rib import code, syntax
from golem_server.gateway.rib.code import Code, Worker
from golem_server.gateway.rib.context import Context, Typed
from golem_server.gateway.rib.exports import AgentConstructor, Callee, NoCallee
from golem_server.gateway.rib.syntax import Call, Expression, MethodCall
from golem_server.gateway.rib.terms import InstanceTerm, ResourceNameTerm, Term, prune, show
from golem_server.gateway.rib.unification import TermMismatch, TypesTooLarge
from golem_server.gateway.rib.values import wave
from golem_server.model.types import EnumType, HandleType, Parameter, Primitive, Value

_INLINE = "inline invocation of {} is currently not supported"


class Calls:
    """Infers calls. `infer` is the inference of their subjects and arguments."""

    def __init__(self, context: Context, infer: Callable[[Expression], Typed]) -> None:
        self._context = context
        self._infer = infer

    def call(self, node: Call) -> Typed:
        """`name(...)`: an instance, an agent, a case with payload, or a function of the binding's worker."""
        exports = self._context.exports
        if node.function == "instance":
            return self._instance(node)
        if agent := exports.agents.get(node.function):
            return self._agent(node, agent)
        if node.function in exports.payload_cases and node.type_parameter is None and len(node.arguments) == 1:
            return self._case(node, node.arguments[0])
        if "{" not in node.function and not exports.has_function(node.function):
            raise self._invalid(node, node.function, f"function '{node.function}' not found")
        return self._invocation(node, node.function, lambda: exports.by_full_name(node.function), None, None)

    def method(self, node: MethodCall) -> Typed:
        """`subject.name(...)`: a function of a worker, a method of a resource, or a function of `worker.resource`."""
        subject = self._infer(node.subject)
        term = prune(subject.term)
        exports, name, parameter = self._context.exports, node.method, node.type_parameter
        self._refuse_inline(node, term)
        match term:
            case InstanceTerm(restriction):
                return self._invocation(
                    node, name, lambda: exports.function(name, (restriction, parameter)), subject, None
                )
            case HandleType():
                return self._invocation(node, name, lambda: exports.method(term, name), subject, term)
            case ResourceNameTerm(interface, resource):
                return self._invocation(node, name, lambda: exports.static(interface, resource, name), subject, None)
            case _:
                details = (f"expected an instance or a resource, found {show(term)}",)
                raise self._context.error(node, f"invalid resource method call: `{name}`", details)

    def _refuse_inline(self, node: MethodCall, term: Term) -> None:
        """Functions are called on variables: what is made within the call could not be used again."""
        made = node.subject.subject if isinstance(node.subject, syntax.SelectField) else node.subject
        if isinstance(term, InstanceTerm | ResourceNameTerm) and isinstance(made, Call):
            raise self._context.error(node, _INLINE.format("functions on a worker instance"))
        if isinstance(term, HandleType) and isinstance(made, MethodCall):
            raise self._context.error(node, _INLINE.format("methods on resource constructor instance"))

    def _invalid(self, node: Expression, name: str, detail: str) -> Exception:
        return self._context.error(node, f"invalid function call `{name}`", (detail,))

    def _refuse_in_pure_scripts(self, node: Expression) -> None:
        if self._context.pure:
            raise self._context.error(node, "no worker can be called in this script")

    # Instances

    def _instance(self, node: Call) -> Typed:
        self._refuse_in_pure_scripts(node)
        context, parameter = self._context, node.type_parameter
        if parameter is not None and not context.exports.allows(parameter):
            kind = "" if "/" in parameter else "package " if ":" in parameter else "interface "
            raise context.error(node, f"failed to create instance: {kind}`{parameter}` not found")
        if len(node.arguments) > 1:
            raise self._wrong_count(node, "instance", 1, len(node.arguments))
        name = None
        for argument in node.arguments:
            name = self._infer(argument)
            context.unify(argument, Primitive.STRING, name.term)
        return Typed(InstanceTerm(parameter), lambda: code.instance(name and name.emit()))

    def _agent(self, node: Call, agent: AgentConstructor) -> Typed:
        self._refuse_in_pure_scripts(node)
        arguments = self._arguments(node, agent.name, agent.parameters, node.arguments)

        def worker(values: Sequence[Value]) -> Value:
            parts = zip(agent.parameters, values, strict=True)
            return Worker(f"{agent.name}({','.join([wave(part.type, value, ',') for part, value in parts])})")

        def emit() -> Code:
            values = code.collect([argument.emit() for argument in arguments], tuple)
            return code.apply(worker, values, node.position)

        return Typed(InstanceTerm(agent.name), emit)

    # Cases

    def _case(self, node: Call, argument: Expression) -> Typed:
        context = self._context
        payload = self._infer(argument)
        name = node.function
        try:
            term = context.case(name, payload.term)
        except TermMismatch as mismatch:
            cause = f"type mismatch. expected {show(mismatch.expected)}, found {show(mismatch.found)}"
            raise context.error(argument, cause, (f"invalid argument to the function `{name}`",)) from None

        def emit() -> Code:
            if isinstance(context.value_type(node, term), EnumType):
                raise self._invalid(node, name, f"the case '{name}' has no payload")
            return code.collect([payload.emit()], lambda values: (name, values[0]))

        return Typed(term, emit)

    # Functions

    def _invocation(
        self,
        node: Call | MethodCall,
        name: str,
        find: Callable[[], Callee],
        subject: Typed | None,
        handle: HandleType | None,
    ) -> Typed:
        """A call of what `find` gives; of a method of a `handle`, the first parameter is the resource itself."""
        self._refuse_in_pure_scripts(node)
        try:
            callee = find()
        except NoCallee as reason:
            raise self._invalid(node, name, str(reason)) from None
        parameters = callee.type.parameters[1:] if handle is not None else callee.type.parameters
        arguments = self._arguments(node, name, parameters, node.arguments)
        self._context.called.add(callee.name)

        def emit() -> Code:
            target = None if subject is None else subject.emit()
            return code.call(callee, target, [argument.emit() for argument in arguments], node.position)

        return Typed(self._context.term(callee.type.result), emit)

    def _arguments(
        self, node: Expression, name: str, parameters: Sequence[Parameter], arguments: Sequence[Expression]
    ) -> list[Typed]:
        if len(parameters) != len(arguments):
            raise self._wrong_count(node, name, len(parameters), len(arguments))
        typed = [self._infer(argument) for argument in arguments]
        for parameter, argument, inferred in zip(parameters, arguments, typed, strict=True):
            self._unify_argument(name, parameter, argument, inferred.term)
        return typed

    def _wrong_count(self, node: Expression, name: str, expected: int, found: int) -> Exception:
        cause = f"invalid argument size for function `{name}`. expected {expected} arguments, found {found}"
        return self._context.error(node, cause)

    def _unify_argument(self, name: str, parameter: Parameter, argument: Expression, term: Term) -> None:
        context = self._context
        expected = context.term(parameter.type)
        try:
            missing = context.unifier.missing_fields(expected, term)
            if not missing:
                context.unifier.unify(expected, term)
        except TypesTooLarge:
            raise context.error(argument, "the types of the script are too large") from None
        except TermMismatch as mismatch:
            where = f" at path: `{'.'.join(mismatch.path)}`" if mismatch.path else ""
            cause = f"type mismatch{where}. expected {show(mismatch.expected)}, found {show(mismatch.found)}"
            raise context.error(argument, cause, (f"invalid argument to the function `{name}`",)) from None
        if missing:
            shown = ", ".join(missing)
            cause = f"invalid argument to the function `{name}`.  missing field(s) in record: `{shown}`"
            raise context.error(argument, cause)
