"""Where a server of ours listens: an address as an option has it, and the socket for it."""

import errno
import os
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
        family, _, _, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(where, family=family)
    except OSError as error:
        raise _explain_bind(address, error) from None


def _explain_bind(address: Address, error: OSError) -> UsageError:
    is_of_name = isinstance(error, socket.gaierror)
    if not is_of_name and error.errno not in _BIND_TROUBLES:
        raise error
    # Python puts the address into its words a second time.
    why = error.strerror if is_of_name else os.strerror(error.errno or 0)
    hint = "use a different address, or any free port: --bind 127.0.0.1:0"
    if error.errno == errno.EADDRINUSE:
        hint = f"another mcsync serve may be running there; stop it, or {hint}"
    return UsageError(f"cannot listen on {address.shown()}: {why}", hint=hint)
