"""The words of a report that its text and its page have in common."""

from mcsync.answers.report import AudienceReport, show_minute
from mcsync.model import Side
from mcsync.reconcile.guards import Kind
from mcsync.text import show_length

GUARDS = {
    Kind.UNSUBSCRIBES: "unsubscribed because staff removed them from the group",
    Kind.MUTES: "unsubscribed because they may not be mailed",
    Kind.REMOVALS: "removed from the group although nobody asked",
    Kind.ADDITIONS: "subscribed",
    Kind.JOINS: "added to the group",
    Kind.INTERESTS: "given other interests",
    Kind.NEW_CONTACTS: "created as contacts",
    Kind.ADDRESSES: "given another address",
    Kind.UNSEEN: "no longer shown by CiviCRM",
}


def text_of_state(audience: AudienceReport) -> str:
    """How an audience stands, and since when."""
    standing = audience.standing
    if standing.state in ("held", "failing"):
        return f"{standing.state} since {show_minute(audience.since)}"
    if standing.age_s is not None:
        ago = show_length(standing.age_s)
        return f"{standing.state}; last complete sync {ago} ago"
    if audience.since is not None:
        return f"{standing.state}; fetched {show_minute(audience.since)}"
    return standing.state


def text_of_days(audience: AudienceReport, side: Side) -> str:
    """What mcsync did at one side in all of the days: "12 added, 3 removed"."""
    added = sum(day.added[side] for day in audience.days)
    removed = sum(day.removed[side] for day in audience.days)
    return f"{added:,} added, {removed:,} removed"
