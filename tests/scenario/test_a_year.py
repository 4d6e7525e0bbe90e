"""A year of runs, with people who come, change their minds, and are deleted at both ends.

The cache knows who there is, and what was done within `historyDays`: neither grows with time.
"""

from contextlib import closing

from mcsync.cache.webhooks import save_events
from mcsync.model import EventKind, WebhookEvent
from tests.scenario.bedrock import GROUP, LIST, Bedrock

DAYS = 15  # between two runs; a full compare, and a full fetch, are due in each
MONTH = 30
STAY = 3  # runs for which somebody stays


class Life:
    """People of a small town, between two runs."""

    def __init__(self, bedrock: Bedrock) -> None:
        self.bedrock = bedrock
        self.fred = bedrock.add_both("fred@example.org")
        self.in_trash: list[int] = []

    def go_on(self, number: int) -> None:
        """Two people come, two go for good, and two change their minds; a webhook strays."""
        mailchimp, civicrm = self.bedrock.town.mailchimp, self.bedrock.town.civicrm
        for contact in self.in_trash:
            civicrm.purge(contact)
        self.in_trash = []
        self.bedrock.add_contact(f"miner{number}@example.org")
        mailchimp.sign_up(LIST, f"guest{number}@example.org", "Guest", f"N{number}")
        mailchimp.sign_up(LIST, "fred@example.org", "Fred", f"Flintstone {number}")
        move = civicrm.remove_from_group if number % 2 else civicrm.add_to_group
        move(self.fred, GROUP)
        for who in ("miner", "guest") if number >= STAY else ():
            self._leave(f"{who}{number - STAY}@example.org")
        event = WebhookEvent(EventKind.SUBSCRIBE, "zzzzzzzzzz", f"stray{number}@example.org")
        with closing(self.bedrock.open_store()) as store:
            save_events(store, [event], self.bedrock.town.clock())

    def _leave(self, email: str) -> None:
        """Deleted for good at Mailchimp; in CiviCRM put into the trash, which is emptied later."""
        self.bedrock.town.mailchimp.staff_delete_permanently(LIST, email)
        for contact in self.bedrock.town.civicrm.contacts_by_email(email):
            self.bedrock.town.civicrm.trash(contact.id)
            self.in_trash.append(contact.id)


def measure(bedrock: Bedrock) -> dict[str, int]:
    """Rows of each table, the length of the longest status, and pages of the file."""
    with closing(bedrock.open_store()) as store:
        tables = store.column(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'civicrm_%'"
        )
        found = {name: store.number(f"SELECT count(*) FROM {name}") for name in tables}  # noqa: S608
        length = store.number("SELECT max(length(data)) FROM civicrm_mailchimpsync_status")
        pages = store.number("PRAGMA page_count")
        return {**found, "longest status": length, "pages": pages}


def test_the_cache_does_not_grow_with_time(bedrock: Bedrock):
    bedrock.settings["historyDays"] = MONTH
    life, sizes = Life(bedrock), []
    for number in range(14 * MONTH // DAYS):
        life.go_on(number)
        bedrock.sync()
        sizes.append(measure(bedrock))
        bedrock.pass_time(days=DAYS)
    a_month = MONTH // DAYS
    early, before, after = sizes[3 * a_month - 1], sizes[-1 - a_month], sizes[-1]
    assert early["civicrm_mailchimpsync_update"] >= 3, "something is done"
    assert early["civicrm_mailchimpsync_contact"] > 8, "and people come and go"
    assert {k: n for k, n in after.items() if n > before[k] + 1} == {}
    assert {k: n for k, n in after.items() if n > early[k] + 2} == {}, "nor slowly"
    assert sorted(path.suffix for path in bedrock.folder.glob("*.copy")) == [".copy"] * 2
