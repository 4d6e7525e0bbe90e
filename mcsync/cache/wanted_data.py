"""The data step's side of the cache: whom plugins are asked about, what they want, what was sent.

`civicrm_data` of a row: per plugin what it asked to keep, and under "mcsync" what was sent:
`{"mcsync": {"merge_fields": {"POSTCODE": "75001"}, "tags": {"CiviCRM: Donor": true}},
"tags": {"seen": ["Donor"]}}`. All of it moves only when an update has succeeded.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from mcsync.cache.contacts import BEST_ADDRESS
from mcsync.cache.rows import SQL_IN, save_data
from mcsync.cache.store import Store, json_list
from mcsync.model import DataRow, MemberChange, MemberStatus, MergeValue
from mcsync.name_tags import FIRST_NAME_TAG, LAST_NAME_TAG, NAME_TAGS, WHOLE_NAME_TAG

CHUNK = 1000  # rows that a plugin is asked about at once

_NAME_TO_SEND = {
    FIRST_NAME_TAG: "k.first_name",
    LAST_NAME_TAG: "k.last_name",
    WHOLE_NAME_TAG: "trim(k.first_name || ' ' || k.last_name)",
}

FIELDS = "fields"  # the built-in plugin that `data.fields` is for
OWN = "mcsync"  # our own key beside the plugins'; no plugin may be called so

Metadata = Mapping[str, Mapping[str, object]]


class Sent(msgspec.Struct, omit_defaults=True):
    """What was sent to a member: merge fields, and tags by whether they were put on."""

    merge_fields: dict[str, MergeValue] = {}
    tags: dict[str, bool] = {}


class Wanted(msgspec.Struct, omit_defaults=True):
    """What all plugins together want of one row, and what each of them wants to be kept."""

    merge_fields: dict[str, MergeValue] = {}
    tags: dict[str, bool] = {}
    metadata: dict[str, dict[str, object]] = {}


_encode = msgspec.json.Encoder().encode
_decode_data = msgspec.json.Decoder(dict[str, dict[str, object]]).decode
_decode_wanted = msgspec.json.Decoder(Wanted).decode

# Whose data are kept up to date: who is in, unless a rule leaves them alone.
TAKES_DATA = f"""
(c.mailchimp_status IN {SQL_IN}
  AND (c.sync_status <> 'fail' OR c.sync_reason = 'refused-by-mailchimp'))
"""
# Rows of contacts, to be judged or in, about which nothing is under way.
_CONCERNED = f"""
FROM civicrm_mailchimpsync_cache c
JOIN civicrm_mailchimpsync_contact k ON k.contact_id = c.civicrm_contact_id AND k.is_deleted = 0
WHERE c.mailchimp_list_id = :list_id
  AND (c.sync_status = 'todo'
    OR {TAKES_DATA})
  AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
    WHERE u.mailchimpsync_cache_id = c.id AND u.completed = 0
      AND u.mailchimpsync_batch_id IS NOT NULL)
"""
_AMONG = "AND (c.sync_status = 'todo' OR c.civicrm_contact_id IN (SELECT contact_id FROM chosen))"


_WANTED = "CREATE TEMP TABLE IF NOT EXISTS wanted (row_id INTEGER PRIMARY KEY, data TEXT)"


def begin_data(store: Store) -> None:
    """Make room for what plugins want; nothing of it outlives the run."""
    store.query("CREATE TEMP TABLE IF NOT EXISTS chosen (contact_id INTEGER PRIMARY KEY)")
    store.query("CREATE TEMP TABLE IF NOT EXISTS asked (row_id INTEGER PRIMARY KEY)")
    store.query(_WANTED)
    with store.atomic():
        store.query("DELETE FROM temp.wanted")


def choose_rows(store: Store, list_id: str, contact_ids: Collection[int] | None) -> None:
    """Ask about the rows of these contacts and those to do, or about all; temporary tables only."""
    with store.atomic():
        store.query("DELETE FROM temp.chosen")
        store.query("DELETE FROM temp.asked")
        store.insert_many("INSERT INTO chosen VALUES (?)", ((i,) for i in contact_ids or ()))
        among = "" if contact_ids is None else _AMONG
        sql = f"INSERT INTO asked SELECT c.id {_CONCERNED} {among}"
        store.query(sql, {"list_id": list_id})


_ROW = f"""
c.id, k.contact_id,
coalesce(c.mailchimp_email, {BEST_ADDRESS.format(contact="k.contact_id")}, ''),
k.first_name, k.last_name, c.mailchimp_status, c.mailchimp_data, c.civicrm_data
"""


def load_asked(store: Store, plugin: str) -> Iterator[list[DataRow]]:
    """The chosen rows, with the plugin's metadata, chunk by chunk."""
    sql = (
        f"SELECT {_ROW} FROM asked"
        " JOIN civicrm_mailchimpsync_cache c ON c.id = asked.row_id"
        " JOIN civicrm_mailchimpsync_contact k ON k.contact_id = c.civicrm_contact_id"
        " WHERE asked.row_id > :after ORDER BY asked.row_id LIMIT :limit"
    )
    for rows in store.pages(sql, CHUNK):
        yield [_read_row(row, plugin) for row in rows]


