"""The town of the fault matrix: its people and their news, one disturbed run, and the verdict.

A cell of the matrix is a story, one of its runs, and one trouble at one place in that run. It
is played by building the town anew, running mcsync as cron does, every five minutes, with the
trouble in that run, until it is quiet. Then everything must be as if nothing had happened.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import cycle
from pathlib import Path
from types import TracebackType

from mcsync.cache.store import Store
from mcsync.errors import McsyncError
from mcsync.sandbox.mailchimp.state import Operation
from mcsync.sandbox.server import Fault, LoopbackServer, Response
from mcsync.sandbox.town import Town
from tests.scenario.bedrock import GROUP, LIST, NO_LIMITS, VOLUNTEERING, VOLUNTEERS
from tests.scenario.matrix_child import Job, encode, run_once
from tests.scenario.straight import without_sockets

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LONG_BEFORE = START - timedelta(days=2)
EVERY = timedelta(minutes=5)  # cron
TAGS = ("Donor", "Elder")
MOST_RUNS = 8  # after the trouble
SIGKILL = 9

# --- people -------------------------------------------------------------------------------------


class People:
    """Puts people into a town and has them do things; addresses tell the kind and a number."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def member(self, email: str, status: str = "subscribed", **more: object) -> None:
        """A member since long before."""
        self.town.mailchimp.import_member(
            LIST, email, status, last_changed=LONG_BEFORE, **more  # type: ignore[arg-type]
        )  # fmt: skip

    def contact(self, email: str, *groups: int, **flags: object) -> int:
        """A contact, in these groups since long before."""
        first = email.partition("@")[0].title()
        contact = self.town.civicrm.add_contact(first, "Rubble", [email], **flags)
        for group in groups:
            self.town.civicrm.add_to_group(contact, group, at=LONG_BEFORE)
        return contact

    def both(self, email: str, *groups: int) -> None:
        """A member who is a contact in the group, in agreement."""
        wants = [VOLUNTEERING] if VOLUNTEERS in groups else []
        first = email.partition("@")[0].title()
        self.member(email, interests=wants, first_name=first, last_name="Rubble")
        self.contact(email, GROUP, *groups)

    def tag(self, email: str, *labels: str) -> None:
        """Tags on the contact with this address."""
        known = self.town.civicrm.store.tables["Tag"].rows.items()
        for tag_id in [key for key, row in known if row["label"] in labels]:
            self.town.civicrm.tag(self.id_of(email), tag_id)

    def id_of(self, email: str) -> int:
        """The contact with this address."""
        return self.town.civicrm.contacts_by_email(email)[0].id


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of person: how they stand before, and what they, or staff, do then.

    Those to whom nothing happens must not be touched. `is_for_strangers`: the kind makes sense
    to a cache that has never seen them before. `has_data`: the kind is about the data step.
    """

    name: str
    seed: Callable[[People, str], object]
    act: Callable[[People, str], object] | None = None
    is_for_strangers: bool = True
    has_data: bool = False


def _left_by_themselves(people: People, email: str) -> None:
    people.member(email, "unsubscribed", left=True)
    contact = people.contact(email, GROUP)
    people.town.civicrm.remove_from_group(contact, GROUP, at=LONG_BEFORE + timedelta(hours=1))


def _unsubscribed_by_staff(people: People, email: str) -> None:
    people.member(email, "unsubscribed")
    contact = people.contact(email, GROUP)
    people.town.civicrm.remove_from_group(contact, GROUP, at=LONG_BEFORE + timedelta(hours=1))


def _move_in_civicrm(people: People, email: str) -> None:
    [address] = people.town.civicrm.emails(people.id_of(email))
    people.town.civicrm.update_email(address.id, email=f"new-{email}")


def _muted_outsider(people: People, email: str) -> None:
    people.contact(email, is_opt_out=True)


def _sign_up(people: People, email: str) -> None:
    people.town.mailchimp.sign_up(LIST, email, "Pebbles", email.partition("@")[0].title())


def _sign_up_volunteer(people: People, email: str) -> None:
    people.town.mailchimp.sign_up(LIST, email, "Bamm", "Bamm", [VOLUNTEERING])


def _add(people: People, email: str) -> None:
    people.town.civicrm.add_to_group(people.id_of(email), GROUP)


def _add_volunteer(people: People, email: str) -> None:
    people.town.civicrm.add_to_group(people.id_of(email), VOLUNTEERS)


def _seed_tagged(people: People, email: str) -> None:
    people.contact(email)
    people.tag(email, "Donor", "Elder")


def _seed_tagged_who_left(people: People, email: str) -> None:
    _left_by_themselves(people, email)
    people.tag(email, "Donor")


def _edit(people: People, email: str, wants: bool) -> None:
    people.town.mailchimp.edit_profile(LIST, email, interests={VOLUNTEERING: wants})


KINDS = (
    Kind("created", lambda people, email: None, _sign_up),
    Kind("created-volunteer", lambda people, email: None, _sign_up_volunteer),
    Kind("subscribed", lambda people, email: people.contact(email), _add),
    Kind("subscribed-volunteer", lambda people, email: people.contact(email, VOLUNTEERS), _add),
    Kind("back", _unsubscribed_by_staff, _add),
    Kind("reconfirmed", _left_by_themselves, _add),
    Kind(
        "unsubscribed",
        lambda people, email: people.both(email),
        lambda people, email: people.town.civicrm.remove_from_group(people.id_of(email), GROUP),
    ),
    Kind(
        "left",
        lambda people, email: people.both(email),
        lambda people, email: people.town.mailchimp.leave(LIST, email),
    ),
    Kind(
        "muted",
        lambda people, email: people.both(email),
        lambda people, email: people.town.civicrm.update_contact(
            people.id_of(email), is_opt_out=True
        ),
    ),
    Kind("volunteer-civicrm", lambda people, email: people.both(email), _add_volunteer),
    Kind(
        "volunteer-mailchimp",
        lambda people, email: people.both(email),
        lambda people, email: _edit(people, email, True),
    ),
    Kind(
        "no-volunteer-civicrm",
        lambda people, email: people.both(email, VOLUNTEERS),
        lambda people, email: people.town.civicrm.remove_from_group(
            people.id_of(email), VOLUNTEERS
        ),
    ),
    Kind(
        "no-volunteer-mailchimp",
        lambda people, email: people.both(email, VOLUNTEERS),
        lambda people, email: _edit(people, email, False),
    ),
    Kind("moved", lambda people, email: people.both(email), _move_in_civicrm, False),
    Kind(
        "moved-at-mailchimp",
        lambda people, email: people.both(email),
        lambda people, email: people.town.mailchimp.change_address(LIST, email, f"new-{email}"),
        False,
    ),
    Kind(
        "tagged",
        lambda people, email: people.both(email),
        lambda people, email: people.tag(email, "Donor", "Elder"),
        has_data=True,
    ),
    Kind("subscribed-tagged", _seed_tagged, _add, has_data=True),
    Kind("reconfirmed-tagged", _seed_tagged_who_left, _add, has_data=True),
    Kind("agreed", lambda people, email: people.both(email)),
    Kind("agreed-volunteer", lambda people, email: people.both(email, VOLUNTEERS)),
    Kind("out", _left_by_themselves),
    Kind("muted-outsider", _muted_outsider),
    Kind("cleaned-stranger", lambda people, email: people.member(email, "cleaned")),
)


# --- stories ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Story:
    """What the cache knows before the news: nothing, or everything; and how cron runs mcsync.

    `has_data`: with names and tags. `options` are those of the list in the config.
    """

    name: str
    of_each: int
    knows: bool
    wait_s: float | None
    has_data: bool = False
    options: tuple[tuple[str, object], ...] = ()

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of people in it."""
        return [
            kind
            for kind in KINDS
            if (self.knows or kind.is_for_strangers) and (self.has_data or not kind.has_data)
        ]

    @property
    def chunk(self) -> int:
        """Small enough for several batches and several transactions each."""
        return max(4, self.of_each * 6)

    def emails(self, kind: Kind) -> list[str]:
        """The people of one kind."""
        return [f"{kind.name}{number}@example.org" for number in range(self.of_each)]


