"""Batches: submitting, running when the time has come, results as a gzipped tar."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from mcsync.sandbox.mailchimp.holds import HeldBatch
from mcsync.sandbox.mailchimp.render import render_batch
from mcsync.sandbox.mailchimp.state import DAY, Account, Batch, Operation
from mcsync.sandbox.mailchimp.troubles import Troubles
from mcsync.sandbox.mailchimp.webhooks import Courier
from mcsync.sandbox.mailchimp.wire import (
    NO_CONTENT,
    Call,
    JsonObject,
    Problem,
    Reply,
    not_found,
    not_validated,
    page_of,
    project,
    read_json,
)
from mcsync.sandbox.mailchimp.world import LoggedOperation, World

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_PENDING = 500  # Mailchimp's guide: of batches pending, and of batch webhook events pending
URL_LIFE_S = 600  # Mailchimp's guide: the address of the results is valid 10 minutes
RETENTION_DAYS = 7  # Mailchimp's guide
PAGE = 1000


@dataclass(slots=True)
class Oddities:
    """Troubles in what batches bring back; each applies to every batch finished while it is set.

    null_ids, foreign_ids, missing, doubled: that many results lose their operation id, get an
        unknown one, are left out, or come twice.
    cut_archive: the archive ends in the middle.
    unready_polls: GETs of a finished batch with an empty `response_body_url`.
    all_fail: answered to every operation, without effect.
    """

    null_ids: int = 0
    foreign_ids: int = 0
    missing: int = 0
    doubled: int = 0
    cut_archive: bool = False
    unready_polls: int = 0
    all_fail: Problem | None = None


class Perform(Protocol):
    """Does one API call for an account inside a batch. Raises Problem."""

    def __call__(
        self, api_key: str, method: str, path: str, query: dict[str, str], body: object, now: int
    ) -> Reply: ...


class Batches:
    """All batches of all accounts."""

    def __init__(
        self, world: World, perform: Perform, courier: Courier, troubles: Troubles
    ) -> None:
        self.world = world
        self.oddities = Oddities()
        self.before_operation: Callable[[Operation], None] | None = None
        self._perform = perform
        self._courier = courier
        self._troubles = troubles
        self._holds: list[HeldBatch] = []
        self._urls: dict[str, tuple[str, str, int]] = {}

    # The API

    def post(self, call: Call) -> Reply:
        """POST /batches."""
        account = self.world.accounts[call.api_key]
        operations = read_operations(call.json_object())
        self._troubles.check_batch()
        waiting = sum(batch.status == "pending" for batch in account.batches.values())
        # Guess: 429 is documented for pending webhook events, for batches only the number
        if waiting >= MAX_PENDING or self._courier.undelivered_batch_events() >= MAX_PENDING:
            raise Problem(429, "Too Many Requests", "You have too many pending batches.")
        queue = list(range(len(operations)))
        self.world.random.shuffle(queue)
        batch = Batch(self.world.new_id(), operations, queue, call.now)
        account.batches[batch.id] = batch
        for hold in self._holds:
            if hold.take(account, batch):
                break
        payload = self._shown(account, batch, call.now)
        if self.world.settings.batch_delay_polls == 0:
            self.world.post_after(lambda: self.run(account, batch))
        return Reply(200, payload, "Batches/Instance")

    def list(self, call: Call) -> Reply:
        """GET /batches: the last 7 days, in no useful order."""
        account = self.world.accounts[call.api_key]
        self._forget_old(account, call.now)
        batches = sorted(account.batches.values(), key=lambda batch: batch.id)
        items = [self._shown(account, batch, call.now) for batch in batches]
        extra = self.world.linked({}, lambda links: links.pair("/batches", "/", "Batches"))
        return Reply(200, page_of(items, "batches", call.query, extra), "Batches/Collection")

    def get(self, call: Call) -> Reply:
        """GET /batches/{batch_id}: each one issues a new address of the results."""
        account, batch = self._batch(call.api_key, call.parts[0], call.now)
        payload = project(self._shown(account, batch, call.now), call.query)
        return Reply(200, payload, "Batches/Instance")

    def delete(self, call: Call) -> Reply:
        """DELETE /batches/{batch_id}: stops it; its results are gone."""
        account, batch = self._batch(call.api_key, call.parts[0], call.now)
        del account.batches[batch.id]
        batch.queue.clear()
        return NO_CONTENT

    def _batch(self, api_key: str, key: str, now: int) -> tuple[Account, Batch]:
        account = self.world.accounts[api_key]
        self._forget_old(account, now)
        if key not in account.batches:
            raise not_found()
        return account, account.batches[key]

    def _forget_old(self, account: Account, now: int) -> None:
        oldest = now - RETENTION_DAYS * DAY
        for key in [k for k, b in account.batches.items() if b.submitted_at < oldest]:
            del account.batches[key]

    def _shown(self, account: Account, batch: Batch, now: int) -> JsonObject:
        payload = render_batch(batch, self._results_url(account, batch, now))
        path = f"/batches/{batch.id}"
        return self.world.linked(payload, lambda links: links.pair(path, "/batches", "Batches"))

    # Holding

    def hold_next(self, status: str, list_id: str, email: str) -> HeldBatch:
        """Hold the next batch that is posted, or the next that fits."""
        held = HeldBatch(self, status, list_id, email)
        self._holds.append(held)
        return held

    def hold(self, batch_id: str, status: str) -> HeldBatch:
        """Hold a batch that was posted. KeyError if there is none, ValueError if it is done."""
        with self.world.working():
            accounts = self.world.accounts.values()
            found = next((a for a in accounts if batch_id in a.batches), None)
            if found is None:
                raise KeyError(f"there is no batch {batch_id}")
            batch = found.batches[batch_id]
            if batch.status == "finished":
                raise ValueError(f"batch {batch_id} is finished")
            held = HeldBatch(self, status or batch.status)
            held.take(found, batch)
            return held

    # The results

    def _results_url(self, account: Account, batch: Batch, now: int) -> str:
        if batch.status != "finished" or not batch.archive:
            return ""
        if batch.polls < batch.ready_at_poll:
            return ""
        batch.urls += 1
        signature = f"{self.world.random.getrandbits(96):024x}"
        expires = now + URL_LIFE_S
        self._urls[signature] = (account.api_key, batch.id, expires)
        name = f"{batch.id}-response.tar.gz"
        return f"{self.world.base_url}/batch-results/{name}?Expires={expires}&Signature={signature}"

    def results(self, query: str, now: int) -> bytes:
        """The archive behind an address. Raises Problem: 403 expired or forged, 404 gone."""
        signature = dict(parse_qsl(query)).get("Signature", "")
        api_key, key, expires = self._urls.get(signature, ("", "", 0))
        if now >= expires:
            raise Problem(403, "AccessDenied", "Request has expired")
        return self._troubles.damage(key, self._batch(api_key, key, now)[1].archive)

    # Running

    def poll(self, call: Call) -> None:
        """One GET of a batch: time passes for it."""
        with self.world.working() as now:
            account, batch = self._batch(call.api_key, call.parts[0], now)
            delay = self.world.settings.batch_delay_polls
            batch.polls += 1
            polls = batch.polls
        if batch.status == "finished" or batch.is_held or delay is None:
            return
        if polls >= delay:
            self.run(account, batch)
        else:
            self._advance(account, batch, polls, delay)

    def _advance(self, account: Account, batch: Batch, polls: int, delay: int) -> None:
        stages = ("preprocessing", "started", "finalizing")
        place = min(polls * len(stages) // delay, len(stages) - 1)
        batch.status = stages[place]
        if batch.status == "started":
            self.work(account, batch, len(batch.operations) // 2)
        elif batch.status == "finalizing":
            self.work(account, batch, len(batch.operations))

    def run_all(self) -> int:
        """Run every unfinished batch to its end, in the order submitted; returns how many.

        Those that are held go on hanging.
        """
        with self.world.working():
            todo = [
                (account, batch)
                for account in self.world.accounts.values()
                for batch in account.batches.values()
                if batch.status != "finished" and not batch.is_held
            ]
        for account, batch in todo:
            self.run(account, batch)
        return len(todo)

    def run(self, account: Account, batch: Batch) -> None:
        """Run what is left of a batch and finish it, unless it is held."""
        if batch.is_held:
            return
        self.work(account, batch, len(batch.operations))
        with self.world.working() as now:
            gone = batch.id not in account.batches
            if gone or batch.queue or batch.running or batch.status == "finished":
                return
            batch.archive = self._pack(batch, now)
            batch.results = []
            batch.status, batch.completed_at = "finished", now
            batch.ready_at_poll = batch.polls + self.oddities.unready_polls
            for webhook in account.batch_webhooks.values():
                self._courier.batch_finished(webhook, self._shown(account, batch, now), now)

    def work(
        self,
        account: Account,
        batch: Batch,
        until: int,
        chosen: Callable[[Operation], bool] | None = None,
    ) -> int:
        """Carry out operations, those chosen, until so many of all are done; returns how many."""
        with self.world.working():
            if batch.running:
                return 0
            batch.running = True
        done = 0
        try:
            while (operation := self._next(batch, until, chosen)) is not None:
                if self.before_operation is not None:
                    self.before_operation(operation)
                with self.world.working() as now:
                    self._run_one(account, batch, operation, now)
                done += 1
        finally:
            batch.running = False
        return done

    def _next(
        self, batch: Batch, until: int, chosen: Callable[[Operation], bool] | None
    ) -> Operation | None:
        with self.world.working():
            if len(batch.operations) - len(batch.queue) >= until:
                return None
            for place in reversed(range(len(batch.queue))):
                operation = batch.operations[batch.queue[place]]
                if chosen is None or chosen(operation):
                    del batch.queue[place]
                    return operation
            return None

    def _run_one(self, account: Account, batch: Batch, operation: Operation, now: int) -> None:
        parts = urlsplit(operation.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if operation.method == "GET":
            query |= operation.params
        whole = (
            operation.method == "GET" and parts.path.endswith("/members") and "count" not in query
        )
        offset = int(query.get("offset", "0")) if whole else 0
        while True:
            if whole:
                query |= {"count": str(PAGE), "offset": str(offset)}
            payload = self._call_once(account, batch, operation, parts.path, query, now)
            total = payload.get("total_items") if isinstance(payload, dict) else 0
            offset += PAGE
            if not whole or not isinstance(total, int) or offset >= total:
                return
            batch.extra += 1

    def _call_once(
        self,
        account: Account,
        batch: Batch,
        operation: Operation,
        path: str,
        query: dict[str, str],
        now: int,
    ) -> object:
        body, payload, status, title = operation.body, None, 0, ""
        try:
            body = read_operation_body(operation.body)
            if self.oddities.all_fail is not None:
                raise self.oddities.all_fail
            reply = self._perform(account.api_key, operation.method, path, query, body, now)
            payload, status = reply.payload, reply.status
        except Problem as problem:
            payload, status, title = problem.document(""), problem.status, problem.title
            batch.errored += 1
        batch.done += 1
        batch.results.append(
            {
                "status_code": status,
                "operation_id": operation.operation_id,
                "response": self._response_text(status, payload),
            }
        )
        at = datetime.fromtimestamp(now, UTC)
        self.world.log(
            LoggedOperation(
                at, operation.method, operation.path, body, status, title, batch.id,
                operation.operation_id,
            )
        )  # fmt: skip
        return payload

    def _response_text(self, status: int, payload: object) -> str | None:
        if status == 204:  # Guess: found nowhere; a client must cope with both
            return self.world.random.choice(("", None))
        return msgspec.json.encode(payload).decode()

    def _pack(self, batch: Batch, now: int) -> bytes:
        if not batch.operations:
            return b""
        results = odd_results(self.oddities, batch.results)
        files: list[list[JsonObject] | None] = [None, []]
        while results:
            size = self.world.random.choice((1, 1, 7, 50, 250))
            files.append(results[:size])
            results = results[size:]
        self.world.random.shuffle(files)
        names = [f"./{self.world.new_id()}.json" for _ in files]
        archive = pack(list(zip(names, files, strict=True)), now)
        return archive[: len(archive) // 2] if self.oddities.cut_archive else archive


def read_operations(body: JsonObject) -> list[Operation]:
    """The operations of a new batch. Raises Problem.

    A nested object as `body` passes here and fails when its operation is run, as the guide says.
    """
    sent = body.get("operations")
    if not isinstance(sent, list):
        raise not_validated(("operations", "Required fields were not provided: operations"))
    errors = [
        (f"operations.item:{place}.{name}", text)
        for place, entry in enumerate(sent)
        for name, text in _operation_errors(entry)
    ]
    if errors:
        raise not_validated(*errors)
    return [
        Operation(
            method=entry["method"],
            path=entry["path"],
            operation_id=entry.get("operation_id"),
            params={name: str(value) for name, value in (entry.get("params") or {}).items()},
            body=entry.get("body"),
        )
        for entry in sent
    ]


def _operation_errors(entry: object) -> list[tuple[str, str]]:
    if not isinstance(entry, dict):
        return [("", "Schema describes object, string found instead")]
    errors = []
    if entry.get("method") not in METHODS:
        text = "Data presented is not one of the accepted values: "
        errors.append(("method", text + ", ".join(METHODS) + "."))
    if not isinstance(entry.get("path"), str) or not entry["path"].startswith("/"):
        errors.append(("path", "This value should begin with a slash."))
    if not isinstance(entry.get("params", {}), dict):
        errors.append(("params", "Schema describes object, string found instead"))
    if not isinstance(entry.get("operation_id", ""), str):
        errors.append(("operation_id", "Schema describes string, integer found instead"))
    return errors


def read_operation_body(body: object) -> object:
    """Parse the JSON string of an operation. Raises Problem."""
    if body is None or isinstance(body, str):
        return read_json(body or "")
    raise not_validated(("body", "Schema describes string, object found instead"))


def odd_results(oddities: Oddities, results: Sequence[JsonObject]) -> list[JsonObject]:
    """The results with the troubles asked for."""
    odd = [dict(result) for result in results]
    start = 0
    for count, key in ((oddities.null_ids, None), (oddities.foreign_ids, "not-ours")):
        for result in odd[start : start + count]:
            result["operation_id"] = key
        start += count
    odd = odd[:start] + odd[start + oddities.missing :]
    return odd + [dict(result) for result in odd[len(odd) - oddities.doubled :]]


def pack(files: list[tuple[str, list[JsonObject] | None]], now: int) -> bytes:
    """A gzipped tar: the directory `./` first; None makes a file of 0 bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        folder = tarfile.TarInfo("./")
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, now
        tar.addfile(folder)
        for name, results in files:
            data = b"" if results is None else json.dumps(results).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), now
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
