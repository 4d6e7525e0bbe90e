"""Each type of merge field in Mailchimp's description: what fits, as what, and what does not.

Held against the simulator, which must take whatever is said to fit, and refuse, or cut, what is
said not to.
"""

import json

import pytest
from mailchimp_bedrock import LIST, SPEC, Bedrock, at

from mcsync.mailchimp.client import MailchimpClient
from mcsync.mailchimp.wire import WireFieldOptions, WireMergeField, read_merge_field
from mcsync.model import MergeField
from mcsync.plugins.fitting import Fit, Misfit, fit

WILMA = "wilma@example.org"
CAVE = {"addr1": "345 Cave Stone Rd", "city": "Bedrock", "state": "AZ", "zip": "70777"}
LONG, TOO_LONG = "é" * 127, "é" * 128
COLOURS = {"choices": ["Red", "Blue", "Sea green"]}
US, INTERNATIONAL = {"phone_format": "US"}, {"phone_format": "none"}

Options = dict[str, object]

FITS: list[tuple[str, Options, object, object]] = [
    ("text", {}, " Miner ", "Miner"),
    ("text", {}, True, "true"),
    ("text", {}, 3.0, "3"),
    ("text", {}, ["Bowling", "Golf"], "Bowling, Golf"),
    ("text", {}, LONG, LONG),
    ("number", {}, 0, "0"),
    ("number", {}, "12.50", "12.50"),
    ("number", {}, "-3", "-3"),
    ("address", {}, CAVE, CAVE),
    ("address", {}, {**CAVE, "addr2": "", "country": "US"}, {**CAVE, "country": "US"}),
    ("phone", US, "(555) 123-4567", "(555) 123-4567"),
    ("phone", US, "555-123-4567", "555-123-4567"),
    ("phone", US, "555 123 4567", "(555) 123-4567"),
    ("phone", US, "+1 555.123.4567", "(555) 123-4567"),
    ("phone", US, 5551234567, "5551234567"),
    ("phone", INTERNATIONAL, "+44 20 7946 0958", "+44 20 7946 0958"),
    ("phone", {}, "call my neighbour", "call my neighbour"),
    ("date", {}, "2020-02-29", "2020-02-29"),
    ("date", {}, "2020-02-29 12:00:00", "2020-02-29"),
    ("date", {"date_format": "DD/MM/YYYY"}, "12/21/1980", "1980-12-21"),
    ("url", {}, "https://example.org/a?b=c", "https://example.org/a?b=c"),
    ("imageurl", {}, "http://example.org/dino.png", "http://example.org/dino.png"),
    ("radio", COLOURS, "Red", "Red"),
    ("radio", {}, "anything", "anything"),
    ("dropdown", COLOURS, "sea GREEN", "Sea green"),
    ("dropdown", COLOURS, ["Blue"], "Blue"),
    ("birthday", {}, "1960-09-30", "09/30"),
    ("birthday", {"date_format": "DD/MM"}, "2/29", "02/29"),
    ("zip", {}, "75001", "75001"),
    ("zip", {}, "75001-1234", "75001-1234"),
]
LEFT_OUT: list[tuple[str, Options, object, Misfit]] = [
    ("text", {}, TOO_LONG, Misfit.LENGTH),
    ("number", {}, "many", Misfit.NUMBER),
    ("number", {}, "12,50", Misfit.NUMBER),
    ("number", {}, "1e5 rocks", Misfit.NUMBER),
    ("address", {}, {"addr1": "345 Cave Stone Rd", "city": "Bedrock"}, Misfit.ADDRESS),
    ("address", {}, {**CAVE, "state": " "}, Misfit.ADDRESS),
    ("address", {}, "345 Cave Stone Rd, Bedrock", Misfit.ADDRESS),
    ("phone", US, "+44 20 7946 0958", Misfit.PHONE),
    ("phone", US, "123-4567", Misfit.PHONE),
    ("date", {}, "2021-02-29", Misfit.DATE),
    ("date", {}, "0000-00-00", Misfit.DATE),
    ("date", {}, "soon", Misfit.DATE),
    ("url", {}, "example.org", Misfit.URL),
    ("url", {}, "https://two words", Misfit.URL),
    ("imageurl", {}, "dino.png", Misfit.URL),
    ("radio", COLOURS, "Mauve", Misfit.CHOICE),
    ("dropdown", COLOURS, ["Red", "Blue"], Misfit.CHOICE),
    ("birthday", {}, "30 September", Misfit.DATE),
    ("birthday", {}, "13/32", Misfit.DATE),
    ("zip", {}, "SW1A 1AA", Misfit.ZIP),
    ("zip", {}, "7500", Misfit.ZIP),
]