def stories(of_each: int) -> tuple[Story, ...]:
    """The first run of all, waiting for its results; and later ones, which leave them to cron."""
    return (
        Story("first", of_each, knows=False, wait_s=0),
        Story("later", of_each, knows=True, wait_s=None, has_data=True),
    )


@dataclass
class Play:
    """One story being played: the town, the folder, what was seen of rules being broken."""

    story: Story
    town: Town
    folder: Path
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.town.mailchimp.settings.batch_delay_polls = 0
        self.town.mailchimp.before_operation = self._check_operation
        self.town.add_audience(
            LIST, "Main audience", GROUP, {VOLUNTEERING: (VOLUNTEERS, "Volunteering")}
        )
        self.town.lists[LIST].update(self.story.options)
        config = {
            **self.town.make_config(),
            "safety": NO_LIMITS,
            "data": {"sync": self.story.has_data},
        }
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(config), encoding="utf-8")
        self.config.chmod(0o600)
        for label in TAGS:
            self.town.civicrm.add_tag(label)
        people = People(self.town)
        for kind in self.story.kinds:
            for email in self.story.emails(kind):
                kind.seed(people, email)

    def _check_operation(self, operation: Operation) -> None:
        """No operation may carry `status` for somebody who has it already."""
        body = operation.body if isinstance(operation.body, str) else ""
        status = (json.loads(body) if body else {}).get("status")
        key = operation.path.rpartition("/")[2]
        member = self.town.mailchimp.audiences[LIST].by_path(key)
        if status is not None and member is not None and member.status == status:
            self.broken.append(f"{member.email} was {status} already when an operation said so")

    # --- running ------------------------------------------------------------------------------

    def job(self, die_at: int | None = None, trace: Path | None = None) -> Job:
        """A run at the town's time."""
        return Job(
            config=str(self.config),
            now=self.town.clock().isoformat(),
            wait_s=self.story.wait_s,
            die_at=die_at,
            trace=str(trace) if trace else None,
            chunk=self.story.chunk,
        )

    def pass_time(self) -> None:
        """Until cron starts the next run."""
        self.town.clock.advance(seconds=EVERY.total_seconds())

    def open_store(self) -> Store:
        """The cache."""
        return Store(self.folder / "mcsync.db")

    def bring_news(self) -> None:
        """An hour later everybody who has something to do does it."""
        self.town.clock.advance(hours=1)
        people = People(self.town)
        for kind in self.story.kinds:
            for email in self.story.emails(kind) if kind.act else ():
                kind.act(people, email)  # type: ignore[misc]
        self.town.clock.advance(minutes=1)

    def is_quiet(self, before: int) -> bool:
        """Whether nothing was written since `before`, and nothing is open."""
        return self.town.writes == before and not self.find_open()

    def find_open(self) -> list[str]:
        """What the cache still has to do."""
        questions = {
            "rows {0}": "SELECT sync_status, count(*) FROM civicrm_mailchimpsync_cache"
            " WHERE sync_status IN ('live', 'todo', 'redo') GROUP BY 1",
            "open updates {0}": "SELECT 'in batch ' || coalesce(mailchimpsync_batch_id, 'none'),"
            " count(*) FROM civicrm_mailchimpsync_update WHERE completed = 0 GROUP BY 1",
            "batches {0}": "SELECT status || ' ' || response_processed, count(*)"
            " FROM civicrm_mailchimpsync_batch WHERE response_processed < 2 GROUP BY 1",
            "plan {0}": "SELECT list_id, count(*) FROM civicrm_mailchimpsync_plan GROUP BY 1",
        }
        with closing(self.open_store()) as store:
            return [
                f"{title.format(row[0])}: {row[1]}"
                for title, question in questions.items()
                for row in store.query(question)
            ]

    # --- looking ------------------------------------------------------------------------------

    def look(self) -> dict[str, object]:
        """Everything that must not depend on troubles, by whom or what it is about."""
        seen: dict[str, object] = {}
        civicrm, members = self.town.civicrm, self.town.mailchimp.members(LIST)
        for email, member in members.items():
            names, tags = member["merge_fields"], member["tags"]
            assert isinstance(tags, list)
            labels = sorted(tag["name"] for tag in tags)
            seen[f"member {email}"] = (member["status"], member["interests"], names, labels)
        contacts: dict[str, list[object]] = {}
        for contact in civicrm.contacts():
            emails = [(e.email, e.is_primary, e.is_bulkmail, e.on_hold) for e in contact.emails]
            groups = [civicrm.group_status(contact.id, group) for group in (GROUP, VOLUNTEERS)]
            shown = (contact.first_name, contact.last_name, emails, groups, contact.is_opt_out)
            contacts.setdefault(f"contacts {contact.email}", []).append(shown)
        seen |= {whose: sorted(shown, key=repr) for whose, shown in contacts.items()}
        mails = Counter(mail.email for mail in self.town.mailchimp.confirmation_mails)
        seen |= {f"mails to {email}": count for email, count in mails.items()}
        with closing(self.open_store()) as store:
            for row in store.query(
                "SELECT coalesce(r.email_key, c.contact_id), r.sync_status, r.mailchimp_status"
                " FROM civicrm_mailchimpsync_cache r"
                " LEFT JOIN civicrm_mailchimpsync_contact c ON c.contact_id = r.civicrm_contact_id"
            ):
                seen[f"row {row[0]}"] = row[1:]
        return seen

    def look_at_bystanders(self) -> dict[str, object]:
        """Those to whom nothing happens, with every date of theirs."""
        civicrm, mailchimp = self.town.civicrm, self.town.mailchimp
        seen: dict[str, object] = {}
        for kind in self.story.kinds:
            for email in self.story.emails(kind) if kind.act is None else ():
                seen[f"bystander {email}"] = (
                    mailchimp.member(LIST, email),
                    [(c, civicrm.history(c.id)) for c in civicrm.contacts_by_email(email)],
                )
        return seen

    def find_broken_rules(self) -> list[str]:
        """What must never happen, however the run went."""
        found = list(self.broken)
        mails = Counter(mail.email for mail in self.town.mailchimp.confirmation_mails)
        found += [f"{email} got {count} mails" for email, count in mails.items() if count > 1]
        sent = Counter(
            operation.operation_id
            for operation in self.town.mailchimp.operations
            if operation.operation_id is not None
        )
        found += [f"operation {key} ran {count} times" for key, count in sent.items() if count > 1]
        return found


