"""How an account is set up, against the simulator: what is asked, what is made of the answers.

Every request it makes here is held against Mailchimp's own description.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from mailchimp_bedrock import KEY, LIST
from mailchimp_town import Town

from mcsync.errors import ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.http import HttpClient
from mcsync.mailchimp.account_setup import MailchimpSetup, probe_url
from mcsync.pipeline.ports import MailchimpPort, MailchimpSetupPort
from mcsync.sandbox.server import Fault, LoopbackServer, Response
from tests.door import Door

SECRET = "yabba+dabba"
URL = "https://crm.example.org/mcsync/webhook?secret=yabba%2Bdabba"
BATCH_URL = "https://crm.example.org/mcsync/batch-webhook?secret=yabba%2Bdabba"
EVENTS = {
    "subscribe": True,
    "unsubscribe": True,
    "profile": True,
    "cleaned": True,
    "upemail": True,
    "campaign": False,
}
SOURCES = {"user": True, "admin": True, "api": False}
JSON = {"Content-Type": "application/json; charset=utf-8"}


class Hall(Town):
    """A town with the adapter for its set-up."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sim.add_account(KEY, "Bedrock Gazette")
        self.both = MailchimpSetup(KEY, f"{self.server.url}/3.0", http=self.http)
        self.setup: MailchimpSetupPort = self.both

    def bodies(self, method: str, path: str) -> list[object]:
        """What was sent to a path ending so."""
        return [json.loads(request.body) for request in self.calls(method, path)]


@pytest.fixture
def town(mailchimp_server: LoopbackServer) -> Iterator[Hall]:
    hall = Hall(mailchimp_server)
    yield hall
    assert hall.complaints == []


# --- the account ----------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Account", "GET / tells the account and the key's role")
def test_the_account_its_role_and_its_clock(town: Hall) -> None:
    account = town.setup.fetch_account()
    assert (account.name, account.email) == ("Bedrock Gazette", "owner@example.org")
    assert (account.username, account.role) == ("Bedrock Gazette", "owner")
    assert account.account_id
    assert account.served_at == datetime(2021, 11, 23, 22, 51, 50, tzinfo=UTC)


def test_a_refused_key(town: Hall) -> None:
    stranger = MailchimpSetup("not-a-key-us3", f"{town.server.url}/3.0", http=town.http)
    with pytest.raises(RemoteRefused, match="refused the API key") as caught:
        stranger.fetch_account()
    assert "not-a-key" not in f"{caught.value.message}{caught.value.hint}"


def test_all_audiences_beyond_the_default_page(town: Hall) -> None:
    for number in range(12):
        town.sim.add_audience(f"b{number:09}", f"Cave {number}", KEY, double_optin=number == 3)
    found = {audience.list_id: audience for audience in town.setup.fetch_audiences()}
    assert len(found) == 13
    assert found[LIST].name == "Bedrock"
    assert [key for key, audience in found.items() if audience.is_double_optin] == ["b000000003"]


def test_it_does_what_the_other_adapter_does(town: Hall) -> None:
    port: MailchimpPort = town.both
    assert port.fetch_audience(LIST).name == "Bedrock"


# --- webhooks -------------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Webhooks", "creating a webhook")
def test_a_webhook_is_made_with_every_event_and_source_said(town: Hall) -> None:
    """All three sources explicitly: the default is undocumented."""
    made = town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    assert town.bodies("POST", "/webhooks") == [{"url": URL, "events": EVENTS, "sources": SOURCES}]
    (found,) = town.setup.fetch_webhooks(LIST)
    assert (found.webhook_id, found.url) == (made.webhook_id, URL)
    assert (dict(found.events), dict(found.sources)) == (EVENTS, SOURCES)


@pytest.mark.fact("mailchimp: Webhooks", "the signature")
def test_the_signing_secret_comes_with_the_creation_only(town: Hall) -> None:
    """Shown once, never again; neither it nor the URL's comes out of a repr."""
    made = town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    assert made.signing_secret is not None
    assert made.signing_secret.startswith("whsec_")
    assert made.signing_secret not in repr(made)
    assert "secret=" not in repr(made)
    (found,) = town.setup.fetch_webhooks(LIST)
    assert found.signing_secret is None


@pytest.mark.fact("mailchimp: Webhooks", "the signature")
def test_an_unsigned_webhook_has_no_secret(town: Hall) -> None:
    town.sim.settings.sign_webhooks = False
    assert town.setup.create_webhook(LIST, URL, EVENTS, SOURCES).signing_secret is None
    assert town.setup.create_batch_webhook(BATCH_URL).signing_secret is None


