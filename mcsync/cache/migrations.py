"""The tables, as named migrations; a migration never changes once it is released.

The first four tables and their columns are those of the documents' table reference, with JSON
where that has serialized PHP. Columns and tables of our own come after.
"""

import json
import sqlite3
from contextlib import closing
from functools import cache

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from mcsync.decision import REASONS

migrations = Migrations("mcsync")

_M001 = """
CREATE TABLE civicrm_mailchimpsync_cache (
    id INTEGER PRIMARY KEY,
    mailchimp_list_id TEXT NOT NULL,
    mailchimp_member_id TEXT,
    mailchimp_email TEXT,
    mailchimp_status TEXT,
    mailchimp_updated TEXT,
    mailchimp_data TEXT,
    civicrm_groups TEXT,
    civicrm_data TEXT,
    civicrm_contact_id INTEGER,
    sync_status TEXT NOT NULL DEFAULT 'todo',
    sync_reason TEXT,
    email_key TEXT,
    unique_contact TEXT,
    lost_contact_id INTEGER,
    is_shared INTEGER NOT NULL DEFAULT 0,
    moved_from TEXT,
    owned_by INTEGER,
    is_data_due INTEGER NOT NULL DEFAULT 1,
    is_looked_up INTEGER NOT NULL DEFAULT 0,
    refused_at TEXT,
    refusal TEXT,
    reconfirmed_at TEXT,
    seen_fetch INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX cache_email ON civicrm_mailchimpsync_cache (email_key, mailchimp_list_id);
CREATE INDEX cache_contact ON civicrm_mailchimpsync_cache (civicrm_contact_id, mailchimp_list_id);
CREATE INDEX cache_todo ON civicrm_mailchimpsync_cache (mailchimp_list_id, id)
    WHERE sync_status = 'todo';
CREATE INDEX cache_data_due ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE is_data_due = 1;
CREATE INDEX cache_retried ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE sync_reason IN ('aborted', 'refused-by-civicrm');
CREATE INDEX cache_under_way ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE sync_status IN ('live', 'redo');
CREATE INDEX cache_unique_contact ON civicrm_mailchimpsync_cache (unique_contact)
    WHERE unique_contact IS NOT NULL;

CREATE TABLE civicrm_mailchimpsync_batch (
    id INTEGER PRIMARY KEY,
    mailchimp_list_id TEXT NOT NULL,
    mailchimp_batch_id TEXT UNIQUE,
    status TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    completed_at TEXT,
    finished_operations INTEGER NOT NULL DEFAULT 0,
    errored_operations INTEGER NOT NULL DEFAULT 0,
    total_operations INTEGER NOT NULL DEFAULT 0,
    response_processed INTEGER NOT NULL DEFAULT 0,
    account TEXT NOT NULL
) STRICT;
CREATE INDEX batch_open ON civicrm_mailchimpsync_batch (response_processed)
    WHERE response_processed < 2;

CREATE TABLE civicrm_mailchimpsync_update (
    id INTEGER PRIMARY KEY,
    mailchimpsync_cache_id INTEGER NOT NULL,
    mailchimpsync_batch_id INTEGER,
    data TEXT NOT NULL,
    completed INTEGER NOT NULL DEFAULT 0,
    error_response TEXT,
    cause TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT
) STRICT;
CREATE INDEX update_cache ON civicrm_mailchimpsync_update (mailchimpsync_cache_id, completed);
CREATE INDEX update_open ON civicrm_mailchimpsync_update (mailchimpsync_batch_id, id)
    WHERE completed = 0;

CREATE TABLE civicrm_mailchimpsync_status (
    list_id TEXT PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

CREATE TABLE civicrm_mailchimpsync_state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE civicrm_mailchimpsync_contact (
    contact_id INTEGER PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    is_deleted INTEGER NOT NULL,
    is_deceased INTEGER NOT NULL,
    is_opt_out INTEGER NOT NULL,
    do_not_email INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    first_name_at TEXT NOT NULL,
    last_name_at TEXT NOT NULL,
    gate_closed_at TEXT,
    merged_to INTEGER,
    is_dirty INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX contact_dirty ON civicrm_mailchimpsync_contact (contact_id) WHERE is_dirty = 1;
CREATE INDEX contact_deleted ON civicrm_mailchimpsync_contact (contact_id) WHERE is_deleted = 1;

CREATE TABLE civicrm_mailchimpsync_email (
    email_id INTEGER PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    is_primary INTEGER NOT NULL,
    is_bulkmail INTEGER NOT NULL,
    on_hold INTEGER NOT NULL
) STRICT;
CREATE INDEX email_contact ON civicrm_mailchimpsync_email (contact_id);
CREATE INDEX email_key ON civicrm_mailchimpsync_email (email_key, contact_id);

CREATE TABLE civicrm_mailchimpsync_group_contact (
    group_id INTEGER NOT NULL,
    contact_id INTEGER NOT NULL,
    status TEXT,
    history_id INTEGER NOT NULL DEFAULT 0,
    says_in INTEGER,
    said_at TEXT,
    said_id INTEGER NOT NULL DEFAULT 0,
    is_dirty INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (group_id, contact_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_contact_contact ON civicrm_mailchimpsync_group_contact (contact_id);
CREATE INDEX group_contact_dirty ON civicrm_mailchimpsync_group_contact (group_id, contact_id)
    WHERE is_dirty = 1;

CREATE TABLE civicrm_mailchimpsync_plan (
    id INTEGER PRIMARY KEY,
    list_id TEXT NOT NULL,
    decision TEXT NOT NULL
) STRICT;
CREATE INDEX plan_list ON civicrm_mailchimpsync_plan (list_id, id);

CREATE TABLE civicrm_mailchimpsync_change (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    run TEXT NOT NULL,
    list_id TEXT NOT NULL,
    cache_id INTEGER,
    contact_id INTEGER,
    email TEXT,
    side TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX change_at ON civicrm_mailchimpsync_change (at);
CREATE INDEX change_cache ON civicrm_mailchimpsync_change (cache_id);

CREATE TABLE civicrm_mailchimpsync_reason (
    code TEXT PRIMARY KEY,
    sentence TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What CiviCRM says of contacts, as JSON, by what it is ("tags", or the fields of a plugin); only
-- who has anything, or was asked for, has a row.
CREATE TABLE civicrm_mailchimpsync_contact_data (
    kind TEXT NOT NULL,
    contact_id INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, contact_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE civicrm_mailchimpsync_tag (
    tag_id INTEGER PRIMARY KEY,
    label TEXT NOT NULL
) STRICT;

CREATE TABLE civicrm_mailchimpsync_entity_tag (
    entity_tag_id INTEGER PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    tag_id INTEGER NOT NULL
) STRICT;
CREATE INDEX entity_tag_contact ON civicrm_mailchimpsync_entity_tag (contact_id, tag_id);
CREATE INDEX entity_tag_tag ON civicrm_mailchimpsync_entity_tag (tag_id, contact_id);

CREATE TABLE civicrm_mailchimpsync_webhook (
    id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    list_id TEXT NOT NULL,
    email TEXT NOT NULL,
    old_email TEXT NOT NULL,
    reason TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    fired_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX webhook_order ON civicrm_mailchimpsync_webhook (attempts, id);
CREATE INDEX webhook_received ON civicrm_mailchimpsync_webhook (received_at);

CREATE TABLE civicrm_mailchimpsync_place_count (
    group_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (group_id, status)
) STRICT, WITHOUT ROWID;
"""

