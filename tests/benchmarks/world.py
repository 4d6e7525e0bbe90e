"""A large world, computed and not stored: everybody's data follows from their number.

Person `i` of `size` is a member and a contact with the same address. Of twenty people sixteen
are subscribed and in the group, two left, one was cleaned and one archived: both sides agree
about all of them. Of the people who left, every tenth contact was never in the group. With several
audiences everybody is in one of them, each of which has groups of its own.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

LIST = "aaaaaaaaaa"
GROUP, VOLUNTEERS = 111, 222  # of the first audience; the next ones have theirs above
VOLUNTEERING = "cccccccccc"
OTHER_INTERESTS = ("dddddddddd", "eeeeeeeeee")  # not mapped, and sent all the same
CREATED = "2020-01-01 00:00:00"  # every contact, as the site tells it
FIRST_CONTACT = 1000  # the contact id of person 0; 1 is ourselves
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
STEP_S = 20  # a million people's changes make 231 days
TAGS = {1: "Donor", 2: "Member", 3: "Press"}

_FIRST = ("Fred", "Wilma", "Barney", "Betty", "Pebbles", "Bamm", "Ada", "Grace", "Zoë", "Jürgen")
_LAST = ("Flintstone", "Rubble", "Slate", "Lovelace", "Hopper", "O'Neil", "Söhne", "Curie")
_STATUSES = ("subscribed",) * 16 + ("unsubscribed",) * 2 + ("cleaned", "archived")


def text_of(at: datetime) -> str:
    """A time as CiviCRM writes it; Mailchimp's form has a T and an offset."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def list_of(audience: int) -> str:
    """The list id of an audience by its number."""
    return f"b{audience:09x}" if audience else LIST


def interest_of(audience: int) -> str:
    """The id of its mapped interest."""
    return f"f{audience:09x}" if audience else VOLUNTEERING


def group_of(audience: int) -> int:
    """Its subscription group."""
    return GROUP + 1000 * audience


def volunteers_of(audience: int) -> int:
    """The group of its interest."""
    return VOLUNTEERS + 1000 * audience


