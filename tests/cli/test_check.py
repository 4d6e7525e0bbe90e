"""mcsync check over a simulated town: everything told, nothing written but webhooks, no secret."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mcsync.cli.main import app
from mcsync.sandbox.server import Fault, LoopbackServer, Response
from mcsync.sandbox.town import API_KEY, Town
from mcsync.text import GREETING
from tests.cli.conftest import (
    GROUP,
    INTEREST,
    INTEREST_GROUP,
    LIST,
    OTHER_GROUP,
    OTHER_LIST,
    PAGE,
    SCRIPT,
    Office,
    Said,
)
from tests.door import Door

SECRET = "yabbadabbadoo-yabbadabbadoo"
OTHER_SECRET = "scoobydoobydoo-scoobydoobydoo"
EVENTS = dict.fromkeys(("subscribe", "unsubscribe", "profile", "cleaned", "upemail"), True)
SOURCES = {"user": True, "admin": True, "api": False}


@dataclass
class Desk:
    """The office, and where its webhooks lead."""

    office: Office
    door: Door
    url: str

    @property
    def town(self) -> Town:
        return self.office.town

    @property
    def hook(self) -> str:
        return f"{self.url}/webhook?secret={SECRET}"

    @property
    def batch_hook(self) -> str:
        return f"{self.url}/batch-webhook?secret={SECRET}"

    def want_webhooks(self, **more: Any) -> None:
        """Configure both webhook URLs."""
        account = self.town.make_config()["accounts"][API_KEY]  # type: ignore[index]
        urls = {"webhookUrl": self.hook, "batchWebhook": self.batch_hook}
        self.office.write_config(accounts={API_KEY: {**account, **urls, **more}})

    def call(self, method: str, path: str, body: object) -> Any:
        """One call of the simulated API, as somebody else may make."""
        import requests

        answer = requests.request(
            method, f"{self.town.api_url}{path}", json=body, auth=("x", API_KEY), timeout=10
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def register(self, url: str | None = None, list_id: str = LIST, **changes: Any) -> str:
        """A webhook of an audience, right but for `changes`; its id."""
        body = {"url": url or self.hook, "events": EVENTS, "sources": SOURCES, **changes}
        return str(self.call("POST", f"/lists/{list_id}/webhooks", body)["id"])

    def register_batch(self, url: str | None = None, **changes: Any) -> str:
        """A batch webhook; its id."""
        body = {"url": url or self.batch_hook, **changes}
        return str(self.call("POST", "/batch-webhooks", body)["id"])

    def webhooks(self, list_id: str = LIST) -> list[Any]:
        """The audience's webhooks as Mailchimp has them."""
        return list(self.town.mailchimp.audiences[list_id].webhooks.values())

    def batch_webhooks(self) -> list[Any]:
        return list(self.town.mailchimp.accounts[API_KEY].batch_webhooks.values())

    def check(self, *args: str) -> Said:
        """Run the command; whatever it says holds neither key nor secret."""
        said = self.office.run("check", *args)
        for secret in (*self.office.secrets(), SECRET, OTHER_SECRET):
            assert secret not in said.out + said.err
        assert not self.office.cache.exists()
        return said

    def codes(self, *args: str) -> list[str]:
        """The codes of what is found, but for the trash, in which there is nobody.

        Signatures and the data step are for tests of their own: most configs here do without.
        """
        usual = ("trash-unseen", "webhook-no-signature", "names-not-synced")
        document = self.check("--json", *args).document
        codes = [finding["code"] for finding in document["findings"]]
        return [code for code in codes if code not in usual]


@pytest.fixture
def desk(empty_office: Office) -> Iterator[Desk]:
    door = Door()
    empty_office.town.mailchimp.settings.validate_webhooks = True
    with LoopbackServer(door) as server:
        yield Desk(empty_office, door, f"{server.url}/mcsync")


@pytest.fixture
def set_up(desk: Desk) -> Desk:
    """Everything as it should be."""
    desk.want_webhooks(signingSecrets=["whsec_of_both_webhooks"])
    desk.register()
    desk.register_batch()
    return desk


# --- all is well ----------------------------------------------------------------------------------


def test_all_is_well(set_up: Desk) -> None:
    said = set_up.check()
    assert (said.code, said.err) == (0, "")
    assert "All is well, with 2 notes." in said.out
    assert set_up.codes() == []


def test_nothing_is_written_and_no_lock_is_taken(set_up: Desk) -> None:
    before = set_up.office.everything()
    set_up.check()
    assert set_up.office.everything() == before
    assert {Path(name).name for name in set_up.office.files()} == {"config.json"}
    assert not list(set_up.office.folder.glob("*.lock"))


def test_without_webhooks_it_is_a_note(desk: Desk) -> None:
    assert desk.codes() == ["webhook-unset"]
    assert desk.check().code == 0


def test_who_is_in_the_trash_proves_that_we_see_it(set_up: Desk) -> None:
    contact = set_up.office.add_contact("dino@bedrock.example")
    set_up.town.civicrm.trash(contact)
    set_up.office.write_config(data={"sync": True})
    assert set_up.check().out.endswith("All is well.\n")
    set_up.town.civicrm.revoke("access deleted contacts")
    assert "trash-unseen" in set_up.check().out


def test_the_document_tells_what_there_is(set_up: Desk) -> None:
    document = set_up.check("--json").document
    assert document["command"] == "check"
    assert document["audiences"] == [
        {
            "list_id": LIST,
            "name": "Main audience",
            "group_id": GROUP,
            "problems": 0,
            "warnings": 0,
            "notes": 0,
        }
    ]
    (account,) = document["accounts"]
    assert (account["name"], account["role"], account["audiences"]) == (
        "Bedrock Gazette",
        "owner",
        1,
    )
    assert document["civicrm"]["utc_offset_s"] == 3600
    assert document["civicrm"]["contact_id"] == 3
    assert document["error"] is None


def test_our_own_addresses_are_asked_without_credentials(set_up: Desk) -> None:
    set_up.door.seen.clear()
    set_up.check()
    assert {request.path for request in set_up.door.seen} == {
        "/mcsync/webhook",
        "/mcsync/batch-webhook",
    }
    assert not any("authorization" in request.headers for request in set_up.door.seen)


# --- what may be wrong at Mailchimp ---------------------------------------------------------------


