"""Bedrock for scenarios, and who runs mcsync there."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mcsync import assemble
from mcsync.cli import session
from mcsync.sandbox.town import Town
from tests.new_cache import open_anew
from tests.scenario.aftermath import settle
from tests.scenario.bedrock import LIST, Bedrock
from tests.scenario.cron import Cron
from tests.scenario.faults import Helper
from tests.scenario.postal import Post
from tests.scenario.straight import without_sockets
from tests.scenario.telling import CommandLine, Teller


@pytest.fixture
def bedrock(town: Town, tmp_path: Path) -> Iterator[Bedrock]:
    """One audience, empty of people."""
    with without_sockets(town):
        yield Bedrock(town, tmp_path, open_cache=open_anew)


@pytest.fixture
def data(bedrock: Bedrock) -> Bedrock:
    """Bedrock with data on."""
    bedrock.with_data = True
    return bedrock


@pytest.fixture
def nicknames(bedrock: Bedrock) -> Bedrock:
    """Bedrock with data on, and a field for nicknames."""
    bedrock.town.mailchimp.add_merge_field(LIST, "NICK", "Nickname")
    bedrock.settings["data"] = {"sync": True, "fields": {"NICK": "nick_name"}}
    bedrock.with_data = None
    return bedrock


@pytest.fixture
def crowd(bedrock: Bedrock) -> Bedrock:
    """A dozen people in agreement, beside whom nobody is the only one."""
    settle(bedrock, 12)
    return bedrock


# --- who runs mcsync ------------------------------------------------------------------------------


@pytest.fixture
def cron(bedrock: Bedrock) -> Cron:
    """Cron over one audience, empty of people."""
    return Cron(bedrock)


@pytest.fixture
def mcsync(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Runs commands as cron does."""
    _forget_environment(monkeypatch)
    build_run: Callable[..., object] = assemble.build_run
    timed = partial(build_run, clock=bedrock.town.clock, sleep=bedrock.naps.append)
    monkeypatch.setattr(assemble, "build_run", timed)
    return CommandLine(bedrock)


@pytest.fixture
def tell(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Teller:
    """Runs a command that only looks."""
    _forget_environment(monkeypatch)
    monkeypatch.setattr(session, "utc_now", bedrock.town.clock)
    return Teller(bedrock)


def _forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCSYNC_CONFIG", "JOURNAL_STREAM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def post(bedrock: Bedrock) -> Post:
    """Wilma, Fred and Barney in agreement after a first run, and nothing in the post."""
    for name in ("wilma", "fred", "barney"):
        bedrock.add_both(f"{name}@example.org")
    post = Post(bedrock)
    bedrock.sync()
    assert bedrock.sync() == 0
    post.collect()
    return post


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    """The process that forks runs which die."""
    with Helper() as found:
        yield found


@pytest.fixture
def _by_hand(request: pytest.FixtureRequest) -> None:
    if "matrix" not in request.config.getoption("markexpr"):
        pytest.skip("takes many minutes; run by hand with -m matrix")
