"""What the people of a hostile world do, at Mailchimp and in CiviCRM, one function each.

An act is told the world, whom it is about and which audience; it returns False when it cannot
be done as things stand, or would change nothing that anybody could mean.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mcsync.sandbox.mailchimp.state import Member as Record
from tests.scenario.bedrock import LIST, VOLUNTEERING, VOLUNTEERS
from tests.scenario.ground import OTHER, THINGS
from tests.scenario.words import IN, SUBSCRIPTION
from tests.scenario.world import World


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody takes the next step of a story: the first of `kinds`, then the second, and so on.

    What is not possible just now is left out. `who` is counted among addresses, or among
    contacts; `other` is in the second audience.
    """

    kinds: tuple[str, ...]
    who: int
    other: bool = False

    @property
    def list_id(self) -> str:
        """The audience it is about."""
        return OTHER if self.other else LIST


class Cast:
    """The people of a world, and what they do."""

    def __init__(self, world: World, people: dict[str, tuple[str, ...]]) -> None:
        self.world = world
        self.people = people
        self.addresses = list(
            dict.fromkeys(address for each in people.values() for address in each)
        )
        self.contacts = [world.add_contact(name, *each) for name, each in people.items()]
        self._fresh = 0
        self._told: Counter[Act] = Counter()  # how far each story has come

    def play(self, act: Act) -> None:
        """Let an act happen, two seconds after whatever was before; and two seconds pass."""
        world = self.world
        world.catch_up()
        world.bedrock.pass_time(seconds=2)
        told = self._told[act]
        for turn in range(told, told + len(act.kinds)):
            if self._is_done(act.kinds[turn % len(act.kinds)], act.who, act.list_id):
                self._told[act] = turn + 1
                break
        world.bedrock.pass_time(seconds=2)
        if world.run_began is not None:
            world.maybe(THINGS)

    def import_member(self, who: int, list_id: str, status: str) -> None:
        """Somebody is a member already; "left" by themselves."""
        address = self.addresses[who % len(self.addresses)]
        if (list_id, address) in self.world.model.members:
            return
        self.world.bedrock.pass_time(seconds=2)
        has_left = status == "left"
        status = "unsubscribed" if has_left else status
        self.world.import_member(list_id, address, status, left=has_left)
        self.world.bedrock.pass_time(seconds=2)

    def _is_done(self, kind: str, who: int, list_id: str) -> bool:
        world, place = self.world, list_id[:1]
        if kind in AT_MAILCHIMP:
            address = self.addresses[who % len(self.addresses)]
            record = world.mailchimp.audience(list_id).by_address(address)
            is_done = AT_MAILCHIMP[kind](self, list_id, address, record)
            if is_done:
                world.tell(f"{address}, {place}: {kind}")
            return is_done
        contact_id = self.find_contact(who % len(self.contacts))
        if contact_id is None or not IN_CIVICRM[kind](self, list_id, contact_id):
            return False
        world.tell(f"contact {contact_id}, {place}: {kind}")
        world.mirror()
        return True

    def find_contact(self, who: int) -> int | None:
        """The contact that stands for somebody now: themselves, or a merge's survivor, or anew."""
        contact_id = self.contacts[who]
        merged = self.world.civicrm.store.merged_to
        while contact_id in merged:
            contact_id = merged[contact_id]
        view = self.world.civicrm.contact(contact_id)
        if view is None or view.is_deleted:
            first = list(self.people.values())[who][0]
            owners = self.world.model.owners(first)
            return owners[0].contact_id if owners else None
        return contact_id

    def make_address(self, address: str) -> str:
        """One that nobody had before."""
        self._fresh += 1
        return f"{address.partition('@')[0].partition('-')[0]}-{self._fresh}@example.org"


# --- at Mailchimp ---------------------------------------------------------------------------------

AtMailchimp = Callable[[Cast, str, str, Record | None], bool]


