"""The data step: checkForDataUpdates, as far as plugins do it (names are `reconcile.names`).

Plugins are asked about the rows concerned before the plan is made; what they want is put
together, compared with what was sent before, and merged into the rows' decisions.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from mcsync.cache.audience_status import load_status, save_status
from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.persons import load_refused
from mcsync.cache.rows import mark_wanted
from mcsync.cache.tags_and_fields import (
    TAGS,
    FieldState,
    TagState,
    UnknownFields,
    begin_tags,
    count_entity_tags,
    find_differing,
    finish_tags,
    forget_entity_tags,
    key_of_unknown,
    kind_of_fields,
    kind_of_groups,
    load_linked_contacts,
    load_values,
    save_entity_tags,
    save_tags,
    save_values,
)
from mcsync.cache.times import from_text, to_text
from mcsync.cache.wanted_data import (
    FIELDS,
    Sent,
    Wanted,
    begin_data,
    choose_rows,
    count_long_names,
    drop_wanted,
    keep_metadata,
    load_all_wanted,
    load_asked,
    load_concerned,
    load_sent,
    load_wanted,
    save_wanted,
)
from mcsync.decision import Decision, Person, PlannedChange, Reason
from mcsync.errors import ConfigError, ProtocolError
from mcsync.model import (
    MERGE_TEXT_BYTES,
    DataAudience,
    DataRow,
    DataUpdate,
    EntityTag,
    FieldsNotShown,
    MemberChange,
    MergeField,
    Permission,
    TagSnapshot,
)
from mcsync.pipeline.mirror_groups import mirror_groups
from mcsync.pipeline.ports import DataPluginsPort
from mcsync.pipeline.run import Run, Task, is_over
from mcsync.pipeline.telling import note_told
from mcsync.reconcile.names import stays_in
from mcsync.reconcile.refused_before import without_prints
from mcsync.safety import NEVER_BELOW
from mcsync.text import count_of

log = logging.getLogger("mcsync.data")

_ENTITY_TAG_OVERLAP = 200  # ids are given out before rows are committed
_CONTACTS_AT_ONCE = 5000  # whose fields are kept in one transaction


def is_data_due(run: Run, task: Task) -> bool:
    """Whether the audience's data step is wanted in this run, and its time has come."""
    if not run.with_data or run.data_every_hours is None:
        return run.with_data
    done_at = load_status(run.store, task.list_id).data_synced_at
    return is_over(done_at, timedelta(hours=run.data_every_hours), run.clock())


def note_data_synced(run: Run, task: Task) -> None:
    """The audience's data step is done for this time."""
    status = load_status(run.store, task.list_id)
    status.data_synced_at = to_text(run.clock())
    with run.store.atomic():
        save_status(run.store, task.list_id, status)


def check_for_data_updates(run: Run, task: Task, merge_fields: Sequence[MergeField]) -> None:
    """Ask all plugins; rows of which something new is wanted are to be judged."""
    begin_data(run.store)
    _warn_of_long_names(run, task, merge_fields)
    plugins = run.plugins
    if plugins is None:
        return
    audience = DataAudience(task.list_id, task.name, tuple(merge_fields))
    for name in plugins.names:
        _ask(run, plugins, name, audience)
        run.check_time()
    for wanted in load_all_wanted(run.store):
        _leave_out_sent(run, wanted)
    with run.store.atomic():
        for wanted in load_all_wanted(run.store):
            mark_wanted(run.store, _leave_out_refused(run, wanted))


def _ask(run: Run, plugins: DataPluginsPort, name: str, audience: DataAudience) -> None:
    """Ask one plugin about all rows that it chooses, chunk by chunk."""
    rows = load_concerned(run.store, audience.list_id, name)
    choice = plugins.begin(name, audience, rows, Site(run, audience.list_id, name))
    left_out: Counter[tuple[str, str]] = Counter()
    if choice is not None:
        choose_rows(run.store, audience.list_id, choice.contact_ids)
        checked = 0
        for chunk in load_asked(run.store, name):
            updates = plugins.check(name, audience, chunk)
            _note_answers(run, name, chunk, updates)
            left_out.update(item for update in updates for item in update.left_out.items())
            checked += len(chunk)
            run.progress(audience.name, f"people checked by {name}", checked)
    plugins.finish(name, audience)
    _warn_of_left_out(run, audience, name, left_out)


def _warn_of_long_names(run: Run, task: Task, merge_fields: Sequence[MergeField]) -> None:
    """Warn of names that are not sent, as Mailchimp would cut them."""
    counts = count_long_names(run.store, task.list_id, MERGE_TEXT_BYTES)
    tags = {merge_field.tag for merge_field in merge_fields}
    why = f"longer than {MERGE_TEXT_BYTES} bytes"
    audience = DataAudience(task.list_id, task.name)
    _warn_of_left_out(run, audience, "", {(t, why): n for t, n in counts.items() if t in tags})


