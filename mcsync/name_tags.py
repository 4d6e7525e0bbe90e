"""Where members have their names: the merge fields of Mailchimp's own audiences.

All of mcsync calls the fields so; an audience that calls them otherwise (`nameFields`) is
translated at the door, by `pipeline/name_fields`. Of its own, for the config needs it, and whoever
finds the lock held loads nothing more.
"""

from collections.abc import Mapping
from types import MappingProxyType

FIRST_NAME_TAG = "FNAME"
LAST_NAME_TAG = "LNAME"
WHOLE_NAME_TAG = "NAME"  # both names joined

# By the key of `nameFields`, and by the name that a person has.
NAME_FIELDS: Mapping[str, str] = MappingProxyType(
    {"first": FIRST_NAME_TAG, "last": LAST_NAME_TAG, "whole": WHOLE_NAME_TAG}
)
TAG_OF_NAME: Mapping[str, str] = MappingProxyType(
    {"first_name": FIRST_NAME_TAG, "last_name": LAST_NAME_TAG}
)
NAME_TAGS = frozenset(NAME_FIELDS.values())


def read_names(merge_fields: Mapping[str, str]) -> tuple[str, str]:
    """(first name, last name) of a member.

    Audiences with a single NAME field have it split on spaces, first word and rest, but only
    where FNAME and LNAME are absent or both empty.
    """
    first, last = merge_fields.get(FIRST_NAME_TAG, ""), merge_fields.get(LAST_NAME_TAG, "")
    if first or last or WHOLE_NAME_TAG not in merge_fields:
        return first, last
    head, _, rest = merge_fields[WHOLE_NAME_TAG].strip().partition(" ")
    return head, rest.strip()
