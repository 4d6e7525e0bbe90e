"""Plain people: whoever of one shape is judged for all of them, the verdict is the same."""

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from mcsync.cache.persons import load_persons_of
from mcsync.cache.plain_people import Shape, load_alike
from mcsync.cache.rows import StoredRefusal, mark_due, mark_plain
from mcsync.cache.store import Store
from mcsync.cache.wanted_data import Wanted, begin_data, save_wanted
from mcsync.decision import InterestPolicy, Person, Policy, Reason, RowVerdict, SyncStatus
from mcsync.model import Side
from mcsync.reconcile.enforce import decide

LIST, GROUP = "aaaaaaaaaa", 111
INTERESTS = {"cccccccccc": InterestPolicy(222), "dddddddddd": InterestPolicy(333, True)}


def many_interests(count: int) -> dict[str, InterestPolicy]:
    """So many that a join for each would be too many; every third is push-only."""
    return {f"i{n:09}": InterestPolicy(1000 + n, n % 3 == 0) for n in range(count)}


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
    "moved": replace(PLAIN, moved_at=datetime(2026, 11, 21, tzinfo=UTC)),
    "skips-duplicates": replace(PLAIN, skips_duplicates=True, may_reconfirm=False),
    "62 interests": replace(PLAIN, interests=many_interests(62)),
    "200 interests": replace(PLAIN, interests=many_interests(200)),
}
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "archived", "transactional", None)
REASONS = ("left-at-mailchimp", "added-in-civicrm", "trust-mailchimp")


