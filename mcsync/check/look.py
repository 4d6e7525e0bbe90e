"""Check: the config against both services. Everything is looked at, whatever was found before.

What could not be fetched is a finding, and the rest goes on. Nothing is written but webhooks at
Mailchimp, by `carry_out`, and the cache is not touched.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeGuard, TypeVar

from mcsync.cache.audience_status import KnownTrouble
from mcsync.cache.counts import FirstSync
from mcsync.check.extensions import (
    Extension,
    find_extension,
    find_host,
    judge_batches,
    judge_elsewhere,
    judge_extension_webhooks,
    judge_own_address,
    judge_switching,
)
from mcsync.check.findings import (
    BLINDING,
    AudienceToCheck,
    Finding,
    FindProblem,
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
    SOURCES,
    Fix,
    FixKind,
    Hook,
    WantedDoor,
    WantedHook,
    find_extension_hooks,
    judge_address,
    judge_batch_webhooks,
    judge_door,
    judge_door_answer,
    judge_wanted,
    judge_webhooks,
    plan_fixes,
    plan_replacements,
    show_url,
)
from mcsync.clock import utc_now
from mcsync.errors import McsyncError, ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.model import (
    BatchWebhook,
    Group,
    GroupStatus,
    MergeField,
    Permission,
    PluginInfo,
    SiteSnapshot,
)
from mcsync.pipeline.ports import (
    CivicrmPort,
    CivicrmSetupPort,
    MailchimpPort,
    MailchimpSetupPort,
)

NO_HISTORY = 2**32 - 1  # above any id: we ask for the clock and the groups only

T = TypeVar("T")
CountMisfits = Callable[[str, Sequence[MergeField]], Mapping[tuple[str, str], int]]


class MailchimpSide(MailchimpPort, MailchimpSetupPort, Protocol):
    """An account to be looked at, and its webhooks put right."""


class CivicrmSide(CivicrmPort, CivicrmSetupPort, Protocol):
    """A site to be looked at."""

    @property
    def found_url(self) -> str | None:
        """The endpoint that works, when it is another than the config's address suggests."""
        ...

    def fetch_own_id(self) -> int:
        """The contact that the API key belongs to; RemoteRefused when nobody may log in by it."""
        ...

    def fetch_sight(self) -> tuple[bool, tuple[Permission, ...]]:
        """Whether we see anybody in the trash, and the permissions that we seem to lack."""
        ...


@dataclass(frozen=True, slots=True)
class AccountToCheck:
    """An account as the config has it; `label` never holds its key.

    `hooks` are where webhooks of its audiences go, by list id; `place` is the API's host.
    """

    label: str
    place: str
    mailchimp: MailchimpSide
    audiences: tuple[AudienceToCheck, ...]
    hooks: Mapping[str, WantedHook] = field(default_factory=dict)
    batch_hook: WantedHook | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the cache knows of an audience: troubles of the last sync; what the first would do."""

    troubles: Sequence[KnownTrouble] = ()
    first: FirstSync | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What there is to check.

    `sources` are the fields of CiviCRM's contact that each merge tag of `fields` is filled from;
    `filled` are the merge tags that a sync fills, by list id; `group_tags` is `data.groupTags`.
    `syncs_data` is `data.sync`. `count_misfits` tells of an audience's people, as far as the cache
    knows them, how many values its merge fields would not take, by merge tag and reason. `probe`
    asks an address as Mailchimp does, and returns the HTTP status; `is_mcsync` whether it is mcsync
    that answers there. `probe_door` asks the address for CiviCRM's changes, `door`, which is None
    where none are wanted, by a POST that tells of nobody. `cache_trouble` is why the cache cannot
    be used; `known` is what it knows of audiences, by list id, and `batch_ids` the batches that it
    knows.
    """

    accounts: tuple[AccountToCheck, ...]
    civicrm: CivicrmSide
    place: str
    fields: Mapping[str, str]
    group_tags: Mapping[int, str]
    sources: Mapping[str, Sequence[str]]
    filled: Mapping[str, frozenset[str]]
    find_problem: FindProblem
    count_misfits: CountMisfits
    plugins: tuple[PluginInfo, ...]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    cache_trouble: Trouble | None
    known: Mapping[str, Known]
    syncs_data: bool
    batch_ids: frozenset[str]
    probe: Callable[[str], int]
    is_mcsync: Callable[[str], bool]
    probe_door: Callable[[str], int]
    door: WantedDoor | None = None


