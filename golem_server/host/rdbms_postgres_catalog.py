"""What a PostgreSQL database says of its user-defined types, asked once a connection."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from golem_server.host.rdbms_errors import EXECUTION_FAILURE, RdbmsError, unsupported_column
from golem_server.host.rdbms_postgres_types import BY_CASE, BY_OID, MAX_DEPTH, VECTORS, Kind, PostgresType, array_of

Ask: TypeAlias = Callable[[str], Awaitable[str]]
"""Runs a statement of one value and gives its text."""

_DESCRIBE = """
SELECT row_to_json(described)::text FROM (
  SELECT t.oid::bigint AS oid, t.typname AS name, n.nspname AS schema, t.typtype AS kind,
         format('%I.%I', n.nspname, t.typname) AS sql, t.typbasetype::bigint AS base,
         CASE WHEN t.typcategory = 'A' THEN t.typelem::bigint ELSE 0 END AS element,
         (SELECT r.rngsubtype::bigint FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid) AS bound,
         (SELECT json_agg(json_build_array(a.attname, a.atttypid::bigint) ORDER BY a.attnum)
          FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped) AS attributes
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  WHERE t.oid = {oid}
) described
"""

MAX_NAME_LENGTH = 256

_OF_EXTENSIONS = """
SELECT coalesce(json_agg(json_build_array(t.oid::bigint, t.typname)), '[]')::text
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'b' AND t.typcategory <> 'A' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


class TypeCatalog:
    """The types of one connection's database."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._by_oid: dict[int, PostgresType] = {}
        self._oids: dict[str, int] = {}

    def forget(self) -> None:
        """Types may have changed."""
        self._by_oid.clear()
        self._oids.clear()

    async def by_oid(self, oid: int, depth: int = 0) -> PostgresType:
        """The type with this number. Raises RdbmsError."""
        known = BY_OID.get(oid) or self._by_oid.get(oid)
        if known is not None:
            return known
        if depth > MAX_DEPTH:
            raise RdbmsError.response("a type is nested too deep")
        answer = await self._ask(_DESCRIBE.format(oid=int(oid)))
        found = await self._described(json.loads(answer), depth + 1)
        self._by_oid[oid] = found
        return found

    async def by_key(self, key: str) -> PostgresType:
        """The type of a parameter, as `rdbms_postgres_types.key_of` names it. Raises RdbmsError."""
        case, _, name = key.partition(" ")
        if case == "array":
            return array_of(await self.by_key(name))
        if case in BY_CASE:
            return BY_CASE[case]
        return await self.by_oid(await self._oid_of(name or case))

    async def of_extensions(self) -> list[tuple[int, str]]:
        """Number and name of the types that are neither PostgreSQL's own nor made of others."""
        found: list[tuple[int, str]] = json.loads(await self._ask(_OF_EXTENSIONS))
        return found

    async def _oid_of(self, name: str) -> int:
        """The number of a type that a guest names, as a statement would name it."""
        oid = self._oids.get(name)
        if oid is None:
            if len(name) > MAX_NAME_LENGTH or "\0" in name:
                raise RdbmsError.parameter("the name of a type is too long")
            # Hexadecimal, so that no name can end the string.
            text = f"convert_from(decode('{name.encode().hex()}', 'hex'), 'UTF8')"
            answer = await self._ask(f"SELECT coalesce(pg_catalog.to_regtype({text})::oid, 0)::text")
            oid = int(answer)
            if oid == 0:
                raise RdbmsError(EXECUTION_FAILURE, f'type "{name}" does not exist', happened=False)
            self._oids[name] = oid
        return oid

    async def _described(self, row: dict[str, Any], depth: int) -> PostgresType:
        name, own = row["name"], row["schema"] == "pg_catalog"

        def type(kind: Kind, *of: PostgresType, attributes: tuple[str, ...] = (), shown: str = name) -> PostgresType:
            return PostgresType(row["oid"], kind, name, shown, row["sql"], of=of, attributes=attributes)

        if row["element"]:
            element = await self.by_oid(row["element"], depth)
            if element.kind is Kind.UNSUPPORTED:
                raise unsupported_column(f"{element.shown}[]")
            return array_of(element, row["oid"])
        match row["kind"]:
            case "e":
                return type(Kind.ENUMERATION)
            case "c":
                attributes: list[tuple[str, int]] = row["attributes"] or []
                parts = [await self.by_oid(oid, depth) for _, oid in attributes]
                return type(Kind.COMPOSITE, *parts, attributes=tuple(attribute for attribute, _ in attributes))
            case "d":
                return type(Kind.DOMAIN, await self.by_oid(row["base"], depth))
            case "r" if not own:
                return type(Kind.OWN_RANGE, await self.by_oid(row["bound"], depth))
            case "b" if name in VECTORS and not own:
                return type(Kind.VECTOR, shown=name.upper())
            case _:
                return type(Kind.UNSUPPORTED, shown=name.upper())
