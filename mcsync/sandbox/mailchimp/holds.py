"""Batches that hang, as some do at Mailchimp for hours, until a test lets them go on."""

import json
from collections.abc import Callable
from typing import Protocol

from mcsync.sandbox.mailchimp.state import Account, Batch, Operation
from mcsync.sandbox.mailchimp.troubles import is_about, list_of
from mcsync.sandbox.mailchimp.world import World

HANGING = ("pending", "preprocessing", "started", "finalizing")


class Runner(Protocol):
    """What carries out the operations of batches."""

    world: World

    def work(
        self,
        account: Account,
        batch: Batch,
        until: int,
        chosen: Callable[[Operation], bool] | None = None,
    ) -> int: ...

    def run(self, account: Account, batch: Batch) -> None: ...


class HeldBatch:
    """One batch that hangs, from the moment it is posted, until `release` or `finish`.

    Meanwhile the API shows it in a status before the end, without results, and a test may have
    operations carried out.
    """

    def __init__(self, runner: Runner, status: str, list_id: str = "", email: str = "") -> None:
        _check_status(status)
        self._runner = runner
        self._status = status
        self._list_id = list_id
        self._email = email
        self._found: tuple[Account, Batch] | None = None
        self._is_over = False

    # Looking

    @property
    def is_posted(self) -> bool:
        """Whether there is such a batch yet."""
        return self._found is not None

    @property
    def batch_id(self) -> str:
        """The batch's id. LookupError while none is posted."""
        return self._batch()[1].id

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All its operations as they were submitted. LookupError while none is posted."""
        return tuple(self._batch()[1].operations)

    # Steering

    def run_operations(self, *emails: str, most: int | None = None) -> int:
        """Have operations carried out now, each at most once; returns how many were.

        All that are left, or those about these people, in no order; at most so many. Their
        results come with the others', when the batch is finished. A pending batch is started.
        """
        account, batch = self._batch()
        with self._runner.world.working():
            until = len(batch.operations)
            if most is not None:
                until = min(until, until - len(batch.queue) + most)
        chosen = (lambda operation: self._is_about(operation, emails)) if emails else None
        done = self._runner.work(account, batch, until, chosen)
        with self._runner.world.working():
            if done and batch.is_held and batch.status in HANGING[:2]:
                batch.status = "started"
        return done

    def show(self, status: str, finished: int | None = None) -> None:
        """Have it shown in another status; `finished` operations, if not as many as were done."""
        _check_status(status)
        with self._runner.world.working():
            _, batch = self._batch()
            if not batch.is_held:
                raise ValueError(f"batch {batch.id} is held no longer")
            batch.status, batch.shown_finished = status, finished

    def release(self) -> None:
        """Let it go on as the settings say: at the next GET, or by `run_batches()`."""
        with self._runner.world.working():
            self._is_over = True
            if self._found is not None:
                self._found[1].is_held = False
                self._found[1].shown_finished = None

    def finish(self) -> None:
        """Let it go on and run what is left of it at once."""
        self.release()
        if self._found is not None:
            self._runner.run(*self._found)

    # For the simulator

    def take(self, account: Account, batch: Batch) -> bool:
        """Hold a batch if it is the one that was meant, and no other was before."""
        if self._is_over or self._found is not None or not self._fits(batch):
            return False
        self._found = (account, batch)
        batch.is_held, batch.status = True, self._status
        return True

    def _fits(self, batch: Batch) -> bool:
        return any(
            (not self._list_id or list_of(operation.path) == self._list_id)
            and (not self._email or self._is_about(operation, (self._email,)))
            for operation in batch.operations
        ) or not (self._list_id or self._email)

    def _batch(self) -> tuple[Account, Batch]:
        if self._found is None:
            raise LookupError("no batch was posted that was to be held")
        return self._found

    def _is_about(self, operation: Operation, emails: tuple[str, ...]) -> bool:
        audience = self._runner.world.audiences.get(list_of(operation.path))
        body = read_body(operation)
        return any(is_about(audience, operation.path, body, email) for email in emails)


def _check_status(status: str) -> None:
    if status not in HANGING:
        raise ValueError(f"a batch cannot hang as {status}; it can as: {', '.join(HANGING)}")


def read_body(operation: Operation) -> object:
    """What an operation sends, as far as it is JSON."""
    try:
        return json.loads(operation.body) if isinstance(operation.body, str) else None
    except ValueError:
        return None
