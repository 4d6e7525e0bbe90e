"""What Mailchimp remembers: accounts, audiences, members; plain dicts and two kinds of index."""

import hashlib
import heapq
from bisect import bisect_left, insort
from dataclasses import dataclass, field

from mcsync.sandbox.mailchimp.wire import JsonObject

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
PENDING_DAYS = 60  # reported: "about 60 days"
DAY = 86400
BY_ADMIN = "N/A (Unsubscribed by admin)"  # recorded after an unsubscribe by the API

# Ids are made from a running number by multiplying with an odd number, which can be undone:
# they look random, never collide and need no table.
_ORDER_BITS, _CONTACT_BITS = 32, 128
_ORDER_FACTOR = 0x9E3779B1
_CONTACT_FACTOR = 0xDA942042E4DD58B5F1A3C2B7D6E48F93
_CONTACT_INVERSE = pow(_CONTACT_FACTOR, -1, 1 << _CONTACT_BITS)
_CONTACT_OFFSET = 0x5851F42D4C957F2D14057B7EF767814F


def subscriber_hash(email: str) -> str:
    """MD5 of the lower-cased address: the id of a member."""
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def typed_hash(email: str) -> str:
    """MD5 of the address as it was once typed: the id of some members of old audiences."""
    return hashlib.md5(email.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True, eq=False)
class Member:
    """One contact in one audience. Times are epoch seconds, 0 for never.

    `order` is unique in the simulator and scrambled; it settles the order within one second.
    `barred` is "" or why the API may not subscribe it: "left" or "bounced". `erasures` says how
    often who had this address before was deleted for good.
    """

    id: str
    email: str
    order: int
    status: str
    last_changed: int
    merge: dict[str, object] = field(default_factory=dict)
    interests: frozenset[str] = frozenset()
    tags: dict[int, int] = field(default_factory=dict)
    email_type: str = "html"
    language: str = ""
    vip: bool = False
    ip_signup: str = ""
    ip_opt: str = ""
    timestamp_signup: int = 0
    timestamp_opt: int = 0
    latitude: float = 0
    longitude: float = 0
    source: str = "API - Generic"
    unsubscribe_reason: str = ""
    unsubscribed_at: int = 0
    barred: str = ""
    pending_since: int = 0
    erasures: int = 0

    @property
    def contact_id(self) -> str:
        """32 hex digits; survives a change of address."""
        number = self.order * _CONTACT_FACTOR + _CONTACT_OFFSET
        return f"{number % (1 << _CONTACT_BITS):032x}"

    @property
    def unique_email_id(self) -> str:
        """10 hex digits that belong to the address; webhooks call it `id`.

        Guess: another one after a permanent deletion, as the contact id is.
        """
        whole = subscriber_hash(f"{self.id} {self.erasures}") if self.erasures else self.id
        return whole[7:17]

    @property
    def web_id(self) -> int:
        """The number in the dashboard's addresses."""
        return 300_000_000 + self.order % 200_000_000

    def key(self) -> int:
        """Its place in an index by `last_changed`."""
        return self.last_changed << _ORDER_BITS | self.order


def order_of_contact(contact_id: str) -> int | None:
    """The `order` of the member with this contact id; None if it cannot be one."""
    try:
        number = int(contact_id, 16) - _CONTACT_OFFSET
    except ValueError:
        return None
    order = number * _CONTACT_INVERSE % (1 << _CONTACT_BITS)
    return order if order < 1 << _ORDER_BITS else None


def scrambled_order(number: int) -> int:
    """The `order` of the member made as the `number`-th."""
    return number * _ORDER_FACTOR % (1 << _ORDER_BITS)


class TimeIndex:
    """Members in order of `last_changed`, put in order only when somebody looks."""

    __slots__ = ("_added", "_keys", "_removed")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._added: set[int] = set()
        self._removed: set[int] = set()

    def __len__(self) -> int:
        return len(self._keys) + len(self._added) - len(self._removed)

    def add(self, key: int) -> None:
        """Note a member; O(1)."""
        if key in self._removed:
            self._removed.discard(key)
        else:
            self._added.add(key)

    def remove(self, key: int) -> None:
        """Forget a member; O(1)."""
        if key in self._added:
            self._added.discard(key)
        else:
            self._removed.add(key)

    def window(self, first: int | None, end: int | None) -> tuple[list[int], int, int]:
        """All keys in order, and where the seconds from `first` to before `end` start and stop."""
        self._settle()
        keys = self._keys
        low = 0 if first is None else bisect_left(keys, first << _ORDER_BITS)
        high = len(keys) if end is None else bisect_left(keys, end << _ORDER_BITS)
        return keys, low, max(low, high)

    def _settle(self) -> None:
        if len(self._added) + len(self._removed) < 200:
            for key in self._removed:
                del self._keys[bisect_left(self._keys, key)]
            for key in self._added:
                insort(self._keys, key)
        else:
            gone = self._removed
            keys = [key for key in self._keys if key not in gone] if gone else self._keys
            keys.extend(self._added)
            keys.sort()
            self._keys = keys
        self._added, self._removed = set(), set()


def order_of_key(key: int) -> int:
    """The member's `order` out of its key in an index."""
    return key & ((1 << _ORDER_BITS) - 1)


@dataclass(slots=True)
class MergeField:
    """One merge field of an audience."""

    merge_id: int
    tag: str
    name: str
    type: str
    required: bool
    default_value: str
    public: bool
    display_order: int
    help_text: str
    options: JsonObject


@dataclass(slots=True)
class Category:
    """One interest category; `number` is its id in the old payloads of webhooks."""

    id: str
    number: int
    title: str
    type: str
    display_order: int


