"""wasi:sockets, tcp and udp: sockets can be made and configured, and are denied access to every address.

Golem gives no guest an address either. What can be asked of a socket that is bound to nothing is answered as the
interface wants it; nothing leaves the worker, so that nothing is recorded (reference: host-interfaces, section 3.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.resources import AlwaysReady
from golem_server.host.wasi_ip_name_lookup import Network
from golem_server.model.types import Value

tcp = HostInterface("wasi:sockets/tcp")
tcp_create = HostInterface("wasi:sockets/tcp-create-socket")
udp = HostInterface("wasi:sockets/udp")
udp_create = HostInterface("wasi:sockets/udp-create-socket")

INTERFACES = [tcp, tcp_create, udp, udp_create]

_SECOND = 1_000_000_000
_TCP_OPTIONS: dict[str, Value] = {
    "keep-alive-enabled": False,
    "keep-alive-idle-time": 7200 * _SECOND,
    "keep-alive-interval": 75 * _SECOND,
    "keep-alive-count": 9,
    "hop-limit": 64,
    "receive-buffer-size": 65_536,
    "send-buffer-size": 65_536,
}
_UDP_OPTIONS: dict[str, Value] = {
    "unicast-hop-limit": 64,
    "receive-buffer-size": 65_536,
    "send-buffer-size": 65_536,
}


@dataclass(slots=True)
class Socket:
    """A socket that is bound to nothing. Options by their names."""

    family: str
    options: dict[str, Value]


class TcpSocket(Socket):
    """The resource `tcp-socket`."""


class UdpSocket(Socket):
    """The resource `udp-socket`."""


class IncomingDatagrams:
    """The resource `incoming-datagram-stream`: no guest ever holds one."""


class OutgoingDatagrams:
    """The resource `outgoing-datagram-stream`: no guest ever holds one."""


@tcp_create.unrecorded("create-tcp-socket")
def create_tcp_socket(context: WorkerContext, family: str) -> Value:
    """A socket."""
    return ("ok", context.resources.add(TcpSocket(family, dict(_TCP_OPTIONS))))


@udp_create.unrecorded("create-udp-socket")
def create_udp_socket(context: WorkerContext, family: str) -> Value:
    """A socket."""
    return ("ok", context.resources.add(UdpSocket(family, dict(_UDP_OPTIONS))))


Method = Callable[[WorkerContext, Socket, tuple[Value, ...]], Value]


def _refuse(context: WorkerContext, found: Socket, arguments: tuple[Value, ...]) -> Value:
    network, address = arguments
    context.resources.get(network, Network)
    return ("err", "access-denied" if address[0] == found.family else "invalid-argument")


def _family(_context: WorkerContext, found: Socket, _arguments: tuple[Value, ...]) -> Value:
    return found.family


def _subscribe(context: WorkerContext, _found: Socket, _arguments: tuple[Value, ...]) -> Value:
    return context.resources.add(AlwaysReady())


def _failing(code: str) -> Method:
    def fail(_context: WorkerContext, _found: Socket, _arguments: tuple[Value, ...]) -> Value:
        return ("err", code)

    return fail


def _getting(name: str) -> Method:
    def get(_context: WorkerContext, found: Socket, _arguments: tuple[Value, ...]) -> Value:
        return ("ok", found.options[name])

    return get


def _setting(name: str) -> Method:
    def change(_context: WorkerContext, found: Socket, arguments: tuple[Value, ...]) -> Value:
        (value,) = arguments
        # False is a wish like any other, the number 0 is not.
        if value == 0 and value.__class__ is int:
            return ("err", "invalid-argument")
        found.options[name] = value
        return ("ok", None)

    return change


def _declare(
    interface: HostInterface,
    kind: type[Socket],
    refused: Sequence[str],
    options: Mapping[str, Value],
    errors: Mapping[str, str],
) -> None:
    """Declare the methods of a kind of socket. `refused` would use an address; `errors` can only fail, with a code."""
    methods: dict[str, Method] = {"address-family": _family, "subscribe": _subscribe}
    methods |= {name: _refuse for name in refused}
    methods |= {name: _failing(code) for name, code in errors.items()}
    for name in options:
        methods |= {name: _getting(name), f"set-{name}": _setting(name)}
    for name, method in methods.items():
        interface.unrecorded(f"[method]{interface.name.rpartition('/')[2]}-socket.{name}")(_on(kind, method))


def _on(kind: type[Socket], method: Method) -> Callable[..., Value]:
    def call(context: WorkerContext, handle: int, *arguments: Value) -> Value:
        return method(context, context.resources.get(handle, kind), arguments)

    return call


_declare(
    tcp,
    TcpSocket,
    ("start-bind", "start-connect"),
    _TCP_OPTIONS,
    {
        "finish-bind": "not-in-progress",
        "finish-connect": "not-in-progress",
        "start-listen": "invalid-state",
        "finish-listen": "not-in-progress",
        "accept": "invalid-state",
        "local-address": "invalid-state",
        "remote-address": "invalid-state",
        "shutdown": "invalid-state",
    },
)
_declare(
    udp,
    UdpSocket,
    ("start-bind",),
    _UDP_OPTIONS,
    {
        "finish-bind": "not-in-progress",
        "stream": "invalid-state",
        "local-address": "invalid-state",
        "remote-address": "invalid-state",
    },
)


@tcp.unrecorded("[method]tcp-socket.is-listening")
def is_listening(context: WorkerContext, handle: int) -> Value:
    """Never."""
    context.resources.get(handle, TcpSocket)
    return False


@tcp.unrecorded("[method]tcp-socket.set-listen-backlog-size")
def set_listen_backlog_size(context: WorkerContext, handle: int, value: int) -> Value:
    """A wish, which only zero cannot be."""
    context.resources.get(handle, TcpSocket)
    return ("ok", None) if value else ("err", "invalid-argument")


@udp.unrecorded("[method]incoming-datagram-stream.receive")
def receive(context: WorkerContext, handle: int, _count: int) -> Value:
    """No datagrams."""
    context.resources.get(handle, IncomingDatagrams)
    return ("ok", [])


@udp.unrecorded("[method]incoming-datagram-stream.subscribe")
def subscribe_to_incoming(context: WorkerContext, handle: int) -> Value:
    """Ready at once."""
    context.resources.get(handle, IncomingDatagrams)
    return context.resources.add(AlwaysReady())


@udp.unrecorded("[method]outgoing-datagram-stream.check-send")
def check_send(context: WorkerContext, handle: int) -> Value:
    """Nothing may be sent."""
    context.resources.get(handle, OutgoingDatagrams)
    return ("ok", 0)


@udp.unrecorded("[method]outgoing-datagram-stream.send")
def send(context: WorkerContext, handle: int, _datagrams: Value) -> Value:
    """Nothing is sent."""
    context.resources.get(handle, OutgoingDatagrams)
    return ("err", "access-denied")


@udp.unrecorded("[method]outgoing-datagram-stream.subscribe")
def subscribe_to_outgoing(context: WorkerContext, handle: int) -> Value:
    """Ready at once."""
    context.resources.get(handle, OutgoingDatagrams)
    return context.resources.add(AlwaysReady())
