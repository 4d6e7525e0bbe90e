"""A dry run's copy of the cache is whole, even while webhooks are stored."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcsync.cache.store import Store, open_cache
from mcsync.cache.webhooks import save_events
from mcsync.errors import CacheError
from mcsync.model import EventKind, WebhookEvent

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
EVENT = WebhookEvent(EventKind.PROFILE, "aaaaaaaaaa", "wilma@example.org")


class Copier:
    """Copies as shutil does; while it does, a webhook is stored, `times` times."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.times = path, times
        self.really = shutil.copyfile

    def __call__(self, source: Path, target: Path) -> None:
        self.really(source, target)
        if source == self.path and self.times:
            self.times -= 1
            store = Store(self.path)
            save_events(store, [EVENT], NOW)
            store.close()


def test_a_webhook_stored_while_copying_is_in_the_copy(
    cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "copyfile", Copier(cache, times=2))
    with open_cache(cache, is_dry_run=True) as store:
        assert store.query("SELECT count(*) FROM civicrm_mailchimpsync_webhook").fetchone() == (2,)
        assert store.query("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_cache_that_never_holds_still_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "copyfile", Copier(cache, times=1000))
    with (
        pytest.raises(CacheError, match="written to all the time"),
        open_cache(cache, is_dry_run=True),
    ):
        raise AssertionError("there is no copy")
