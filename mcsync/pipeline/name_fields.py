"""Audiences whose names are in other merge fields than FNAME, LNAME and NAME.

The rules, the cache and the plugins know these three only: an audience's own are given their names
on the way in, and get their own back on the way out. Another field that has one of the three tags
is not a name, and is not seen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from mcsync.model import Batch, Member, MemberPage, MergeField, Operation, Outcome
from mcsync.pipeline.ports import MailchimpPort

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class NamedFields:
    """A Mailchimp account as one audience sees it.

    `names` maps those of FNAME, LNAME and NAME that are called otherwise to the audience's own
    tags; "" for one that it does not have.
    """

    account: MailchimpPort
    names: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        """Whatever has no merge fields in it is as the account has it."""
        return getattr(self.account, name)

    def read(self, fields: Mapping[str, V]) -> dict[str, V]:
        """The audience's merge fields under the names that the rules know."""
        known = {own: tag for tag, own in self.names.items() if own}
        return {
            known.get(tag, tag): value
            for tag, value in fields.items()
            if tag in known or tag not in self.names
        }

    def write(self, fields: Mapping[str, V]) -> dict[str, V]:
        """The same fields under the audience's own names; only names may go into those."""
        own = set(self.names.values()) - self.names.keys()
        renamed = ((self.names.get(t, t), v) for t, v in fields.items() if t not in own)
        return {tag: value for tag, value in renamed if tag}

    def _member(self, member: Member) -> Member:
        return member._replace(merge_fields=self.read(member.merge_fields))

    def _maybe(self, member: Member | None) -> Member | None:
        return None if member is None else self._member(member)

    def _outcome(self, outcome: Outcome) -> Outcome:
        known = {own: tag for tag, own in self.names.items() if own}
        tags = tuple(known.get(tag, tag) for tag in outcome.merge_tags)
        return replace(outcome, member=self._maybe(outcome.member), merge_tags=tags)

    def _operation(self, operation: Operation) -> Operation:
        change = operation.change
        return replace(
            operation, change=replace(change, merge_fields=self.write(change.merge_fields))
        )

    # --- the account's, renamed ---------------------------------------------------------------

    def fetch_merge_fields(self, list_id: str) -> tuple[MergeField, ...]:
        found = {field.tag: field for field in self.account.fetch_merge_fields(list_id)}
        return tuple(replace(field, tag=tag) for tag, field in self.read(found).items())

    def fetch_members(
        self,
        list_id: str,
        since: datetime | None,
        is_awaited: Callable[[], bool] | None = None,
    ) -> Iterator[MemberPage]:
        for page in self.account.fetch_members(list_id, since, is_awaited):
            yield replace(page, members=tuple(map(self._member, page.members)))

    def fetch_member(self, list_id: str, key: str) -> Member | None:
        return self._maybe(self.account.fetch_member(list_id, key))

    def fetch_each(self, list_id: str, keys: Sequence[str]) -> Mapping[str, Member | None]:
        found = self.account.fetch_each(list_id, keys)
        return {key: self._maybe(member) for key, member in found.items()}

    def fetch_each_contact(
        self, list_id: str, unique_contacts: Sequence[str]
    ) -> Mapping[str, Member | None]:
        found = self.account.fetch_each_contact(list_id, unique_contacts)
        return {key: self._maybe(member) for key, member in found.items()}

    def submit_batch(self, operations: Sequence[Operation]) -> Batch:
        return self.account.submit_batch([self._operation(each) for each in operations])

    def fetch_outcomes(self, batch: Batch) -> Iterator[Outcome]:
        return map(self._outcome, self.account.fetch_outcomes(batch))

    def change_member(self, operation: Operation) -> Outcome:
        return self._outcome(self.account.change_member(self._operation(operation)))