@dataclass(slots=True)
class Report:
    """What was found, in the order in which it was looked at, and what would put it right.

    `replacements` take extensions' webhooks away, and are for those who ask for that only;
    `extensions` are those that were seen at work. `unready` are places (where, list id) whose own
    webhook is wanted, and cannot be made as the config has it.
    `accounts` and `site` are what there is, for the reader; `site` is empty when nothing was
    seen of it. `subscribed`: how many members audiences have, by list id.
    """

    findings: list[Finding] = field(default_factory=list)
    fixes: list[tuple[MailchimpSide, Fix]] = field(default_factory=list)
    replacements: list[tuple[MailchimpSide, Fix]] = field(default_factory=list)
    extensions: set[Extension] = field(default_factory=set)
    unready: set[tuple[str, str]] = field(default_factory=set)
    accounts: list[dict[str, object]] = field(default_factory=list)
    site: dict[str, object] = field(default_factory=dict)
    interest_names: dict[str, str] = field(default_factory=dict)
    subscribed: dict[str, int] = field(default_factory=dict)

    def count(self, severity: Severity, list_id: str | None = None) -> int:
        """How many findings are so severe, of one audience or of all."""
        return sum(
            1
            for each in self.findings
            if each.severity is severity and list_id in (None, each.list_id)
        )


def attempt(work: Callable[[], T]) -> T | Trouble:
    """What a service says, or why it could not be had."""
    try:
        return work()
    except RemoteUnavailable as error:
        return _trouble("unreachable", error)
    except RemoteRefused as error:
        return _trouble("refused", error)
    except ProtocolError as error:
        return _trouble("odd-answer", error)


def _trouble(kind: str, error: McsyncError) -> Trouble:
    return Trouble(kind, error.message, error.hint or "")


# --- looking --------------------------------------------------------------------------------------


def look(check: Check) -> Report:
    """Look at everything; nothing is written anywhere."""
    report = Report()
    report.findings += judge_config(check.warnings)
    if check.cache_trouble is not None:
        report.findings.append(check.cache_trouble.as_finding("cache", "cache"))
    report.findings += judge_plugins(check.left_out)
    for task in (task for account in check.accounts for task in account.audiences):
        known = check.known.get(task.list_id, Known())
        report.findings += judge_troubles(task, known.troubles)
        report.findings += judge_first_sync(task, known.first)
        report.findings += judge_move(task, utc_now())
    asked: set[str] = set()
    for account in check.accounts:
        where = _look_at_account(check, account, report)
        report.findings += _look_at_addresses(check, account, where, asked)
    report.findings += _look_at_door(check)
    report.findings += judge_switching(report.extensions)
    _look_at_site(check, report)
    used = {"data.fields": check.fields, "data.groupTags": check.group_tags}
    report.findings += judge_data(check.syncs_data, [key for key, value in used.items() if value])
    return report


def _look_at_account(check: Check, account: AccountToCheck, report: Report) -> str:
    """Look at an account and its audiences; what the account is called from here on."""
    where = f"account {account.label}"
    seen: dict[str, object] = {"name": account.label, "place": account.place, "role": None}
    report.accounts.append(seen)
    found = attempt(account.mailchimp.fetch_account)
    if isinstance(found, Trouble):
        if found.kind == "refused":
            found = Trouble("key-refused", found.message, found.hint)
        report.findings.append(found.as_finding("mailchimp", where))
        return where
    name = found.name or account.label
    where = f"account {name}"
    seen |= {"name": name, "role": found.role or None}
    report.findings += judge_account(where, found, utc_now())
    last = _look_at_batch_webhooks(check, account, where, report)
    audiences = attempt(account.mailchimp.fetch_audiences)
    if isinstance(audiences, Trouble):
        report.findings.append(audiences.as_finding("mailchimp", where))
        return where
    there = {audience.list_id: audience for audience in audiences}
    report.subscribed |= {each.list_id: each.member_count for each in audiences}
    seen["audiences"] = len(there)
    for task in account.audiences:
        report.findings += judge_audience(task, there)
        if task.list_id in there:
            _look_at_audience(check, account, task, report)
    report.replacements += last  # batch webhooks tell an extension how its last batches ended
    if report.extensions:
        report.findings += _look_at_batches(check, account, where)
    return where


