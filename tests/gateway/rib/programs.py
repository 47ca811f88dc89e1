"""Random well-typed scripts with the values that they must have, computed while they are drawn.

A script is drawn from the type and value that it shall have: `draw(strategy)` chooses among the ways to write them.
Only what the grammar and the types guarantee is used, so every script compiles.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from golem_server.model.types import (
    Field,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    WitType,
)

INTEGERS = (Primitive.U8, Primitive.S16, Primitive.S32, Primitive.U64)
TEXT = st.text(st.characters(categories=["L", "N", "Z"], include_characters=" .,-\\"), max_size=5)


def types(depth: int = 2) -> st.SearchStrategy[WitType]:
    """Types that can be written, and records."""
    leaves = st.sampled_from([*INTEGERS, Primitive.BOOL, Primitive.STRING])
    if depth == 0:
        return leaves
    inner = types(depth - 1)
    return st.one_of(
        leaves,
        inner.map(ListType),
        inner.map(OptionType),
        st.tuples(inner, inner).map(lambda pair: ResultType(*pair)),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: TupleType(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda items: RecordType(tuple(Field(f"f-{at}", item) for at, item in enumerate(items)))
        ),
    )


def values(type_: WitType) -> st.SearchStrategy[Value]:
    """Values of a type."""
    match type_:
        case Primitive.BOOL:
            return st.booleans()
        case Primitive.STRING:
            return TEXT
        case Primitive():
            return st.integers(0, 100)
        case ListType(element):
            items = st.lists(values(element), max_size=3)
            return items.map(bytes) if element is Primitive.U8 else items
        case OptionType(inner):
            some = values(inner).map(lambda value: (value,)) if isinstance(inner, OptionType) else values(inner)
            return st.none() | some
        case ResultType(ok, err):
            assert ok is not None
            assert err is not None
            return st.tuples(st.just("ok"), values(ok)) | st.tuples(st.just("err"), values(err))
        case TupleType(items):
            return st.tuples(*map(values, items))
        case RecordType(fields):
            return st.fixed_dictionaries({field.name: values(field.type) for field in fields})
        case _:
            raise NotImplementedError(type_)


@dataclass
class Program:
    """Draws one script. `lines` are the lets that have been drawn so far."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    lines: list[str] = field(default_factory=list[str])
    names: int = 0

    def fresh(self) -> str:
        self.names += 1
        return f"v{self.names}-x"

    def let(self, text: str) -> str:
        """A variable with the value of the text."""
        name = self.fresh()
        self.lines.append(f"let {name} = {text}")
        return name

    def write(self, type_: WitType, value: Value, depth: int = 3) -> str:
        """A simple expression: nothing that follows can become a part of it."""
        if depth == 0 or self.draw(st.integers(0, 2)) == 0:
            return self.literal(type_, value, depth)
        ways = [self.through_let, self.through_if, self.through_match, self.through_tuple, self.through_record]
        if type_ in INTEGERS:
            ways += [self.through_sum, self.through_fold]
        if type_ is Primitive.STRING:
            ways += [self.through_text]
        if type_ is Primitive.BOOL:
            ways += [self.through_comparison, self.through_not]
        if isinstance(type_, ListType):
            ways += [self.through_loop, self.through_slice]
        way = self.draw(st.sampled_from(ways))
        return way(type_, value, depth - 1)

    def literal(self, type_: WitType, value: Value, depth: int) -> str:
        """The value as it stands, each part in any way."""
        deeper = max(depth - 1, 0)
        match type_:
            case Primitive.BOOL:
                return "true" if value else "false"
            case Primitive.STRING:
                return f'"{value}"'
            case Primitive():
                return f"{value}{self.draw(st.sampled_from(['', ':', ': ']))}{type_.value}"
            case ListType(element):
                texts = [self.write(element, item, deeper) for item in value]
                # Something must say the type of a list that is empty.
                typed = f"[{self.literal_of_any(element)}][0..0]"
                return f"[{', '.join(texts)}]" if texts else typed
            case OptionType(inner):
                nothing = f"{self.let(f'[some({self.literal_of_any(inner)}), none]')}[1]"
                payload = value[0] if isinstance(inner, OptionType) and value is not None else value
                return nothing if value is None else f"some({self.write(inner, payload, deeper)})"
            case ResultType(ok, err):
                assert ok is not None
                assert err is not None
                both = f"[ok({self.literal_of_any(ok)}), err({self.literal_of_any(err)})"
                payload = self.write(ok if value[0] == "ok" else err, value[1], deeper)
                return f"{self.let(f'{both}, {value[0]}({payload})]')}[2]"
            case TupleType(items):
                parts = zip(items, value, strict=True)
                return f"({', '.join(self.write(item, part, deeper) for item, part in parts)})"
            case RecordType(fields):
                parts = (f"{part.name}: {self.write(part.type, value[part.name], deeper)}" for part in fields)
                return f"{{{', '.join(parts)}}}"
            case _:
                raise NotImplementedError(type_)

    def literal_of_any(self, type_: WitType) -> str:
        return self.literal(type_, self.draw(values(type_)), 0)

    def through_let(self, type_: WitType, value: Value, depth: int) -> str:
        return self.let(self.write(type_, value, depth))

    def through_if(self, type_: WitType, value: Value, depth: int) -> str:
        chosen = self.draw(st.booleans())
        condition = self.write(Primitive.BOOL, chosen, depth)
        right, wrong = self.write(type_, value, depth), self.write(type_, self.draw(values(type_)), depth)
        branches = (right, wrong) if chosen else (wrong, right)
        return self.let(f"if {condition} then {branches[0]} else {branches[1]}")

    def through_match(self, type_: WitType, value: Value, depth: int) -> str:
        subject = self.draw(types(1))
        bound = self.fresh()
        text = self.write(subject, self.draw(values(subject)), depth)
        return self.let(f"match {text} {{ {bound} => {self.write(type_, value, depth)} }}")

    def through_tuple(self, type_: WitType, value: Value, depth: int) -> str:
        other = self.draw(types(1))
        parts = [(type_, value), (other, self.draw(values(other)))]
        texts = [self.write(part, item, depth) for part, item in parts]
        names = self.fresh(), self.fresh()
        return self.let(f"match ({', '.join(texts)}) {{ ({', '.join(names)}) => {names[0]} }}")

    def through_record(self, type_: WitType, value: Value, depth: int) -> str:
        return f"{self.let(f'{{other: 1, it: {self.write(type_, value, depth)}}}')}.it"

    def through_sum(self, type_: WitType, value: Value, depth: int) -> str:
        part = self.draw(st.integers(0, value))
        return self.let(f"{self.write(type_, value - part, depth)} + {self.write(type_, part, depth)}")

    def through_fold(self, type_: WitType, value: Value, depth: int) -> str:
        turns = self.draw(st.integers(0, 3).filter(lambda turns: turns <= value))
        initial, accumulator, item = self.write(type_, value - turns, depth), self.fresh(), self.fresh()
        return self.let(f"reduce {accumulator}, {item} in 0..{turns} from {initial} {{ yield {accumulator} + 1; }}")

    def through_text(self, type_: WitType, value: Value, depth: int) -> str:
        cut = self.draw(st.integers(0, len(value)))
        return f'"{value[:cut]}${{{self.write(type_, value[cut:], depth)}}}"'

    def through_comparison(self, type_: WitType, value: Value, depth: int) -> str:
        number = self.draw(st.integers(0, 99))
        left = self.write(Primitive.U8, number, depth)
        return self.let(f"{left} {'<' if value else '>'} {self.write(Primitive.U8, number + 1, depth)}")

    def through_not(self, type_: WitType, value: Value, depth: int) -> str:
        return self.let(f"!{self.write(type_, not value, depth)}")

    def through_loop(self, type_: WitType, value: Value, depth: int) -> str:
        item = self.fresh()
        return self.let(f"for {item} in {self.write(type_, value, depth)} {{ yield {item}; }}")

    def through_slice(self, type_: WitType, value: Value, depth: int) -> str:
        assert isinstance(type_, ListType)
        more = values(type_.element)
        longer = [self.draw(more), *value, self.draw(more)]
        whole = self.let(self.literal(type_, longer, depth))
        return f"{whole}[1..{len(value) + 1}]"


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, WitType, Value]:
    """A script, the type and the value that it must have."""
    type_ = draw(types())
    value = draw(values(type_))
    program = Program(draw)
    result = program.write(type_, value)
    return "; ".join([*program.lines, result]), type_, value