# One view for each question that people ask; what they mean is in docs/cache.md.
_VIEWS = """
CREATE VIEW people AS
SELECT r.id AS row_id, r.mailchimp_list_id AS list_id,
    coalesce(r.mailchimp_email, (SELECT e.email FROM civicrm_mailchimpsync_email e
        WHERE e.contact_id = r.civicrm_contact_id
        ORDER BY e.on_hold, e.is_bulkmail DESC, e.is_primary DESC, e.email_id LIMIT 1)) AS email,
    r.civicrm_contact_id AS contact_id, c.first_name, c.last_name, r.mailchimp_status,
    (SELECT group_concat(g.group_id || ' ' || coalesce(g.status, 'Deleted'), ', ')
        FROM civicrm_mailchimpsync_group_contact g
        WHERE g.contact_id = r.civicrm_contact_id) AS civicrm_groups,
    r.sync_status, r.sync_reason AS reason, s.sentence
FROM civicrm_mailchimpsync_cache r
LEFT JOIN civicrm_mailchimpsync_contact c ON c.contact_id = r.civicrm_contact_id
LEFT JOIN civicrm_mailchimpsync_reason s ON s.code = r.sync_reason;

CREATE VIEW failed_people AS
SELECT * FROM people WHERE sync_status = 'fail';

CREATE VIEW audiences AS
SELECT s.list_id, json_extract(s.data, '$.syncedAt') AS synced_at,
    json_extract(s.data, '$.fetchedAt') AS fetched_at,
    json_extract(s.data, '$.heldPlan.why') AS held_because,
    json_extract(s.data, '$.heldPlan.since') AS held_since,
    count(r.id) AS people,
    count(r.id) FILTER (WHERE r.mailchimp_status = 'subscribed') AS subscribed,
    count(r.id) FILTER (WHERE r.mailchimp_status = 'pending') AS pending,
    count(r.id) FILTER (WHERE r.sync_status = 'todo') AS todo,
    count(r.id) FILTER (WHERE r.sync_status IN ('live', 'redo')) AS under_way,
    count(r.id) FILTER (WHERE r.sync_status = 'fail') AS failed
FROM civicrm_mailchimpsync_status s
LEFT JOIN civicrm_mailchimpsync_cache r ON r.mailchimp_list_id = s.list_id
GROUP BY s.list_id;

CREATE VIEW waiting_batches AS
SELECT b.id, b.mailchimp_list_id AS list_id, b.mailchimp_batch_id AS batch_id, b.status,
    b.submitted_at, b.total_operations, b.finished_operations, b.errored_operations
FROM civicrm_mailchimpsync_batch b WHERE b.response_processed < 2 ORDER BY b.id;

CREATE VIEW queued_updates AS
SELECT u.id, r.mailchimp_list_id AS list_id, r.id AS row_id, r.civicrm_contact_id AS contact_id,
    json_extract(u.data, '$.email') AS email, json_extract(u.data, '$.status') AS new_status,
    u.data, u.created_at, json_extract(u.cause, '$.reason') AS reason, s.sentence
FROM civicrm_mailchimpsync_update u
JOIN civicrm_mailchimpsync_cache r ON r.id = u.mailchimpsync_cache_id
LEFT JOIN civicrm_mailchimpsync_reason s ON s.code = json_extract(u.cause, '$.reason')
WHERE u.completed = 0 AND u.mailchimpsync_batch_id IS NULL ORDER BY u.id;

CREATE VIEW refused_updates AS
SELECT u.id, r.mailchimp_list_id AS list_id, r.id AS row_id, r.civicrm_contact_id AS contact_id,
    json_extract(u.data, '$.email') AS email, json_extract(u.data, '$.status') AS new_status,
    u.error_response, u.completed_at
FROM civicrm_mailchimpsync_update u
LEFT JOIN civicrm_mailchimpsync_cache r ON r.id = u.mailchimpsync_cache_id
WHERE u.completed = 1 AND u.error_response IS NOT NULL AND u.mailchimpsync_batch_id IS NOT NULL
ORDER BY u.completed_at DESC, u.id DESC;

CREATE VIEW recent_changes AS
SELECT c.at, c.run, c.list_id, c.email, c.contact_id, c.cache_id AS row_id, c.side, c.field,
    c.before, c.after, c.reason, s.sentence
FROM civicrm_mailchimpsync_change c
LEFT JOIN civicrm_mailchimpsync_reason s ON s.code = c.reason
ORDER BY c.id DESC;
"""

