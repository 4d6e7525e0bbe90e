"""What hostile answers cost a real process: its peak as the kernel counts it, libraries and all."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mcsync.mailchimp.archive import MAX_FILE_BYTES
from mcsync.mailchimp.client import MAX_PAGE_VALUES
from mcsync.sandbox.server import Fault, LoopbackServer, Request, Response
from tests.cli.conftest import GIVE_UP_S, SCRIPT, Office
from tests.unit.test_batch_archive import BOMBS, FRED, pack, result

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows does not count like this")

MOST_MIB = 200
# A process begins with the peak of the one that started it, so that a small one has to.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
sys.stderr.write(f"peak: {usage.ru_maxrss >> (20 if sys.platform == 'darwin' else 10)}")
sys.exit(os.waitstatus_to_exitcode(status))
"""
READ_RESULTS = """
import sys
from datetime import datetime, UTC
from mcsync.errors import ProtocolError
from mcsync.mailchimp.client import MailchimpClient
from mcsync.model import Batch

place, _, name = sys.argv[1].rpartition("/")
now = datetime.now(UTC)
batch = Batch(name, "finished", 1, 1, 0, now, now, sys.argv[1])
try:
    print(sum(1 for _ in MailchimpClient("0123456789abcdef-us1", place).fetch_outcomes(batch)))
except ProtocolError as error:
    print(error.message)
"""


@dataclass
class Store:
    """Where archives lie, by path."""

    archives: dict[str, bytes] = field(default_factory=dict)

    def handle(self, request: Request) -> Response:
        return Response(200, self.archives[request.path], {"Content-Type": "application/gzip"})

    def date_header(self) -> str:
        return "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.fixture
def store() -> Iterator[tuple[Store, str]]:
    found = Store()
    with LoopbackServer(found) as server:
        yield found, server.url


def run(*command: object, home: Path | None = None) -> tuple[int, str, int]:
    """Run a command in a process of its own: exit code, what it wrote, and its peak in MiB."""
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", MEASURE, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        env={**os.environ, "HOME": str(home or Path.home())},
        check=False,
    )
    said, _, peak = done.stderr.rpartition("peak: ")
    return done.returncode, done.stdout + said, int(peak)


def full_files() -> bytes:
    """As much as is taken for the results of a batch."""
    results = [result(f"op{n}", 200, {**FRED, "id": f"{n}"}) for n in range(10_000)]
    return pack([json.dumps(results).encode().ljust(MAX_FILE_BYTES)] * 3)


ARCHIVES: dict[str, Callable[[], bytes]] = {
    **{name: lambda make=make: gzip.compress(make(), 1) for name, make in BOMBS.items()},  # type: ignore[misc]
    "full files": full_files,
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_no_archive_takes_more_than_200_mib_of_a_process_d6(
    store: tuple[Store, str], name: str
) -> None:
    found, url = store
    found.archives["/results"] = ARCHIVES[name]()
    status, said, peak = run(sys.executable, "-c", READ_RESULTS, f"{url}/results")
    assert status == 0, said
    assert said == "30000\n" if name == "full files" else "a batch's results" in said
    assert peak < MOST_MIB


# --- commands -------------------------------------------------------------------------------------

MOST_FIELDS = MAX_PAGE_VALUES - 10_000  # with what else a thousand members have, just not too many
MEMBER = {"id": "", "email_address": "", "status": "subscribed", "merge_fields": {}}


def members_of(count: int, **more: object) -> bytes:
    """A page of members, which says that there are a million."""
    rows = (
        {**MEMBER, "id": f"{n:032x}", "email_address": f"{n}@example.org", **more}
        for n in range(count)
    )
    return json.dumps({"members": list(rows), "total_items": 1_000_000}).encode()


PAGES = {
    "more than were asked for": lambda: members_of(150_000),
    "as many as there is room for": lambda: members_of(MAX_PAGE_VALUES // 5),
    "one that is long": lambda: members_of(1, merge_fields={"FNAME": "F" * (60 << 20)}),
    "fewer than were asked for": lambda: members_of(
        100, merge_fields={f"{n:04}": f"{n}" for n in range(MOST_FIELDS // 100)}
    ),
    "one with many fields": lambda: members_of(
        1, merge_fields={f"F{n}": f"{n}" for n in range(MOST_FIELDS)}
    ),
    "many fields each": lambda: members_of(
        1_000, merge_fields={f"{n:03}": f"{n}" for n in range(MOST_FIELDS // 1_000)}
    ),
}
VALUES = {
    "many contacts": lambda: b'{"values":[' + b'{"id":1},' * 900_000 + b'{"id":1}]}',
    "many numbers": lambda: b'{"values":[' + b"1," * 1_900_000 + b"1]}",
    "one that is long": lambda: (
        b'{"values":[{"id":1,"display_name":"' + b"x" * (60 << 20) + b'"}]}'
    ),
}


def run_against(office: Office, server: str, path: str, body: bytes, skip: int = 0) -> int:
    """A fetch from a service that answers so; its peak in MiB."""
    answer = Response(200, body, {"Content-Type": "application/json"})
    faults = getattr(office.town, server).faults
    faults.append(Fault(path=path, answer=answer, skip=skip, times=None))
    options = ("--since", "ever", "--config", office.config, "--max-time", "4")
    status, said, peak = run(SCRIPT, "fetch", *options, home=office.home)
    assert status in (0, 69, 76, 77), said
    return peak


@pytest.mark.parametrize("name", PAGES)
def test_no_page_of_members_takes_more_than_200_mib_of_a_process_d4(
    office: Office, name: str
) -> None:
    assert run_against(office, "mailchimp_server", "/members", PAGES[name]()) < MOST_MIB


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("skip", [0, 1, 3])
def test_no_answer_of_civicrm_takes_more_than_200_mib_of_a_process_d4(
    office: Office, name: str, skip: int
) -> None:
    assert run_against(office, "civicrm_server", "", VALUES[name](), skip) < MOST_MIB
