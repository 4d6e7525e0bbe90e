"""The recorded exchanges of a real CiviCRM, sorted into the sessions they were recorded in.

A session was recorded in one go on a fresh site. Here is the state it began with, the order of
its questions, and what was done in between without being recorded; the replay plays them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from mcsync.sandbox.civicrm import CivicrmSimulator
from mcsync.sandbox.civicrm.users import DELETE, SYNC_PERMISSIONS, TRASH

CASSETTES = Path(__file__).parent.parent / "cassettes" / "civicrm"
NAMES = sorted(path.stem for path in CASSETTES.glob("*.json"))
SYNC, ADMIN, NOPERM, NOAUTHX, NOCMS, NOTRASH = (
    "sync-key", "admin-key", "noperm-key", "noauthx-key", "nocms-key", "notrash-key",
)  # fmt: skip


# Not replayed, and why.
NOT_REPLAYED: dict[str, str] = {}


def recording(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CASSETTES / f"{name}.json").read_text("utf-8"))
    return loaded


def recorded_at(name: str) -> datetime:
    return parsedate_to_datetime(recording(name)["response"]["headers"]["Date"])


@dataclass
class Site:
    """A simulated site in the state that a session began with."""

    now: datetime
    sim: CivicrmSimulator = field(init=False)
    standalone: bool = False

    def __post_init__(self) -> None:
        asked, self.now = self.now, datetime(2026, 11, 22, 4, 26, 12, tzinfo=UTC)
        cms, offset = ("standalone", 0) if self.standalone else ("wordpress", 60)
        self.sim = CivicrmSimulator(
            lambda: self.now,
            offset,
            cms=cms,  # type: ignore[arg-type]
            api_key=SYNC,
            admin_api_key=ADMIN,
        )
        self.sim.grant(DELETE)
        noperm = frozenset({"authenticate with api key", "access CiviCRM"})
        self.sim.add_user(NOPERM, "noperm@example.org", noperm)
        self.sim.add_user(NOAUTHX, "keyonly@example.org", frozenset({"access CiviCRM"}))
        created = datetime(2026, 11, 22, 4, 26, 26, tzinfo=UTC)
        later = datetime(2026, 11, 22, 4, 27, 33, tzinfo=UTC)
        self.sim.update_contact(2, created_date=created, modified_date=later + timedelta(0, 1))
        self.sim.update_contact(3, created_date=later, modified_date=later)
        for user in (4, 5):
            moment = later + timedelta(seconds=1)
            self.sim.update_contact(user, created_date=moment, modified_date=moment)
        mine = {"created_id": 2, "modified_id": 2}
        public = {"visibility": "Public Pages", "name": "newsletter"}
        self.sim.add_group("Newsletter", **public, **mine)
        for name, title in (("events", "Interest: Events"), ("climate", "Interest: Climate")):
            more = {"name": f"interest_{name}", "group_type": [], **mine}
            self.sim.add_group(title, mailing=False, **more)
        self.now = asked

    def add_people(self, count: int, last_name: str) -> None:
        for i in range(count):
            address = f"{last_name.lower()}{i}@example.org"
            self.sim.add_contact(f"F{i}", last_name, [address])

    def api_members(self, *pairs: tuple[int, int], tracking: str | None = None) -> None:
        for contact_id, group_id in pairs:
            self.sim.add_to_group(contact_id, group_id, method="API", tracking=tracking)


@dataclass
class Session:
    """What was asked, in order; a function in between is what was done but not recorded."""

    steps: list[str | Callable[[Site], object]]
    prepare: Callable[[Site], object] = lambda site: None
    standalone: bool = False

    @property
    def names(self) -> list[str]:
        return [step for step in self.steps if isinstance(step, str)]


def after_first_saves(site: Site) -> None:
    """Row id 11 and history id 13 belong to a call that was not recorded."""
    site.api_members((11, 3))


WRITES = Session(
    [
        "contact-create-with-email-primary",
        "contact-get-after-create",
        "contact-create-with-chain-email",
        "contact-create-no-name",
        "contact-create-duplicate-email",
        "contact-create-duplicate-match",
        "contact-save-bulk",
        "contact-save-bulk-reload",
        "contact-save-bulk-one-bad-record",
        "contact-save-bulk-one-bad-record-after",
        "contact-update-email-primary",
        "email-get-after-update",
        "email-create-second",
        "email-create-invalid",
        "email-create-too-long",
        "email-create-case-space",
        "email-update-is-bulkmail",
        "email-update-on-hold-1",
        "email-get-on-hold",
        "email-get-on-hold-options",
        "email-update-on-hold-2",
        "email-update-on-hold-0",
        "email-get-on-hold-reset",
        "email-get-accent-insensitive",
        "email-get-trailing-space",
        "email-update-make-primary",
        "email-get-primary-moved",
        "groupcontact-get-empty",
        "groupcontact-create-added",
        "subscriptionhistory-get-after-create",
        "groupcontact-create-again-error",
        "groupcontact-create-again-error-admin",
        "groupcontact-create-default-status",
        "groupcontact-create-method-invalid",
        "groupcontact-create-method-too-long",
        "subscriptionhistory-get-after-odd-method",
        "groupcontact-update-removed",
        "groupcontact-update-same-status",
        "subscriptionhistory-get-after-updates",
        "groupcontact-save-match",
        "groupcontact-save-match-again",
        "subscriptionhistory-after-saves",
        "groupcontact-save-no-match-existing",
        after_first_saves,
        "groupcontact-create-pending",
        "groupcontact-create-bad-status",
        "groupcontact-delete",
        "subscriptionhistory-after-delete",
        "subscriptionhistory-create-denied",
        "subscriptionhistory-create-admin",
        "groupcontact-fields",
        "subscriptionhistory-fields",
        "groupcontact-explicit-join-email",
        "groupcontact-join-contact",
    ]
)


def rows_by_sql(site: Site) -> None:
    """Three history rows written straight into the database, of July, January and now."""
    utc = ((2026, 7, 1, 12), (2026, 1, 15, 12))
    for contact_id, parts in zip((6, 7), utc, strict=True):
        at = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]
        text = f"utc {at:%Y-%m-%d %H:%M:%S}"
        site.sim.add_to_group(contact_id, 3, method="API", tracking=text, at=at)
    site.now = recorded_at("date-where-after")
    site.sim.add_to_group(8, 3, method="API", tracking="utc now")


def touch_two_contacts(site: Site) -> None:
    """modified_date of both set back; then a membership of one and an email of the other."""
    old = datetime(2020, 1, 1, tzinfo=UTC)
    for contact_id in (6, 7):
        site.sim.update_contact(contact_id, modified_date=old)
    site.sim.add_to_group(6, 4)
    site.now = recorded_at("contact-modified-date-after-group-and-email")
    site.sim.update_email(site.sim.emails(7)[0].id, on_hold=1)


READS = Session(
    [
        "groupcontact-create-method-8-chars",
        "groupcontact-create-method-9-chars",
        "groupcontact-create-tracking-256-chars",
        "groupcontact-create-tracking-255-chars",
        "groupcontact-method-width-history",
        "groupcontact-save-partial-failure",
        "groupcontact-save-partial-failure-after",
        "groupcontact-save-partial-failure-history",
        "groupcontact-save-duplicate-in-one-call",
        "groupcontact-update-bulk-where",
        "groupcontact-update-no-match",
        "groupcontact-save-by-id",
        "groupcontact-get-noperm",
        "groupcontact-permission-noperm",
        "get-keyset-page",
        "get-limit-negative",
        "get-limit-string",
        "get-limit-zero",
        "get-offset-page",
        "get-row-count",
        "get-row-count-only",
        "get-where-in-empty",
        "get-where-like",
        "get-where-or",
        "get-where-field-compare",
        "get-where-is-null",
        "domain-get-version",
        "now-via-select-expression-group",
        "now-via-sql-function",
        "setting-timezone-get-admin",
        rows_by_sql,
        "subscriptionhistory-date-summer-winter",
        "date-where-local",
        "date-where-after",
        "date-where-compact",
        "date-where-epoch",
        "date-where-iso-offset",
        "date-where-iso-t",
        "date-where-iso-t-z",
        "date-where-dst-gap",
        "date-where-garbage",
        "date-where-relative",
        touch_two_contacts,
        "contact-modified-date-after-group-and-email",
        "contact-where-modified-date",
    ],
    lambda site: site.add_people(8, "Three"),
)


def six_members(site: Site) -> None:
    site.add_people(6, "Four")
    site.api_members(*((contact_id, 2) for contact_id in range(6, 12)))
    site.sim.store.tables["SavedSearch"].next_id = 55


TRASH_AND_GROUPS = Session(
    [
        "contact-delete-trash",
        "contact-get-trashed-in-both",
        "groupcontact-get-trashed-contact",
        "email-get-trashed-contact",
        "subscriptionhistory-get-trashed-contact",
        "groupcontact-update-trashed-contact",
        "contact-untrash",
        "contact-trash-by-update",
        "contact-delete-permanent",
        "contact-delete-permanent-after-groupcontact",
        "contact-delete-permanent-after-history",
        "contact-delete-permanent-after-email",
        "contact-delete-nonexistent",
        "email-delete",
        "groupcontact-get-contact-without-email",
        "savedsearch-create",
        "group-create-smart",
        "groupcontact-get-smart",
        "contact-get-groups-smart",
        "group-get-list",
        "groupcontactcache-get",
        "groupcontactcache-get-sync",
        "contact-get-groups-static",
        "group-create-duplicate-title",
        "group-update-title",
        "group-create-title-longer-than-name",
        "tag-get",
        "tag-create",
        "entitytag-create",
        "entitytag-create-again",
        "entitytag-save-match",
        "entitytag-get",
        "entitytag-delete",
        "contact-get-tags-pseudofield",
        "contact-create-unicode-markup",
        "contact-get-unicode-markup",
        "contact-get-where-last-name-markup",
        "contact-create-organization",
        "contact-create-external-identifier",
        "contact-create-external-identifier-again",
        "contact-update-opt-out",
        "contact-update-select-none",
        "contact-fields-email",
        "contact-get-duplicates",
    ],
    six_members,
)


def before_the_merge(site: Site) -> None:
    site.add_people(6, "Five")
    site.sim.trash(11)
    site.api_members((6, 2), (7, 2), (8, 2), (9, 2), (7, 3))


def smart_group(site: Site) -> None:
    site.sim.add_group("Smart five", smart_where=[["last_name", "=", "Five"]])
    assert site.sim.resolved_members(5) == {6, 8, 9, 10}


MERGE = Session(
    [
        "contact-get-trashed-default",
        "contact-get-trashed-by-id",
        "contact-get-trashed-explicit",
        "contact-get-trashed-both",
        "contact-get-trashed-keyset",
        "contact-update-trashed-by-email",
        "contact-merge",
        "contact-merge-after-groupcontact",
        "contact-merge-after-history",
        "contact-merge-after-email",
        "contact-get-merged-to",
        "contact-get-merged-to-sync",
        smart_group,
        "groupcontact-removed-from-smart",
        "contact-get-groups-smart-after-removed",
        lambda site: site.sim.refresh_group(5),
        "contact-get-groups-smart-after-refresh",
        "contact-get-join-group-bridge",
        "get-actions-groupcontact",
        "get-entities",
        "groupcontact-create-group-name-unknown",
        "groupcontact-get-group-name",
        "groupcontact-get-group-name-unknown",
        "groupcontact-get-select-default",
        "groupcontact-get-sync-state",
        "subscriptionhistory-get-latest",
    ],
    before_the_merge,
)

STANDALONE = Session([n for n in NAMES if n.startswith("standalone-")], standalone=True)


def database_goes(site: Site) -> None:
    site.sim.maintenance = False
    site.sim.database_down = True


WEB = Session(
    [
        *(n for n in NAMES if n.startswith(("url-form-", "auth-", "authx-"))),
        "error-post-action-over-get",
        "error-unknown-entity",
        "error-unknown-entity-admin",
        "error-unknown-action",
        "error-unknown-action-admin",
        "error-unknown-field-select",
        "error-unknown-field-where",
        "error-unknown-field-where-admin",
        "error-unknown-param",
        "error-unknown-param-admin",
        "error-bad-json-params",
        "error-bad-operator",
        "error-permission-contact-create",
        "error-permission-contact-get",
        "error-permission-group-create",
        "error-permission-group-update",
        "error-permission-setting-get",
        "error-delete-without-where",
        "error-update-without-where",
        "error-missing-mandatory",
        "error-missing-mandatory-admin",
        "get-where-not-in",
        "error-unknown-field-values",
        "error-json-body",
        "error-params-json-body-string",
        "query-params-in-url",
        "index-param-by-field",
        "index-param-first",
        "multi-call-all-fail",
        "multi-call-get-method",
        "multi-call-named",
        "multi-call-ok",
        "multi-call-one-fails",
        "contact-api-key-visible",
        "contact-get-select-api-key-admin",
        lambda site: setattr(site.sim, "maintenance", True),
        "error-maintenance-mode",
        database_goes,
        "error-database-down",
    ],
    lambda site: site.sim.add_user(NOCMS, cms_user=False),
)


def into_the_group(site: Site) -> None:
    site.now = recorded_at("subscriptionhistory-get-since-id")
    site.api_members((6, 2), (7, 2), tracking="t")


def into_the_trash(site: Site) -> None:
    site.sim.add_user(NOTRASH, permissions=SYNC_PERMISSIONS - {TRASH})
    site.sim.trash(6)


CHAINS = Session(
    [
        "email-create-mixed-case",
        "email-get-case-insensitive",
        "contact-create-chain-groupcontact",
        "contact-create-chain-failure",
        "contact-create-chain-failure-after",
        "contact-save-chain-groupcontact",
        into_the_group,
        "subscriptionhistory-get-since-id",
        "group-refresh",
        into_the_trash,
        *(n for n in NAMES if n.startswith("noperm-deleted-")),
    ],
    lambda site: site.add_people(5, "Six"),
)


def history_of_two_seasons(site: Site) -> None:
    site.add_people(1, "Seven")
    for month, day in ((7, 1), (1, 15)):
        at = datetime(2026, month, day, 12, tzinfo=UTC)
        text = f"utc {at:%Y-%m-%d %H:%M:%S}"
        site.sim.add_to_group(6, 2, method="API", tracking=text, at=at)


ZONES = Session(
    ["date-where-iso-z-off-by-one-hour", "date-where-iso-z-winter"], history_of_two_seasons
)
HOLD_AT_ONCE = Session(
    [lambda site: site.sim.update_email(6, on_hold=2), "email-get-on-hold-2-direct"],
    lambda site: site.add_people(1, "Eight"),
)
HOLD_AFTER_BOUNCE = Session(
    [
        lambda site: site.sim.update_email(6, on_hold=1),
        lambda site: site.sim.update_email(6, on_hold=2),
        "email-get-on-hold-2-after-1",
    ],
    lambda site: site.add_people(1, "Eight"),
)
SESSIONS = (
    WRITES,
    READS,
    TRASH_AND_GROUPS,
    MERGE,
    STANDALONE,
    WEB,
    CHAINS,
    ZONES,
    HOLD_AT_ONCE,
    HOLD_AFTER_BOUNCE,
)
SESSION_OF = {name: i for i, session in enumerate(SESSIONS) for name in session.names}

# Who asked, where it was neither the user of the sync nor an administrator.
ASKED_BY = {
    "groupcontact-get-noperm": NOPERM,
    "groupcontact-permission-noperm": NOPERM,
    "error-permission-contact-create": NOPERM,
    "error-permission-contact-get": NOPERM,
    "error-permission-group-create": NOPERM,
    "error-permission-group-update": NOPERM,
    "standalone-error-permission-contact-create": NOPERM,
    "auth-no-authx-permission": NOAUTHX,
    "standalone-auth-no-authx-permission": NOAUTHX,
    "auth-site-key-satisfies-guard": NOAUTHX,
    "auth-contact-without-cms-user": NOCMS,
    "auth-contact-without-cms-user-site-key": NOCMS,
    **{name: NOTRASH for name in NAMES if name.startswith("noperm-deleted-")},
}
ADMINS_TOO = ("savedsearch-create", "group-create-smart", "contact-merge", "groupcontactcache-get")
