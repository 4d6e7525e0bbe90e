"""Forty people in agreement, and some news: what a trouble must leave alone, and bring late."""

from mcsync.cache.audience_status import load_status
from mcsync.sandbox.server import Response
from tests.scenario.bedrock import GROUP, LIST, Bedrock

HTML = Response(200, b"<html><body>Oops</body></html>", {"Content-Type": "text/html"})


class Town40:
    """Forty people in agreement after a first run, and some news since."""

    def __init__(self, bedrock: Bedrock, people: int = 40) -> None:
        self.bedrock = bedrock
        self.contacts = {
            email: bedrock.add_both(email)
            for email in (f"pebbles{number}@example.org" for number in range(people))
        }
        bedrock.sync()
        assert bedrock.sync() == 0
        bedrock.pass_time(hours=1)
        # news: a sign-up, somebody who left, somebody removed
        bedrock.town.mailchimp.sign_up(LIST, "dino@example.org", "Dino", "Flintstone")
        bedrock.town.mailchimp.leave(LIST, "pebbles0@example.org")
        bedrock.town.civicrm.remove_from_group(self.contacts["pebbles1@example.org"], GROUP)
        bedrock.pass_time(minutes=1)

    def look(self) -> tuple[dict[str, str], set[int], int]:
        """Statuses at Mailchimp, who is in the group, how many contacts there are."""
        town = self.bedrock.town
        statuses = {email: str(m["status"]) for email, m in town.mailchimp.members(LIST).items()}
        return statuses, town.civicrm.group_members(GROUP), len(town.civicrm.contacts())

    def window(self) -> str | None:
        """Where the next fetch from Mailchimp would begin."""
        store = self.bedrock.open_store()
        try:
            return load_status(store, LIST).since
        finally:
            store.close()

    def assert_news_arrived(self) -> None:
        """The healthy run after the trouble put all right."""
        bedrock = self.bedrock
        assert bedrock.group_status(self.contacts["pebbles0@example.org"]) == "Removed"
        assert bedrock.member_status("pebbles1@example.org") == "unsubscribed"
        [dino] = bedrock.town.civicrm.contacts_by_email("dino@example.org")
        assert bedrock.group_status(dino.id) == "Added"
        statuses, group, _ = self.look()
        assert sum(status == "subscribed" for status in statuses.values()) == len(self.contacts) - 1
        assert len(group) == len(self.contacts) - 1
