"""What people do at the site's own screens: the simulator's actions for tests and the demo."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from mcsync.sandbox.civicrm.query import Query, fill_smart_group, group_members
from mcsync.sandbox.civicrm.schema import CONTACT, EMAIL, Entity
from mcsync.sandbox.civicrm.state import Backup, Store
from mcsync.sandbox.civicrm.tables import Row
from mcsync.sandbox.civicrm.values import fold, variable_name
from mcsync.sandbox.civicrm.views import (
    ContactView,
    EmailView,
    HistoryView,
    view_contact,
    view_email,
    view_history,
)

Address = str | tuple[str, Mapping[str, Any]] | Mapping[str, Any]


class People:
    """Human actions and inspection. Every membership change writes history with method "Admin".

    `at` (aware) back-dates the history row; by default it is the site's now.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.RLock()

    # Contacts

    def add_contact(
        self,
        first_name: str | None = "",
        last_name: str | None = "",
        emails: Sequence[Address] = (),
        **flags: Any,
    ) -> int:
        """A new contact; the first address is primary.

        `emails`: addresses, or `(address, {"is_bulkmail": True})`, or `{"email": ..., ...}`.
        `flags`: any field of Contact; TIMESTAMP fields as aware datetimes.
        """
        with self.lock:
            values = _stored(CONTACT, flags)
            if first_name:
                values["first_name"] = first_name
            if last_name:
                values["last_name"] = last_name
            contact_id: int = self.store.add_contact(values)["id"]
            for address in emails:
                self.store.add_block("Email", {"contact_id": contact_id, **_email(address)})
            if "modified_date" in values:
                self.store.contacts.rows[contact_id]["modified_date"] = values["modified_date"]
            return contact_id

    def update_contact(self, contact_id: int, **fields: Any) -> None:
        """Edit a contact; `is_deleted` and custom fields work too."""
        with self.lock:
            custom = {name: fields.pop(name) for name in self.store.custom_fields & fields.keys()}
            self.store.change_contact(contact_id, {**_stored(CONTACT, fields), **custom})

    def add_custom_field(self, name: str) -> None:
        """A custom field of contacts, as "Group.Field"; `update_contact` fills it."""
        with self.lock:
            self.store.custom_fields.add(name)

    def trash(self, contact_id: int) -> None:
        """Put a contact into the trash; memberships, history and emails stay."""
        self.update_contact(contact_id, is_deleted=True)

    def untrash(self, contact_id: int) -> None:
        """Take a contact out of the trash."""
        self.update_contact(contact_id, is_deleted=False)

    def purge(self, contact_id: int) -> None:
        """Delete a contact for good, with all that hangs on it."""
        with self.lock:
            self.store.purge(contact_id)

    def merge(self, winner: int, loser: int) -> None:
        """Merge two contacts; the loser goes to the trash."""
        with self.lock:
            self.store.merge(winner, loser)

    def replace_person(
        self,
        contact_id: int,
        first_name: str = "",
        last_name: str = "",
        emails: Sequence[Address] = (),
        *,
        created_at: datetime | None = None,
    ) -> None:
        """Make an id mean another person, as after a backup: nothing is left of the one before.

        `created_at`: by default a day before the other one's.
        """
        with self.lock:
            former = self.store.contacts.rows[contact_id]["created_date"]
            before = self.store.clock.seconds() if former is None else former - 86_400
            self.store.purge(contact_id)
            self.store.merged_to.pop(contact_id, None)
            created = before if created_at is None else int(created_at.timestamp())
            self.add_contact(first_name, last_name, emails, id=contact_id, created_date=created)

    def add_email(self, contact_id: int, email: str, **flags: Any) -> int:
        """One more address; its id."""
        with self.lock:
            values = {"contact_id": contact_id, "email": email, **_stored(EMAIL, flags)}
            return int(self.store.add_block("Email", values)["id"])

    def update_email(self, email_id: int, **fields: Any) -> None:
        """Edit an address: `email`, `on_hold`, `is_primary`, `is_bulkmail`."""
        with self.lock:
            self.store.change_block("Email", email_id, _stored(EMAIL, fields))

    def remove_email(self, email_id: int) -> None:
        """Delete an address."""
        with self.lock:
            self.store.remove_block("Email", email_id)

    # Groups

    def add_group(
        self,
        title: str,
        group_id: int | None = None,
        mailing: bool = True,
        smart_where: Sequence[Any] | None = None,
        **fields: Any,
    ) -> int:
        """A new group; with `smart_where` (an APIv4 `where` over Contact) a smart group."""
        with self.lock:
            values: Row = {"title": title, **_stored(self.store.groups.entity, fields)}
            if mailing:
                values["group_type"] = ["2"]
            if smart_where is not None:
                values["saved_search_id"] = self._add_search(title, list(smart_where))
            return int(self.store.add_group(values, group_id)["id"])

    def _add_search(self, title: str, where: list[Any]) -> int:
        search: Row = {
            "name": variable_name(title),
            "label": title,
            "api_entity": "Contact",
            "api_params": {"version": 4, "select": ["id"], "where": where},
        }
        return int(self.store.tables["SavedSearch"].insert(search)["id"])

    def update_group(self, group_id: int, **fields: Any) -> None:
        """Edit a group: `title`, `is_active`, `is_hidden`, `visibility`, `group_type`."""
        with self.lock:
            self.store.groups.change(group_id, _stored(self.store.groups.entity, fields))

    def disable_group(self, group_id: int) -> None:
        """Switch a group off."""
        self.update_group(group_id, is_active=False)

    def enable_group(self, group_id: int) -> None:
        """Switch a group on again."""
        self.update_group(group_id, is_active=True)

    def delete_group(self, group_id: int) -> None:
        """Delete a group, with its memberships and their history."""
        with self.lock:
            self.store.remove_group(group_id)

    def nest_group(self, child_id: int, parent_id: int) -> None:
        """Put a group into another, as its child."""
        with self.lock:
            self.store.nest_group(child_id, parent_id)

    def break_group(self, group_id: int, what: Literal["refresh", "resolve"] = "refresh") -> None:
        """Let a group fail alone: its `Group.refresh`, or to ask by API who is in it."""
        with self.lock:
            self.store.broken_groups[group_id] = what

    def mend_group(self, group_id: int) -> None:
        """Let a group that was broken work again."""
        with self.lock:
            self.store.broken_groups.pop(group_id, None)

    def refresh_group(self, group_id: int) -> None:
        """Fill a smart group's cache anew, as the site's own cron does."""
        with self.lock:
            fill_smart_group(self.store, self.store.groups.rows[group_id])

    # Memberships

    def add_to_group(
        self,
        contact_id: int,
        group_id: int,
        history: bool = True,
        method: str = "Admin",
        tracking: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Add a contact to a group, or add it again; without `history` as an import by SQL."""
        self._set_status(contact_id, group_id, "Added", history, method, tracking, at)

    def remove_from_group(
        self,
        contact_id: int,
        group_id: int,
        history: bool = True,
        method: str = "Admin",
        tracking: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Remove a contact from a group; the row stays with status Removed."""
        self._set_status(contact_id, group_id, "Removed", history, method, tracking, at)

    def pend_in_group(
        self,
        contact_id: int,
        group_id: int,
        method: str = "Admin",
        tracking: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Someone who has yet to confirm: status Pending."""
        self._set_status(contact_id, group_id, "Pending", True, method, tracking, at)

    def delete_from_group(
        self,
        contact_id: int,
        group_id: int,
        method: str = "Admin",
        tracking: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Delete the membership row; history says Deleted."""
        with self.lock:
            self.sql_set_membership(contact_id, group_id, None)
            self._write_history(contact_id, group_id, "Deleted", method, tracking, at)

    def sql_set_membership(self, contact_id: int, group_id: int, status: str | None) -> None:
        """Change a membership behind CiviCRM's back: no history; None deletes the row."""
        with self.lock:
            row = self.store.membership(contact_id, group_id)
            if status is None:
                if row is not None:
                    self.store.members.remove(row["id"])
            elif row is None:
                values = {"contact_id": contact_id, "group_id": group_id, "status": status}
                self.store.add_member(values)
            else:
                row["status"] = status

    def sql_clear_status(self, contact_id: int, group_id: int) -> None:
        """Leave a membership without any status (NULL), as direct SQL may: no history."""
        self.sql_set_membership(contact_id, group_id, "Added")
        with self.lock:
            row = self.store.membership(contact_id, group_id)
            assert row is not None  # noqa: S101  # it was just made
            row["status"] = None

    def _set_status(
        self,
        contact_id: int,
        group_id: int,
        status: str,
        history: bool,
        method: str,
        tracking: str | None,
        at: datetime | None,
    ) -> None:
        with self.lock:
            self.sql_set_membership(contact_id, group_id, status)
            if history:
                self._write_history(contact_id, group_id, status, method, tracking, at)

    def _write_history(
        self,
        contact_id: int,
        group_id: int,
        status: str,
        method: str,
        tracking: str | None,
        at: datetime | None,
    ) -> None:
        seconds = None if at is None else int(at.timestamp())
        self.store.write_history(contact_id, group_id, status, method, tracking, seconds)

    # The whole site

    def backup(self) -> Backup:
        """The whole database as it is now."""
        with self.lock:
            return self.store.dump()

    def restore(self, backup: Backup) -> None:
        """Put a backup back: what came since is gone, and ids given since are given again."""
        with self.lock:
            self.store.load(backup)

    # Tags

    def add_tag(self, name: str) -> int:
        """A new tag for contacts; its label is `name`, its name what CiviCRM makes of it."""
        with self.lock:
            row: Row = {
                "name": variable_name(name),
                "label": name,
                "used_for": ["civicrm_contact"],
                "created_date": self.store.clock.local_text(),
            }
            return int(self.store.tables["Tag"].insert(row)["id"])

    def tag(self, contact_id: int, tag_id: int) -> None:
        """Give a contact a tag it may already have."""
        with self.lock:
            row = {"entity_table": "civicrm_contact", "entity_id": contact_id, "tag_id": tag_id}
            if self.store.tables["EntityTag"].holder(row) is None:
                self.store.tables["EntityTag"].insert(row)

    def untag(self, contact_id: int, tag_id: int) -> None:
        """Take a tag off."""
        with self.lock:
            row = {"entity_table": "civicrm_contact", "entity_id": contact_id, "tag_id": tag_id}
            holder = self.store.tables["EntityTag"].holder(row)
            if holder is not None:
                self.store.tables["EntityTag"].remove(holder)

    # Inspection

    def group_status(self, contact_id: int, group_id: int) -> str | None:
        """Added, Removed, Pending, empty for a row without status, or None without a row."""
        with self.lock:
            row = self.store.membership(contact_id, group_id)
            return None if row is None else row["status"] or ""

    def group_members(self, group_id: int, status: str = "Added") -> set[int]:
        """Contacts with a static row of that status, trashed ones included."""
        with self.lock:
            rows = self.store.members.matching("group_id", group_id)
            return {row["contact_id"] for row in rows if row["status"] == status}

    def resolved_members(self, group_id: int) -> set[int]:
        """Contacts in a group as its cache has them; for smart groups."""
        with self.lock:
            return set(group_members(self.store, [group_id]))

    def contact(self, contact_id: int) -> ContactView | None:
        """A contact, trashed ones included; None if it was purged or never was."""
        with self.lock:
            row = self.store.contacts.rows.get(contact_id)
            return None if row is None else view_contact(self.store, row)

    def contacts(self, **fields: Any) -> list[ContactView]:
        """All contacts whose fields equal these, by id; trashed ones only if asked for."""
        with self.lock:
            where = [[name, "=", value] for name, value in fields.items()]
            params = {"where": where, "orderBy": {"id": "ASC"}}
            rows = Query(self.store, CONTACT, params, None).rows()
            return [view_contact(self.store, row) for row in rows]

    def contacts_by_email(self, email: str) -> list[ContactView]:
        """Contacts that own exactly this address (case apart), trashed ones included, by id."""
        with self.lock:
            rows = self.store.emails.matching("email", fold(email))
            owners = {r["contact_id"] for r in rows if str(r["email"]).lower() == email.lower()}
            found = [self.store.contacts.rows[owner] for owner in sorted(owners)]
            return [view_contact(self.store, row) for row in found]

    def emails(self, contact_id: int) -> list[EmailView]:
        """A contact's addresses, by id."""
        with self.lock:
            rows = self.store.emails.matching("contact_id", contact_id)
            return [view_email(self.store, row) for row in rows]

    def history(
        self, contact_id: int | None = None, group_id: int | None = None
    ) -> list[HistoryView]:
        """History rows by id, of one contact, one group, both or all."""
        with self.lock:
            table = self.store.history
            if contact_id is not None:
                rows = table.matching("contact_id", contact_id)
            elif group_id is not None:
                rows = table.matching("group_id", group_id)
            else:
                rows = [table.rows[row_id] for row_id in table.ids]
            wanted = [r for r in rows if group_id is None or r["group_id"] == group_id]
            return [view_history(row) for row in wanted]

    def tags_of(self, contact_id: int) -> set[str]:
        """The labels of a contact's tags."""
        with self.lock:
            tags = self.store.tables["Tag"].rows
            rows = self.store.tables["EntityTag"].matching("entity_id", contact_id)
            return {str(tags[row["tag_id"]]["label"]) for row in rows}


def _stored(entity: Entity, fields: Mapping[str, Any]) -> Row:
    """Fields in stored form; a name that is no field is a mistake of the test.

    Raises: KeyError for an unknown field.
    """
    stored: Row = {}
    for name, value in fields.items():
        kind = entity.fields[name].data_type
        aware = kind == "Timestamp" and isinstance(value, datetime)
        stored[name] = int(value.timestamp()) if aware else value
    return stored


def _email(address: Address) -> Row:
    if isinstance(address, str):
        return {"email": address}
    if isinstance(address, tuple):
        return {"email": address[0], **_stored(EMAIL, address[1])}
    return _stored(EMAIL, address)