def _sign_up(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is not None and record.status == "cleaned":
        return False
    name = address.partition("@")[0].title()
    cast.world.mailchimp.sign_up(list_id, address, name, "Flintstone")
    cast.world.heard(list_id, address, SUBSCRIPTION)
    _came(cast, list_id, address)
    return True


def _came(cast: Cast, list_id: str, address: str) -> None:
    cast.world.model.member(list_id, address).came_at = cast.world.now
    cast.world.wishes[list_id, address] = cast.world.now


def _leave(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None or record.status not in ("subscribed", "unsubscribed"):
        return False
    cast.world.mailchimp.leave(list_id, address)
    cast.world.heard(list_id, address, SUBSCRIPTION)
    return True


def _confirm(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None or record.status != "pending":
        return False
    cast.world.mailchimp.confirm(list_id, address)
    cast.world.heard(list_id, address, SUBSCRIPTION)
    _came(cast, list_id, address)
    return True


def _buy(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    cast.world.mailchimp.buy(list_id, address)
    cast.world.heard(list_id, address, None)
    return record is None


def _bounce(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None or record.status != "subscribed":
        return False
    cast.world.mailchimp.bounce(list_id, address)
    cast.world.heard(list_id, address, SUBSCRIPTION)
    return True


def _staff_unsubscribe(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None or record.status not in IN:
        return False
    cast.world.mailchimp.staff_unsubscribe(list_id, address)
    cast.world.heard(list_id, address, SUBSCRIPTION)
    return True


def _staff_archive(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None or record.status == "archived":
        return False
    cast.world.mailchimp.staff_archive(list_id, address)
    cast.world.heard(list_id, address, SUBSCRIPTION)
    return True


def _erase(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None:
        return False
    cast.world.mailchimp.staff_delete_permanently(list_id, address)
    cast.world.heard(list_id, address, SUBSCRIPTION)
    return True


def _move(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
    if record is None or record.status != "subscribed":
        return False
    fresh = cast.make_address(address)
    cast.world.mailchimp.change_address(list_id, address, fresh)
    cast.addresses.append(fresh)
    cast.world.heard(list_id, fresh, None)
    return True


def _edit(wants: bool) -> AtMailchimp:
    def edit(cast: Cast, list_id: str, address: str, record: Record | None) -> bool:
        if list_id != LIST or record is None or record.status not in IN:
            return False
        cast.world.mailchimp.edit_profile(list_id, address, interests={VOLUNTEERING: wants})
        cast.world.heard(list_id, address, VOLUNTEERING)
        return True

    return edit


AT_MAILCHIMP: dict[str, AtMailchimp] = {
    "sign up": _sign_up,
    "leave": _leave,
    "confirm": _confirm,
    "buy": _buy,
    "bounce": _bounce,
    "staff unsubscribe": _staff_unsubscribe,
    "staff archive": _staff_archive,
    "want to volunteer": _edit(True),
    "stop volunteering": _edit(False),
    "erase": _erase,
    "move": _move,
}

# --- in CiviCRM -----------------------------------------------------------------------------------

InCivicrm = Callable[[Cast, str, int], bool]


def _group(status: str) -> InCivicrm:
    def act(cast: Cast, list_id: str, contact_id: int) -> bool:
        group = THINGS[list_id][SUBSCRIPTION]
        place = cast.world.civicrm.group_status(contact_id, group)
        if status != "Added" and place is None:
            return False
        cast.world.staff_say(contact_id, group, status)
        return True

    return act


def _volunteer(status: str) -> InCivicrm:
    def act(cast: Cast, list_id: str, contact_id: int) -> bool:
        place = cast.world.civicrm.group_status(contact_id, VOLUNTEERS)
        if status != "Added" and place is None:
            return False
        cast.world.staff_say(contact_id, VOLUNTEERS, status)
        return True

    return act


def _sql(status: str | None) -> InCivicrm:
    def act(cast: Cast, list_id: str, contact_id: int) -> bool:
        group = THINGS[list_id][SUBSCRIPTION]
        if cast.world.civicrm.group_status(contact_id, group) == status:
            return False
        cast.world.sql_says(contact_id, group, status)
        return True

    return act


def _flag(**fields: object) -> InCivicrm:
    def act(cast: Cast, list_id: str, contact_id: int) -> bool:
        view = cast.world.civicrm.contact(contact_id)
        if all(getattr(view, name) == value for name, value in fields.items()):
            return False
        cast.world.civicrm.update_contact(contact_id, **fields)
        cast.world._touched(contact_id)
        return True

    return act


def _hold(on_hold: int) -> InCivicrm:
    def act(cast: Cast, list_id: str, contact_id: int) -> bool:
        emails = cast.world.civicrm.emails(contact_id)
        found = next((email for email in emails if bool(email.on_hold) != bool(on_hold)), None)
        if found is None:
            return False
        cast.world.civicrm.update_email(found.id, on_hold=on_hold)
        cast.world._touched(contact_id)
        return True

    return act


def _trash(cast: Cast, list_id: str, contact_id: int) -> bool:
    cast.world.civicrm.trash(contact_id)
    cast.world.lose_contact(contact_id)
    return True


def _purge(cast: Cast, list_id: str, contact_id: int) -> bool:
    cast.world.civicrm.purge(contact_id)
    cast.world.lose_contact(contact_id, is_purged=True)
    return True


def _merge(cast: Cast, list_id: str, contact_id: int) -> bool:
    """The contact takes in the next one that is there."""
    others = [
        other
        for who in range(len(cast.contacts))
        if (other := cast.find_contact(who)) not in (None, contact_id)
    ]
    if not others:
        return False
    cast.world.civicrm.merge(contact_id, others[0])
    cast.world.merge_contacts(contact_id, others[0])
    return True


def _new_address(cast: Cast, list_id: str, contact_id: int) -> bool:
    """The primary address is replaced by a new one."""
    emails = cast.world.civicrm.emails(contact_id)
    if not emails:
        return False
    fresh = cast.make_address(str(emails[0].email))
    cast.world.civicrm.update_email(emails[0].id, email=fresh)
    cast.addresses.append(fresh)
    cast.world.take_address(contact_id, fresh)
    return True


def _more_address(bulk: bool) -> InCivicrm:
    def act(cast: Cast, list_id: str, contact_id: int) -> bool:
        emails = cast.world.civicrm.emails(contact_id)
        if not emails or len(emails) > 2:
            return False
        fresh = cast.make_address(str(emails[0].email))
        cast.world.civicrm.add_email(contact_id, fresh, is_bulkmail=bulk)
        cast.addresses.append(fresh)
        cast.world.take_address(contact_id, fresh)
        return True

    return act


IN_CIVICRM: dict[str, InCivicrm] = {
    "add": _group("Added"),
    "remove": _group("Removed"),
    "pend": _group("Pending"),
    "delete from group": _group("Deleted"),
    "add volunteer": _volunteer("Added"),
    "remove volunteer": _volunteer("Removed"),
    "sql delete": _sql(None),
    "sql add": _sql("Added"),
    "opt out": _flag(is_opt_out=True),
    "opt in": _flag(is_opt_out=False),
    "no email": _flag(do_not_email=True),
    "email again": _flag(do_not_email=False),
    "die": _flag(is_deceased=True),
    "hold": _hold(1),
    "release": _hold(0),
    "trash": _trash,
    "purge": _purge,
    "merge": _merge,
    "new address": _new_address,
    "second address": _more_address(False),
    "bulk address": _more_address(True),
}
