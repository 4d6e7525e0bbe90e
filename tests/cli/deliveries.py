"""What Mailchimp delivers to the commands that take webhooks, and what becomes of it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mcsync.sandbox.town import API_KEY
from tests.cli.conftest import GIVE_UP_S, LIST, Office

SECRET, BATCH_SECRET = "yabbadabbadoo", "wilmaaaaaa"
PATH, BATCH_PATH = "/crm/mailchimp/webhook", "/crm/mailchimp/batch-webhook"
WHO = "wilma@bedrock.example"
UNKNOWN_LIST = "zzzzzzzzzz"


def payload(kind: str = "cleaned", list_id: str = LIST, email: str = WHO) -> bytes:
    """An audience's delivery."""
    fields = {"type": kind, "fired_at": "2026-11-22 06:00:00", "data[list_id]": list_id}
    return urlencode(fields | {"data[email]": email}).encode()


BATCH = urlencode({"type": "batch_operation_completed", "data[id]": "1234ab56cd"}).encode()


def settle(office: Office, **account: Any) -> None:
    """A config with webhooks."""
    base: dict[str, Any] = office.town.make_config()["accounts"][API_KEY]  # type: ignore[index]
    hooks = {
        "webhookUrl": f"https://example.org{PATH}?secret={SECRET}",
        "batchWebhook": f"https://example.org{BATCH_PATH}?secret={BATCH_SECRET}",
    }
    office.write_config(accounts={API_KEY: base | hooks | account})


def open_shop(office: Office) -> Office:
    """An office whose config has webhooks; for `pytest.fixture(open_shop)`."""
    settle(office)
    return office


def stored(cache: Path) -> list[str]:
    """The addresses in the queue, oldest first."""
    with closing(sqlite3.connect(cache)) as db:
        rows = db.execute("SELECT email FROM civicrm_mailchimpsync_webhook ORDER BY id")
        return [row[0] for row in rows]


def waiting(office: Office) -> int:
    """How many events are in the queue."""
    with closing(sqlite3.connect(office.cache, timeout=GIVE_UP_S)) as db:
        row = db.execute("SELECT count(*) FROM civicrm_mailchimpsync_webhook").fetchone()
        return int(row[0])


def is_removed(office: Office, email: str) -> bool:
    """Whether the owner of the address is in no group any more, but was."""
    tables = office.town.civicrm.store.tables
    (contact,) = [
        row["contact_id"] for row in tables["Email"].rows.values() if row["email"] == email
    ]
    places = [row for row in tables["GroupContact"].rows.values() if row["contact_id"] == contact]
    return [row["status"] for row in places] == ["Removed"]