def _warn_of_left_out(
    run: Run, audience: DataAudience, name: str, left_out: Mapping[tuple[str, str], int]
) -> None:
    """Warn of values that no merge field takes: by field and reason, and not all day long.

    They are of a plugin, or, where that has no name, of the names.

    The same is told again after a day, or when they are more.
    """
    if not left_out:
        return
    status = load_status(run.store, audience.list_id)
    for (tag, why), count in sorted(left_out.items()):
        what = {"": f"names, {tag}", FIELDS: f"data.fields.{tag}"}.get(
            name, f"plugin {name}, {tag}"
        )
        if not note_told(status, f"{what}: {why}", count, run.clock()):
            continue
        log.warning(
            "%s: %s: %s left out: %s; Mailchimp keeps what it has. Correct the values in CiviCRM,"
            " or change the merge field",
            audience.name,
            what,
            count_of(count, "value is", "values are"),
            why,
        )
    with run.store.atomic():
        save_status(run.store, audience.list_id, status)


def _note_answers(
    run: Run, name: str, rows: Sequence[DataRow], updates: Sequence[DataUpdate]
) -> None:
    """Merge what one plugin wants into what the ones before it want; of two the later is right."""
    if not updates:
        return
    known = {row.row_id: row.metadata for row in rows}
    merged = load_wanted(run.store, [update.row_id for update in updates])
    for update in updates:
        wanted = merged.setdefault(update.row_id, Wanted())
        wanted.merge_fields |= update.merge_fields
        wanted.tags = merge_tags(wanted.tags, update.tags)
        if update.metadata is not None and update.metadata != known[update.row_id]:
            wanted.metadata[name] = dict(update.metadata)
    with run.store.atomic():
        save_wanted(run.store, merged)


def merge_tags(tags: Mapping[str, bool], more: Mapping[str, bool]) -> dict[str, bool]:
    """Tags and more tags, in which the same name counts once whatever its case."""
    replaced = {name.lower() for name in more}
    kept = {name: is_on for name, is_on in tags.items() if name.lower() not in replaced}
    return {**kept, **more}


def _leave_out_sent(run: Run, wanted: Mapping[int, Wanted]) -> None:
    """Drop what was sent before; where nothing is left, what is to be kept is kept at once."""
    sent = load_sent(run.store, list(wanted))
    rest = {i: subtract_sent(each, sent.get(i, Sent())) for i, each in wanted.items()}
    settled = [i for i, each in rest.items() if not (each.merge_fields or each.tags)]
    with run.store.atomic():
        keep_metadata(run.store, {i: rest[i].metadata for i in settled if rest[i].metadata})
        drop_wanted(run.store, settled)
        save_wanted(run.store, {i: each for i, each in rest.items() if i not in set(settled)})


def _leave_out_refused(run: Run, wanted: Mapping[int, Wanted]) -> list[int]:
    """Rows of which something is wanted that Mailchimp has not refused."""
    refused = load_refused(run.store, list(wanted), run.clock())
    prints = {i: {p for r in each for p in r.prints.items()} for i, each in refused.items()}
    return [
        row_id
        for row_id, each in wanted.items()
        if row_id not in prints or any(without_prints(each.merge_fields, each.tags, prints[row_id]))
    ]


def subtract_sent(wanted: Wanted, sent: Sent) -> Wanted:
    """What is wanted and was not sent yet; a tag is the same whatever its case."""
    sent_tags = {name.lower(): is_on for name, is_on in sent.tags.items()}
    return Wanted(
        merge_fields={
            tag: value
            for tag, value in wanted.merge_fields.items()
            if sent.merge_fields.get(tag) != value
        },
        tags={
            name: is_on
            for name, is_on in wanted.tags.items()
            if sent_tags.get(name.lower()) is not is_on
        },
        metadata=wanted.metadata,
    )


# --- into the decisions ---------------------------------------------------------------------------


def add_data(run: Run, people: Sequence[Person], decisions: Sequence[Decision]) -> list[Decision]:
    """The decisions with what plugins want of those who are in, or will be."""
    rows = [row.row_id for person in people for row in person.rows]
    wanted = load_wanted(run.store, rows)
    return [
        merge_data(decision, person, wanted)
        for person, decision in zip(people, decisions, strict=True)
    ]


