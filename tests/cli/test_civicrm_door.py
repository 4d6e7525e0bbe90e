"""CiviCRM's door: what it is answered, by whichever server, and that each contact comes through."""

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from mcsync.cli.serve import make_application
from mcsync.errors import ConfigError
from mcsync.lock import hold_lock
from mcsync.model import ContactsTold, Delivery
from mcsync.webhooks.app import WebhookApp
from mcsync.webhooks.auth import AccountKeys, Gate
from mcsync.webhooks.payload import MAX_BODY
from mcsync.webhooks.queue import Intake
from mcsync.webhooks.receiver import Desk, open_desk
from tests.cli.conftest import GIVE_UP_S, GROUP, LIST, Office
from tests.cli.deliveries import BATCH_PATH, PATH, SECRET, WHO, payload, settle, stored
from tests.cli.test_serve import Client, now, serving, wait_for
from tests.cli.test_webhook_command import answer_of, give, request

HOOK, HOOK_PATH = "pebbles-and-bamm-bamm", "/crm/mailchimp/civicrm-hook"


def keep_door(office: Office, **civicrm: Any) -> None:
    """A config with CiviCRM's door beside Mailchimp's."""
    settle(office)
    base: Any = office.town.make_config()["civicrm"]
    office.write_config(civicrm={**base, "hookSecret": HOOK, **civicrm})


@pytest.fixture
def shop(office: Office) -> Office:
    keep_door(office)
    return office


def told(office: Office) -> dict[int, int]:
    """The contacts in the queue, and how often each was told of."""
    with closing(sqlite3.connect(office.cache, timeout=GIVE_UP_S)) as db:
        rows = db.execute("SELECT contact_id, times FROM civicrm_mailchimpsync_told_contact")
        return dict(rows.fetchall())


# --- the application by itself --------------------------------------------------------------------


@pytest.fixture
def client() -> Client:
    found = Client()
    found.gate = Gate([AccountKeys(frozenset({LIST}), secrets=(SECRET,))], (HOOK,))
    found.app = WebhookApp(found.gate, found.store, {LIST}, ["/elsewhere"], now)
    return found


@pytest.mark.parametrize("path", ["/civicrm-hook", HOOK_PATH, "/civicrm-hook/", "/elsewhere"])
def test_a_change_is_stored(client: Client, path: str):
    assert client.ask(b"contact_id=7", path=path, query=f"secret={HOOK}") == 200
    assert client.ask(b'{"contact_id": [8, 9]}', path=path, query=f"a=b&secret={HOOK}") == 200
    found: list[Delivery] = [*client.events]
    assert found == [ContactsTold((7,)), ContactsTold((8, 9))]


@pytest.mark.parametrize("query", ["", "secret=", "secret=wrong", f"secret={SECRET}"])
def test_a_wrong_secret_is_told_nothing_more(client: Client, query: str):
    for body in (b"contact_id=7", b'{"contact_id": 7}'):
        assert client.ask(body, path="/civicrm-hook", query=query) == 401
        assert client.text == b""
    assert client.events == []


def test_other_requests_are_answered_as_at_mailchimps_door(client: Client):
    query = f"secret={HOOK}"
    for method, status in (("GET", 200), ("HEAD", 200), ("PUT", 405), ("DELETE", 405)):
        assert client.ask(b"", method, "/civicrm-hook", query) == status
    for body in (b"", b"contact_id=x", b"hello"):
        assert client.ask(body, path="/civicrm-hook", query=query) == 400
    length = str(MAX_BODY + 1)
    assert client.ask(path="/civicrm-hook", query=query, CONTENT_LENGTH=length) == 413
    assert client.ask(payload(), path="/civicrm-hook", query=query) == 401
    client.is_able = False
    assert client.ask(b"contact_id=7", path="/civicrm-hook", query=query) == 503


def test_without_a_secret_there_is_no_door():
    client = Client()
    assert client.ask(b"", "GET", "/civicrm-hook") == 404
    assert client.ask(b"contact_id=7", path="/civicrm-hook") == 404
    assert client.ask(b"contact_id=7", path="/webhook") == 401


def test_the_log_has_ids_and_what_to_do_but_no_secret(
    client: Client, caplog: pytest.LogCaptureFixture
):
    at = now()
    client.app = WebhookApp(client.gate, client.store, {LIST}, None, lambda: at)
    many = b"&".join(b"contact_id=%d" % number for number in range(1, 13))
    with caplog.at_level(logging.DEBUG, "mcsync"):
        client.ask(b"contact_id=7&email=" + WHO.encode(), query=f"secret={HOOK}")
        client.ask(many, query=f"secret={HOOK}")
        client.ask(b"contact_id=7", query="secret=wrong")
        at += timedelta(hours=2)
        client.ask(payload(), query="secret=wrong")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:2] == [
        "CiviCRM told of contact 7",
        "CiviCRM told of contact 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more",
    ]
    assert "civicrm.hookSecret" in lines[2]
    assert "if it came from Mailchimp" in lines[3]
    assert not [word for word in (HOOK, "wrong_", WHO) if word in caplog.text]


