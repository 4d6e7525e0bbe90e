"""What CiviCRM says of contacts beyond names and addresses: tags and mapped fields, mirrored.

`contact_data` has one JSON text per contact and kind, so that one comparison in SQL finds the
rows of an audience to which something else was sent.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec

from mcsync.cache.rows import SQL_IN, mark_refused_due
from mcsync.cache.store import Store, json_list
from mcsync.cache.wanted_data import TAKES_DATA
from mcsync.model import EntityTag

TAGS = "tags"  # the kind of every plugin that follows tags

_encode = msgspec.json.Encoder().encode
_T = TypeVar("_T")


class TagState(msgspec.Struct, rename="camel"):
    """How far the mirror of tags reaches; the state's `TAGS`."""

    entity_tag_id: int = 0
    compared_at: str = ""


class GroupsState(msgspec.Struct, rename="camel"):
    """What was last read of groups that become tags, and when; the state's value of their kind.

    `counts` are the contacts Added to each, `history_id` the newest row of their history; the
    `doubted` ones were not believed.
    """

    groups: list[int] = []
    counts: dict[int, int] = {}
    history_id: int = 0
    doubted: list[int] = []
    compared_at: str = ""


class UnknownFields(msgspec.Struct, rename="camel"):
    """Which of these fields CiviCRM did not show, and when it was asked."""

    fields: list[str] = []
    unknown: list[str] = []
    asked_at: str = ""


class FieldState(msgspec.Struct, rename="camel"):
    """Which fields are mirrored for a plugin, up to where, and when all contacts were read.

    The state's value of their kind.
    """

    fields: list[str] = []
    modified_at: str = ""
    compared_at: str = ""


# --- tags -----------------------------------------------------------------------------------------


def begin_tags(store: Store) -> None:
    """From here on it is noted whose tags change."""
    store.query("CREATE TEMP TABLE IF NOT EXISTS touched (contact_id INTEGER PRIMARY KEY)")
    store.query("DELETE FROM temp.touched")


_TOUCH = (
    "INSERT OR IGNORE INTO touched"
    " SELECT contact_id FROM civicrm_mailchimpsync_entity_tag WHERE tag_id = ?"
)


def save_tags(store: Store, labels: Mapping[int, str]) -> None:
    """Make the mirror's tags these."""
    known = dict(store.query("SELECT tag_id, label FROM civicrm_mailchimpsync_tag").fetchall())
    changed = [(i,) for i in known.keys() | labels.keys() if known.get(i) != labels.get(i)]
    store.run_many(_TOUCH, changed)
    gone = [(tag_id,) for tag_id in known.keys() - labels.keys()]
    store.run_many("DELETE FROM civicrm_mailchimpsync_entity_tag WHERE tag_id = ?", gone)
    store.run_many("DELETE FROM civicrm_mailchimpsync_tag WHERE tag_id = ?", gone)
    store.insert_many(
        "INSERT OR REPLACE INTO civicrm_mailchimpsync_tag (tag_id, label) VALUES (?, ?)",
        labels.items(),
    )


def forget_entity_tags(store: Store, tag_ids: Iterable[int]) -> None:
    """Nobody has these tags until they are read again."""
    tags = [(tag_id,) for tag_id in tag_ids]
    store.run_many(_TOUCH, tags)
    store.run_many("DELETE FROM civicrm_mailchimpsync_entity_tag WHERE tag_id = ?", tags)


def save_entity_tags(store: Store, rows: Sequence[EntityTag]) -> None:
    """Take in tags that contacts have. Repeating it is harmless."""
    store.run_many(
        "INSERT OR IGNORE INTO touched SELECT ?2 WHERE NOT EXISTS ("
        " SELECT 1 FROM civicrm_mailchimpsync_entity_tag"
        " WHERE entity_tag_id = ?1 AND contact_id = ?2 AND tag_id = ?3)",
        [(row.entity_tag_id, row.contact_id, row.tag_id) for row in rows],
    )
    store.insert_many(
        "INSERT OR REPLACE INTO civicrm_mailchimpsync_entity_tag"
        " (entity_tag_id, contact_id, tag_id) VALUES (?, ?, ?)",
        [(row.entity_tag_id, row.contact_id, row.tag_id) for row in rows],
    )


