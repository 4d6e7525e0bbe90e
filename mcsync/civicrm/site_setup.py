"""How a CiviCRM site is set up: what `pipeline.ports.CivicrmSetupPort` asks for, over HTTP."""

from collections.abc import Mapping

import msgspec

from mcsync.civicrm import records, sight
from mcsync.civicrm.site import CivicrmClient
from mcsync.civicrm.transport import Call, CallFailed, get
from mcsync.errors import RemoteRefused
from mcsync.model import Group, Permission

# Parameters of `checkAccess`: may we change a contact, or make one? Our own would prove nothing:
# `edit my contact` is enough to change it.
_UPDATE: Mapping[str, object] = {"action": "update", "values": {"id": sight.ORGANISATION}}
_CREATE: Mapping[str, object] = {"action": "create", "values": {"contact_type": "Individual"}}


class WireGroupChoice(records.WireGroup):
    """A group; hidden ones belong to mailings and are nobody's choice."""

    is_hidden: bool | None = None


class CivicrmSetup(CivicrmClient):
    """One site; besides its set-up, everything that `CivicrmClient` does."""

    @property
    def found_url(self) -> str | None:
        """The endpoint that works, when it is another than the config's address suggests."""
        return self._transport.found_url

    def fetch_own_id(self) -> int:
        """The contact that the API key belongs to; RemoteRefused when nobody may log in by it."""
        return self._transport.connect(is_forced=True)

    def fetch_sight(self) -> tuple[bool, tuple[Permission, ...]]:
        """Whether we see anybody in the trash, and every permission that we seem to lack.

        One who sees nobody there may lack `access deleted contacts`, or there is nobody: that
        cannot be told apart. What CiviCRM does not answer counts for nothing; nor does a "no" to
        adding contacts without `access CiviCRM`, which adding needs besides.
        """
        in_trash: dict[str, object] = {"select": ["id"], "where": [["is_deleted", "=", True]]}
        everybody: Call[object] = Call("Contact", "get", sight.look().params, dict[str, object])
        calls = [
            everybody,
            Call("Group", "get", {"select": ["id"], "limit": 1}, dict[str, object]),
            Call("Contact", "get", {**in_trash, "limit": 1}, dict[str, object]),
            Call("Contact", "checkAccess", _UPDATE, dict[str, object]),
            Call("Contact", "checkAccess", _CREATE, dict[str, object]),
        ]
        answers, _ = self._transport.call_all(calls)
        seen, groups, trash, edits, adds = (
            self._try_to_read(answer, call) for answer, call in zip(answers, calls, strict=True)
        )
        is_shut_out = isinstance(groups, RemoteRefused)
        is_missing = {
            Permission.ACCESS: is_shut_out,
            Permission.VIEW: [] in (seen, groups),
            Permission.EDIT: _is_denied(edits),
            Permission.ADD: _is_denied(adds) and not is_shut_out,
        }
        return _is_row(trash), tuple(name for name, is_so in is_missing.items() if is_so)

    def _try_to_read(self, answer: msgspec.Raw, call: Call[object]) -> object:
        """The rows, or why there are none."""
        try:
            return self._transport.read(answer, call)
        except (CallFailed, RemoteRefused) as error:
            return error

    def fetch_groups(self) -> tuple[Group, ...]:
        """All groups that our user may see, by title; hidden ones are left out.

        To somebody who may not view all contacts CiviCRM shows some groups, or none, and no
        error (civicrm: Permissions).
        """
        self._known_offset()
        rows = self._transport.call(get("Group", WireGroupChoice))
        if not rows:  # a new site has "Administrators"
            message = f"{self._transport.host} does not show any group to the API user"
            raise RemoteRefused(message, hint=Permission.VIEW.hint)
        groups = (records.read_group(row) for row in rows if not row.is_hidden)
        return tuple(sorted(groups, key=lambda each: (each.title.casefold(), each.group_id)))


def _is_row(answer: object) -> bool:
    return isinstance(answer, list) and bool(answer)


def _is_denied(answer: object) -> bool:
    """Whether `checkAccess` said no: one row of `access` and `id` (civicrm: Permissions)."""
    rows = answer if isinstance(answer, list) else []
    return any(isinstance(row, dict) and row.get("access") is False for row in rows)
