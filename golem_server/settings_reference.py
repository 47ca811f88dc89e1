"""Writes the reference of the settings from the settings themselves: the example file and the table in docs/.

`python -m golem_server.settings_reference` writes both anew after a setting has changed; a test fails until then.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo

from golem_server.quantities import render_duration, render_size
from golem_server.settings import Settings

EXAMPLE_FILE = Path("config/golem-server.example.toml")
TABLE_FILE = Path("docs/configuration.md")

_EXAMPLE_HEAD = """\
# Every setting of golem-server with its default. Copy this file to config/golem-server.toml, take away the `#` of
# what you want to change, and leave the rest: a setting that is not named keeps its default.
#
# Durations are written as 100ms, 10s, 5m, 1h; sizes as 64KiB, 512MiB, 1GiB.
# A flag or an environment variable (GOLEM_PORT, GOLEM_EXECUTOR__RETRY__MAX_ATTEMPTS) wins over this file.
"""

_TABLE_HEAD = """\
# Configuration

The server takes each setting from the first of: a command-line flag, an environment variable, the files
`config/*.toml` in the order of their names (`--config` names another folder), the default.

- Flags: the frequent settings have their own (`golem-server run --help`); `--set limits.worker.memory=1GiB` sets any.
- Environment: `GOLEM_` and the name in capitals, groups joined by two underscores: `GOLEM_LIMITS__WORKER__MEMORY=1GiB`.
- Files: [`config/golem-server.example.toml`](../config/golem-server.example.toml) shows every setting.

Durations are written as `100ms`, `10s`, `5m`, `1h`; sizes as `64KiB`, `512MiB`, `1GiB`. A setting with an unknown name
or a wrong value stops the server at its start with the name of the setting.

This page is written by `python -m golem_server.settings_reference` from the docstrings in `golem_server/settings.py`.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the reference shows it."""

    group: tuple[str, ...]
    name: str
    description: str
    default: object

    @property
    def environment_variable(self) -> str:
        """The variable that sets it."""
        return "GOLEM_" + "__".join((*self.group, self.name)).upper()

    @property
    def toml(self) -> str | None:
        """The default as it stands in a TOML file, or None for a setting that has no default."""
        match self.default:
            case None:
                return None
            case bool(value):
                return "true" if value else "false"
            case timedelta() as duration:
                return f'"{render_duration(duration)}"'
            case ByteSize() as size:
                return f'"{render_size(size)}"'
            case int() | float():
                return str(self.default)
            case StrEnum() | Path() | str():
                return f'"{self.default}"'
            case ():
                return "[]"
            case _:
                raise TypeError(f"no TOML form for the default of {self.name}")


@dataclass(frozen=True, slots=True)
class Group:
    """A table of the TOML file: the settings of one model."""

    path: tuple[str, ...]
    summary: str
    settings: list[Setting]


def groups(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[Group]:
    """All settings, group by group, each group before the ones inside it, in the order of their definition."""
    fields = [(name, field) for name, field in model.model_fields.items() if (*path, name) != ("config_folder",)]
    plain = [_setting(path, name, field) for name, field in fields if _group_model(field) is None]
    yield Group(path, (model.__doc__ or "").strip().splitlines()[0], plain)
    for name, field in fields:
        if (inner := _group_model(field)) is not None:
            yield from groups(inner, (*path, name))


def example_toml() -> str:
    """The commented example file, each default in place."""
    parts = [_EXAMPLE_HEAD]
    for group in groups():
        if not group.settings:
            continue
        if group.path:
            parts.append(f"\n# {group.summary}\n[{'.'.join(group.path)}]\n")
        for setting in group.settings:
            comment = textwrap.fill(setting.description, 116, initial_indent="# ", subsequent_indent="# ")
            parts.append(f"\n{comment}\n# {setting.name} = {setting.toml or '...  (no default)'}\n")
    return "".join(parts)


def table_markdown() -> str:
    """The page docs/configuration.md."""
    parts = [_TABLE_HEAD]
    for group in groups():
        if not group.settings:
            continue
        title = f"`[{'.'.join(group.path)}]`" if group.path else "The server"
        summary = group.summary if group.path else "At the top of the file; flags of the same name with `-` for `_`."
        parts.append(f"\n## {title}\n\n{summary}\n\n| setting | default | meaning |\n| --- | --- | --- |\n")
        for setting in group.settings:
            default = f"`{setting.toml.strip(chr(34))}`" if setting.toml else "none"
            parts.append(f"| `{setting.name}` | {default} | {setting.description} |\n")
    return "".join(parts)


def main() -> None:
    """Write both files into the checkout that is the current folder."""
    for file, text in ((EXAMPLE_FILE, example_toml()), (TABLE_FILE, table_markdown())):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _setting(path: tuple[str, ...], name: str, field: FieldInfo) -> Setting:
    return Setting(
        path, name, " ".join((field.description or "").split()), field.get_default(call_default_factory=False)
    )


def _group_model(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


if __name__ == "__main__":
    main()