def _look_at_audience(
    check: Check, account: AccountToCheck, task: AudienceToCheck, report: Report
) -> None:
    port = account.mailchimp
    fields = attempt(lambda: port.fetch_merge_fields(task.list_id))
    if isinstance(fields, Trouble):
        report.findings.append(fields.as_finding("mailchimp", task.name, task.list_id))
    else:
        report.findings += _judge_fields(check, task, fields)
    if task.interests:
        interests = attempt(lambda: port.fetch_interests(task.list_id))
        if isinstance(interests, Trouble):
            report.findings.append(interests.as_finding("mailchimp", task.name, task.list_id))
        else:
            report.interest_names |= interests
            report.findings += judge_interests(task, interests)
    _look_at_webhooks(check, account, task, report)


def _judge_fields(
    check: Check, task: AudienceToCheck, fields: Sequence[MergeField]
) -> Iterator[Finding]:
    yield from judge_merge_fields(task, fields, check.filled[task.list_id])
    yield from judge_data_fields(task, fields, check.fields, check.find_problem)
    yield from judge_values(task, check.count_misfits(task.list_id, fields))


# --- webhooks -------------------------------------------------------------------------------------


def _look_at_webhooks(
    check: Check, account: AccountToCheck, task: AudienceToCheck, report: Report
) -> None:
    wanted = account.hooks.get(task.list_id)
    report.findings += judge_wanted(task.name, wanted, task.list_id)
    found = attempt(lambda: account.mailchimp.fetch_webhooks(task.list_id))
    if isinstance(found, Trouble):
        report.findings.append(found.as_finding("mailchimp", task.name, task.list_id))
        return
    others = _look_at_extensions(task.name, found, wanted, report, task.list_id)
    if _leads_to_extension(wanted, check):
        report.findings += judge_own_address(task.name, wanted.url, wanted.shown, task.list_id)
        report.extensions |= _find_extensions(found)
        return
    _note_unready(task.name, wanted, report, task.list_id)
    if wanted is not None and wanted.is_valid:
        report.findings += judge_webhooks(task.name, wanted, found, task.list_id)
        fixes = plan_fixes(task.name, wanted, found, task.list_id)
        report.fixes += [(account.mailchimp, fix) for fix in fixes]
    report.replacements += [
        (account.mailchimp, fix) for fix in plan_replacements(task.name, others, task.list_id)
    ]


def _look_at_batch_webhooks(
    check: Check, account: AccountToCheck, where: str, report: Report
) -> list[tuple[MailchimpSide, Fix]]:
    """Look at an account's batch webhooks; what takes those of extensions away."""
    wanted = account.batch_hook
    found = attempt(account.mailchimp.fetch_batch_webhooks)
    if isinstance(found, Trouble):
        report.findings.append(found.as_finding("mailchimp", where))
        return []
    elsewhere = _find_elsewhere(check, account, found)
    report.findings += judge_elsewhere(where, [(each, show_url(each.url)) for each in elsewhere])
    here = [each for each in found if each not in elsewhere]
    others = _look_at_extensions(where, here, wanted, report)
    if _leads_to_extension(wanted, check):
        report.findings += judge_own_address(where, wanted.url, wanted.shown)
        report.extensions |= _find_extensions(found)
        return []
    _note_unready(where, wanted, report)
    if wanted is not None or account.hooks:  # else it has been told for each audience
        report.findings += judge_batch_webhooks(where, wanted, found)
    if wanted is not None:
        report.fixes += [(account.mailchimp, fix) for fix in plan_fixes(where, wanted, found)]
    return [(account.mailchimp, fix) for fix in plan_replacements(where, others)]


