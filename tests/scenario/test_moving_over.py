"""From the extension mailchimpsync to mcsync: nobody is mailed or removed by the change-over.

The extension has run the site so far: its webhooks and its batches are at Mailchimp, its writes in
CiviCRM's history, where nothing tells them from those of anybody else who uses the API. Some of
them ran late, and overwrote what somebody had said in between.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from mcsync.cli.init import steps
from mcsync.cli.main import app
from mcsync.sandbox.server import LoopbackServer
from mcsync.sandbox.town import API_KEY
from tests.door import Door
from tests.said import Said
from tests.scenario.aftermath import contact_of, look_at_both, settle
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine

EVENTS = dict.fromkeys(("subscribe", "unsubscribe", "profile", "cleaned", "upemail"), True)
SOURCES = {"user": True, "admin": True, "api": False}
IN, OUT = ("subscribed", "Added"), ("unsubscribed", "Removed")


@dataclass
class Site:
    """Bedrock as the extension left it, and the command line that takes over."""

    bedrock: Bedrock
    url: str  # where webhooks of both lead
    keys: dict[str, str] = field(default_factory=dict)

    # --- people, as the extension has dealt with them ---------------------------------------------

    def ago(self, **length: float) -> Any:
        return self.bedrock.town.clock() - timedelta(**length)

    def member(self, name: str, status: str, *, left: bool = False, **ago: float) -> None:
        """A member since then; an unsubscribed one by the API unless they `left` themselves."""
        self.bedrock.add_member(mail(name), status, last_changed=self.ago(**ago), left=left)

    def contact(self, name: str, **flags: Any) -> int:
        return self.bedrock.add_contact(mail(name), group=False, **flags)

    def staff(self, contact: int, status: str, **ago: float) -> None:
        """Staff add or remove somebody at CiviCRM's own screens."""
        self._write(contact, status, "Admin", **ago)

    def extension(self, contact: int, status: str, **ago: float) -> None:
        """The extension adds or removes somebody."""
        self._write(contact, status, "API", **ago)

    def _write(self, contact: int, status: str, method: str, **ago: float) -> None:
        civicrm = self.bedrock.town.civicrm
        act = civicrm.add_to_group if status == "Added" else civicrm.remove_from_group
        act(contact, GROUP, method=method, at=self.ago(**ago))

    def stands(self, name: str) -> tuple[str | None, str | None]:
        """How somebody stands at Mailchimp and in the group."""
        contact = contact_of(self.bedrock, mail(name))
        return self.bedrock.member_status(mail(name)), self.bedrock.group_status(contact)

    # --- Mailchimp's set-up -----------------------------------------------------------------------

    def call(self, method: str, path: str, body: object) -> Any:
        api = self.bedrock.town.api_url
        answer = requests.request(method, api + path, json=body, auth=("x", API_KEY), timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def hooks(self) -> list[str]:
        """The paths that webhooks lead to, batch webhooks last."""
        town = self.bedrock.town.mailchimp
        every = [
            *town.audiences[LIST].webhooks.values(),
            *town.accounts[API_KEY].batch_webhooks.values(),
        ]
        return [each.url.partition("?")[0].removeprefix(self.url) for each in every]

    def save_blob(self) -> Path:
        """The extension's config."""
        config: Any = self.bedrock.town.make_config()
        hook = f"{self.url}/civicrm/mailchimpsync/webhook?secret=redacted"
        config["accounts"][API_KEY]["webhookUrl"] = hook
        path = self.bedrock.folder / "extension.json"
        path.write_text(json.dumps({key: config[key] for key in ("lists", "accounts")}))
        path.chmod(0o600)
        return path

    # --- the command line -------------------------------------------------------------------------

    def run(self, *args: str) -> Said:
        config = str(self.bedrock.folder / "config.json")
        found = CliRunner().invoke(
            app, ["--config", config, *args], env=self.keys, prog_name="mcsync"
        )
        assert found.exception is None or isinstance(found.exception, SystemExit), found
        assert "Traceback" not in found.stderr, found.stderr
        self.bedrock.pass_time(minutes=1)
        return Said(found.exit_code, found.stdout, found.stderr)

    def init(self) -> Said:
        """`mcsync init --from`, with CiviCRM's key in the environment."""
        town = self.bedrock.town
        self.keys = {"MCSYNC_CIVICRM_API_KEY": town.civicrm.api_key}
        more = ("--civicrm-url", town.civicrm_server.url, "--webhook-url", f"{self.url}/mcsync")
        said = self.run("init", "--from", str(self.save_blob()), *more, "--json")
        assert said.code == 0, said
        self.keys = {}
        return said

    def codes(self, *args: str) -> set[str]:
        return {each["code"] for each in self.run("check", "--json", *args).document["findings"]}

    def sync(self) -> None:
        said = self.run("sync", "--wait")
        assert said.code == 0, said

    def move_over(self) -> None:
        """All steps of the manual."""
        self.init()
        assert self.run("check", "--fix", "--replace-extension").code in (0, 3)
        self.sync()

    def a_day_later(self, *acts: Callable[[], object]) -> None:
        """So many things happen, an hour apart, and cron's sync of the evening."""
        for act in acts:
            self.bedrock.pass_time(hours=1)
            act()
        self.bedrock.pass_time(hours=23 - len(acts))
        self.sync()
        self.sync()


def mail(name: str) -> str:
    return f"{name}@example.org"


@pytest.fixture
def site(bedrock: Bedrock, mcsync: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A dozen people in agreement since an hour, and the extension's webhooks."""
    monkeypatch.setattr(steps, "utc_now", bedrock.town.clock)
    settle(bedrock, 12)
    for path in bedrock.folder.glob("*"):  # what made them agree was not mcsync
        path.unlink()
    for row in bedrock.town.civicrm.store.history.rows.values():
        row["tracking"] = None
    with LoopbackServer(Door()) as server:
        found = Site(bedrock, server.url)
        hook = f"{server.url}/civicrm/mailchimpsync/webhook?secret=redacted"
        body = {"url": hook, "events": EVENTS, "sources": SOURCES}
        found.call("POST", f"/lists/{LIST}/webhooks", body)
        found.call("POST", "/batch-webhooks", {"url": hook.replace("/webhook", "/batch-webhook")})
        add_agreeing(found)
        yield found


def add_agreeing(site: Site) -> None:
    """People whom the extension has brought into agreement, by its own writes."""
    dino = site.contact("dino")  # signed up, and the extension added him
    site.member("dino", "subscribed", minutes=50)
    site.extension(dino, "Added", minutes=49)
    ann = site.contact("ann")  # left, and the extension removed her
    site.extension(ann, "Added", days=90)
    site.member("ann", "unsubscribed", left=True, minutes=45)
    site.extension(ann, "Removed", minutes=44)
    barney = site.contact("barney")  # removed by staff; a batch of the extension unsubscribed him
    site.staff(barney, "Added", days=90)
    site.staff(barney, "Removed", minutes=40)
    site.member("barney", "subscribed", days=90)
    key = site.bedrock.town.mailchimp.member(LIST, mail("barney"))
    assert key is not None
    operation = {
        "method": "PATCH",
        "path": f"/lists/{LIST}/members/{key['id']}",
        "operation_id": "their-own-1",
        "body": json.dumps({"status": "unsubscribed"}),
    }
    site.call("POST", "/batches", {"operations": [operation]})
    arnold = site.contact("arnold", is_opt_out=True)  # opted out; unsubscribed for that
    site.staff(arnold, "Added", days=90)
    site.member("arnold", "unsubscribed", days=60)


# --- those of whom nobody can say what they wanted ------------------------------------------------


def _added_again_before_its_batch_ran(site: Site) -> None:
    betty = site.contact("betty")
    site.staff(betty, "Added", days=90)
    site.staff(betty, "Removed", minutes=40)
    site.staff(betty, "Added", minutes=35)
    site.member("betty", "unsubscribed", minutes=30)


def _signed_up_again_before_it_removed_her(site: Site) -> None:
    roxy = site.contact("roxy")
    site.staff(roxy, "Added", days=90)
    site.member("roxy", "subscribed", minutes=35)
    site.extension(roxy, "Removed", minutes=34)


def _left_before_it_added_her(site: Site) -> None:
    pearl = site.contact("pearl")
    site.member("pearl", "unsubscribed", left=True, minutes=35)
    site.extension(pearl, "Added", minutes=34)


def _never_asked_to_confirm(site: Site) -> None:
    hoppy = site.contact("hoppy")
    site.member("hoppy", "unsubscribed", left=True, days=30)
    site.staff(hoppy, "Added", days=20)


def _unsubscribed_for_an_opt_out_that_was_lifted(site: Site) -> None:
    slate = site.contact("slate")
    site.staff(slate, "Added", days=90)
    site.member("slate", "unsubscribed", days=60)


def _removed_before_it_wrote_a_tag(site: Site) -> None:
    gazoo = site.contact("gazoo")
    site.staff(gazoo, "Added", days=90)
    site.staff(gazoo, "Removed", minutes=40)
    site.member("gazoo", "subscribed", minutes=35)


IN_DOUBT = {
    "betty": _added_again_before_its_batch_ran,
    "roxy": _signed_up_again_before_it_removed_her,
    "pearl": _left_before_it_added_her,
    "hoppy": _never_asked_to_confirm,
    "slate": _unsubscribed_for_an_opt_out_that_was_lifted,
    "gazoo": _removed_before_it_wrote_a_tag,
}


def stands_as_found(site: Site, *names: str) -> dict[str, tuple[str | None, str | None]]:
    return {name: site.stands(name) for name in names or IN_DOUBT}


@pytest.fixture
def doubtful(site: Site) -> Site:
    for name in IN_DOUBT:
        IN_DOUBT[name](site)
    return site


# --- the change-over ------------------------------------------------------------------------------


def test_the_change_over_changes_nobody(doubtful: Site) -> None:
    """Step by step as the manual has it; nothing is written but webhooks."""
    site, town = doubtful, doubtful.bedrock.town
    before, mails = look_at_both(site.bedrock), site.bedrock.confirmation_mails
    history = len(town.civicrm.history())
    site.init()
    found = site.codes()
    assert {"extension-webhook", "extension-batch-webhook", "extension-at-work"} <= found
    assert "batches-under-way" not in found
    assert site.run("fetch").code == 0
    dry = site.run("sync", "--dry-run", "--json")
    (audience,) = dry.document["audiences"]
    assert (dry.code, audience["added_to_group"], audience["removed_from_group"]) == (0, 0, 0)
    assert audience["updates_queued"] == audience["contacts_created"] == 0
    assert site.run("check", "--fix", "--replace-extension").code in (0, 3)
    assert site.hooks() == ["/mcsync/webhook", "/mcsync/batch-webhook"]
    assert not any("extension" in code for code in site.codes())
    site.sync()
    site.sync()
    assert look_at_both(site.bedrock) == before
    assert site.bedrock.confirmation_mails == mails == []
    assert len(town.civicrm.history()) == history


def test_who_was_left_alone_is_listed(doubtful: Site) -> None:
    doubtful.move_over()
    (audience,) = doubtful.run("status", "--json").document["audiences"]
    assert audience["left_alone"] == len(IN_DOUBT)
    assert audience["failed"] == 0
    listed = doubtful.run("status", "--reason", "differed-before-the-move").out
    assert all(mail(name) in listed for name in IN_DOUBT)
    told = doubtful.run("explain", mail("pearl")).out
    assert "Neither side decides: both are left as they were before mcsync took over" in told


@pytest.mark.parametrize("name", IN_DOUBT)
def test_without_the_time_of_the_move_somebody_would_be_changed(site: Site, name: str) -> None:
    """What the time is for: each of them is somebody whom the rules alone would change."""
    IN_DOUBT[name](site)
    before = look_at_both(site.bedrock)
    site.init()
    path = site.bedrock.folder / "config.json"
    config = json.loads(path.read_text())
    del config["defaults"]
    path.write_text(json.dumps(config))
    site.sync()
    site.sync()
    assert look_at_both(site.bedrock) != before
    is_mailed = name in ("pearl", "hoppy")
    assert site.bedrock.confirmation_mails == ([mail(name)] if is_mailed else [])


def test_what_people_said_between_its_last_sync_and_ours_arrives(doubtful: Site) -> None:
    site, town = doubtful, doubtful.bedrock.town
    site.init()
    town.mailchimp.leave(LIST, mail("gazoo0"))
    site.staff(contact_of(site.bedrock, mail("gazoo1")), "Removed")
    site.staff(site.contact("wilma"), "Added")
    town.mailchimp.sign_up(LIST, mail("fred"), "Fred", "Flintstone")
    site.bedrock.pass_time(minutes=5)
    left = stands_as_found(site)
    site.run("check", "--fix", "--replace-extension")
    site.sync()
    site.sync()
    assert [site.stands(name) for name in ("gazoo0", "gazoo1")] == [OUT, OUT]
    assert [site.stands(name) for name in ("wilma", "fred")] == [IN, IN]
    assert stands_as_found(site) == left
    assert site.bedrock.confirmation_mails == []


def test_somebody_who_left_just_before_the_move_is_removed(site: Site) -> None:
    """Its webhook was lost: who leaves by themselves is believed whenever it was."""
    peggy = site.contact("peggy")
    site.staff(peggy, "Added", days=90)
    site.member("peggy", "unsubscribed", left=True, minutes=30)
    site.move_over()
    assert site.stands("peggy") == OUT


# --- the week after -------------------------------------------------------------------------------


def test_a_week_of_changes_at_both_sides(doubtful: Site) -> None:
    """Everything real arrives, that of the people in doubt too, once they or staff speak again."""
    site, bedrock = doubtful, doubtful.bedrock
    mailchimp, civicrm = bedrock.town.mailchimp, bedrock.town.civicrm
    site.move_over()

    def of(name: str) -> int:
        return contact_of(bedrock, mail(name))

    site.a_day_later(
        lambda: mailchimp.leave(LIST, mail("gazoo2")),
        lambda: site.staff(of("gazoo3"), "Removed"),
        lambda: site.staff(site.contact("wilma"), "Added"),
    )
    assert [site.stands(each) for each in ("gazoo2", "gazoo3", "wilma")] == [OUT, OUT, IN]
    site.a_day_later(
        lambda: mailchimp.sign_up(LIST, mail("fred"), "Fred", "Flintstone"),
        lambda: mailchimp.leave(LIST, mail("roxy")),
        lambda: site.staff(of("barney"), "Added"),
    )
    assert [site.stands(each) for each in ("fred", "roxy", "barney")] == [IN, OUT, IN]
    site.a_day_later(
        lambda: mailchimp.edit_profile(LIST, mail("gazoo"), "The Great"),
        lambda: civicrm.add_to_group(of("gazoo4"), VOLUNTEERS),
        lambda: site.staff(of("betty"), "Removed"),
    )
    assert site.stands("gazoo") == ("subscribed", "Removed"), "a name is no word about mail"
    assert bedrock.has_interest(mail("gazoo4"))
    assert site.stands("betty") == OUT
    assert bedrock.confirmation_mails == []
    site.a_day_later(
        lambda: site.staff(of("betty"), "Added"),
        lambda: site.staff(of("pearl"), "Added"),
        lambda: site.staff(of("gazoo"), "Removed"),
    )
    assert [site.stands(each) for each in ("betty", "gazoo")] == [IN, OUT]
    assert bedrock.confirmation_mails == [mail("pearl")], "staff have asked for her anew"
    site.a_day_later(
        lambda: mailchimp.confirm(LIST, mail("pearl")),
        lambda: mailchimp.sign_up(LIST, mail("hoppy"), "Hoppy", "Hopparoo"),
        lambda: civicrm.update_contact(of("arnold"), is_opt_out=False),
    )
    assert [site.stands(each) for each in ("pearl", "hoppy", "arnold")] == [IN, IN, IN]
    site.a_day_later()
    site.a_day_later()
    assert bedrock.confirmation_mails == [mail("pearl")]
    assert site.stands("slate") == ("unsubscribed", "Added"), "nobody has said anything of him"
    stayed = [f"gazoo{number}" for number in range(12) if number not in (2, 3)]
    assert {site.stands(each) for each in (*stayed, "dino")} == {IN}
    assert site.stands("ann") == OUT


# --- the older extension --------------------------------------------------------------------------


def test_from_the_older_extension_the_same_by_hand(site: Site) -> None:
    """Its groups are chosen by options, and the time is written into the config."""
    _unsubscribed_for_an_opt_out_that_was_lifted(site)
    webhooks = site.bedrock.town.mailchimp.audiences[LIST].webhooks
    (webhook,) = webhooks.values()
    webhook.url = f"{site.url}/civicrm/mailchimp/webhook?reset=1&key=redacted"
    site.bedrock.town.mailchimp.accounts[API_KEY].batch_webhooks.clear()
    before = look_at_both(site.bedrock)
    config = site.bedrock.load_config()
    blob = json.loads(config.path.read_text())
    blob["defaults"] = {"movedAt": f"{site.bedrock.town.clock():%Y-%m-%dT%H:%M:%SZ}"}
    blob["lists"][LIST]["interests"] = {VOLUNTEERING: str(VOLUNTEERS)}
    config.path.write_text(json.dumps(blob))
    assert "extension-webhook" in site.codes()
    assert site.run("check", "--fix", "--replace-extension").code in (0, 3)
    assert site.hooks() == []
    site.sync()
    assert look_at_both(site.bedrock) == before