@contextmanager
def playing(story: Story) -> Iterator[Play]:
    """A town with the people of a story and their news, just before the first run."""
    with tempfile.TemporaryDirectory() as name, Town(START) as town, without_sockets(town):
        play = Play(story, town, Path(name))
        town.clock.advance(minutes=1)
        if story.knows:
            shutil.copy(_make_cache(story), play.folder / "mcsync.db")
        play.bring_news()
        yield play


_caches = tempfile.TemporaryDirectory()


@cache
def _make_cache(story: Story) -> Path:
    """The cache of a run over the people before their news; it finds nothing to write."""
    with tempfile.TemporaryDirectory() as name, Town(START) as town, without_sockets(town):
        play = Play(story, town, Path(name))
        town.clock.advance(minutes=1)
        run_once(play.job())
        if not play.is_quiet(0):
            raise AssertionError(f"there was something to do: {play.find_open()}")
        kept = Path(_caches.name) / f"{story.name}{story.of_each}.db"
        shutil.copy(play.folder / "mcsync.db", kept)
        return kept


# --- the helper process -------------------------------------------------------------------------


class Helper:
    """The process that forks runs which die; a context manager."""

    def __enter__(self) -> "Helper":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scenario.matrix_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def run(self, job: Job) -> dict[str, int]:
        """Run a job in a child of its own; how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(encode(job), file=self._process.stdin, flush=True)
        ended: dict[str, int] = json.loads(self._process.stdout.readline())
        return ended


# --- the undisturbed run ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How a story ends when nothing goes wrong, and the points of each of its runs."""

    story: Story
    end: dict[str, object]
    bystanders: dict[str, object]
    points: tuple[tuple[str, ...], ...]


