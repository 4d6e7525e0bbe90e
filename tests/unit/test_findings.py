"""Every finding of `mcsync check` by its code: from facts, without any service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mcsync.cache.audience_status import HELD, KnownTrouble
from mcsync.cache.counts import FirstSync
from mcsync.check.extensions import (
    Extension,
    find_route,
    judge_batches,
    judge_elsewhere,
    judge_extension_webhooks,
    judge_own_address,
    judge_switching,
)
from mcsync.check.findings import (
    SEVERITIES,
    AudienceToCheck,
    Finding,
    Severity,
    Trouble,
    judge_account,
    judge_additions,
    judge_audience,
    judge_config,
    judge_contact_fields,
    judge_data,
    judge_data_fields,
    judge_first_sync,
    judge_groups,
    judge_interests,
    judge_merge_fields,
    judge_move,
    judge_nested,
    judge_others,
    judge_plugins,
    judge_sight,
    judge_site,
    judge_tag_groups,
    judge_troubles,
    judge_values,
)
from mcsync.check.webhook_findings import (
    EVENTS,
    SOURCES,
    Fix,
    FixKind,
    WantedDoor,
    WantedHook,
    find_extension_hooks,
    find_unsigned,
    judge_address,
    judge_batch_webhooks,
    judge_door,
    judge_door_answer,
    judge_wanted,
    judge_webhooks,
    plan_fixes,
    show_url,
)
from mcsync.model import (
    Account,
    Audience,
    Batch,
    BatchWebhook,
    Group,
    MergeField,
    Permission,
    Webhook,
)
from mcsync.plugins.fields import find_problem

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
LIST = "aaaaaaaaaa"
SECRET = "yabbadabba"
TASK = AudienceToCheck(LIST, "Main audience", 111, {"cccccccccc": 222})
URL = f"https://crm.example.org/mcsync/webhook?secret={SECRET}"
LONG = "-and-something-long-and-random"
WANTED = WantedHook(URL, (SECRET,))
DOOR = WantedDoor(SECRET + LONG, "https://crm.example.org/mcsync/civicrm-hook")
EXTENSIONS_URL = "https://crm.example.org/civicrm/mailchimpsync/webhook?secret=yabba"
OPEN = WantedHook("https://crm.example.org/mcsync/webhook")
FNAME = MergeField("FNAME", "First name", "text", False)
NEED = MergeField("NEED", "Needed", "text", True)
ADDRESS = MergeField("ADDRESS", "Address", "address", False)


def group(
    group_id: int,
    *,
    active: bool = True,
    smart: bool = False,
    mailing: bool = True,
    access: bool = False,
) -> Group:
    return Group(group_id, f"Group {group_id}", active, smart, mailing, access)


def account(role: str = "owner", skew_s: float = 0) -> Account:
    return Account("1", "Bedrock", role=role, served_at=NOW + timedelta(seconds=skew_s))


def hook(
    url: str = URL,
    webhook_id: str = "h1",
    events: Mapping[str, bool] | None = None,
    sources: Mapping[str, bool] | None = None,
) -> Webhook:
    return Webhook(webhook_id, url, {**EVENTS, **(events or {})}, {**SOURCES, **(sources or {})})


def audience(*, double: bool = False) -> dict[str, Audience]:
    return {LIST: Audience(LIST, "Main audience", double, 3)}


def codes(findings: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def hooks(*found: Webhook, wanted: WantedHook = WANTED) -> list[str]:
    return codes(judge_webhooks("Main audience", wanted, found, LIST))


def batch(*found: BatchWebhook, wanted: WantedHook | None = WANTED) -> list[str]:
    return codes(judge_batch_webhooks("account Bedrock", wanted, found))


def groups(*found: Group) -> list[str]:
    return codes(judge_groups(TASK, {each.group_id: each for each in found}, {}))


def trouble(service: str, kind: str) -> list[str]:
    return [Trouble(kind, "no", "hint").as_finding(service, "there").code]


def known_trouble(key: str) -> KnownTrouble:
    return KnownTrouble(key, "x", "Main audience: it is so", "do this", "2026-11-22T10:00:00Z")


def nested(*counts: tuple[int, int]) -> list[str]:
    return codes(judge_nested(TASK, {111: group(111), 222: group(222)}, dict(counts), {}))


def additions(
    in_group: int = 10, subscribed: int | None = 0, *, limited: bool = False, there: bool = True
) -> list[str]:
    task = replace(TASK, limits_additions=limited)
    return codes(judge_additions(task, group(111) if there else None, in_group, subscribed))


def moved(*, at: datetime) -> list[str]:
    return codes(judge_move(replace(TASK, moved_at=at), NOW))


BOTH = (group(111), group(222))
FOUND = {
    "mailchimp-key-refused": trouble("mailchimp", "key-refused"),
    "mailchimp-unreachable": trouble("mailchimp", "unreachable"),
    "mailchimp-refused": trouble("mailchimp", "refused"),
    "mailchimp-odd-answer": trouble("mailchimp", "odd-answer"),
    "civicrm-key-refused": trouble("civicrm", "key-refused"),
    "civicrm-unreachable": trouble("civicrm", "unreachable"),
    "civicrm-permission": trouble("civicrm", "permission"),
    "civicrm-odd-answer": trouble("civicrm", "odd-answer"),
    "role-too-low": codes(judge_account("x", account("viewer"), NOW)),
    "clock-mailchimp": codes(judge_account("x", account(skew_s=61), NOW)),
    "list-gone": codes(judge_audience(TASK, {})),
    "double-opt-in": codes(judge_audience(TASK, audience(double=True))),
    "names-missing": codes(judge_merge_fields(TASK, [ADDRESS], ())),
    "required-field": codes(judge_merge_fields(TASK, [FNAME, NEED], {"FNAME"})),
    "interest-gone": codes(judge_interests(TASK, {"dddddddddd": "Topics: Other"})),
    "merge-field-unusable": codes(
        judge_data_fields(TASK, [FNAME], {"JOB": "job_title"}, find_problem)
    ),
    "values-left-out": codes(judge_values(TASK, {("PET", "not a date"): 2})),
    "tag-group-gone": codes(judge_tag_groups({111: "VIP"}, {})),
    "group-gone": groups(group(222)),
    "group-disabled": groups(group(111, active=False), group(222)),
    "group-smart": groups(group(111, smart=True), group(222)),
    "group-not-mailing": groups(group(111, mailing=False), group(222)),
    "group-access-control": groups(group(111), group(222, access=True)),
    "group-nested": nested((111, 2)),
    "group-changed-by-others": codes(judge_others(replace(TASK, moved_at=NOW), {111: 2, 9: 1})),
    "additions-unlimited": additions(),
    "first-sync": codes(judge_first_sync(TASK, FirstSync())),
    "names-not-synced": codes(judge_data(False, ())),
    "cache-unusable": trouble("cache", "unusable"),
    "interest-group-gone": groups(group(111)),
    "interest-group-disabled": groups(group(111), group(222, active=False)),
    "interest-group-smart": groups(group(111), group(222, smart=True)),
    "clock-civicrm": codes(judge_site(NOW, NOW - timedelta(seconds=61), None)),
    "civicrm-url": codes(judge_site(NOW, NOW, "https://x.org/?civiwp=CiviCRM&q=civicrm/ajax/api4")),
    "civicrm-may-not-write": codes(judge_sight(True, [Permission.ADD])),
    "trash-unseen": codes(judge_sight(False, ())),
    "civicrm-field-unknown": codes(judge_contact_fields({"JOB": ["job_titel"]}, ["job_titel"])),
    "plugin-not-loaded": codes(judge_plugins({"no.such": "ModuleNotFoundError"})),
    "plan-held": codes(judge_troubles(TASK, [known_trouble(HELD)])),
    "sync-trouble": codes(judge_troubles(TASK, [known_trouble("config-error: x")])),
    "config-warning": codes(judge_config(["config.json holds a key; chmod it"])),
    "webhook-unset": codes(judge_wanted("x", None)),
    "webhook-no-secret": codes(judge_wanted("x", OPEN)),
    "webhook-secret-short": codes(judge_wanted("x", WantedHook(URL, (SECRET,), True))),
    "webhook-no-signature": codes(judge_wanted("x", WantedHook(URL + LONG))),
    "webhook-silent": codes(judge_address("x", WANTED, 404)),
    "civicrm-hook-untried": codes(judge_door(WantedDoor(SECRET + LONG))),
    "civicrm-hook-silent": codes(judge_door_answer(DOOR, 404)),
    "civicrm-hook-secret": codes(judge_door_answer(DOOR, 401)),
    "webhook-missing": hooks(),
    "webhook-duplicated": hooks(hook(), hook(webhook_id="h2")),
    "webhook-events": hooks(hook(events={"upemail": False})),
    "webhook-sources": hooks(hook(sources={"admin": False})),
    "webhook-loop": hooks(hook(sources={"api": True})),
    "webhook-secret": hooks(hook(URL.replace("yabba", "dabba"))),
    "webhook-url": hooks(hook(URL.replace("https", "http"))),
    "webhook-foreign": hooks(hook(), hook("https://elsewhere.example/hook", "h2")),
    "batch-webhook-unset": batch(wanted=None),
    "batch-webhook-missing": batch(),
    "batch-webhook-duplicated": batch(BatchWebhook("1", URL, True), BatchWebhook("2", URL, True)),
    "batch-webhook-disabled": batch(BatchWebhook("1", URL, False)),
    "batch-webhook-secret": batch(BatchWebhook("1", OPEN.url, True)),
    "batch-webhook-url": batch(BatchWebhook("1", URL.replace("https", "http"), True)),
    "batch-webhook-foreign": batch(
        BatchWebhook("1", URL, True), BatchWebhook("2", "https://elsewhere.example/", True)
    ),
    "webhook-of-extension": codes(judge_own_address("x", EXTENSIONS_URL, "y", LIST)),
    "extension-webhook": codes(
        judge_extension_webhooks("x", [(hook(EXTENSIONS_URL), "y")], LIST),
    ),
    "extension-batch-webhook": codes(
        judge_extension_webhooks("x", [(BatchWebhook("1", EXTENSIONS_URL, True), "y")])
    ),
    "moved-at-ahead": moved(at=NOW + timedelta(hours=1)),
    "extension-elsewhere": codes(
        judge_elsewhere("x", [(BatchWebhook("1", EXTENSIONS_URL, True), "y")])
    ),
    "extension-at-work": codes(judge_switching({Extension.MAILCHIMPSYNC})),
    "batches-under-way": codes(
        judge_batches(
            "x",
            [
                Batch("1", "finished", 5, 5, 0, NOW),
                Batch("2", "started", 5, 1, 0, NOW),
                Batch("3", "started", 5, 1, 0, NOW),
            ],
            {"2"},
        )
    ),
    "webhook-unsigned": [find_unsigned(Fix(FixKind.CREATE, "x", WANTED)).code],
    "fix-failed": ["fix-failed"],  # the stage's own: tests/cli/test_check.py
}


@pytest.mark.parametrize("code", FOUND)
def test_each_finding_alone(code: str) -> None:
    assert FOUND[code] == [code]


def test_every_code_there_is_is_found_here() -> None:
    assert set(FOUND) == set(SEVERITIES)


def test_what_needs_no_hand_is_no_problem() -> None:
    notes = {code for code, severity in SEVERITIES.items() if severity is Severity.NOTE}
    assert {"names-not-synced", "first-sync"} <= notes
    assert {"double-opt-in", "webhook-unset", "webhook-foreign", "trash-unseen"} <= notes
    assert SEVERITIES["webhook-loop"] is SEVERITIES["group-smart"] is Severity.PROBLEM
    assert SEVERITIES["group-not-mailing"] is SEVERITIES["clock-civicrm"] is Severity.WARNING


ALL_WELL: dict[str, Sequence[str]] = {
    "account": codes(judge_account("x", account(skew_s=-60), NOW)),
    "account without a clock": codes(judge_account("x", Account("1", "Bedrock"), NOW)),
    "audience": codes(judge_audience(TASK, audience())),
    "merge fields": codes(judge_merge_fields(TASK, [FNAME], ())),
    "one name": codes(judge_merge_fields(TASK, [MergeField("name", "", "text", False)], ())),
    "filled": codes(judge_merge_fields(TASK, [FNAME, NEED], {"NEED"})),
    "interests": codes(judge_interests(TASK, {"cccccccccc": "Topics: Events"})),
    "data fields": codes(judge_data_fields(TASK, [FNAME], {"fname": "nick_name"}, find_problem)),
    "groups": groups(*BOTH),
    "groups inside, whose people are in it too": nested((111, 0), (333, 5)),
    "additions are limited": additions(limited=True),
    "few to add": additions(9),
    "somebody is subscribed": additions(subscribed=1),
    "nobody knows who is subscribed": additions(subscribed=None),
    "no group to add from": additions(there=False),
    "not the first sync": codes(judge_first_sync(TASK, None)),
    "data are synced": codes(judge_data(True, ["data.fields"])),
    "all are asked": codes(judge_audience(replace(TASK, asks_first=True), audience(double=True))),
    "an interest's group mails nobody": groups(group(111), group(222, mailing=False)),
    "just moved": moved(at=NOW),
    "site": codes(judge_site(NOW, NOW + timedelta(seconds=60), None)),
    "sight": codes(judge_sight(True, ())),
    "contact fields": codes(judge_contact_fields({"JOB": ["job_title"]}, ())),
    "wanted": codes(judge_wanted("x", WantedHook(URL + LONG, (SECRET + LONG,), True))),
    "signed only": codes(judge_wanted("x", WantedHook(OPEN.url, (), True))),
    "address": codes(judge_address("x", WANTED, 200)),
    "CiviCRM's door": codes(judge_door(DOOR)),
    "CiviCRM's door, tried": codes(judge_door_answer(DOOR, 400)),
    "webhook": hooks(hook()),
    "newer events off": hooks(hook(events={"sms_subscribe": False})),
    "another secret of ours": hooks(
        hook(URL.replace(SECRET, "older")), wanted=WantedHook(URL, (SECRET, "older"))
    ),
    "without a secret, signed": hooks(hook(OPEN.url), wanted=WantedHook(OPEN.url, (), True)),
    "batch webhook": batch(BatchWebhook("1", URL, True)),
}


@pytest.mark.parametrize("what", ALL_WELL)
def test_nothing_is_found_where_all_is_well(what: str) -> None:
    assert ALL_WELL[what] == []


def test_a_smart_group_of_a_push_only_interest_is_as_it_should_be() -> None:
    task = AudienceToCheck(LIST, "Main", 111, {"cccccccccc": 222}, frozenset({"cccccccccc"}))
    found = {111: group(111), 222: group(222, smart=True)}
    assert codes(judge_groups(task, found, {})) == []
    found[222] = group(222, access=True)
    assert codes(judge_groups(task, found, {})) == []


def test_a_disabled_group_that_is_no_mailing_group_is_both() -> None:
    found = groups(group(111, active=False, mailing=False), group(222))
    assert found == ["group-disabled", "group-not-mailing"]


def test_an_address_field_cannot_be_filled_from_a_text() -> None:
    (finding,) = judge_data_fields(TASK, [ADDRESS], {"ADDRESS": "job_title"}, find_problem)
    assert "an address is filled as a whole, from address_primary" in finding.message


def test_all_that_is_wrong_with_one_webhook_is_told() -> None:
    url = "HTTP://CRM.example.org:80/mcsync/webhook/?a=b"
    found = hooks(hook(url, events={"campaign": True}, sources={"user": False, "api": True}))
    assert found == [
        "webhook-secret",
        "webhook-url",
        "webhook-events",
        "webhook-sources",
        "webhook-loop",
    ]


# --- whose webhook it is --------------------------------------------------------------------------

SITE = "https://crm.example.org"
ROUTES = {
    f"{SITE}/civicrm/mailchimpsync/webhook?secret=yabba": (Extension.MAILCHIMPSYNC, SITE),
    f"{SITE}/civicrm/mailchimpsync/batch-webhook/": (Extension.MAILCHIMPSYNC, SITE),
    f"{SITE}/civi/civicrm/mailchimp/webhook?reset=1": (Extension.VEDACONSULTING, f"{SITE}/civi"),
    f"{SITE}/?civiwp=CiviCRM&q=civicrm/mailchimp/webhook&key=x": (Extension.VEDACONSULTING, SITE),
    f"{SITE}/?q=civicrm%2Fmailchimpsync%2Fwebhook": (Extension.MAILCHIMPSYNC, SITE),
    f"{SITE}/index.php?option=com_civicrm&task=civicrm/mailchimp/webhook": (
        Extension.VEDACONSULTING,
        SITE,
    ),
}


@pytest.mark.parametrize("url", ROUTES)
def test_an_extension_is_known_by_its_address(url: str) -> None:
    route = find_route(url)
    assert route is not None
    assert (route.extension, route.base) == ROUTES[url]
    assert str(route.shown).partition("=")[2] in show_url(url)
    assert "civicrm/mailchimp" in show_url(url)
    assert "yabba" not in show_url(url)
    assert "key=" not in show_url(url)


@pytest.mark.parametrize(
    "url",
    [
        f"{SITE}/mcsync/webhook",
        f"{SITE}/civicrm/mailchimpsync/webhook/more",
        f"{SITE}/civicrm/mailchimp/webhook-of-mine",
        f"{SITE}/?page=civicrm/mailchimp/webhook",
        "https://[nonsense/civicrm/mailchimp/webhook",
    ],
)
def test_any_other_address_is_no_extensions(url: str) -> None:
    assert find_route(url) is None


def test_an_extensions_webhook_is_told_once() -> None:
    """Not among those that lead elsewhere as well."""
    assert hooks(hook(), hook(EXTENSIONS_URL, "h2")) == []


def test_where_mcsync_has_the_extensions_address_its_webhooks_are_ours() -> None:
    found = [hook(EXTENSIONS_URL)]
    assert find_extension_hooks(found, WantedHook(EXTENSIONS_URL)) == []
    assert find_extension_hooks(found, None) == find_extension_hooks(found, WANTED) == found


OURS = (
    URL,
    "http://crm.example.org/mcsync/webhook",
    "https://CRM.Example.org/mcsync/webhook?secret=other",
    "https://crm.example.org:443/mcsync/webhook/",
    "https://crm.example.org/mcsync/webhook/?x=y#z",
)
FOREIGN = (
    "https://crm.example.org/mcsync/batch-webhook",
    "https://crm.example.org/mcsync/Webhook",
    "https://crm.example.org/webhook",
    "https://www.crm.example.org/mcsync/webhook",
    "https://crm.example.org:8443/mcsync/webhook",
    "https://crm.example.org:nonsense/mcsync/webhook",
    "",
)


@pytest.mark.parametrize("url", OURS)
def test_ours_by_host_and_path(url: str) -> None:
    assert WANTED.is_ours(url)


@pytest.mark.parametrize("url", FOREIGN)
def test_somebody_elses(url: str) -> None:
    assert not WANTED.is_ours(url)


@pytest.mark.parametrize(
    "url", ["", "mailto:fred@example.org", "https://", "http://[", "https://x.org:0/a", "x.org/a"]
)
def test_what_is_no_address_is_told(url: str) -> None:
    wanted = WantedHook(url, (SECRET,))
    (finding,) = judge_wanted("Main audience", wanted, LIST)
    assert (finding.code, wanted.is_valid) == ("webhook-url", False)


def test_a_secret_of_its_own_goes_into_the_url() -> None:
    assert WANTED.target == URL
    bare = WantedHook("https://crm.example.org/hook", ("a&b", "c"))
    assert bare.target == "https://crm.example.org/hook?secret=a%26b"
    assert bare.knows_secret_of(bare.target)
    more = WantedHook("https://crm.example.org/hook?x=1", ("s",))
    assert more.target == "https://crm.example.org/hook?x=1&secret=s"
    assert OPEN.target == OPEN.url


def test_no_secret_is_shown() -> None:
    found = [hook(URL.replace("yabba", "hidden"), events={"upemail": False}), hook(webhook_id="h2")]
    told = [*judge_webhooks("x", WANTED, found), *judge_address("x", WANTED, Trouble("u", "no"))]
    told += judge_webhooks("x", WANTED, [])
    fixes = plan_fixes("x", WANTED, found, LIST)
    text = f"{told}{[each.as_dict() for each in told]}{fixes}{[each.as_dict() for each in fixes]}"
    assert SECRET not in text
    assert "hidden" not in text
    assert show_url("https://me:pass@x.org/a?secret=s#f") == "https://x.org/a"


# --- what would put it right ----------------------------------------------------------------------


def plan(*found: Webhook, wanted: WantedHook = WANTED) -> list[tuple[str, str]]:
    fixes = plan_fixes("Main audience", wanted, found, LIST)
    return [(fix.kind.value, fix.webhook_id) for fix in fixes]


def test_what_is_missing_is_created() -> None:
    assert plan() == plan(hook("https://elsewhere.example/")) == [("create", "")]


def test_what_is_right_is_left_alone() -> None:
    assert plan(hook()) == plan(hook(), hook("https://elsewhere.example/", "h2")) == []


def test_what_is_wrong_is_changed() -> None:
    assert plan(hook(sources={"api": True})) == [("update", "h1")]


def test_of_duplicates_the_best_stays_and_the_others_go_first() -> None:
    worse, best = hook(webhook_id="h1", sources={"api": True, "user": False}), hook(webhook_id="h2")
    assert plan(worse, best) == [("delete", "h1")]
    bad = hook(webhook_id="h3", events={"cleaned": False})
    assert plan(worse, bad) == [("delete", "h1"), ("update", "h3")]


def test_newer_events_are_switched_off_too() -> None:
    (fix,) = plan_fixes("x", WANTED, [hook(events={"sms_subscribe": True})], LIST)
    assert dict(fix.events) == {**EVENTS, "sms_subscribe": False}


def test_nothing_is_registered_without_a_secret() -> None:
    assert plan(wanted=OPEN) == []
    assert plan_fixes("x", OPEN, []) == ()


def test_a_batch_webhook_is_switched_on_again() -> None:
    fixes = plan_fixes("x", WANTED, [BatchWebhook("b1", URL, False)])
    assert [(fix.kind, fix.webhook_id, fix.list_id) for fix in fixes] == [
        (FixKind.UPDATE, "b1", "")
    ]


_PLACE = "https://crm.example.org/mcsync/webhook"
_ITS = EXTENSIONS_URL.partition("?")[0]
_SENT = "subscribe, unsubscribe, profile, cleaned and upemail by user and admin"
SENTENCES = {
    (FixKind.CREATE, LIST): (
        f"create a webhook to {_PLACE}, sending {_SENT}",
        f"created a webhook to {_PLACE}, sending {_SENT}",
    ),
    (FixKind.DELETE, LIST): (
        f"delete the duplicate webhook h1 to {_PLACE}",
        f"deleted the duplicate webhook h1 to {_PLACE}",
    ),
    (FixKind.UPDATE, LIST): (
        f"change webhook h1, which then sends {_SENT} to {_PLACE}",
        f"changed webhook h1, which now sends {_SENT} to {_PLACE}",
    ),
    (FixKind.CREATE, ""): (
        f"create a batch webhook to {_PLACE}",
        f"created a batch webhook to {_PLACE}",
    ),
    (FixKind.DELETE, ""): (
        f"delete the duplicate batch webhook h1 to {_PLACE}",
        f"deleted the duplicate batch webhook h1 to {_PLACE}",
    ),
    (FixKind.REPLACE, LIST): (
        f"delete webhook h1 of mailchimpsync, to {_ITS}",
        f"deleted webhook h1 of mailchimpsync, to {_ITS}",
    ),
    (FixKind.REPLACE, ""): (
        f"delete batch webhook h1 of mailchimpsync, to {_ITS}",
        f"deleted batch webhook h1 of mailchimpsync, to {_ITS}",
    ),
    (FixKind.UPDATE, ""): (
        f"enable batch webhook h1 and point it to {_PLACE}",
        f"enabled batch webhook h1 and pointed it to {_PLACE}",
    ),
}


@pytest.mark.parametrize(("kind", "list_id"), SENTENCES)
def test_a_fix_has_a_sentence_before_and_one_after(kind: FixKind, list_id: str) -> None:
    webhook_id = "" if kind is FixKind.CREATE else "h1"
    wanted = WantedHook(EXTENSIONS_URL) if kind is FixKind.REPLACE else WANTED
    fix = Fix(kind, "Main", wanted, list_id, webhook_id)
    assert (fix.sentence, fix.deed) == SENTENCES[kind, list_id]


def test_no_kind_of_fix_lacks_its_sentences() -> None:
    assert {kind for kind, _ in SENTENCES} == set(FixKind)
