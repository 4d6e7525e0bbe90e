"""A cache belongs to one Mailchimp account and one CiviCRM; with any other nothing is done.

Another key, another site, a site restored from a copy, and an API user who sees less than before:
nobody is removed, created or renamed for any of it.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mcsync.assemble import build_run
from mcsync.cache.copy_names import find_copies
from mcsync.cache.store import Store
from mcsync.config import load_config
from mcsync.errors import McsyncError
from mcsync.pipeline.sync import sync
from mcsync.sandbox.town import API_KEY, OTHER_API_KEY, Town
from tests.conftest import START
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS
from tests.scenario.cron import IN, OUT, Cron, mail
from tests.scenario.postal import Post

NEWSLETTER, READERS = "bbbbbbbbbb", 333
FORTY = [f"gazoo{number}" for number in range(40)]


class Everything:
    """What both services hold, so that nothing can change unnoticed."""

    def __init__(self, cron: Cron) -> None:
        self._town = cron.bedrock.town
        self.before = self._look()

    def _look(self) -> object:
        mailchimp, civicrm = self._town.mailchimp, self._town.civicrm
        members = {list_id: mailchimp.members(list_id) for list_id in mailchimp.audiences}
        contacts = [(c.id, c.first_name, c.last_name, c.is_deleted) for c in civicrm.contacts()]
        emails = [civicrm.emails(contact[0]) for contact in contacts]
        return (members, contacts, emails, civicrm.history(), len(mailchimp.confirmation_mails))

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has changed since."""
        return self._look() == self.before


def use_key(cron: Cron, key: str, list_id: str = LIST) -> None:
    """Put another key into the config of an audience."""
    cron.bedrock.town.lists[list_id]["apiKey"] = key


# --- Mailchimp ------------------------------------------------------------------------------------


def test_runs_that_are_refused_push_out_no_copy_of_the_right_cache(cron: Cron):
    cron.add_some("pam", "quinn")
    for _ in range(2):
        cron.run()
    [copy] = find_copies(cron.bedrock.folder / "mcsync.db")
    cron.bedrock.town.mailchimp.add_account(OTHER_API_KEY, "Somebody else's")
    use_key(cron, OTHER_API_KEY)
    for _ in range(3):
        cron.bedrock.pass_time(days=1)
        assert cron.run().exit_code == 78
    assert find_copies(cron.bedrock.folder / "mcsync.db") == [copy]


@pytest.mark.parametrize("has_list", [True, False], ids=["same-list-id-there", "no-such-list"])
def test_a_key_of_another_account_is_refused_while_a_batch_is_under_way_a7(
    cron: Cron, has_list: bool
):
    """A batch is under way; for one run the config holds another account's key."""
    cron.add_some("pam", "quinn", "rita")
    cron.remove("pam")
    cron.volunteer("rita")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    assert cron.run().writes == 2
    cron.bedrock.town.mailchimp.add_account(OTHER_API_KEY, "Somebody else's")
    if has_list:
        audience = cron.bedrock.town.mailchimp.audiences[LIST]
        audience.api_key = OTHER_API_KEY
        for member in list(audience.members.values()):
            if member.email != mail("quinn"):
                audience.remove(member)
    use_key(cron, OTHER_API_KEY)
    everything = Everything(cron)
    for _ in range(2):
        ran = cron.run()
        assert (ran.exit_code, ran.writes) == (78, 0)
        assert "a different Mailchimp account" in str(ran.error)
    assert cron.sync_contact("pam") == 78
    assert everything.is_untouched
    assert cron.stand("rita").group == "Added"
    if has_list:
        return
    use_key(cron, API_KEY)
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("quinn") == IN
    assert cron.is_volunteer("rita") == (True, True)


