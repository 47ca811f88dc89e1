"""The composition root: builds every part once and wires them. The only file that knows all rooms.

The command line calls four functions of it, one for each command; each gets the settings and nothing else.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golem_server import __version__
from golem_server.api.application import Application, build_application
from golem_server.api.services import ApiServices
from golem_server.clock import SystemClock
from golem_server.durable.directory import ComponentDirectory
from golem_server.durable.discovery import AgentDiscovery
from golem_server.durable.executor import Executor
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.host_function import HostFunctions
from golem_server.durable.initial_files import InitialFiles
from golem_server.durable.plugin_delivery import DeliverySettings
from golem_server.durable.ports import OplogStore, WorkerComponent
from golem_server.durable.runtime import ExecutorSettings, Runtime
from golem_server.durable.webhooks import WebhookDirectory
from golem_server.garbage import unhurried_collection
from golem_server.gateway.classic.api_site import ApiSites
from golem_server.gateway.classic.compiler import DefinitionCompiler
from golem_server.gateway.code_first.deployments import RegisteredHttpApis, RouteChecker
from golem_server.gateway.code_first.site import CodeFirstServices, CodeFirstSites
from golem_server.gateway.code_first.webhooks import KEY_NAME as WEBHOOK_KEY
from golem_server.gateway.code_first.webhooks import WebhookAddresses, WebhookIds
from golem_server.gateway.endpoint import Gateway
from golem_server.gateway.front_door import FrontDoor
from golem_server.gateway.mcp.calls import McpCalls
from golem_server.gateway.mcp.deployments import RegisteredMcps
from golem_server.gateway.mcp.late_endpoint import LateMcpEndpoint, McpServices
from golem_server.gateway.mcp.oauth.authorization import Authorization
from golem_server.gateway.mcp.oauth.seals import KEY_NAME as AUTHORIZATION_KEY
from golem_server.gateway.mcp.oauth.seals import Seals
from golem_server.gateway.openid.agent_login import AgentLogins
from golem_server.gateway.openid.attempts import KEY_NAME as LOGIN_KEY
from golem_server.gateway.openid.attempts import Attempts
from golem_server.gateway.openid.bearer_tokens import ProviderTokens
from golem_server.gateway.openid.classic_login import ClassicLogin
from golem_server.gateway.openid.login import Logins
from golem_server.gateway.openid.provider import Providers
from golem_server.gateway.openid.provider_client import ProviderClient
from golem_server.gateway.sites import Sites
from golem_server.host.catalog import ALL, VIRTUAL_FUNCTIONS
from golem_server.host.filesystem_sandbox import FilesystemLimits
from golem_server.host.generated_clients import ClientFunctions
from golem_server.host.guest_stores import GuestStores
from golem_server.host.http_client import HttpClient, HttpSettings, PolicyResolver
from golem_server.host.network_policy import NetworkPolicy
from golem_server.host.oplog_processor_calls import OplogProcessorCaller
from golem_server.host.quota_ledger import QuotaLedger
from golem_server.host.rdbms_database import Databases, RdbmsSettings
from golem_server.host.rdbms_drivers import drivers
from golem_server.host.transformer_client import HttpTransformerClient
from golem_server.host.websocket_client import WebsocketClient, WebsocketSettings
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.oplog import RetryPolicy
from golem_server.network_rules import NetworkAccess
from golem_server.registry.accounts import (
    DEFAULT_ACCOUNT_ID,
    DEFAULT_APPLICATION_ID,
    DEFAULT_ENVIRONMENT_ID,
    Accounts,
)
from golem_server.registry.agent_directory import AgentDirectory
from golem_server.registry.api_definitions import ApiDefinitions
from golem_server.registry.components import Components
from golem_server.registry.domains import Domains
from golem_server.registry.environment_deployments import EnvironmentDeployments
from golem_server.registry.environment_plugins import EnvironmentPlugins
from golem_server.registry.plugins import Plugins
from golem_server.registry.resources import Resources
from golem_server.registry.security_schemes import SecuritySchemes
from golem_server.registry.tokens import LOCAL_TOKEN, Tokens
from golem_server.serving import RequestEdge, listen, listen_for_deployed, listen_for_mcp, serve_application
from golem_server.settings import Settings
from golem_server.storage.api_definition_store import PostgresApiDefinitionStore
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.delivery_store import PostgresDeliveryStore
from golem_server.storage.deployment_store import PostgresDeploymentStore
from golem_server.storage.domain_store import PostgresDomainStore
from golem_server.storage.embedded import EmbeddedPostgres, running_url
from golem_server.storage.gateway_generation import PostgresGatewayGeneration
from golem_server.storage.key_value_store import PostgresKeyValueStore
from golem_server.storage.login_store import PostgresLoginStore
from golem_server.storage.migrate import migrate as migrate_database
from golem_server.storage.object_store import PostgresObjectStore
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.plugin_store import PostgresPluginStore
from golem_server.storage.promise_store import PostgresPromiseStore
from golem_server.storage.quota_store import PostgresQuotaStore
from golem_server.storage.registry_store import PostgresRegistryStore
from golem_server.storage.schedule_store import PostgresScheduleStore
from golem_server.storage.secret_store import PostgresSecretStore
from golem_server.storage.security_scheme_store import PostgresSecuritySchemeStore
from golem_server.storage.value_contents import PostgresValueContents
from golem_server.telemetry import Metrics
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.inspection import ComponentReader
from golem_server.wasm.instance import Limits
from golem_server.wasm.link_cache import LinkCache
from golem_server.wasm.linking import LinkedComponent


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What `golem-server info` shows."""

    version: str
    address: str
    data_directory: str
    database: str
    account_id: str
    application_id: str
    environment_id: str
    local_token: str | None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What `golem-server token` shows."""

    token: str


async def serve(settings: Settings) -> None:
    """Run the server until a stop signal. Raises AddressInUse, StartupFailed or Unavailable."""
    server = bind(settings, Metrics())
    await serve_application(server.edge, settings, *server.listeners, stopping=server.stopping)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is bound to its ports and not yet started. `edge` is what answers at all of them."""

    api: Application
    edge: RequestEdge
    listeners: tuple[socket.socket, socket.socket, socket.socket]
    """Of the API, of deployed APIs, and of the MCP endpoint."""
    stopping: Callable[[], None]
    """To be called when a stop begins, before requests in progress are waited for."""


