"""The command line: `golem-server run | migrate | info | token`.

It reads the settings, calls the function of app.py that has the command's name, and prints what it gives. Exit status:
0 done, 1 failed, 2 wrong usage or settings, 130 interrupted before the server was up.
"""

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from golem_server import __version__, app
from golem_server.serving import AddressInUse, StartupFailed
from golem_server.settings import LogFormat, LogLevel, Settings
from golem_server.telemetry import configure_logging

_EXPECTED_FAILURES = (AddressInUse, StartupFailed, LookupError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.model_validate(_flags(options))
    except (ValidationError, SettingsError, ValueError) as error:
        print(f"golem-server: {_settings_complaint(error)}", file=sys.stderr)
        return 2
    configure_logging(settings.log_level, settings.log_format, secrets=_secrets(settings))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_COMMANDS[options.command](settings))
    except _EXPECTED_FAILURES as error:
        print(f"golem-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if result is not None:
        print(_shown(result, as_json=options.json))
    return 0


_COMMANDS: dict[str, Callable[[Settings], Coroutine[Any, Any, object]]] = {
    "run": app.serve,
    "migrate": app.migrate,
    "info": app.info,
    "token": app.token,
}


def _parser() -> argparse.ArgumentParser:
    settings = argparse.ArgumentParser(add_help=False)
    group = settings.add_argument_group("settings", "Also as GOLEM_* in the environment, or in config/*.toml.")
    group.add_argument("--host", help="address to listen on (127.0.0.1)")
    group.add_argument("--port", type=int, help="port to listen on (9881); 0 takes a free one")
    group.add_argument("--data-directory", type=Path, metavar="FOLDER", help="where everything is kept (data)")
    group.add_argument("--database-url", metavar="URL", help="a PostgreSQL of your own instead of the embedded one")
    group.add_argument("--log-level", choices=[level.value for level in LogLevel])
    group.add_argument("--log-format", choices=[log_format.value for log_format in LogFormat])
    group.add_argument("--config", type=Path, metavar="FOLDER", dest="config_folder", help="folder of *.toml (config)")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting: --set limits.worker.memory=1GiB",
    )
    parser = argparse.ArgumentParser(prog="golem-server", description="Durable WebAssembly workers.")
    parser.add_argument("--version", action="version", version=f"golem-server {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in (
        ("run", "start the server"),
        ("migrate", "bring the database to this version's schema, without starting the server"),
        ("info", "show addresses, ids of the default account, application and environment, and the local token"),
        ("token", "print a token that the server accepts"),
    ):
        command = commands.add_parser(name, parents=[settings], help=summary, description=summary)
        command.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _flags(options: argparse.Namespace) -> dict[str, object]:
    """The settings that the command line names, as the settings model takes them.

    Raises ValueError for a `--set` that is not NAME=VALUE.
    """
    own = {name: value for name, value in vars(options).items() if name not in ("command", "json", "set")}
    flags: dict[str, object] = {name: value for name, value in own.items() if value is not None}
    for assignment in options.set:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise ValueError(f"--set {name}: expected NAME=VALUE")
        _put(flags, name.split("."), value)
    return flags


def _put(flags: dict[str, object], path: list[str], value: str) -> None:
    """Set one value in nested groups. Raises ValueError where a group of the path is a setting already."""
    first, *rest = path
    if not rest:
        flags[first] = value
        return
    group = flags.setdefault(first, {})
    if not isinstance(group, dict):
        raise ValueError(f"--set {'.'.join(path)}: {first} is a setting, not a group")
    _put(cast("dict[str, object]", group), rest, value)


def _settings_complaint(error: Exception) -> str:
    """What is wrong with the settings, one line a setting, without the values: they may be secret."""
    if not isinstance(error, ValidationError):
        return str(error)
    lines = [f"  {'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
    return "wrong settings\n" + "\n".join(lines)


def _secrets(settings: Settings) -> list[str]:
    """What must never appear in a log line."""
    named: list[SecretStr | None] = [settings.token, settings.database_url]
    return [secret.get_secret_value() for secret in named if secret is not None]


def _shown(result: Any, *, as_json: bool) -> str:
    """A command's result: a JSON object, or a line a field, or the bare value where there is only one."""
    fields: dict[str, object] = dataclasses.asdict(result)
    if as_json:
        return json.dumps(fields, indent=2, default=str)
    if len(fields) == 1:
        return str(next(iter(fields.values())))
    width = max(map(len, fields))
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {_cell(value)}" for name, value in fields.items())


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
