"""`mcsync status --prometheus`: what node exporter's textfile collector reads."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mcsync import __version__
from mcsync.docs import read_topic
from mcsync.errors import ExitCode
from tests.cli.conftest import GROUP, LIST, OTHER_LIST, Office, Said

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
MAIN = {"list_id": LIST, "audience": "Main audience"}


def samples(said: Said) -> Samples:
    """All samples by name and labels; each family has a help text and is a gauge."""
    found: Samples = {}
    for family in text_string_to_metric_families(said.out):
        assert family.name.startswith("mcsync_")
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            place = (sample.name, frozenset(sample.labels.items()))
            assert place not in found
            found[place] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def of_main(found: Samples, name: str, **labels: str) -> float:
    return value(found, name, **MAIN, **labels)


def measure(office: Office, *args: str) -> Samples:
    said = office.run("status", "--prometheus", *args)
    assert (said.code, said.err) == (0, "")
    return samples(said)


def test_an_audience_in_sync_in_numbers(office: Office):
    assert office.run("sync", "--wait") == Said(0, "", "")
    asked = office.town.requests
    found = measure(office)
    assert value(found, "mcsync_build_info", version=__version__) == 1
    assert of_main(found, "mcsync_members", status="subscribed") == 5
    assert of_main(found, "mcsync_members", status="unsubscribed") == 1
    assert of_main(found, "mcsync_members", status="pending") == 0
    assert of_main(found, "mcsync_group_contacts") == 5
    for name in ("people_due", "people_failed", "updates_queued", "operations_waiting"):
        assert of_main(found, f"mcsync_{name}") == 0
    assert of_main(found, "mcsync_held") == of_main(found, "mcsync_trouble") == 0
    synced_at = of_main(found, "mcsync_last_complete_sync_timestamp_seconds")
    assert abs(datetime.now(UTC).timestamp() - synced_at) < 60
    assert value(found, "mcsync_webhooks_waiting") == 0
    assert value(found, "mcsync_webhooks_given_up") == 0
    assert value(found, "mcsync_cache_size_bytes") == office.cache.stat().st_size
    assert office.town.requests == asked


def test_before_the_first_fetch(office: Office):
    found = measure(office)
    assert value(found, "mcsync_build_info", version=__version__) == 1
    assert value(found, "mcsync_cache_size_bytes") == 0
    assert of_main(found, "mcsync_last_complete_sync_timestamp_seconds") == 0
    assert of_main(found, "mcsync_members", status="subscribed") == 0
    assert [path.name for path in office.folder.iterdir()] == ["config.json"]


def test_who_cannot_be_mailed_by_reason(office: Office):
    contact = office.add_both("slate@quarry.example")
    office.run("sync", "--wait")
    office.town.civicrm.update_contact(contact, is_opt_out=True)
    office.run("sync", "--wait")
    found = measure(office)
    assert of_main(found, "mcsync_people_not_mailable", reason="opt-out") == 1
    assert of_main(found, "mcsync_people_not_mailable", reason="deceased") == 0


def test_what_waits(office: Office):
    office.run("fetch")
    office.run("reconcile")
    assert of_main(measure(office), "mcsync_updates_queued") == 1
    office.town.mailchimp.settings.batch_delay_polls = 99
    office.run("submit")
    found = measure(office)
    assert of_main(found, "mcsync_updates_queued") == 0
    assert of_main(found, "mcsync_operations_waiting") == 1


def test_what_is_held_is_a_trouble(office: Office):
    office.close_gates(12, of=30)
    assert office.run("sync").code == ExitCode.GUARDED
    found = measure(office)
    assert of_main(found, "mcsync_held") == of_main(found, "mcsync_trouble") == 1
    office.town.civicrm.disable_group(GROUP)
    assert office.run("sync").code == ExitCode.GUARDED
    assert of_main(measure(office), "mcsync_held") == 1, "it is held as before"


def test_only_the_audiences_asked_for(office: Office):
    office.add_other_audience()
    names = {dict(labels).get("list_id") for _, labels in measure(office, "--list", OTHER_LIST)}
    assert names == {OTHER_LIST, None}


def test_a_name_may_be_anything(office: Office):
    name = 'Bedrock\'s "new" \\ audience'
    office.town.mailchimp.audiences[LIST].name = name
    office.write_config()
    assert value(measure(office), "mcsync_held", list_id=LIST, audience=name) == 0


def test_no_keys_are_needed_b14(office: Office):
    office.write_config(civicrm={"url": "${NOWHERE}", "apiKey": "${NO_KEY}"})
    assert of_main(measure(office), "mcsync_held") == 0


def test_too_old_a_sync_ends_with_5_and_is_measured(office: Office):
    said = office.run("status", "--prometheus", "--max-age", "1h")
    assert said.code == 5
    assert of_main(samples(said), "mcsync_last_complete_sync_timestamp_seconds") == 0


@pytest.mark.parametrize("other", [["--json"], ["--reason", "opt-out"]])
def test_one_form_at_a_time(office: Office, other: list[str]):
    said = office.run("status", "--prometheus", *other)
    assert said.code == 2
    assert "cannot be combined" in said.out + said.err


def test_trouble_leaves_nothing_to_be_read_as_numbers(office: Office):
    office.cache.write_bytes(b"no cache at all, but long enough" * 100)
    said = office.run("status", "--prometheus")
    assert (said.code, said.out) == (74, "")


def test_who_does_not_ask_for_it_does_not_wait_for_it():
    """The library is imported for this option alone."""
    code = (
        "import sys, mcsync.cli.status, mcsync.cli.show_status;"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_the_manual_names_each_metric(office: Office):
    told = re.findall(r"^\| `(mcsync_\w+)` \|", read_topic("running"), re.MULTILINE)
    assert sorted(told) == sorted({name for name, _ in measure(office)})