# How many contacts stand where in a group is kept by triggers, in the transaction that changes it:
# every run compares these numbers with CiviCRM's, and counting a million rows would take longer
# than all the rest of a run with nothing to do. A trigger's own statements must never meet a
# conflict: the policy of the statement that set it off would decide.
_ONE_MORE = (
    "INSERT INTO civicrm_mailchimpsync_place_count SELECT NEW.group_id, NEW.status, 0"
    " WHERE NEW.status IS NOT NULL AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_place_count"
    " WHERE group_id = NEW.group_id AND status = NEW.status);"
    " UPDATE civicrm_mailchimpsync_place_count SET n = n + 1"
    " WHERE group_id = NEW.group_id AND status = NEW.status;"
)
_ONE_LESS = (
    "UPDATE civicrm_mailchimpsync_place_count SET n = n - 1"
    " WHERE group_id = OLD.group_id AND status = OLD.status;"
)
_TRIGGERS = (
    "CREATE TRIGGER place_added AFTER INSERT ON civicrm_mailchimpsync_group_contact"
    f" WHEN NEW.status IS NOT NULL BEGIN {_ONE_MORE} END",
    "CREATE TRIGGER place_removed AFTER DELETE ON civicrm_mailchimpsync_group_contact"
    f" WHEN OLD.status IS NOT NULL BEGIN {_ONE_LESS} END",
    "CREATE TRIGGER place_changed AFTER UPDATE OF group_id, status"
    " ON civicrm_mailchimpsync_group_contact"
    " WHEN NEW.status IS NOT OLD.status OR NEW.group_id IS NOT OLD.group_id"
    f" BEGIN {_ONE_LESS} {_ONE_MORE} END",
)