def test_a_refused_key_of_one_account_does_not_hide_the_others(set_up: Desk) -> None:
    office = set_up.office
    lists = dict(office.town.lists)
    lists[OTHER_LIST] = {"subscriptionGroup": OTHER_GROUP, "apiKey": "stale-us9"}
    accounts = office.options["accounts"] | {
        "stale-us9": {"apiKey": "stale-us9", "apiUrl": office.town.api_url}
    }
    office.write_config(lists=lists, accounts=accounts)
    office.town.mailchimp.audiences[LIST].double_optin = True
    said = set_up.check("--json")
    assert said.code == 3
    found = {each["code"]: each for each in said.document["findings"]}
    assert found["mailchimp-key-refused"]["where"] == "account us9"
    assert {"double-opt-in", "group-gone"} <= set(found)
    assert "stale-us9" not in said.out + said.err
    assert said.document["error"]["kind"] == "partial-failure"


def test_mailchimp_cannot_be_reached(set_up: Desk, no_pauses: list[float]) -> None:
    set_up.town.mailchimp_server.faults.append(Fault(drop="before", times=None))
    set_up.town.civicrm.disable_group(GROUP)
    said = set_up.check("--json")
    codes = {finding["code"] for finding in said.document["findings"]}
    assert {"mailchimp-unreachable", "group-disabled"} <= codes
    assert said.code == 3


def test_nothing_can_be_reached(set_up: Desk, no_pauses: list[float]) -> None:
    set_up.town.mailchimp_server.faults.append(Fault(drop="before", times=None))
    set_up.town.civicrm_server.faults.append(Fault(drop="before", times=None))
    said = set_up.check()
    assert said.code == 3
    assert "mailchimp-unreachable" in said.out
    assert "civicrm-unreachable" in said.out
    assert said.out.count("could not be reached") == 2


def test_a_role_that_is_too_low(set_up: Desk) -> None:
    set_up.town.mailchimp.accounts[API_KEY].role = "viewer"
    assert set_up.codes() == ["role-too-low"]


def test_a_list_that_is_gone(set_up: Desk) -> None:
    del set_up.town.mailchimp.audiences[LIST]
    assert set_up.codes() == ["list-gone"]


def test_double_opt_in_is_a_note(set_up: Desk) -> None:
    set_up.town.mailchimp.audiences[LIST].double_optin = True
    assert set_up.codes() == ["double-opt-in"]
    assert set_up.check().code == 0


def test_merge_fields(set_up: Desk) -> None:
    town = set_up.town.mailchimp
    town.audiences[LIST].merge_fields.clear()
    town.add_merge_field(LIST, "NEED", "Need", "text", required=True)
    assert set_up.codes() == ["names-missing", "required-field"]
    assert set_up.check().code == 0


def test_a_field_of_names_that_is_not_there(set_up: Desk) -> None:
    lists = set_up.town.lists[LIST]
    set_up.office.write_config(lists={LIST: {**lists, "nameFields": {"first": "VORNAM"}}})
    findings = set_up.check("--json").document["findings"]
    (found,) = [f for f in findings if f["code"] == "names-missing"]
    assert found["message"] == (
        "the audience has no merge field VORNAM, which nameFields uses for a name"
    )
    set_up.town.mailchimp.add_merge_field(LIST, "VORNAM", "Vorname", required=True)
    set_up.office.write_config(
        lists={LIST: {**lists, "nameFields": {"first": "VORNAM"}}}, data={"sync": True}
    )
    assert set_up.codes() == []


def test_an_interest_that_is_gone(set_up: Desk) -> None:
    town = set_up.town
    lists = {LIST: {**town.lists[LIST], "interests": {"zzzzzzzzzz": INTEREST_GROUP}}}
    set_up.office.write_config(lists=lists)
    assert set_up.codes() == ["interest-gone"]


def test_the_clocks_are_apart(set_up: Desk) -> None:
    set_up.town.clock.advance(seconds=300)
    assert set_up.codes() == ["clock-mailchimp", "clock-civicrm"]
    assert "300 s ahead of this machine's" in set_up.check().out.replace("299 s", "300 s")


# --- what may be wrong in CiviCRM -----------------------------------------------------------------


def test_groups_that_are_gone_or_disabled(set_up: Desk) -> None:
    set_up.town.civicrm.delete_group(GROUP)
    set_up.town.civicrm.disable_group(INTEREST_GROUP)
    assert set_up.codes() == ["group-gone", "interest-group-disabled"]
    said = set_up.check("--json")
    wheres = [f["where"] for f in said.document["findings"] if f["code"].startswith("interest")]
    assert wheres == ["Main audience, Topics: Volunteering"]


def test_a_smart_group_and_one_that_is_no_mailing_group(set_up: Desk) -> None:
    civicrm = set_up.town.civicrm
    civicrm.update_group(GROUP, group_type=[])
    assert set_up.codes() == ["group-not-mailing"]
    smart = civicrm.add_group("All of them", smart_where=[["last_name", "=", "Flintstone"]])
    lists = {LIST: {**set_up.town.lists[LIST], "subscriptionGroup": smart}}
    set_up.office.write_config(lists=lists)
    assert set_up.codes() == ["group-smart"]


def test_a_wrong_key_for_civicrm(set_up: Desk) -> None:
    url = set_up.town.civicrm_server.url
    set_up.office.write_config(civicrm={"url": url, "apiKey": "a-key-of-yesterday"})
    assert set_up.codes() == ["civicrm-key-refused"]
    assert "a-key-of-yesterday" not in set_up.check().out


PERMISSIONS = {
    "access CiviCRM": "civicrm-permission",
    "view all contacts": "civicrm-permission",
    "authenticate with api key": "civicrm-key-refused",
}


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_missing_permission_is_named_e4(set_up: Desk, permission: str) -> None:
    set_up.town.civicrm.revoke(permission)
    if permission == "view all contacts":
        set_up.town.civicrm.revoke("edit all contacts")
    found = set_up.check("--json").document["findings"][0]
    assert found["code"] == PERMISSIONS[permission]
    assert permission in found["hint"]


def test_permissions_that_civicrm_says_are_missing(set_up: Desk) -> None:
    set_up.town.civicrm.grant("view all contacts")
    names = ["edit all contacts", "add contacts"]
    for permission in names:
        set_up.town.civicrm.revoke(permission)
    said = set_up.check("--json")
    hints = [f["hint"] for f in said.document["findings"] if f["code"] == "civicrm-may-not-write"]
    assert [hint.split('"')[1] for hint in hints] == names
    assert said.code == 0


