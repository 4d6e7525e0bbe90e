"""Two ways to reach others: a program that gets a document on stdin, an address that is pinged.

Neither raises: what is wrong is returned, in words that hold no secret.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO
from urllib.parse import urlsplit

from mcsync.errors import McsyncError
from mcsync.http import HttpClient
from mcsync.logs import scrub

COMMAND_S = 30.0
_PING_S = 10.0
_MOST_SAID = 2000  # bytes of what a program says when it fails
_PIECE = 1 << 16
_LAST_WORDS_S = 1.0  # until what it said before its end has been read


def tell_program(command: Sequence[str], document: bytes, secrets: Sequence[str] = ()) -> str:
    """Run a program, without a shell, with a document on stdin; what is wrong, "" if nothing.

    What it prints goes nowhere. It is killed after COMMAND_S, with whatever it has started; what it
    leaves running when it ends in time is not waited for.
    """
    name = f"notify.command {command[0]}"
    try:
        process = subprocess.Popen(  # noqa: S603  # the config is ours, and there is no shell
            list(command),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"{name} cannot be run: {getattr(error, 'strerror', None) or 'not a command'}"
    try:
        said = _talk(process, document)
    except subprocess.TimeoutExpired:
        return f"{name} did not end within {COMMAND_S:.0f} s, and was killed"
    finally:
        _end(process)
    if process.returncode == 0:
        return ""
    words = scrub(said.decode(errors="replace").strip().partition("\n")[0], secrets)
    return f"{name} failed with exit code {process.returncode}" + (f": {words}" if words else "")


def _talk(process: "subprocess.Popen[bytes]", document: bytes) -> bytes:
    """Give it the document, and wait for its end; what it says first on stderr.

    Both pipes have a thread, which alone closes its own: what the program leaves running may hold
    them open for as long as it likes. Raises: subprocess.TimeoutExpired
    """
    said = bytearray()

    def write(pipe: IO[bytes]) -> None:
        with suppress(OSError), pipe:  # it need not read what it is told
            rest = memoryview(document)
            while rest:
                rest = rest[pipe.write(rest) :]

    def read(pipe: IO[bytes]) -> None:
        with suppress(OSError), pipe:
            while piece := pipe.read(_PIECE):
                said.extend(piece[: _MOST_SAID - len(said)])

    ends = [
        threading.Thread(target=talk, args=(pipe,), daemon=True)
        for talk, pipe in ((write, process.stdin), (read, process.stderr))
    ]
    for thread in ends:
        thread.start()
    process.wait(COMMAND_S)
    ends[1].join(_LAST_WORDS_S)
    return bytes(said)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what still runs, with its children."""
    if process.returncode is None:
        with suppress(OSError, AttributeError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def ping(url: str, ending: str, body: bytes) -> str:
    """POST to an address with an ending to its path; what is wrong, "" if nothing.

    Tried once, for _PING_S at most; the address itself, which is a secret, is not told.
    """
    parts = urlsplit(url)
    place = parts._replace(path=parts.path.rstrip("/") + ending).geturl()
    ends_at = time.monotonic() + _PING_S
    client = HttpClient(
        max_connections=1, service="notify.pingUrl", ends_at=ends_at, least_s=0, hides_path=True
    )
    try:
        reply = client.send(
            "POST",
            place,
            is_repeatable=True,
            headers={"Content-Type": "application/json"},
            data=body,
            timeout_s=_PING_S,
            expects_json=False,
            deadline_s=0,
            max_bytes=1 << 20,
        )
    except McsyncError as error:
        return error.message
    if reply.is_success:
        return ""
    moved = "; redirects are not followed" if 300 <= reply.status < 400 else ""
    return f"notify.pingUrl at {parts.hostname} answered HTTP {reply.status}{moved}"