@migrations()
def m001_first_tables(db: Database) -> None:
    """The cache as the first release made it.

    Its caches note five migrations; the four others are part of this one, whose name they have.
    """
    _execute(db, _M001)
    _execute(db, _VIEWS)
    for trigger in _TRIGGERS:
        db.conn.execute(trigger)


# The queue is a mark of its own, and the documents' `sync_status` shows it. What was refused is
# kept by address; what was agreed is remembered; contacts are known by when they were created.
# A confirmation mail counts as asked when it is sent: before, it did when it was queued. Somebody
# unsubscribed, and not by the gate, is taken for having left: else everybody whom Mailchimp says
# so of would have news.
_M006 = """
DROP VIEW people;
DROP VIEW failed_people;
DROP VIEW audiences;
DROP INDEX cache_todo;
DROP INDEX cache_under_way;
ALTER TABLE civicrm_mailchimpsync_cache RENAME COLUMN sync_status TO mark;
ALTER TABLE civicrm_mailchimpsync_cache ADD COLUMN due INTEGER NOT NULL DEFAULT 1;
ALTER TABLE civicrm_mailchimpsync_cache ADD COLUMN sync_status TEXT
    GENERATED ALWAYS AS (iif(due > 0, 'todo', mark)) VIRTUAL;
ALTER TABLE civicrm_mailchimpsync_cache ADD COLUMN agreed TEXT;
UPDATE civicrm_mailchimpsync_cache SET email_key = trim(email_key),
    mailchimp_email = trim(mailchimp_email) WHERE email_key <> trim(email_key);
UPDATE civicrm_mailchimpsync_email SET email_key = trim(email_key), email = trim(email)
WHERE email_key <> trim(email_key);
UPDATE civicrm_mailchimpsync_status SET data = json_remove(data, '$.heldPlan')
WHERE json_extract(data, '$.heldPlan.why') IS NULL;
ALTER TABLE civicrm_mailchimpsync_cache ADD COLUMN refusals TEXT;
ALTER TABLE civicrm_mailchimpsync_cache ADD COLUMN lost_at TEXT;
UPDATE civicrm_mailchimpsync_cache SET due = 0 WHERE mark <> 'todo';
UPDATE civicrm_mailchimpsync_cache SET mark = 'ok' WHERE mark = 'todo';
UPDATE civicrm_mailchimpsync_cache SET mark = 'ok' WHERE mark IN ('live', 'redo')
    AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
        WHERE u.mailchimpsync_cache_id = civicrm_mailchimpsync_cache.id AND u.completed = 0);
UPDATE civicrm_mailchimpsync_cache SET refusals = json_array(json_object('email', email_key,
    'reason', coalesce(refusal, 'refused-by-mailchimp'),
    'times', json_object('subscribe', refused_at)))
WHERE refused_at IS NOT NULL AND email_key IS NOT NULL;
UPDATE civicrm_mailchimpsync_cache SET refusals = json_array(json_object('email', email_key,
    'reason', 'compliance-state', 'times', json_object('subscribe', reconfirmed_at)))
WHERE reconfirmed_at IS NOT NULL AND refusals IS NULL AND email_key IS NOT NULL
    AND EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u
        WHERE u.mailchimpsync_cache_id = civicrm_mailchimpsync_cache.id
        AND json_extract(u.data, '$.status') = 'pending'
        AND (u.completed = 0 OR u.mailchimpsync_batch_id IS NULL));
UPDATE civicrm_mailchimpsync_cache SET reconfirmed_at = NULL
WHERE reconfirmed_at IS NOT NULL
    AND (SELECT count(*) > 0 AND count(u.mailchimpsync_batch_id) = 0
        FROM civicrm_mailchimpsync_update u
        WHERE u.mailchimpsync_cache_id = civicrm_mailchimpsync_cache.id
        AND json_extract(u.data, '$.status') = 'pending'
        AND json_extract(u.cause, '$.at.status') = civicrm_mailchimpsync_cache.reconfirmed_at);
UPDATE civicrm_mailchimpsync_cache SET lost_at = coalesce(mailchimp_updated, '')
WHERE lost_contact_id IS NOT NULL;
UPDATE civicrm_mailchimpsync_cache SET mailchimp_data =
    json_remove(json_set(mailchimp_data, '$."status!"', json('true')), '$.gated')
WHERE json_extract(mailchimp_data, '$.gated');
UPDATE civicrm_mailchimpsync_cache SET mailchimp_data =
    json_set(mailchimp_data, '$.left', json('true'))
WHERE mailchimp_status = 'unsubscribed' AND json_extract(mailchimp_data, '$."status!"') IS NULL;
UPDATE civicrm_mailchimpsync_cache SET mailchimp_data = json_remove(mailchimp_data, '$."status@"')
WHERE mailchimp_status = 'transactional';
ALTER TABLE civicrm_mailchimpsync_cache DROP COLUMN refused_at;
ALTER TABLE civicrm_mailchimpsync_cache DROP COLUMN refusal;
CREATE INDEX cache_due ON civicrm_mailchimpsync_cache (mailchimp_list_id, id) WHERE due > 0;
CREATE INDEX cache_under_way ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE mark IN ('live', 'redo');
CREATE INDEX cache_stray ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE email_key IS NULL AND mailchimp_member_id IS NOT NULL;

ALTER TABLE civicrm_mailchimpsync_batch ADD COLUMN claimed_at TEXT;
ALTER TABLE civicrm_mailchimpsync_batch ADD COLUMN all_done_at TEXT;
ALTER TABLE civicrm_mailchimpsync_batch ADD COLUMN is_overdue INTEGER NOT NULL DEFAULT 0;
ALTER TABLE civicrm_mailchimpsync_batch ADD COLUMN unreadable_since TEXT;
UPDATE civicrm_mailchimpsync_batch SET claimed_at = submitted_at WHERE response_processed < 2;

ALTER TABLE civicrm_mailchimpsync_contact ADD COLUMN created_at TEXT NOT NULL DEFAULT '';
ALTER TABLE civicrm_mailchimpsync_contact ADD COLUMN is_unseen INTEGER NOT NULL DEFAULT 0;
DROP INDEX group_contact_dirty;
CREATE INDEX group_contact_dirty ON civicrm_mailchimpsync_group_contact (contact_id)
    WHERE is_dirty = 1;
CREATE INDEX contact_unseen ON civicrm_mailchimpsync_contact (contact_id) WHERE is_unseen = 1;

ALTER TABLE civicrm_mailchimpsync_plan ADD COLUMN kinds TEXT NOT NULL DEFAULT '';
"""
_PEOPLE_AND_AUDIENCES = _VIEWS[
    _VIEWS.index("CREATE VIEW people") : _VIEWS.index("CREATE VIEW waiting")
]


