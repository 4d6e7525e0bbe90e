"""What the data step reads: tags, fields of contacts, and records of any entity for plugins."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from mcsync.civicrm import reading, records, sight
from mcsync.civicrm.sight import ANY_TRASH
from mcsync.civicrm.transport import Call, get
from mcsync.errors import ConfigError, ProtocolError
from mcsync.model import EntityTag, GroupSizes, TagSnapshot

OF_CONTACTS: list[object] = ["entity_table", "=", "civicrm_contact"]

Record = dict[str, object]
Values = dict[int, Record]


class WireTag(records.WireId):
    """A tag; old CiviCRMs have no labels, and leave out what they do not know."""

    name: str | None = None
    label: str | None = None


class WireTagCount(msgspec.Struct):
    """How many contacts have a tag."""

    tag_id: int
    n: int


class WireEntityTag(records.WireId):
    """A tag on a contact."""

    entity_id: int
    tag_id: int


class DataReader(reading.Reader):
    """Reads a site, for the data step too."""

    # --- tags ---------------------------------------------------------------------------------

    def fetch_tags(self, after_id: int) -> TagSnapshot:
        """All tags, how many contacts have each, and who got one since; one request.

        A tag that is taken off leaves no trace: only the counts tell.
        """
        self._known_offset()
        tags = get("Tag", WireTag)
        grouped = {
            "select": ["tag_id", "COUNT(id) AS n"],
            "where": [OF_CONTACTS],
            "groupBy": ["tag_id"],
        }
        counts = Call("EntityTag", "get", grouped, WireTagCount)
        new = _entity_tags(after_id, None)
        answers, _ = self._transport.call_all([tags, counts, new])
        rows = self._transport.read(answers[2], new)
        labels = ((row.id, row.label or row.name) for row in self._transport.read(answers[0], tags))
        return TagSnapshot(
            labels={tag_id: " ".join(label.split()) for tag_id, label in labels if label},
            counts={row.tag_id: row.n for row in self._transport.read(answers[1], counts)},
            rows=tuple(_read_entity_tag(row) for row in rows),
            has_more=len(rows) >= reading.PAGE_SIZE,
        )

    def fetch_entity_tags(
        self, after_id: int, tag_ids: Sequence[int] | None
    ) -> Iterator[tuple[EntityTag, ...]]:
        """Which contacts have which tags, by id above `after_id`; only these tags, or all."""
        self._known_offset()
        for rows in self._read_pages(lambda after: _entity_tags(after, tag_ids), after_id):
            yield tuple(_read_entity_tag(row) for row in rows)

    # --- groups -------------------------------------------------------------------------------

    def fetch_group_sizes(self, group_ids: Sequence[int]) -> GroupSizes:
        """These groups, as far as they exist, and what tells whether anybody came or went."""
        self._known_offset()
        groups = reading.groups(group_ids)
        counts = reading.group_counts(group_ids, ["status", "=", "Added"])
        newest = reading.highest_id("SubscriptionHistory", [["group_id", "IN", list(group_ids)]])
        answers, _ = self._transport.call_all([groups, counts, newest])
        read = self._transport.read
        return GroupSizes(
            groups={row.id: records.read_group(row) for row in read(answers[0], groups)},
            added={row.group_id: row.n for row in read(answers[1], counts)},
            newest_history=records.read_highest(read(answers[2], newest)),
        )

    # --- fields -------------------------------------------------------------------------------

    def find_unknown_fields(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Those of these fields that do not exist, or that our user may not see, in their order.

        Contact 1 is asked for them: what CiviCRM does not know in a `select` is silently left
        out of the row (recording error-unknown-field-select), while what is merely empty comes
        as null, joined fields too (groupcontact-get-contact-without-email). One call, whatever
        the number of fields; in a `where` each would be an error that tells nothing.

        Raises: RemoteRefused when we do not see everybody.
        """
        wanted = list(dict.fromkeys(fields))
        if not wanted:
            return ()
        params = {"select": ["id", *wanted], "where": [["id", "=", sight.ORGANISATION]]}
        call = Call("Contact", "get", params, dict[str, msgspec.Raw])
        rows = self._transport.call(call)
        if not rows:
            raise sight.refusal(self._transport.host)
        return tuple(name for name in wanted if name not in rows[0])

    def fetch_contact_fields(
        self, fields: Sequence[str], contact_ids: Sequence[int]
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """What these contacts have in these fields, by contact id; empty ones are left out."""
        self._known_offset()

        def fetch(ids: list[int]) -> Values:
            params = {"select": _with_id(fields), "where": [["id", "IN", ids], ANY_TRASH]}
            call = Call("Contact", "get", params, dict[str, object])
            return _read_values(self._transport.call(call), fields)

        unique = list(dict.fromkeys(contact_ids))
        yield from reading.read_parts(fetch, unique, reading.IDS_PER_REQUEST)

    def fetch_changed_contact_fields(
        self, fields: Sequence[str], since: datetime
    ) -> Iterator[Mapping[int, Mapping[str, object]]]:
        """The same for all contacts of the site modified at or after `since`.

        CiviCRM's triggers move a contact's date when an address, phone or custom field of it
        changes (measured for Email; the others are from its source); what is reached by other
        joins, such as an employer's name, is found by the next full reading.
        """
        local = records.write_time(since, self._known_offset())
        where: reading.Where = [["modified_date", ">=", local], ANY_TRASH]
        for rows in self._fetch_pages("Contact", fields, where):
            yield _read_values(rows, fields)

    # --- anything -----------------------------------------------------------------------------

    def fetch_records(
        self, entity: str, fields: Sequence[str], where: Sequence[Sequence[object]]
    ) -> Iterator[Mapping[str, object]]:
        """Records of any APIv4 entity, in id order."""
        self._known_offset()
        for rows in self._fetch_pages(entity, fields, where):
            yield from rows

    def _fetch_pages(
        self, entity: str, fields: Sequence[str], where: Sequence[Sequence[object]]
    ) -> Iterator[list[Record]]:
        def page(after_id: int) -> Call[Record]:
            params = {
                "select": _with_id(fields),
                "where": [["id", ">", after_id], *map(list, where)],
                "orderBy": reading.BY_ID,
                "limit": reading.PAGE_SIZE,
            }
            return Call(entity, "get", params, dict[str, object])

        return self._read_pages(page, id_of=_id_of)


def _entity_tags(after_id: int, tag_ids: Sequence[int] | None) -> Call[WireEntityTag]:
    where: reading.Where = [["id", ">", after_id], OF_CONTACTS]
    if tag_ids is not None:
        where.append(["tag_id", "IN", list(tag_ids)])
    return reading.page("EntityTag", WireEntityTag, where)


def _read_entity_tag(row: WireEntityTag) -> EntityTag:
    return EntityTag(row.id, row.entity_id, row.tag_id)


def _with_id(fields: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(("id", *fields)))


def _read_values(rows: Sequence[Record], fields: Sequence[str]) -> Values:
    """By contact id, what is in these fields.

    An empty field comes as null; one that CiviCRM does not know, or may not show us, does not
    come at all (civicrm: Answers).
    Raises: ConfigError for such a field: it must not be taken for empty everywhere.
    """
    for name in fields:
        if rows and not any(name in row for row in rows):
            raise ConfigError(
                f'CiviCRM shows no contact field "{name}"',
                hint="check its name in data.fields, and the permissions of the API user; for more"
                ' run "mcsync check"',
            )
    return {
        _id_of(row): {name: row[name] for name in fields if row.get(name) not in (None, "", [])}
        for row in rows
    }


def _id_of(row: Mapping[str, object]) -> int:
    found = row.get("id")
    if not isinstance(found, int):
        raise ProtocolError(f"CiviCRM gave {found!r} instead of an id")
    return found
