"""The kinds of databases that guests can connect to."""

from __future__ import annotations

from golem_server.host.rdbms_address import MYSQL, POSTGRES
from golem_server.host.rdbms_database import Driver
from golem_server.host.rdbms_mysql_session import MysqlDriver
from golem_server.host.rdbms_postgres_session import PostgresDriver


def drivers() -> dict[str, Driver]:
    """How each kind is connected to, by its name in the interface."""
    return {POSTGRES: PostgresDriver(), MYSQL: MysqlDriver()}
