"""A day of `mcsync sync` every five minutes: what cron mails, when, and who else is told.

Of Trustees' people half are removed by a slip, Choir's group is disabled for an hour, and
Mailchimp is down for two. Nobody is told the same twice, and nobody is left untold.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mcsync.sandbox.mailchimp.problems import PROBLEMS
from mcsync.sandbox.server import Fault, LoopbackServer, Request, Response
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import CommandLine, Teller, Told

CHOIR, CHOIR_GROUP = "bbbbbbbbbb", 333
KEEP = "import sys; open({path!r}, 'a').write(sys.stdin.read() + '\\n')"


@dataclass
class Monitor:
    """What is pinged; it answers with `status`."""

    status: int = 200
    pings: list[tuple[str, dict[str, int]]] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        self.pings.append((request.path, json.loads(request.body or b"{}")))
        return Response(self.status)

    def date_header(self) -> str:
        return "Fri, 12 Jun 2026 06:00:00 GMT"


@pytest.fixture
def monitor() -> Iterator[tuple[Monitor, str]]:
    """Somebody who is pinged, and at which address."""
    found = Monitor()
    server = LoopbackServer(found)
    server.start()
    yield found, f"{server.url}/0123-abcd"
    server.stop()


@dataclass
class Office:
    """Cron's machine: runs `sync` every five minutes, and keeps what it would mail."""

    bedrock: Bedrock
    mcsync: CommandLine
    kept: Path
    mails: list[tuple[str, str]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    @property
    def documents(self) -> list[dict[str, object]]:
        """What the program was given, oldest first."""
        if not self.kept.exists():
            return []
        return [json.loads(line) for line in self.kept.read_text().splitlines()]

    def sync(self, minutes: int = 5) -> Told:
        """One run; then so many minutes pass."""
        at = f"{self.bedrock.town.clock():%d. %H:%M}"
        told = self.mcsync("sync")
        self.bedrock.pass_time(minutes=minutes - 1)  # the command line has passed one
        assert told.out == ""
        self.codes.append(told.code)
        if told.err:
            self.mails.append((at, told.err))
        return told

    def run_until(self, hour: int, day: int, minutes: int = 5) -> set[int]:
        """Runs every so many minutes until it is so late; the exit codes that there were."""
        end = self.bedrock.town.clock().replace(day=day, hour=hour, minute=0)
        begun = len(self.codes)
        while self.bedrock.town.clock() < end:
            self.sync(minutes)
        return set(self.codes[begun:])


@pytest.fixture
def office(
    bedrock: Bedrock, mcsync: CommandLine, monitor: tuple[Monitor, str], tmp_path: Path
) -> Office:
    """Trustees and Choir, thirty people each, in sync; it is seven in the morning."""
    town = bedrock.town
    town.mailchimp.audiences[LIST].name = "Trustees"
    town.add_audience(CHOIR, "Choir", CHOIR_GROUP, {})
    for number in range(30):
        bedrock.add_both(f"trustee{number}@example.org")
        singer = bedrock.add_contact(f"singer{number}@example.org", group=False)
        town.civicrm.add_to_group(singer, CHOIR_GROUP)
        town.mailchimp.import_member(CHOIR, f"singer{number}@example.org")
    bedrock.safety = {}
    kept = tmp_path / "told"
    program = [sys.executable, "-c", KEEP.format(path=str(kept))]
    bedrock.settings["notify"] = {"command": program, "pingUrl": monitor[1]}
    bedrock.sync_until_quiet()
    now = town.clock()
    seven = (now + timedelta(days=1)).replace(hour=7, minute=0, second=0, microsecond=0)
    bedrock.pass_time(seconds=(seven - now).total_seconds())
    return Office(bedrock, mcsync, kept)


def remove_half(bedrock: Bedrock) -> None:
    """Staff remove fifteen trustees by a slip."""
    for number in range(15):
        [contact] = bedrock.town.civicrm.contacts_by_email(f"trustee{number}@example.org")
        bedrock.town.civicrm.remove_from_group(contact.id, GROUP)


def test_a_day_of_cron_mails_each_thing_once(
    office: Office, monitor: tuple[Monitor, str], tell: Teller
):
    bedrock, town = office.bedrock, office.bedrock.town
    day, tomorrow = town.clock().day, town.clock().day + 1
    assert office.run_until(8, day) == {0}
    remove_half(bedrock)
    assert office.run_until(9, day) == {4}
    town.civicrm.disable_group(CHOIR_GROUP)
    assert office.run_until(10, day) == {4}  # a group that is disabled is a guard's matter, too
    states = {a["name"]: a["state"] for a in tell.json("status")["audiences"]}
    assert states == {"Trustees": "held", "Choir": "failing"}
    town.civicrm.enable_group(CHOIR_GROUP)
    assert office.run_until(12, day, minutes=30) == {4}
    assert office.run_until(13, day) == {4}
    town.mailchimp_server.faults.append(Fault(drop="before", times=None))
    assert office.run_until(15, day) == {69}
    town.mailchimp_server.faults.clear()
    assert office.run_until(16, day) == {4}
    assert office.run_until(8, tomorrow, minutes=30) == {4}  # the night, a little faster
    office.sync()
    assert [at for at, _ in office.mails] == [
        f"{day:02}. 08:00",  # held
        f"{day:02}. 09:00",  # the group is disabled
        f"{day:02}. 10:00",  # and enabled
        f"{day:02}. 13:55",  # Mailchimp has been down for an hour
        f"{day:02}. 15:00",  # and is back
        f"{tomorrow:02}. 08:00",  # still held
    ]
    held, disabled, enabled, down, back, still = (words for _, words in office.mails)
    assert "Trustees: would unsubscribe 15 of 30" in held
    assert f"mcsync sync --list {LIST} --force" in held
    assert held == still
    assert "Choir: group 333" in disabled
    assert "hint: enable the group" in disabled
    assert "Trustees" not in disabled + enabled
    assert "Choir: in order again; since" in enabled
    assert 'group 333 "Choir subscribers" is disabled' in enabled
    assert down.count("error: ") == 1
    assert "Mailchimp at" in down
    assert "Trustees, Choir: synced again; since" in back
    assert "Mailchimp at" in back
    assert len(office.documents) == len(office.mails), "the program is called as often as mailed"
    pings = monitor[0].pings
    assert len(pings) == 2 * len(office.codes)
    ends = [path.rpartition("/")[2] for path, _ in pings[1::2]]
    assert ends == ["fail" if code else "0123-abcd" for code in office.codes]


def test_what_the_program_is_told(office: Office):
    remove_half(office.bedrock)
    assert office.sync().code == 4
    (document,) = office.documents
    (news,) = document["news"]  # type: ignore[misc]
    assert (document["command"], document["exit_code"]) == ("sync", 4)
    assert (news["turn"], news["kind"], news["audiences"]) == ("new", "guard-tripped", ["Trustees"])
    assert news["message"].startswith("Trustees: would unsubscribe 15 of 30 subscribed members")
    assert "--force" in news["hint"]
    assert document["title"] == f"mcsync: {news['message']}"
    assert document["text"] == f"{news['message']}\n  {news['hint']}"
    assert [a["name"] for a in document["audiences"]] == ["Trustees", "Choir"]  # type: ignore[attr-defined]
    words = office.kept.read_text()
    assert "@" not in words
    assert "-us1" not in words


def test_both_of_two_audiences_are_told_in_one_run_each_with_its_own_step(office: Office):
    """Trustees is held; Choir's group is disabled in the same five minutes."""
    remove_half(office.bedrock)
    office.bedrock.town.civicrm.disable_group(CHOIR_GROUP)
    told = office.sync()
    assert told.code == 4
    first, second = told.err.split("\n\n")
    assert first.startswith("error: Trustees: would unsubscribe 15")
    assert f'\nhint: if this is intended, run "mcsync sync --list {LIST}' in first
    assert second.startswith('error: Choir: group 333 "Choir subscribers" is disabled')
    assert "\nhint: enable the group" in second
    assert office.sync() == Told(4, "", ""), "told once"


def test_a_second_audience_in_trouble_is_told_though_the_first_was_told_before_b11(office: Office):
    remove_half(office.bedrock)
    office.sync()
    office.bedrock.town.civicrm.delete_group(CHOIR_GROUP)
    told = office.sync()
    assert told.code == 3
    assert told.err.startswith("error: Choir: CiviCRM shows no group 333")
    assert "Trustees" not in told.err


def test_what_is_held_after_somebody_has_decided_is_told_at_once(office: Office):
    """It is another slip, though it may be a smaller one."""
    remove_half(office.bedrock)
    office.sync()
    assert "no longer held" in office.mcsync("sync", "--list", LIST, "--force", "--wait").err
    for number in range(15, 27):
        [contact] = office.bedrock.town.civicrm.contacts_by_email(f"trustee{number}@example.org")
        office.bedrock.town.civicrm.remove_from_group(contact.id, GROUP)
    assert "Trustees: would unsubscribe 12 of 15" in office.sync().err


def test_two_audiences_of_one_name_are_told_each_with_its_own_step(office: Office):
    town = office.bedrock.town
    town.mailchimp.audiences[CHOIR].name = "Trustees"
    remove_half(office.bedrock)
    for number in range(15):
        [contact] = town.civicrm.contacts_by_email(f"singer{number}@example.org")
        town.civicrm.remove_from_group(contact.id, CHOIR_GROUP)
    told = office.sync()
    assert told.err.count("error: Trustees: would unsubscribe 15 of 30") == 2
    for list_id in (LIST, CHOIR):
        assert f"--list {list_id} --force" in told.err
    (document,) = office.documents
    assert len(document["news"]) == 2  # type: ignore[arg-type]
    assert office.sync() == Told(4, "", "")


def test_an_audience_called_as_a_service_is_named_in_what_befell_it(office: Office):
    town = office.bedrock.town
    town.mailchimp.audiences[CHOIR].name = "Mailchimp"
    path = rf"^/3.0/lists/{CHOIR}/members"
    office.bedrock.town.mailchimp_server.faults.append(Fault(path=path, drop="before", times=None))
    told = office.mcsync("sync", "-v")
    assert "error: Mailchimp: Mailchimp at 127.0.0.1" in told.err


def test_whom_a_run_skips_is_named_once(office: Office):
    office.bedrock.town.civicrm.disable_group(CHOIR_GROUP)
    told = office.mcsync("sync", "-v")
    assert "Choir is skipped: group 333" in told.err


def test_everything_is_told_to_who_asks_for_it(office: Office):
    """With -v, and in the document, in every run."""
    remove_half(office.bedrock)
    office.bedrock.town.civicrm.disable_group(CHOIR_GROUP)
    office.sync()
    told = office.mcsync("sync", "-v")
    assert "error: Trustees: would unsubscribe" in told.err
    assert "error: Choir: group 333" in told.err
    document = office.mcsync("sync", "--json").document
    troubles = {a["name"]: a["troubles"] for a in document["audiences"]}
    assert [t["kind"] for t in troubles["Trustees"]] == ["guard-tripped"]
    (trouble,) = troubles["Choir"]
    assert trouble["hint"] == "enable the group, or remove it from the config"
    assert trouble["since"] == trouble["told_at"] is not None
    assert len(office.documents) == 1


def test_a_dry_run_tells_nobody_else_and_keeps_nothing(
    office: Office, monitor: tuple[Monitor, str], tell: Teller
):
    office.bedrock.town.civicrm.disable_group(CHOIR_GROUP)
    told = office.mcsync("sync", "--dry-run")
    assert "Choir: group 333" in told.err
    assert (office.documents, monitor[0].pings) == ([], [])
    assert all(a["troubles"] == [] for a in tell.json("status")["audiences"])


def test_status_says_what_is_wrong_since_when_and_when_that_was_told(office: Office, tell: Teller):
    office.bedrock.town.civicrm.disable_group(CHOIR_GROUP)
    at = f"{office.bedrock.town.clock():%Y-%m-%dT%H:%M:%SZ}"
    office.sync()
    office.sync()
    lines = [" ".join(line.split()) for line in tell("status").out.splitlines()]
    assert any(line.startswith("Choir failing") for line in lines)
    start = lines.index(f"Choir ({CHOIR})")
    words = " ".join(lines[start + 1 :])
    assert f'trouble group 333 "Choir subscribers" is disabled in CiviCRM; since {at}' in words
    assert f"reported {at}" in words
    assert "enable the group" in words


def test_the_whole_run_in_trouble_is_each_audiences_trouble(office: Office, tell: Teller):
    """CiviCRM refuses the key: told once for both, and it stands in both."""
    office.bedrock.town.civicrm.api_key = "another-one"
    told = office.sync()
    assert told.code == 77
    assert told.err.count("error: ") == 1
    assert office.sync() == Told(77, "", "")
    audiences = tell.json("status")["audiences"]
    assert [a["troubles"][0]["kind"] for a in audiences] == ["remote-refused"] * 2


def test_an_interests_group_that_cannot_be_believed_stands_in_status(office: Office, tell: Teller):
    bedrock = office.bedrock
    bedrock.town.mailchimp.remove_interest(LIST, "cccccccccc")
    bedrock.add_contact("new@example.org")
    bedrock.pass_time(minutes=1)
    told = office.sync()
    assert told.code == 0
    assert "Mailchimp has no interest cccccccccc" in told.err
    assert office.sync() == Told(0, "", "")
    trustees = tell.json("status")["audiences"][0]
    assert trustees["state"] != "failing"
    assert [t["kind"] for t in trustees["troubles"]] == ["interest-gone"]


def test_a_change_that_is_given_up_is_told_to_the_program(office: Office):
    """Staff add somebody whom Mailchimp was told to forget: that can never be."""
    problem = PROBLEMS["forgotten"]("dino@example.org")
    office.bedrock.town.mailchimp.refuse("dino@example.org", problem, times=None)
    office.bedrock.add_contact("dino@example.org")
    office.bedrock.pass_time(minutes=1)
    for _ in range(3):
        office.sync()
    news = [news for document in office.documents for news in document["news"]]  # type: ignore[attr-defined]
    assert [each["turn"] for each in news] == ["given-up"]
    assert news[0]["message"] == "Trustees: 1 change of a person was given up"


def test_quiet_minutes_may_be_none(office: Office):
    notify = office.bedrock.settings["notify"]
    assert isinstance(notify, dict)
    notify["quietMinutes"] = 0
    office.bedrock.town.mailchimp_server.faults.append(Fault(drop="before", times=None))
    assert "Mailchimp at" in office.sync().err


def test_a_ping_that_fails_is_warned_of_once_a_day_and_changes_nothing(
    office: Office, monitor: tuple[Monitor, str]
):
    monitor[0].status = 404
    begun: datetime = office.bedrock.town.clock()
    told = office.sync()
    assert told.code == 0
    (line,) = told.err.splitlines()
    assert "notify.pingUrl at 127.0.0.1 answered HTTP 404" in line
    assert "0123-abcd" not in line
    assert office.sync() == Told(0, "", "")
    office.bedrock.pass_time(hours=24)
    assert office.sync().err
    assert begun < office.bedrock.town.clock()
