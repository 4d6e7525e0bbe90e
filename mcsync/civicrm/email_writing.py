"""Writing addresses: each record is a call of its own, so that one bad one fails alone."""

from collections.abc import Iterator, Sequence

from mcsync.civicrm import records
from mcsync.civicrm.progress import Progress, joined, told, write_each
from mcsync.civicrm.reading import chunks
from mcsync.civicrm.transport import Call, Transport, get
from mcsync.model import EmailWrite, WriteResult, email_key

EMAILS_PER_REQUEST = 200  # 200 to 220 rows a second (civicrm: Writing)


class AddressWriter:
    """Writes addresses of a site's contacts."""

    _transport: Transport

    def add_emails(self, emails: Sequence[EmailWrite]) -> Iterator[WriteResult]:
        """Add bulk addresses to contacts that do not have them yet; keys are contact ids.

        An address that is there already counts as done. None is added twice: while a request may
        still be running over there nothing is tried again.
        """
        unique = list({write.contact_id: write for write in emails}.values())
        for part in chunks(unique, EMAILS_PER_REQUEST):
            progress = self._there([write.contact_id for write in part], part)
            calls = {w.contact_id: _new_email(w) for w in part if w.contact_id not in progress.done}
            written = write_each(self._transport, calls, tries_left=0)
            if written.error is not None:
                written = joined(self._there(list(calls), part), written)
                is_all_done = calls.keys() <= written.done.keys()
                written.error = None if is_all_done else written.error
            yield from told(joined(progress, written))

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