def test_a_key_of_another_account_stops_only_its_audience_a7(cron: Cron):
    """One of two audiences has the wrong key; the other goes on."""
    cron.bedrock.town.add_audience(NEWSLETTER, "Newsletter", READERS, {})
    contacts = cron.add_some("pam", "quinn")
    cron.bedrock.town.civicrm.add_to_group(contacts["pam"], READERS)
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    cron.bedrock.town.mailchimp.add_account(OTHER_API_KEY, "Somebody else's")
    use_key(cron, OTHER_API_KEY)
    cron.remove("quinn")
    cron.remove("pam", READERS)
    ran = cron.run()
    assert ran.exit_code == 3
    assert ran.report.error is not None
    assert int(ran.report.error.exit_code) == 78
    assert ran.reports[NEWSLETTER].error is None
    cron.run()
    assert cron.stand("pam", NEWSLETTER, READERS) == OUT
    assert cron.stand("quinn")[:2] == ("subscribed", "Removed")
    use_key(cron, API_KEY)
    cron.stay_quiet()
    assert cron.stand("quinn") == OUT
    assert cron.stand("pam") == IN


def test_another_key_of_the_same_account_is_welcome_a7(cron: Cron):
    """The old key is revoked, and a new one of the same account put into the config."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    cron.bedrock.town.mailchimp.add_key("11111111111111111111111111111111-us1", API_KEY)
    cron.bedrock.town.mailchimp.revoke_key(API_KEY)
    assert cron.run().exit_code == 77
    use_key(cron, "11111111111111111111111111111111-us1")
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("quinn") == IN


def test_a_revoked_key_removes_nobody_a7(cron: Cron):
    """The key is revoked while a batch is under way, for some runs."""
    cron.add_some("pam", "quinn")
    cron.remove("pam")
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run()
    everything = Everything(cron)
    cron.bedrock.town.mailchimp.revoke_key(API_KEY)
    for _ in range(3):
        assert cron.run().exit_code == 77
    assert everything.is_untouched
    cron.bedrock.town.mailchimp.revoked_keys.clear()
    held.finish()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT


def test_a_webhook_under_another_accounts_key_changes_nothing_a7(cron: Cron):
    """Pam leaves, a webhook tells; the config holds another account's key meanwhile."""
    cron.add_some("pam", "quinn")
    post = Post(cron.bedrock)
    cron.leave("pam")
    post.store()
    cron.bedrock.town.mailchimp.add_account(OTHER_API_KEY, "Somebody else's")
    use_key(cron, OTHER_API_KEY)
    everything = Everything(cron)
    with pytest.raises(McsyncError) as refused:
        post.handle()
    assert int(refused.value.exit_code) == 78
    assert everything.is_untouched
    assert post.waiting() == 1
    use_key(cron, API_KEY)
    while post.handle():
        pass
    assert cron.stand("pam")[:2] == ("unsubscribed", "Removed")
    cron.stay_quiet()


# --- CiviCRM: another site ------------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[Town]:
    """Another town with a CiviCRM of its own, a year older, where other people have the ids."""
    with Town(START.replace(year=2025)) as town:
        town.mailchimp.settings.batch_delay_polls = 0
        yield town


def write_config(folder: Path, name: str, town: Town, **more: object) -> Path:
    path = folder / name
    path.write_text(json.dumps({**town.make_config(), **more}))
    path.chmod(0o600)
    return path


def run_config(path: Path, town: Town) -> int:
    """One sync by this config file with the cache it names; the exit code."""
    config = load_config(path, {})
    with closing(Store(config.cache)) as store:
        run = build_run(config, config.audiences, store, clock=town.clock, sleep=lambda _: None)
        try:
            sync(run)
            run.raise_troubles()
        except McsyncError as error:
            return int(error.exit_code)
    town.clock.advance(minutes=5)
    return 0


