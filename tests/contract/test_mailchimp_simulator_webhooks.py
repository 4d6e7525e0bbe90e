"""The simulated Mailchimp: audience webhooks, their payloads and deliveries.

One test per fact known about the real service.
"""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

import pytest
from mailchimp_bedrock import LIST, Bedrock, at

HOOKS = f"/lists/{LIST}/webhooks"
URL = "https://crm.example.org/mailchimp?secret=yabbadabbadoo"
WILMA = "wilma@example.org"
ALL_EVENTS = ("subscribe", "unsubscribe", "profile", "cleaned", "upemail", "campaign")
EVENTS = dict.fromkeys(ALL_EVENTS, True)
SOURCES = {"user": True, "admin": True, "api": True}


@pytest.fixture
def api() -> Iterator[Bedrock]:
    """A fresh account with Wilma in it."""
    with Bedrock() as bedrock:
        bedrock.sim.import_member(LIST, WILMA, first_name="Wilma", last_name="Flintstone")
        yield bedrock


def register(bedrock: Bedrock, **sources: bool) -> dict[str, object]:
    """A webhook for all events."""
    body = {"url": URL, "events": EVENTS, "sources": SOURCES | sources}
    made: dict[str, object] = bedrock.write("POST", HOOKS, body)
    return made


def told(api: Bedrock) -> list[str]:
    """The types of all events so far."""
    return [delivery.type for delivery in api.sim.deliveries]


def last(api: Bedrock) -> dict[str, str]:
    """The last payload, decoded, without the `data`."""
    fields = api.sim.deliveries[-1].fields
    return {name.removeprefix("data"): value for name, value in fields.items()}


# Registering


@pytest.mark.fact("mailchimp: Webhooks", "creating a webhook")
def test_a_webhook_can_be_made_read_changed_and_deleted(api: Bedrock) -> None:
    made = register(api)
    path = f"{HOOKS}/{made['id']}"
    assert made["events"] == EVENTS
    assert made["sources"] == SOURCES
    api.write("PATCH", path, {"sources": {"api": False}})
    assert api.get(path)["sources"] == SOURCES | {"api": False}
    assert api.get(HOOKS)["total_items"] == 1
    api.write("DELETE", path)
    assert api.refused("GET", path)["status"] == 404


@pytest.mark.fact("mailchimp: Webhooks", "creating a webhook")
def test_newer_events_are_accepted(api: Bedrock) -> None:
    body = {"url": URL, "events": {"sms_subscribe": True}, "sources": SOURCES}
    assert api.write("POST", HOOKS, body)["events"]["sms_subscribe"] is True


@pytest.mark.fact("mailchimp: Webhooks", "the signature")
def test_the_signing_secret_is_shown_once(api: Bedrock) -> None:
    made = register(api)
    assert made["signing_enabled"] is True
    assert made["signing_secret"]
    assert "signing_secret" not in api.get(f"{HOOKS}/{made['id']}")


def test_urls_that_differ_only_in_the_query_are_duplicates(api: Bedrock) -> None:
    register(api)
    other = {"url": URL.replace("yabba", "dabba"), "events": EVENTS, "sources": SOURCES}
    assert api.refused("POST", HOOKS, other)["status"] == 400
    api.write("POST", HOOKS, other | {"url": "https://crm.example.org/other"})


def test_a_url_must_be_one(api: Bedrock) -> None:
    assert api.refused("POST", HOOKS, {"url": "cave 7"})["status"] == 400


@pytest.mark.fact("mailchimp: Webhooks", "the URL is tried with a GET")
def test_the_url_is_tried_with_a_get_when_that_is_switched_on(api: Bedrock) -> None:
    api.sim.settings.validate_webhooks = True
    api.sim.validate_url = lambda url: 500
    problem = api.refused("POST", HOOKS, {"url": URL})
    assert problem["detail"].startswith("We couldn't verify the URL is working.")
    assert problem["detail"].endswith("HTTP Code: 500")
    api.sim.validate_url = lambda url: 200
    register(api)


def test_validation_and_delivery_really_go_over_http(api: Bedrock) -> None:
    with Receiver() as receiver:
        api.sim.settings.validate_webhooks = True
        api.sim._courier.really = True
        body = {"url": receiver.url, "events": EVENTS, "sources": SOURCES}
        api.write("POST", HOOKS, body)
        api.sim.leave(LIST, WILMA)
        api.sim.flush_deliveries()
    (method, agent, _), (posted, deliverer, payload) = receiver.seen
    assert (method, agent) == ("GET", "MailChimp.com WebHook Validator")
    assert (posted, deliverer) == ("POST", "MailChimp.com")
    assert dict(parse_qsl(payload))["data[email]"] == WILMA
    assert api.sim.deliveries[0].status == 200


