"""What the data step reads, against the simulator and as recorded."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest

from mcsync.civicrm import reading
from mcsync.civicrm.data_reading import WireEntityTag, WireTag
from mcsync.civicrm.records import WireId
from mcsync.civicrm.site import CivicrmClient
from mcsync.errors import RemoteUnavailable
from mcsync.http import HttpClient
from mcsync.pipeline.dry import DryCivicrm
from mcsync.pipeline.ports import CivicrmPort
from mcsync.sandbox.town import Town

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture(params=["site", "dry"])
def port(request: pytest.FixtureRequest, town: Town) -> CivicrmPort:
    """The adapter, and what a dry run reads through."""
    http = HttpClient(max_connections=4, sleep=lambda _: None)
    client = CivicrmClient(town.civicrm_server.url, town.civicrm.api_key, http=http)
    return client if request.param == "site" else DryCivicrm(client)


def tagged(town: Town, name: str, *tags: int) -> int:
    contact = town.civicrm.add_contact(name, "Flintstone", [f"{name.lower()}@example.org"])
    for tag in tags:
        town.civicrm.tag(contact, tag)
    return contact


def test_tags_come_with_labels_counts_and_who_got_them_in_one_request(
    port: CivicrmPort, town: Town
):
    donor, elder = town.civicrm.add_tag("Great  giver"), town.civicrm.add_tag("Elder")
    fred, wilma = tagged(town, "Fred", donor, elder), tagged(town, "Wilma", donor)
    port.fetch_tags(0)
    before = len(town.civicrm_server.requests)
    tags = port.fetch_tags(0)
    assert len(town.civicrm_server.requests) == before + 1
    assert (tags.labels[donor], tags.labels[elder]) == ("Great giver", "Elder")
    assert tags.counts == {donor: 2, elder: 1}
    assert [(row.contact_id, row.tag_id) for row in tags.rows] == [
        (fred, donor),
        (fred, elder),
        (wilma, donor),
    ]
    assert not tags.has_more
    after = port.fetch_tags(tags.rows[1].entity_tag_id)
    assert after.rows == tags.rows[2:]
    assert after.counts == tags.counts


def test_entity_tags_are_read_in_pages(
    port: CivicrmPort, town: Town, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "PAGE_SIZE", 2)
    donor, elder = town.civicrm.add_tag("Donor"), town.civicrm.add_tag("Elder")
    contacts = [tagged(town, f"Fred{number}", donor, elder) for number in range(5)]
    rows = [row for page in port.fetch_entity_tags(0, None) for row in page]
    assert [(row.contact_id, row.tag_id) for row in rows] == [
        (contact, tag) for contact in contacts for tag in (donor, elder)
    ]
    only = [row for page in port.fetch_entity_tags(rows[2].entity_tag_id, [elder]) for row in page]
    assert only == [row for row in rows[3:] if row.tag_id == elder]
    assert port.fetch_tags(0).has_more


def test_fields_are_read_through_joins_and_empty_ones_are_left_out(port: CivicrmPort, town: Town):
    fred, wilma = tagged(town, "Fred"), tagged(town, "Wilma")
    town.civicrm.update_contact(fred, job_title="Miner", birth_date="1960-09-30")
    town.civicrm.store.add_block("Address", {"contact_id": fred, "postal_code": "75001"})
    town.civicrm.trash(wilma)
    fields = ["id", "job_title", "birth_date", "address_primary.postal_code", "do_not_phone"]
    [values] = list(port.fetch_contact_fields(fields, [fred, wilma, 99999]))
    assert values == {
        fred: {
            "id": fred,
            "job_title": "Miner",
            "birth_date": "1960-09-30",
            "address_primary.postal_code": "75001",
            "do_not_phone": False,
        },
        wilma: {"id": wilma, "do_not_phone": False},
    }


def test_fields_of_changed_contacts(port: CivicrmPort, town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "PAGE_SIZE", 2)
    contacts = [tagged(town, f"Fred{number}") for number in range(5)]
    since = town.clock.advance(hours=1)
    for contact in contacts[1:]:
        town.civicrm.update_contact(contact, job_title="Miner")
    pages = list(port.fetch_changed_contact_fields(["job_title"], since - timedelta(minutes=1)))
    found = {contact: values for page in pages for contact, values in page.items()}
    assert found == {contact: {"job_title": "Miner"} for contact in contacts[1:]}
    assert len(pages) == 2


def test_records_of_any_entity_come_in_pages(
    port: CivicrmPort, town: Town, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "PAGE_SIZE", 2)
    contacts = [tagged(town, f"Fred{number}") for number in range(3)]
    where = [["contact_id", "IN", contacts], ["is_primary", "=", True]]
    records = list(port.fetch_records("Email", ["contact_id", "email"], where))
    assert [(r["contact_id"], r["email"]) for r in records] == [
        (contact, f"fred{number}@example.org") for number, contact in enumerate(contacts)
    ]


def test_params_are_form_encoded(port: CivicrmPort, town: Town):
    """A JSON body would be ignored, and everything answered."""
    list(port.fetch_records("Tag", ["label"], []))
    last = town.civicrm_server.requests[-1].request
    assert json.loads(parse_qs(last.body.decode())["params"][0])["where"] == [["id", ">", 0]]


def test_an_entity_that_civicrm_does_not_have_is_no_empty_list(port: CivicrmPort, town: Town):
    with pytest.raises(RemoteUnavailable, match="Nonsense"):
        list(port.fetch_records("Nonsense", ["name"], []))


@pytest.mark.parametrize(
    ("name", "shape"), [("tag-get", WireTag), ("entitytag-get", WireEntityTag)]
)
def test_the_recorded_answers_have_the_shapes_we_read(name: str, shape: type[WireId]):
    path = Path(__file__).parents[1] / "cassettes" / "civicrm" / f"{name}.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))["response"]["body"]
    body = recorded if isinstance(recorded, dict) else json.loads(recorded)
    rows: list[WireId] = msgspec.convert(body["values"], list[shape])  # type: ignore[valid-type]
    assert rows
    assert all(isinstance(row.id, int) for row in rows)
