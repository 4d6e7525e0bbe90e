"""What `mcsync check` finds: pure judgements on facts that somebody else has fetched."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from mcsync.cache.audience_status import HELD, KnownTrouble
from mcsync.cache.counts import FirstSync
from mcsync.cache.times import from_text
from mcsync.model import Account, Audience, Group, MergeField, Permission
from mcsync.name_tags import NAME_FIELDS, NAME_TAGS
from mcsync.safety import NEVER_BELOW
from mcsync.text import count_of

MAX_SKEW_S = 60  # a clock that is further off is told of
# Guess: that these two may not change audiences and webhooks; no recording of a refusal.
LOW_ROLES = frozenset(("viewer", "author"))

# Without these CiviCRM refuses to answer, or shows emptiness for all there is.
BLINDING = frozenset((Permission.ACCESS, Permission.VIEW))

FindProblem = Callable[[str, str, Mapping[str, MergeField]], str | None]


class Severity(StrEnum):
    """How much a finding matters; only problems change the exit code."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


_PROBLEMS = (
    *("mailchimp-key-refused", "mailchimp-unreachable", "mailchimp-refused"),
    *("mailchimp-odd-answer", "role-too-low", "list-gone", "interest-gone"),
    *("group-gone", "group-disabled", "group-smart"),
    *("interest-group-gone", "interest-group-disabled"),
    *("civicrm-key-refused", "civicrm-unreachable", "civicrm-permission", "civicrm-odd-answer"),
    *("webhook-missing", "webhook-duplicated", "webhook-events", "webhook-sources"),
    *("webhook-loop", "webhook-secret", "webhook-url", "webhook-no-secret", "webhook-silent"),
    *("batch-webhook-missing", "batch-webhook-duplicated", "batch-webhook-disabled"),
    *("batch-webhook-secret", "batch-webhook-url", "fix-failed", "webhook-unsigned"),
    *("webhook-of-extension", "extension-webhook", "extension-batch-webhook", "moved-at-ahead"),
    *("plugin-not-loaded", "civicrm-field-unknown", "cache-unusable", "plan-held"),
)
_WARNINGS = (
    *(
        "group-not-mailing",
        "group-access-control",
        "names-missing",
        "required-field",
        "clock-mailchimp",
    ),
    *("webhook-secret-short", "webhook-no-signature"),
    *("civicrm-hook-silent", "civicrm-hook-secret"),
    *("clock-civicrm", "civicrm-url", "civicrm-may-not-write", "merge-field-unusable"),
    *("values-left-out", "tag-group-gone", "group-nested", "additions-unlimited"),
    *("config-warning", "sync-trouble", "extension-at-work", "batches-under-way"),
    "group-changed-by-others",
)
_NOTES = (
    *("double-opt-in", "interest-group-smart", "trash-unseen", "webhook-unset"),
    *("names-not-synced", "first-sync"),
    *("batch-webhook-unset", "webhook-foreign", "batch-webhook-foreign"),
    *("civicrm-hook-untried", "extension-elsewhere"),
)
# Every code there is. One never changes its meaning: scripts know them.
SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(_PROBLEMS, Severity.PROBLEM),
    **dict.fromkeys(_WARNINGS, Severity.WARNING),
    **dict.fromkeys(_NOTES, Severity.NOTE),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, where, and what to do next; neither holds a key or a secret."""

    code: str
    where: str
    message: str
    hint: str = ""
    list_id: str = ""

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return SEVERITIES[self.code]

    def as_dict(self) -> dict[str, object]:
        """The finding as `--json` has it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "where": self.where,
            "list_id": self.list_id or None,
            "message": self.message,
            "hint": self.hint or None,
        }


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why facts, or a file, could not be had; `kind` ends a code: unreachable, refused, ..."""

    kind: str
    message: str
    hint: str = ""

    def as_finding(self, service: str, where: str, list_id: str = "") -> Finding:
        """The finding; `service` begins its code: mailchimp, civicrm, cache."""
        return Finding(f"{service}-{self.kind}", where, self.message, self.hint, list_id)


_AHEAD = timedelta(minutes=10)  # more than clocks are apart


@dataclass(frozen=True, slots=True)
class AudienceToCheck:
    """An audience as the config has it; `name_fields` are the merge tags of names, "" for none.

    `limits_additions` is whether a guard holds back too many new subscribers; `asks_first` whether
    whom CiviCRM adds is asked to confirm. `moved_at` is when it was taken over from an extension.
    """

    list_id: str
    name: str
    group_id: int
    interests: Mapping[str, int]
    push_only: frozenset[str] = frozenset()
    name_fields: Mapping[str, str] = field(default_factory=lambda: NAME_FIELDS)
    limits_additions: bool = True
    asks_first: bool = False
    moved_at: datetime | None = None


# --- Mailchimp ------------------------------------------------------------------------------------


def judge_account(where: str, account: Account, now: datetime) -> Iterator[Finding]:
    """Is the key's role high enough, and do the clocks agree?"""
    if account.role.lower() in LOW_ROLES:
        yield Finding(
            "role-too-low",
            where,
            f"the key's user has the role {account.role}, which may not change audiences",
            "create a key as a manager, an administrator or the owner",
        )
    if account.served_at is not None:
        yield from _judge_clock("clock-mailchimp", where, "Mailchimp", account.served_at, now)


