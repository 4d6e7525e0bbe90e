"""How a CiviCRM site is set up: what `pipeline.ports.CivicrmSetupPort` asks for, over HTTP."""

from collections.abc import Sequence

from mcsync.civicrm import records, sight
from mcsync.civicrm.site import CivicrmClient
from mcsync.civicrm.transport import PERMISSIONS, Call, CallFailed, get
from mcsync.errors import RemoteRefused
from mcsync.model import Group

_WRITES = {action: PERMISSIONS["Contact", action] for action in ("create", "update")}


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

    def fetch_sight(self) -> tuple[bool, tuple[str, ...]]:
        """Whether we see anybody in the trash, and the permissions that we are said to lack.

        One who sees nobody there may lack `access deleted contacts`, or there is nobody: that
        cannot be told apart. What CiviCRM does not answer counts for nothing.
        """
        in_trash: dict[str, object] = {"select": ["id"], "where": [["is_deleted", "=", True]]}
        calls: list[Call[object]] = [
            Call("Contact", "get", {**in_trash, "limit": 1}, dict[str, object]),
            *(
                Call("Contact", "checkAccess", _ask(action), dict[str, object])
                for action in _WRITES
            ),
        ]
        answers, _ = self._transport.call_all(calls)
        found: list[list[object]] = []
        for call, answer in zip(calls, answers, strict=True):
            try:
                found.append(self._transport.read(answer, call))
            except (CallFailed, RemoteRefused):
                found.append([])
        trash, *accesses = found
        said = zip(_WRITES.values(), accesses, strict=True)
        return bool(trash), tuple(name for name, answer in said if _is_denied(answer))

    def fetch_groups(self) -> tuple[Group, ...]:
        """All groups that our user may see, by title; hidden ones are left out.

        To somebody who may not view all contacts CiviCRM shows some groups, or none, and no
        error (civicrm: Permissions).
        """
        self._known_offset()
        rows = self._transport.call(get("Group", WireGroupChoice))
        groups = (records.read_group(row) for row in rows if not row.is_hidden)
        return tuple(sorted(groups, key=lambda each: (each.title.casefold(), each.group_id)))


def _ask(action: str) -> dict[str, object]:
    """Parameters of `checkAccess`: may we make a contact, or change one?

    Our own would prove nothing: `edit my contact` is enough to change it.
    """
    if action == "update":
        return {"action": action, "values": {"id": sight.ORGANISATION}}
    return {"action": action, "values": {"contact_type": "Individual"}}


def _is_denied(answer: Sequence[object]) -> bool:
    """Whether `checkAccess` said no: one row of `access` and `id` (civicrm: Permissions)."""
    return any(isinstance(row, dict) and row.get("access") is False for row in answer)