def test_a_webhook_is_changed_and_deleted(town: Hall) -> None:
    made = town.setup.create_webhook(LIST, URL, EVENTS, SOURCES | {"api": True})
    town.setup.update_webhook(LIST, made.webhook_id, URL, EVENTS, SOURCES)
    assert dict(town.setup.fetch_webhooks(LIST)[0].sources) == SOURCES
    town.setup.delete_webhook(LIST, made.webhook_id)
    town.setup.delete_webhook(LIST, made.webhook_id)
    assert town.setup.fetch_webhooks(LIST) == ()


@pytest.mark.fact("mailchimp: Webhooks", "creating a webhook")
def test_foreign_webhooks_and_newer_events_are_seen(town: Hall) -> None:
    """sms_subscribe and the like came later."""
    town.setup.create_webhook(LIST, "https://elsewhere.example/hook", {"sms_subscribe": True}, {})
    (found,) = town.setup.fetch_webhooks(LIST)
    assert found.events["sms_subscribe"]
    assert not found.sources["api"]


def test_the_list_of_webhooks_is_asked_for_without_paging(town: Hall) -> None:
    town.setup.fetch_webhooks(LIST)
    assert [request.query for request in town.calls("GET", "/webhooks")] == [""]


def test_half_a_list_of_webhooks_is_none(town: Hall) -> None:
    body = b'{"webhooks": [], "list_id": "x", "total_items": 2}'
    town.server.faults.append(Fault(answer=Response(200, body, JSON)))
    with pytest.raises(ProtocolError, match="0 of 2 webhooks"):
        town.setup.fetch_webhooks(LIST)


def test_a_list_that_is_gone(town: Hall) -> None:
    with pytest.raises(RemoteRefused, match="has no audience bbbbbbbbbb"):
        town.setup.fetch_webhooks("bbbbbbbbbb")


@pytest.mark.fact("mailchimp: Webhooks", "the URL is tried with a GET")
def test_a_url_that_does_not_answer_is_refused_in_mailchimps_words(town: Hall) -> None:
    """The URL is tried with a GET on creation."""
    town.sim.settings.validate_webhooks = True
    town.sim.validate_url = lambda url: 404
    with pytest.raises(RemoteRefused, match=r"couldn't verify the URL.*HTTP Code: 404") as caught:
        town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    assert "mcsync serve" in (caught.value.hint or "")
    with pytest.raises(RemoteRefused, match="HTTP Code: 404"):
        town.setup.create_batch_webhook(BATCH_URL)
    assert town.setup.fetch_webhooks(LIST) == ()


def test_a_refusal_that_quotes_the_url_keeps_its_secret(town: Hall) -> None:
    body = json.dumps({"title": "Bad", "status": 400, "detail": f"{URL} and {SECRET}"}).encode()
    problem = {"Content-Type": "application/problem+json"}
    town.server.faults.append(Fault(method="POST", answer=Response(400, body, problem)))
    with pytest.raises(RemoteRefused) as caught:
        town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    assert "yabba" not in caught.value.message
    assert "crm.example.org/mcsync/webhook?***" in caught.value.message


@pytest.mark.fact("mailchimp: Webhooks", "URLs that differ only in the query are duplicates")
def test_urls_that_differ_only_in_the_query_are_refused(town: Hall) -> None:
    town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    with pytest.raises(RemoteRefused, match="refused the webhook"):
        town.setup.create_webhook(LIST, URL.replace("yabba", "wilma"), EVENTS, SOURCES)


def test_a_change_of_what_is_gone_is_told(town: Hall) -> None:
    with pytest.raises(RemoteRefused, match="no longer has the webhook"):
        town.setup.update_webhook(LIST, "gone", URL, EVENTS, SOURCES)
    with pytest.raises(RemoteRefused, match="no longer has the webhook"):
        town.setup.update_batch_webhook("gone", URL, is_enabled=True)


# --- lost answers ---------------------------------------------------------------------------------


def test_a_creation_whose_answer_is_lost_is_looked_for_and_not_repeated(town: Hall) -> None:
    town.server.faults.append(Fault(method="POST", drop="after"))
    made = town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    assert made.url == URL
    assert made.signing_secret is None
    assert len(town.calls("POST", "/webhooks")) == 1
    assert len(town.setup.fetch_webhooks(LIST)) == 1