@dataclass(slots=True)
class Interest:
    """One interest of a category."""

    id: str
    category_id: str
    name: str
    display_order: int


@dataclass(slots=True)
class Tag:
    """A tag of an audience, in the case in which it was first written."""

    id: int
    name: str


@dataclass(slots=True)
class Webhook:
    """A registered webhook, of an audience or (`list_id` "") for batches."""

    id: str
    url: str
    list_id: str = ""
    events: dict[str, bool] = field(default_factory=dict)
    sources: dict[str, bool] = field(default_factory=dict)
    secret: str = ""
    enabled: bool = True


class Audience:
    """One audience (the API says list) with its members and its indexes."""

    def __init__(self, list_id: str, name: str, api_key: str, created_at: int) -> None:
        self.id = list_id
        self.name = name
        self.api_key = api_key
        self.created_at = created_at
        self.web_id = int(subscriber_hash(list_id)[:5], 16)
        self.double_optin = False
        self.members: dict[str, Member] = {}
        self.by_order: dict[int, Member] = {}
        self.legacy: dict[str, Member] = {}
        self.merge_fields: dict[str, MergeField] = {}
        self.categories: dict[str, Category] = {}
        self.interests: dict[str, Interest] = {}
        self.tags: dict[str, Tag] = {}
        self.tags_by_id: dict[int, Tag] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.forgotten: set[str] = set()
        self.erasures: dict[str, int] = {}
        self.barred: dict[str, str] = {}
        self.waiting: list[tuple[int, str]] = []
        self.everyone = TimeIndex()
        self.by_status = {status: TimeIndex() for status in STATUSES}
        self.last_sub_at = 0
        self.last_unsub_at = 0
        self.last_campaign_at = 0

    def by_address(self, email: str) -> Member | None:
        """The member with this address in any case, archived ones included."""
        found = self.members.get(subscriber_hash(email))
        if found is not None and found.email.lower() == email.lower():
            return found
        return self.legacy.get(email.lower())

    def by_path(self, key: str) -> Member | None:
        """The member a path names by hash, address or contact id."""
        found = self.members.get(key)
        if found is not None:
            return found
        if "@" in key:
            return self.by_address(key)
        order = order_of_contact(key) if len(key) == 32 else None
        return None if order is None else self.by_order.get(order)

    def add(self, member: Member) -> None:
        """Take in a new member."""
        self.members[member.id] = member
        self.by_order[member.order] = member
        if member.id != subscriber_hash(member.email):
            self.legacy[member.email.lower()] = member
        self._index(member)

    def remove(self, member: Member) -> None:
        """Drop a member for good."""
        self._unindex(member)
        del self.members[member.id]
        del self.by_order[member.order]
        self.legacy.pop(member.email.lower(), None)

    def move(self, member: Member, *, at: int, status: str | None = None) -> None:
        """Set `last_changed`, and the status if given."""
        self._unindex(member)
        member.last_changed = at
        member.status = status or member.status
        self._index(member)

    def rename(self, member: Member, email: str) -> None:
        """Change a member's address, and with it its id."""
        del self.members[member.id]
        self.legacy.pop(member.email.lower(), None)
        member.email, member.id = email, subscriber_hash(email)
        self.members[member.id] = member
        if member.status == "pending":
            heapq.heappush(self.waiting, (member.pending_since, member.id))

    def expire(self, now: int) -> None:
        """Drop the pending contacts nobody confirmed in time."""
        while self.waiting and self.waiting[0][0] + PENDING_DAYS * DAY <= now:
            since, key = heapq.heappop(self.waiting)
            member = self.members.get(key)
            if member and member.status == "pending" and member.pending_since == since:
                if member.barred:
                    self.barred[member.id] = member.barred
                self.remove(member)

    def tag(self, name: str) -> Tag:
        """The tag of this name in any case, created if new."""
        tag = self.tags.get(name.lower())
        if tag is None:
            tag = Tag(4_788_452 + 4 * len(self.tags), name)
            self.tags[name.lower()] = self.tags_by_id[tag.id] = tag
        return tag

    def _index(self, member: Member) -> None:
        key = member.key()
        self.by_status[member.status].add(key)
        if member.status != "archived":
            self.everyone.add(key)
        if member.status == "pending":
            heapq.heappush(self.waiting, (member.pending_since, member.id))

    def _unindex(self, member: Member) -> None:
        key = member.key()
        self.by_status[member.status].remove(key)
        if member.status != "archived":
            self.everyone.remove(key)


@dataclass(slots=True)
class Operation:
    """One operation of a batch as submitted; `body` is a JSON string unless the caller erred."""

    method: str
    path: str
    operation_id: str | None
    params: dict[str, str]
    body: object


@dataclass(slots=True)
class Batch:
    """A batch; `queue` is the order in which its operations will run, last first.

    While `is_held` it hangs; `shown_finished` is what it then says was done, if not `done`.
    """

    id: str
    operations: list[Operation]
    queue: list[int]
    submitted_at: int
    status: str = "pending"
    completed_at: int = 0
    polls: int = 0
    urls: int = 0
    extra: int = 0
    errored: int = 0
    done: int = 0
    running: bool = False
    is_held: bool = False
    shown_finished: int | None = None
    ready_at_poll: int = 0
    results: list[JsonObject] = field(default_factory=list)
    archive: bytes = b""


@dataclass(slots=True)
class Account:
    """One Mailchimp account; `api_key` is its first key, whether or not that still opens it."""

    api_key: str
    name: str
    account_id: str
    role: str = "owner"
    created_at: int = 0
    in_flight: int = 0
    batches: dict[str, Batch] = field(default_factory=dict)
    batch_webhooks: dict[str, Webhook] = field(default_factory=dict)
