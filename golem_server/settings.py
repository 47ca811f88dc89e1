"""Every setting of the server, with its default and its meaning: the only place where a default is written.

A setting comes from the first of: a command-line flag, an environment variable `GOLEM_*` (groups joined by two
underscores: `GOLEM_LIMITS__WORKER__MEMORY=1GiB`), the files `config/*.toml` (in the order of their names, a later one
wins, `*.example.toml` left out), the default below. The settings are read once at start and never change.

The docstring below each attribute is its documentation: config/golem-server.example.toml and docs/configuration.md
are written from them by `python -m golem_server.settings_reference`, and a test keeps them equal.
"""

import ipaddress
import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from golem_server.network_rules import NetworkAccess, NetworkRules
from golem_server.quantities import Duration, Size

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30

_CUSTOM_REQUEST_PORT, _MCP_PORT = 9006, 9007
"""Golem's own."""

_DEFAULT_CONFIG_FOLDER = Path("config")


class LogLevel(StrEnum):
    """How much the log says: lines of this level and above."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks: for a person, or one JSON object a line for a machine."""

    TEXT = "text"
    JSON = "json"


class SettingsGroup(BaseModel):
    """Settings that belong together; unknown names are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class WorkerLimits(SettingsGroup):
    """What one worker may use. A breach is an error of that worker and never touches another."""

    memory: Size = Size(512 * _MIB)
    """Linear memory; beyond it `memory.grow` gives -1."""
    table_elements: PositiveInt = 16_384
    """Elements of each table."""
    instances: PositiveInt = 64
    """Core instances in the worker's store."""
    tables: PositiveInt = 64
    """Tables in the worker's store."""
    memories: PositiveInt = 16
    """Linear memories in the worker's store."""
    stack: Size = Size(1 * _MIB)
    """Stack of the guest's own calls; deeper recursion traps."""
    pending_invocations: PositiveInt = 1_000
    """Invocations that wait in the queue; one more is refused with status 429."""
    disk: Size = Size(1 * _GIB)
    """Bytes in the worker's file system."""
    files: PositiveInt = 10_000
    """Files and folders in the worker's file system."""


class RequestLimits(SettingsGroup):
    """What one request to the server may be. A breach is refused with status 413 or 400."""

    component_upload: Size = Size(100 * _MIB)
    """Bytes of an uploaded component; it is streamed to disk, never held in memory."""
    json_body: Size = Size(10 * _MIB)
    """Bytes of a JSON body."""
    json_depth: PositiveInt = 64
    """Depth of nested arrays and objects in a JSON body."""
    deployed_api_body: Size = Size(10 * _MIB)
    """Bytes of the body of a request to a deployed HTTP API."""


class OplogLimits(SettingsGroup):
    """How a worker's oplog is kept."""

    inline_payload: Size = Size(64 * _KIB)
    """Payloads up to this size are kept in the entry; larger ones go to the blob store by their hash."""
    archive_after: NonNegativeInt = 10_000
    """How many of a worker's newest entries are rows of their own; older ones are compressed in chunks. 0 archives
    none."""


class OutgoingHttpLimits(SettingsGroup):
    """What guests may do with outgoing HTTP requests."""

    concurrent: PositiveInt = 64
    """Requests that one worker has open at a time."""
    connect_timeout: Duration = timedelta(seconds=30)
    """Time for connecting, where the guest sets none."""
    first_byte_timeout: Duration = timedelta(minutes=10)
    """Time until the first byte of the response, where the guest sets none; the default is Golem's."""


class DatabaseLimits(SettingsGroup):
    """What guests may do with databases of their own (golem:rdbms)."""

    connections: PositiveInt = 20
    """Connections to one address, shared by all workers; an address can ask for fewer with `?pool_size=`."""
    all_connections: PositiveInt = 200
    """Connections to all addresses together."""
    acquire_timeout: Duration = timedelta(seconds=3)
    """How long a statement waits for a connection that others use."""
    connect_timeout: Duration = timedelta(seconds=10)
    """Time for a new connection."""
    idle_timeout: Duration = timedelta(minutes=10)
    """A connection that nobody used for so long is closed."""
    result: Size = Size(32 * _MIB)
    """Bytes of one result, and of what a stream of rows gives at a time; larger results are read as streams."""