def play_undisturbed(story: Story, helper: Helper) -> Undisturbed:
    """Play a story to its end, each run in a process of its own."""
    with playing(story) as play:
        bystanders = play.look_at_bystanders()
        points: list[tuple[str, ...]] = []
        trace = play.folder / "trace.json"
        while True:
            before = play.town.writes
            ended = helper.run(play.job(trace=trace))
            assert ended == {"exit": 0}, f"run {len(points)}: {ended}"
            points.append(tuple(json.loads(trace.read_text())))
            play.pass_time()
            if play.is_quiet(before):
                break
            assert len(points) < MOST_RUNS, play.find_open()
        assert not play.find_broken_rules(), play.find_broken_rules()
        assert play.look_at_bystanders() == bystanders
        return Undisturbed(story, play.look(), bystanders, tuple(points))


# --- cells --------------------------------------------------------------------------------------

_HTML = Response(200, b"<html><body>Oops</body></html>", {"Content-Type": "text/html"})
FAULTS = {
    "dropped before": Fault(drop="before"),
    "dropped after": Fault(drop="after"),
    "429": Fault(answer=Response(429, b"", {"Retry-After": "1"})),
    "500": Fault(answer=Response(500, b"", {"Content-Type": "text/plain"})),
    "504": Fault(answer=Response(504, b"<html></html>", {"Content-Type": "text/html"})),
    "HTML": Fault(answer=_HTML),
}
DEATH = "death"
# An answer that is wrong once is mended by a retry; from then on, it ends the run.
TROUBLES = (*FAULTS, *(f"{name} from then on" for name in FAULTS))


@dataclass(frozen=True, slots=True)
class Cell:
    """A trouble at the `place`-th point of a run (from 1): a death there, or a bad answer."""

    story: Story
    run: int
    place: int
    point: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.story.name} run {self.run}, {self.trouble} at {self.place} ({self.point})"


