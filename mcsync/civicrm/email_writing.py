"""Writing addresses: each record is a call of its own, so that one bad one fails alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mcsync.civicrm import records
from mcsync.civicrm.lanes import Lanes
from mcsync.civicrm.pace import EMAILS, SIZES, Pace
from mcsync.civicrm.progress import Progress, all_told, is_silent, joined, told, write_each
from mcsync.civicrm.reading import chunks
from mcsync.civicrm.transport import Call, Transport, get
from mcsync.errors import McsyncError
from mcsync.model import BulkMove, EmailWrite, WriteResult, email_key

EMAILS_PER_REQUEST, _ = SIZES[EMAILS]


class AddressWriter:
    """Writes addresses of a site's contacts."""

    _transport: Transport
    _paces: Mapping[str, Pace]
    _connections: int

    def add_emails(self, emails: Sequence[EmailWrite]) -> Iterator[WriteResult]:
        """Add bulk addresses to contacts that do not have them yet; keys are contact ids.

        An address that is there already counts as done. None is added twice: while a request may
        still be running over there nothing of it is tried again; when it was not answered in
        time, the others go on in smaller requests before the error is raised.
        """
        unique = list({write.contact_id: write for write in emails}.values())
        pace, doubtful = self._paces[EMAILS], []
        lanes = Lanes(self._add, unique, pace, self._connections, lambda each: each.contact_id)
        for part, progress in lanes.run():
            if progress.done or progress.failed:
                yield progress.result()
            if progress.doubt is not None:
                doubtful.append((part, progress))
        yield from all_told(self._look_again(*each) for each in doubtful)

    def _add(self, part: list[EmailWrite]) -> Progress:
        """One chunk; what ends the write is handed over."""
        progress = Progress()
        try:
            progress = self._there([write.contact_id for write in part], part)
            calls = {w.contact_id: _new_email(w) for w in part if w.contact_id not in progress.done}
            written = write_each(self._transport, calls, tries_left=0)
            if (error := written.error) is not None:
                written = joined(self._there(list(calls), part), written)
                if calls.keys() <= written.done.keys():
                    written.error = None
                elif len(part) > 1 and is_silent(error):
                    written.doubt, written.error = error, None
            progress = joined(progress, written)
        except McsyncError as trouble:  # of reading
            progress.error = trouble
        return progress

    def _look_again(self, part: list[EmailWrite], before: Progress) -> Progress:
        """What has come of a chunk that was in doubt; that is the error unless all are there."""
        settled = before.done.keys() | before.failed.keys()
        rest = [write.contact_id for write in part if write.contact_id not in settled]
        try:
            progress = self._there(rest, part)
        except McsyncError:
            progress = Progress()
        progress.error = None if set(rest) <= progress.done.keys() else before.doubt
        return progress

    def _there(self, contact_ids: list[int], emails: Sequence[EmailWrite]) -> Progress:
        """Which of these contacts have the address that they are to be given."""
        wanted = {write.contact_id: email_key(write.email) for write in emails}
        call = get("Email", records.WireEmail, where=[["contact_id", "IN", contact_ids]])
        rows = self._transport.call(call)
        found = {
            row.contact_id
            for row in rows
            if row.contact_id and email_key(row.email or "") == wanted[row.contact_id]
        }
        return Progress(done={contact_id: contact_id for contact_id in found})

    def hold_emails(self, email_ids: Sequence[int]) -> Iterator[WriteResult]:
        """Put addresses on hold as bounced; keys are email ids.

        One that is on hold already, for whatever reason, stays as it is and counts as done.
        """
        for part in chunks(list(dict.fromkeys(email_ids)), EMAILS_PER_REQUEST):
            call = get("Email", records.WireEmail, where=[["id", "IN", part]])
            rows = {row.id: row for row in self._transport.call(call)}
            progress = Progress(
                done={row.id: row.contact_id or 0 for row in rows.values() if row.on_hold},
                failed={key: "CiviCRM has no such address" for key in part if key not in rows},
            )
            calls = {key: _hold(key) for key in rows if key not in progress.done}
            yield from told(joined(progress, write_each(self._transport, calls, tries_left=1)))

    def move_bulk_mail(self, moves: Sequence[BulkMove]) -> Iterator[WriteResult]:
        """Have other addresses that contacts have get their bulk mail; keys are contact ids.

        Where the bulk mail goes to a third address by now, or the new one is gone or on hold, the
        contact is among those that failed, and stays as it is. All may be done twice.
        """
        unique = list({move.contact_id: move for move in moves}.values())
        for part in chunks(unique, EMAILS_PER_REQUEST):
            yield from told(self._move_some(part))

    def _move_some(self, part: Sequence[BulkMove]) -> Progress:
        """One chunk: from the old ones first, for a site may not do that by itself."""
        contact_ids = [move.contact_id for move in part]
        call = get("Email", records.WireEmail, where=[["contact_id", "IN", contact_ids]])
        rows: dict[int | None, list[records.WireEmail]] = defaultdict(list)
        for row in self._transport.call(call):
            rows[row.contact_id].append(row)
        plans = {move.contact_id: _plan_move(move, rows[move.contact_id]) for move in part}
        failed = {i: plan for i, plan in plans.items() if isinstance(plan, str)}
        able = {i: plan for i, plan in plans.items() if not isinstance(plan, str)}
        taking = {i: _flag(plan.taken, is_it=False) for i, plan in able.items() if plan.taken}
        taken = write_each(self._transport, taking, tries_left=1)
        ready = {i: plan for i, plan in able.items() if i not in taking or i in taken.done}
        giving = {i: _flag(plan.given, is_it=True) for i, plan in ready.items() if plan.given}
        given = Progress()
        if taken.error is None:
            given = write_each(self._transport, giving, tries_left=1)
        done = {i: i for i in ready if i not in giving or i in given.done}
        failed |= taken.failed | given.failed
        return Progress(done=done, failed=failed, error=taken.error or given.error)