@migrations()
def m006_one_queue(db: Database) -> None:
    """One queue, what was agreed and refused, whose contacts these are, and batches that hang."""
    _execute(db, _M006)
    _execute(db, _PEOPLE_AND_AUDIENCES)
    _give_each_group_a_cursor(db)


@migrations()
def m007_organisations(db: Database) -> None:
    """Which contacts are no persons.

    Those without first and last name may be none; they get no name until they are read again.
    """
    table = "civicrm_mailchimpsync_contact"
    db.conn.execute(f"ALTER TABLE {table} ADD COLUMN is_person INTEGER NOT NULL DEFAULT 1")
    db.conn.execute(f"UPDATE {table} SET is_person = 0 WHERE first_name = '' AND last_name = ''")


# What is wrong with an audience, since when, and when somebody was last told.
_M008 = """
DROP VIEW audiences;
CREATE VIEW audiences AS
SELECT s.list_id, json_extract(s.data, '$.syncedAt') AS synced_at,
    json_extract(s.data, '$.fetchedAt') AS fetched_at,
    json_extract(s.data, '$.heldPlan.why') AS held_because,
    json_extract(s.data, '$.heldPlan.since') AS held_since,
    (SELECT group_concat(json_extract(t.value, '$.message'), '; ')
        FROM json_each(s.data, '$.troubles') t) AS troubles,
    (SELECT min(json_extract(t.value, '$.since'))
        FROM json_each(s.data, '$.troubles') t) AS troubles_since,
    (SELECT nullif(max(json_extract(t.value, '$.toldAt')), '')
        FROM json_each(s.data, '$.troubles') t) AS troubles_told_at,
    count(r.id) AS people,
    count(r.id) FILTER (WHERE r.mailchimp_status = 'subscribed') AS subscribed,
    count(r.id) FILTER (WHERE r.mailchimp_status = 'pending') AS pending,
    count(r.id) FILTER (WHERE r.sync_status = 'todo') AS todo,
    count(r.id) FILTER (WHERE r.sync_status IN ('live', 'redo')) AS under_way,
    count(r.id) FILTER (WHERE r.sync_status = 'fail') AS failed
FROM civicrm_mailchimpsync_status s
LEFT JOIN civicrm_mailchimpsync_cache r ON r.mailchimp_list_id = s.list_id
GROUP BY s.list_id;
"""


