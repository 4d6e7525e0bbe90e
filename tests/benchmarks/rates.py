"""Merge and reconcile, a floor beside them, in CPU seconds of this process: run as a module.

The floor decodes the very pages that the merge gets, with msgspec, and inserts the same rows
into the same tables, one by one, a transaction a page, and does nothing else. The merge inserts
many at a time, so it may come nearer than its own work alone would. Fetching is left out of both.
"""

import argparse
import gc
import json
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec

import mcsync.mailchimp.members as members_module
from mcsync.assemble import build_run
from mcsync.cache.looks import Reader, take_page
from mcsync.cache.rows import mark_everyone
from mcsync.cache.store import Store
from mcsync.cli.session import _RARELY
from mcsync.config import load_config
from mcsync.http import HttpClient, Reply
from mcsync.mailchimp.client import MailchimpClient
from mcsync.mailchimp.wire import WireMember, WireMembers
from mcsync.pipeline.reconcile import reconcile
from tests.benchmarks.world import LIST, VOLUNTEERING

_INSERT = """
INSERT INTO civicrm_mailchimpsync_cache (mailchimp_list_id, email_key, mailchimp_member_id,
    mailchimp_email, mailchimp_status, mailchimp_updated, mailchimp_data, unique_contact,
    seen_fetch, due, mark)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'ok')
"""


OVERLAP = timedelta(minutes=10)  # as a first fetch has it
_TIMES = 5  # merge and floor are measured, to tell of the one in the middle


class Untimed(HttpClient):
    """Fetches without being counted: `cpu_s` is what fetching took, `body` what came last."""

    def __init__(self) -> None:
        super().__init__(max_connections=1)
        self.cpu_s = 0.0
        self.body = b""

    def send(self, method: str, url: str, **more: object) -> Reply:  # type: ignore[override]
        """One GET; everything else about it is of no interest here."""
        begun = time.process_time()
        with urlopen(f"{url}?{urlencode(more['params'])}") as answer:  # type: ignore[arg-type]  # noqa: S310
            self.body = answer.read()
        now = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}"
        reply = Reply(200, {"content-type": "application/json", "date": now}, self.body)
        self.cpu_s += time.process_time() - begun
        return reply


class Floor:
    """Decodes pages and inserts the rows, a transaction a page; `cpu_s` is what that took.

    It looks nothing up, compares nothing, counts nothing and believes everything: no more than
    what it takes to get a member from the page into the table.
    """

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.cpu_s = 0.0
        self._decoder = msgspec.json.Decoder(WireMembers)
        self._encode = msgspec.json.Encoder().encode

    def take(self, body: bytes, ids: set[str]) -> None:
        """One page, without the rows that it shares with the one before."""
        begun = time.process_time()
        members = [member for member in self._decoder.decode(body).members if member.id in ids]
        with self.store.atomic():
            self.store.run_many(_INSERT, list(map(self._row, members)))
        self.cpu_s += time.process_time() - begun

    def _row(self, member: WireMember) -> tuple[object, ...]:
        at = f"{member.last_changed[:19]}Z"
        fields, interests = member.merge_fields or {}, member.interests or {}
        data = {
            "status": member.status,
            "status@": at,
            "first_name": fields["FNAME"],
            "first_name@": at,
            "last_name": fields["LNAME"],
            "last_name@": at,
            f"interest-{VOLUNTEERING}": interests[VOLUNTEERING],
            f"interest-{VOLUNTEERING}@": at,
        }
        if member.status in ("unsubscribed", "archived"):  # by nobody that the world tells of
            data["met"] = True
        return (
            LIST,
            member.email_address.lower(),
            member.id,
            member.email_address,
            str(member.status),
            at,
            self._encode(data).decode(),
            member.contact_id,
            1,
        )


def measure_merge(url: str, folder: Path) -> tuple[int, float, float]:
    """Members merged into an empty cache, the seconds it took, and those of the floor.

    Page by page in turns, so that both meet the same machine.
    """
    members_module.IN_FLIGHT = 0  # fetched in this thread, so that it can be left out
    http = Untimed()
    client = MailchimpClient("key-us1", f"{url}/3.0", http=http)
    reader, count, merge_s = Reader([VOLUNTEERING]), 0, 0.0
    store, floor = Store(folder / "merge.db"), Floor(folder / "floor.db")
    began: datetime | None = None
    pages = client.fetch_members(LIST, None)
    while True:
        begun, before = time.process_time(), http.cpu_s
        page = next(pages, None)
        if page is not None:
            began = began or page.served_at or datetime.now(UTC)
            found = take_page(store, LIST, page.members, reader, 1, began - OVERLAP)
        merge_s += time.process_time() - begun - (http.cpu_s - before)
        if page is None:
            break
        count += found.changed
        floor.take(http.body, {member.member_id for member in page.members})
    _compare(store, floor.store)
    for each in (store, floor.store):
        each.close()
        each.path.unlink()
    return count, merge_s, floor.cpu_s


def _compare(store: Store, floor: Store) -> None:
    """The floor is one only if both have the same rows."""
    sql = (
        "SELECT count(*), sum(length(mailchimp_data)), min(email_key), max(mailchimp_updated)"
        " FROM civicrm_mailchimpsync_cache"
    )
    if store.query(sql).fetchone() != floor.query(sql).fetchone():
        raise RuntimeError("the floor inserted other rows than the merge")


def measure_reconcile(config_path: Path, cache: Path, folder: Path) -> tuple[int, float]:
    """Rows that turn out equal, all of a synced cache, judged again."""
    copy = folder / "reconcile.db"
    shutil.copyfile(cache, copy)
    config, store = load_config(config_path, {}), Store(copy)
    run = build_run(config, config.audiences, store, with_data=False)
    mark_everyone(store, LIST)
    begun = time.process_time()
    reconcile(run)
    took = time.process_time() - begun
    run.raise_troubles()
    store.close()
    return run.reports[LIST].todo, took


def main() -> None:
    """Measure, and print what was found as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    given = parser.parse_args()
    gc.set_threshold(*_RARELY)  # as the command does; the floor has it, too
    with TemporaryDirectory(prefix="mcsync-rates-", dir=given.cache.parent) as name:
        folder = Path(name)
        merges = [measure_merge(given.url, folder) for _ in range(_TIMES)]
        merged, merge_s, floor_s = sorted(merges, key=lambda found: found[1] / found[2])[
            _TIMES // 2
        ]
        judged, reconcile_s = measure_reconcile(given.config, given.cache, folder)
    found = {
        "merged": merged,
        "merge_per_s": merged / merge_s,
        "floor_per_s": merged / floor_s,
        "merge_to_floor": merge_s / floor_s,
        "judged": judged,
        "reconcile_per_s": judged / reconcile_s,
        "reconcile_to_floor": (reconcile_s / judged) / (floor_s / merged),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
