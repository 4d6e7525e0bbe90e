"""How much a plan may do of each kind before a human must look: limits, and nothing else.

Of its own, for the config needs it, and whoever finds the lock held loads nothing more.
"""

from dataclasses import dataclass

NEVER_BELOW = 10  # people, or what they have; a guard never trips below this


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a plan may do of one kind: people, or a percentage; None allows everything.

    A percentage is of those who are there now: the subscribed members, or the group's contacts.
    """

    number: float | None = None
    is_percent: bool = False

    def allows(self, count: int, of: int) -> bool:
        """Whether `count` people, out of `of`, are few enough."""
        if self.number is None or count < NEVER_BELOW:
            return True
        return count <= (of * self.number / 100 if self.is_percent else self.number)

    def most(self, of: int) -> int | None:
        """The most people, out of `of`, that it allows; None for any number."""
        if self.number is None:
            return None
        return max(NEVER_BELOW - 1, int(of * self.number / 100 if self.is_percent else self.number))

    def __str__(self) -> str:
        number = "any number" if self.number is None else f"{self.number:g}"
        return f"{number}%" if self.is_percent else number


NO_LIMIT = Limit()
_TENTH, _HALF = Limit(10, is_percent=True), Limit(50, is_percent=True)


@dataclass(frozen=True, slots=True)
class Safety:
    """The guards of one audience.

    `unsubscribes` holds for both kinds: for staff's removals, and because people may not be
    mailed; `removals` for contacts who are no longer seen, too.
    """

    unsubscribes: Limit = _TENTH
    removals: Limit = _TENTH
    additions: Limit = _HALF
    new_contacts: Limit = _HALF
    address_changes: Limit = _TENTH


USUAL_SAFETY = Safety()