def count_entity_tags(store: Store) -> dict[int, int]:
    """How many contacts have each tag, as the mirror has it."""
    rows = store.query("SELECT tag_id, count(*) FROM civicrm_mailchimpsync_entity_tag GROUP BY 1")
    return dict(rows.fetchall())


def finish_tags(store: Store) -> None:
    """Tell for each contact whose tags changed what they are.

    A tag that Mailchimp refused, and that is gone now, is nothing that plugins tell of.
    """
    mark_refused_due(store, "SELECT contact_id FROM temp.touched")
    store.query(
        "DELETE FROM civicrm_mailchimpsync_contact_data WHERE kind = ?"
        " AND contact_id IN (SELECT contact_id FROM touched)",
        (TAGS,),
    )
    store.insert_many(
        "INSERT INTO civicrm_mailchimpsync_contact_data (kind, contact_id, value) VALUES (?, ?, ?)",
        [
            (TAGS, contact_id, _encode([label for _, label in rows]).decode())
            for contact_id, rows in groupby(_load_touched(store), key=lambda row: row[0])
        ],
    )


def _load_touched(store: Store) -> Iterator[tuple[int, str]]:
    yield from store.query(
        "SELECT DISTINCT e.contact_id, t.label FROM touched"
        " CROSS JOIN civicrm_mailchimpsync_entity_tag e ON e.contact_id = touched.contact_id"
        " JOIN civicrm_mailchimpsync_tag t ON t.tag_id = e.tag_id"
        " ORDER BY e.contact_id, lower(t.label), t.label"
    )


# --- fields ---------------------------------------------------------------------------------------


def save_values(store: Store, kind: str, values: Mapping[int, Mapping[str, object]]) -> None:
    """Keep the values of contacts; of contacts without a row in any audience nothing is kept."""
    store.run_many(
        "INSERT INTO civicrm_mailchimpsync_contact_data (kind, contact_id, value)"
        " SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM civicrm_mailchimpsync_cache"
        "  WHERE civicrm_contact_id = ?2)"
        " ON CONFLICT (kind, contact_id) DO UPDATE SET value = excluded.value",
        [(kind, contact_id, _encode(value).decode()) for contact_id, value in values.items()],
    )


def load_linked_contacts(store: Store, size: int, unread: str = "") -> Iterator[list[int]]:
    """Contacts with a row in any audience, so many at once; those without the kind `unread`."""
    never_read = (
        "AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_contact_data d"
        " WHERE d.kind = :unread AND d.contact_id = c.civicrm_contact_id)"
    )
    sql = (
        "SELECT DISTINCT civicrm_contact_id FROM civicrm_mailchimpsync_cache c"
        f" WHERE civicrm_contact_id > :after {never_read if unread else ''}"
        " ORDER BY civicrm_contact_id LIMIT :limit"
    )
    return store.id_pages(sql, size, unread=unread)


# --- groups ---------------------------------------------------------------------------------------


def kind_of_groups(plugin: str) -> str:
    """Under which kind a plugin's groups are kept."""
    return f"groups of {plugin}"


def begin_group_members(store: Store) -> None:
    """Make room for who is in the groups; temporary."""
    store.query("CREATE TEMP TABLE IF NOT EXISTS now_in (contact_id INTEGER, group_id INTEGER)")
    with store.atomic():
        store.query("DELETE FROM temp.now_in")


def add_group_members(store: Store, members: Iterable[tuple[int, int]]) -> None:
    """(contact id, group id) of some who are in; temporary."""
    with store.atomic():
        store.insert_many("INSERT INTO now_in VALUES (?, ?)", members)


def keep_group_members(store: Store, kind: str, group_ids: Sequence[int]) -> None:
    """Whoever was in these groups still is; temporary."""
    with store.atomic():
        store.query(
            "INSERT INTO now_in SELECT d.contact_id, g.value"
            " FROM civicrm_mailchimpsync_contact_data d, json_each(d.value) g WHERE d.kind = ?"
            " AND g.value IN (SELECT value FROM json_each(?))",
            (kind, json_list(group_ids)),
        )