def test_a_creation_that_did_not_arrive_is_told_and_not_repeated(town: Hall) -> None:
    town.server.faults.append(Fault(method="POST", drop="before"))
    with pytest.raises(RemoteUnavailable):
        town.setup.create_webhook(LIST, URL, EVENTS, SOURCES)
    assert len(town.calls("POST", "/webhooks")) == 1
    assert town.setup.fetch_webhooks(LIST) == ()


def test_the_same_for_batch_webhooks(town: Hall) -> None:
    town.server.faults.append(Fault(method="POST", drop="after"))
    assert town.setup.create_batch_webhook(BATCH_URL).url == BATCH_URL
    town.server.faults.append(Fault(method="POST", drop="before"))
    with pytest.raises(RemoteUnavailable):
        town.setup.create_batch_webhook(URL)
    assert len(town.setup.fetch_batch_webhooks()) == 1


def test_changes_and_deletions_may_be_repeated(town: Hall) -> None:
    made = town.setup.create_webhook(LIST, URL, EVENTS, SOURCES | {"api": True})
    town.server.faults.append(Fault(method="PATCH", drop="after"))
    town.setup.update_webhook(LIST, made.webhook_id, URL, EVENTS, SOURCES)
    assert len(town.calls("PATCH", made.webhook_id)) == 2
    town.server.faults.append(Fault(method="DELETE", drop="after"))
    town.setup.delete_webhook(LIST, made.webhook_id)
    assert len(town.calls("DELETE", made.webhook_id)) == 2
    assert town.setup.fetch_webhooks(LIST) == ()


# --- batch webhooks -------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Batches", "batch webhook: its shape")
def test_batch_webhooks_are_made_read_changed_and_deleted(town: Hall) -> None:
    """The batch webhook, all twenty that there may be."""
    made = town.setup.create_batch_webhook(BATCH_URL)
    assert made.is_enabled
    assert made.signing_secret
    assert "secret=" not in repr(made)
    for number in range(19):
        town.setup.create_batch_webhook(f"https://elsewhere.example/{number}")
    assert len(town.setup.fetch_batch_webhooks()) == 20
    town.setup.update_batch_webhook(made.webhook_id, BATCH_URL, is_enabled=False)
    by_id = {webhook.webhook_id: webhook for webhook in town.setup.fetch_batch_webhooks()}
    assert not by_id[made.webhook_id].is_enabled
    assert by_id[made.webhook_id].signing_secret is None
    town.setup.delete_batch_webhook(made.webhook_id)
    town.setup.delete_batch_webhook(made.webhook_id)
    assert len(town.setup.fetch_batch_webhooks()) == 19


@pytest.mark.fact("mailchimp: Batches", "batch webhook: its shape")
def test_the_twenty_first_batch_webhook_is_refused(town: Hall) -> None:
    for number in range(20):
        town.setup.create_batch_webhook(f"https://elsewhere.example/{number}")
    with pytest.raises(RemoteRefused, match="20 batch webhooks"):
        town.setup.create_batch_webhook(BATCH_URL)


# --- our own address ------------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Webhooks", "the URL is tried with a GET")
@pytest.mark.parametrize("status", [200, 204, 302, 401, 404, 500, 503])
def test_our_own_address_is_asked_as_mailchimp_asks_it(
    mailchimp_server: LoopbackServer, status: int
) -> None:
    """A GET, which must return 200; without credentials, and once."""
    door = Door(status)
    mailchimp_server.service = door
    mailchimp_server.faults.clear()
    mailchimp_server.after_request = None
    assert probe_url(f"{mailchimp_server.url}/webhook?secret=yabba") == status
    (request,) = door.seen
    assert (request.method, request.path) == ("GET", "/webhook")
    assert "authorization" not in request.headers


def test_an_address_where_nobody_is(mailchimp_server: LoopbackServer) -> None:
    with pytest.raises(RemoteUnavailable) as caught:
        probe_url("http://127.0.0.1:1/webhook?secret=yabba")
    assert "yabba" not in f"{caught.value.message}{caught.value.hint}"


def test_probing_does_not_wait() -> None:
    waits: list[float] = []
    with pytest.raises(RemoteUnavailable):
        probe_url("http://127.0.0.1:1/", HttpClient(max_connections=1, sleep=waits.append))
    assert len(waits) == 5  # with the client of its own these cost nothing
