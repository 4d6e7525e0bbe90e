"""Where a server of ours listens: an address as an option has it, and the socket for it."""

import errno
import socket
from typing import NamedTuple

import click

from mcsync.errors import UsageError

_MAX_PORT = 65535
_BIND_TROUBLES = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def shown(self) -> str:
        """As it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> Address:
    """HOST:PORT, an IPv6 address in brackets, as an option has it."""
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_bracketed else host
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= _MAX_PORT
    if not colon or not bare or not is_port or (":" in bare) != is_bracketed:
        raise click.BadParameter(f"'{text}' is not HOST:PORT, like 127.0.0.1:8080 or [::1]:8080")
    return Address(bare, int(port))


def listen(address: Address) -> socket.socket:
    """A socket that listens on this address. Raises: UsageError when it cannot be had."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _explain_bind(address, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(where)
        listener.listen()
    except OSError as error:
        listener.close()
        raise _explain_bind(address, error) from None
    return listener


def _explain_bind(address: Address, error: OSError) -> UsageError:
    if not isinstance(error, socket.gaierror) and error.errno not in _BIND_TROUBLES:
        raise error
    hint = "use a different address, or any free port: --bind 127.0.0.1:0"
    if error.errno == errno.EADDRINUSE:
        hint = f"another mcsync serve may be running there; stop it, or {hint}"
    return UsageError(f"cannot listen on {address.shown()}: {error.strerror}", hint=hint)
