"""Reads which module imports which, from the source alone: nothing is executed.

Imports inside functions and under TYPE_CHECKING count like all others: a dependency is one however it is written.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: the importing module, the imported one (dotted, absolute), and where it stands."""

    importer: str
    imported: str
    place: str


def imports_of(package: Path) -> Iterator[Import]:
    """Every import in the files of a package folder."""
    root = package.parent
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = parts[:-1] if is_package else parts
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            for imported in _imported(node, module if is_package else module[:-1]):
                yield Import(".".join(module), imported, f"{file.relative_to(root)}:{getattr(node, 'lineno', 0)}")


def _imported(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """The modules that a statement imports; `from a import b` gives `a.b`, which may be a module or a name of `a`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        origin = ".".join((*base, *(node.module or "").split("."))).strip(".")
        yield from (f"{origin}.{alias.name}" for alias in node.names)
