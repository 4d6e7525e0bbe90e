"""How many records go into one request: as many as the site takes in good time.

A slow host ends a request after 30 s, a proxy perhaps sooner, and what was written until then is
to be found out. So requests begin as small as suits a slow host, grow while the site is quick, and
are halved where it was too much (civicrm: Writing).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

QUICK_S = 5.0  # a request that takes less may become larger
SLOW_S = 15.0  # half of a slow host's 30 s: what takes longer becomes smaller before it fails
# Who is given up sooner was not given up for the size: what answers has nobody behind it just then.
GIVEN_UP_S = 5.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that wrote: how many records it had, and how long the answer took.

    `is_too_much`: it came to nothing, or nobody knows to what, for its size.
    `is_silent`: of those, one that was not answered in time.
    """

    size: int
    took_s: float
    is_too_much: bool = False
    is_silent: bool = False


@dataclass(slots=True)
class Pace:
    """The size of the next request of one kind; `start` is the first one's, `most` the bound.

    `is_proved`: one has succeeded already. `limit` is what later runs may go by: the bound, as
    far as the size was surely what was too much.
    """

    start: int
    most: int
    size: int = 0
    is_proved: bool = False
    limit: int = field(init=False)
    _first_limit: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = min(self.size or self.start, self.most)
        self.limit = self._first_limit = self.most

    @property
    def is_limited(self) -> bool:
        """Whether the site takes less than we begin with."""
        return self.limit < self.start

    def learn(self, sent: Sent) -> None:
        """Go by what became of one request.

        What was too much once is not tried again. That a smaller one than the next was quick
        says little: it was the last of its kind, or was cut before the size grew.
        """
        self.is_proved |= not sent.is_too_much
        if sent.is_too_much:
            self.most = min(self.most, max(1, sent.size // 2))
            self._learn_limit(sent)
        elif sent.took_s > SLOW_S:
            self.size = min(self.size, max(1, sent.size // 2))
        elif sent.size >= self.size and sent.took_s < QUICK_S:
            self.size = max(self.size, int(sent.size * min(2.0, QUICK_S / (sent.took_s or 1.0))))
        self.size = min(self.size, self.most)

    def _learn_limit(self, sent: Sent) -> None:
        """A site that is down for a while is not one that takes little, all day."""
        if sent.is_silent and sent.size == 1:
            self.limit = self._first_limit  # not even one: it was never the size
        elif not sent.is_silent or sent.took_s >= GIVEN_UP_S:
            self.limit = min(self.limit, max(1, sent.size // 2))

    def cut(self, left: int | None, lanes: int) -> int:
        """How many of those that are `left`, if that is known, go into the next request.

        Where several requests go at once, few large ones would leave some lanes empty.
        """
        if left is None:
            return self.size
        return min(self.size, max(self.start, -(-left // lanes)))


# The first size, and the bound: 200 memberships or 50 contacts stay within a slow host's 30 s, 500
# or 100 are the most that do on one as measured (civicrm: Writing).
CONTACTS, NAMES, GROUP_CONTACTS, EMAILS = "contacts", "names", "groupContacts", "emails"
SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {CONTACTS: (50, 100), NAMES: (50, 100), GROUP_CONTACTS: (200, 500), EMAILS: (200, 400)}
)


def make_paces(limits: Mapping[str, int]) -> dict[str, Pace]:
    """The pace of each kind; `limits` are those that an earlier run has come to know."""
    return {
        kind: Pace(start, max(1, min(most, limits.get(kind, most))))
        for kind, (start, most) in SIZES.items()
    }