def _judge_clock(
    code: str, where: str, service: str, theirs: datetime, now: datetime
) -> Iterator[Finding]:
    skew_s = (theirs - now).total_seconds()
    if abs(skew_s) > MAX_SKEW_S:
        way = "ahead of" if skew_s > 0 else "behind"
        yield Finding(
            code,
            where,
            f"{service}'s clock is {abs(skew_s):,.0f} s {way} this machine's",
            "correct the clock that is wrong, best with NTP: the later change wins",
        )


def judge_audience(task: AudienceToCheck, found: Mapping[str, Audience]) -> Iterator[Finding]:
    """Is the audience there, and how do people get into it? `found` are the account's, by id."""
    audience = found.get(task.list_id)
    if audience is None:
        yield Finding(
            "list-gone",
            task.name,
            f"the account has no audience {task.list_id}",
            "check the list id, and that the key opens its account; then correct the config",
            task.list_id,
        )
    elif audience.is_double_optin and not task.asks_first:
        yield Finding(
            "double-opt-in",
            task.name,
            "people who sign up at Mailchimp confirm by mail (double opt-in);"
            " people added in CiviCRM are subscribed at once, as the API does not ask them",
            "nothing to do, if people in the group have agreed to get mail; else set confirmNew",
            task.list_id,
        )


def judge_merge_fields(
    task: AudienceToCheck, fields: Sequence[MergeField], filled: Collection[str]
) -> Iterator[Finding]:
    """Can names be synced, and can people be added? `filled` are the tags that mcsync fills."""
    tags = {each.tag.upper() for each in fields}
    names = [tag for tag in task.name_fields.values() if tag]
    if not tags & set(names):
        yield Finding(
            "names-missing",
            task.name,
            f"the audience has no merge field {' or '.join(names)}, so names cannot be synced",
            "add the merge fields FNAME and LNAME to the audience, or set nameFields to its own",
            task.list_id,
        )
    for tag in sorted(set(names) - tags - NAME_TAGS) if tags & set(names) else ():
        yield Finding(
            "names-missing",
            task.name,
            f"the audience has no merge field {tag}, which nameFields uses for a name",
            f"correct lists.{task.list_id}.nameFields, or add the merge field to the audience",
            task.list_id,
        )
    for each in fields:
        if each.is_required and each.tag.upper() not in filled:
            yield Finding(
                "required-field",
                task.name,
                f"the merge field {each.tag} is required, but mcsync does not fill it: Mailchimp"
                " refuses whoever is added, and they are sent again one by one, without it",
                "make it optional, or fill it with data.sync and data.fields",
                task.list_id,
            )


def judge_interests(task: AudienceToCheck, found: Mapping[str, str]) -> Iterator[Finding]:
    """Are the mapped interests there? `found` are the audience's, id to name."""
    for interest_id in task.interests:
        if interest_id not in found:
            yield Finding(
                "interest-gone",
                f"{task.name}, interest {interest_id}",
                "the audience has no such interest, so it is skipped for everybody",
                "correct the interest id in the config, or remove it",
                task.list_id,
            )


