"""Optional data never costs consent: what a merge field would not take is left out, and told."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcsync.assemble import build_check
from mcsync.check.look import look
from tests.scenario.aftermath import warnings
from tests.scenario.bedrock import LIST, Bedrock
from tests.scenario.test_data_sync import field_of, map_fields, sync_statuses

PETS = {"choices": ["Dino", "Hoppy"]}
US = {"phone_format": "US"}
LEFT_OUT = "data.fields.PET: {} left out: not one of the field's choices"
ONE, TWO = LEFT_OUT.format("1 value is"), LEFT_OUT.format("2 values are")


@pytest.fixture
def data(bedrock: Bedrock) -> Bedrock:
    """Bedrock with data on: a dropdown, filled from a text that anybody may edit."""
    bedrock.with_data = True
    bedrock.town.mailchimp.add_merge_field(LIST, "PET", "Pet", "dropdown", options=PETS)
    bedrock.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(bedrock, PET="nick_name", JOB="job_title")
    return bedrock


def give(data: Bedrock, contact: int, **fields: object) -> None:
    data.pass_time(minutes=5)
    data.town.civicrm.update_contact(contact, **fields)


def check_findings(data: Bedrock) -> list[str]:
    config = data.load_config()
    check = build_check(config, config.audiences, config.cache)
    return [f.message for f in look(check).findings if f.code == "values-left-out"]


def refused(data: Bedrock) -> int:
    assert data.last_run is not None
    return sum(report.operations_failed for report in data.last_run.reports.values())


def test_a_value_that_is_no_choice_costs_neither_subscription_nor_interest_c1(data: Bedrock):
    fred = data.add_contact("fred@example.org")
    data.town.civicrm.add_to_group(fred, 222)
    give(data, fred, nick_name="Bronto", job_title="Crane operator")
    data.sync()
    assert data.member_status("fred@example.org") == "subscribed"
    assert data.has_interest("fred@example.org")
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    assert field_of(data, "fred@example.org", "PET") == ""
    assert refused(data) == 0
    assert data.sync() == 0
    assert sync_statuses(data) == {"ok"}


def test_what_fits_later_is_sent_then_c1(data: Bedrock):
    fred = data.add_both("fred@example.org")
    give(data, fred, nick_name="Bronto")
    data.sync_until_quiet()
    data.town.mailchimp.audiences[LIST].merge_fields["PET"].options["choices"] = ["Bronto"]
    assert data.sync() == 1
    assert field_of(data, "fred@example.org", "PET") == "Bronto"


def test_a_value_that_no_longer_fits_leaves_what_was_sent_before_c1(data: Bedrock):
    fred = data.add_both("fred@example.org")
    give(data, fred, nick_name="dino")
    data.sync_until_quiet()
    give(data, fred, nick_name="Bronto")
    assert data.sync() == 0
    assert field_of(data, "fred@example.org", "PET") == "Dino"
    give(data, fred, nick_name="Dino")
    assert data.sync() == 0
    give(data, fred, nick_name="")
    data.sync_until_quiet()
    assert field_of(data, "fred@example.org", "PET") == ""


def test_it_is_told_once_for_a_field_with_the_number_of_people_c1(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    fred, barney = (data.add_both(f"{name}@example.org") for name in ("fred", "barney"))
    for contact in (fred, barney):
        give(data, contact, nick_name="Bronto")
    data.sync()
    [told] = warnings(caplog)
    assert told.startswith(f"Main audience: {TWO}; ")
    data.sync()
    give(data, fred, job_title="Manager")
    data.sync_until_quiet()
    data.pass_time(hours=26)
    data.sync_until_quiet()
    assert warnings(caplog) == []


def test_the_same_is_told_again_only_after_a_day_c1(
    data: Bedrock, caplog: pytest.LogCaptureFixture
):
    fred, barney = (data.add_both(f"{name}@example.org") for name in ("fred", "barney"))
    give(data, fred, nick_name="Bronto")
    data.sync()
    assert ONE in warnings(caplog)[0]
    give(data, barney, nick_name="Tyrant")
    data.sync()
    assert warnings(caplog) == []
    data.pass_time(hours=25)
    give(data, barney, nick_name="Dino")
    data.sync_until_quiet()
    give(data, barney, nick_name="Tyrant")
    data.sync_until_quiet()
    assert [ONE in told for told in warnings(caplog)] == [True]


def test_check_tells_how_many_values_do_not_fit_c1(data: Bedrock):
    fred, barney = (data.add_both(f"{name}@example.org") for name in ("fred", "barney"))
    assert check_findings(data) == []
    for contact in (fred, barney):
        give(data, contact, nick_name="Bronto")
    data.sync()
    assert check_findings(data) == [TWO]
    data.town.mailchimp.audiences[LIST].merge_fields["PET"].options["choices"] = ["Bronto"]
    assert check_findings(data) == []


def test_check_tells_it_before_anything_is_sent_c1(data: Bedrock):
    """People are known, and data are switched on only now, or another field is mapped."""
    data.with_data = False
    fred, barney = (data.add_both(f"{name}@example.org") for name in ("fred", "barney"))
    for contact in (fred, barney):
        give(data, contact, nick_name="Bronto")
    data.sync()
    assert check_findings(data) == [TWO]
    data.with_data = True
    data.sync()
    data.town.mailchimp.add_merge_field(LIST, "AGE", "Age", "number")
    map_fields(data, PET="nick_name", AGE="middle_name", NO="no_such_field")
    give(data, fred, middle_name="old")
    assert check_findings(data) == ["data.fields.AGE: 1 value is left out: not a number", TWO]


def test_a_us_phone_field_takes_what_can_be_written_as_one_c1(data: Bedrock):
    data.town.mailchimp.add_merge_field(LIST, "PHONE", "Phone", "phone", options=US)
    map_fields(data, PHONE="phone_primary.phone")
    phones = {"fred": "+44 20 7946 0958", "barney": "+1 555 123 4567"}
    store = data.town.civicrm.store
    for name, phone in phones.items():
        contact = data.add_contact(f"{name}@example.org")
        store.add_block("Phone", {"contact_id": contact, "phone": phone})
    data.sync()
    assert data.member_status("fred@example.org") == "subscribed"
    assert field_of(data, "fred@example.org", "PHONE") == ""
    assert field_of(data, "barney@example.org", "PHONE") == "(555) 123-4567"


def test_a_required_field_is_never_emptied_c1(data: Bedrock, caplog: pytest.LogCaptureFixture):
    fred = data.add_both("fred@example.org")
    give(data, fred, job_title="Crane operator", nick_name="Dino")
    data.sync_until_quiet()
    data.town.mailchimp.audiences[LIST].merge_fields["JOB"].required = True
    give(data, fred, job_title="", nick_name="Hoppy")
    data.sync_until_quiet()
    assert refused(data) == 0
    assert field_of(data, "fred@example.org", "JOB") == "Crane operator"
    assert field_of(data, "fred@example.org", "PET") == "Hoppy"
    assert "data.fields.JOB: 1 value is left out: empty, and the field is required" in caplog.text


# --- addresses ------------------------------------------------------------------------------------

CAVE = {"street_address": "345 Cave Stone Rd", "city": "Bedrock", "postal_code": "70777"}
HERE = {"state_province_id": 1002, "country_id": 1228}


@pytest.fixture
def postal(data: Bedrock) -> Bedrock:
    data.town.mailchimp.add_merge_field(LIST, "ADDRESS", "Address", "address")
    map_fields(data, ADDRESS="address_primary")
    return data


def live_at(data: Bedrock, contact: int, **address: object) -> None:
    data.pass_time(minutes=5)
    data.town.civicrm.store.add_block("Address", {"contact_id": contact, **address})


def test_an_address_is_sent_whole_c1(postal: Bedrock):
    fred = postal.add_both("fred@example.org")
    live_at(postal, fred, supplemental_address_1="Second cave", **CAVE, **HERE)
    assert postal.sync() == 1
    assert field_of(postal, "fred@example.org", "ADDRESS") == {
        "addr1": "345 Cave Stone Rd",
        "addr2": "Second cave",
        "city": "Bedrock",
        "state": "AZ",
        "zip": "70777",
        "country": "US",
    }
    assert postal.sync() == 0


def test_half_an_address_is_not_sent_at_all_c1(postal: Bedrock, caplog: pytest.LogCaptureFixture):
    fred = postal.add_contact("fred@example.org")
    live_at(postal, fred, **CAVE)
    postal.sync()
    assert postal.member_status("fred@example.org") == "subscribed"
    assert field_of(postal, "fred@example.org", "ADDRESS") == ""
    assert "data.fields.ADDRESS: 1 value is left out: not a complete address" in caplog.text
    assert postal.sync() == 0


def test_an_address_that_is_gone_is_taken_back_c1(postal: Bedrock):
    fred = postal.add_both("fred@example.org")
    live_at(postal, fred, **CAVE, **HERE)
    postal.sync_until_quiet()
    store = postal.town.civicrm.store
    [address] = store.tables["Address"].matching("contact_id", fred)
    postal.pass_time(minutes=5)
    store.remove_block("Address", address["id"])
    postal.sync_until_quiet()
    assert field_of(postal, "fred@example.org", "ADDRESS") == ""


# --- anything -------------------------------------------------------------------------------------

TYPES: dict[str, dict[str, object]] = {
    "text": {},
    "number": {},
    "phone": US,
    "date": {},
    "url": {},
    "imageurl": {},
    "radio": PETS,
    "dropdown": PETS,
    "birthday": {},
    "zip": {},
}
GOOD = ("Dino", "2020-02-29", "75001", "-1.5", "https://example.org", "555 123 4567", "2/29")
VALUES = st.one_of(
    st.sampled_from(GOOD),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.sampled_from("ก☃é"), min_size=80, max_size=120),
    st.from_regex(r"[0-9+() /.:-]{1,14}", fullmatch=True),
)
ADDRESSES = st.fixed_dictionaries(
    {},
    optional={
        "street_address": VALUES,
        "city": VALUES,
        "postal_code": VALUES,
        "state_province_id": st.sampled_from((1002, 1004, 9999)),
        "country_id": st.sampled_from((1228, 9999)),
    },
)
WIDTH = 64  # characters that CiviCRM keeps of a name
NAMES = st.one_of(
    st.sampled_from(("", "Pebbles", f"{'P' * 61}...", "N\0l", "\N{DROMEDARY CAMEL}" * WIDTH)),
    VALUES.map(lambda value: value[:WIDTH]),
)
PERSON = st.tuples(VALUES, ADDRESSES, NAMES, NAMES)
Someone = tuple[str, dict[str, object], str, str]


@pytest.fixture
def everything(data: Bedrock) -> Bedrock:
    """An audience with a merge field of each type, all filled from one text; and an address."""
    mailchimp = data.town.mailchimp
    for kind, options in TYPES.items():
        mailchimp.add_merge_field(LIST, f"X{kind}".upper(), kind.title(), kind, options=options)
    mailchimp.add_merge_field(LIST, "ADDRESS", "Address", "address")
    texts = {f"X{kind}".upper(): "nick_name" for kind in TYPES}
    map_fields(data, ADDRESS="address_primary", **texts)
    return data


def test_whatever_the_data_subscription_and_interest_arrive_at_once_c1(everything: Bedrock):
    numbers, tag = count(), everything.town.civicrm.add_tag("Bowling")

    @settings(max_examples=12)
    @given(st.lists(PERSON, min_size=3, max_size=8))
    def arrive(people: list[Someone]) -> None:
        emails = [f"p{next(numbers)}@example.org" for _ in people]
        for email, (value, address, first, last) in zip(emails, people, strict=True):
            contact = everything.add_contact(email)
            everything.town.civicrm.add_to_group(contact, 222)
            everything.town.civicrm.update_contact(
                contact, nick_name=value, first_name=first, last_name=last
            )
            if value:
                everything.town.civicrm.tag(contact, tag)
            if address:
                everything.town.civicrm.store.add_block(
                    "Address", {"contact_id": contact, **address}
                )
        everything.pass_time(minutes=5)
        everything.sync()
        assert refused(everything) == 0
        for email in emails:
            assert everything.member_status(email) == "subscribed"
            assert everything.has_interest(email)
        everything.sync()  # tags need the member, and go in a later batch
        assert refused(everything) == 0
        assert everything.sync() == 0

    arrive()
