"""The benchmarks' world is an honest one: mcsync finds in it what it finds in the simulators'."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from mcsync.assemble import build_run
from mcsync.cache.store import Store
from mcsync.config import load_config
from mcsync.pipeline.run import Report
from mcsync.pipeline.sync import sync
from mcsync.sandbox.town import API_KEY
from tests.benchmarks.server import Server, make_config
from tests.benchmarks.world import (
    FIRST_CONTACT,
    GROUP,
    LIST,
    VOLUNTEERING,
    VOLUNTEERS,
    World,
)
from tests.scenario.bedrock import Bedrock

SIZE = 60


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(World(SIZE)) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def run_sync(server: Server, folder: Path, *, data: bool = False) -> Report:
    path = folder / "config.json"
    path.write_text(json.dumps(make_config(server.url, data=data)))
    path.chmod(0o600)
    server.services.counter.clear()
    config, store = load_config(path, {}), Store(folder / "mcsync.db")
    try:
        run = build_run(config, config.audiences, store, with_data=data)
        sync(run)
        run.raise_troubles()
    finally:
        store.close()
    return run.reports[LIST]


def sync_until_quiet(server: Server, folder: Path, *, data: bool = False) -> int:
    """How many operations were sent until nothing more was."""
    sent = 0
    for _ in range(6):
        report = run_sync(server, folder, data=data)
        sent += report.operations_submitted
        if report.in_sync and not report.operations_submitted:
            return sent
    raise AssertionError("it does not come to rest")


def populate(bedrock: Bedrock, world: World) -> None:
    """The same people in the simulators."""
    for i in range(world.size):
        civicrm, email = bedrock.town.civicrm, world.email(i)
        emails = [email, f"other{i}@example.net"] if world.has_second_email(i) else [email]
        contact = civicrm.add_contact(world.first(i), world.last(i), emails)
        if world.was_in_group(i):
            civicrm.add_to_group(contact, GROUP)
            if world.first_place(i) == "Removed":
                civicrm.remove_from_group(contact, GROUP)
        if world.is_volunteer(i):
            civicrm.add_to_group(contact, VOLUNTEERS)
        bedrock.add_member(
            email,
            status=world.status_of(i),
            first_name=world.first(i),
            last_name=world.last(i),
            interests=[VOLUNTEERING] if world.is_volunteer(i) else [],
        )


def look(path: Path) -> list[tuple[object, ...]]:
    """Everybody as the cache has them, but for ids and times."""
    store = Store(path)
    try:
        return store.query(
            "SELECT r.email_key, r.mailchimp_status, r.sync_status, r.sync_reason, r.is_shared,"
            " json_extract(r.mailchimp_data, '$.first_name'),"
            " json_extract(r.mailchimp_data, '$.interest-cccccccccc'), k.first_name, k.last_name,"
            " (SELECT json_group_array(g.group_id || g.status) FROM"
            "   civicrm_mailchimpsync_group_contact g WHERE g.contact_id = k.contact_id),"
            " (SELECT count(*) FROM civicrm_mailchimpsync_email e"
            "   WHERE e.contact_id = k.contact_id)"
            " FROM civicrm_mailchimpsync_cache r LEFT JOIN civicrm_mailchimpsync_contact k"
            "  ON k.contact_id = r.civicrm_contact_id ORDER BY 1"
        ).fetchall()
    finally:
        store.close()


def test_it_is_the_same_world_as_in_the_simulators(server: Server, bedrock: Bedrock):
    (bedrock.folder / "fast").mkdir()
    report = run_sync(server, bedrock.folder / "fast")
    populate(bedrock, server.services.world)
    assert bedrock.sync() == 0
    assert bedrock.last_run is not None
    # Who was archived within the last second is asked for twice; the clocks are not the same.
    unlike = {"name": "", "members_fetched": 0}
    numbers = {**report.as_dict(), **unlike}
    assert numbers == {**bedrock.last_run.reports[LIST].as_dict(), **unlike}
    assert look(bedrock.folder / "fast/mcsync.db") == look(bedrock.folder / "mcsync.db")


def test_its_answers_have_the_shape_of_the_simulators(server: Server, bedrock: Bedrock):
    populate(bedrock, server.services.world)
    run_sync(server, bedrock.folder)
    names = ("id", "email_address", "status", "last_changed", "contact_id", "interests")
    fields = ",".join(f"members.{name}" for name in names) + ",total_items"
    query = urlencode({"fields": fields, "sort_field": "last_changed", "count": 5, "offset": 0})
    pages = []
    for url in (f"{server.url}/3.0", bedrock.town.api_url):
        asked = Request(  # noqa: S310  # loopback
            f"{url}/lists/{LIST}/members?{query}", headers={"Authorization": f"Bearer {API_KEY}"}
        )
        with urlopen(asked) as answer:  # noqa: S310
            pages.append(json.loads(answer.read()))
    fast, slow = pages
    assert fast["total_items"] == slow["total_items"]
    assert set(names) <= set(fast["members"][0])
    assert set(slow["members"][0]) == set(names)
    assert {type(v) for v in slow["members"][0].values()} == {
        type(fast["members"][0][name]) for name in names
    }


def test_a_quiet_run_asks_five_questions(server: Server, tmp_path: Path):
    assert run_sync(server, tmp_path).in_sync
    report = run_sync(server, tmp_path)
    assert report.in_sync
    assert report.todo == report.members_changed == 0
    assert server.services.counter == {"mailchimp": 2, "civicrm": 3}


@pytest.mark.parametrize("step", [3, 10])
def test_what_changes_there_arrives(server: Server, tmp_path: Path, step: int):
    run_sync(server, tmp_path)
    world = server.services.world
    changed = world.change(step, datetime.now(UTC).replace(microsecond=0))
    assert sync_until_quiet(server, tmp_path) > 0
    assert changed >= SIZE // step
    for i in range(SIZE):
        is_in = world.status_of(i) == "subscribed"
        if world.was_in_group(i):
            assert is_in == (world.place(GROUP, i) == "Added"), i + FIRST_CONTACT


def test_with_data_requests_do_not_grow_with_the_people(tmp_path: Path):
    """Issue 8: they do not depend on the number of contacts that did not change."""
    counts = []
    for size in (40, 400):
        folder = tmp_path / str(size)
        folder.mkdir()
        with Server(World(size)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            assert sync_until_quiet(server, folder, data=True) > size // 2
            assert sync_until_quiet(server, folder, data=True) == 0
            most = 0
            for _ in range(3):
                time.sleep(0.4)  # in one and the same second nothing can have been modified
                assert run_sync(server, folder, data=True).operations_submitted == 0
                most = max(most, server.services.counter["civicrm"])
            counts.append(most)
            server.shutdown()
    assert counts[0] == counts[1] <= 5
