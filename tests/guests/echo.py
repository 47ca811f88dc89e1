"""Writes the text of a component that gives back what it is given, for any WIT type.

    echo:  func(v: T, pad: tuple<u64 x 17>) -> T     answers by itself
    relay: func(v: T, pad: tuple<u64 x 17>) -> T     asks the imported `host` function `mirror` of the same type

The pad makes the parameters too many to be passed flat, so that the guest is given a pointer to a value as it lies in
memory. That value's address is also a valid result, whatever its type: the guest needs no code that knows T, except
where the result is a single flat value and has to be loaded.
"""

from __future__ import annotations

from golem_server.model.types import (
    EnumType,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

PAD = (0,) * 17
"""The argument for `pad`."""

_LOADS = {
    Primitive.BOOL: ("i32", "i32.load8_u"),
    Primitive.U8: ("i32", "i32.load8_u"),
    Primitive.S8: ("i32", "i32.load8_s"),
    Primitive.U16: ("i32", "i32.load16_u"),
    Primitive.S16: ("i32", "i32.load16_s"),
    Primitive.U32: ("i32", "i32.load"),
    Primitive.S32: ("i32", "i32.load"),
    Primitive.CHAR: ("i32", "i32.load"),
    Primitive.U64: ("i64", "i64.load"),
    Primitive.S64: ("i64", "i64.load"),
    Primitive.F32: ("f32", "f32.load"),
    Primitive.F64: ("f64", "f64.load"),
}

MEMORY = """
  (core module $memory
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32) (local $missing i32)
      (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.set $missing (i32.sub
        (i32.div_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 65536))
        (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
      (local.get $at))
    (func (export "free-all") (global.set $free (i32.const 65536))))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (alias core export $m "free-all" (core func $free_all))
"""
"""A memory with an allocator that frees everything after each call (`free-all` as post-return)."""


def can_be_written(type: WitType) -> bool:
    """Whether wasmtime takes the type: it wants at most 32 flags."""
    match type:
        case FlagsType(names):
            return len(names) <= 32
        case ListType(element):
            return can_be_written(element)
        case OptionType(inner):
            return can_be_written(inner)
        case TupleType(items):
            return all(map(can_be_written, items))
        case RecordType(fields):
            return all(can_be_written(field.type) for field in fields)
        case VariantType(cases):
            return all(case.type is None or can_be_written(case.type) for case in cases)
        case ResultType(ok, err):
            return all(arm is None or can_be_written(arm) for arm in (ok, err))
        case _:
            return True


def flat_count(type: WitType | None) -> int:
    """How many core values the type is flattened to."""
    match type:
        case None:
            return 0
        case Primitive.STRING | ListType():
            return 2
        case Primitive() | EnumType() | FlagsType() | HandleType():
            return 1
        case RecordType(fields):
            return sum(flat_count(field.type) for field in fields)
        case TupleType(items):
            return sum(map(flat_count, items))
        case OptionType(inner):
            return 1 + flat_count(inner)
        case ResultType(ok, err):
            return 1 + max(flat_count(ok), flat_count(err))
        case VariantType(cases):
            return 1 + max(flat_count(case.type) for case in cases)


def _load(type: WitType) -> tuple[str, str]:
    """The core type and load instruction of a type that is flattened to one value."""
    match type:
        case Primitive():
            return _LOADS[type]
        case RecordType(fields):
            return _load(fields[0].type)
        case TupleType(items):
            return _load(items[0])
        case FlagsType(names):
            return "i32", "i32.load8_u" if len(names) <= 8 else "i32.load16_u" if len(names) <= 16 else "i32.load"
        case _:
            return "i32", "i32.load8_u"  # the discriminant of an enum, or of cases that carry nothing


class _Names:
    """Types that WIT wants to have a name, in the order of their definition."""

    def __init__(self) -> None:
        self.definitions: list[str] = []

    def expression(self, type: WitType) -> str:
        match type:
            case Primitive():
                return type.value
            case ListType(element):
                return f"(list {self.expression(element)})"
            case OptionType(inner):
                return f"(option {self.expression(inner)})"
            case TupleType(items):
                return f"(tuple {' '.join(map(self.expression, items))})"
            case ResultType(ok, err):
                first = "" if ok is None else f" {self.expression(ok)}"
                second = "" if err is None else f" (error {self.expression(err)})"
                return f"(result{first}{second})"
            case RecordType(fields):
                parts = [f'(field "{field.name}" {self.expression(field.type)})' for field in fields]
                return self._name(f"(record {' '.join(parts)})")
            case VariantType(cases):
                parts = [
                    f'(case "{case.name}"{"" if case.type is None else " " + self.expression(case.type)})'
                    for case in cases
                ]
                return self._name(f"(variant {' '.join(parts)})")
            case EnumType(names):
                return self._name("(enum " + " ".join(f'"{name}"' for name in names) + ")")
            case FlagsType(names):
                return self._name("(flags " + " ".join(f'"{name}"' for name in names) + ")")
            case HandleType():
                raise NotImplementedError("handles cannot be echoed")

    def _name(self, definition: str) -> str:
        if definition not in self.definitions:
            self.definitions.append(definition)
        return f"$t{self.definitions.index(definition)}"


def echo_component(type: WitType) -> str:
    """The text of the component."""
    names = _Names()
    written = names.expression(type)
    types = range(len(names.definitions))
    # Within the import, a type that has been exported is only known by its new index: the same names, rebound.
    host_types = "\n".join(
        f'    (type $d{n} {names.definitions[n]}) (export "t{n}" (type $t{n} (eq $d{n})))' for n in types
    )
    aliases = "\n".join(f'  (alias export $host "t{n}" (type $t{n}))' for n in types)
    signature = f'(param "v" {written}) (param "pad" (tuple {"u64 " * 17})) (result {written})'
    if flat_count(type) > 1:
        mirror, result = "(param i32 i32)", "(result i32)"
        echo = "(local.get 0)"
        relay = "(call $mirror (local.get 0) (i32.const 8)) (i32.const 8)"
    else:
        core, load = _load(type)
        mirror, result = f"(param i32) (result {core})", f"(result {core})"
        echo = f"({load} (local.get 0))"
        relay = "(call $mirror (local.get 0))"
    lift = '(memory $mem) (realloc $realloc) (post-return (core func $main "done"))'
    return f"""(component
  (import "host" (instance $host
{host_types}
    (export "mirror" (func {signature}))))
{aliases}{MEMORY}
  (core func $mirror (canon lower (func $host "mirror") (memory $mem) (realloc $realloc)))
  (core module $module
    (import "m" "memory" (memory 1))
    (import "m" "free-all" (func $free_all))
    (import "h" "mirror" (func $mirror {mirror}))
    (func (export "echo") (param i32) {result} {echo})
    (func (export "relay") (param i32) {result} {relay})
    (func (export "done") (param {result[8:-1]}) (call $free_all)))
  (core instance $main (instantiate $module
    (with "m" (instance $m)) (with "h" (instance (export "mirror" (func $mirror))))))
  (func (export "echo") {signature} (canon lift (core func $main "echo") {lift}))
  (func (export "relay") {signature} (canon lift (core func $main "relay") {lift})))
"""
