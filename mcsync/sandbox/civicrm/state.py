"""The site's data and CiviCRM's own rules about it: names, primaries, history, trash, merge."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import md5

from mcsync.sandbox.civicrm.errors import ApiError, dangling
from mcsync.sandbox.civicrm.schema import ENTITIES, Entity
from mcsync.sandbox.civicrm.tables import Dump, Row, Table
from mcsync.sandbox.civicrm.values import SiteClock, ellipsify, fold, variable_name

HISTORY_METHOD_WIDTH = 8
BLOCKS = ("Email", "Address", "Phone")  # a contact has several, one of them primary
_NAME_FIELDS = (
    "contact_type", "first_name", "last_name", "organization_name", "household_name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Backup:
    """All that a site's database held at a moment."""

    tables: Mapping[str, Dump]
    merged_to: Mapping[int, int]
    smart_cache: Mapping[int, frozenset[int]]


class Store:
    """All tables, and the changes that keep them as CiviCRM would."""

    def __init__(self, clock: SiteClock) -> None:
        self.clock = clock
        self.tables = {name: Table(entity) for name, entity in ENTITIES.items()}
        self.contacts = self.tables["Contact"]
        self.emails = self.tables["Email"]
        self.groups = self.tables["Group"]
        self.members = self.tables["GroupContact"]
        self.history = self.tables["SubscriptionHistory"]
        self.merged_to: dict[int, int] = {}
        self.smart_cache: dict[int, frozenset[int]] = {}
        self.broken_groups: dict[int, str] = {}  # group id -> "refresh" or "resolve"
        self.custom_fields: set[str] = set()  # of contacts, as APIv4 names them: "Group.Field"
        self.random = random.Random(20261122)

    def dump(self) -> Backup:
        """A backup of the whole database."""
        tables = {name: table.dump() for name, table in self.tables.items()}
        return Backup(tables, dict(self.merged_to), dict(self.smart_cache))

    def load(self, backup: Backup) -> None:
        """Become what a backup kept; ids given since are given again."""
        for name, table in self.tables.items():
            table.load(backup.tables[name])
        self.merged_to = dict(backup.merged_to)
        self.smart_cache = dict(backup.smart_cache)

    def read(self, entity: Entity, row: Row, name: str) -> object:
        """A field as stored, its default if the row has none, or what is worked out from others."""
        value = row.get(name, entity.fields[name].default)
        if value is None and entity.name == "Contact":
            return self._contact_extra(row, name)
        return value

    def _contact_extra(self, row: Row, name: str) -> object:
        if name == "hash":
            return md5(b"contact %d" % row["id"], usedforsecurity=False).hexdigest()
        if name in ("email_greeting_display", "postal_greeting_display"):
            return f"Dear {row.get('first_name') or ''}".strip() if is_person(row) else None
        if name == "addressee_display":
            return row.get("display_name")
        if name.endswith("_primary"):
            primary = self.primary(name.partition("_")[0].capitalize(), row["id"])
            return primary["id"] if primary else None
        return None

    # Contacts

    def add_contact(self, values: Row) -> Row:
        """A new contact; its created and modified dates are now unless given."""
        now = self.clock.seconds()
        row: Row = {"contact_type": "Individual", "created_date": now, "modified_date": now}
        row.update(values)
        _name_contact(row)
        return self.contacts.insert(row, checked="external_identifier" in row)

    def change_contact(self, contact_id: int, values: Row) -> None:
        """Write fields; `modified_date` moves only if a column of the contact really changed."""
        row = self.contacts.rows[contact_id]
        if any(name in values for name in _NAME_FIELDS):
            named = {**row, **values}
            _name_contact(named)
            if not named.get("display_name"):
                named["display_name"] = named["sort_name"] = self._first_address(contact_id)
            values = {**values, **{n: named.get(n) for n in ("display_name", "sort_name")}}
        if self.contacts.change(contact_id, values) and "modified_date" not in values:
            self.touch(contact_id)

    def touch(self, contact_id: int) -> None:
        """Move `modified_date` to now, as the database's triggers do."""
        row = self.contacts.rows.get(contact_id)
        if row is not None:
            row["modified_date"] = self.clock.seconds()

    def purge(self, contact_id: int) -> None:
        """Delete for good; memberships, history, addresses and tags go with it."""
        for name in (*BLOCKS, "GroupContact", "SubscriptionHistory"):
            self._remove_all(self.tables[name], "contact_id", contact_id)
        self._remove_all(self.tables["EntityTag"], "entity_id", contact_id)
        self.contacts.remove(contact_id)

    def merge(self, winner: int, loser: int) -> None:
        """Merge as CRM_Contact_BAO_GroupContact::mergeGroupContact and the deduper do.

        The loser's memberships and history move to the winner and keep their ids. Where both
        have a row: a loser who is Added makes the winner Added, without a history row; otherwise
        the loser's history of that group is deleted. Addresses stay unless the winner has none
        of that location; empty fields of the winner are filled; the loser goes to the trash.
        """
        for row in self.members.matching("contact_id", loser):
            group_id = row["group_id"]
            own = self.membership(winner, group_id)
            if own is None:
                self.members.change(row["id"], {"contact_id": winner})
            else:
                self.members.remove(row["id"])
                if row["status"] != "Added":
                    continue
                own["status"] = "Added"
            for entry in self.history.matching("contact_id", loser):
                if entry["group_id"] == group_id:
                    self.history.change(entry["id"], {"contact_id": winner})
        self._remove_all(self.history, "contact_id", loser)
        self._merge_blocks(winner, loser)
        self._fill_blanks(winner, loser)
        self.change_contact(loser, {"is_deleted": True})
        self.merged_to[loser] = winner

    # Guess: only that an address of the same location stays with the loser was measured.
    def _merge_blocks(self, winner: int, loser: int) -> None:
        for name in BLOCKS:
            table = self.tables[name]
            places = {r.get("location_type_id", 1) for r in table.matching("contact_id", winner)}
            for row in table.matching("contact_id", loser):
                if row.get("location_type_id", 1) not in places:
                    primary = not table.bucket("contact_id", winner)
                    table.change(row["id"], {"contact_id": winner, "is_primary": primary})
                    self.touch(winner)

    # Guess: the deduper fills what is empty; merged contacts without blanks were measured.
    def _fill_blanks(self, winner: int, loser: int) -> None:
        kept, lost = self.contacts.rows[winner], self.contacts.rows[loser]
        skip = {"external_identifier", "hash", "api_key", "display_name", "sort_name"}
        blanks = {
            name: value
            for name, value in lost.items()
            if isinstance(value, str) and name not in skip and not kept.get(name)
        }
        if blanks:
            self.change_contact(winner, blanks)

    def visible_name(self, contact_id: int) -> None:
        """Give a contact without names its address as display name."""
        row = self.contacts.rows[contact_id]
        if not row.get("display_name"):
            address = self._first_address(contact_id)
            if address:
                row["display_name"] = row["sort_name"] = address

    def _first_address(self, contact_id: int) -> str | None:
        primary = self.primary("Email", contact_id)
        address = primary.get("email") if primary else None
        return str(address) if address else None

    # Emails, postal addresses, phones

    def primary(self, name: str, contact_id: int) -> Row | None:
        """The contact's primary email, address or phone."""
        table = self.tables[name]
        for row_id in table.bucket("contact_id", contact_id):
            if table.rows[row_id].get("is_primary"):
                return table.rows[row_id]
        return None

    def add_block(self, name: str, values: Row) -> Row:
        """A new email, address or phone: primary if it is the first or asks to be.

        Raises: ApiError if the contact does not exist; the id is used up all the same.
        """
        table = self.tables[name]
        row: Row = {**values, "location_type_id": values.get("location_type_id") or 1}
        if row["contact_id"] not in self.contacts.rows:
            table.next_id += 1
            raise dangling()
        if name == "Email":
            self._prepare_email(row, {})
        row["is_primary"] = bool(row.get("is_primary")) or not table.bucket(
            "contact_id", row["contact_id"]
        )
        table.insert(row)
        self._after_block(name, row)
        return row

    def change_block(self, name: str, row_id: int, values: Row) -> Row:
        """Write an email, address or phone; the fields that changed by themselves come back."""
        table = self.tables[name]
        row = table.rows[row_id]
        values = dict(values)
        extra = self._prepare_email(values, row) if name == "Email" else {}
        was_primary, owner = row.get("is_primary"), int(row["contact_id"])
        table.change(row_id, {**values, **extra})
        if was_primary and not row.get("is_primary"):
            self._elect_primary(name, owner, other_than=row_id)
        if owner != row.get("contact_id"):
            self._elect_primary(name, owner)
            self.touch(owner)
        self._after_block(name, row)
        return extra

    def remove_block(self, name: str, row_id: int) -> None:
        """Delete an email, address or phone; the next one becomes primary."""
        row = self.tables[name].remove(row_id)
        self._elect_primary(name, row.get("contact_id"))
        self.touch(row["contact_id"])

    def _prepare_email(self, values: Row, before: Row) -> Row:
        """Lower-case and cut the address; dates of the hold that follow from `on_hold`."""
        if isinstance(values.get("email"), str):
            values["email"] = ellipsify(values["email"].lower(), 254)
        held = values.get("on_hold", before.get("on_hold", 0)) if "on_hold" in values else None
        if held is None:
            return {}
        if held and not before.get("hold_date"):
            extra: Row = {"hold_date": self.clock.local_text(), "reset_date": None}
        elif not held and before.get("hold_date"):
            extra = {"hold_date": None, "reset_date": self.clock.local_text()}
        else:
            return {}
        if not before:
            values.update({"hold_date": extra["hold_date"]} if held else {})
            return {}
        return extra

    def _after_block(self, name: str, row: Row) -> None:
        table, contact_id = self.tables[name], row["contact_id"]
        siblings = table.bucket("contact_id", contact_id)
        if len(siblings) > 1:
            for other in (table.rows[i] for i in siblings if i != row["id"]):
                if row.get("is_primary"):
                    other["is_primary"] = False
                if row.get("is_bulkmail"):
                    other["is_bulkmail"] = False
        self.touch(contact_id)
        if name == "Email":
            self.visible_name(contact_id)

    def _elect_primary(self, name: str, contact_id: int | None, other_than: int = 0) -> None:
        table = self.tables[name]
        rows = table.matching("contact_id", contact_id)
        if rows and not any(row.get("is_primary") for row in rows):
            rest = [row for row in rows if row["id"] != other_than] or rows
            rest[0]["is_primary"] = True

    # Groups, memberships, history

    def add_group(self, values: Row, group_id: int | None = None) -> Row:
        """A new group; its name is made of the title and the id, as CiviCRM makes it."""
        row: Row = dict(values)
        row.setdefault("frontend_title", row.get("title"))
        named = bool(row.get("name"))
        if group_id is not None:
            row["id"] = group_id
        if row.get("saved_search_id") not in (None, *self.tables["SavedSearch"].rows):
            self.groups.next_id += 1
            raise dangling()
        self.groups.insert(row)
        if not named:
            row["name"] = f"{variable_name(str(row['title']))[:-4]}_{row['id']}"
        return row

    def remove_group(self, group_id: int) -> None:
        """Delete a group with its memberships and their history."""
        self._remove_all(self.members, "group_id", group_id)
        self._remove_all(self.history, "group_id", group_id)
        for other in self.groups.rows.values():
            for name in ("parents", "children"):
                if str(group_id) in (linked := other.get(name) or []):
                    other[name] = [each for each in linked if each != str(group_id)] or None
        self.groups.remove(group_id)
        self.smart_cache.pop(group_id, None)

    def nest_group(self, child_id: int, parent_id: int) -> None:
        """Have a group be part of another; each of the two rows names the other, as text."""
        child, parent = self.groups.rows[child_id], self.groups.rows[parent_id]
        child["parents"] = [*(child.get("parents") or ()), str(parent_id)]
        parent["children"] = [*(parent.get("children") or ()), str(child_id)]

    def descendants(self, group_ids: Iterable[int]) -> set[int]:
        """These groups, their children, and so on."""
        found, ahead = set(), list(group_ids)
        while ahead:
            group_id = ahead.pop()
            if group_id not in found and group_id in self.groups.rows:
                found.add(group_id)
                ahead += map(int, self.groups.rows[group_id].get("children") or ())
        return found

    def membership(self, contact_id: int, group_id: int) -> Row | None:
        """The row of a contact in a group, whatever its status."""
        holder = self.members.holder({"contact_id": contact_id, "group_id": group_id})
        return self.members.rows[holder] if holder is not None else None

    def add_member(self, values: Row) -> Row:
        """A new membership row, without history.

        Raises: ApiError for a row that exists, a missing contact or group, a too long status.
        """
        row: Row = {"status": "Added", **values}
        if len(str(row["status"])) > HISTORY_METHOD_WIDTH:
            raise ApiError("DB Error: unknown error")
        present = row["contact_id"] in self.contacts.rows and row["group_id"] in self.groups.rows
        if not present:
            self.members.next_id += 1
            raise dangling()
        return self.members.insert(row)

    def write_history(
        self,
        contact_id: int,
        group_id: int,
        status: str,
        method: str | None = "API",
        tracking: str | None = None,
        at: int | None = None,
    ) -> None:
        """One history row; a `method` longer than its column loses it without a word."""
        if method and len(method) > HISTORY_METHOD_WIDTH:
            return
        row: Row = {
            "contact_id": contact_id,
            "group_id": group_id,
            "date": self.clock.seconds() if at is None else at,
            "method": method,
            "status": status,
        }
        if tracking:
            row["tracking"] = tracking[:255]
        self.history.insert(row, checked=False)

    def _remove_all(self, table: Table, name: str, value: int) -> None:
        for row_id in list(table.bucket(name, value)):
            table.remove(row_id)

    def owners(self, addresses: Iterable[str]) -> set[int]:
        """Contacts that have one of these addresses, by collation, trashed ones included."""
        return {
            row["contact_id"]
            for address in addresses
            for row in self.emails.matching("email", fold(address))
        }


def is_person(row: Row) -> bool:
    """Whether a contact is an individual."""
    return row.get("contact_type") == "Individual"


def _name_contact(row: Row) -> None:
    """Work out display and sort name; longer texts are cut."""
    if is_person(row):
        first, last = row.get("first_name"), row.get("last_name")
        display = " ".join(part for part in (first, last) if part)
        sort = ", ".join(part for part in (last, first) if part)
    else:
        name = {"Organization": "organization_name", "Household": "household_name"}
        display = sort = row.get(name.get(str(row.get("contact_type")), ""), "") or ""
    if display:
        row["display_name"] = ellipsify(display, 128)
        row["sort_name"] = ellipsify(sort, 128)
    else:
        row.pop("display_name", None)
        row.pop("sort_name", None)