class NetworkSettings(SettingsGroup):
    """Where guests may connect: outgoing HTTP, websockets, names that are looked up, databases."""

    access: NetworkAccess | None = None
    """What the lists do not name: `all` of it, `public` for the public Internet alone (no private, loopback and
    link-local addresses, no metadata services, not this machine), or `listed` for nothing. Without a value: `all` while
    the server listens on loopback, else `public`."""
    allow: NetworkRules = ()
    """Always permitted, unless `deny` names it: networks, addresses, hosts and `*.domain`, each with or without a port,
    such as `10.0.0.0/8`, `db.internal:5432`, `[fd00::/8]:443`. A host is permitted whatever address its name stands
    for. In the environment and in flags a text with commas."""
    deny: NetworkRules = ()
    """Never permitted; written like `allow`."""
    providers: NetworkRules = ()
    """OpenID providers of security schemes that are not on the public Internet, such as `127.0.0.1:8080`, written like
    `allow`. The server itself asks providers on the public Internet and in `allow`, or anywhere if `access` is `all`,
    but never in `deny`."""


class Limits(SettingsGroup):
    """The limits that contain guests and clients. Each breach is a typed error, never a dead server."""

    worker: WorkerLimits = WorkerLimits()
    request: RequestLimits = RequestLimits()
    oplog: OplogLimits = OplogLimits()
    outgoing_http: OutgoingHttpLimits = OutgoingHttpLimits()
    websockets: PositiveInt = 100
    """Websocket connections that all guests have open together; one more waits, and fails in the end."""
    stored_value: Size = Size(256 * _MIB)
    """Bytes of one value that a guest keeps through wasi:keyvalue or wasi:blobstore."""
    database: DatabaseLimits = DatabaseLimits()


class RetryPolicy(SettingsGroup):
    """How often and when a failed invocation is tried again, unless the worker sets its own policy.

    The defaults are Golem's. The delay before retry n is `min_delay * multiplier ** (n - 1)`, at most `max_delay`,
    plus up to `jitter` of itself, drawn at random so that workers which failed together do not come back together.
    """

    max_attempts: PositiveInt = 3
    """Retries after the first failure."""
    min_delay: Duration = timedelta(milliseconds=100)
    """Delay before the first retry."""
    max_delay: Duration = timedelta(seconds=1)
    """The longest delay."""
    multiplier: float = Field(default=3.0, ge=1.0)
    """By how much the delay grows at each attempt."""
    jitter: float = Field(default=0.15, ge=0.0, le=1.0)
    """The random part that is added, as a share of the delay."""

    @model_validator(mode="after")
    def _delays_in_order(self) -> "RetryPolicy":
        if self.max_delay < self.min_delay:
            raise ValueError("max_delay is shorter than min_delay")
        return self


class ExecutorSettings(SettingsGroup):
    """How workers are run."""

    memory_budget: Size = Size(2 * _GIB)
    """Memory that loaded workers may use together; beyond it idle workers are unloaded, least recently used first."""
    suspend_after: Duration = timedelta(seconds=10)
    """A worker whose guest sleeps longer than this leaves memory and is woken by the scheduler."""
    scheduler_tick: Duration = timedelta(seconds=2)
    """How often timers are read from the database; those set by this server wake it without waiting for the tick."""
    epoch_tick: Duration = timedelta(milliseconds=1)
    """How long a guest may compute on the event loop before it goes on in a pool thread."""
    pool_threads: PositiveInt = 4
    """Threads for guests that compute; more than there are processors bring nothing."""
    discovery_timeout: Duration = timedelta(seconds=60)
    """How long a component that is uploaded may take to tell its agent types."""
    compile_threads: PositiveInt = 1
    """Components that are compiled at a time; each compilation uses all processors by itself."""
    keep_ephemeral: Duration = timedelta(days=1)
    """How long the oplog of an ephemeral agent can be read when the agent has ended; then nothing is left of it."""
    golem_variables: Literal["component", "1.2", "1.3", "1.4", "all"] = "component"
    """Which of Golem's own variables new workers find in their environment: those of the release that the component was
    made for (`component`), those of one release (1.5 has those of 1.4), or of `all` of them. Workers keep what they
    began with."""
    plugin_batch_delay: Duration = timedelta(milliseconds=200)
    """How long oplog entries wait for others before an oplog processor is told."""
    plugin_batch_entries: PositiveInt = 1_000
    """Oplog entries that an oplog processor is told at a time."""
    retry: RetryPolicy = RetryPolicy()


