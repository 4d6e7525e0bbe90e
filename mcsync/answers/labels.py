"""How people call interests and groups: by the names that the last run saw."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mcsync.cache.audience_status import load_status
from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.store import Store


@dataclass(frozen=True, slots=True)
class Labels:
    """Names by id: of interests ("Category: Interest"), and of CiviCRM's groups."""

    interests: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)

    def interest(self, interest_id: str) -> str:
        """`interest "Topics: Volunteering"`, or with its id where no run has seen the name."""
        name = self.interests.get(interest_id)
        return f'interest "{name}"' if name else f"interest {interest_id}"

    def group(self, group_id: int) -> str:
        """`group 12 "Newsletter"`, without the title where no run has seen it."""
        title = self.groups.get(group_id)
        return f'group {group_id} "{title}"' if title else f"group {group_id}"

    def field(self, name: str) -> str:
        """How the trail's `field` is called: an interest by its name, all else as it is."""
        return self.interest(name) if name in self.interests else name


def load_labels(store: Store, list_ids: Iterable[str]) -> Labels:
    """The names of these audiences' interests, and of all groups."""
    interests: dict[str, str] = {}
    for list_id in list_ids:
        interests |= load_status(store, list_id).interest_names
    groups = load_mirror_state(store).groups
    return Labels(interests, {key: group.title for key, group in groups.items() if group.title})