@migrations()
def m008_troubles(db: Database) -> None:
    """The view of audiences tells their troubles."""
    _execute(db, _M008)


_M009 = """
CREATE TABLE civicrm_mailchimpsync_forgotten (
    hash TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    at TEXT NOT NULL,
    batch_id INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE civicrm_mailchimpsync_forgetting (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    run TEXT NOT NULL,
    people INTEGER NOT NULL,
    is_at_mailchimp INTEGER NOT NULL
) STRICT;
"""


@migrations()
def m009_forgotten_people(db: Database) -> None:
    """Keyed hashes of people who are not to be made again, and when people were forgotten."""
    _execute(db, _M009)


# Contacts of which CiviCRM told that they changed, until somebody has looked; `times` tells whether
# that was before or after the last time it told so.
_M010 = """
CREATE TABLE civicrm_mailchimpsync_told_contact (
    contact_id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL,
    times INTEGER NOT NULL
) STRICT;
"""


@migrations()
def m010_told_contacts(db: Database) -> None:
    """A queue of the contacts that CiviCRM tells of."""
    _execute(db, _M010)


# Undo: in which group a change was, and when the word was said that caused it; what was put back,
# and is left alone (by what it is about: the newest word known, the run that put it back, when, and
# a value); and which run undid which. `row_ids`: of whom only, as JSON.
_M011 = """
ALTER TABLE civicrm_mailchimpsync_change ADD COLUMN group_id INTEGER;
ALTER TABLE civicrm_mailchimpsync_change ADD COLUMN caused_at TEXT;
CREATE INDEX change_run ON civicrm_mailchimpsync_change (run);
ALTER TABLE civicrm_mailchimpsync_cache ADD COLUMN undone TEXT;
CREATE TABLE civicrm_mailchimpsync_undo (
    run TEXT PRIMARY KEY,
    undone_run TEXT NOT NULL,
    row_ids TEXT,
    began_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;
CREATE INDEX undo_began ON civicrm_mailchimpsync_undo (began_at);
"""


@migrations()
def m011_undo(db: Database) -> None:
    """What undo needs to know of a change, and what it did."""
    _execute(db, _M011)


# Those who do not stand as most do, to be counted without a look at everybody.
# No IN: it would be made a table of for each row that is written.
_M012 = """
CREATE INDEX cache_apart ON civicrm_mailchimpsync_cache
    (mailchimp_list_id, sync_reason, mailchimp_status, mark, due, civicrm_contact_id)
WHERE mailchimp_status IS NOT 'subscribed' OR mark <> 'ok'
    OR sync_reason = 'other-address-subscribed' OR sync_reason = 'signed-up-despite-opt-out'
    OR sync_reason = 'contact-deleted' OR sync_reason = 'differed-before-the-move'
    OR sync_reason = 'undone';
"""


@migrations()
def m012_who_stands_apart(db: Database) -> None:
    """An index of the rows of whoever is not plainly subscribed."""
    _execute(db, _M012)


