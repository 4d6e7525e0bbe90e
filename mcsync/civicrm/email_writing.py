"""Writing addresses: each record is a call of its own, so that one bad one fails alone."""

from collections.abc import Iterator, Mapping, Sequence

from mcsync.civicrm import records
from mcsync.civicrm.lanes import Lanes
from mcsync.civicrm.pace import EMAILS, SIZES, Pace
from mcsync.civicrm.progress import Progress, all_told, is_silent, joined, told, write_each
from mcsync.civicrm.reading import chunks
from mcsync.civicrm.transport import Call, Transport, get
from mcsync.errors import McsyncError
from mcsync.model import EmailWrite, WriteResult, email_key

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