def test_two_configs_in_one_folder_share_no_cache_a18(tmp_path: Path, town: Town, elsewhere: Town):
    """Two sites' configs lie in one folder, and neither names a cache."""
    for where, names in ((town, ("pam", "quinn")), (elsewhere, ("rita", "sue", "tess"))):
        where.add_audience(LIST, "Main audience", GROUP, {})
        for name in names:
            contact = where.civicrm.add_contact(name.title(), "Flintstone", [mail(name)])
            where.civicrm.add_to_group(contact, GROUP)
            where.mailchimp.import_member(LIST, mail(name))
    ours, theirs = town.make_config(), elsewhere.make_config()
    for config, name in ((ours, "config.json"), (theirs, "society.json")):
        del config["cache"]
        (tmp_path / name).write_text(json.dumps(config))
        (tmp_path / name).chmod(0o600)
    assert load_config(tmp_path / "config.json", {}).cache == tmp_path / "mcsync.db"
    assert load_config(tmp_path / "society.json", {}).cache == tmp_path / "society.db"
    for _ in range(3):
        assert run_config(tmp_path / "config.json", town) == 0
        assert run_config(tmp_path / "society.json", elsewhere) == 0
    assert (town.writes, elsewhere.writes) == (0, 0)


@pytest.mark.parametrize("people", [0, 3, 40], ids="{}-people-there".format)
def test_another_civicrm_under_the_same_cache_is_refused_a18(
    cron: Cron, elsewhere: Town, people: int
):
    """civicrm.url is changed to another site, where the same ids are other people."""
    cron.add_some(*FORTY)
    cron.bedrock.town.mailchimp.sign_up(LIST, mail("nora"))
    cron.bedrock.pass_time(minutes=2)
    elsewhere.civicrm.add_group("Other subscribers", GROUP)
    elsewhere.civicrm.add_group("Other volunteers", VOLUNTEERS)
    for number in range(people):
        contact = elsewhere.civicrm.add_contact("Other", "Rubble", [f"other{number}@example.org"])
        elsewhere.civicrm.add_to_group(contact, GROUP)
    everything = Everything(cron)
    site = {"url": elsewhere.civicrm_server.url, "apiKey": elsewhere.civicrm.api_key}
    cron.bedrock.settings = {"civicrm": site}
    for _ in range(3):
        ran = cron.run()
        # A site without any of these contacts may have lost them: that is held.
        assert (ran.exit_code, ran.writes) == (78 if people else 4, 0)
    assert cron.sync_contact(FORTY[0]) == (78 if people else 4)
    assert elsewhere.writes == 0
    assert everything.is_untouched
    cron.bedrock.settings = {}
    cron.stay_quiet()
    assert cron.stand("nora") == IN
    assert [cron.stand(name) for name in FORTY] == [IN] * 40


def test_a_site_made_anew_at_the_same_address_is_refused_a18(cron: Cron):
    """At the same address, and with the same key, a new site answers."""
    cron.add_some(*FORTY)
    civicrm = cron.bedrock.town.civicrm
    backup = civicrm.backup()
    civicrm.become_another_site()
    civicrm.add_group("Main audience subscribers", GROUP)
    civicrm.add_group("Volunteering", VOLUNTEERS)
    for number in range(40):
        contact = civicrm.add_contact("Other", "Rubble", [f"other{number}@example.org"])
        civicrm.add_to_group(contact, GROUP)
    members = cron.bedrock.town.mailchimp.members(LIST)
    for _ in range(2):
        ran = cron.run()
        assert (ran.exit_code, ran.writes) == (78, 0)
    assert cron.bedrock.town.mailchimp.members(LIST) == members
    civicrm.restore(backup)
    cron.stay_quiet()
    assert [cron.stand(name) for name in FORTY] == [IN] * 40


@pytest.mark.parametrize("with_data", [False, True], ids=["without-data", "with-data"])
@pytest.mark.parametrize("are_in_group", [False, True], ids=["outside", "in-the-group"])
def test_ids_that_mean_other_people_after_a_backup_a18(
    cron: Cron, with_data: bool, are_in_group: bool
):
    """CiviCRM is restored from last night, and five ids mean other people now."""
    cron.bedrock.with_data = with_data
    names = [f"gazoo{number}" for number in range(80)]
    cron.add_some(*names)
    civicrm = cron.bedrock.town.civicrm
    ids = [cron.contact(name) for name in names[:5]]
    for number, contact in enumerate(ids):
        civicrm.replace_person(contact, "Other", f"Rubble{number}", [f"other{number}@example.org"])
        if are_in_group:
            civicrm.add_to_group(contact, GROUP)
    cron.bedrock.pass_time(minutes=2)
    assert cron.run().exit_code == 0
    cron.stay_quiet()
    for number, contact in enumerate(ids):
        view = civicrm.contact(contact)
        assert view is not None
        assert (view.first_name, view.last_name) == ("Other", f"Rubble{number}")
        assert [email.email for email in civicrm.emails(contact)] == [f"other{number}@example.org"]
        other = cron.bedrock.member_status(f"other{number}@example.org")
        assert other == ("subscribed" if are_in_group else None)
        assert cron.bedrock.group_status(contact) == ("Added" if are_in_group else None)
    # Those who lost their contact are subscribed still, each with a contact of their own.
    assert [cron.stand(name) for name in names] == [IN] * 80
    assert not {cron.contact(name) for name in names} & set(ids)
    assert cron.mails == []