_M013 = """
CREATE TABLE civicrm_mailchimpsync_creation (
    email_key TEXT PRIMARY KEY,
    began_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


@migrations()
def m013_creations(db: Database) -> None:
    """Whose contacts CiviCRM may be creating, should nobody live to hear of it."""
    _execute(db, _M013)


@migrations()
def m014_contacts_of_rows(db: Database) -> None:
    """Have the index of rows by contact leave out the rows without one: nobody looks for those."""
    db.conn.execute("DROP INDEX cache_contact")
    db.conn.execute(
        "CREATE INDEX cache_contact ON civicrm_mailchimpsync_cache"
        " (civicrm_contact_id, mailchimp_list_id) WHERE civicrm_contact_id IS NOT NULL"
    )


# `cache/counts.py` says the same in the same words.
_M015 = """
DROP INDEX cache_apart;
CREATE INDEX cache_apart ON civicrm_mailchimpsync_cache
    (mailchimp_list_id, sync_reason, mailchimp_status, mark, due, civicrm_contact_id)
WHERE due = 0 AND (mailchimp_status IS NOT 'subscribed' OR mark <> 'ok'
    OR sync_reason = 'other-address-subscribed' OR sync_reason = 'signed-up-despite-opt-out'
    OR sync_reason = 'contact-deleted' OR sync_reason = 'differed-before-the-move'
    OR sync_reason = 'undone');
"""


@migrations()
def m015_who_stands_apart_once_judged(db: Database) -> None:
    """Leave those who are due to the index that they are in anyway."""
    _execute(db, _M015)


# `changes()`: of the statement before it, in a trigger.
_ONE_MORE_OR_THE_FIRST = (
    "UPDATE civicrm_mailchimpsync_place_count SET n = n + 1"
    " WHERE group_id = NEW.group_id AND status = NEW.status;"
    " INSERT INTO civicrm_mailchimpsync_place_count SELECT NEW.group_id, NEW.status, 1"
    " WHERE NEW.status IS NOT NULL AND changes() = 0;"
)
_M016 = f"""
DROP TRIGGER place_added;
DROP TRIGGER place_changed;
CREATE TRIGGER place_added AFTER INSERT ON civicrm_mailchimpsync_group_contact
WHEN NEW.status IS NOT NULL BEGIN {_ONE_MORE_OR_THE_FIRST} END;
CREATE TRIGGER place_changed AFTER UPDATE OF group_id, status
ON civicrm_mailchimpsync_group_contact
WHEN NEW.status IS NOT OLD.status OR NEW.group_id IS NOT OLD.group_id
BEGIN {_ONE_LESS} {_ONE_MORE_OR_THE_FIRST} END;
"""


@migrations()
def m016_places_are_looked_up_once(db: Database) -> None:
    """Look the count of a place up once instead of twice: a first fetch has a million of them."""
    _execute(db, _M016)


def _give_each_group_a_cursor(db: Database) -> None:
    """One cursor and one time of comparing served for all groups."""
    table = "civicrm_mailchimpsync_state"
    row = db.conn.execute(f"SELECT value FROM {table} WHERE key = 'mirror'").fetchone()
    if row is None:
        return
    old = json.loads(row[0])
    smart = set(old.get("smartGroupIds", ()))
    groups = {
        str(group_id): {
            "historyId": old.get("historyId", 0),
            "comparedAt": old.get("comparedAt", ""),
            "isSmart": group_id in smart,
        }
        for group_id in old.get("groupIds", ())
    }
    state = {"groups": groups, "modifiedAt": old.get("modifiedAt", "")}
    db.conn.execute(f"UPDATE {table} SET value = ? WHERE key = 'mirror'", (json.dumps(state),))


@cache
def known_migrations() -> frozenset[str]:
    """The names of all migrations of this mcsync."""
    with closing(sqlite3.connect(":memory:")) as empty:
        return frozenset(migration.name for migration in migrations.pending(Database(empty)))


def keep_reasons(db: Database) -> None:
    """Have the cache know the sentence of each reason, as this mcsync words it."""
    wanted = {reason.value: sentence for reason, sentence in REASONS.items()}
    table = "civicrm_mailchimpsync_reason"
    if dict(db.conn.execute(f"SELECT code, sentence FROM {table}")) == wanted:
        return
    with db.atomic():
        db.conn.execute(f"DELETE FROM {table}")
        db.conn.executemany(f"INSERT INTO {table} VALUES (?, ?)", wanted.items())


def _execute(db: Database, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            db.conn.execute(statement)
