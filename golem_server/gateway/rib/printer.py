"""Writes a tree as text that reads as the same tree. API definitions show scripts in this form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from golem_server.gateway.rib import syntax
from golem_server.gateway.rib.syntax import Block, Expression, Pattern, Text
from golem_server.gateway.rib.type_names import print_type


def print_script(script: Expression) -> str:
    """A whole script; the expressions of its outermost block stand on lines of their own."""
    return _lines(script.expressions) if isinstance(script, Block) else print_expression(script)


def print_expression(expression: Expression) -> str:
    """One expression, as errors show it."""
    return _EXPRESSIONS[type(expression)](expression)


def print_pattern(pattern: Pattern) -> str:
    """One pattern of a match."""
    return _PATTERNS[type(pattern)](pattern)


def _lines(expressions: Iterable[Expression]) -> str:
    return ";\n".join(map(print_expression, expressions))


def _joined(expressions: Iterable[Expression]) -> str:
    return ", ".join(map(print_expression, expressions))


def _interpolation(node: syntax.Interpolation) -> str:
    parts = (part.value if isinstance(part, Text) else f"${{{print_script(part)}}}" for part in node.parts)
    return f'"{"".join(parts)}"'


def _let(node: syntax.Let) -> str:
    annotation = "" if node.type is None else f": {print_type(node.type)}"
    return f"let {node.name}{annotation} = {print_expression(node.value)}"


def _if(node: syntax.If) -> str:
    condition, consequence = print_expression(node.condition), print_expression(node.consequence)
    return f"if {condition} then {consequence} else {print_expression(node.alternative)}"


def _record(node: syntax.Record) -> str:
    return f"{{{', '.join(f'{key}: {print_expression(value)}' for key, value in node.fields)}}}"


def _option(node: syntax.OptionLiteral) -> str:
    return "none" if node.value is None else f"some({print_expression(node.value)})"


def _range(node: syntax.Range) -> str:
    end = "" if node.end is None else print_expression(node.end)
    return f"{print_expression(node.start)}..{'=' if node.inclusive else ''}{end}"


def _arguments(type_parameter: str | None, arguments: Iterable[Expression]) -> str:
    return f"{'' if type_parameter is None else f'[{type_parameter}]'}({_joined(arguments)})"


def _method_call(node: syntax.MethodCall) -> str:
    return f"{print_expression(node.subject)}.{node.method}{_arguments(node.type_parameter, node.arguments)}"


def _body(body: tuple[Expression, ...]) -> str:
    before = "".join(f"{print_expression(expression)};\n" for expression in body[:-1])
    return f"{{\n{before}yield {print_expression(body[-1])};\n}}"


def _reduce(node: syntax.Reduce) -> str:
    over = f"{node.accumulator}, {node.name} in {print_expression(node.iterable)}"
    return f"reduce {over} from {print_expression(node.initial)} {_body(node.body)}"


def _match(node: syntax.Match) -> str:
    arms = ", ".join(f"{print_pattern(pattern)} => {print_expression(value)}" for pattern, value in node.arms)
    return f"match {print_expression(node.subject)} {{ {arms} }}"


def _constructor(node: syntax.ConstructorPattern) -> str:
    if node.name == "none" and not node.arguments:
        return "none"
    return f"{node.name}({', '.join(map(print_pattern, node.arguments))})"


def _record_pattern(node: syntax.RecordPattern) -> str:
    return f"{{{', '.join(f'{key}: {print_pattern(pattern)}' for key, pattern in node.fields)}}}"


# Each entry is called with nodes of its key's type alone, which a dictionary's type cannot say.
_EXPRESSIONS: dict[type, Callable[[Any], str]] = {
    syntax.Text: lambda node: f'"{node.value}"',
    syntax.Interpolation: _interpolation,
    syntax.Number: lambda node: node.literal,
    syntax.Boolean: lambda node: "true" if node.value else "false",
    syntax.Name: lambda node: node.name,
    syntax.Annotated: lambda node: f"{print_expression(node.expression)}: {print_type(node.type)}",
    syntax.Let: _let,
    syntax.Block: lambda node: f"{{ {'; '.join(map(print_expression, node.expressions))} }}",
    syntax.If: _if,
    syntax.Binary: lambda node: f"{print_expression(node.left)} {node.operator.value} {print_expression(node.right)}",
    syntax.Not: lambda node: f"!{print_expression(node.operand)}",
    syntax.Flags: lambda node: f"{{{', '.join(node.names)}}}",
    syntax.Record: _record,
    syntax.Tuple: lambda node: f"({_joined(node.items)})",
    syntax.ListLiteral: lambda node: f"[{_joined(node.items)}]",
    syntax.OptionLiteral: _option,
    syntax.ResultLiteral: lambda node: f"{'ok' if node.is_ok else 'err'}({print_expression(node.value)})",
    syntax.SelectField: lambda node: f"{print_expression(node.subject)}.{node.field}",
    syntax.SelectIndex: lambda node: f"{print_expression(node.subject)}[{print_expression(node.index)}]",
    syntax.Range: _range,
    syntax.Call: lambda node: f"{node.function}{_arguments(node.type_parameter, node.arguments)}",
    syntax.MethodCall: _method_call,
    syntax.For: lambda node: f"for {node.name} in {print_expression(node.iterable)} {_body(node.body)}",
    syntax.Reduce: _reduce,
    syntax.Match: _match,
}

_PATTERNS: dict[type, Callable[[Any], str]] = {
    syntax.Wildcard: lambda _: "_",
    syntax.AliasPattern: lambda node: f"{node.name} @ {print_pattern(node.pattern)}",
    syntax.ConstructorPattern: _constructor,
    syntax.TuplePattern: lambda node: f"({', '.join(map(print_pattern, node.items))})",
    syntax.ListPattern: lambda node: f"[{', '.join(map(print_pattern, node.items))}]",
    syntax.RecordPattern: _record_pattern,
    syntax.LiteralPattern: lambda node: print_expression(node.expression),
}