# --- every server ---------------------------------------------------------------------------------


def test_somebody_added_in_civicrm_is_subscribed_through_the_real_server(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    betty = shop.add_contact("betty@example.org", GROUP)
    with serving(shop, "-vv") as served:
        assert served.document["paths"] == [BATCH_PATH, HOOK_PATH, PATH]
        body = b"contact_id=%d" % betty
        assert served.post(body, HOOK_PATH, "wrong") == 401
        assert served.post(body, HOOK_PATH, HOOK) == 200
        assert wait_for(lambda: told(shop) == {} and "betty@example.org" in shop.statuses())
        said = served.stop()
    assert shop.statuses()["betty@example.org"] == "subscribed"
    assert f"CiviCRM told of contact {betty}\n" in said.err
    assert "1 contact that CiviCRM told of looked at; 1 has news" in said.err
    assert not [word for word in (HOOK, SECRET, "betty@") if word in said.err]


def test_the_door_may_be_all_that_is_open(office: Office, caplog: pytest.LogCaptureFixture):
    base: Any = office.town.make_config()["civicrm"]
    office.write_config(civicrm={**base, "hookSecret": HOOK})
    with serving(office) as served:
        assert served.document["paths"] == ["/civicrm-hook"]
        assert served.post(b"contact_id=7", "/civicrm-hook", HOOK) == 200
        assert served.post(payload(), "/webhook", HOOK) == 401
        said = served.stop()
    assert "no webhook secret" not in said.err
    assert told(office) == {7: 1}  # nothing was fetched yet, so it waits


def test_a_variable_may_hold_the_secret(office: Office, monkeypatch: pytest.MonkeyPatch):
    keep_door(office, hookSecret="${HOOK}")
    monkeypatch.setenv("MCSYNC_CONFIG", str(office.config))
    with pytest.raises(ConfigError):
        make_application()
    monkeypatch.setenv("HOOK", HOOK)
    client, desks = Client(), list[Desk]()

    def open_and_keep(intake: Intake) -> Desk:
        desks.append(open_desk(intake))
        return desks[-1]

    monkeypatch.setattr("mcsync.cli.serve.open_desk", open_and_keep)
    with hold_lock(office.cache):
        client.app = make_application()
        for query, status in ((HOOK, 200), ("${HOOK}", 401)):
            found = client.ask(b"contact_id=7", path=HOOK_PATH, query=f"secret={query}")
            assert found == status
        assert told(office) == {7: 1}
        desks[0].stop()  # else its thread would go on, and log into other tests


def test_the_cgi_script_takes_it(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    betty = shop.add_contact("betty@example.org", GROUP)
    body = b"contact_id[]=%d" % betty
    assert request(shop, body, query="secret=wrong")[0] == 401
    status, _ = request(shop, body, query=f"secret={HOOK}", PATH_INFO="/civicrm-hook")
    assert status == 200
    assert shop.statuses()["betty@example.org"] == "subscribed"
    assert told(shop) == {}


def test_a_script_may_give_it_by_hand(shop: Office):
    assert shop.run("sync", "--wait").code == 0
    betty = shop.add_contact("betty@example.org", GROUP)
    said = give(shop, b"contact_id=%d" % betty, "--json")
    assert answer_of(said) == (True, "contacts", 1)
    assert shop.statuses()["betty@example.org"] == "subscribed"
    assert give(shop, b"contact_id=7", "--batch").code == 2
    with hold_lock(shop.cache):
        said = give(shop, b"contact_id=%d" % betty)
    assert said.out.startswith("stored: contacts; 0 handled: another run is at work")
    assert told(shop) == {betty: 1}
    assert shop.run("sync", "--wait").code == 0
    assert (told(shop), stored(shop.cache)) == ({}, [])


def test_check_tries_it_with_its_secret(office: Office):
    keep_door(office)
    with serving(office) as served:
        account = office.town.make_config()["accounts"]
        for each in account.values():  # type: ignore[attr-defined]
            each["webhookUrl"] = f"{served.document['url']}{PATH}?secret={SECRET}"
        office.write_config(accounts=account)
        for secret, found in ((HOOK, set()), (HOOK[::-1], {"civicrm-hook-secret"})):
            keep = office.options["civicrm"] | {"hookSecret": secret}
            office.write_config(civicrm=keep)
            findings = office.run("check", "--json").document["findings"]
            codes = {each["code"] for each in findings}
            assert {code for code in codes if code.startswith("civicrm-hook")} == found
