"""People of one shape: whoever is judged for all of them, the verdict is the same."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from mcsync.cache.alike import load_alike, mark_alike
from mcsync.cache.data import Wanted, begin_data, save_wanted
from mcsync.cache.people import load_persons_of
from mcsync.cache.store import Store
from mcsync.model import InterestPolicy, Policy, Reason, RowVerdict, Side, SyncStatus
from mcsync.reconcile.enforce import decide

LIST, GROUP = "aaaaaaaaaa", 111
INTERESTS = {"cccccccccc": InterestPolicy(222), "dddddddddd": InterestPolicy(333, True)}
PLAIN = Policy(LIST, GROUP)
POLICIES = {
    "subscription": PLAIN,
    "interests": replace(PLAIN, interests=INTERESTS),
    "archiving": replace(PLAIN, removes_by_archiving=True, interests=INTERESTS),
    "trust-mailchimp": replace(PLAIN, trust={"subscription": Side.MAILCHIMP}),
    "trust-civicrm": replace(
        PLAIN, interests=INTERESTS, trust=dict.fromkeys(("subscription", *INTERESTS), Side.CIVICRM)
    ),
    "names": replace(PLAIN, syncs_names=True, name_tags=frozenset(("FNAME", "LNAME"))),
    "one-name": replace(PLAIN, syncs_names=True, name_tags=frozenset(("NAME",))),
    "skips-duplicates": replace(PLAIN, skips_duplicates=True),
}
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "archived", "transactional", None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "mcsync.db")
    yield opened
    opened.close()


class Crowd:
    """People in the cache, each with some luck."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.luck = random.Random(seed)

    def rarely(self) -> bool:
        return self.luck.random() < 0.04

    def time(self) -> str:
        return f"2026-11-2{self.luck.randint(0, 2)}T00:00:00Z"

    def add(self, number: int) -> None:
        luck, contact = self.luck, number + 1000
        names = [luck.choice(("Fred", "")), luck.choice(("Flint", "Flint", "Rubble"))]
        flags = [self.rarely() for _ in range(4)]
        self.store.query(
            "INSERT INTO civicrm_mailchimpsync_contact (contact_id, first_name, last_name,"
            " is_deleted, is_deceased, is_opt_out, do_not_email, modified_at, first_name_at,"
            " last_name_at, gate_closed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (contact, *names, *flags, self.time(), self.time(), self.time(), self.time()),
        )
        self.add_email(contact, contact if not self.rarely() else contact + 1)
        if luck.random() < 0.2:
            self.add_email(contact, luck.choice((contact + 1, -contact)))
        for group, share in ((GROUP, 0.9), (222, 0.15), (333, 0.15)):
            if luck.random() < share:
                says = luck.choice((None, 0, 1, 1))
                self.store.query(
                    "INSERT INTO civicrm_mailchimpsync_group_contact (group_id, contact_id, status,"
                    " says_in, said_at) VALUES (?, ?, ?, ?, ?)",
                    (
                        group,
                        contact,
                        luck.choice(("Added", "Added", "Removed", "Pending", None)),
                        says,
                        None if says is None else self.time(),
                    ),
                )
        self.add_row(number, contact, names)

    def add_email(self, contact: int, key: int) -> None:
        self.store.query(
            "INSERT INTO civicrm_mailchimpsync_email (contact_id, email, email_key, is_primary,"
            " is_bulkmail, on_hold) VALUES (?, ?, ?, 1, ?, ?)",
            (contact, f"P{key}@example.org", f"p{key}@example.org", self.rarely(), self.rarely()),
        )

    def add_row(self, number: int, contact: int, names: list[str]) -> None:
        luck, status = self.luck, self.luck.choice(STATUSES[:1] * 4 + STATUSES)
        data: dict[str, object] = {"status": status, "status@": self.time()}
        data |= {"first_name": names[0], "first_name@": self.time(), "last_name@": self.time()}
        data["last_name"] = "Flint"
        if status == "unsubscribed" and luck.random() < 0.2:
            data["gated"] = True
        for interest in INTERESTS:
            if luck.random() < 0.2:
                data[f"interest-{interest}"] = luck.random() < 0.5
                data[f"interest-{interest}@"] = self.time()
        row = {
            "mailchimp_list_id": LIST if not self.rarely() else "bbbbbbbbbb",
            "mailchimp_member_id": f"hash{contact}" if not self.rarely() else None,
            "mailchimp_email": f"P{contact}@example.org",
            "email_key": f"p{contact}@example.org",
            "mailchimp_status": status,
            "mailchimp_data": msgspec.json.encode(data).decode() if not self.rarely() else None,
            "civicrm_contact_id": luck.choice((None, contact + 1)) if self.rarely() else contact,
            "sync_status": "ok" if self.rarely() else "todo",
            "is_shared": self.rarely(),
            "moved_from": "before@example.org" if self.rarely() else None,
            "lost_contact_id": 5 if self.rarely() else None,
            "refused_at": self.time() if self.rarely() else None,
            "refusal": "forgotten-email" if self.rarely() else None,
            "reconfirmed_at": self.time() if self.rarely() else None,
            "owned_by": luck.choice((None, contact, 7)),
        }
        names_of = ", ".join(row)
        cursor = self.store.query(
            f"INSERT INTO civicrm_mailchimpsync_cache ({names_of})"  # noqa: S608
            f" VALUES ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )
        if self.rarely():
            self.store.query(
                "INSERT INTO civicrm_mailchimpsync_update (mailchimpsync_cache_id,"
                " mailchimpsync_batch_id, data, cause, created_at) VALUES (?, ?, ?, ?, ?)",
                (
                    cursor.lastrowid,
                    luck.choice((None, 1)),
                    '{"email": "p@example.org", "status": "pending"}',
                    '{"reason": "compliance-state"}',
                    self.time(),
                ),
            )


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_all_people_of_a_shape_get_the_same_verdict(store: Store, policy: Policy, seed: int):
    crowd = Crowd(store, seed)
    with store.atomic():
        for number in range(1500):
            crowd.add(number)
    verdicts = defaultdict(set)
    sizes: dict[object, int] = defaultdict(int)
    for chunk in load_alike(store, policy):
        for alike in chunk:
            for row_id in alike.row_ids:
                (person,) = load_persons_of(store, policy, [row_id]).people
                assert len(person.rows) == len(person.contacts) == 1
                decision = decide(person, policy)
                kind = decision.verdicts[0] if decision.is_empty else None
                verdicts[alike.shape].add(kind and (kind.sync_status, kind.reason))
                sizes[alike.shape] += 1
    assert all(len(found) == 1 for found in verdicts.values())
    assert sum(sizes.values()) > 200  # else nothing was proved
    assert sum(size > 1 for size in sizes.values()) > 15
    assert any(found != {None} for found in verdicts.values())


def test_no_row_comes_twice_and_chunks_leave_nobody_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    crowd = Crowd(store, 3)
    with store.atomic():
        for number in range(300):
            crowd.add(number)
    at_once = [i for chunk in load_alike(store, PLAIN) for a in chunk for i in a.row_ids]
    monkeypatch.setattr("mcsync.cache.alike.CHUNK", 7)
    in_parts = [i for chunk in load_alike(store, PLAIN) for a in chunk for i in a.row_ids]
    assert sorted(at_once) == sorted(in_parts)
    assert len(set(at_once)) == len(at_once) > 50


def test_marked_rows_are_no_longer_to_do(store: Store):
    crowd = Crowd(store, 4)
    with store.atomic():
        for number in range(50):
            crowd.add(number)
    chunk = next(load_alike(store, PLAIN))
    with store.atomic():
        for alike in chunk:
            verdict = RowVerdict(0, SyncStatus.OK, Reason.IN_AGREEMENT)
            mark_alike(store, alike.row_ids, verdict, with_data=True)
    assert not next(load_alike(store, PLAIN))
    marked = [i for alike in chunk for i in alike.row_ids]
    rows = store.query(
        "SELECT sync_status, sync_reason, owned_by = civicrm_contact_id, is_data_due"
        " FROM civicrm_mailchimpsync_cache WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(marked).decode(),),
    ).fetchall()
    assert set(rows) == {("ok", "in-agreement", 1, 0)}


def test_rows_of_which_a_plugin_wants_something_are_left_out(store: Store):
    crowd = Crowd(store, 5)
    with store.atomic():
        for number in range(50):
            crowd.add(number)
    begin_data(store)
    before = {i for chunk in load_alike(store, PLAIN) for a in chunk for i in a.row_ids}
    wanted = min(before)
    with store.atomic():
        save_wanted(store, {wanted: Wanted(tags={"Donor": True})})
    after = {
        i for chunk in load_alike(store, PLAIN, asks_plugins=True) for a in chunk for i in a.row_ids
    }
    assert after == before - {wanted}
