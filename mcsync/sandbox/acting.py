"""People and staff of a running sandbox, who do one thing when somebody says so.

`mcsync sandbox` serves this at `POST /sandbox/act` of the simulated Mailchimp, on loopback, beside
the API: it is no part of any service, and nothing but `mcsync sandbox act` asks there. The body is
`{"act": NAME, "who": ADDRESS, "more": TEXT}`, the answer what happened and what a sync will do, or
`{"problem": TEXT}`. Who acts at CiviCRM does so as at its own screens, with the history that makes.

A page in a browser on this machine could ask there too. It cannot send JSON to another site without
leave, nor name loopback as the host when its own name was made to lead here: both are asked for.
"""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

import msgspec

from mcsync.sandbox.cast import GROUP, LIST
from mcsync.sandbox.server import Request, Response, Service
from mcsync.sandbox.town import Town

_PATH = "/sandbox/act"
_TIMEOUT_S = 10
_JSON = "application/json"
_MOST_BYTES = 64 * 1024  # of an answer: who answers may be anybody
_NEWCOMERS = ("hoppy.hopparoo", "arnold.newsboy", "stony.curtis", "perry.masonry", "ann.margrock")


class CannotAct(Exception):
    """Why nothing was done, as a sentence."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that can be done: what it is called in a menu, and what is to be known besides.

    `more` is "" where nothing is. `sync` are options of the sync that takes it over.
    """

    do: "Deed"
    title: str
    expected: str
    more: str = ""
    sync: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, whom it was about, what the next sync does about it, and what to type."""

    happened: str
    who: str
    expected: str
    commands: list[str]


class Actor:
    """Lets somebody of the town do something; `config` is where its config was written."""

    def __init__(self, town: Town, config: str | None = None) -> None:
        self.town = town
        self.config = config
        self._have_acted: set[str] = set()

    def act(self, name: str, who: str = "", more: str = "") -> Told:
        """Do it, at once; without `who` or `more`, somebody and something suitable is found.

        Raises: CannotAct.
        """
        act = ACTS.get(name)
        if act is None:
            raise CannotAct(f'nobody can do "{name}"; choose from: {", ".join(ACTS)}')
        try:
            who, happened = act.do(self, who, more)
        except (KeyError, ValueError) as error:
            raise CannotAct(str(error.args[0] if error.args else error)) from None
        self._have_acted.add(who)
        config = f" --config {shlex.quote(self.config)}" if self.config else ""
        commands = [
            f"mcsync sync --wait --print-changes{act.sync}{config}",
            f"mcsync explain {shlex.quote(who)}{config}",
        ]
        return Told(happened, who, act.expected, commands)

    # --- who ----------------------------------------------------------------------------------

    def in_sync(self) -> Iterator[tuple[str, int]]:
        """Addresses of people who are subscribed and, as one contact, in the group."""
        members, civicrm = self.town.mailchimp.members(LIST), self.town.civicrm
        for contact_id in sorted(civicrm.group_members(GROUP)):
            contact = civicrm.contact(contact_id)
            email = contact.email if contact else None
            if contact is None or email is None or contact.is_deleted or contact.is_opt_out:
                continue
            if email in members and members[email]["status"] == "subscribed":
                yield email, contact_id

    def find(self, who: str) -> tuple[str, int]:
        """Whoever is meant, or somebody who is in sync and has not acted yet, with the contact."""
        if who:
            return who, self.contact_of(who)
        for email, contact_id in self.in_sync():
            if email not in self._have_acted:
                return email, contact_id
        raise CannotAct("nobody is left who is subscribed and in the group; name somebody")

    def find_outsider(self, who: str) -> tuple[str, int]:
        """Whoever is meant, made if need be, or somebody who was never in the group."""
        civicrm = self.town.civicrm
        if who:
            known = [each for each in civicrm.contacts_by_email(who) if not each.is_deleted]
            name = who.partition("@")[0].partition(".")[0].title()
            return who, known[0].id if known else civicrm.add_contact(name, "", [who])
        members = self.town.mailchimp.members(LIST)
        for contact in reversed(civicrm.contacts(contact_type="Individual")):
            email = contact.email or ""
            if civicrm.group_status(contact.id, GROUP) is None and email not in members and email:
                return email, contact.id
        return self.find_outsider(self.newcomer())

    def newcomer(self) -> str:
        """An address that nobody has."""
        names = (*_NEWCOMERS, *(f"newcomer{n}" for n in range(1, 1_000_000)))
        members = self.town.mailchimp.members(LIST)
        found = (f"{name}@example.org" for name in names)
        return next(
            email
            for email in found
            if email not in members and not self.town.civicrm.contacts_by_email(email)
        )

    def contact_of(self, who: str) -> int:
        """The contact with this address. Raises: CannotAct."""
        known = [e for e in self.town.civicrm.contacts_by_email(who) if not e.is_deleted]
        if not known:
            raise CannotAct(f"no contact in CiviCRM has the address {who}")
        return known[0].id

    def member(self, who: str) -> str:
        """The address of a member, found as by `find`. Raises: CannotAct."""
        who = who or self.find("")[0]
        if self.town.mailchimp.member(LIST, who) is None:
            raise CannotAct(f"nobody at Mailchimp has the address {who}")
        return who


# --- what they do ---------------------------------------------------------------------------------

Deed = Callable[[Actor, str, str], tuple[str, str]]  # returns who it was, and what happened


def _sign_up(actor: Actor, who: str, _more: str) -> tuple[str, str]:
    who = who or actor.newcomer()
    first, _, last = who.partition("@")[0].partition(".")
    actor.town.mailchimp.sign_up(LIST, who, first.title(), last.title())
    return who, f"{who} signed up with Mailchimp's form"


def _leave(actor: Actor, who: str, _more: str) -> tuple[str, str]:
    who = actor.member(who)
    actor.town.mailchimp.leave(LIST, who)
    return who, f"{who} unsubscribed with the link in a mail"


def _bounce(actor: Actor, who: str, _more: str) -> tuple[str, str]:
    who = actor.member(who)
    actor.town.mailchimp.bounce(LIST, who)
    return who, f"A mail to {who} bounced, and Mailchimp cleaned the address"


def _change_name(actor: Actor, who: str, more: str) -> tuple[str, str]:
    who, more = actor.member(who), more or "Fredericka"
    actor.town.mailchimp.edit_profile(LIST, who, first_name=more)
    return who, f"{who} changed their first name to {more} at Mailchimp"


def _change_address(actor: Actor, who: str, more: str) -> tuple[str, str]:
    who = actor.member(who)
    name, _, host = who.partition("@")
    more = more or f"{name}.new@{host}"
    actor.town.mailchimp.change_address(LIST, who, more)
    return who, f"{who} changed their address to {more} at Mailchimp"


def _add(actor: Actor, who: str, _more: str) -> tuple[str, str]:
    who, contact_id = actor.find_outsider(who)
    actor.town.civicrm.add_to_group(contact_id, GROUP)
    return who, f"Staff added {who} to the group in CiviCRM"


def _remove(actor: Actor, who: str, _more: str) -> tuple[str, str]:
    who, contact_id = actor.find(who)
    actor.town.civicrm.remove_from_group(contact_id, GROUP)
    return who, f"Staff removed {who} from the group in CiviCRM"


def _opt_out(actor: Actor, who: str, _more: str) -> tuple[str, str]:
    who, contact_id = actor.find(who)
    actor.town.civicrm.update_contact(contact_id, is_opt_out=True)
    return who, f"{who} opted out of bulk mail in CiviCRM"


def _merge(actor: Actor, who: str, more: str) -> tuple[str, str]:
    who, winner = actor.find(who)
    if more:
        loser = actor.contact_of(more)
    else:
        more, loser = next(found for found in actor.in_sync() if found[1] != winner)
    if winner == loser:
        raise CannotAct("one contact cannot be merged with itself")
    actor.town.civicrm.merge(winner, loser)
    return who, f"Staff merged the contact of {more} into that of {who}, which stays"


ACTS = {
    "sign-up": Act(
        _sign_up,
        "somebody signs up with Mailchimp's form",
        "makes a contact in CiviCRM and adds it to the group",
    ),
    "leave": Act(
        _leave,
        "somebody unsubscribes with the link in a mail",
        "removes them from the group in CiviCRM",
    ),
    "bounce": Act(_bounce, "a mail to somebody bounces", "removes them from the group in CiviCRM"),
    "change-name": Act(
        _change_name,
        "somebody changes their first name at Mailchimp",
        "writes it to CiviCRM; without --with-data it leaves names alone",
        "new first name",
        " --with-data",
    ),
    "change-address": Act(
        _change_address,
        "somebody changes their address at Mailchimp",
        "gives the address to their contact in CiviCRM",
        "new address",
    ),
    "add": Act(
        _add,
        "staff add somebody to the group in CiviCRM",
        "subscribes them at Mailchimp, or asks them to confirm if they once left",
    ),
    "remove": Act(
        _remove, "staff remove somebody from the group in CiviCRM", "unsubscribes them at Mailchimp"
    ),
    "opt-out": Act(
        _opt_out,
        "somebody opts out of bulk mail in CiviCRM",
        "unsubscribes them at Mailchimp, and leaves them in the group",
    ),
    "merge": Act(
        _merge,
        "staff merge two contacts in CiviCRM",
        "takes the two for one person, and writes nothing",
        "address of the contact that goes to the trash",
    ),
}


# --- the door -------------------------------------------------------------------------------------


class Door:
    """A service with the door to its people beside it."""

    def __init__(self, service: Service, actor: Actor) -> None:
        self._service = service
        self._actor = actor

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path != _PATH or request.method != "POST":
            return self._service.handle(request)
        if not _is_from_us(request):
            return _answer(403, {"problem": "only mcsync sandbox act may ask this"})
        try:
            asked = msgspec.json.decode(request.body, type=_Asked)
            told = self._actor.act(asked.act, asked.who, asked.more)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _answer(400, {"problem": "not what mcsync sandbox act sends"})
        except CannotAct as why:
            return _answer(409, {"problem": str(why)})
        return _answer(200, {name: getattr(told, name) for name in Told.__slots__})

    def date_header(self) -> str:
        """The service's own clock."""
        return self._service.date_header()