def test_a_restored_site_without_its_newest_contacts_is_the_same_a18(cron: Cron):
    """CiviCRM is restored from last night: two contacts are gone, and two changes undone."""
    civicrm = cron.bedrock.town.civicrm
    cron.add_some(*FORTY)
    backup = civicrm.backup()
    cron.bedrock.pass_time(hours=3)
    for name in ("nora", "olga"):
        cron.bedrock.add_contact(mail(name))
    cron.bedrock.pass_time(minutes=2)
    cron.remove(FORTY[0])
    cron.settle()
    assert cron.stand("nora") == IN
    assert cron.stand(FORTY[0]) == OUT
    cron.bedrock.pass_time(hours=9)
    civicrm.restore(backup)
    assert cron.run().exit_code == 0
    cron.stay_quiet()
    assert [cron.stand(name) for name in FORTY[1:]] == [IN] * 39
    assert cron.stand("nora")[:2] == ("subscribed", "Added")
    assert cron.mails == []


# --- CiviCRM: less to be seen ---------------------------------------------------------------------


def test_contacts_that_are_no_longer_seen_are_held_a19(cron: Cron):
    """What the API user may see shrinks: 38 of 40 contacts are not returned any more."""
    cron.bedrock.safety = {}
    cron.add_some(*FORTY)
    civicrm = cron.bedrock.town.civicrm
    seen = [1, 2, 3, cron.contact(FORTY[0]), cron.contact(FORTY[1])]
    everything = Everything(cron)
    civicrm.limit_to_contacts(seen)
    codes = []
    for _ in range(3):
        ran = cron.run()
        codes.append(ran.exit_code)
        assert ran.writes == 0
        if ran.exit_code == 4:
            assert "38" in str(ran.held)
        cron.bedrock.pass_time(hours=13)
    assert set(codes) <= {4, 77}
    assert everything.is_untouched
    civicrm.lift_limits()
    cron.stay_quiet()
    assert [cron.stand(name) for name in FORTY] == [IN] * 40


def test_members_whose_contacts_are_not_seen_get_no_second_one_a19(cron: Cron):
    """38 of 40 are hidden; their members change, one signs up anew, and a day passes."""
    cron.bedrock.safety = {}
    cron.add_some(*FORTY)
    civicrm, mailchimp = cron.bedrock.town.civicrm, cron.bedrock.town.mailchimp
    seen = [1, 2, 3, cron.contact(FORTY[0]), cron.contact(FORTY[1])]
    before = len(civicrm.contacts())
    civicrm.limit_to_contacts(seen)
    for name in FORTY[2:]:
        mailchimp.edit_profile(LIST, mail(name), "Gazoo")
    for _ in range(3):
        cron.bedrock.pass_time(hours=13)
        assert cron.run().exit_code in (4, 77)
    civicrm.lift_limits()
    assert len(civicrm.contacts()) == before
    cron.stay_quiet()
    assert len(civicrm.contacts()) == before
    assert [cron.stand(name) for name in FORTY] == [IN] * 40