def test_all_permissions_that_are_missing_are_named_at_once(set_up: Desk) -> None:
    names = ["view all contacts", "edit all contacts", "add contacts"]
    for permission in names:
        set_up.town.civicrm.revoke(permission)
    found = set_up.check("--json").document["findings"]
    assert [f["hint"].split('"')[1] for f in found if "civicrm" in f["code"]] == names
    assert set_up.codes() == ["civicrm-permission", *["civicrm-may-not-write"] * 2]


def test_a_site_without_clean_urls(set_up: Desk) -> None:
    set_up.town.civicrm_server.faults.append(
        Fault(path="^/civicrm/", answer=Response(404, PAGE.body, PAGE.headers), times=None)
    )
    assert set_up.codes() == ["civicrm-url"]
    assert "?civiwp=CiviCRM" in set_up.check().out


def test_something_that_is_no_civicrm(set_up: Desk) -> None:
    set_up.town.civicrm_server.faults.append(Fault(answer=PAGE, times=None))
    assert set_up.codes() == ["civicrm-odd-answer"]


# --- the data step --------------------------------------------------------------------------------


def test_fields_of_the_data_step(set_up: Desk) -> None:
    fields = {"JOB": "job_titel", "PLACE": "address_primary.city"}
    set_up.town.mailchimp.add_merge_field(LIST, "PLACE", "Place", "text")
    set_up.office.write_config(data={"sync": True, "fields": fields})
    said = set_up.check("--json")
    found = {f["code"]: f for f in said.document["findings"]}
    assert found["merge-field-unusable"]["where"] == "Main audience, JOB"
    assert found["civicrm-field-unknown"]["where"] == "data.fields.JOB"
    assert len(found) == 3  # and the trash


def test_a_custom_field_without_its_permission_is_told_with_it_e6(set_up: Desk) -> None:
    fields = {"REGION": "Newsletter.Region", "PLACE": "address_primary.city"}
    for tag in fields:
        set_up.town.mailchimp.add_merge_field(LIST, tag, tag.title(), "text")
    set_up.town.civicrm.add_custom_field("Newsletter.Region")
    set_up.office.write_config(data={"sync": True, "fields": fields})
    found = {f["code"]: f for f in set_up.check("--json").document["findings"]}
    assert found["civicrm-field-unknown"]["where"] == "data.fields.REGION"
    assert '"access all custom data"' in found["civicrm-field-unknown"]["hint"]
    set_up.town.civicrm.grant("access all custom data")
    assert set_up.codes() == []
    set_up.town.civicrm.add_custom_field("Newsletter.Town")
    set_up.office.write_config(data={"sync": True, "fields": {**fields, "PLACE": "Newsletter.Ton"}})
    found = {f["code"]: f for f in set_up.check("--json").document["findings"]}
    assert "Newsletter.Ton" in found["civicrm-field-unknown"]["message"]
    assert "permission" not in found["civicrm-field-unknown"]["hint"]


def test_groups_that_become_tags(set_up: Desk) -> None:
    set_up.town.civicrm.add_group("Board", 31)
    set_up.office.write_config(data={"sync": True, "groupTags": {"31": "Board", "32": "Nobody"}})
    found = set_up.check("--json").document["findings"]
    gone = [f for f in found if f["code"] == "tag-group-gone"]
    assert [f["where"] for f in gone] == ["data.groupTags.32"]
    set_up.town.civicrm.disable_group(31)
    assert set_up.codes() == ["tag-group-gone", "tag-group-gone"]


