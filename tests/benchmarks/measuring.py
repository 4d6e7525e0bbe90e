"""Worlds served and mcsync run as processes of their own, so that each one's cost is known."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.request import urlopen

from tests.benchmarks.server import make_config

ROOT = Path(__file__).parents[2]
_MAIN = "from mcsync.cli.main import main; main()"
# Where it is installed its modules are compiled once, and not in every run.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
_OVER_ONE_CONNECTION = f"""
from mcsync.mailchimp import client, members
from mcsync.pipeline import ahead
ahead.AT_ONCE = client.MAX_CONNECTIONS = 1
members.IN_FLIGHT = 0
{_MAIN}
"""


@dataclass(frozen=True)
class Measure:
    """One run of mcsync: seconds, MiB at its peak, requests by service, and its own report."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    exit_code: int
    requests: dict[str, int] = field(default_factory=dict)
    report: dict[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def run_mcsync(*arguments: str, one_by_one: bool = False) -> Measure:
    """Run the command and wait for it; its CPU time is that of the process with its threads.

    `one_by_one` gives it a single connection to Mailchimp.
    """
    command = (sys.executable, "-c", _OVER_ONE_CONNECTION if one_by_one else _MAIN, *arguments)
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, cwd=ROOT, env=_ENVIRONMENT
    )
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begun
    process.stdout.close()
    try:
        report = json.loads(answer).get("audiences", [{}])[0]
    except (ValueError, IndexError):
        report = {}
    return Measure(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        rss_mib=usage.ru_maxrss / 1024,  # KiB on Linux
        exit_code=process.returncode,
        report=report,
    )


class Site:
    """A world of some size, served, with the config and the cache for it in a folder."""

    def __init__(self, size: int, folder: Path, url: str, audiences: int = 1) -> None:
        self.size = size
        self.audiences = audiences
        self.folder = folder
        self.url = url
        self.config = folder / "config.json"
        self.cache = folder / "mcsync.db"

    def control(self, what: str) -> dict[str, int]:
        """Tell the server something; returns its counters."""
        with urlopen(f"{self.url}/control/{what}") as answer:  # noqa: S310  # our own server
            found = json.loads(answer.read())
        return found if isinstance(found, dict) else {}

    def change(self, step: int) -> None:
        """Have every `step`-th person change."""
        self.control(f"change?step={step}")

    def write_config(self, *, data: bool = False) -> None:
        """Write the config that leads here."""
        self.config.write_text(
            json.dumps(make_config(self.url, data=data, audiences=self.audiences))
        )
        self.config.chmod(0o600)

    def forget(self) -> None:
        """Delete the cache: the next sync is a first one."""
        for path in self.folder.glob("mcsync.db*"):
            if path.is_file():
                path.unlink()

    def sync(self, *options: str, latency_ms: int = 0, one_by_one: bool = False) -> Measure:
        """One `mcsync sync`; the run must not fail."""
        self.control(f"reset?latency={latency_ms / 1000}")
        command = ("sync", "--json", "--config", str(self.config), *options)
        found = run_mcsync(*command, one_by_one=one_by_one)
        if found.exit_code:
            raise RuntimeError(f"mcsync sync ended with {found.exit_code}: {found.report}")
        return Measure(**{**found.__dict__, "requests": self.control("count")})

    def sync_until_quiet(self, *options: str) -> list[Measure]:
        """Sync until nothing is sent and no result waits; all runs, the quiet one last."""
        runs = [self.sync(*options)]
        while runs[-1].report.get("operations_submitted") or not runs[-1].report.get("in_sync"):
            if len(runs) > 12:
                raise RuntimeError("the world does not come to rest")
            runs.append(self.sync(*options))
        return runs


@contextmanager
def serve(size: int, folder: Path, audiences: int = 1) -> Iterator[Site]:
    """A world of `size` people, served by a process that ends with the block."""
    module = (sys.executable, "-m", "tests.benchmarks.server")
    command = (*module, "--size", str(size), "--audiences", str(audiences))
    server = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)  # noqa: S603
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        folder.mkdir(parents=True, exist_ok=True)
        site = Site(size, folder, f"http://127.0.0.1:{port}", audiences)
        site.write_config()
        yield site
    finally:
        server.terminate()
        server.wait()


def run_module(name: str, arguments: Sequence[str]) -> dict[str, float]:
    """Run one of our modules as a process of its own; it prints one JSON document."""
    command = (sys.executable, "-m", name, *arguments)
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True)  # noqa: S603
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True)
class Writes:
    """A sync that wrote: how long each kind of request was under way, and how many at once."""

    measure: Measure
    busy_s: dict[str, float]
    most: dict[str, int]
    requests: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def write_new_people(folder: Path, people: int, connections: int | None) -> Writes:
    """The first sync of a town of new people; `connections` None leaves the config's default."""
    command = (sys.executable, "-m", "tests.benchmarks.town", "--people", str(people))
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as town:
        assert town.stdin is not None
        assert town.stdout is not None
        config = json.loads(town.stdout.readline())
        if connections is not None:
            config["civicrm"]["connections"] = connections
        path = folder / "config.json"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        measure = run_mcsync("sync", "--json", "--config", str(path))
        town.stdin.write("\n")
        town.stdin.flush()
        told = json.loads(town.stdout.readline())
        town.stdin.close()
    if measure.exit_code or (told["contacts"], told["group"]) != (people, people):
        raise RuntimeError(f"mcsync sync ended with {measure.exit_code}: {measure.report}, {told}")
    return Writes(measure, told["busy_s"], told["most"], told["requests"])