class Crowd:
    """People in the cache, each with some luck."""

    def __init__(self, store: Store, seed: int, policy: Policy = PLAIN) -> None:
        self.store = store
        self.luck = random.Random(seed)
        self.interests = dict(policy.interests) or INTERESTS

    def gather(self, count: int) -> None:
        with self.store.atomic():
            for number in range(count):
                self.add(number)

    def chance(self, share: float) -> bool:
        return self.luck.random() < share

    def rarely(self) -> bool:
        return self.chance(0.03)

    def time(self) -> str:
        return f"2026-11-2{self.luck.randint(0, 2)}T00:00:00Z"

    def insert(self, table: str, values: Mapping[str, object]) -> int:
        cursor = self.store.query(
            f"INSERT INTO civicrm_mailchimpsync_{table} ({', '.join(values)})"  # noqa: S608
            f" VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )
        return int(cursor.lastrowid or 0)

    def add(self, number: int) -> None:
        luck, contact = self.luck, number + 1000
        names = {
            "first_name": luck.choice(("Fred", "Fred", "")),
            "last_name": luck.choice(("Flint", "Flint", "Rubble")),
        }
        flags = ("is_deleted", "is_deceased", "is_opt_out", "do_not_email", "is_unseen")
        times = ("modified_at", "first_name_at", "last_name_at", "gate_closed_at")
        self.insert(
            "contact",
            {
                "contact_id": contact,
                **names,
                **{flag: self.rarely() for flag in flags},
                **{name: self.time() for name in times},
            },
        )
        self.add_email(contact, contact if not self.rarely() else contact + 1)
        if self.chance(0.2):
            self.add_email(contact, luck.choice((contact + 1, -contact)))
        chosen = luck.sample(sorted(self.interests), 2)
        groups = [self.interests[interest].group_id for interest in chosen]
        for group, share in ((GROUP, 0.9), (groups[0], 0.3), (groups[1], 0.1)):
            if self.chance(share):
                self.add_place(group, contact)
        self.add_row(number, contact, chosen[:1] if self.chance(0.8) else chosen, names)

    def add_email(self, contact: int, key: int) -> None:
        email = f"P{key}@example.org"
        self.insert(
            "email",
            {
                "contact_id": contact,
                "email": email,
                "email_key": email.lower(),
                "is_primary": True,
                "is_bulkmail": self.rarely(),
                "on_hold": self.rarely(),
            },
        )

    def add_place(self, group: int, contact: int) -> None:
        """There, or known to have been there; said by somebody, or by nobody."""
        says_in = self.luck.choice((None, 0, 1, 1))
        self.insert(
            "group_contact",
            {
                "group_id": group,
                "contact_id": contact,
                "status": self.luck.choice(("Added", "Added", "Removed", "Pending", None)),
                "says_in": says_in,
                "said_at": None if says_in is None else self.time(),
            },
        )

    def add_row(
        self, number: int, contact: int, interests: list[str], names: Mapping[str, str]
    ) -> None:
        luck, status = self.luck, self.luck.choice(STATUSES[:2] * 3 + STATUSES)
        email = f"P{contact}@example.org"
        data = {**self.say_status(status), **self.say_names(names)}
        for interest in interests:
            data |= self.say_interest(f"interest-{interest}")
        row_id = self.insert(
            "cache",
            {
                "mailchimp_list_id": LIST if not self.rarely() else "bbbbbbbbbb",
                "mailchimp_member_id": f"hash{contact}" if not self.rarely() else None,
                "mailchimp_email": email if not self.rarely() else "elsewhere@example.org",
                "email_key": email.lower(),
                "mailchimp_status": status,
                "mailchimp_data": None if self.rarely() else msgspec.json.encode(data).decode(),
                "civicrm_contact_id": luck.choice((None, contact + 1))
                if self.rarely()
                else contact,
                "due": 0 if self.rarely() else luck.randint(1, 3),
                "mark": luck.choice(("ok", "fail")),
                "is_shared": self.rarely(),
                "moved_from": "before@example.org" if self.rarely() else None,
                "lost_contact_id": 5 if self.rarely() else None,
                "lost_at": self.time() if self.rarely() else None,
                "refusals": self.refuse(email.lower()) if self.chance(0.1) else None,
                "reconfirmed_at": self.time() if self.rarely() else None,
                "owned_by": luck.choice((None, contact, 7)),
                "agreed": self.agree(interests) if self.chance(0.5) else None,
                "undone": self.undo() if self.chance(0.1) else None,
            },
        )
        if self.rarely():
            self.insert(
                "update",
                {
                    "mailchimpsync_cache_id": row_id,
                    "data": '{"email": "p@example.org", "status": "pending"}',
                    "cause": '{"reason": "compliance-state"}',
                    "created_at": self.time(),
                },
            )

    def say_status(self, status: str | None) -> dict[str, object]:
        """A status, by whom, and what was said where it is another."""
        data: dict[str, object] = {"status": status}
        if status != "transactional" and not self.rarely():
            data["status@"] = self.time()
            if self.chance(0.2):
                data["status!"] = self.luck.random() < 0.5
        if status == "unsubscribed":
            data |= self.luck.choice(({}, {"left": True}, {"met": True}))
        elif status == "archived" and self.chance(0.3):
            data["met"] = True
        return data

    def say_names(self, names: Mapping[str, str]) -> dict[str, object]:
        data: dict[str, object] = {}
        for name, value in names.items():
            data |= {name: value if not self.rarely() else "Bamm", f"{name}@": self.time()}
            if self.rarely():
                data[f"{name}!"] = "Pebbles"
        return data

    def say_interest(self, name: str) -> dict[str, object]:
        if self.chance(0.5):
            return {}
        data: dict[str, object] = {name: self.luck.random() < 0.5}
        if not self.chance(0.1):
            data[f"{name}@"] = self.time()
        if self.chance(0.1):
            data[f"{name}!"] = self.luck.random() < 0.5
        return data

    def refuse(self, key: str) -> str:
        refusal = StoredRefusal(key, "forgotten-email", {"subscribe": self.time()})
        return msgspec.json.encode([refusal]).decode()

    def undo(self) -> str:
        marks = {f"group/{GROUP}": (self.time(), "0badcafe", self.time(), "")}
        return msgspec.json.encode(marks).decode()

    def agree(self, interests: list[str]) -> str:
        """What was agreed: about this, about other things, or about another group."""
        of = [f"subscription/{GROUP}"] * 3 + ["subscription/99"]
        for interest in interests:
            of += [f"{interest}/{self.interests[interest].group_id}"] * 2 + [f"{interest}/99"]
        chosen = self.luck.sample(of, self.luck.randint(1, 3))
        return msgspec.json.encode(
            {
                topic: [self.luck.random() < 0.5, self.time(), self.luck.choice(REASONS)]
                for topic in chosen
            }
        ).decode()


def load_shapes(store: Store, policy: Policy) -> list[tuple[Shape, list[int]]]:
    """Each shape as it comes, with its rows."""
    return [
        (alike.shape, list(alike.row_ids)) for chunk in load_alike(store, policy) for alike in chunk
    ]


def load_plain(store: Store, policy: Policy) -> list[int]:
    return sorted(row_id for _, row_ids in load_shapes(store, policy) for row_id in row_ids)


def judge(person: Person, policy: Policy) -> tuple[object, ...] | None:
    """The verdict as it is given to all of a shape; None where each is judged by themselves."""
    decision = decide(person, policy)
    (verdict,) = decision.verdicts
    is_quiet = decision.is_empty and not decision.agreements
    return (verdict.sync_status, verdict.reason) if is_quiet else None


# What must have come up among those whose shapes were compared, or nothing was proved.
TRIED = {
    "muted, or overwritten": "json_extract(mailchimp_data, '$.\"status!\"') IS NOT NULL",
    "left": "json_extract(mailchimp_data, '$.left')",
    "met": "json_extract(mailchimp_data, '$.met')",
    "silent": "json_extract(mailchimp_data, '$.\"status@\"') IS NULL",
    "an agreement": f"json_extract(agreed, '$.\"subscription/{GROUP}\"[0]') = 1",
    "another agreement": "agreed LIKE '%\"subscription/99\"%'",
    "agreed about an interest": "agreed LIKE '%/222%' OR agreed LIKE '%/10__\"%'",
    "an interest overwritten": "mailchimp_data LIKE '%\"interest-%!\":%'",
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_all_people_of_a_shape_get_the_same_verdict(store: Store, policy: Policy, seed: int):
    Crowd(store, seed, policy).gather(2500 if len(policy.interests) < 10 else 1200)
    verdicts: dict[Shape, set[object]] = defaultdict(set)
    sizes: dict[Shape, int] = defaultdict(int)
    for shape, row_ids in load_shapes(store, policy):
        for person in load_persons_of(store, policy, row_ids):
            assert person.contact is not None
            assert len(person.rows) == 1
            assert not person.shared + person.sharers + person.rivals
            assert not person.is_under_way
            verdicts[shape].add(judge(person, policy))
            sizes[shape] += 1
    assert {shape: found for shape, found in verdicts.items() if len(found) > 1} == {}
    plain = load_plain(store, policy)
    assert sum(sizes.values()) == len(plain) > 200
    assert sum(size > 1 for size in sizes.values()) > 5
    assert {frozenset(found) for found in verdicts.values()} > {frozenset({None})}
    for what, sql in TRIED.items():
        (count,) = store.query(
            f"SELECT count(*) FROM civicrm_mailchimpsync_cache WHERE ({sql})"  # noqa: S608
            " AND id IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(plain).decode(),),
        ).fetchone()
        assert count > 3, what


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_no_row_comes_twice_and_chunks_leave_nobody_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int
):
    Crowd(store, 3).gather(200)
    at_once = load_plain(store, PLAIN)
    monkeypatch.setattr("mcsync.cache.plain_people.CHUNK", size)
    assert load_plain(store, PLAIN) == at_once
    assert len(set(at_once)) == len(at_once) > 30


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_rows_may_be_marked_between_two_chunks(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int
):
    Crowd(store, 4).gather(60)
    before = load_plain(store, PLAIN)
    monkeypatch.setattr("mcsync.cache.plain_people.CHUNK", size)
    found = []
    for chunk in load_alike(store, PLAIN):
        with store.atomic():
            for alike in chunk:
                found += list(alike.row_ids)
                mark_plain(store, alike.row_ids, alike.due, VERDICT, with_data=True)
    assert sorted(found) == before


VERDICT = RowVerdict(0, SyncStatus.OK, Reason.IN_AGREEMENT)


def mark_all(store: Store, *, with_data: bool = True) -> list[int]:
    """Mark all who are plain with one verdict; the rows."""
    marked = []
    with store.atomic():
        for chunk in list(load_alike(store, PLAIN)):
            for alike in chunk:
                mark_plain(store, alike.row_ids, alike.due, VERDICT, with_data=with_data)
                marked += list(alike.row_ids)
    return marked


@pytest.mark.parametrize("with_data", [True, False])
def test_marked_rows_are_no_longer_to_do(store: Store, with_data: bool):
    Crowd(store, 4).gather(50)
    marked = mark_all(store, with_data=with_data)
    assert load_plain(store, PLAIN) == []
    rows = store.query(
        "SELECT sync_status, sync_reason, due, owned_by = civicrm_contact_id, is_data_due"
        " FROM civicrm_mailchimpsync_cache WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(marked).decode(),),
    ).fetchall()
    assert set(rows) == {("ok", "in-agreement", 0, 1, int(not with_data))}


def test_a_plain_row_that_learned_something_meanwhile_stays_in_the_queue(store: Store):
    Crowd(store, 4).gather(200)
    (chunk,) = load_alike(store, PLAIN)
    alike = max(chunk, key=lambda each: len(each.row_ids))
    assert len(alike.row_ids) > 1
    learned = alike.row_ids[0]
    with store.atomic():
        mark_due(store, [learned])
        mark_plain(store, alike.row_ids, alike.due, VERDICT, with_data=True)
    assert set(load_plain(store, PLAIN)) & set(alike.row_ids) == {learned}


def test_rows_of_which_a_plugin_wants_something_are_left_out(store: Store):
    Crowd(store, 5).gather(50)
    begin_data(store)
    before = set(load_plain(store, PLAIN))
    wanted = min(before)
    with store.atomic():
        save_wanted(store, {wanted: Wanted(tags={"Donor": True})})
    after = {
        row_id
        for chunk in load_alike(store, PLAIN, asks_plugins=True)
        for alike in chunk
        for row_id in alike.row_ids
    }
    assert after == before - {wanted}


@pytest.mark.parametrize("odd", ["on_hold = 1", "email = ''"])
def test_whose_address_stands_twice_and_once_is_of_no_use_is_not_plain(store: Store, odd: str):
    Crowd(store, 6).gather(50)
    before = set(load_plain(store, PLAIN))
    chosen = min(before)
    contact_id: int = store.value(
        "SELECT civicrm_contact_id FROM civicrm_mailchimpsync_cache WHERE id = ?", (chosen,)
    )
    columns = "contact_id, email, email_key, is_primary, is_bulkmail, on_hold"
    with store.atomic():
        store.query(
            f"INSERT INTO civicrm_mailchimpsync_email ({columns}) SELECT {columns}"  # noqa: S608
            " FROM civicrm_mailchimpsync_email WHERE contact_id = ?",
            (contact_id,),
        )
    assert set(load_plain(store, PLAIN)) == before
    with store.atomic():
        store.query(
            f"UPDATE civicrm_mailchimpsync_email SET {odd}"  # noqa: S608
            " WHERE email_id = (SELECT max(email_id) FROM civicrm_mailchimpsync_email)"
        )
    assert set(load_plain(store, PLAIN)) == before - {chosen}
