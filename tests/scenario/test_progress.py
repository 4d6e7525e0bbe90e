"""What a person who watches a long run is told meanwhile: how much of how much is done."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mcsync.assemble import build_run
from mcsync.cache.store import Store
from mcsync.cli.session import text_of_progress
from mcsync.config import load_config
from mcsync.pipeline.sync import sync
from mcsync.sandbox.cast import settle
from mcsync.sandbox.town import Town

Told = dict[str, list[tuple[int, int]]]


@pytest.fixture
def town() -> Iterator[Town]:
    with Town() as town:
        settle(town)
        yield town


def watch_sync(town: Town, folder: Path, told: Told) -> None:
    """A sync that asks once for its results; what is told is kept by what it is about."""

    def progress(_audience: str, what: str, count: int, of: int = 0) -> None:
        told[what].append((count, of))

    config = load_config(town.write_config(folder), {})
    with closing(Store(folder / "mcsync.db")) as store:
        run = build_run(config, config.audiences, store, clock=town.clock, progress=progress)
        sync(run, wait_s=0)
        run.raise_troubles()


def test_every_long_piece_of_work_tells_how_far_it_is(town: Town, tmp_path: Path):
    town.mailchimp.settings.batch_delay_polls = 2
    told: Told = defaultdict(list)
    watch_sync(town, tmp_path, told)
    assert "results read" not in told
    watch_sync(town, tmp_path, told)
    assert told.keys() == {
        *("members fetched", "history rows fetched", "group contacts fetched", "contacts fetched"),
        *("addresses looked up", "people checked", "contacts created", "group contacts written"),
        *("people done", "operations sent", "operations finished", "results read"),
    }
    for what, steps in told.items():
        assert all(count <= of for count, of in steps if of), what
    for what in ("members fetched", "people done", "operations sent", "results read"):
        assert any(count == of > 0 for count, of in told[what]), what
    unknown = {what for what, steps in told.items() if not any(of for _, of in steps)}
    assert unknown == {"history rows fetched", "contacts created", "group contacts written"}


@pytest.mark.parametrize(
    ("count", "of", "said"),
    [
        (1200, 0, "Newsletter: 1,200 members fetched"),
        (1200, 24_000, "Newsletter: 1,200 of 24,000 members fetched"),
        (1201, 1200, "Newsletter: 1,201 members fetched"),
    ],
)
def test_in_words(count: int, of: int, said: str):
    assert text_of_progress("Newsletter", "members fetched", count, of) == said