def test_plugins_are_listed_with_version_and_origin(
    set_up: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mcsync import __version__

    (tmp_path / "regions_for_check.py").write_text('__version__ = "1.5"\n')
    monkeypatch.syspath_prepend(tmp_path)
    set_up.office.write_config(
        data={"fields": {"FAX": "job_title"}}, plugins=["regions_for_check", "no.such.plugin"]
    )
    document = set_up.check("--json").document
    assert document["plugins"] == [
        {"name": "tags", "version": __version__, "source": "built in"},
        {"name": "fields", "version": __version__, "source": "built in"},
        {"name": "regions_for_check", "version": "1.5", "source": "config"},
    ]
    missing = [f for f in document["findings"] if f["code"] == "plugin-not-loaded"]
    assert [each["where"] for each in missing] == ["plugin no.such.plugin"]
    said = set_up.check()
    assert f"tags {__version__} (built in)" in said.out
    assert "regions_for_check 1.5 (config)" in said.out
    assert said.code == 3


def test_what_the_config_itself_warns_of(set_up: Desk) -> None:
    set_up.office.config.chmod(0o644)
    assert set_up.codes() == ["config-warning"]
    assert set_up.check().code == 0


def test_a_cache_that_cannot_be_made(set_up: Desk) -> None:
    set_up.office.write_config(cache="no-such-folder/mcsync.db")
    said = set_up.check()
    assert said.code == 3
    assert "cache-unusable" in said.out
    assert not (set_up.office.folder / "no-such-folder").exists()


def test_a_cache_that_may_not_be_written(set_up: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = set_up.office.folder / "mcsync.db.lock"
    lock.touch()
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != lock and asked(path, mode))
    (finding,) = [
        each
        for each in set_up.check("--json").document["findings"]
        if each["code"] == "cache-unusable"
    ]
    assert f"cannot read and write {lock}" in finding["message"]


def find_cache_trouble(desk: Desk) -> dict[str, str]:
    """The one finding about the cache."""
    found = desk.office.run("check", "--json").document["findings"]
    (finding,) = [each for each in found if each["code"] == "cache-unusable"]
    return finding


@pytest.mark.parametrize("ruined", [b"hush", b"\x00" * 5000, None])
def test_a_cache_that_is_ruined_b13(set_up: Desk, ruined: bytes | None) -> None:
    cache = set_up.office.cache
    for _ in range(2):  # the second run copies what the first one made
        assert set_up.office.run("sync", "--wait").code == 0
    whole = cache.read_bytes()
    cache.write_bytes(whole[: len(whole) // 2] if ruined is None else ruined)
    finding = find_cache_trouble(set_up)
    assert finding["severity"] == "problem"
    (copy,) = cache.parent.glob("mcsync.db.*.copy")
    assert f"cp -p {copy} {cache}" in finding["hint"]


def test_a_page_of_the_cache_that_is_damaged_b13(set_up: Desk) -> None:
    cache = set_up.office.cache
    assert set_up.office.run("sync", "--wait").code == 0
    content = bytearray(cache.read_bytes())
    content[-8192:-4096] = b"\xff" * 4096
    cache.write_bytes(content)
    assert f"{cache} is damaged" in find_cache_trouble(set_up)["message"]


def test_a_group_for_access_control_is_warned_of(set_up: Desk) -> None:
    set_up.town.civicrm.update_group(GROUP, group_type=["1", "2"])
    assert set_up.codes() == ["group-access-control"]
    assert set_up.check().code == 0


# --- webhooks -------------------------------------------------------------------------------------


def test_webhooks_that_are_missing_are_created(desk: Desk) -> None:
    desk.want_webhooks()
    assert desk.codes() == ["batch-webhook-missing", "webhook-missing"]
    said = desk.office.run("check", "--fix")
    assert said.code == 0, said
    assert f"Main audience: created a webhook to {desk.url}/webhook" in said.out
    assert "created a batch webhook to" in said.out
    assert "will" not in said.out
    (made,) = desk.webhooks()
    assert made.url == desk.hook
    assert made.events == {**EVENTS, "campaign": False}
    assert made.sources == SOURCES
    (batch,) = desk.batch_webhooks()
    assert (batch.url, batch.enabled) == (desk.batch_hook, True)
    assert SECRET not in said.out + said.err
    for webhook in (made, batch):
        assert said.out.count(webhook.secret) == 1
        assert webhook.secret not in said.err
    assert "signingSecrets" in said.out
    # Nobody is told to delete what was made just now.
    assert "put the signing secrets shown above into signingSecrets" in said.out
    assert "first delete the webhook" not in said.out


def test_a_second_fix_does_nothing(desk: Desk) -> None:
    desk.want_webhooks()
    desk.office.run("check", "--fix")
    before = desk.town.mailchimp.writes
    operations = len(desk.town.mailchimp.operations)
    said = desk.check("--fix", "--json")
    assert (said.document["fixes"], said.document["signing_secrets"]) == ([], [])
    assert said.code == 0
    assert (desk.town.mailchimp.writes, len(desk.town.mailchimp.operations)) == (before, operations)
    assert "No webhook needed a change." in desk.check("--fix").out


def test_a_fix_that_fails_is_not_told_as_done(desk: Desk) -> None:
    desk.want_webhooks()
    desk.door.status = 500
    said = desk.check("--fix")
    assert said.code == 3
    assert "could not create a webhook to" in said.out
    assert "created" not in said.out
    assert "fix-failed" in said.out


def test_without_a_secret_the_secret_comes_first(desk: Desk) -> None:
    account = desk.town.make_config()["accounts"][API_KEY]  # type: ignore[index]
    hook = {"webhookUrl": f"{desk.url}/webhook"}
    desk.office.write_config(accounts={API_KEY: {**account, **hook}})
    findings = {each["code"]: each for each in desk.check("--json").document["findings"]}
    hint = findings["webhook-missing"]["hint"]
    assert hint.startswith('first add "?secret=" and')
    assert "No webhook could be changed" in desk.check("--fix").out


def test_the_document_has_the_signing_secrets_once(desk: Desk) -> None:
    desk.want_webhooks()
    said = desk.office.run("check", "--fix", "--json")
    document = said.document
    secrets = [each["secret"] for each in document["signing_secrets"]]
    assert secrets == [desk.batch_webhooks()[0].secret, desk.webhooks()[0].secret]
    assert [each["list_id"] for each in document["signing_secrets"]] == [None, LIST]
    assert all(fix["is_done"] for fix in document["fixes"])
    assert said.out.count(secrets[0]) == 1
    assert SECRET not in said.out


def test_logs_do_not_hold_signing_secrets(desk: Desk) -> None:
    desk.want_webhooks()
    said = desk.office.run("check", "--fix", "-vv")
    assert desk.webhooks()[0].secret not in said.err
    assert SECRET not in said.err


def test_a_dry_run_says_the_same_and_does_nothing(desk: Desk) -> None:
    desk.want_webhooks()
    said = desk.check("--fix", "--dry-run", "--json")
    assert said.document["dry_run"] is True
    assert [fix["kind"] for fix in said.document["fixes"]] == ["create", "create"]
    assert not any(fix["is_done"] for fix in said.document["fixes"])
    assert said.code == 3
    assert "would create a webhook" in desk.check("--fix", "--dry-run").out
    assert desk.webhooks() == desk.batch_webhooks() == []


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "events": ({"events": EVENTS | {"upemail": False, "campaign": True}}, ["webhook-events"]),
    "newer events": ({"events": EVENTS | {"sms_subscribe": True}}, ["webhook-events"]),
    "sources": ({"sources": SOURCES | {"admin": False}}, ["webhook-sources"]),
    "a loop": ({"sources": SOURCES | {"api": True}}, ["webhook-loop"]),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_webhook_that_is_wrong_is_corrected(desk: Desk, what: str) -> None:
    changes, codes = WRONG[what]
    desk.want_webhooks()
    desk.register_batch()
    webhook_id = desk.register(**changes)
    assert desk.codes() == codes
    assert desk.codes("--fix") == []
    (webhook,) = desk.webhooks()
    assert webhook.id == webhook_id
    assert webhook.sources == SOURCES
    assert {name for name, is_on in webhook.events.items() if is_on} == set(EVENTS)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (SECRET, OTHER_SECRET, "webhook-secret"),
        (f"?secret={SECRET}", "", "webhook-secret"),
        ("/webhook?", "/webhook/?", "webhook-url"),
    ],
    ids=["another secret", "no secret", "a slash"],
)
def test_a_webhook_with_a_wrong_url_is_corrected(desk: Desk, old: str, new: str, code: str) -> None:
    desk.want_webhooks()
    desk.register_batch()
    desk.register(desk.hook.replace(old, new))
    assert desk.codes() == [code]
    assert desk.codes("--fix") == []
    assert [webhook.url for webhook in desk.webhooks()] == [desk.hook]


def test_duplicates_are_deleted_and_the_best_stays(desk: Desk) -> None:
    desk.want_webhooks()
    desk.register_batch()
    desk.register(f"{desk.hook.replace('/webhook', '/webhook/')}", sources=SOURCES | {"api": True})
    best = desk.register()
    assert desk.codes() == ["webhook-duplicated"]
    assert desk.codes("--fix") == []
    assert [webhook.id for webhook in desk.webhooks()] == [best]


def test_foreign_webhooks_are_left_alone(set_up: Desk) -> None:
    foreign = set_up.register(f"{set_up.url}/elsewhere?token=hush", sources=SOURCES | {"api": True})
    batch = set_up.register_batch(f"{set_up.url}/elsewhere", enabled=False)
    assert set_up.codes("--fix") == ["batch-webhook-foreign", "webhook-foreign"]
    assert foreign in {webhook.id for webhook in set_up.webhooks()}
    assert batch in {webhook.id for webhook in set_up.batch_webhooks()}
    said = set_up.check()
    assert said.code == 0
    assert "hush" not in said.out


def test_batch_webhooks_are_put_right(desk: Desk) -> None:
    desk.want_webhooks()
    desk.register()
    desk.register_batch(desk.batch_hook.replace(SECRET, OTHER_SECRET), enabled=False)
    desk.register_batch(desk.batch_hook.replace("/batch-webhook", "/batch-webhook/"))
    assert desk.codes() == ["batch-webhook-url", "batch-webhook-duplicated"]
    assert desk.codes("--fix") == []
    (left,) = desk.batch_webhooks()
    assert (left.url, left.enabled) == (desk.batch_hook, True)


def test_a_disabled_batch_webhook_with_another_secret(desk: Desk) -> None:
    desk.want_webhooks()
    desk.register()
    desk.register_batch(desk.batch_hook.replace(SECRET, OTHER_SECRET), enabled=False)
    assert desk.codes() == ["batch-webhook-secret", "batch-webhook-disabled"]
    assert desk.codes("--fix") == []


def test_an_address_that_does_not_answer(set_up: Desk) -> None:
    set_up.door.status = 404
    said = set_up.check()
    assert set_up.codes() == ["webhook-silent", "webhook-silent"]
    assert "HTTP 404" in said.out
    assert said.code == 3


def test_an_address_where_nobody_is(desk: Desk) -> None:
    desk.url = "http://127.0.0.1:1/mcsync"
    desk.want_webhooks()
    assert desk.codes().count("webhook-silent") == 2


# --- CiviCRM's door -------------------------------------------------------------------------------

HOOK = "bamm-bamm-bamm-bamm-bamm"


def open_door(desk: Desk, secret: str = HOOK) -> None:
    base: Any = desk.town.make_config()["civicrm"]
    desk.office.write_config(civicrm={**base, "hookSecret": secret})


def test_the_door_beside_the_webhook_is_tried(set_up: Desk) -> None:
    assert not [request for request in set_up.door.seen if "civicrm-hook" in request.path]
    open_door(set_up)
    said = set_up.check()
    assert said.code == 0  # where somebody else answers, that is a warning
    assert f"{set_up.url}/civicrm-hook answers with HTTP 200" in said.out
    assert HOOK not in said.out + said.err
    (request,) = [each for each in set_up.door.seen if each.path.endswith("/civicrm-hook")]
    assert (request.method, request.body) == ("POST", b"")
    assert request.query == f"secret={HOOK}"


@pytest.mark.parametrize(
    ("status", "code"), [(400, []), (401, ["civicrm-hook-secret"]), (404, ["civicrm-hook-silent"])]
)
def test_what_the_door_answers(set_up: Desk, status: int, code: list[str]) -> None:
    open_door(set_up)
    set_up.door.statuses["/mcsync/civicrm-hook"] = status
    assert set_up.codes() == code


def test_a_door_whose_address_nobody_knows_is_a_note(desk: Desk) -> None:
    open_door(desk, "short")
    assert desk.codes() == ["webhook-unset", "webhook-secret-short", "civicrm-hook-untried"]
    assert desk.check().code == 0


def test_mailchimps_refusal_is_told_in_its_words(desk: Desk) -> None:
    desk.want_webhooks()
    desk.door.status = 503
    said = desk.check("--fix", "--json")
    failed = [f for f in said.document["findings"] if f["code"] == "fix-failed"]
    assert len(failed) == 2
    assert "couldn't verify the URL is working" in failed[0]["message"]
    assert "HTTP Code: 503" in failed[0]["message"]
    assert not any(fix["is_done"] for fix in said.document["fixes"])
    assert said.code == 3


def test_without_a_secret_nothing_is_registered(desk: Desk) -> None:
    desk.want_webhooks(webhookUrl=f"{desk.url}/webhook", batchWebhook=f"{desk.url}/batch-webhook")
    codes = desk.codes("--fix")
    assert codes.count("webhook-no-secret") == 2
    assert desk.webhooks() == desk.batch_webhooks() == []


def test_a_secret_beside_the_url_is_put_into_it(desk: Desk) -> None:
    desk.want_webhooks(webhookUrl=f"{desk.url}/webhook", webhookSecret=SECRET)
    desk.register_batch()
    assert desk.codes("--fix") == []
    assert desk.webhooks()[0].url == desk.hook


def test_where_signatures_are_demanded_a_webhook_without_secret_is_told(desk: Desk) -> None:
    desk.want_webhooks(signingSecrets=["whsec_of_another_webhook"])
    desk.town.mailchimp.settings.sign_webhooks = False
    assert desk.codes("--fix") == ["webhook-unsigned", "webhook-unsigned"]


def test_a_secret_that_may_be_guessed_is_warned_of_d10(set_up: Desk) -> None:
    set_up.want_webhooks(webhookUrl=f"{set_up.url}/webhook?secret=short")
    found = {f["code"]: f for f in set_up.check("--json").document["findings"]}
    assert found["webhook-secret-short"]["severity"] == "warning"
    assert "has 5 characters" in found["webhook-secret-short"]["message"]
    assert "secret=short" not in str(found)


def test_webhooks_without_signatures_are_warned_of_d10(set_up: Desk) -> None:
    def is_warned() -> bool:
        found = set_up.check("--json").document["findings"]
        return "webhook-no-signature" in [each["code"] for each in found]

    assert not is_warned()
    set_up.want_webhooks()
    assert is_warned()


def test_a_copied_url_that_is_none_is_told(set_up: Desk) -> None:
    copy = {"name": "Main audience", "webhook": "http://["}
    set_up.want_webhooks(audiences={LIST: copy})
    assert set_up.codes() == ["webhook-url"]
    assert set_up.codes("--fix") == ["webhook-url"]
    account_of(set_up, API_KEY)


def test_a_lost_answer_makes_no_second_webhook(desk: Desk, no_pauses: list[float]) -> None:
    desk.want_webhooks()
    desk.town.mailchimp_server.faults.append(Fault(method="POST", drop="after", times=None))
    said = desk.check("--fix", "--json")
    assert said.code == 0
    assert said.document["signing_secrets"] == []
    assert len(desk.webhooks()) == len(desk.batch_webhooks()) == 1


# --- which audiences, which options ---------------------------------------------------------------


def test_only_the_audiences_asked_for(set_up: Desk) -> None:
    set_up.office.add_other_audience()
    set_up.town.civicrm.disable_group(OTHER_GROUP)
    set_up.want_webhooks()
    assert "group-disabled" in set_up.codes()
    assert set_up.codes("--list", LIST) == []


def test_problems_are_counted_for_their_audience(set_up: Desk) -> None:
    set_up.office.add_other_audience()
    set_up.want_webhooks()
    counts = {a["list_id"]: a["problems"] for a in set_up.check("--json").document["audiences"]}
    assert counts == {LIST: 0, OTHER_LIST: 1}


@pytest.mark.parametrize(
    "args", [("--dry-run",), ("--account", "x", "--fix"), ("--account", "x", "--dry-run")]
)
def test_options_that_do_not_go_together(desk: Desk, args: tuple[str, ...]) -> None:
    assert desk.check(*args).code == 2


def test_lines_through_a_pipe_have_everything_in_one(desk: Desk) -> None:
    desk.want_webhooks()
    lines = [line for line in desk.check().out.splitlines() if line.startswith("problem")]
    assert len(lines) == 2
    assert "webhook-missing" in lines[1]
    assert lines[1].endswith("mcsync check --fix")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_it_stays_within_its_width(desk: Desk, columns: int) -> None:
    desk.want_webhooks()
    desk.town.civicrm.disable_group(INTEREST_GROUP)
    parent, child = pty.openpty()
    environ = desk.office.environ() | {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: S603
        [SCRIPT, "check"], stdout=child, stderr=subprocess.DEVNULL, env=environ
    ) as process:
        os.close(child)
        text = b""
        while chunk := read_some(parent):
            text += chunk
        assert process.wait(30) == 3
    os.close(parent)
    lines = text.decode().splitlines()
    assert max(map(len, lines)) <= columns
    assert any("webhook-missing" in line for line in lines)


def read_some(descriptor: int) -> bytes:
    """What a terminal shows; nothing at its end."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


# --- an account for the config --------------------------------------------------------------------


def account_of(desk: Desk, named: str, **env: str) -> dict[str, Any]:
    if named == API_KEY:
        named, env = "${THE_KEY}", {**env, "THE_KEY": named}
    said = desk.office.run("check", "--account", named, env=dict(env))
    assert said.code == 0, said
    for secret in (*desk.office.secrets(), SECRET, OTHER_SECRET):
        assert secret not in said.out + said.err
    is_named = "${WEBHOOK_SECRET}" in said.out and os.environ.get("WEBHOOK_SECRET") != SECRET
    assert ("stands for the webhooks' secret" in said.err) is is_named
    accounts: dict[str, Any] = json.loads(said.out)["accounts"]
    return accounts


def test_a_key_is_not_taken_from_the_command_line_d15(set_up: Desk) -> None:
    asked = set_up.town.requests
    for key in (API_KEY, f" {API_KEY}", "fedcba9876543210fedcba9876543210-us7"):
        said = set_up.office.run("check", "--account", key)
        assert said.code == 2
        assert key.strip() not in said.out + said.err
        assert "--account -" in said.err
    assert set_up.town.requests == asked


def test_an_account_as_the_config_has_it(set_up: Desk) -> None:
    foreign = f"{set_up.url}/elsewhere?token=hush"
    set_up.register(foreign)
    ((name, account),) = account_of(set_up, API_KEY).items()
    assert name == account["apiKey"] == "${MAILCHIMP_API_KEY}"
    assert account["apiUrl"] == set_up.town.api_url
    assert account["account_name"] == "Bedrock Gazette"
    assert {"email", "first_name", "last_name", "username"} <= set(account)
    audience = account["audiences"][LIST]
    assert audience["name"] == "Main audience"
    assert audience["interests"] == {INTEREST: "Topics: Volunteering"}
    ours = f"{set_up.url}/webhook?secret=${{WEBHOOK_SECRET}}"
    assert audience["webhook"] == account["webhookUrl"] == ours
    assert audience["webhookFound"] is account["batchWebhookFound"] is True
    assert [hook["url"] for hook in audience["webhooks"]] == [ours, f"{set_up.url}/elsewhere?***"]
    assert audience["webhooks"][0]["sources"] == SOURCES
    (batch,) = account["batchWebhooks"]
    assert batch["url"] == account["batchWebhook"]
    assert batch["enabled"] is True


def test_what_is_printed_loads_as_a_config(set_up: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = account_of(set_up, API_KEY)
    key = "${MAILCHIMP_API_KEY}"
    lists = {LIST: {**set_up.town.lists[LIST], "apiKey": key}}
    set_up.office.write_config(accounts=accounts, lists=lists)
    monkeypatch.setenv("MAILCHIMP_API_KEY", API_KEY)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    assert set_up.codes() == []
    assert account_of(set_up, key) == accounts


def test_names_and_variables_stand_as_the_config_has_them(
    set_up: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAZETTE_KEY", API_KEY)
    monkeypatch.setenv("GAZETTE_SECRET", SECRET)
    account = {
        "apiKey": "${GAZETTE_KEY}",
        "apiUrl": set_up.town.api_url,
        "webhookUrl": f"{set_up.url}/webhook?secret=${{GAZETTE_SECRET}}",
    }
    lists = {LIST: {**set_up.town.lists[LIST], "apiKey": "gazette"}}
    set_up.office.write_config(accounts={"gazette": account}, lists=lists)
    for named in ("gazette", "${GAZETTE_KEY}", API_KEY):
        ((name, found),) = account_of(set_up, named).items()
        assert (name, found["apiKey"]) == ("gazette", "${GAZETTE_KEY}")
        assert found["webhookUrl"] == account["webhookUrl"]


def test_a_wrong_webhook_is_not_found(set_up: Desk) -> None:
    set_up.call(
        "PATCH",
        f"/lists/{LIST}/webhooks/{set_up.webhooks()[0].id}",
        {"sources": SOURCES | {"api": True}},
    )
    (account,) = account_of(set_up, API_KEY).values()
    assert account["audiences"][LIST]["webhookFound"] is False


def test_the_document_has_the_account_too(set_up: Desk) -> None:
    env = {"THE_KEY": API_KEY}
    said = set_up.office.run("check", "--account", "${THE_KEY}", "--json", env=dict(env))
    config = said.document["config"]
    assert config["accounts"]["${MAILCHIMP_API_KEY}"]["audiences"][LIST]
    assert said.document["error"] is None


def test_the_key_may_come_from_stdin(set_up: Desk) -> None:
    found = CliRunner().invoke(
        app,
        ["check", "--account", "-"],
        input=f"{API_KEY}\n",
        env={"MCSYNC_CONFIG": str(set_up.office.config)},
    )
    assert found.exit_code == 0
    assert "Bedrock Gazette" in found.stdout
    assert API_KEY not in found.output


def test_no_key_on_stdin_is_told(set_up: Desk) -> None:
    for text in ("", "\n"):
        found = CliRunner().invoke(app, ["check", "--account", "-"], input=text)
        assert found.exit_code == 2
        assert "there is no key on stdin" in found.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_a_key_is_asked_for_and_does_not_show(set_up: Desk) -> None:
    import pexpect

    child = pexpect.spawn(
        SCRIPT, ["check", "--account", "-"], encoding="utf-8", env=set_up.office.environ()
    )
    child.expect("API key: ")
    child.waitnoecho()
    child.sendline(API_KEY)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "Bedrock Gazette" in child.before
    assert API_KEY not in child.before


def test_a_key_works_without_any_config(set_up: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mcsync.cli.account.derive_api_url",
        lambda key: set_up.town.api_url if key.endswith("-us1") else None,
    )
    set_up.office.config.unlink()
    found = CliRunner().invoke(app, ["check", "--account", "-"], input=API_KEY)
    assert found.exit_code == 0, found.output
    ((name, account),) = json.loads(found.stdout)["accounts"].items()
    assert name == "${MAILCHIMP_API_KEY}"
    assert account["audiences"][LIST]["webhookFound"] is False
    assert SECRET not in found.output
    assert API_KEY not in found.output


@pytest.mark.parametrize("named", ["nobody", "", "${NOT_SET}", "two words-us1"])
def test_an_account_that_there_is_not(set_up: Desk, named: str) -> None:
    said = set_up.check("--account", named)
    assert said.code == 2
    assert "is neither an account" in said.err


def test_a_refused_key_of_an_account(set_up: Desk) -> None:
    del set_up.town.mailchimp.accounts[API_KEY]
    assert (
        set_up.office.run("check", "--account", "${THE_KEY}", env={"THE_KEY": API_KEY}).code == 77
    )


# --- an extension of CiviCRM that is still at work ------------------------------------------------

ITS_SECRET = "wilmawilmawilma-wilmawilmawilma"


@dataclass
class Extended:
    """The desk, and the webhooks by which an extension hears of changes."""

    desk: Desk
    base: str

    @property
    def hook(self) -> str:
        return f"{self.base}/civicrm/mailchimpsync/webhook?secret={ITS_SECRET}"

    @property
    def batch_hook(self) -> str:
        return f"{self.base}/civicrm/mailchimpsync/batch-webhook?secret={ITS_SECRET}"

    def urls(self) -> list[str]:
        """Where webhooks of the audience and the account lead, without what is secret."""
        every = [*self.desk.webhooks(), *self.desk.batch_webhooks()]
        return [each.url.partition("?")[0].removeprefix(self.base) for each in every]

    def find(self, *args: str) -> dict[str, Any]:
        """What is found, by code."""
        said = self.desk.check("--json", *args)
        assert ITS_SECRET not in said.out + said.err
        return {each["code"]: each for each in said.document["findings"]}


@pytest.fixture
def extended(desk: Desk) -> Extended:
    found = Extended(desk, desk.url.removesuffix("/mcsync"))
    desk.register(found.hook)
    desk.register_batch(found.batch_hook)
    return found


ITS = ["/civicrm/mailchimpsync/webhook", "/civicrm/mailchimpsync/batch-webhook"]
OURS = ["/mcsync/webhook", "/mcsync/batch-webhook"]


@pytest.mark.parametrize("wants", [True, False], ids=["webhooks wanted", "none wanted"])
def test_an_extension_at_work_is_told_with_the_order(extended: Extended, wants: bool) -> None:
    if wants:
        extended.desk.want_webhooks()
    found = extended.find()
    assert extended.desk.check().code == 3
    told = [found[code] for code in ("extension-webhook", "extension-batch-webhook")]
    assert [each["severity"] for each in told] == ["problem", "problem"]
    assert [each["where"] for each in told] == ["Main audience", "account Bedrock Gazette"]
    for each, url in zip(told, ITS, strict=True):
        assert f"mailchimpsync still gets a {'batch ' * ('batch' in url)}webhook" in each["message"]
        assert each["message"].endswith(f", at {extended.base}{url}")
    order = found["extension-at-work"]["hint"]
    steps = ["scheduled job", "under way", "--dry-run", "--replace-extension", "sync --wait"]
    assert [order.index(step) for step in steps] == sorted(order.index(step) for step in steps)
    assert "webhook-foreign" not in found
    assert "batch-webhook-foreign" not in found


def test_the_older_extension_is_told_too(desk: Desk) -> None:
    base = desk.url.removesuffix("/mcsync")
    desk.register(f"{base}/?civiwp=CiviCRM&q=civicrm/mailchimp/webhook&reset=1&key={SECRET}")
    found = Extended(desk, base).find()
    assert found["extension-webhook"]["message"] == (
        "the extension uk.co.vedaconsulting.mailchimp still gets a webhook,"
        f" at {base}/?q=civicrm/mailchimp/webhook"
    )
    assert "the extension itself" in found["extension-at-work"]["hint"]


def test_without_being_asked_to_a_fix_leaves_an_extension_alone(extended: Extended) -> None:
    extended.desk.want_webhooks()
    extended.desk.office.run("check", "--fix")
    assert sorted(extended.urls()) == sorted(ITS + OURS)
    said = extended.desk.office.run("check", "--fix")
    assert said.code == 3
    assert "No webhook needed a change." in said.out


def test_an_extension_is_replaced_when_asked_to(extended: Extended) -> None:
    desk = extended.desk
    desk.want_webhooks()
    elsewhere = desk.register(f"{extended.base}/elsewhere")
    said = desk.office.run("check", "--fix", "--replace-extension")
    assert said.code == 0, said
    assert sorted(extended.urls()) == sorted([*OURS, "/elsewhere"])
    assert elsewhere in [each.id for each in desk.webhooks()]
    lines = [line for line in said.out.splitlines() if "created" in line or "deleted" in line]
    deeds = [line.partition(": ")[2] for line in lines]
    assert deeds[0].startswith("created a batch webhook")
    assert deeds[1].startswith("created a webhook")
    assert deeds[2].startswith("deleted webhook")
    assert deeds[3].startswith("deleted batch webhook")
    assert all(f"of mailchimpsync, to {extended.base}/civicrm" in deed for deed in deeds[2:4])
    assert ITS_SECRET not in said.out + said.err
    assert "extension" not in " ".join(extended.find())


def test_replacing_shows_first_what_it_would_do(extended: Extended) -> None:
    extended.desk.want_webhooks()
    said = extended.desk.check("--fix", "--replace-extension", "--dry-run", "--json")
    kinds = [(each["kind"], each["extension"], each["is_done"]) for each in said.document["fixes"]]
    assert kinds == [("create", None, False)] * 2 + [("replace", "mailchimpsync", False)] * 2
    assert sorted(extended.urls()) == sorted(ITS)


def test_without_webhooks_of_our_own_an_extensions_are_only_deleted(extended: Extended) -> None:
    assert extended.desk.check("--fix", "--replace-extension").code == 0
    assert extended.urls() == []


def test_what_cannot_be_replaced_stays(extended: Extended) -> None:
    """Our address does not answer: the extension goes on being told rather than nobody."""
    extended.desk.want_webhooks()
    extended.desk.door.status = 500
    said = extended.desk.check("--fix", "--replace-extension")
    assert said.code == 3
    assert said.out.count("did not delete") == 2
    assert "because mcsync's own is not ready" in said.out
    assert sorted(extended.urls()) == sorted(ITS)


@pytest.mark.parametrize("is_ours", [False, True])
def test_the_batch_webhook_of_another_sites_extension_stays(
    extended: Extended, is_ours: bool
) -> None:
    """One account may serve several sites; which are ours our audiences' webhooks tell."""
    desk = extended.desk
    desk.want_webhooks()
    there = extended.base.replace("127.0.0.1", "localhost")
    desk.register_batch(f"{there}/civicrm/mailchimpsync/batch-webhook?secret={ITS_SECRET}")
    if is_ours:
        desk.register(f"{there}/civicrm/mailchimpsync/webhook?secret={ITS_SECRET}")
    found = extended.find("--fix", "--replace-extension")
    assert ("extension-elsewhere" in found) is not is_ours
    left = [] if is_ours else [f"{there}{ITS[1]}"]
    assert sorted(extended.urls()) == sorted([*OURS, *left])
    if not is_ours:
        assert found["extension-elsewhere"]["severity"] == "note"
        assert (
            "the extension mailchimpsync of another site, localhost, gets"
            in (found["extension-elsewhere"]["message"])
        )


@pytest.mark.parametrize("fault", ["no secret", "no address"])
@pytest.mark.parametrize("args", [[], ["--dry-run"]], ids=["done", "dry"])
def test_where_ours_cannot_be_made_an_extensions_stays(
    extended: Extended, fault: str, args: list[str]
) -> None:
    """What is wrong with our own address is told, and somebody goes on being told of changes."""
    desk = extended.desk
    if fault == "no secret":
        bare = (url.partition("?")[0] for url in (desk.hook, desk.batch_hook))
        desk.want_webhooks(**dict(zip(("webhookUrl", "batchWebhook"), bare, strict=True)))
    else:
        desk.want_webhooks(audiences={LIST: {"webhook": "nonsense"}})
    said = desk.check("--fix", "--replace-extension", *args)
    assert said.code == 3
    stay = ITS if fault == "no secret" else ITS[:1]
    assert said.out.count(f"{'would' if args else 'did'} not delete") == len(stay), said.out
    assert set(stay) <= set(extended.urls())


def test_a_config_with_the_extensions_own_addresses(extended: Extended) -> None:
    """As its blob has them: nothing would be sent to mcsync, and nothing is replaced by itself."""
    extended.desk.want_webhooks(webhookUrl=extended.hook, batchWebhook=extended.batch_hook)
    found = extended.find("--fix", "--replace-extension")
    assert found["webhook-of-extension"]["severity"] == "problem"
    assert "put the address of mcsync serve in its place" in found["webhook-of-extension"]["hint"]
    assert {"webhook-missing", "extension-webhook"}.isdisjoint(found)
    assert "extension-at-work" in found
    assert sorted(extended.urls()) == sorted(ITS)


def test_mcsync_may_have_been_given_the_extensions_addresses(extended: Extended) -> None:
    """The web server passes them on: known by the answer, and then they are ours."""
    desk = extended.desk
    desk.door.body = GREETING
    desk.want_webhooks(webhookUrl=extended.hook, batchWebhook=extended.batch_hook)
    assert [code for code in extended.find() if "extension" in code] == []
    assert desk.check().code == 0
    desk.check("--fix", "--replace-extension")
    assert sorted(extended.urls()) == sorted(ITS)


def test_an_extension_that_goes_on_after_the_move_is_seen_in_the_groups(desk: Desk) -> None:
    town = desk.office.town
    pam = town.civicrm.add_contact("Pam", emails=["pam@example.org"])
    town.civicrm.add_to_group(pam, 111, method="API")
    town.clock.advance(minutes=1)
    desk.office.write_config(defaults={"movedAt": f"{town.clock():%Y-%m-%dT%H:%M:%SZ}"})
    town.clock.advance(minutes=1)
    town.civicrm.remove_from_group(pam, 111)
    assert "group-changed-by-others" not in Extended(desk, "").find()
    town.civicrm.add_to_group(pam, 111, method="API")
    found = Extended(desk, "").find()["group-changed-by-others"]
    assert found["severity"] == "warning"
    assert "another program has made 1 change to its groups" in found["message"]


def test_a_move_that_is_still_to_come(desk: Desk) -> None:
    """As when local time is written as UTC: what staff say until then would not count."""
    desk.office.write_config(defaults={"movedAt": "2999-01-01T00:00:00Z"})
    found = Extended(desk, "").find()
    assert found["moved-at-ahead"]["severity"] == "problem"
    assert "movedAt is 2999-01-01 00:00 UTC" in found["moved-at-ahead"]["message"]


def test_batches_that_an_extension_has_sent_are_waited_for(extended: Extended) -> None:
    extended.desk.town.mailchimp.settings.batch_delay_polls = None
    operation = {"method": "GET", "path": f"/lists/{LIST}", "operation_id": "wilma"}
    extended.desk.call("POST", "/batches", {"operations": [operation]})
    found = extended.find()["batches-under-way"]
    assert found["severity"] == "warning"
    assert found["message"].startswith("1 batch is under way at Mailchimp that mcsync did not send")
    assert "wait until Mailchimp has finished" in found["hint"]


def test_replacing_is_a_fix(desk: Desk) -> None:
    said = desk.check("--replace-extension")
    assert said.code == 2
    assert "--replace-extension needs --fix" in said.err
