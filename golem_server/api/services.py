"""What the routes work with: built by the composition root, held by the application while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from golem_server.durable.executor import Executor
from golem_server.registry.accounts import Accounts
from golem_server.registry.agent_directory import AgentDirectory
from golem_server.registry.api_definitions import ApiDefinitions
from golem_server.registry.components import Components
from golem_server.registry.domains import Domains
from golem_server.registry.environment_deployments import EnvironmentDeployments
from golem_server.registry.environment_plugins import EnvironmentPlugins
from golem_server.registry.plugins import Plugins
from golem_server.registry.resources import Resources
from golem_server.registry.security_schemes import SecuritySchemes
from golem_server.registry.tokens import Tokens
from golem_server.settings import Settings
from golem_server.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything behind the routes. `uploads` is a folder for bodies that are being received; it must exist."""

    executor: Executor
    components: Components
    definitions: ApiDefinitions
    domains: Domains
    deployments: EnvironmentDeployments
    security_schemes: SecuritySchemes
    directory: AgentDirectory
    accounts: Accounts
    plugins: Plugins
    environment_plugins: EnvironmentPlugins
    resources: Resources
    tokens: Tokens
    settings: Settings
    metrics: Metrics
    uploads: Path


def services_of(request: Request) -> ApiServices:
    """The services of the application that a request reached."""
    services: ApiServices = request.app.state.services
    return services