@dataclass
class World:
    """`size` people, and whatever has changed since they were made."""

    size: int
    audiences: int = 1
    status: dict[int, str] = field(default_factory=dict)
    first_name: dict[int, str] = field(default_factory=dict)
    merge_fields: dict[int, dict[str, str]] = field(default_factory=dict)
    changed_at: dict[int, datetime] = field(default_factory=dict)
    last_name: dict[int, str] = field(default_factory=dict)
    modified_at: dict[int, datetime] = field(default_factory=dict)
    places: dict[tuple[int, int], str] = field(default_factory=dict)  # (group, person)
    new_places: list[tuple[int, int]] = field(default_factory=list)
    new_history: list[tuple[int, int, str, datetime, str]] = field(default_factory=list)
    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    generation: int = 0

    def __post_init__(self) -> None:
        for i in range(self.size):
            if self.was_in_group(i):
                self.counts[self.group(i), self.first_place(i)] += 1
            if self.is_volunteer(i):
                self.counts[self.volunteers(i), "Added"] += 1
        self.arrange()

    # --- who they are ---------------------------------------------------------------------------

    def audience(self, i: int) -> int:
        """The number of the audience that the person is in."""
        return i * self.audiences // self.size

    def group(self, i: int) -> int:
        """Its subscription group."""
        return group_of(self.audience(i))

    def volunteers(self, i: int) -> int:
        """The group of its interest."""
        return volunteers_of(self.audience(i))

    def email(self, i: int) -> str:
        """The person's address; Mailchimp's spelling may differ in case."""
        return f"person{i}.{_LAST[i % 8][:3].lower()}@example{i % 97}.org"

    def member_id(self, i: int) -> str:
        """The subscriber hash."""
        return hashlib.md5(self.email(i).encode(), usedforsecurity=False).hexdigest()

    def first(self, i: int) -> str:
        """The first name at Mailchimp; CiviCRM has it as it was in the beginning."""
        return self.first_name.get(i) or _FIRST[i % 10]

    def last(self, i: int) -> str:
        """The last name in CiviCRM."""
        return self.last_name.get(i) or _LAST[i % 8]

    def base_time(self, i: int) -> datetime:
        """When both sides last heard of the person, in the beginning."""
        return BEGIN + timedelta(seconds=STEP_S * i)

    @staticmethod
    def first_status(i: int) -> str:
        """The member's status in the beginning."""
        return _STATUSES[i % 20]

    @staticmethod
    def was_in_group(i: int) -> bool:
        """Whether the contact had a place in the subscription group in the beginning."""
        return i % 200 != 16

    @staticmethod
    def first_place(i: int) -> str:
        """That place."""
        return "Added" if i % 20 < 16 else "Removed"

    @staticmethod
    def is_volunteer(i: int) -> bool:
        """Whether the person has the mapped interest, and its group."""
        return i % 20 == 3

    @staticmethod
    def has_second_email(i: int) -> bool:
        """Whether the contact has another address, too."""
        return i % 10 == 7

    @staticmethod
    def tags(i: int) -> list[int]:
        """The tags of the contact."""
        return [1 + i % 3] if i % 10 == 5 else []

    # --- Mailchimp ------------------------------------------------------------------------------

    def arrange(self) -> None:
        """Sort the members as Mailchimp pages them: by their last change."""
        moved = sorted(self.changed_at, key=lambda i: (self.changed_at[i], i))
        lists = range(self.audiences)
        self.orders = {(list_of(n), is_out): array("l") for n in lists for is_out in (True, False)}
        for i in range(self.size):
            if i not in self.changed_at:
                self._order_of(i).append(i)
        for i in moved:
            self._order_of(i).append(i)

    def _order_of(self, i: int) -> "array[int]":
        """Those among whom the member is paged: the archived ones of a list, or all others."""
        return self.orders[list_of(self.audience(i)), self.status_of(i) == "archived"]

    def status_of(self, i: int) -> str:
        """The member's status now."""
        return self.status.get(i) or self.first_status(i)

    def last_changed(self, i: int) -> datetime:
        """When the member last changed."""
        return self.changed_at.get(i) or self.base_time(i)

    def member_json(self, i: int) -> str:
        """The member as Mailchimp answers with the fields that mcsync asks for."""
        first = self.first(i)
        more = self.merge_fields.get(i, {})
        email = self.email(i)
        spelled = email.capitalize() if i % 100 == 1 else email
        interest = interest_of(self.audience(i))
        interests = f'"{interest}":{"true" if self.is_volunteer(i) else "false"}'
        at = self.last_changed(i)
        reason = "" if i % 20 != 16 else ',"unsubscribe_reason":"N/A (Unsubscribed by admin)"'
        return (
            f'{{"id":"{self.member_id(i)}","email_address":"{spelled}",'
            f'"contact_id":"{i:032x}","status":"{self.status_of(i)}"{reason},'
            f'"merge_fields":{{"FNAME":"{first}","LNAME":"{_LAST[i % 8]}","ADDRESS":"",'
            f'"PHONE":"","POSTCODE":"{more.get("POSTCODE", "")}"}},'
            f'"interests":{{{interests},"{OTHER_INTERESTS[0]}":false,"{OTHER_INTERESTS[1]}":true}},'
            f'"last_changed":"{at.isoformat(timespec="seconds")}"}}'
        )

    def members_page(
        self, list_id: str, *, archived: bool, since: datetime | None, offset: int, n: int
    ) -> bytes:
        """One page of members, sorted by `last_changed`; `since` itself is left out."""
        order = self.orders[list_id, archived]
        begin = 0 if since is None else self._find(order, since)
        rows = order[begin + offset : begin + offset + n]
        members = ",".join(map(self.member_json, rows))
        return f'{{"members":[{members}],"total_items":{len(order) - begin}}}'.encode()

    def _find(self, order: "array[int]", since: datetime) -> int:
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self.last_changed(order[middle]) <= since:
                low = middle + 1
            else:
                high = middle
        return low

    # --- CiviCRM --------------------------------------------------------------------------------

    def contact_json(self, i: int) -> str:
        """The contact, as selected."""
        modified = self.modified_at.get(i) or self.base_time(i)
        return (
            f'{{"id":{i + FIRST_CONTACT},"first_name":"{_FIRST[i % 10]}",'
            f'"last_name":"{self.last(i)}","is_deleted":false,"is_deceased":false,'
            f'"is_opt_out":false,"do_not_email":false,"modified_date":"{text_of(modified)}",'
            f'"created_date":"{CREATED}"}}'
        )

    def emails_json(self, i: int) -> Iterator[str]:
        """The contact's addresses, as selected."""
        shape = '{{"id":{},"contact_id":{},"email":"{}","is_primary":{},"is_bulkmail":false'
        shape += ',"on_hold":0}}'
        contact_id = i + FIRST_CONTACT
        yield shape.format(2 * i + 1, contact_id, self.email(i), "true")
        if self.has_second_email(i):
            yield shape.format(2 * i + 2, contact_id, f"other{i}@example.net", "false")

    def place(self, group: int, i: int) -> str:
        """The contact's status in a group it has a place in."""
        is_whole = group == self.group(i)
        return self.places.get((group, i)) or (self.first_place(i) if is_whole else "Added")

    def group_contacts_json(self, after: int, limit: int) -> list[str]:
        """Group contacts by id: the subscription group's, the other one's, later ones."""
        rows = []
        for key, group, i in self._places_after(after):
            rows.append(
                f'{{"id":{key},"group_id":{group},"contact_id":{i + FIRST_CONTACT},'
                f'"status":"{self.place(group, i)}"}}'
            )
            if len(rows) >= limit:
                break
        return rows

    def _places_after(self, after: int) -> Iterator[tuple[int, int, int]]:
        size = self.size
        for i in range(after, size):
            if self.was_in_group(i):
                yield i + 1, self.group(i), i
        for i in range(max(0, after - size), size):
            if self.is_volunteer(i):
                yield size + i + 1, self.volunteers(i), i
        for n in range(max(0, after - 2 * size), len(self.new_places)):
            yield 2 * size + n + 1, *self.new_places[n]

    def history_json(self, after: int, limit: int) -> list[str]:
        """History by id: who joined, who left, the other group's, and what came later."""
        rows = []
        for key, group, i, status, at, tracking in self._history_after(after):
            rows.append(
                f'{{"id":{key},"group_id":{group},"contact_id":{i + FIRST_CONTACT},'
                f'"status":"{status}","date":"{text_of(at)}","tracking":"{tracking}"}}'
            )
            if len(rows) >= limit:
                break
        return rows

    def _history_after(self, after: int) -> Iterator[tuple[int, int, int, str, datetime, str]]:
        size = self.size
        for i in range(after, size):
            if self.was_in_group(i):
                yield i + 1, self.group(i), i, "Added", self.base_time(i), ""
        for i in range(max(0, after - size), size):
            if self.was_in_group(i) and self.first_place(i) == "Removed":
                at = self.base_time(i) + timedelta(minutes=1)
                yield size + i + 1, self.group(i), i, "Removed", at, ""
        for i in range(max(0, after - 2 * size), size):
            if self.is_volunteer(i):
                yield 2 * size + i + 1, self.volunteers(i), i, "Added", self.base_time(i), ""
        for n in range(max(0, after - 3 * size), len(self.new_history)):
            yield 3 * size + n + 1, *self.new_history[n]

    def modified_since(self, since: str, after: int) -> Sequence[int]:
        """People whose contact was modified at or after a time, by contact id above `after`."""
        if not since:
            return range(max(0, after + 1 - FIRST_CONTACT), self.size)
        last = text_of(self.base_time(self.size))
        everybody = range(self.size) if since <= last else sorted(self.modified_at)
        return [
            i
            for i in everybody
            if i + FIRST_CONTACT > after
            and text_of(self.modified_at.get(i) or self.base_time(i)) >= since
        ]

    def save_places(
        self, group: int, status: str, contact_ids: list[int], tracking: str, now: datetime
    ) -> list[str]:
        """GroupContact.save: the rows as they are then; each writes history."""
        rows = []
        for contact_id in contact_ids:
            i = contact_id - FIRST_CONTACT
            had = (group, i) in self.places or (
                self.was_in_group(i) if group == self.group(i) else self.is_volunteer(i)
            )
            if had:
                self.counts[group, self.place(group, i)] -= 1
            else:
                self.new_places.append((group, i))
            self.places[group, i] = status
            self.counts[group, status] += 1
            self.new_history.append((group, i, status, now, tracking))
            rows.append(f'{{"id":1,"group_id":{group},"contact_id":{contact_id}}}')
        return rows

    # --- what happens ---------------------------------------------------------------------------

    def change(self, step: int, now: datetime) -> int:
        """Every `step`-th person changes at one side or the other; how many do.

        Of five, two have a new first name at Mailchimp, one left there, one has a new last
        name in CiviCRM, and one was removed from the group. Others each time it is called.
        """
        self.generation += 1
        changed = range(self.generation % step, self.size, step)
        for n, i in enumerate(changed):
            group = self.group(i)
            is_in = self.status_of(i) == "subscribed" and self.place(group, i) == "Added"
            at = now + timedelta(microseconds=n)
            if n % 5 < 2 or (n % 5 == 2 and not is_in):
                self.first_name[i] = f"New{self.generation}"
                self.changed_at[i] = at
            elif n % 5 == 2:
                self.status[i] = "unsubscribed"
                self.changed_at[i] = at
            elif n % 5 == 4 and is_in and self.was_in_group(i):
                contact_id = i + FIRST_CONTACT
                self.save_places(group, "Removed", [contact_id], "", now)
            else:
                self.last_name[i] = f"New{self.generation}"
                self.modified_at[i] = now
        self.arrange()
        return len(changed)

    def carry_out(self, path: str, method: str, body: str, now: datetime) -> tuple[int, str]:
        """One operation of a batch: its status and answer. Only of members that there are."""
        if path.endswith("/tags"):
            return 204, ""
        i = self.by_member_id[path.rpartition("/")[2]]
        asked = msgspec.json.decode(body) if body else {}
        if method == "DELETE":
            self.status[i] = "archived"
        elif "status" in asked:
            self.status[i] = asked["status"]
        if "merge_fields" in asked:
            self.merge_fields.setdefault(i, {}).update(asked["merge_fields"])
            self.first_name[i] = asked["merge_fields"].get("FNAME", self.first(i))
        self.changed_at[i] = now
        return (204, "") if method == "DELETE" else (200, self.member_json(i))

    @property
    def by_member_id(self) -> dict[str, int]:
        """Everybody by subscriber hash; made when it is first needed."""
        if not hasattr(self, "_by_member_id"):
            self._by_member_id = {self.member_id(i): i for i in range(self.size)}
        return self._by_member_id