def merge_data(decision: Decision, person: Person, wanted: Mapping[int, Wanted]) -> Decision:
    """One person's decision with what is wanted of their rows, as one change for each row.

    A member whose address changes gets their data after that: it changes their id, too.
    """
    for row in person.rows:
        each = wanted.get(row.row_id)
        planned = decision.find_change(row.row_id)
        if each is None or not stays_in(row, planned):
            continue
        if planned is None:
            if row.member is None:
                continue
            bare = MemberChange(email=row.member.email, member_id=row.member.member_id)
            planned = PlannedChange(row.row_id, row.contact_id, bare, Reason.DATA)
        if planned.change.new_email is None:
            decision = decision.with_change(_with_wanted(planned, each))
    return decision


def _with_wanted(planned: PlannedChange, wanted: Wanted) -> PlannedChange:
    fields = {**wanted.merge_fields, **planned.change.merge_fields}
    return replace(
        planned,
        change=replace(planned.change, merge_fields=fields),
        tags=wanted.tags,
        metadata=wanted.metadata,
    )


# --- what plugins may ask of CiviCRM --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """CiviCRM as one plugin sees it for one audience (`model.DataSite`)."""

    run: Run
    list_id: str
    plugin: str

    @property
    def _kind(self) -> str:
        return kind_of_fields(self.plugin)

    def fetch_records(
        self, entity: str, fields: Sequence[str], where: Sequence[Sequence[object]] = ()
    ) -> Iterator[Mapping[str, object]]:
        """Records of an APIv4 entity, in id order."""
        return self.run.civicrm.fetch_records(entity, fields, where)

    def follow_tags(self) -> Collection[int]:
        """Mirror all tags of contacts."""
        _mirror_tags(self.run)
        return find_differing(self.run.store, self.list_id, TAGS, self.plugin)

    def load_tags(self, contact_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """The labels of the contacts' tags, sorted."""
        return load_values(self.run.store, TAGS, contact_ids, list[str])

    def find_unknown_fields(self, fields: Sequence[str]) -> Collection[str]:
        """Those of these fields that CiviCRM does not show; each is told once.

        It is asked daily, and once a run as long as there are any.
        """
        run, wanted = self.run, tuple(sorted(set(fields)))
        state = run.store.load_state(key_of_unknown(self.plugin), UnknownFields)
        is_known = state.fields == list(wanted) and not state.unknown
        if is_known and not _is_old(run, state.asked_at):
            return ()
        if wanted not in run.unknown_fields:
            run.unknown_fields[wanted] = run.civicrm.find_unknown_fields(wanted)
        unknown = run.unknown_fields[wanted]
        _warn_of_unknown(self.plugin, [name for name in unknown if name not in state.unknown])
        new = UnknownFields(list(wanted), list(unknown), to_text(run.clock()))
        with run.store.atomic():
            run.store.save_state(key_of_unknown(self.plugin), new)
        return unknown

    def tell_skipped(self, what: str, why: str) -> None:
        """Warn that something cannot be filled, and not all day long."""
        status = load_status(self.run.store, self.list_id)
        if note_told(status, f"{what} is skipped: {why}", 1, self.run.clock()):
            [name] = [task.name for task in self.run.tasks if task.list_id == self.list_id]
            log.warning("%s: %s is skipped: %s", name, what, why)
            with self.run.store.atomic():
                save_status(self.run.store, self.list_id, status)

    def follow_fields(self, fields: Sequence[str], as_what: str) -> Collection[int]:
        """Mirror these fields of the audience's contacts."""
        try:
            _mirror_fields(self.run, self._kind, sorted(fields))
        except ConfigError as error:
            self._forget_unknown()
            raise FieldsNotShown(error.message) from error
        return find_differing(self.run.store, self.list_id, self._kind, self.plugin, as_what)

    def follow_groups(self, group_ids: Sequence[int], as_what: str) -> Collection[int]:
        """Mirror who is in these groups."""
        kind = kind_of_groups(self.plugin)
        mirror_groups(self.run, kind, group_ids)
        return find_differing(self.run.store, self.list_id, kind, self.plugin, as_what)

    def load_groups(self, contact_ids: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """Those of these groups that the contacts are in, sorted."""
        return load_values(self.run.store, kind_of_groups(self.plugin), contact_ids, list[int])

    def _forget_unknown(self) -> None:
        """What was known of unknown fields is wrong: it is asked again."""
        self.run.unknown_fields.clear()
        state = self.run.store.load_state(key_of_unknown(self.plugin), UnknownFields)
        state.asked_at = ""
        with self.run.store.atomic():
            self.run.store.save_state(key_of_unknown(self.plugin), state)

    def load_fields(self, contact_ids: Sequence[int]) -> Mapping[int, Mapping[str, object]]:
        """The contacts' fields that are not empty."""
        return load_values(self.run.store, self._kind, contact_ids, dict[str, object])


def _warn_of_unknown(plugin: str, unknown: Sequence[str]) -> None:
    for name in unknown:
        log.warning(
            '%s: CiviCRM shows no contact field "%s", so what is filled from it is left as it is.'
            " Correct the name; or, for a custom field, %s",
            "data.fields" if plugin == FIELDS else f"plugin {plugin}",
            name,
            Permission.CUSTOM.hint,
        )


def _is_old(run: Run, compared_at: str) -> bool:
    """Whether everything is to be read again, because increments do not tell everything."""
    return is_over(compared_at, timedelta(hours=run.full_compare_hours), run.clock())


# --- the mirror of tags ---------------------------------------------------------------------------


def _mirror_tags(run: Run) -> None:
    """New ones by id; of tags whose number of contacts is another than ours, everything.

    Nothing tells of tags that are taken off but these numbers.
    """
    state = run.store.load_state(TAGS, TagState)
    is_whole = _is_old(run, state.compared_at)
    after = max(0, state.entity_tag_id - _ENTITY_TAG_OVERLAP)
    tags = run.civicrm.fetch_tags(after)
    _check_tags(run, tags)
    pages = _fetch_pages(run, tags, after, is_whole)
    state.entity_tag_id = max(state.entity_tag_id, *(r.entity_tag_id for p in pages for r in p), 0)
    with run.store.atomic():
        begin_tags(run.store)
        save_tags(run.store, tags.labels)
        if is_whole:
            forget_entity_tags(run.store, tags.labels)
            state.compared_at = to_text(run.clock())
        _save_pages(run, pages)
        run.store.save_state(TAGS, state)
    drifted = _find_drifted(run, tags)
    if drifted:
        pages = list(run.civicrm.fetch_entity_tags(0, drifted))
        with run.store.atomic():
            begin_tags(run.store)
            forget_entity_tags(run.store, drifted)
            _save_pages(run, pages)


def _save_pages(run: Run, pages: Sequence[Sequence[EntityTag]]) -> None:
    for page in pages:
        save_entity_tags(run.store, page)
    finish_tags(run.store)


def _fetch_pages(
    run: Run, tags: TagSnapshot, after: int, is_whole: bool
) -> list[tuple[EntityTag, ...]]:
    if is_whole and after:
        return list(run.civicrm.fetch_entity_tags(0, None))
    pages = [tags.rows]
    if tags.has_more:
        pages += run.civicrm.fetch_entity_tags(tags.rows[-1].entity_tag_id, None)
    return pages


def _check_tags(run: Run, tags: TagSnapshot) -> None:
    """Without a permission CiviCRM shows empty lists; nobody's tags are taken off because of it."""
    known = sum(count_entity_tags(run.store).values())
    if known >= NEVER_BELOW and not tags.counts:
        raise ProtocolError(
            f"CiviCRM shows no tags of contacts at all, but the cache knows {known:,}",
            hint="check the permissions of the API user",
        )


def _find_drifted(run: Run, tags: TagSnapshot) -> list[int]:
    ours = count_entity_tags(run.store)
    return sorted(i for i in tags.labels if ours.get(i, 0) != tags.counts.get(i, 0))


# --- the mirror of fields -------------------------------------------------------------------------


def _mirror_fields(run: Run, kind: str, fields: list[str]) -> None:
    """What changed since the last reading, whom we do not know yet, and daily everything."""
    state = run.store.load_state(kind, FieldState)
    reached = load_mirror_state(run.store).modified_at
    if state.fields != fields or _is_old(run, state.compared_at):
        _read(run, kind, fields, load_linked_contacts(run.store, _CONTACTS_AT_ONCE))
        state = FieldState(fields, reached, to_text(run.clock()))
    elif state.modified_at != reached:
        since = from_text(state.modified_at)
        for values in run.civicrm.fetch_changed_contact_fields(fields, since):
            with run.store.atomic():
                save_values(run.store, kind, values)
        state.modified_at = reached
    unread = load_linked_contacts(run.store, _CONTACTS_AT_ONCE, unread=kind)
    _read(run, kind, fields, unread)
    with run.store.atomic():
        run.store.save_state(kind, state)


def _read(run: Run, kind: str, fields: Sequence[str], contacts: Iterable[Sequence[int]]) -> None:
    """Keep what contacts have; who is not found has nothing, and is not asked for again."""
    for contact_ids in contacts:
        found: dict[int, Mapping[str, object]] = {i: {} for i in contact_ids}
        for values in run.civicrm.fetch_contact_fields(fields, contact_ids):
            found |= values
        with run.store.atomic():
            save_values(run.store, kind, found)