def judge_data_fields(
    task: AudienceToCheck,
    fields: Sequence[MergeField],
    sources: Mapping[str, str],
    find_problem: FindProblem,
) -> Iterator[Finding]:
    """Can the merge fields of `data.fields`, tag to field, be filled in this audience?"""
    known = {field.tag.upper(): field for field in fields}
    for tag, source in sources.items():
        problem = find_problem(tag.upper(), source, known)
        if problem is not None:
            yield Finding(
                "merge-field-unusable",
                f"{task.name}, {tag}",
                f"data.fields.{tag} is skipped here: {problem}",
                "add the merge field to the audience, or remove it from data.fields",
                task.list_id,
            )


def judge_values(task: AudienceToCheck, counts: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    """Which values would merge fields not take? `counts`: how many, by merge tag and reason."""
    for (tag, why), number in sorted(counts.items()):
        yield Finding(
            "values-left-out",
            f"{task.name}, {tag}",
            f"data.fields.{tag}: {count_of(number, 'value is', 'values are')} left out: {why}",
            "correct them in CiviCRM, or change the merge field at Mailchimp; until then the values"
            " at Mailchimp stay as they are",
            task.list_id,
        )


# --- CiviCRM --------------------------------------------------------------------------------------


def judge_groups(
    task: AudienceToCheck, groups: Mapping[int, Group], names: Mapping[str, str]
) -> Iterator[Finding]:
    """Are the groups there and fit? `names` are the interests', by id."""
    yield from _judge_subscription_group(task, groups.get(task.group_id))
    for interest_id, group_id in task.interests.items():
        where = f"{task.name}, {names.get(interest_id, f'interest {interest_id}')}"
        group = groups.get(group_id)
        key = f"lists.{task.list_id}.interests.{interest_id}"
        yield from _judge_presence("interest-group", where, task, group_id, group, key)
        if interest_id not in task.push_only:
            yield from _judge_access(where, task, group, key)
        if group is not None and group.is_smart and interest_id not in task.push_only:
            yield Finding(
                "interest-group-smart",
                where,
                f"{_text_of_group(group)} is a smart group, so Mailchimp never changes it",
                'nothing to do; "pushOnlyInterests" in the config says the same',
                task.list_id,
            )


def _judge_subscription_group(task: AudienceToCheck, group: Group | None) -> Iterator[Finding]:
    key = f"lists.{task.list_id}.subscriptionGroup"
    yield from _judge_presence("group", task.name, task, task.group_id, group, key)
    yield from _judge_access(task.name, task, group, key)
    if group is not None and group.is_smart:
        yield Finding(
            "group-smart",
            task.name,
            f"{_text_of_group(group)} is a smart group, so nobody can be added to it",
            f"set {key} to an ordinary group",
            task.list_id,
        )
    elif group is not None and not group.is_mailing:
        yield Finding(
            "group-not-mailing",
            task.name,
            f"{_text_of_group(group)} is not a mailing group",
            'tick "Mailing List" in the group\'s settings, if CiviCRM should send mail to it',
            task.list_id,
        )


def _judge_presence(
    prefix: str, where: str, task: AudienceToCheck, group_id: int, group: Group | None, key: str
) -> Iterator[Finding]:
    if group is None:
        yield Finding(
            f"{prefix}-gone",
            where,
            f"CiviCRM has no group {group_id}",
            f"correct {key} in the config",
            task.list_id,
        )
    elif not group.is_active:
        yield Finding(
            f"{prefix}-disabled",
            where,
            f"{_text_of_group(group)} is disabled",
            f"enable it in CiviCRM, or correct {key} in the config",
            task.list_id,
        )


def _judge_access(
    where: str, task: AudienceToCheck, group: Group | None, key: str
) -> Iterator[Finding]:
    """Would somebody who signs up at Mailchimp get permissions by it?"""
    if group is not None and group.is_access_control and not group.is_smart:
        yield Finding(
            "group-access-control",
            where,
            f"{_text_of_group(group)} is for access control:"
            " anybody who signs up at Mailchimp gets its permissions",
            f'set {key} to another group, or untick "Access Control" of this one in CiviCRM',
            task.list_id,
        )


def _text_of_group(group: Group) -> str:
    return f'group {group.group_id}, "{group.title}",'


def judge_nested(
    task: AudienceToCheck,
    groups: Mapping[int, Group],
    nested: Mapping[int, int],
    names: Mapping[str, str],
) -> Iterator[Finding]:
    """Are people left out who are only in groups inside a mapped one? `nested`: how many, by id."""
    of_interests = {
        group_id: f"{task.name}, {names.get(interest_id, f'interest {interest_id}')}"
        for interest_id, group_id in task.interests.items()
    }
    for group_id, where in ({task.group_id: task.name} | of_interests).items():
        group, count = groups.get(group_id), nested.get(group_id, 0)
        if group is not None and count:
            yield Finding(
                "group-nested",
                where,
                f"{count_of(count, 'person is', 'people are')} only in groups inside"
                f" {_text_of_group(group)} and mcsync counts only who is in the group itself",
                "nothing to do, if they are not meant; else add them to the group itself",
                task.list_id,
            )


def judge_move(task: AudienceToCheck, now: datetime) -> Iterator[Finding]:
    """Has it been moved over yet? What is said before that may not count."""
    if task.moved_at is not None and task.moved_at > now + _AHEAD:
        yield Finding(
            "moved-at-ahead",
            task.name,
            f"movedAt is {task.moved_at:%Y-%m-%d %H:%M} UTC, which is still to come: what staff"
            " say at either side until then changes nobody at the other",
            'correct the time in the config; one that ends in "Z" is UTC',
            task.list_id,
        )


def judge_others(task: AudienceToCheck, changes: Mapping[int, int]) -> Iterator[Finding]:
    """Does another program change the groups since the move? `changes`: how many, by group."""
    count = sum(changes.get(each, 0) for each in {task.group_id, *task.interests.values()})
    if task.moved_at is not None and count:
        yield Finding(
            "group-changed-by-others",
            task.name,
            f"another program has made {count_of(count, 'change')} to its groups in CiviCRM since"
            f" the move on {task.moved_at:%Y-%m-%d}",
            "nothing to do, if you know it; if it is the extension, disable its scheduled job",
            task.list_id,
        )


def judge_additions(
    task: AudienceToCheck, group: Group | None, in_group: int, subscribed: int | None
) -> Iterator[Finding]:
    """Would a whole group be subscribed without a limit? `subscribed` is None if unknown."""
    is_full = group is not None and in_group >= NEVER_BELOW
    if group is not None and is_full and subscribed == 0 and not task.limits_additions:
        yield Finding(
            "additions-unlimited",
            task.name,
            f"the audience has 0 subscribed members and {_text_of_group(group)} has"
            f" {count_of(in_group, 'contact')}; as maxAdditions is null, nothing holds a sync back"
            " from subscribing all of them",
            "make sure that it is the right audience; mcsync sync --dry-run shows whom",
            task.list_id,
        )


def judge_tag_groups(
    group_tags: Mapping[int, str], groups: Mapping[int, Group]
) -> Iterator[Finding]:
    """Are the groups of `data.groupTags` there?"""
    for group_id in group_tags:
        group = groups.get(group_id)
        if group is None or not group.is_active:
            yield Finding(
                "tag-group-gone",
                f"data.groupTags.{group_id}",
                f"CiviCRM has no group {group_id}"
                if group is None
                else f"{_text_of_group(group)} is disabled",
                "correct it, or remove it; until then people keep the tag they have",
            )


def judge_site(now: datetime, theirs: datetime, found_url: str | None) -> Iterator[Finding]:
    """Do the clocks agree, and is the site where the config says? `theirs` is the site's now."""
    yield from _judge_clock("clock-civicrm", "CiviCRM", "CiviCRM", theirs, now)
    if found_url is not None:
        yield Finding(
            "civicrm-url",
            "CiviCRM",
            "the site does not answer at clean URLs, only at another form of its address",
            f"set civicrm.url to {found_url}",
        )


def judge_sight(has_seen_trash: bool, missing: Collection[Permission]) -> Iterator[Finding]:
    """Which permissions does our user seem to lack? `missing` as CiviCRM says itself."""
    for permission in missing:
        yield Finding(
            "civicrm-permission" if permission in BLINDING else "civicrm-may-not-write",
            "CiviCRM",
            f'the API user lacks the permission "{permission}"',
            permission.hint,
        )
    if not has_seen_trash and not BLINDING & set(missing):
        yield Finding(
            "trash-unseen",
            "CiviCRM",
            "no contact is seen in the trash: it is empty, or the API user may not see it",
            f'make sure that the API user\'s role has the permission "{Permission.TRASH}"',
        )


def judge_contact_fields(
    sources: Mapping[str, Sequence[str]], unknown: Collection[str]
) -> Iterator[Finding]:
    """Are the contact's fields there? `sources`: those that each merge tag is filled from."""
    names = {name for fields in sources.values() for name in fields}
    sees_custom = any(_may_be_custom(name) for name in names - set(unknown))
    for tag, fields in sources.items():
        missing = [name for name in fields if name in unknown]
        if missing:
            is_lack = not sees_custom and any(map(_may_be_custom, missing))
            yield Finding(
                "civicrm-field-unknown",
                f"data.fields.{tag}",
                f"CiviCRM's contacts have no field {' and '.join(missing)},"
                " or the API user may not see it",
                (f"{Permission.CUSTOM.hint}, which custom fields need; else " if is_lack else "")
                + "look up the name in CiviCRM under Support > Developer > API Explorer v4",
            )


def _may_be_custom(name: str) -> bool:
    """Whether a field is "Group.Field", and not reached over a contact's own column."""
    head, dot, _ = name.partition(".")
    return bool(dot) and not head.endswith(("_primary", "_billing", "_id"))


# --- ourselves ------------------------------------------------------------------------------------


def judge_first_sync(task: AudienceToCheck, first: FirstSync | None) -> Iterator[Finding]:
    """What would the first sync do? `first` is None where it has been, or nothing was fetched."""
    if first is None:
        return
    yield Finding(
        "first-sync",
        task.name,
        "from what was fetched, the first sync would create"
        f" {count_of(first.to_create, 'contact')},"
        f" add {count_of(first.to_add, 'existing contact')} to the group and subscribe"
        f" {count_of(first.to_subscribe, 'person', 'people')}; the two sides disagree about"
        f" {count_of(first.differing, 'person', 'people')}, and"
        f" {count_of(first.may_not_be_mailed, 'subscribed member')} may not be mailed according to"
        " CiviCRM",
        "mcsync sync --dry-run shows whom, and why",
        task.list_id,
    )


def judge_data(is_synced: bool, unused: Sequence[str]) -> Iterator[Finding]:
    """Do names go to Mailchimp at all? `unused` are the keys that have a use only then."""
    if not is_synced:
        rest = f"; nor is anything done with {' and '.join(unused)}" if unused else ""
        yield Finding(
            "names-not-synced",
            "data.sync",
            "names are not synced: a new contact gets the member's name, but members get none"
            f" from CiviCRM{rest}",
            "nothing to do, if that is meant, or cron runs --with-data; else set data.sync to true"
            " (mcsync help data)",
        )


def judge_plugins(left_out: Mapping[str, str]) -> Iterator[Finding]:
    """Which plugins could not be loaded? By name, and why."""
    for name, why in left_out.items():
        yield Finding(
            "plugin-not-loaded",
            f"plugin {name}",
            f"it is not used: {why}",
            "install it again, or remove it from plugins in the config",
        )


def judge_troubles(task: AudienceToCheck, troubles: Sequence[KnownTrouble]) -> Iterator[Finding]:
    """What did the last sync report of an audience? It may have been put right since."""
    for each in troubles:
        code = "plan-held" if each.key == HELD else "sync-trouble"
        what = each.message.removeprefix(f"{task.name}: ")
        at = f"{from_text(each.since):%Y-%m-%d %H:%M} UTC"
        message = f"the last sync reported: {what}; since {at}"
        yield Finding(code, task.name, message, each.hint, task.list_id)


def judge_config(warnings: Sequence[str]) -> Iterator[Finding]:
    """What the config itself gives to think about."""
    for warning in warnings:
        message, _, hint = warning.partition("; ")
        yield Finding("config-warning", "config", message, hint)