def load_concerned(store: Store, list_id: str, plugin: str) -> Iterator[DataRow]:
    """All rows concerned, read as they are taken."""
    sql = f"SELECT {_ROW} {_CONCERNED} AND c.id > :after ORDER BY c.id LIMIT :limit"
    for rows in store.pages(sql, CHUNK, list_id=list_id):
        yield from (_read_row(row, plugin) for row in rows)


def count_long_names(store: Store, list_id: str, most_bytes: int) -> dict[str, int]:
    """Of how many contacts to do the names are longer than that, as each field has them."""
    sums = ", ".join(f"sum(length(CAST({n} AS BLOB)) > :most)" for n in _NAME_TO_SEND.values())
    row = store.query(
        f"SELECT {sums} {_CONCERNED} AND c.due > 0",
        {"list_id": list_id, "most": most_bytes},
    ).fetchone()
    return {tag: count for tag, count in zip(_NAME_TO_SEND, row, strict=True) if count}


class _Names(msgspec.Struct):
    """The part of `mailchimp_data` that merge fields are known from."""

    first_name: str | None = None
    last_name: str | None = None


_decode_names = msgspec.json.Decoder(_Names).decode


def _read_row(row: Sequence[object], plugin: str) -> DataRow:
    names = _decode_names(str(row[6])) if row[6] else _Names()
    data = _decode_data(str(row[7])) if row[7] else {}
    known = {FIRST_NAME_TAG: names.first_name or "", LAST_NAME_TAG: names.last_name or ""}
    return DataRow(
        row_id=int(str(row[0])),
        contact_id=int(str(row[1])),
        email=str(row[2]),
        first_name=str(row[3]),
        last_name=str(row[4]),
        status=MemberStatus(str(row[5])) if row[5] else None,
        merge_fields={**known, **_read_sent(data).merge_fields} if row[6] else {},
        metadata=data.get(plugin, {}),
    )


def _read_sent(data: Mapping[str, object]) -> Sent:
    return msgspec.convert(data.get(OWN, {}), Sent)


# --- what plugins want ----------------------------------------------------------------------------


def load_wanted(store: Store, row_ids: Sequence[int]) -> dict[int, Wanted]:
    """What plugins want of these rows, as far as they were asked and want anything."""
    store.query(_WANTED)
    rows = store.query(
        "SELECT row_id, data FROM wanted WHERE row_id IN (SELECT value FROM json_each(?))",
        (json_list(row_ids),),
    )
    return {row_id: _decode_wanted(data) for row_id, data in rows}


def load_all_wanted(store: Store) -> Iterator[dict[int, Wanted]]:
    """All that is wanted, chunk by chunk; rows may be dropped meanwhile."""
    sql = "SELECT row_id, data FROM wanted WHERE row_id > :after ORDER BY row_id LIMIT :limit"
    for rows in store.pages(sql, CHUNK):
        yield {row_id: _decode_wanted(data) for row_id, data in rows}


def save_wanted(store: Store, wanted: Mapping[int, Wanted]) -> None:
    """Keep what is wanted of these rows."""
    store.insert_many(
        "INSERT OR REPLACE INTO wanted (row_id, data) VALUES (?, ?)",
        [(row_id, _encode(each).decode()) for row_id, each in wanted.items()],
    )


def drop_wanted(store: Store, row_ids: Collection[int]) -> None:
    """Nothing is wanted of these rows after all."""
    store.run_many("DELETE FROM wanted WHERE row_id = ?", [(row_id,) for row_id in row_ids])


# --- what was sent --------------------------------------------------------------------------------


def load_sent(store: Store, row_ids: Sequence[int]) -> dict[int, Sent]:
    """What was sent to the members of these rows."""
    return {row_id: _read_sent(data) for row_id, data in _load_data(store, row_ids).items()}


def keep_metadata(store: Store, metadata: Mapping[int, Metadata]) -> None:
    """Keep what plugins want to be kept of rows."""
    known = _load_data(store, list(metadata))
    save_data(store, {i: _with_metadata(known.get(i, {}), m) for i, m in metadata.items()})


def note_sent(store: Store, row_id: int, change: MemberChange, metadata: Metadata) -> None:
    """A change has succeeded: what it sent, and what is kept."""
    if not (change.merge_fields or change.tags or metadata):
        return
    data = _load_data(store, [row_id]).get(row_id, {})
    sent = _read_sent(data)
    # Names are in `mailchimp_data`.
    sent.merge_fields |= {k: v for k, v in change.merge_fields.items() if k not in NAME_TAGS}
    sent.tags |= change.tags
    data = {**data, OWN: msgspec.to_builtins(sent)}
    save_data(store, {row_id: _with_metadata(data, metadata)})


def _with_metadata(data: Mapping[str, object], metadata: Metadata) -> dict[str, object]:
    """The data with what plugins keep in place of what they kept; nothing leaves no key."""
    merged = {**data, **metadata}
    return {key: value for key, value in merged.items() if value}


def _load_data(store: Store, row_ids: Sequence[int]) -> dict[int, dict[str, dict[str, object]]]:
    rows = store.query(
        "SELECT id, civicrm_data FROM civicrm_mailchimpsync_cache"
        " WHERE civicrm_data IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
        (json_list(row_ids),),
    )
    return {row_id: _decode_data(data) for row_id, data in rows}
