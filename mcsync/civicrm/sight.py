"""What proves that we see everybody, without which an empty answer says nothing.

Without `view all contacts` CiviCRM answers with empty lists and no error. Our own contact proves
nothing: `view my contact` shows it. A user limited by ACLs sees the contacts of some groups, and
somebody whom staff take out of them would look deleted. Contact 1, the site's own organisation,
is in nobody's group: who sees it sees all (civicrm: Permissions).
"""

from collections.abc import Sequence

from mcsync.civicrm import records
from mcsync.civicrm.transport import Call
from mcsync.errors import RemoteRefused
from mcsync.model import Permission

# On every site since its installation. Guess: it is still there, as CiviCRM does not let the
# site's own organisation be deleted (source, not measured).
ORGANISATION = 1
ANY_TRASH: list[object] = ["is_deleted", "IN", [True, False]]  # else trashed contacts are hidden


def look(sample: Sequence[int] = ()) -> Call[records.WireSeen]:
    """Ask for the organisation, the site's clock, and when each of a sample was created."""
    wanted = list(dict.fromkeys((ORGANISATION, *sample)))
    fields = ["id", "created_date", "NOW() AS server_now"]
    params = {"select": fields, "where": [["id", "IN", wanted], ANY_TRASH]}
    return Call("Contact", "get", params, records.WireSeen)


def prove(host: str, seen: Sequence[records.WireSeen]) -> records.WireSeen:
    """The organisation, of what `look` was answered.

    Raises: RemoteRefused naming the permission when it is not shown.
    """
    for row in seen:
        if row.id == ORGANISATION:
            return row
    raise refusal(host)


def refusal(host: str) -> RemoteRefused:
    """What to raise when somebody who must be there is not shown."""
    return RemoteRefused(
        f"{host} does not show every contact to the API user",
        hint=f"{Permission.VIEW.hint}; an ACL that shows the contacts of some groups is not enough",
    )