def finish_group_members(store: Store, kind: str) -> None:
    """Make the mirror what was gathered."""
    mirrored = "SELECT contact_id FROM civicrm_mailchimpsync_contact_data WHERE kind = ?"
    mark_refused_due(store, mirrored, (kind,))
    store.query(
        "DELETE FROM civicrm_mailchimpsync_contact_data WHERE kind = ?"
        " AND contact_id NOT IN (SELECT contact_id FROM now_in)",
        (kind,),
    )
    store.query(
        "INSERT INTO civicrm_mailchimpsync_contact_data (kind, contact_id, value)"
        " SELECT ?, contact_id, json_group_array(group_id)"
        " FROM (SELECT DISTINCT contact_id, group_id FROM now_in ORDER BY 1, 2)"
        " WHERE true GROUP BY contact_id"
        " ON CONFLICT (kind, contact_id) DO UPDATE SET value = excluded.value"
        " WHERE value <> excluded.value",
        (kind,),
    )
    store.query("DELETE FROM temp.now_in")


def count_group_members(store: Store, kind: str, group_id: int) -> int:
    """How many contacts the mirror has in a group."""
    return store.number(
        "SELECT count(*) FROM civicrm_mailchimpsync_contact_data d, json_each(d.value) g"
        " WHERE d.kind = ? AND g.value = ?",
        (kind, group_id),
    )


# --- both -----------------------------------------------------------------------------------------

_FIND_DIFFERING = f"""
SELECT DISTINCT c.civicrm_contact_id
FROM civicrm_mailchimpsync_cache c
LEFT JOIN civicrm_mailchimpsync_contact_data d
    ON d.kind = :kind AND d.contact_id = c.civicrm_contact_id
WHERE c.mailchimp_list_id = :list_id AND c.civicrm_contact_id IS NOT NULL
  AND {TAKES_DATA}
  AND (nullif(d.value, '{{}}') IS NOT nullif(json_extract(c.civicrm_data, :seen), '{{}}')
    OR (:as_what <> '' AND json_extract(c.civicrm_data, :seen) IS NOT NULL
        AND json_extract(c.civicrm_data, :as) IS NOT :as_what))
"""


def find_differing(
    store: Store, list_id: str, kind: str, plugin: str, as_what: str = ""
) -> list[int]:
    """Contacts with a member who is in, and was sent something else than is mirrored."""
    parameters = {
        "kind": kind,
        "list_id": list_id,
        "seen": f'$."{plugin}".seen',
        "as": f'$."{plugin}".as',
        "as_what": as_what,
    }
    return store.column(_FIND_DIFFERING, parameters)


def kind_of_fields(plugin: str) -> str:
    """Under which kind a plugin's fields are kept."""
    return f"fields of {plugin}"


def key_of_unknown(plugin: str) -> str:
    """Under which key of the state the plugin's `UnknownFields` are kept."""
    return f"unknown fields of {plugin}"


def load_audience_contacts(store: Store, list_id: str, size: int) -> Iterator[list[int]]:
    """Contacts with a member of the audience who is in, in id order, so many at once."""
    sql = (
        "SELECT DISTINCT civicrm_contact_id FROM civicrm_mailchimpsync_cache"
        " WHERE civicrm_contact_id > :after AND mailchimp_list_id = :list"
        f" AND mailchimp_status IN {SQL_IN}"
        " ORDER BY civicrm_contact_id LIMIT :limit"
    )
    return store.id_pages(sql, size, list=list_id)


def load_values(
    store: Store, kind: str, contact_ids: Sequence[int], what: type[_T]
) -> dict[int, _T]:
    """What is mirrored of a kind, of those of these contacts of whom there is anything.

    `what`: the labels of their tags and the ids of their groups are lists, sorted; the values of
    fields are by their names.
    """
    rows = store.query(
        "SELECT contact_id, value FROM civicrm_mailchimpsync_contact_data WHERE kind = ?"
        " AND contact_id IN (SELECT value FROM json_each(?))",
        (kind, json_list(contact_ids)),
    )
    decode = msgspec.json.Decoder(what).decode
    return {contact_id: decode(value) for contact_id, value in rows}