class Settings(BaseSettings):
    """All settings, read once at start: `Settings(port=9000)` stands for a flag, the rest is looked up."""

    model_config = SettingsConfigDict(
        env_prefix="GOLEM_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        # A wrong value is named in the error, never shown: it may be a password.
        hide_input_in_errors=True,
    )

    config_folder: Path = _DEFAULT_CONFIG_FOLDER
    """Folder whose `*.toml` files are read. It can only be set by flag or environment."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but a loopback address makes the server reachable by others."""
    port: int = Field(default=9881, ge=0, le=65_535)
    """Port to listen on; 0 takes a free one, which the log names."""
    custom_request_port: int | None = Field(default=None, ge=0, le=65_535)
    """Port at which deployed HTTP APIs answer, whatever the host; 0 takes a free one, which the log names. Without a
    value: 9006, or a free one where `port` is 0."""
    webhook_scheme: Literal["http", "https"] | None = None
    """How addresses of webhooks begin, which agents give to others. Without a value: `http` at domains of this machine
    (`localhost`, `*.localhost`, loopback addresses), else `https`."""
    mcp_port: int | None = Field(default=None, ge=0, le=65_535)
    """Port at which deployed agents answer over MCP, at `/mcp`; 0 takes a free one. Without a value: 9007, or a free
    one where `port` is 0."""
    data_directory: Path = Path("data")
    """Folder for the embedded PostgreSQL, compiled code and the workers' file systems."""
    database_url: SecretStr | None = None
    """A PostgreSQL of your own, `postgresql://user:password@host:5432/database`. Without it the server starts one in
    the data folder."""
    database_connections: PositiveInt = 8
    """Connections to PostgreSQL that are kept open at most, besides those of the oplog writers."""
    token: SecretStr | None = None
    """A bearer token for the default account, at least 16 characters of A-Z a-z 0-9 _ -. Meant for the
    environment (`GOLEM_TOKEN`) of a server that others can reach."""
    allow_local_token: bool | None = None
    """Whether the well-known token of a local Golem works. Without a value: only while the server listens on
    loopback."""
    log_level: LogLevel = LogLevel.INFO
    """How much the log says: `debug`, `info`, `warning` or `error`. One line a request comes with `debug`."""
    log_format: LogFormat = LogFormat.TEXT
    """`text` for people, `json` for machines."""
    stop_timeout: Duration = timedelta(seconds=10)
    """How long a stopping server waits for requests in progress; what is not finished then goes on at the
    next start."""
    network: NetworkSettings = NetworkSettings()
    limits: Limits = Limits()
    executor: ExecutorSettings = ExecutorSettings()

    @field_validator("token")
    @classmethod
    def _well_formed_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None:
            text = token.get_secret_value()
            if len(text) < 16 or not all(char.isascii() and (char.isalnum() or char in "_-") for char in text):
                raise ValueError("expected at least 16 characters of A-Z a-z 0-9 _ -")
        return token

    @field_validator("database_url")
    @classmethod
    def _postgresql_only(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("expected a URL that starts with postgresql://")
        return url

    @property
    def deployed_api_port(self) -> int:
        """The port to bind for deployed APIs; 0 is any free one."""
        if self.custom_request_port is not None:
            return self.custom_request_port
        return _CUSTOM_REQUEST_PORT if self.port else 0

    @property
    def port_of_mcp(self) -> int:
        """The port to bind for MCP; 0 is any free one."""
        if self.mcp_port is not None:
            return self.mcp_port
        return _MCP_PORT if self.port else 0

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def local_token_allowed(self) -> bool:
        """Whether the well-known local token is accepted."""
        return self.listens_on_loopback if self.allow_local_token is None else self.allow_local_token

    @property
    def network_access(self) -> NetworkAccess:
        """Where guests may connect, apart from the lists."""
        if self.network.access is not None:
            return self.network.access
        return NetworkAccess.ALL if self.listens_on_loopback else NetworkAccess.PUBLIC

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order in which sources are asked: flags, environment, files."""
        # The folder is a setting itself, looked up here ahead of the rest: the files in it cannot name it.
        flags = cast("dict[str, object]", init_settings())
        folder = Path(
            str(flags.get("config_folder") or os.environ.get("GOLEM_CONFIG_FOLDER") or _DEFAULT_CONFIG_FOLDER)
        )
        files = TomlConfigSettingsSource(settings_cls, toml_file=configuration_files(folder), deep_merge=True)
        return init_settings, env_settings, files


def configuration_files(folder: Path) -> list[Path]:
    """The files of a configuration folder in the order in which they are read; none if there is no such folder."""
    return sorted(file for file in folder.glob("*.toml") if not file.name.endswith(".example.toml"))