def _find_elsewhere(
    check: Check, account: AccountToCheck, found: Sequence[BatchWebhook]
) -> list[BatchWebhook]:
    """Batch webhooks of extensions that another site has: an account may serve several.

    A site is ours when CiviCRM is there, or an extension there has to do with our audiences.
    """
    ours = {find_host(check.place)}
    others = [e for e in found if find_extension(e.url) and find_host(e.url) not in ours]
    for task in account.audiences if others else ():
        webhooks = attempt(partial(account.mailchimp.fetch_webhooks, task.list_id))
        if not isinstance(webhooks, Trouble):
            ours |= {find_host(each.url) for each in webhooks if find_extension(each.url)}
    return [each for each in others if find_host(each.url) not in ours]


def _note_unready(where: str, wanted: WantedHook | None, report: Report, list_id: str = "") -> None:
    if wanted is not None and (wanted.is_open or not wanted.is_valid):
        report.unready.add((where, list_id))


def _look_at_extensions(
    where: str, found: Sequence[Hook], wanted: WantedHook | None, report: Report, list_id: str = ""
) -> list[Hook]:
    """Those webhooks that lead to an extension."""
    hooks = find_extension_hooks(found, wanted)
    shown = [(each, show_url(each.url)) for each in hooks]
    report.findings += judge_extension_webhooks(where, shown, list_id)
    report.extensions |= _find_extensions(hooks)
    return hooks


def _find_extensions(hooks: Sequence[Hook]) -> set[Extension]:
    found = [find_extension(each.url) for each in hooks]
    return {each for each in found if each is not None}


def _leads_to_extension(wanted: WantedHook | None, check: Check) -> TypeGuard[WantedHook]:
    """Whether the config's own address is an extension's, and it is not mcsync that answers.

    A web server may pass the extension's address on to mcsync; only then its webhooks are ours.
    """
    if wanted is None or find_extension(wanted.url) is None:
        return False
    return attempt(lambda: check.is_mcsync(wanted.target)) is not True


def _look_at_batches(check: Check, account: AccountToCheck, where: str) -> list[Finding]:
    batches = attempt(account.mailchimp.fetch_batches)
    if isinstance(batches, Trouble):
        return [batches.as_finding("mailchimp", where)]
    return list(judge_batches(where, batches, check.batch_ids))


def _look_at_addresses(
    check: Check, account: AccountToCheck, where: str, asked: set[str]
) -> Iterator[Finding]:
    """Ask each address of ours once."""
    hooks = [*account.hooks.values(), *([account.batch_hook] if account.batch_hook else [])]
    for wanted in hooks:
        if wanted.is_valid and wanted.target not in asked:
            asked.add(wanted.target)
            status = attempt(lambda url=wanted.target: check.probe(url))  # type: ignore[misc]
            yield from judge_address(where, wanted, status)


def _look_at_door(check: Check) -> Iterator[Finding]:
    """Try the address at which CiviCRM tells its changes."""
    door = check.door
    if door is None:
        return
    yield from judge_door(door)
    target = door.target
    if target is not None:
        yield from judge_door_answer(door, attempt(lambda: check.probe_door(target)))


# --- CiviCRM --------------------------------------------------------------------------------------


def _look_at_site(check: Check, report: Report) -> None:
    site = check.civicrm
    own_id = attempt(site.fetch_own_id)
    if isinstance(own_id, Trouble):
        if own_id.kind == "refused":
            own_id = Trouble("key-refused", own_id.message, own_id.hint)
        report.findings.append(own_id.as_finding("civicrm", "CiviCRM"))
        return
    report.site = {"place": check.place, "contact_id": own_id}
    tasks = [task for account in check.accounts for task in account.audiences]
    group_ids = check.group_tags.keys() | _name_groups(tasks)
    seen = attempt(lambda: site.fetch_snapshot(sorted(group_ids), NO_HISTORY))
    if isinstance(seen, Trouble):
        report.findings += _look_at_rights(site, seen)
        return
    report.site["utc_offset_s"] = seen.utc_offset_s
    report.findings += judge_site(utc_now(), seen.now, site.found_url)
    report.findings += _judge_all_groups(tasks, seen, report)
    report.findings += _look_inside(site, tasks, seen.groups, report.interest_names)
    report.findings += _look_for_others(site, tasks)
    report.findings += judge_tag_groups(check.group_tags, seen.groups)
    report.findings += _look_closer(check)


def _name_groups(tasks: Sequence[AudienceToCheck]) -> set[int]:
    """The groups that are mapped to something."""
    return {group_id for task in tasks for group_id in (task.group_id, *task.interests.values())}