class _Move(NamedTuple):
    """Which of a contact's addresses, by their ids, lose the flag, and which get it."""

    taken: list[int]
    given: list[int]


def _plan_move(move: BulkMove, rows: Sequence[records.WireEmail]) -> _Move | str:
    """What is to be written, or why it cannot be, in words."""
    keyed = [(email_key(row.email or ""), row) for row in rows]
    old, new = email_key(move.old_email or ""), email_key(move.email or "")
    flagged = [(key, row.id) for key, row in keyed if row.is_bulkmail]
    if any(key not in (old, new) for key, _ in flagged):
        return "another address of the contact is the one for bulk mail by now"
    usable = [row for key, row in keyed if new and key == new and not row.on_hold]
    if new and not usable:
        return "the contact no longer has the address, or it is on hold"
    is_given = any(row.is_bulkmail for row in usable)
    return _Move(
        [email_id for key, email_id in flagged if key != new],
        [] if is_given else [row.id for row in usable[:1]],
    )


def _flag(email_ids: Sequence[int], *, is_it: bool) -> Call[records.WireOwned]:
    params = {
        "where": [["id", "IN", email_ids]],
        "values": {"is_bulkmail": is_it},
        "reload": ["id", "contact_id"],
    }
    return Call("Email", "update", params, records.WireOwned)


def _new_email(write: EmailWrite) -> Call[records.WireOwned]:
    values = {"contact_id": write.contact_id, "email": write.email, "is_bulkmail": True}
    return Call("Email", "create", {"values": values}, records.WireOwned)


def _hold(email_id: int) -> Call[records.WireOwned]:
    params = {
        "where": [["id", "=", email_id]],
        "values": {"on_hold": 1},  # 1: bounced; 2 would be an opt-out
        "reload": ["id", "contact_id"],
    }
    return Call("Email", "update", params, records.WireOwned)
