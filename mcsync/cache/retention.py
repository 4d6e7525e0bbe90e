"""What is kept of people, and for how long: for the access report, and for whatever deletes.

The manual's table in docs/security.md says the same in the same words; a test holds it to this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

GIVEN_UP_FOR = timedelta(days=37)  # so long webhooks that were given up stay


@dataclass(frozen=True, slots=True)
class Retention:
    """What the config says of it: days of history, and how many copies of the cache there are."""

    history_days: int = 365
    backups: int = 2

    def ends(self, since: datetime) -> datetime:
        """When something goes that goes with the history."""
        return since + timedelta(days=self.history_days)

    def fill(self, text: str) -> str:
        """The words of a rule with the numbers that hold here."""
        return text.format(history=self.history_days, backups=self.backups)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What of people is kept in one place, and how long; `kept` is to be filled with numbers."""

    what: str
    kept: str


_HISTORY = "`historyDays`; {history}"
_MIRROR = "while CiviCRM has them, in its trash too; then `historyDays`; {history}"

# By table, without the beginning that all of them have.
TABLES: Mapping[str, Keeping] = {
    "cache": Keeping(
        "address, status, names and interests at Mailchimp, CiviCRM groups, what was refused",
        "while the person is at either side",
    ),
    **dict.fromkeys(
        ("contact", "email", "group_contact"),
        Keeping("names, addresses, holds, opt-outs, groups in CiviCRM", _MIRROR),
    ),
    **dict.fromkeys(
        ("contact_data", "entity_tag"),
        Keeping("tags and the fields named in `data`, with the data step only", "the same"),
    ),
    **dict.fromkeys(
        ("update", "batch"),
        Keeping(
            "what was sent to Mailchimp, with address and names, and its refusals",
            _HISTORY,
        ),
    ),
    "plan": Keeping(
        "decisions of the current run, and those a guard holds", "until carried out or decided anew"
    ),
    "change": Keeping("the trail behind `mcsync history`: who, before, after, why", _HISTORY),
    "webhook": Keeping(
        "address, kind and time of what a webhook said",
        f"until handled; what was given up, {GIVEN_UP_FOR.days} days",
    ),
    "forgotten": Keeping("keyed hashes of people who were forgotten", "until they sign up again"),
    "told_contact": Keeping("ids of contacts that CiviCRM's hook reported", "until looked at"),
    "creation": Keeping(
        "addresses of contacts that CiviCRM is asked to create",
        "until it answers; if it does not, until a run after five minutes",
    ),
}
COPIES = Keeping("the whole cache of that day", "until there are `backups` newer ones; {backups}")
SNAPSHOTS = Keeping(
    "both sides of an audience before the first change: names, addresses, statuses, opt-outs",
    _HISTORY,
)
# Tables with settings, times and numbers.
NOBODYS = ("status", "state", "tag", "reason", "place_count", "forgetting", "undo")


def text_of(keeping: Keeping, retention: Retention) -> str:
    """How long it is kept here, in words that stand alone."""
    kept = _MIRROR if keeping.kept == "the same" else keeping.kept
    return retention.fill(kept).replace("`", "")
