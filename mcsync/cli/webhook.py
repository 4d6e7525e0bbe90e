"""mcsync webhook."""

import logging
import os
import sys
from contextlib import closing
from pathlib import Path

import click

from mcsync.cli.options import global_options, path
from mcsync.cli.output import write_answer
from mcsync.cli.session import open_intake
from mcsync.cli.state import State
from mcsync.clock import utc_now
from mcsync.errors import LockHeld, McsyncError, UsageError
from mcsync.lock import check_place
from mcsync.model import ContactsTold, Delivery, WebhookEvent
from mcsync.webhooks.app import is_for_us
from mcsync.webhooks.cgi import answer_web_server, put_delivery, refuse_web_server
from mcsync.webhooks.payload import MAX_BODY, NotAPayload, parse_delivery
from mcsync.webhooks.queue import Intake, QueueHandler

log = logging.getLogger("mcsync")

_OF_CIVICRM = "contacts"  # the kind of what CiviCRM tells; Mailchimp's have its own names


@click.command(name="webhook")
@click.option(
    "--file", type=path, metavar="FILE", help="Read the payload from this file; - is stdin."
)
@click.option("--batch", "is_batch", is_flag=True, help="Accept only a batch webhook's payload.")
@click.option("--retry", is_flag=True, help="Store nothing; retry the webhooks that were given up.")
@global_options
def command(state: State, file: Path | None, is_batch: bool, retry: bool) -> None:
    """Store one webhook from stdin and handle it.

    Reads the body of a POST from Mailchimp or CiviCRM, and handles it at once if no run is at work.
    Checks no secret: whoever may run this command may do so. Started by a web server as a CGI
    script (when $REQUEST_METHOD is set), it checks secret and signature and answers as "mcsync
    serve" does.

    \b
    Examples:
      mcsync webhook --json < payload
      mcsync webhook --file payload --batch
      mcsync webhook --retry
    """
    if retry and (file is not None or is_batch):
        raise UsageError("--retry takes no payload", hint="mcsync webhook --retry")
    is_cgi = "REQUEST_METHOD" in os.environ
    if is_cgi and (retry or file is not None or is_batch or state.wants_json):
        raise UsageError(
            "as a CGI script this takes none of --file, --batch, --retry and --json",
            hint="if your script has checked the secret itself: env -u REQUEST_METHOD mcsync …",
        )
    if is_cgi:
        _be_script(state)
        return
    intake = open_intake(state)
    if retry:
        _retry(state, intake)
        return
    delivery = _store(state, intake, _read(file), is_batch)
    if delivery is not None:
        handled, why = _handle(intake)
        state.answer["handled"] = handled
        state.answer["why"] = None if handled else why or _find_why(intake, delivery)
    _show(state)


def _retry(state: State, intake: Intake) -> None:
    """Put those that were given up into the queue again, and handle what can be handled now."""
    from mcsync.cache.store import Store
    from mcsync.cache.webhooks import retry_given_up

    check_place(intake.cache)
    again = 0
    if intake.cache.exists():
        with closing(Store(intake.cache)) as store:
            again = retry_given_up(store, utc_now())
    handled, why = _handle(intake) if again else (0, None)
    state.answer = {"retried": again, "handled": handled, "why": why}
    if not state.wants_json:
        told = f"{again:,} retried; {handled:,} handled" if again else "nothing to retry"
        write_answer(f"{told}: {why}" if why else told)


def _be_script(state: State) -> None:
    """Answer a web server, whatever happens; only then handle what was stored."""
    try:
        intake = open_intake(state)
    except Exception:  # a bug, too, must not keep Mailchimp waiting; it is told as ever
        refuse_web_server()
        raise
    if answer_web_server(intake):
        _handle(intake)


def _read(file: Path | None) -> bytes:
    """The payload. Raises: UsageError when it cannot be read, or is too big."""
    is_stdin = file is None or str(file) == "-"
    if is_stdin and sys.stdin.isatty():
        click.echo("Waiting for a payload on stdin; end it with Ctrl-D.", err=True)
    try:
        if file is None or is_stdin:
            body = sys.stdin.buffer.read(MAX_BODY + 1)
        else:
            with file.open("rb") as opened:
                body = opened.read(MAX_BODY + 1)
    except OSError as error:
        what = "stdin" if is_stdin else str(file)
        raise UsageError(f"cannot read {what}: {error.strerror}") from None
    if len(body) > MAX_BODY:
        raise UsageError("the payload is larger than 1 MiB")
    return body


def _store(state: State, intake: Intake, body: bytes, is_batch: bool) -> Delivery | None:
    """Store the payload if there is something for us in it; the answer so far is in `state`."""
    try:
        payload = parse_delivery(body)
    except NotAPayload:
        raise UsageError(
            "this is not a webhook's payload: it has no type",
            hint='a payload looks like "type=subscribe&fired_at=…&data%5Bemail%5D=…"',
        ) from None
    if is_batch and (isinstance(payload, ContactsTold) or not payload.is_batch):
        raise UsageError("this is not a batch webhook's payload", hint="leave out --batch")
    state.answer = {"stored": False, "kind": None, "handled": 0, "why": None}
    delivery: Delivery | None
    if isinstance(payload, ContactsTold):
        state.answer["kind"], delivery = _OF_CIVICRM, payload
    else:
        state.answer["kind"], delivery = payload.type or None, payload.event
    if not is_for_us(delivery, intake.list_ids):
        if isinstance(delivery, WebhookEvent):
            state.answer["why"] = f"audience {delivery.list_id} is not in the config"
        return None
    put_delivery(intake, delivery)
    state.answer["stored"] = True
    return delivery


def _handle(intake: Intake) -> tuple[int, str | None]:
    """Handle what is in the queue: how many, or why not. The payload is safe in any case."""
    try:
        return QueueHandler(intake).handle_chunk(), None
    except LockHeld:
        return 0, "another run is at work; that run or the next sync handles it"
    except McsyncError as error:
        log.warning("the webhook is stored, and the next run handles it: %s", error.message)
        return 0, "nothing can be handled right now; the next sync handles it"


def _find_why(intake: Intake, delivery: Delivery) -> str:
    """Why nothing was handled, though nothing went wrong."""
    from mcsync.cache.audience_status import load_status
    from mcsync.cache.store import open_to_look

    store = open_to_look(intake.cache)
    if store is not None and isinstance(delivery, WebhookEvent) and delivery.list_id:
        with closing(store):
            if load_status(store, delivery.list_id).fetched_at is None:
                return "the audience has never been fetched: run mcsync fetch"
    return "the next sync handles it"


def _show(state: State) -> None:
    if not state.wants_json:
        answer = state.answer
        kind = answer["kind"] or "an unknown kind"
        verb = "stored" if answer["stored"] else "ignored"
        why = f": {answer['why']}" if answer["why"] else ""
        write_answer(f"{verb}: {kind}; {answer['handled']} handled{why}")
