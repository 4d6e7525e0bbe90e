"""mcsync webhook."""

import logging
import os
import sys
from pathlib import Path

import click

from mcsync.cli.cgi import answer_web_server, put_event
from mcsync.cli.options import FileName, State, global_options
from mcsync.cli.output import write_answer
from mcsync.cli.receiving import Intake, QueueHandler, open_intake
from mcsync.errors import LockHeld, McsyncError, UsageError
from mcsync.webhooks.app import is_for_us
from mcsync.webhooks.payload import MAX_BODY, NotAPayload, parse_payload

log = logging.getLogger("mcsync")


@click.command(name="webhook")
@click.option("--file", type=FileName(), metavar="FILE", help="Read it from there, not from stdin.")
@click.option("--batch", "is_batch", is_flag=True, help="Refuse all but a batch webhook's.")
@global_options
def command(state: State, file: Path | None, is_batch: bool) -> None:
    """Store one webhook's payload from stdin, and handle it at once if no run is at work.

    It is the body of Mailchimp's POST. No secret is asked for: whoever may run this may do so.
    Started by a web server as a CGI script, which is told by $REQUEST_METHOD, it checks secret and
    signature and answers as "mcsync serve" does.

    \b
    Examples:
      mcsync webhook --json < payload
      mcsync webhook --file payload --batch
    """
    is_cgi = "REQUEST_METHOD" in os.environ
    if is_cgi and (file is not None or is_batch or state.wants_json):
        raise UsageError(
            "as a CGI script this takes no --file, no --batch and no --json",
            hint="a script that has checked the secret itself runs: env -u REQUEST_METHOD mcsync …",
        )
    intake = open_intake(state)
    if is_cgi:
        is_stored = answer_web_server(intake)
    else:
        is_stored = _store(state, intake, _read(file), is_batch)
    handled = _handle(intake) if is_stored else 0
    if not is_cgi:
        state.answer["handled"] = handled
        _tell(state)


def _read(file: Path | None) -> bytes:
    """The payload. Raises: UsageError when it cannot be read, or is too big."""
    try:
        if file is None:
            body = sys.stdin.buffer.read(MAX_BODY + 1)
        else:
            with file.open("rb") as opened:
                body = opened.read(MAX_BODY + 1)
    except OSError as error:
        what = "stdin" if file is None else str(file)
        raise UsageError(f"{what} cannot be read: {error.strerror}") from None
    if len(body) > MAX_BODY:
        raise UsageError("a payload has at most 1 MiB; this is more")
    return body


def _store(state: State, intake: Intake, body: bytes, is_batch: bool) -> bool:
    """Store the payload if there is something for us in it; the answer so far is in `state`."""
    try:
        payload = parse_payload(body)
    except NotAPayload:
        raise UsageError(
            "this is no webhook's payload: it has no type",
            hint='it looks like "type=subscribe&fired_at=…&data%5Bemail%5D=…"',
        ) from None
    if is_batch and not payload.is_batch:
        raise UsageError("this is no batch webhook's payload", hint="leave --batch out")
    state.answer = {"stored": False, "kind": payload.type or None, "handled": 0}
    if not is_for_us(payload.event, intake.list_ids):
        return False
    put_event(intake, payload.event)
    state.answer["stored"] = True
    return True


def _handle(intake: Intake) -> int:
    """Handle what is in the queue; trouble is only logged, for the payload is safe."""
    try:
        return QueueHandler(intake).handle_chunk()
    except LockHeld:
        log.info("another run is at work; the next one handles the webhook")
    except McsyncError as error:
        log.warning("the webhook is stored, and handled by the next run: %s", error.message)
    return 0


def _tell(state: State) -> None:
    if not state.wants_json:
        answer = state.answer
        kind = answer["kind"] or "of a kind unknown here"
        verb = "stored" if answer["stored"] else "nothing for us"
        write_answer(f"{verb}: {kind}; {answer['handled']} handled")
