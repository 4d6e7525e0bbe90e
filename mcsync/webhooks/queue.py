"""What `serve` and `webhook` share: the config they need, and the queue handled under the lock."""

import logging
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcsync.config import AudienceConfig, Config
from mcsync.errors import LockHeld, McsyncError
from mcsync.lock import hold_lock

if TYPE_CHECKING:
    from mcsync.cache.store import Store
    from mcsync.pipeline.run import Run

log = logging.getLogger("mcsync")

CHUNK = 200  # events in one go; the lock is free between two


@dataclass(frozen=True, slots=True)
class Intake:
    """What receiving webhooks needs: config, audiences asked for, where the cache is."""

    config: Config
    audiences: tuple[AudienceConfig, ...]
    cache: Path

    @property
    def list_ids(self) -> frozenset[str]:
        """The audiences that we care for."""
        return frozenset(audience.list_id for audience in self.audiences)


def prepare_cache(cache: Path) -> None:
    """Make the cache, or bring it up to date, before somebody depends on it.

    Where a run holds the lock it has done so. Raises: CacheError
    """
    from mcsync.cache.store import Store

    try:
        with hold_lock(cache):
            Store(cache).close()
    except LockHeld:
        log.debug("another run is at work, so the cache is there")


@dataclass(slots=True)
class QueueHandler:
    """Handles the queue, a chunk at a time, each as a run of its own under the lock."""

    intake: Intake
    stopping: threading.Event = field(default_factory=threading.Event)
    run: "Run | None" = None

    def handle_chunk(self) -> int:
        """Handle the oldest events; returns how many, 0 when nothing is left or possible now.

        Raises: LockHeld at once when a run is at work; the trouble that kept it from handling
        any. Trouble with some audiences only is logged.
        """
        with hold_lock(self.intake.cache):
            from mcsync.cache.store import Store

            with closing(Store(self.intake.cache)) as store, store.explaining():
                return self._handle(store)

    def hurry(self) -> None:
        """Have the chunk in hand stop where it safely can; what is left is for the next sync."""
        self.stopping.set()
        if self.run is not None:
            self.run.deadline = time.monotonic()

    def take_back(self) -> None:
        """For who stops while the chunk in hand hangs, and will not wait for it."""
        if self.run is None or not self.run.trying:
            return
        from mcsync.cache.store import Store
        from mcsync.pipeline.handle_webhooks import take_back_attempts

        with suppress(McsyncError), closing(Store(self.intake.cache)) as store:
            take_back_attempts(store, self.run.trying)

    def _handle(self, store: "Store") -> int:
        from mcsync.assemble import build_run
        from mcsync.pipeline.handle_told import handle_told
        from mcsync.pipeline.handle_webhooks import handle_webhooks
        from mcsync.pipeline.run import OutOfTime

        self.run = run = build_run(
            self.intake.config, self.intake.audiences, store, sleep=self._sleep
        )
        if self.stopping.is_set():
            return 0
        try:
            handled = handle_webhooks(run, CHUNK) + handle_told(run)
        except OutOfTime:
            return 0
        try:
            run.raise_troubles()
        except McsyncError as error:
            if not handled:
                raise
            log.warning("%s", error.message)
        return handled

    def _sleep(self, seconds: float) -> None:
        """The pauses of retries, over at once when we are to stop."""
        self.stopping.wait(seconds)