def _judge_all_groups(
    tasks: Sequence[AudienceToCheck], seen: SiteSnapshot, report: Report
) -> Iterator[Finding]:
    for task in tasks:
        yield from judge_groups(task, seen.groups, report.interest_names)
        in_group = seen.counts.get((task.group_id, GroupStatus.ADDED), 0)
        group, subscribed = seen.groups.get(task.group_id), report.subscribed.get(task.list_id)
        yield from judge_additions(task, group, in_group, subscribed)


def _look_inside(
    site: CivicrmSide,
    tasks: Sequence[AudienceToCheck],
    groups: Mapping[int, Group],
    names: Mapping[str, str],
) -> Iterator[Finding]:
    """Who is only in groups inside the mapped ones."""
    nested = attempt(lambda: site.fetch_nested(sorted(_name_groups(tasks))))
    if isinstance(nested, Trouble):
        yield nested.as_finding("civicrm", "CiviCRM")
        return
    for task in tasks:
        yield from judge_nested(task, groups, nested, names)


def _look_for_others(site: CivicrmSide, tasks: Sequence[AudienceToCheck]) -> Iterator[Finding]:
    """Who else changes the groups of audiences that were moved over."""
    for task in tasks:
        if task.moved_at is None:
            continue
        group_ids, since = sorted(_name_groups([task])), task.moved_at
        changes = attempt(partial(site.fetch_others_changes, group_ids, since))
        if isinstance(changes, Trouble):
            yield changes.as_finding("civicrm", "CiviCRM")
            return
        yield from judge_others(task, changes)


def _look_at_rights(site: CivicrmSide, refusal: Trouble | None = None) -> list[Finding]:
    """Every permission that our user lacks, at once; else the `refusal` that made us ask."""
    if refusal is not None and refusal.kind != "refused":
        return [refusal.as_finding("civicrm", "CiviCRM")]
    sight = attempt(site.fetch_sight)
    if refusal is not None and (isinstance(sight, Trouble) or not BLINDING & set(sight[1])):
        sight = refusal
    if not isinstance(sight, Trouble):
        return list(judge_sight(*sight))
    kind = "permission" if sight.kind == "refused" else sight.kind
    return [Trouble(kind, sight.message, sight.hint).as_finding("civicrm", "CiviCRM")]


def _look_closer(check: Check) -> Iterator[Finding]:
    """What our user may do, and the contact's fields that the config names."""
    yield from _look_at_rights(check.civicrm)
    if check.sources:
        names = sorted({name for sources in check.sources.values() for name in sources})
        unknown = attempt(lambda: check.civicrm.find_unknown_fields(names))
        if isinstance(unknown, Trouble):
            yield unknown.as_finding("civicrm", "data.fields")
        else:
            yield from judge_contact_fields(check.sources, unknown)


# --- putting right --------------------------------------------------------------------------------


def carry_out(mailchimp: MailchimpSide, fix: Fix) -> str | Trouble | None:
    """Do one fix. The signing secret, if Mailchimp gave one: it does so only this once."""
    return attempt(lambda: _carry_out(mailchimp, fix))


def _carry_out(mailchimp: MailchimpSide, fix: Fix) -> str | None:
    url = fix.wanted.target
    if not fix.list_id:
        return _carry_out_batch(mailchimp, fix, url)
    if fix.kind is FixKind.CREATE:
        return mailchimp.create_webhook(fix.list_id, url, fix.events, SOURCES).signing_secret
    if fix.kind is FixKind.UPDATE:
        mailchimp.update_webhook(fix.list_id, fix.webhook_id, url, fix.events, SOURCES)
    else:
        mailchimp.delete_webhook(fix.list_id, fix.webhook_id)
    return None


def _carry_out_batch(mailchimp: MailchimpSide, fix: Fix, url: str) -> str | None:
    if fix.kind is FixKind.CREATE:
        return mailchimp.create_batch_webhook(url).signing_secret
    if fix.kind is FixKind.UPDATE:
        mailchimp.update_batch_webhook(fix.webhook_id, url, is_enabled=True)
    else:
        mailchimp.delete_batch_webhook(fix.webhook_id)
    return None
