"""The plugins of one run: found, called one by one, their answers checked, their trouble kept.

Nothing a plugin does wrong goes further than its own data: it is logged with the plugin's name,
and the run goes on without what it would have said.
"""

import importlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TypeVar, cast

import pluggy

from mcsync.model import (
    DataAudience,
    DataChoice,
    DataRow,
    DataSite,
    DataUpdate,
    MergeField,
    MergeValue,
    PluginInfo,
)
from mcsync.name_tags import NAME_TAGS
from mcsync.plugins.fields import Fields
from mcsync.plugins.fitting import fit
from mcsync.plugins.groups import GroupTags
from mcsync.plugins.hookspec import ENTRY_POINTS, PROJECT, DataSync
from mcsync.plugins.tags import MOST_TAG, Tags

log = logging.getLogger("mcsync.plugins")

T = TypeVar("T")

SLOW_CALL_S = 60.0
# A status and an address are decided by the rules; names are synced both ways by rules of theirs.
_PROTECTED = frozenset(("STATUS", "STATUS_IF_NEW", "EMAIL_ADDRESS", "EMAIL"))


class RefusedUpdate(Exception):
    """An update that a plugin may not ask for; the text completes "gave …"."""


class DataPlugins:
    """The plugins, in the order in which they are asked; of two that differ the later is right.

    A call that takes longer than `slow_call_s` is reported when it ends: no thread that runs
    somebody else's code can be stopped safely.
    """

    def __init__(
        self, slow_call_s: float = SLOW_CALL_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(DataSync)
        self._infos: dict[str, PluginInfo] = {}
        self.left_out: dict[str, str] = {}  # by name: why
        self._slow_call_s = slow_call_s
        self._clock = clock
        self._told: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins' names, in order."""
        return tuple(self._infos)

    def describe(self) -> list[PluginInfo]:
        """The plugins with their versions, in order."""
        return list(self._infos.values())

    def register(self, plugin: object, name: str, version: str = "", source: str = "") -> None:
        """Add a plugin; one that does not fit the hooks is left out with a warning."""
        if name == PROJECT or '"' in name:
            self.leave_out(name, "the name cannot be used")
            return
        if name in self._infos:
            log.warning("there are two plugins named %s; the second is not used", name)
            self.left_out[name] = "there are two with this name; the first is used"
            return
        try:
            self._pluggy.register(plugin, name)
        except Exception as error:
            self.leave_out(name, _text_of(error))
            if self._pluggy.has_plugin(name):
                self._pluggy.unregister(name=name)
            return
        self._infos[name] = PluginInfo(name, version, source)

    def leave_out(self, name: str, why: str) -> None:
        """Go on without a plugin."""
        log.warning("plugin %s is not used: %s", name, why)
        self.left_out[name] = why

    # --- one audience -------------------------------------------------------------------------

    def begin(
        self, name: str, audience: DataAudience, rows: Iterable[DataRow], site: DataSite
    ) -> DataChoice | None:
        """Call a plugin's `pre`; None when it failed, and is out for this audience."""
        self._told.clear()

        def call() -> DataChoice:
            answers = self._hook(name, "pre")(audience=audience, rows=rows, site=site)
            chosen = cast("Collection[int] | None", answers[0] if answers else None)
            return DataChoice(None if chosen is None else frozenset(chosen))

        return self._guarded(name, "pre", audience, call)

    def check(self, name: str, audience: DataAudience, rows: Sequence[DataRow]) -> list[DataUpdate]:
        """Call a plugin's `check_chunk`; only what it may ask for comes back."""

        def call() -> list[object]:
            answers = self._hook(name, "check_chunk")(audience=audience, rows=rows)
            return list(cast("Iterable[object]", answers[0])) if answers else []

        updates = []
        row_ids = {row.row_id for row in rows}
        known = {merge_field.tag.upper(): merge_field for merge_field in audience.merge_fields}
        for answer in self._guarded(name, "check_chunk", audience, call) or ():
            try:
                updates.append(fit_update(read_update(answer, row_ids), known))
            except RefusedUpdate as error:
                self._warn(name, audience, f"returned {error}; such updates are ignored")
        return updates

    def finish(self, name: str, audience: DataAudience) -> None:
        """Call a plugin's `post`."""
        self._guarded(name, "post", audience, lambda: self._hook(name, "post")(audience=audience))

    def _hook(self, name: str, hook: str) -> Callable[..., list[object]]:
        """The hook of one plugin alone, so that its trouble is nobody else's."""
        others = [plugin for other, plugin in self._pluggy.list_name_plugin() if other != name]
        return cast("Callable[..., list[object]]", self._pluggy.subset_hook_caller(hook, others))

    def _guarded(
        self, name: str, hook: str, audience: DataAudience, call: Callable[[], T]
    ) -> T | None:
        began = self._clock()
        try:
            return call()
        except Exception as error:
            log.debug("plugin %s", name, exc_info=True)
            self._warn(name, audience, f"failed in {hook}, its data is ignored: {_text_of(error)}")
            return None
        finally:
            took = self._clock() - began
            if took > self._slow_call_s:
                words = f"took {took:.0f} s in {hook}, more than {self._slow_call_s:g} s"
                log.warning("%s: plugin %s %s", audience.name, name, words)

    def _warn(self, name: str, audience: DataAudience, words: str) -> None:
        """Warn, once for each audience: a plugin errs about one row as it does about others."""
        if words not in self._told:
            self._told.add(words)
            log.warning("%s: plugin %s %s", audience.name, name, words)


def _text_of(error: Exception) -> str:
    """An error in one line; only its kind where its text might name people."""
    message = getattr(error, "message", None)
    return str(message) if message else type(error).__name__


# --- what plugins may ask for -------------------------------------------------------------------


def read_update(answer: object, row_ids: Collection[int]) -> DataUpdate:
    """An update as it may be carried out; merge tags in capitals, numbers as text.

    Raises: RefusedUpdate.
    """
    if not isinstance(answer, DataUpdate):
        raise RefusedUpdate(_text_of_answer(answer))
    if answer.row_id not in row_ids:
        raise RefusedUpdate("an update for a row it was not asked about")
    fields = {_read_tag(tag): _read_value(tag, v) for tag, v in answer.merge_fields.items()}
    for name, is_on in answer.tags.items():
        if not isinstance(name, str) or not 0 < len(name.strip()) <= MOST_TAG:
            raise RefusedUpdate("a tag whose name Mailchimp does not accept")
        if not isinstance(is_on, bool):
            raise RefusedUpdate("a tag that is neither on (True) nor off (False)")
    if answer.metadata is not None and not isinstance(answer.metadata, Mapping):
        raise RefusedUpdate("metadata that is not a mapping")
    return DataUpdate(
        row_id=answer.row_id,
        merge_fields=fields,
        tags={name.strip(): is_on for name, is_on in answer.tags.items()},
        metadata=answer.metadata,
        left_out={str(tag).upper(): str(why) for tag, why in answer.left_out.items()},
    )


def _text_of_answer(answer: object) -> str:
    if isinstance(answer, Mapping):
        protected = sorted(key for key in map(str, answer) if key.upper() in _PROTECTED)
        if protected:
            return f"{' and '.join(protected)}, which plugins may not set"
    return f"{type(answer).__name__} instead of a DataUpdate"


def _read_tag(tag: object) -> str:
    if not isinstance(tag, str) or not tag:
        raise RefusedUpdate("a merge field without a tag")
    if tag.upper() in _PROTECTED:
        raise RefusedUpdate(f"{tag}, which plugins may not set")
    if tag.upper() in NAME_TAGS:
        raise RefusedUpdate(f"{tag}, but names have their own rules")
    return tag.upper()


def _read_value(tag: object, value: object) -> MergeValue:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values()):
        return {str(part): text for part, text in value.items()}  # an address
    if not isinstance(value, str):
        raise RefusedUpdate(f"{type(value).__name__} instead of text as the value of {tag}")
    return value


