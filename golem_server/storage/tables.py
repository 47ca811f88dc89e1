"""The tables, as SQLAlchemy Core metadata: what the sum of the migrations builds (a test compares them).

Choices that need a reason:
- Text that guests or users choose freely and no query looks into (arguments, environment, metadata) is encoded bytes:
  PostgreSQL's text and jsonb refuse U+0000, which is legal there.
- Names are compared bytewise (collation C), so that their order does not depend on the database's locale.
- Large columns are stored EXTERNAL, out of line without compression: compressing on the way costs more than a commit.
- The oplog has no foreign key to workers: the statement that appends already proves that the worker is there.
- `workers` is updated by every commit. Room is left in its pages, so that new versions of a row stay in theirs and no
  index is touched as long as status, pending invocations and timer stay what they are.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

_name = String(collation="C")
_moment = DateTime(timezone=True)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("deleted_at", _moment),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id"), nullable=False, index=True),
    # The SHA-256 of the secret: who reads the database cannot use its tokens.
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", _moment, nullable=False),
    Column("expires_at", _moment),
)

applications = Table(
    "applications",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", _name, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("deleted_at", _moment),
    Index("applications_name_key", "account_id", "name", unique=True, postgresql_where=text("deleted_at IS NULL")),
)

environments = Table(
    "environments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("application_id", Uuid, ForeignKey("applications.id"), nullable=False, index=True),
    Column("name", _name, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("deleted_at", _moment),
    Index("environments_name_key", "application_id", "name", unique=True, postgresql_where=text("deleted_at IS NULL")),
)

components = Table(
    "components",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("environment_id", Uuid, ForeignKey("environments.id"), nullable=False),
    Column("name", _name, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("deleted_at", _moment),
    Index("components_name_key", "environment_id", "name", unique=True, postgresql_where=text("deleted_at IS NULL")),
)

component_revisions = Table(
    "component_revisions",
    metadata,
    Column("component_id", Uuid, ForeignKey("components.id"), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("wasm_hash", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Column("environment", LargeBinary, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("created_by", Uuid, nullable=False),
    PrimaryKeyConstraint("component_id", "revision"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("content", BigInteger, Identity(always=True), primary_key=True),
    Column("namespace", _name, nullable=False),
    # BLAKE3 in hex; null while an upload is under way.
    Column("hash", Text(collation="C")),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", _moment, nullable=False, server_default=text("now()")),
    Index("blobs_hash_key", "namespace", "hash", unique=True),
)

blob_chunks = Table(
    "blob_chunks",
    metadata,
    Column("content", BigInteger, ForeignKey("blobs.content", ondelete="CASCADE"), nullable=False),
    Column("part", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("content", "part"),
)

workers = Table(
    "workers",
    metadata,
    # Never given again, so that a worker made anew under the name of a deleted one cannot be mistaken for it.
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("component_id", Uuid, nullable=False),
    Column("name", _name, nullable=False),
    Column("environment_id", Uuid, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("arguments", LargeBinary, nullable=False),
    Column("environment", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("last_index", BigInteger, nullable=False),
    Column("component_revision", BigInteger, nullable=False),
    Column("retry_count", Integer, nullable=False),
    Column("pending_count", Integer, nullable=False),
    Column("wake_at", BigInteger),
    Column("record", LargeBinary, nullable=False),
    # The default is an empty map.
    Column("config", LargeBinary, nullable=False, server_default=text("'\\x80'::bytea")),
    # What only agents have: who created it, and its configuration. Encoded.
    Column("agent", LargeBinary),
    Index("workers_name_key", "component_id", "name", unique=True),
    Index("workers_component_idx", "component_id", "number"),
    Index("workers_status_idx", "component_id", "status", "number"),
    Index("workers_revision_idx", "component_id", "component_revision", "number"),
    Index("workers_created_idx", "component_id", "created_at", "number"),
    # 0 is Running, 4 is Retrying.
    Index("workers_recover_idx", "number", postgresql_where=text("status IN (0, 4) OR pending_count > 0")),
    Index("workers_wake_idx", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
    postgresql_with={"fillfactor": 50},
)

oplog = Table(
    "oplog",
    metadata,
    Column("worker", BigInteger, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    # Where set, `data` is empty and the bytes are the blob of this hash in the worker's namespace.
    Column("payload_hash", Text(collation="C")),
    # The fence: two owners that append the same index conflict.
    PrimaryKeyConstraint("worker", "index"),
)

promises = Table(
    "promises",
    metadata,
    Column("worker", BigInteger, nullable=False),
    Column("oplog_index", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("completed_at", _moment, nullable=False, server_default=text("now()")),
    PrimaryKeyConstraint("worker", "oplog_index"),
)

scheduled_invocations = Table(
    "scheduled_invocations",
    metadata,
    # The caller's derived key: the same call again overwrites its row.
    Column("id", Uuid, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("sequence", BigInteger, Identity(always=True), nullable=False),
    # The life of the worker that is meant.
    Column("worker", BigInteger, nullable=False),
    Column("component_id", Uuid, nullable=False),
    Column("worker_name", _name, nullable=False),
    Column("invocation", LargeBinary, nullable=False),
    Index("scheduled_invocations_due_idx", "due_at", "sequence"),
    Index("scheduled_invocations_worker_idx", "worker"),
)


def _value() -> list[Column[Any]]:
    """The columns of a value: its bytes in `data`, or the blob of a hash in a namespace that nothing else uses."""
    return [
        Column("size_bytes", BigInteger, nullable=False),
        Column("data", LargeBinary),
        Column("namespace", _name),
        Column("hash", Text(collation="C")),
    ]


# Guests choose names of buckets, keys, containers and objects: UTF-8 as bytes, since U+0000 is legal in them.
keyvalue_entries = Table(
    "keyvalue_entries",
    metadata,
    Column("environment_id", Uuid, nullable=False),
    Column("bucket", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    *_value(),
    PrimaryKeyConstraint("environment_id", "bucket", "key"),
    Index("keyvalue_entries_namespace_idx", "namespace", postgresql_where=text("namespace IS NOT NULL")),
)

blobstore_containers = Table(
    "blobstore_containers",
    metadata,
    Column("environment_id", Uuid, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("environment_id", "name"),
)

blobstore_objects = Table(
    "blobstore_objects",
    metadata,
    Column("environment_id", Uuid, nullable=False),
    Column("container", LargeBinary, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    *_value(),
    PrimaryKeyConstraint("environment_id", "container", "name"),
    ForeignKeyConstraint(
        ["environment_id", "container"],
        ["blobstore_containers.environment_id", "blobstore_containers.name"],
        name="blobstore_objects_container_fkey",
    ),
    Index("blobstore_objects_namespace_idx", "namespace", postgresql_where=text("namespace IS NOT NULL")),
)

guest_writes = Table(
    "guest_writes",
    metadata,
    # Each worker's last write whose repetition would be seen (model/stored_values.py, WritePlace), and its result.
    Column("worker", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("jump", BigInteger, nullable=False),
    Column("result", LargeBinary, nullable=False),
)

plugins = Table(
    "plugins",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id"), nullable=False),
    Column("name", _name, nullable=False),
    Column("version", _name, nullable=False),
    Column("description", LargeBinary, nullable=False),
    Column("icon", LargeBinary, nullable=False),
    Column("homepage", LargeBinary, nullable=False),
    Column("scope_component", Uuid),
    Column("spec_kind", SmallInteger, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("deleted_at", _moment),
    Index(
        "plugins_name_key", "account_id", "name", "version", unique=True, postgresql_where=text("deleted_at IS NULL")
    ),
)

plugin_grants = Table(
    "plugin_grants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("environment_id", Uuid, ForeignKey("environments.id"), nullable=False),
    Column("plugin_id", Uuid, ForeignKey("plugins.id"), nullable=False),
    Column("deleted_at", _moment),
    Index(
        "plugin_grants_plugin_key",
        "environment_id",
        "plugin_id",
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
    ),
)

environment_plugins = Table(
    "environment_plugins",
    metadata,
    # What all components of an environment have installed (registry/environment_plugins.py).
    Column("environment_id", Uuid, ForeignKey("environments.id"), primary_key=True),
    Column("grant_id", Uuid, ForeignKey("plugin_grants.id"), primary_key=True),
    Column("priority", Integer, nullable=False),
    Column("installation", LargeBinary, nullable=False),
    UniqueConstraint("environment_id", "priority"),
)

oplog_archive = Table(
    "oplog_archive",
    metadata,
    # Entries `first` to `last` of a worker's oplog, compressed (storage/oplog_archive.py).
    Column("worker", BigInteger, ForeignKey("workers.number", ondelete="CASCADE"), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("oplog_archive_last_idx", "worker", "last"),
)

oplog_deliveries = Table(
    "oplog_deliveries",
    metadata,
    # How far oplog processors have been told the oplogs of workers (model/deliveries.py).
    Column("worker", BigInteger, ForeignKey("workers.number", ondelete="CASCADE"), primary_key=True),
    Column("plugin", Uuid, primary_key=True),
    Column("confirmed", BigInteger, nullable=False),
    Column("sending", BigInteger),
    Column("until", BigInteger),
    Column("processor", LargeBinary, nullable=False),
)

resource_definitions = Table(
    "resource_definitions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("environment_id", Uuid, ForeignKey("environments.id"), nullable=False),
    Column("name", _name, nullable=False),
    Column("quota_limit", LargeBinary, nullable=False),
    Column("enforcement", Text, nullable=False),
    Column("unit", LargeBinary, nullable=False),
    Column("units", LargeBinary, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("filled_at", BigInteger, nullable=False),
    Index("resource_definitions_name_key", "environment_id", "name", unique=True),
)

quota_reservations = Table(
    "quota_reservations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("resource", Uuid, ForeignKey("resource_definitions.id", ondelete="CASCADE"), nullable=False),
    Column("worker", BigInteger, ForeignKey("workers.number", ondelete="CASCADE"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Index("quota_reservations_resource_idx", "resource"),
    Index("quota_reservations_worker_idx", "worker"),
)

api_definitions = Table(
    "api_definitions",
    metadata,
    Column("environment_id", Uuid, ForeignKey("environments.id"), primary_key=True),
    Column("id", _name, primary_key=True),
    Column("version", _name, primary_key=True),
    # Grows with every change, so that a deployment notices one that came between its checks and itself.
    Column("revision", BigInteger, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_deployments = Table(
    "api_deployments",
    metadata,
    Column("site", _name, primary_key=True),
    Column("definition_id", _name, primary_key=True),
    Column("definition_version", _name, primary_key=True),
    Column("environment_id", Uuid, nullable=False),
    Column("host", Text, nullable=False),
    Column("subdomain", Text),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["environment_id", "definition_id", "definition_version"],
        ["api_definitions.environment_id", "api_definitions.id", "api_definitions.version"],
        name="api_deployments_environment_id_fkey",
    ),
    Index("api_deployments_definition_idx", "environment_id", "definition_id", "definition_version"),
)

# One row: a number that grows with every change of what gateways serve, for servers that look for changes.
gateway_generation = Table("gateway_generation", metadata, Column("number", BigInteger, primary_key=True))

# Drawn once and never changed, such as the key of webhooks' addresses.
server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", _name, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
)

domain_registrations = Table(
    "domain_registrations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("environment_id", Uuid, ForeignKey("environments.id"), nullable=False),
    Column("domain", _name, nullable=False, unique=True),
)

domain_deployments = Table(
    "domain_deployments",
    metadata,
    # Revisions of HTTP APIs and MCP endpoints (model/environment_deployments.py); the last one may be a deletion.
    Column("id", Uuid, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("use", SmallInteger, nullable=False),
    Column("environment_id", Uuid, ForeignKey("environments.id"), nullable=False),
    Column("domain", _name, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("domain_deployments_domain_key", "environment_id", "use", "domain", "revision", unique=True),
)

environment_deployments = Table(
    "environment_deployments",
    metadata,
    Column("environment_id", Uuid, ForeignKey("environments.id"), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("version", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("contents", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

current_deployments = Table(
    "current_deployments",
    metadata,
    Column("environment_id", Uuid, primary_key=True),
    Column("switches", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["environment_id", "revision"],
        ["environment_deployments.environment_id", "environment_deployments.revision"],
        name="current_deployments_environment_id_fkey",
    ),
)

security_schemes = Table(
    "security_schemes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("environment_id", Uuid, ForeignKey("environments.id"), nullable=False),
    Column("name", _name, nullable=False),
    Column("provider", Text, nullable=False),
    Column("custom_provider", Boolean, nullable=False),
    Column("issuer_url", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("client_secret", Text, nullable=False),
    Column("redirect_url", _name, nullable=False, unique=True),
    Column("scopes", LargeBinary, nullable=False),
    Index("security_schemes_name_key", "environment_id", "name", unique=True),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    # Both are hashes: of what the browser has, and of what it came back from the provider with.
    Column("id", LargeBinary, primary_key=True),
    Column("state", LargeBinary, unique=True),
    Column("scheme", Uuid, ForeignKey("security_schemes.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("claims", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("login_sessions_expires_at_idx", "expires_at"),
)

authorization_codes = Table(
    "authorization_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("scheme", Uuid, ForeignKey("security_schemes.id", ondelete="CASCADE"), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("authorization_codes_expires_at_idx", "expires_at"),
)

EXTERNAL_COLUMNS = (
    ("workers", "record"),
    ("oplog", "data"),
    ("oplog_archive", "data"),
    ("blob_chunks", "data"),
    ("keyvalue_entries", "data"),
    ("blobstore_objects", "data"),
)
"""Columns that are kept out of line without compression when they are large."""
