"""What the commands that only look share: the config, and the cache opened without a lock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mcsync.cli.session import load
from mcsync.cli.state import State
from mcsync.clock import utc_now
from mcsync.lock import check_place, hold_lock, resolve_cache

if TYPE_CHECKING:
    from mcsync.answers.status import Watched
    from mcsync.cache.store import Store
    from mcsync.config import AudienceConfig


@dataclass(frozen=True, slots=True)
class Look:
    """The cache as it is now, None when there is none yet, and the audiences asked for."""

    cache: Path
    store: "Store | None"
    audiences: "tuple[Watched, ...]"
    now: datetime


@contextmanager
def open_look(state: State) -> Iterator[Look]:
    """Look at the cache, whatever a run does meanwhile; nothing is written, nothing is asked.

    Raises: CacheError when there can be no cache at that place.
    """
    config, audiences = load(state)
    cache = resolve_cache(state.cache or config.cache)
    check_place(cache)
    from mcsync.cache.reading import open_to_look

    store = open_to_look(cache)
    try:
        look = Look(cache, store, watch(audiences), utc_now())
        if store is None:
            yield look
        else:
            with store.explaining():
                yield look
    finally:
        if store is not None:
            store.close()


@contextmanager
def open_to_mark(state: State, lock_wait_s: float) -> "Iterator[tuple[Store, tuple[Watched, ...]]]":
    """The cache under the lock, to mark rows in it; nothing else is asked or told."""
    config, audiences = load(state)
    cache = resolve_cache(state.cache or config.cache)
    with hold_lock(cache, lock_wait_s):
        from mcsync.cache.store import Store

        store = Store(cache)
        try:
            with store.explaining():
                yield store, watch(audiences)
        finally:
            store.close()


def watch(audiences: "Sequence[AudienceConfig]") -> "tuple[Watched, ...]":
    """The audiences of the config, with their rules, to be looked at."""
    from mcsync.answers.status import Watched
    from mcsync.assemble import build_policy

    return tuple(Watched(build_policy(a), a.name, a.trust_override) for a in audiences)