def test_an_acl_of_one_group_is_refused_a19(cron: Cron):
    """The API user is limited to one group; staff remove somebody, who becomes invisible."""
    cron.bedrock.safety = {}
    cron.add_some("pam", "quinn", "rita")
    civicrm = cron.bedrock.town.civicrm
    civicrm.limit_to_group(GROUP)
    cron.remove("pam")
    cron.sign_up("nora")
    ran = cron.run()
    assert (ran.exit_code, ran.writes) == (77, 0)
    assert "view all contacts" in str(ran.error.hint if ran.error else "")
    assert cron.sync_contact("nora") == 77
    civicrm.lift_limits()
    cron.stay_quiet()
    assert cron.stand("pam") == OUT
    assert cron.stand("nora") == IN


def test_a_few_purged_contacts_are_no_reason_to_hold_a19(cron: Cron):
    """Three of forty are deleted for good, as happens."""
    cron.bedrock.safety = {}
    cron.bedrock.options["deletedContacts"] = "unsubscribe"
    contacts = cron.add_some(*FORTY)
    for name in FORTY[:3]:
        cron.bedrock.town.civicrm.purge(contacts[name])
    cron.bedrock.pass_time(hours=25)
    assert cron.run().exit_code == 0
    cron.stay_quiet()
    statuses = [cron.bedrock.member_status(mail(name)) for name in FORTY]
    assert statuses == ["unsubscribed"] * 3 + ["subscribed"] * 37


def test_a_purge_that_is_meant_is_forced_once_a19(cron: Cron):
    """Twenty of forty are deleted for good; an admin looks, and forces it."""
    cron.bedrock.safety = {}
    cron.bedrock.options["deletedContacts"] = "unsubscribe"
    contacts = cron.add_some(*FORTY)
    for name in FORTY[:20]:
        cron.bedrock.town.civicrm.purge(contacts[name])
    cron.bedrock.pass_time(hours=25)
    for _ in range(2):
        ran = cron.run()
        assert (ran.exit_code, ran.writes) == (4, 0)
        assert "20" in str(ran.held)
    assert cron.run(is_forced=True).exit_code == 0
    cron.stay_quiet()
    statuses = [cron.bedrock.member_status(mail(name)) for name in FORTY]
    assert statuses == ["unsubscribed"] * 20 + ["subscribed"] * 20


@pytest.mark.parametrize("safety", ["default", "no-limits"])
def test_a_group_that_is_suddenly_empty_stays_held_a19(cron: Cron, safety: str):
    """All forty places in the group vanish at once, without a trace, and stay away for a day."""
    if safety == "default":
        cron.bedrock.safety = {}
    contacts = cron.add_some(*FORTY)
    civicrm = cron.bedrock.town.civicrm
    backup = civicrm.backup()
    for contact in contacts.values():
        civicrm.sql_set_membership(contact, GROUP, None)
    cron.bedrock.pass_time(minutes=2)
    for hours in (0, 0, 13, 13):
        cron.bedrock.pass_time(hours=hours)
        ran = cron.run()
        assert (ran.exit_code, ran.writes) == (4, 0)
    civicrm.restore(backup)
    cron.stay_quiet()
    assert [cron.stand(name) for name in FORTY] == [IN] * 40


def test_an_interests_group_that_is_suddenly_empty_takes_it_from_nobody_a19(cron: Cron):
    """All places among forty volunteers vanish without a trace; Pam leaves meanwhile."""
    contacts = cron.add_some(*FORTY, "pam")
    cron.volunteer(*FORTY)
    cron.settle()
    civicrm = cron.bedrock.town.civicrm
    for name in FORTY:
        civicrm.sql_set_membership(contacts[name], VOLUNTEERS, None)
    cron.bedrock.pass_time(minutes=2)
    cron.leave("pam")
    for hours in (0, 0, 25, 25):
        cron.bedrock.pass_time(hours=hours)
        cron.run()
        assert all(cron.bedrock.has_interest(mail(name)) for name in FORTY)
    assert cron.stand("pam") == OUT
    for name in FORTY:
        civicrm.sql_set_membership(contacts[name], VOLUNTEERS, "Added")
    cron.stay_quiet()
    assert [cron.is_volunteer(name) for name in FORTY] == [(True, True)] * 40
    assert cron.stand("pam") == OUT