def find_cells(undisturbed: Undisturbed) -> Iterator[Cell]:
    """The whole matrix of a story."""
    for run, points in enumerate(undisturbed.points):
        for place, point in enumerate(points, 1):
            at = Cell(undisturbed.story, run, place, point, DEATH)
            yield at
            if _is_request(point):
                yield from (replace(at, trouble=trouble) for trouble in TROUBLES)


def _is_request(point: str) -> bool:
    return point.startswith("before ") and not point.startswith("before commit")


def choose_sample(cells: Iterable[Cell]) -> list[Cell]:
    """A few of a story's cells, always the same: every fourth kind of point in each kind of run.

    There it is one death, or an answer that is wrong once or stays wrong, in turn. Batches are
    never left out; for starting one, which alone is never repeated, the first run has all.
    """
    grouped: dict[tuple[bool, bool, str], list[Cell]] = {}
    for cell in cells:
        what = cell.point.partition(" ")[2]
        grouped.setdefault((cell.run > 0, cell.trouble == DEATH, what), []).append(cell)
    chosen: list[Cell] = []
    in_turn = cycle(TROUBLES)
    for turn, ((is_later_run, is_death, what), group) in enumerate(grouped.items()):
        if is_later_run and (False, is_death, what) in grouped and "/batches" not in what:
            continue
        if turn % 4 and "/batches" not in what:
            continue
        if is_death:
            chosen.append(group[turn % len(group)])
        elif what == "mailchimp POST /batches" and not is_later_run:
            chosen += [next(c for c in group if c.trouble == trouble) for trouble in TROUBLES]
        else:
            wanted = next(in_turn)
            chosen.append(next(c for c in group if c.trouble == wanted))
    return chosen


def play_cell(cell: Cell, undisturbed: Undisturbed, helper: Helper) -> list[str]:
    """Play a story with its trouble; what is not as it should be, empty if all is well."""
    with playing(cell.story) as play:
        problems: list[str] = []
        for _ in range(cell.run):
            run_once(play.job())
            play.pass_time()
        problems += _disturb(play, cell, undisturbed, helper)
        play.pass_time()
        problems += recover(play)
        return problems + compare(play, undisturbed)


def _disturb(play: Play, cell: Cell, undisturbed: Undisturbed, helper: Helper) -> list[str]:
    if cell.trouble == DEATH:
        ended = helper.run(play.job(die_at=cell.place))
        return [] if ended == {"signal": SIGKILL} else [f"the run was not killed: {ended}"]
    with _fault(play.town, cell, undisturbed.points[cell.run]) as server:
        before = len(server.requests)
        with suppress(McsyncError):  # it may end a run; what matters is what becomes of it
            run_once(play.job())
        return [] if len(server.requests) > before else ["the trouble did not come about"]


@contextmanager
def _fault(town: Town, cell: Cell, points: Sequence[str]) -> Iterator[LoopbackServer]:
    """The trouble of a cell, at the request of its place."""
    service = cell.point.split(" ")[1]
    earlier = [p for p in points[: cell.place - 1] if _is_request(p) and p.split(" ")[1] == service]
    lasts = cell.trouble.endswith(" from then on")
    fault = replace(
        FAULTS[cell.trouble.removesuffix(" from then on")],
        skip=len(earlier),
        times=None if lasts else 1,
    )
    server = town.mailchimp_server if service == "mailchimp" else town.civicrm_server
    server.faults.append(fault)
    try:
        yield server
    finally:
        server.faults.clear()


def recover(play: Play) -> list[str]:
    """Healthy runs until one finds nothing to do; what is wrong if that takes too long."""
    for _ in range(MOST_RUNS):
        before = play.town.writes
        try:
            run_once(play.job())
        except McsyncError as error:
            return [f"a run after the trouble failed: {type(error).__name__}: {error.message}"]
        play.pass_time()
        if play.is_quiet(before):
            return []
    return [f"not quiet after {MOST_RUNS} runs: {', '.join(play.find_open()) or 'still writing'}"]


def compare(play: Play, undisturbed: Undisturbed) -> list[str]:
    """Everything in which a play did not end as the undisturbed one, and rules broken in it."""
    problems = play.find_broken_rules()
    pairs = [
        (undisturbed.end, play.look()),
        (undisturbed.bystanders, play.look_at_bystanders()),
    ]
    for expected, found in pairs:
        problems += [
            f"{whose}: {found.get(whose)} instead of {expected.get(whose)}"
            for whose in sorted(expected.keys() | found.keys())
            if expected.get(whose) != found.get(whose)
        ]
    return problems