class Receiver:
    """A small web server that remembers method, user agent and body of what came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((self.command, self.headers["User-Agent"], body.decode()))
                self.send_response(200)
                self.end_headers()

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


# Who is told of what


@pytest.mark.fact("mailchimp: Webhooks", "creating a webhook")
def test_sources_decide_whose_changes_are_told(api: Bedrock) -> None:
    register(api, api=False, admin=False)
    api.put(WILMA, merge_fields={"FNAME": "W"})
    api.sim.staff_unsubscribe(LIST, WILMA)
    assert told(api) == []
    api.sim.sign_up(LIST, WILMA)
    assert told(api) == ["subscribe"]


def test_events_decide_what_is_told(api: Bedrock) -> None:
    body = {"url": URL, "events": {"cleaned": True}, "sources": SOURCES}
    api.write("POST", HOOKS, body)
    api.sim.edit_profile(LIST, WILMA, first_name="W")
    api.sim.bounce(LIST, WILMA)
    assert told(api) == ["cleaned"]


@pytest.mark.fact("mailchimp: Webhooks", "api writes echo when asked for")
def test_api_writes_echo_when_asked_for(api: Bedrock) -> None:
    register(api)
    api.put("fred@example.org", status="subscribed")
    api.put("fred@example.org", merge_fields={"FNAME": "Fred"})
    api.put("fred@example.org", status="unsubscribed")
    api.write("DELETE", at("fred@example.org"))
    assert told(api) == ["subscribe", "profile", "unsubscribe", "unsubscribe"]


def test_what_changes_nothing_tells_nothing(api: Bedrock) -> None:
    register(api)
    api.put(WILMA, status="subscribed", merge_fields={"FNAME": "Wilma"})
    api.write("POST", at(WILMA, "/tags"), {"tags": [{"name": "Q", "status": "active"}]})
    assert told(api) == []


def test_pending_tells_nothing_until_it_is_confirmed(api: Bedrock) -> None:
    register(api)
    api.put("fred@example.org", status="pending")
    api.put("fred@example.org", merge_fields={"FNAME": "Fred"})
    assert told(api) == []
    api.sim.confirm(LIST, "fred@example.org")
    assert told(api) == ["subscribe"]


# Payloads


@pytest.mark.fact(
    "mailchimp: Webhooks",
    "payloads of subscribe, unsubscribe, profile, upemail, cleaned",
    "fired_at is UTC without a zone",
)
def test_subscribe_payload(api: Bedrock) -> None:
    register(api)
    api.sim.add_interest(LIST, "Interested in updates?", "1111111111", "Cats, and dogs")
    api.sim.add_interest(LIST, "Interested in updates?", "2222222222", "Dinosaurs")
    api.sim.add_interest(LIST, "Sports", "3333333333", "Bowling")
    api.clock.tick(60)
    api.sim.sign_up(LIST, "fred@example.org", "Fred", "", ["1111111111", "2222222222"])
    category = api.get(f"/lists/{LIST}/interest-categories")["categories"][0]
    fred, fields = api.member("fred@example.org"), last(api)
    assert fields["type"] == "subscribe"
    assert fields["fired_at"] == "2021-11-23 22:52:50"
    assert fields["[id]"] == fred["unique_email_id"] != fred["id"]
    assert fields["[web_id]"] == str(fred["web_id"])
    assert fields["[email]"] == fields["[merges][EMAIL]"] == "fred@example.org"
    assert (fields["[merges][FNAME]"], fields["[merges][LNAME]"]) == ("Fred", "")
    assert fields["[merges][INTERESTS]"] == r"Cats\, and dogs, Dinosaurs"
    grouping = "[merges][GROUPINGS][0]"
    assert fields[f"{grouping}[unique_id]"] == category["id"]
    assert fields[f"{grouping}[name]"] == "Interested in updates?"
    assert fields[f"{grouping}[groups]"] == r"Cats\, and dogs, Dinosaurs"
    assert int(fields[f"{grouping}[id]"])
    assert "[merges][GROUPINGS][1][groups]" not in fields
    assert fields["[list_id]"] == LIST
    assert {"[email_type]", "[ip_opt]", "[ip_signup]"} <= fields.keys()


@pytest.mark.fact("mailchimp: Webhooks", "delivery: form, encoded, ten seconds, 75 minutes")
def test_brackets_are_percent_encoded(api: Bedrock) -> None:
    register(api)
    api.sim.leave(LIST, WILMA)
    delivery = api.sim.deliveries[0]
    assert b"data%5Bemail%5D=wilma%40example.org" in delivery.body
    assert delivery.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert delivery.headers["User-Agent"] == "MailChimp.com"


@pytest.mark.fact(
    "mailchimp: Webhooks", "payloads of subscribe, unsubscribe, profile, upemail, cleaned"
)
@pytest.mark.parametrize(
    ("go", "action", "reason"),
    [
        ("leave", "unsub", "manual"),
        ("complain", "unsub", "abuse"),
        ("staff_archive", "delete", "manual"),
        ("staff_delete_permanently", "delete", "manual"),
    ],
)
def test_unsubscribe_payload(api: Bedrock, go: str, action: str, reason: str) -> None:
    register(api)
    getattr(api.sim, go)(LIST, WILMA)
    fields = last(api)
    assert fields["type"] == "unsubscribe"
    assert (fields["[action]"], fields["[reason]"]) == (action, reason)
    assert fields["[merges][LNAME]"] == "Flintstone"
    assert {"[id]", "[list_id]", "[email]", "[email_type]", "[ip_opt]"} <= fields.keys()
    assert "[campaign_id]" not in fields


@pytest.mark.fact(
    "mailchimp: Webhooks", "payloads of subscribe, unsubscribe, profile, upemail, cleaned"
)
def test_profile_payload(api: Bedrock) -> None:
    register(api)
    api.sim.edit_profile(LIST, WILMA, last_name="Slaghoople")
    fields = last(api)
    assert fields["type"] == "profile"
    assert fields["[merges][LNAME]"] == "Slaghoople"
    assert "[merges][INTERESTS]" not in fields  # the audience has none
    assert {"[id]", "[email]", "[email_type]", "[ip_opt]", "[list_id]", "[web_id]"} <= fields.keys()


@pytest.mark.fact(
    "mailchimp: Webhooks", "payloads of subscribe, unsubscribe, profile, upemail, cleaned"
)
def test_an_address_change_fires_upemail_and_profile(api: Bedrock) -> None:
    register(api)
    api.sim.change_address(LIST, WILMA, "w@example.org")
    assert told(api) == ["upemail", "profile"]
    fields = dict(api.sim.deliveries[0].fields)
    new_id = api.member("w@example.org")["unique_email_id"]
    assert fields == {
        "type": "upemail",
        "fired_at": "2021-11-23 22:51:50",
        "data[list_id]": LIST,
        "data[new_id]": new_id,
        "data[new_email]": "w@example.org",
        "data[old_email]": WILMA,
    }


@pytest.mark.fact(
    "mailchimp: Webhooks", "payloads of subscribe, unsubscribe, profile, upemail, cleaned"
)
@pytest.mark.parametrize("reason", ["hard", "abuse"])
def test_cleaned_payload(api: Bedrock, reason: str) -> None:
    register(api)
    api.sim.bounce(LIST, WILMA, reason)
    fields = last(api)
    assert fields.keys() == {
        "type", "fired_at", "[list_id]", "[campaign_id]", "[reason]", "[email]",
    }  # fmt: skip
    assert (fields["type"], fields["[reason]"], fields["[email]"]) == ("cleaned", reason, WILMA)


def test_campaign_ignores_sources(api: Bedrock) -> None:
    register(api, user=False, admin=False, api=False)
    api.sim.send_campaign(LIST, "Rocks")
    fields = last(api)
    assert (fields["type"], fields["[subject]"], fields["[status]"]) == (
        "campaign",
        "Rocks",
        "sent",
    )


# Deliveries


@pytest.mark.fact("mailchimp: Webhooks", "the signature")
def test_the_signature_covers_time_and_raw_body(api: Bedrock) -> None:
    secret = str(register(api)["signing_secret"])
    api.sim.leave(LIST, WILMA)
    delivery = api.sim.deliveries[0]
    parts = dict(part.split("=") for part in delivery.headers["X-Mailchimp-Signature"].split(","))
    signed = f"{parts['t']}.".encode() + delivery.body
    assert parts["v1"] == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert int(parts["t"]) == int(api.clock.now.timestamp())


@pytest.mark.fact("mailchimp: Webhooks", "the signature")
def test_older_webhooks_are_not_signed(api: Bedrock) -> None:
    api.sim.settings.sign_webhooks = False
    assert register(api)["signing_enabled"] is False
    api.sim.leave(LIST, WILMA)
    assert "X-Mailchimp-Signature" not in api.sim.deliveries[0].headers


@pytest.mark.fact("mailchimp: Webhooks", "delivery: form, encoded, ten seconds, 75 minutes")
def test_what_is_not_taken_is_tried_again_for_75_minutes(api: Bedrock) -> None:
    register(api)
    answers = iter([500, 500, 200])
    api.sim.deliver = lambda url, body, headers: next(answers)
    api.sim.leave(LIST, WILMA)
    assert (api.sim.retry_deliveries(), api.sim.retry_deliveries()) == (1, 1)
    assert api.sim.retry_deliveries() == 0
    api.sim.deliver = lambda url, body, headers: 500
    api.sim.sign_up(LIST, WILMA)
    api.clock.tick(75 * 60 + 1)
    assert api.sim.retry_deliveries() == 0


@pytest.mark.fact("mailchimp: Webhooks", "410 disables for good")
def test_410_disables_a_webhook_for_good(api: Bedrock) -> None:
    register(api)
    api.sim.deliver = lambda url, body, headers: 410
    api.sim.leave(LIST, WILMA)
    api.sim.sign_up(LIST, WILMA)
    assert told(api) == ["unsubscribe"]


def test_a_receiver_may_read_the_member_at_once(api: Bedrock) -> None:
    """Payloads are hints: who gets one asks the API, while the simulator waits for the answer."""
    register(api)
    seen: list[str] = []

    def deliver(url: str, body: bytes, headers: dict[str, str]) -> int:
        seen.append(api.member(WILMA)["status"])
        return 200

    api.sim.deliver = deliver
    api.sim.leave(LIST, WILMA)
    assert seen == ["unsubscribed"]