def make_field(kind: str, options: Options, *, is_required: bool = False) -> MergeField:
    wire = WireMergeField("X", "X", kind, is_required, WireFieldOptions(**options))  # type: ignore[arg-type]
    return read_merge_field(wire)


def put(api: Bedrock, kind: str, options: Options, value: object) -> object:
    """What Mailchimp keeps of a value, and answers."""
    api.sim.add_merge_field(LIST, "X", "X", kind, options=options)
    return api.put(WILMA, status="subscribed", merge_fields={"X": value})["merge_fields"]["X"]


@pytest.mark.parametrize(("kind", "options", "value", "sent"), FITS)
def test_what_fits_is_taken_c1(
    api: Bedrock, kind: str, options: Options, value: object, sent: object
):
    found = fit(value, make_field(kind, options))
    assert found == Fit(sent)  # type: ignore[arg-type]
    assert fit(found.value, make_field(kind, options)) == found
    kept = put(api, kind, options, found.value)
    if isinstance(sent, dict):
        assert isinstance(kept, dict)
        assert sent.items() <= kept.items()
    elif kind == "number":
        assert float(str(kept)) == float(str(sent))
    else:
        assert kept == sent


@pytest.mark.parametrize(("kind", "options", "value", "why"), LEFT_OUT)
def test_what_does_not_fit_would_be_refused_c1(
    api: Bedrock, kind: str, options: Options, value: object, why: Misfit
):
    assert fit(value, make_field(kind, options)) == Fit(misfit=why)
    api.sim.add_merge_field(LIST, "X", "X", kind, options=options)
    raw = ", ".join(value) if isinstance(value, list) else value
    body = {"email_address": WILMA, "status": "subscribed", "merge_fields": {"X": raw}}
    if why is Misfit.LENGTH:
        api.write("PUT", at(WILMA), body)
        assert api.member(WILMA)["merge_fields"]["X"] != raw
    else:
        problem = api.refused("PUT", at(WILMA), body)
        assert problem["errors"][0]["field"] == "X"


@pytest.mark.parametrize("kind", ["text", "address", "dropdown"])
@pytest.mark.parametrize("value", [None, "", " ", [], {}])
def test_nothing_clears_a_field_that_is_not_required_c1(api: Bedrock, kind: str, value: object):
    if kind == "address" and value in (" ", []):
        value = ""
    if kind != "address" and value == {}:
        value = None
    assert fit(value, make_field(kind, {})) == Fit("")
    assert fit(value, make_field(kind, {}, is_required=True)) == Fit(misfit=Misfit.REQUIRED)
    assert put(api, kind, {}, "") == ""
    api.sim.remove_merge_field(LIST, "X")
    api.sim.add_merge_field(LIST, "X", "X", kind, required=True)
    assert api.refused("PUT", at(WILMA), {"merge_fields": {"X": ""}})["errors"][0]["field"] == "X"


def test_a_nul_byte_is_never_sent_c8():
    assert fit("a\0b", make_field("text", {})) == Fit(misfit=Misfit.CHARACTER)
    address = {**CAVE, "city": "Bed\0rock"}
    assert fit(address, make_field("address", {})) == Fit(misfit=Misfit.CHARACTER)


def test_every_type_that_mailchimp_describes_is_in_both_tables_c1():
    text = json.loads(SPEC.read_text())
    kinds = text["paths"]["/lists/{list_id}/merge-fields"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]["properties"]["type"]["enum"]
    assert {row[0] for row in FITS} == set(kinds)
    assert {row[0] for row in LEFT_OUT} == set(kinds)


def test_choices_and_phone_format_are_read_c1(api: Bedrock):
    api.sim.add_merge_field(LIST, "COLOUR", "Colour", "dropdown", options=COLOURS)
    api.sim.add_merge_field(LIST, "PHONE", "Phone", "phone", options=US)
    api.sim.add_merge_field(LIST, "BORN", "Born", "date", required=True)
    client = MailchimpClient("0123456789abcdef-us3", f"{api.server.url}/3.0")
    found = {field.tag: field for field in client.fetch_merge_fields(LIST)}
    assert found["COLOUR"].choices == ("Red", "Blue", "Sea green")
    assert found["PHONE"].phone_format == "US"
    assert (found["BORN"].date_format, found["BORN"].is_required) == ("MM/DD/YYYY", True)


@pytest.mark.parametrize("options", [[], None, {}, {"choices": None, "phone_format": None}])
def test_options_that_php_wrote_as_an_array_are_none_c8(options: object):
    wire = {"tag": "X", "name": "X", "type": "text", "options": options}
    import msgspec

    field = read_merge_field(msgspec.convert(wire, WireMergeField))
    assert (field.choices, field.phone_format, field.date_format) == ((), "", "")
