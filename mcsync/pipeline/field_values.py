"""What contacts have in the fields of `data.fields`: as mirrored, else as CiviCRM tells now.

For `check`, which tells what would be left out before anything is sent.
"""

from collections.abc import Iterator, Mapping, Sequence

from mcsync.cache.store import Store
from mcsync.cache.tags_and_fields import (
    FieldState,
    kind_of_fields,
    load_audience_contacts,
    load_values,
)
from mcsync.cache.wanted_data import FIELDS
from mcsync.pipeline.ports import CivicrmPort

_AT_ONCE = 5000  # contacts

Values = Mapping[str, object]


def read_values(
    store: Store, civicrm: CivicrmPort, list_id: str, names: Sequence[str]
) -> Iterator[Values]:
    """The values of each contact with a member who is in; `names` are fields that CiviCRM shows.

    Nothing is kept. Raises McsyncError where CiviCRM has to be asked and does not answer.
    """
    kind = kind_of_fields(FIELDS)
    is_mirrored = store.load_state(kind, FieldState).fields == sorted(names)
    for contact_ids in load_audience_contacts(store, list_id, _AT_ONCE):
        known: dict[int, dict[str, object]] = {}
        if is_mirrored:
            known = load_values(store, kind, contact_ids, dict[str, object])
        yield from known.values()
        unknown = [contact_id for contact_id in contact_ids if contact_id not in known]
        for values in civicrm.fetch_contact_fields(names, unknown) if unknown else ():
            yield from values.values()
