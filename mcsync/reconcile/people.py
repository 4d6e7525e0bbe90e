"""People: which rows and contacts are judged together.

The unit of decision is a contact with the members that are its own. That two contacts own one
address says nothing about their other addresses: no larger knot is ever tied.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mcsync.decision import ContactView, Person, RowView
from mcsync.model import email_key


def split(
    rows: Iterable[RowView],
    contacts: Iterable[ContactView],
    group_id: int,
    rivals: Mapping[int, Sequence[int]] | None = None,
) -> Iterator[Person]:
    """Each contact with its own members, then each row that belongs to no contact.

    A contact without a row is judged only if it has, or had, a place in the group.
    """
    houses = _Houses(rows, contacts, group_id)
    for contact in houses.contacts.values():
        if houses.is_judged(contact):
            yield houses.move_in(contact)
    for row in houses.homeless:
        yield Person((row,), rivals=tuple((rivals or {}).get(row.row_id, ())))


class _Houses:
    """Who owns which row, and which address."""

    def __init__(
        self, rows: Iterable[RowView], contacts: Iterable[ContactView], group_id: int
    ) -> None:
        self._group_id = group_id
        self.contacts = {c.contact_id: c for c in sorted(contacts, key=lambda c: c.contact_id)}
        self.own: dict[int, list[RowView]] = defaultdict(list)
        self.homeless: list[RowView] = []
        self._by_key: dict[str, RowView] = {}
        self._owners: dict[str, list[ContactView]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row.row_id):
            if row.contact_id is not None and row.contact_id in self.contacts:
                self.own[row.contact_id].append(row)
            else:
                self.homeless.append(row)
            self._claim_address(row)
        for contact in self.contacts.values():
            if self.is_judged(contact):
                for key in contact.keys:
                    self._owners[key].append(contact)

    def _claim_address(self, row: RowView) -> None:
        """A member has the address, whoever else was merely tried with it."""
        key = _key_of(row)
        if key is not None:
            taken = self._by_key.get(key)
            if taken is None or taken.member is None:
                self._by_key[key] = row

    def is_judged(self, contact: ContactView) -> bool:
        return bool(self.own[contact.contact_id]) or self._group_id in contact.places

    def move_in(self, contact: ContactView) -> Person:
        """The contact as a person, with those who own an address of its members."""
        sharers: dict[int, ContactView] = {}
        for row in self.own[contact.contact_id]:
            key = _key_of(row)
            if key is None or self._by_key[key] is not row:
                continue
            for other in self._owners[key]:
                if other is not contact:
                    sharers[other.contact_id] = other
        others = tuple(self._alone(sharers[key]) for key in sorted(sharers))
        person = self._alone(contact)
        return Person(person.rows, contact, person.shared, others)

    def _alone(self, contact: ContactView) -> Person:
        own = tuple(self.own[contact.contact_id])
        found = (self._by_key.get(key) for key in sorted(contact.keys))
        shared = tuple(
            row for row in found if row is not None and row.contact_id != contact.contact_id
        )
        linked = tuple(row for row in shared if row.contact_id is not None)
        return Person(own, contact, linked)


def _key_of(row: RowView) -> str | None:
    """The address of a row's member, or the one under which it is to become a member."""
    email = row.member.email if row.member is not None else row.email
    return email_key(email) if email else None