def fit_update(update: DataUpdate, known: Mapping[str, MergeField]) -> DataUpdate:
    """The update with values as the merge fields take them; what does not fit is left out.

    `known` are the audience's merge fields by tag. A plugin that believes that something was
    sent would not ask for it again, so of an update that lacks something nothing is kept.
    """
    fits = {tag: fit(v, known[tag]) for tag, v in update.merge_fields.items() if tag in known}
    misfits = {tag: each.misfit.value for tag, each in fits.items() if each.misfit is not None}
    fitted = {
        tag: fits[tag].value if tag in fits else value
        for tag, value in update.merge_fields.items()
        if tag not in misfits
    }
    return replace(
        update,
        merge_fields=fitted,
        metadata=None if misfits else update.metadata,
        left_out={**update.left_out, **misfits},
    )


# --- finding them -------------------------------------------------------------------------------


def load_plugins(
    fields: Mapping[str, str],
    modules: Sequence[str],
    slow_call_s: float = SLOW_CALL_S,
    group_tags: Mapping[int, str] = MappingProxyType({}),
) -> DataPlugins:
    """The built-in plugins, then those of entry points by name, then the config's modules."""
    from mcsync import __version__

    plugins = DataPlugins(slow_call_s)
    plugins.register(Tags(), "tags", __version__, "built in")
    if group_tags:
        plugins.register(GroupTags(group_tags), "groups", __version__, "built in")
    if fields:
        plugins.register(Fields(fields), "fields", __version__, "built in")
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        _register_entry(plugins, entry)
    for module in modules:
        try:
            found = importlib.import_module(module)
        except Exception as error:
            plugins.leave_out(module, f"{type(error).__name__}: {error}")
            continue
        plugins.register(found, module, str(getattr(found, "__version__", "")), "config")
    return plugins


def _register_entry(plugins: DataPlugins, entry: EntryPoint) -> None:
    try:
        found = entry.load()
    except Exception as error:
        plugins.leave_out(entry.name, f"{type(error).__name__}: {error}")
        return
    plugin = found() if isinstance(found, type) else found
    version = entry.dist.version if entry.dist else ""
    plugins.register(plugin, entry.name, version, "entry point")
