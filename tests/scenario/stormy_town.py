"""A small town of five audiences in two accounts, what its people do, and two ways to play it.

People act between runs. Each does so once a day, as nobody could say what a second word should
come to while the first one is on its way; but that one may be said at both sides at once. At the
end of a day mcsync runs until it is done, and both plays must be the same: the one in which
everything goes well, one thing after the other, and the stormy one.
"""

import json
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from mcsync.cache.store import Store
from mcsync.sandbox.town import API_KEY, OTHER_API_KEY, Town
from tests.scenario.bedrock import NO_LIMITS
from tests.scenario.faults import EVERY, START, Helper
from tests.scenario.matrix_child import Job
from tests.scenario.weather import Weather

LISTS = tuple(f"{number:010x}" for number in range(1, 6))
LONG_BEFORE = START - timedelta(days=2)
PEOPLE = 24  # at first
RUNS_A_DAY = 5
CALM = (5, 5, 5, 5, 65, 65, 365, 5, 5)  # minutes between the runs that end a day
SHARE = 0.06  # of the requests of a bad run
FEW, CHUNK = 3, 6
HANGS_S = 60

Act = tuple[str, ...]  # what is done, a method of Doer, and what it is told
Day = list[list[Act]]  # what is done before each run


def group_of(list_id: str) -> int:
    return 1000 + 10 * int(list_id, 16)


def interest_of(list_id: str) -> str:
    return f"c{list_id[1:]}"


# --- what people do -----------------------------------------------------------------------------