class _Asked(msgspec.Struct):
    act: str
    who: str
    more: str


class _Refused(msgspec.Struct):
    problem: str


def _is_from_us(request: Request) -> bool:
    """Whether no page in a browser can have sent this: it says it is JSON, and for loopback."""
    host, _, port = request.headers.get("host", "").lower().partition(":")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_loopback = host in ("127.0.0.1", "localhost") and (not port or port.isdecimal())
    return is_loopback and kind == _JSON


def _answer(status: int, document: dict[str, object]) -> Response:
    return Response(status, json.dumps(document).encode(), {"Content-Type": _JSON})


def ask_to_act(port: int, act: str, who: str = "", more: str = "") -> Told:
    """Have the sandbox at this port let somebody act.

    Raises: CannotAct when it does not; OSError when no sandbox answers.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    body = json.dumps({"act": act, "who": who, "more": more})
    try:
        connection.request("POST", _PATH, body, {"Content-Type": _JSON})
        response = connection.getresponse()
        found = response.read(_MOST_BYTES)  # what is longer is cut, and then no document
        if response.status == 200:
            return msgspec.json.decode(found, type=Told)
        raise CannotAct(msgspec.json.decode(found, type=_Refused).problem)
    except (HTTPException, ValueError, RecursionError) as error:
        raise OSError("what answers there is no sandbox") from error
    finally:
        connection.close()
