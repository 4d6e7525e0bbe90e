"""Writing one record: permissions, CiviCRM's echo of it, and what it sets off."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcsync.sandbox.civicrm.access import is_allowed
from mcsync.sandbox.civicrm.errors import ApiError, dangling, forbidden
from mcsync.sandbox.civicrm.fields import Paths
from mcsync.sandbox.civicrm.schema import CONTACT, ENTITIES, Entity, Field
from mcsync.sandbox.civicrm.state import BLOCKS, HISTORY_METHOD_WIDTH, Store, is_person
from mcsync.sandbox.civicrm.tables import Row
from mcsync.sandbox.civicrm.users import User
from mcsync.sandbox.civicrm.values import as_bool, as_number, ellipsify, fold, variable_name

_LITERAL = {"api_params"}
_GREETINGS = ("email_greeting_display", "postal_greeting_display", "addressee_display")
_TAIL: Row = {"custom": None, "check_permissions": None}


@dataclass(slots=True)
class Values:
    """The values of one record, sorted out: own fields, fields of primaries, unknown keys."""

    own: Row = field(default_factory=dict)
    primaries: dict[str, Row] = field(default_factory=dict)
    given: Row = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


class Writer:
    """Writes records for one user; `bad_contacts` are ids whose writes fail."""

    def __init__(self, store: Store, bad_contacts: set[int]) -> None:
        self.store = store
        self.bad_contacts = bad_contacts
        self.bad_names: set[str] = set()  # contacts with these first names cannot be created
        self.written = 0

    # Permissions

    def allow(self, entity: Entity, action: str, user: User, *records: Row) -> None:
        """Raise ApiError 403 unless the user may create, update or delete these records."""
        owners = {record[entity.owner] for record in records if record.get(entity.owner)}
        if not is_allowed(self.store, entity, action, user, owners):
            raise forbidden()

    # Values

    def sort_out(self, entity: Entity, values: Mapping[str, Any]) -> Values:
        """Convert values to stored form; what no field is meant by is only echoed as null."""
        found = Values()
        paths = Paths(self.store, entity)
        for key, value in values.items():
            name, _, suffix = key.partition(":")
            own = entity.fields.get(name)
            block = name.partition("_")[0].capitalize()
            if own is not None and own.kind == "Field":
                stored = self._pseudo(paths, own, suffix, value) if suffix else value
                if not suffix or stored is not None:
                    found.own[name] = self._stored(entity, own, stored)
            elif entity is CONTACT and "_primary." in name and block in BLOCKS:
                self._primary_value(found, block, name, suffix, value)
                found.given[key] = value
            else:
                found.unknown.append(key)
        return found

    def _primary_value(
        self, found: Values, block: str, name: str, suffix: str, value: object
    ) -> None:
        key = name.partition(".")[2] + (f":{suffix}" if suffix else "")
        part = self.sort_out(ENTITIES[block], {key: value})
        found.primaries.setdefault(block, {}).update(part.own)

    def _pseudo(self, paths: Paths, own: Field, suffix: str, value: object) -> object:
        options = paths.options(own) or {}
        which = 0 if suffix == "name" else 1
        wanted = [fold(str(v)) for v in (value if isinstance(value, list) else [value])]
        ids = [key for key, pair in options.items() if fold(str(pair[which])) in wanted]
        if isinstance(value, list):
            return ids
        return ids[0] if ids else None

    def _stored(self, entity: Entity, own: Field, value: Any) -> Any:
        if value is None or (value == "" and own.data_type not in ("String", "Text")):
            return None
        if own.data_type == "Integer":
            return as_number(value)
        if own.data_type == "Boolean":
            return as_bool(value)
        if own.data_type == "Timestamp":
            return self.store.clock.to_seconds(self.store.clock.parse(value))
        if own.data_type == "Datetime":
            return self.store.clock.parse(value).isoformat(" ")
        if own.name in _LITERAL:
            return value
        if own.multiple:
            return [str(v) for v in (value if isinstance(value, list) else [value])]
        text = str(value)
        if entity.name == "Email" and own.name == "email":
            return text or None
        return ellipsify(text, own.width) if own.width > HISTORY_METHOD_WIDTH else text

    def require(self, entity: Entity, action: str, values: Values) -> None:
        """Raise ApiError if a mandatory field of a new record is missing."""
        missing = [
            f.name
            for f in entity.fields.values()
            if f.required and values.own.get(f.name) in (None, "")
        ]
        if missing:
            names = ", ".join(missing)
            raise ApiError(f"Mandatory values missing from Api4 {entity.name}::{action}: {names}")

    def _refuse_bad(self, *contact_ids: int | None) -> None:
        if self.bad_contacts.intersection(contact_ids):
            raise ApiError("DB Error: unknown error")

    # Create

    def create(self, entity: Entity, values: Values, params: Mapping[str, Any], user: User) -> Row:
        """Write a new record; the echo comes back."""
        self._refuse_bad(values.own.get(entity.owner))
        if entity.name == "Contact":
            echo = self._create_contact(values)
        elif entity.name in BLOCKS:
            echo = self._echo_block(entity, values)
        elif entity.name == "GroupContact":
            row = self.store.add_member(values.own)
            self._track(row, row["status"], params)
            echo = self._echo(entity, row)
        else:
            echo = self._create_other(entity, values, user)
        self.written += 1
        return {**echo, **dict.fromkeys(values.unknown), **_TAIL}

    def _create_contact(self, values: Values) -> Row:
        if values.own.get("first_name") in self.bad_names:
            raise ApiError("DB Error: unknown error")
        row = self.store.add_contact(values.own)
        echo = self._echo_contact(row, values, dict.fromkeys(_GREETINGS))
        self._write_primaries(row["id"], values)
        return echo

    def _write_primaries(self, contact_id: int, values: Values) -> None:
        for name, fields in values.primaries.items():
            primary = self.store.primary(name, contact_id)
            if primary is None:
                self.store.add_block(name, {"contact_id": contact_id, **fields})
            else:
                self.store.change_block(name, primary["id"], fields)

    def _echo_block(self, entity: Entity, values: Values) -> Row:
        row = self.store.add_block(entity.name, values.own)
        echo = self._echo(entity, row)
        if not row["is_primary"]:
            del echo["is_primary"]
        if entity.name == "Email":
            echo.setdefault("on_hold", 0)
        return echo

    def _create_other(self, entity: Entity, values: Values, user: User) -> Row:
        row, now = dict(values.own), self.store.clock
        for name in ("created_id", "modified_id"):
            if name in entity.fields:
                row[name] = user.contact_id or None
        if entity.name == "Group":
            return self._echo(entity, self.store.add_group(row))
        if entity.name == "Tag":
            row.setdefault("name", variable_name(str(row["label"])))
            row["created_date"] = now.local_text()
        if entity.name == "SubscriptionHistory":
            row["date"] = now.seconds()
        if entity.name == "SavedSearch":
            row.update(created_date=now.seconds(), modified_date=None)
        if entity.name == "EntityTag":
            self._check_tagging(row)
        return self._echo(entity, self.store.tables[entity.name].insert(row))

    def _check_tagging(self, row: Row) -> None:
        tags, contacts = self.store.tables["Tag"].rows, self.store.contacts.rows
        if row["tag_id"] not in tags or row["entity_id"] not in contacts:
            self.store.tables["EntityTag"].next_id += 1
            raise dangling()

    def _track(self, row: Row, status: str, params: Mapping[str, Any]) -> None:
        self.store.write_history(
            row["contact_id"],
            row["group_id"],
            status,
            params.get("method") or "API",
            params.get("tracking"),
        )

    # Update

    def update(
        self, entity: Entity, row_id: int, values: Values, params: Mapping[str, Any], user: User
    ) -> Row:
        """Write into an existing record; the echo comes back.

        Raises: ApiError if there is no such record.
        """
        row = self.store.tables[entity.name].rows.get(row_id)
        if row is None:
            raise ApiError("DB Error: no such record")
        values.own.pop("id", None)
        self._refuse_bad(row.get(entity.owner))
        if entity.name == "Contact":
            echo = self._update_contact(row, values)
        elif entity.name in BLOCKS:
            echo = self._update_block(entity, row, values)
        elif entity.name == "GroupContact":
            echo = self._update_membership(entity, row, values, params)
        else:
            echo = self._update_other(entity, row, values, user)
        self.written += 1
        return {**echo, **dict.fromkeys(values.unknown), **_TAIL, **_contact_tail(entity)}

    def _update_contact(self, row: Row, values: Values) -> Row:
        greetings = {name: self.store.read(CONTACT, row, name) for name in _GREETINGS}
        self.store.change_contact(row["id"], values.own)
        echo = self._echo_contact(row, values, greetings)
        self._write_primaries(row["id"], values)
        return echo

    def _update_block(self, entity: Entity, row: Row, values: Values) -> Row:
        extra = self.store.change_block(entity.name, row["id"], values.own)
        echo = {"id": row["id"], **values.own, **extra}
        if "email" in values.own:
            echo["email"] = row["email"]
        if values.own.get("is_primary"):
            echo["contact_id"] = row["contact_id"]
        return {name: self._compact(entity.fields[name], echo[name]) for name in echo}

    def _update_membership(
        self, entity: Entity, row: Row, values: Values, params: Mapping[str, Any]
    ) -> Row:
        target = {**row, **values.own}
        if len(str(target["status"])) > HISTORY_METHOD_WIDTH:
            raise ApiError("DB Error: unknown error")
        present = (
            target["contact_id"] in self.store.contacts.rows
            and target["group_id"] in self.store.groups.rows
        )
        if not present:
            raise dangling()
        self.store.members.change(row["id"], values.own)
        self._track(row, row["status"], params)
        return self._echo(entity, row)

    def _update_other(self, entity: Entity, row: Row, values: Values, user: User) -> Row:
        own = dict(values.own)
        if "modified_id" in entity.fields:
            own["modified_id"] = user.contact_id or None
        self.store.tables[entity.name].change(row["id"], own)
        echo = {"id": row["id"], **own}
        return {name: self._compact(entity.fields[name], echo[name]) for name in echo}

    # Delete

    def delete(self, entity: Entity, row: Row, params: Mapping[str, Any]) -> Row:
        """Delete a record, or put a contact into the trash; ids of others are texts."""
        self._refuse_bad(row.get(entity.owner))
        row_id = row["id"]
        if entity.name == "Contact":
            self._delete_contact(row_id, params.get("useTrash", True))
        elif entity.name in BLOCKS:
            self.store.remove_block(entity.name, row_id)
        elif entity.name == "Group":
            self.store.remove_group(row_id)
        else:
            self.store.tables[entity.name].remove(row_id)
        if entity.name == "GroupContact":
            self._track(row, "Deleted", {})
        self.written += 1
        return {"id": row_id if entity.name == "Contact" else str(row_id)}

    def _delete_contact(self, contact_id: int, use_trash: object) -> None:
        if as_bool(use_trash):
            self.store.change_contact(contact_id, {"is_deleted": True})
        else:
            self.store.purge(contact_id)

    # Echoes

    def _echo(self, entity: Entity, row: Row) -> Row:
        """A new row as it is echoed: only what was set, in the order of the fields."""
        return {n: self._compact(f, row[n], "") for n, f in entity.fields.items() if n in row}

    def _compact(self, own: Field, value: Any, cleared: str = "null") -> Any:
        """A written value in the form that CiviCRM hands back: dates without punctuation."""
        if value is None:
            return cleared or None
        text = self.store.clock.format(value) if own.data_type == "Timestamp" else value
        if own.data_type in ("Timestamp", "Datetime"):
            return "".join(c for c in text if c.isdigit())
        return value

    def _echo_contact(self, row: Row, values: Values, greetings: Row) -> Row:
        """A contact after a write: everything that is not null; greetings as they were before."""
        if row["contact_type"] not in ("Individual", "Organization", "Household"):
            return self._echo_nonsense(row)
        show = self.store.read
        full = {n: show(CONTACT, row, n) for n, f in CONTACT.fields.items() if f.kind == "Field"}
        full.update(greetings)
        for name in ("created_date", "modified_date"):
            full[name] = self.store.clock.format(row[name])
        if not is_person(row):
            full.update(email_greeting_id=None, postal_greeting_id=None, addressee_id=3)
        full["api_key"] = None
        return {**{n: v for n, v in full.items() if v is not None}, **values.given}

    def _echo_nonsense(self, row: Row) -> Row:
        """What comes back for a contact type that does not exist."""
        return {
            "id": row["id"],
            "contact_type": row["contact_type"],
            "preferred_language": "en_US",
            "hash": self.store.read(CONTACT, row, "hash"),
            "communication_style_id": 1,
            "email_greeting_custom": "null",
            "postal_greeting_custom": "null",
            "addressee_custom": "null",
            "modified_date": self._compact(CONTACT.fields["modified_date"], row["modified_date"]),
        }


def _contact_tail(entity: Entity) -> Row:
    return {"contact_id": None} if entity is CONTACT else {}