class Doer:
    """Has people do things in a town; whom it is about is told by address."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def do(self, act: Act) -> None:
        """One act, some seconds after whatever was before."""
        self.town.clock.advance(seconds=7)
        name, *about = act
        getattr(self, name)(*about)

    def sign_up(self, list_id: str, email: str, wants: str = "") -> None:
        interests = [interest_of(list_id)] if wants else []
        first = email.partition("@")[0].title()
        self.town.mailchimp.sign_up(list_id, email, first, "Slate", interests)

    def leave(self, list_id: str, email: str) -> None:
        self.town.mailchimp.leave(list_id, email)

    def confirm(self, list_id: str, email: str) -> None:
        self.town.mailchimp.confirm(list_id, email)

    def staff_unsubscribe(self, list_id: str, email: str) -> None:
        self.town.mailchimp.staff_unsubscribe(list_id, email)

    def want(self, list_id: str, email: str, wants: str) -> None:
        interests = {interest_of(list_id): bool(wants)}
        self.town.mailchimp.edit_profile(list_id, email, interests=interests)

    def enter(self, list_id: str, email: str) -> None:
        first = email.partition("@")[0].title()
        contact = self.town.civicrm.add_contact(first, "Slate", [email])
        self.town.civicrm.add_to_group(contact, group_of(list_id))

    def add(self, list_id: str, email: str) -> None:
        self.town.civicrm.add_to_group(self.id_of(email), group_of(list_id))

    def remove(self, list_id: str, email: str) -> None:
        self.town.civicrm.remove_from_group(self.id_of(email), group_of(list_id))

    def add_interest(self, list_id: str, email: str) -> None:
        self.town.civicrm.add_to_group(self.id_of(email), group_of(list_id) + 1)

    def remove_interest(self, list_id: str, email: str) -> None:
        self.town.civicrm.remove_from_group(self.id_of(email), group_of(list_id) + 1)

    def rename(self, _list_id: str, email: str, name: str) -> None:
        self.town.civicrm.update_contact(self.id_of(email), last_name=name)

    def rename_at_mailchimp(self, list_id: str, email: str, name: str) -> None:
        self.town.mailchimp.edit_profile(list_id, email, last_name=name)

    def mute(self, _list_id: str, email: str) -> None:
        self.town.civicrm.update_contact(self.id_of(email), is_opt_out=True)

    def unmute(self, _list_id: str, email: str) -> None:
        self.town.civicrm.update_contact(self.id_of(email), is_opt_out=False)

    def move(self, _list_id: str, email: str, fresh: str) -> None:
        [address] = self.town.civicrm.emails(self.id_of(email))
        self.town.civicrm.update_email(address.id, email=fresh)

    def id_of(self, email: str) -> int:
        [contact] = self.town.civicrm.contacts_by_email(email)
        return contact.id


class Crowd:
    """Chooses what people do next, by chance and by how they stand."""

    def __init__(self, town: Town, rng: random.Random) -> None:
        self._town = town
        self._rng = rng
        self._fresh = 0
        self._people = [f"person{number}@example.org" for number in range(PEOPLE)]
        self._rested: list[str] = []
        self._newcomers: list[str] = []

    def begin_day(self) -> None:
        """Everybody may act again."""
        self._people += self._newcomers
        self._newcomers = []
        self._rested = self._rng.sample(self._people, len(self._people))

    def choose(self) -> list[Act]:
        """What is done before the next run."""
        acts = [act for _ in range(self._rng.randint(0, 5)) for act in self._come()]
        for _ in range(self._rng.randint(2, 6)):
            if self._rested:
                acts += self._choose(self._rested.pop())
        return acts

    def _come(self) -> Iterator[Act]:
        """Somebody new, in some audiences at the same time, or in CiviCRM, or both."""
        self._fresh += 1
        email = f"new{self._fresh}@example.org"
        self._newcomers.append(email)
        lists = self._rng.sample(LISTS, self._rng.randint(1, 3))
        if self._rng.random() < 0.2:
            yield "enter", lists[0], email
            lists = lists[self._rng.randint(0, 1) :]
        for list_id in lists:
            yield "sign_up", list_id, email, self._rng.choice(["", "yes"])

    def _choose(self, email: str) -> list[Act]:
        owners = self._town.civicrm.contacts_by_email(email)
        if len(owners) != 1:
            return []
        contact = owners[0]
        list_id = self._rng.choice(LISTS)
        member = self._town.mailchimp.member(list_id, email)
        status = "" if member is None else str(member["status"])
        place = self._town.civicrm.group_status(contact.id, group_of(list_id))
        if contact.is_opt_out:
            return [("unmute", list_id, email)]
        if status == "pending":
            return [("confirm", list_id, email)]
        if status == "subscribed" and place == "Added":
            return self._choose_for_subscriber(list_id, email, contact.id)
        if status in ("", "unsubscribed") and place != "Added":
            wants = self._rng.choice(["", "yes"])
            both: list[Act] = [("add", list_id, email), ("sign_up", list_id, email, wants)]
            return self._some(both)
        return []

    def _choose_for_subscriber(self, list_id: str, email: str, contact_id: int) -> list[Act]:
        rng = self._rng
        is_in = self._town.civicrm.group_status(contact_id, group_of(list_id) + 1) == "Added"
        name = f"Granite {rng.randint(1, 99)}"
        kind = rng.choice(["out", "out", "interest", "interest", "name", "mute", "move"])
        if kind == "out":
            staff = rng.choice(["leave", "staff_unsubscribe"])
            return self._some([(staff, list_id, email), ("remove", list_id, email)])
        if kind == "interest":
            here = "remove_interest" if is_in else "add_interest"
            wish: Act = ("want", list_id, email, "" if is_in else "yes")
            return self._some([wish, (here, list_id, email)])
        if kind == "name":
            act = rng.choice(["rename", "rename_at_mailchimp"])
            return [(act, list_id, email, name)]
        if kind == "mute":
            return [("mute", list_id, email)]
        self._fresh += 1
        fresh = f"moved{self._fresh}@example.org"
        self._people[self._people.index(email)] = fresh
        return [("move", list_id, email, fresh)]

    def _some(self, acts: list[Act]) -> list[Act]:
        """One of them, or all, in any order."""
        return self._rng.sample(acts, self._rng.choice([1, 1, len(acts)]))


# --- a play ---------------------------------------------------------------------------------------


@dataclass
class StormyTown:
    """The town, and its runs; `weather` is at both services."""

    town: Town
    folder: Path
    helper: Helper
    rng: random.Random
    connections: int
    ended: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        town = self.town
        town.mailchimp.settings.batch_delay_polls = 0
        for number, list_id in enumerate(LISTS):
            group = group_of(list_id)
            key = API_KEY if number < 3 else OTHER_API_KEY
            interests = {interest_of(list_id): (group + 1, f"Bass {number}")}
            town.add_audience(list_id, f"Choir {number}", group, interests, api_key=key)
        site = town.make_config()["civicrm"]
        assert isinstance(site, dict)
        config = {
            **town.make_config(),
            "civicrm": {**site, "connections": self.connections},
            "safety": NO_LIMITS,
            "data": {"sync": True},
        }
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(config), encoding="utf-8")
        self.config.chmod(0o600)
        self.weathers = [
            Weather(server.service, random.Random(self.rng.random()))
            for server in (town.mailchimp_server, town.civicrm_server)
        ]
        town.mailchimp_server.service, town.civicrm_server.service = self.weathers

    def settle_people(self, rng: random.Random) -> None:
        """Some people who are in agreement, each in none to three audiences."""
        for number in range(PEOPLE):
            email, first = f"person{number}@example.org", f"Person{number}"
            contact = self.town.civicrm.add_contact(first, "Rubble", [email])
            for list_id in rng.sample(LISTS, rng.randint(0, 3)):
                self.town.civicrm.add_to_group(contact, group_of(list_id), at=LONG_BEFORE)
                self.town.mailchimp.import_member(
                    list_id,
                    email,
                    first_name=first,
                    last_name="Rubble",
                    last_changed=LONG_BEFORE,
                )

    def begin_day(self, number: int) -> None:
        """The morning, which must not have come yet."""
        morning = START + timedelta(days=number, hours=1)
        assert morning > self.town.clock()
        self.town.clock.advance(seconds=(morning - self.town.clock()).total_seconds())

    # --- runs -----------------------------------------------------------------------------------

    def run_well(self, at_once: int | None, minutes: float = 5) -> dict[str, int]:
        """A run without any trouble; then some minutes pass."""
        ended = self.helper.run(self._job(at_once=at_once, wait_s=0))
        self.town.clock.advance(minutes=minutes)
        return ended

    def run_in_a_storm(self) -> list[str]:
        """A run with troubles of all kinds; what must not be is told."""
        rng = self.rng
        self._turn_bad()
        die_at = rng.randint(1, 250) if rng.random() < 0.5 else None
        die_by = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        self.town.mailchimp.settings.batch_delay_polls = rng.choice([0, 0, 1, 2])
        wait_s = rng.choice([None, 0])
        job = self._job(at_once=None, wait_s=wait_s, die_at=die_at, die_by=int(die_by))
        ended = self.helper.run(job)
        for weather in self.weathers:
            weather.clear_up()
        self.town.mailchimp.settings.batch_delay_polls = 0
        self.town.clock.advance(seconds=EVERY.total_seconds())
        self.ended[" ".join(f"{how} {number}" for how, number in ended.items())] += 1
        is_foreseen = ended.get("exit") in (0, 69, 128 + die_by) or ended == {"signal": 9}
        return [] if is_foreseen else [f"a run ended with {ended}"]

    def _turn_bad(self) -> None:
        rng = self.rng
        ending = rng.choice([None, None, None, None, *self.weathers])
        for weather in self.weathers:
            ends_after = rng.randint(0, 60) if weather is ending else None
            account = None
            if weather is self.weathers[0]:
                account = rng.choice([None, API_KEY, OTHER_API_KEY])
            weather.turn_bad(rng.choice([SHARE / 3, SHARE, 2 * SHARE]), ends_after, account)

    def _job(
        self,
        *,
        at_once: int | None,
        wait_s: float | None,
        die_at: int | None = None,
        die_by: int = signal.SIGKILL,
    ) -> Job:
        return Job(
            config=str(self.config),
            now=self.town.clock().isoformat(),
            wait_s=wait_s,
            die_at=die_at,
            die_by=int(die_by),
            chunk=CHUNK,
            at_once=at_once,
            few=FEW,
            limit_s=HANGS_S,
        )

    def run_until_done(self, at_once: int | None) -> list[str]:
        """Runs without any trouble until one finds nothing to do; what is wrong."""
        self.town.mailchimp.run_batches()  # also those that nobody asked for by their ids
        for minutes in CALM:
            before = self.town.writes
            ended = self.run_well(at_once, minutes)
            if ended != {"exit": 0}:
                return [f"a run without trouble ended with {ended}"]
            if self.town.writes == before and not self.find_open():
                return []
        return [f"not done: {', '.join(self.find_open()) or 'still writing'}"]

    # --- looking --------------------------------------------------------------------------------

    def find_open(self) -> list[str]:
        """What the cache still has to do, or could not do."""
        with closing(Store(self.folder / "mcsync.db")) as store:
            rows = store.query(
                "SELECT 'row ' || coalesce(email_key, '') || ' ' || sync_status"
                " FROM civicrm_mailchimpsync_cache WHERE sync_status NOT IN ('ok', 'fail')"
                " OR sync_reason LIKE '%refused%'"
                " UNION ALL SELECT 'update ' || id FROM civicrm_mailchimpsync_update"
                " WHERE completed = 0 UNION ALL SELECT 'batch ' || status"
                " FROM civicrm_mailchimpsync_batch WHERE response_processed < 2"
                " UNION ALL SELECT 'plan ' || list_id FROM civicrm_mailchimpsync_plan"
            )
            return [str(row[0]) for row in rows]

    def look(self) -> dict[str, object]:
        """How everybody stands at both ends, by whom and where; and how often they were mailed."""
        civicrm, mailchimp = self.town.civicrm, self.town.mailchimp
        seen: dict[str, object] = {}
        for list_id in LISTS:
            for email, member in mailchimp.members(list_id).items():
                shown = (member["status"], member["interests"], member["merge_fields"])
                seen[f"member {email} of {list_id[-1]}"] = shown
        contacts: dict[str, list[object]] = {}
        for contact in civicrm.contacts():
            emails = [(e.email, e.is_primary, e.is_bulkmail, e.on_hold) for e in contact.emails]
            places = [
                civicrm.group_status(contact.id, group_of(list_id) + more)
                for list_id in LISTS
                for more in (0, 1)
            ]
            shown = (contact.first_name, contact.last_name, emails, places, contact.is_opt_out)
            contacts.setdefault(f"contacts {contact.email}", []).append(shown)
        seen |= {whose: sorted(found, key=repr) for whose, found in contacts.items()}
        mails = Counter((mail.email, mail.list_id[-1]) for mail in mailchimp.confirmation_mails)
        return seen | {f"mails to {email} of {place}": n for (email, place), n in mails.items()}


@contextmanager
def town_in(helper: Helper, seed: int, connections: int) -> Iterator[StormyTown]:
    """The town, settled and known to the cache."""
    with TemporaryDirectory() as name, Town(START) as town:
        stormy = StormyTown(town, Path(name), helper, random.Random(seed), connections)
        stormy.settle_people(random.Random(seed))
        yield stormy


@dataclass(frozen=True, slots=True)
class History:
    """What people did, and how everything stood at the end of each day."""

    days: list[Day]
    ends: list[dict[str, object]]


def play_one_by_one(helper: Helper, seed: int, days: int) -> History:
    """Make up what people do, and play it with one connection and without any trouble."""
    history = History([], [])
    with town_in(helper, seed, connections=1) as stormy:
        problems = stormy.run_until_done(1)
        crowd, doer = Crowd(stormy.town, random.Random(seed)), Doer(stormy.town)
        for number in range(days):
            stormy.begin_day(number)
            crowd.begin_day()
            day: Day = []
            for _ in range(RUNS_A_DAY):
                day.append(crowd.choose())
                for act in day[-1]:
                    doer.do(act)
                ended = stormy.run_well(1)
                assert ended == {"exit": 0}, (ended, day)
            problems += stormy.run_until_done(1)
            assert problems == [], (problems, day)
            history.days.append(day)
            history.ends.append(stormy.look())
    return history


@dataclass(frozen=True, slots=True)
class Storm:
    """What went wrong that must not, what troubles were met, and how the runs ended."""

    problems: list[str]
    met: Counter[str]
    ended: Counter[str]

    def __str__(self) -> str:
        return "\n".join((*self.problems, f"met {dict(self.met)}", f"ended {dict(self.ended)}"))


def play_in_a_storm(helper: Helper, seed: int, history: History) -> Storm:
    """Play the same with several connections, and all kinds of trouble, as far as it is right."""
    with town_in(helper, seed, connections=4) as stormy:
        problems = stormy.run_until_done(None)
        doer = Doer(stormy.town)
        for number, day in enumerate(history.days):
            stormy.begin_day(number)
            for acts in day:
                for act in acts:
                    doer.do(act)
                problems += stormy.run_in_a_storm()
            problems += stormy.run_until_done(None)
            problems += compare(history.ends[number], stormy.look())
            if problems:
                problems.append(f"on day {number}: {day}")
                break
        met = sum((weather.met for weather in stormy.weathers), Counter[str]())
        return Storm(problems, met, stormy.ended)


def compare(expected: dict[str, object], found: dict[str, object]) -> list[str]:
    """In what two ends differ."""
    return [
        f"{whose}: {found.get(whose)} instead of {expected.get(whose)}"
        for whose in sorted(expected.keys() | found.keys())
        if expected.get(whose) != found.get(whose)
    ]
