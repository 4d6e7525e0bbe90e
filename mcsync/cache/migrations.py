"""The tables, as named migrations; a migration never changes once it is released.

The first four tables and their columns are those of the documents' table reference, with JSON
where that has serialized PHP. Columns and tables of our own come after.
"""

from typing import TYPE_CHECKING

from sqlite_utils.migrations import Migrations

if TYPE_CHECKING:
    from sqlite_utils import Database

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
CREATE UNIQUE INDEX cache_email ON civicrm_mailchimpsync_cache (mailchimp_list_id, email_key);
CREATE INDEX cache_contact ON civicrm_mailchimpsync_cache (civicrm_contact_id, mailchimp_list_id);
CREATE INDEX cache_todo ON civicrm_mailchimpsync_cache (mailchimp_list_id, id)
    WHERE sync_status = 'todo';
CREATE INDEX cache_data_due ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE is_data_due = 1;
CREATE INDEX cache_aborted ON civicrm_mailchimpsync_cache (mailchimp_list_id)
    WHERE sync_reason = 'aborted';
CREATE INDEX cache_key ON civicrm_mailchimpsync_cache (email_key);
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
"""


@migrations()
def m001_first_tables(db: "Database") -> None:
    """The documents' tables, the mirror of CiviCRM, the plan and the audit trail."""
    for statement in _M001.split(";\n"):
        if statement.strip():
            db.conn.execute(statement)