def bind(
    settings: Settings, metrics: Metrics, observe: Callable[[OplogStore], OplogStore] = lambda store: store
) -> Server:
    """Take the ports, and build what answers at them. Raises AddressInUse."""
    with ExitStack() as bound:
        listener = bound.enter_context(listen(settings))
        deployed = bound.enter_context(listen_for_deployed(settings))
        mcp = bound.enter_context(listen_for_mcp(settings))
        bound.pop_all()
    api = build_application(lambda: running(settings, metrics, observe, door))
    door = FrontDoor(api, settings.host)
    door.at_port(deployed.getsockname()[1], door.deployed)
    door.at_port(mcp.getsockname()[1], door.over_mcp)
    return Server(api, RequestEdge(door, metrics), (listener, deployed, mcp), door.stopping)


async def migrate(settings: Settings) -> None:
    """Bring the database to this version's schema."""
    async with AsyncExitStack() as stack:
        await migrate_database(await _database_url(settings, stack))


async def info(settings: Settings) -> ServerInfo:
    """The addresses and ids that a client needs."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return ServerInfo(
        version=__version__,
        address=f"http://{host}:{settings.port}",
        data_directory=str(settings.data_directory.resolve()),
        database=_database_description(settings),
        account_id=str(DEFAULT_ACCOUNT_ID),
        application_id=str(DEFAULT_APPLICATION_ID),
        environment_id=str(DEFAULT_ENVIRONMENT_ID),
        local_token=LOCAL_TOKEN if settings.local_token_allowed else None,
    )


async def token(settings: Settings) -> TokenInfo:
    """A token that this server accepts. Raises LookupError if the settings name none and the local one is refused."""
    if settings.token is not None:
        return TokenInfo(settings.token.get_secret_value())
    if settings.local_token_allowed:
        return TokenInfo(LOCAL_TOKEN)
    raise LookupError("no token: set GOLEM_TOKEN, or allow the local token with GOLEM_ALLOW_LOCAL_TOKEN=true")


@asynccontextmanager
async def running(
    settings: Settings,
    metrics: Metrics,
    observe: Callable[[OplogStore], OplogStore] = lambda store: store,
    door: FrontDoor | None = None,
) -> AsyncGenerator[ApiServices]:
    """Everything behind the routes, started; stopped in the opposite order at the end.

    `observe` may put something between the executor and the oplog store; fault tests do. `door` gets the gateway.
    """
    _allow_many_files()
    clock = SystemClock()
    data = settings.data_directory
    uploads = _emptied(data / "uploads")
    async with AsyncExitStack() as stack:
        url = await _database_url(settings, stack)
        await migrate_database(url)
        database = Database(url, connections=settings.database_connections)
        await database.open()
        stack.push_async_callback(database.close)
        blobs = PostgresBlobStore(database)
        await blobs.delete_unfinished()
        oplogs = PostgresOplogStore(
            database,
            blobs,
            inline_bytes=settings.limits.oplog.inline_payload,
            keep_rows=settings.limits.oplog.archive_after,
            on_commit=lambda _batches, entries, seconds: metrics.committed(entries, seconds),
        )
        await oplogs.open()
        stack.push_async_callback(oplogs.close)
        registry = PostgresRegistryStore(database)
        contents = PostgresValueContents(database, blobs)
        await contents.delete_unused()

        engine = Engine(
            pool_threads=settings.executor.pool_threads,
            tick_seconds=settings.executor.epoch_tick.total_seconds(),
            max_wasm_stack_bytes=settings.limits.worker.stack,
        )
        stack.callback(engine.close)
        code = CodeCache(engine, data / "code", compile_threads=settings.executor.compile_threads)
        stack.callback(code.close)
        functions = HostFunctions(ALL)
        links = LinkCache(engine, code, lambda type_, linked: ClientFunctions(functions, type_, linked))
        stack.callback(links.close)

        accounts = Accounts(registry, clock)
        await accounts.create_defaults()
        tokens = Tokens(
            registry,
            clock,
            allow_local_token=settings.local_token_allowed,
            configured_token=None if settings.token is None else settings.token.get_secret_value(),
        )

        policy = NetworkPolicy(settings.network_access, allow=settings.network.allow, deny=settings.network.deny)
        stack.callback(policy.close)
        provider_policy = _provider_policy(settings)
        stack.callback(provider_policy.close)
        outgoing = settings.limits.outgoing_http
        http = HttpClient(
            HttpSettings(
                connect_timeout=outgoing.connect_timeout.total_seconds(),
                first_byte_timeout=outgoing.first_byte_timeout.total_seconds(),
                max_open_requests=outgoing.concurrent,
            ),
            policy,
        )
        await http.start()
        stack.push_async_callback(http.close)
        websockets = WebsocketClient(
            WebsocketSettings(
                max_connections=settings.limits.websockets,
                connect_timeout=outgoing.connect_timeout.total_seconds(),
            ),
            policy,
        )
        await websockets.start()
        stack.push_async_callback(websockets.close)
        databases = Databases(drivers(), policy, _rdbms_settings(settings))
        stack.callback(databases.close)
        quotas = PostgresQuotaStore(database)
        ledger = QuotaLedger(quotas)
        stack.push_async_callback(ledger.close)
        worker_limits = settings.limits.worker

        async def link(component: WorkerComponent) -> LinkedComponent:
            return await links.link(component.wasm_hash, component.fetch, component.links)

        services: dict[type[Any], Any] = {
            HttpClient: http,
            WebsocketClient: websockets,
            Databases: databases,
            NetworkPolicy: policy,
            QuotaLedger: ledger,
            GuestStores: GuestStores(
                contents=contents,
                key_values=PostgresKeyValueStore(database),
                objects=PostgresObjectStore(database),
                spool=_emptied(data / "values"),
                max_value=settings.limits.stored_value,
                max_unstored=worker_limits.disk,
            ),
            FilesystemLimits: FilesystemLimits(total_bytes=worker_limits.disk, names=worker_limits.files),
        }
        limits = Limits(
            memory_bytes=worker_limits.memory,
            table_elements=worker_limits.table_elements,
            instances=worker_limits.instances,
            tables=worker_limits.tables,
            memories=worker_limits.memories,
        )
        discovery = AgentDiscovery(
            engine,
            code,
            functions,
            clock,
            limits,
            services=services,
            seconds=settings.executor.discovery_timeout.total_seconds(),
        )
        components = Components(
            registry,
            accounts,
            blobs,
            ComponentReader(code),
            clock,
            discovery=discovery,
            transformer_client=HttpTransformerClient(policy, 2 * settings.limits.request.component_upload),
        )
        directory = AgentDirectory(components, accounts, clock)
        services[ComponentDirectory] = ComponentDirectory(directory)
        domain_store = PostgresDomainStore(database)
        domains = Domains(domain_store, accounts, clock, lambda: sites.forget())
        deployments = EnvironmentDeployments(
            PostgresDeploymentStore(database),
            domain_store,
            domains,
            components,
            accounts,
            RouteChecker(),
            lambda environment_id: schemes.list(environment_id),
            clock,
            lambda: sites.forget(),
        )
        http_apis = RegisteredHttpApis(deployments)
        webhook_ids = WebhookIds(await PostgresSecretStore(database).secret(WEBHOOK_KEY))
        services[WebhookDirectory] = WebhookDirectory(WebhookAddresses(http_apis, webhook_ids, settings.webhook_scheme))
        executor = Executor(
            Runtime(
                store=observe(oplogs),
                promises=PostgresPromiseStore(database),
                schedule=PostgresScheduleStore(database),
                components=components,
                link=link,
                clock=clock,
                files=data / "files",
                deliveries=PostgresDeliveryStore(database),
                processor_caller=OplogProcessorCaller(),
                initial_files=InitialFiles(data / "initial-files", components.file_contents),
                services=services,
                limits=limits,
                settings=_executor_settings(settings),
                metrics=metrics,
                virtual_functions=VIRTUAL_FUNCTIONS,
            )
        )
        await executor.start()
        stack.push_async_callback(executor.stop, settings.stop_timeout.total_seconds())
        definition_store = PostgresApiDefinitionStore(database)
        provider_client = ProviderClient(provider_policy, PolicyResolver(provider_policy))
        stack.push_async_callback(provider_client.close)
        providers = Providers(provider_client, clock)
        schemes = SecuritySchemes(
            PostgresSecuritySchemeStore(database), accounts, providers.discover, lambda: sites.forget()
        )
        attempts = Attempts(await PostgresSecretStore(database).secret(LOGIN_KEY))
        login_store = PostgresLoginStore(database)
        logins = Logins(login_store, providers, attempts, clock)
        purging = asyncio.create_task(logins.purge())
        stack.callback(purging.cancel)
        compiler = DefinitionCompiler(executor, components, schemes)
        code_first = CodeFirstSites(
            http_apis, CodeFirstServices(executor, AgentLogins(schemes, logins), webhook_ids, clock)
        )
        classic = ApiSites(definition_store, compiler, ClassicLogin(schemes, logins))
        sites = Sites([classic, code_first], PostgresGatewayGeneration(database))
        definitions = ApiDefinitions(definition_store, compiler, clock, sites.forget)
        components.constrain(definitions.check_component)
        watching = asyncio.create_task(sites.watch())
        stack.callback(watching.cancel)
        generation = PostgresGatewayGeneration(database)
        max_body = settings.limits.request.deployed_api_body
        seals = Seals(await PostgresSecretStore(database).secret(AUTHORIZATION_KEY))
        mcp = LateMcpEndpoint(
            McpServices(
                RegisteredMcps(deployments),
                generation,
                clock,
                McpCalls(executor),
                metrics.error,
                max_body,
                ProviderTokens(schemes, providers, clock),
                Authorization(schemes, logins, login_store, seals, clock),
            )
        )
        await stack.enter_async_context(mcp.running())
        if door is not None:
            door.mcp = mcp
            door.at_stop.append(mcp.stopping)
            door.gateway = Gateway(sites, max_body, metrics.error)
        stack.enter_context(unhurried_collection())
        plugin_store = PostgresPluginStore(database)
        plugins = Plugins(plugin_store, accounts, components, clock)
        yield ApiServices(
            executor=executor,
            components=components,
            definitions=definitions,
            domains=domains,
            deployments=deployments,
            security_schemes=schemes,
            directory=directory,
            accounts=accounts,
            plugins=plugins,
            environment_plugins=EnvironmentPlugins(plugin_store, plugins, components),
            resources=Resources(quotas, accounts, clock),
            tokens=tokens,
            settings=settings,
            metrics=metrics,
            uploads=uploads,
        )


def _emptied(folder: Path) -> Path:
    """The folder, without what another run left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _allow_many_files() -> None:
    """Let workers keep files and sockets open up to the machine's own limit; the usual soft one is small."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name no limit and yet allow none that large.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _provider_policy(settings: Settings) -> NetworkPolicy:
    """Where the server asks OpenID providers: guests that may go to listed places alone do not bind it to those."""
    rules = settings.network
    access = settings.network_access
    return NetworkPolicy(
        access if access is NetworkAccess.ALL else NetworkAccess.PUBLIC,
        allow=(*rules.allow, *rules.providers),
        deny=rules.deny,
    )


_GOLEM_VARIABLES = {
    "component": GolemVariables.BY_COMPONENT,
    "1.2": GolemVariables.GOLEM_1_2,
    "1.3": GolemVariables.GOLEM_1_3,
    "1.4": GolemVariables.GOLEM_1_4,
    "all": GolemVariables.ALL,
}


def _executor_settings(settings: Settings) -> ExecutorSettings:
    executor, retry = settings.executor, settings.executor.retry
    return ExecutorSettings(
        memory_budget=executor.memory_budget,
        max_pending_invocations=settings.limits.worker.pending_invocations,
        scheduler_interval=executor.scheduler_tick.total_seconds(),
        keep_ephemeral_ms=round(executor.keep_ephemeral.total_seconds() * 1000),
        delivery=DeliverySettings(
            batch_delay=executor.plugin_batch_delay.total_seconds(), batch_entries=executor.plugin_batch_entries
        ),
        guest=GuestSettings(
            suspend_after=executor.suspend_after.total_seconds(),
            golem_variables=_GOLEM_VARIABLES[executor.golem_variables],
            retry_policy=RetryPolicy(
                max_attempts=retry.max_attempts,
                min_delay=round(retry.min_delay.total_seconds() * 1000),
                max_delay=round(retry.max_delay.total_seconds() * 1000),
                multiplier=retry.multiplier,
                max_jitter_factor=retry.jitter,
            ),
        ),
    )


def _rdbms_settings(settings: Settings) -> RdbmsSettings:
    limits = settings.limits.database
    return RdbmsSettings(
        connections=limits.connections,
        all_connections=limits.all_connections,
        idle_timeout=limits.idle_timeout.total_seconds(),
        acquire_timeout=limits.acquire_timeout.total_seconds(),
        connect_timeout=limits.connect_timeout.total_seconds(),
        result_bytes=limits.result,
    )


async def _database_url(settings: Settings, stack: AsyncExitStack) -> str:
    """The URL of the database, after starting the embedded one if none is named."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    embedded = EmbeddedPostgres(_embedded_folder(settings))
    url = await embedded.start()
    stack.push_async_callback(embedded.stop)
    keeper = asyncio.create_task(embedded.keep_running())
    stack.callback(keeper.cancel)
    return url


def _database_description(settings: Settings) -> str:
    if settings.database_url is not None:
        return "external"
    return f"embedded, {'running' if running_url(_embedded_folder(settings)) else 'stopped'}"


def _embedded_folder(settings: Settings) -> Path:
    return settings.data_directory / "postgres"
