"""Plugins: how they are called, what of their answers counts, and the built-in ones' rules."""

import logging
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from mcsync.cache.wanted_data import Sent, Wanted
from mcsync.model import (
    DataAudience,
    DataChoice,
    DataRow,
    DataUpdate,
    MemberStatus,
    MergeField,
    PluginInfo,
)
from mcsync.pipeline.data_step import merge_tags, subtract_sent
from mcsync.plugins import hookimpl, manager
from mcsync.plugins.fields import count_misfits, find_problem
from mcsync.plugins.manager import DataPlugins, RefusedUpdate, load_plugins, read_update
from mcsync.plugins.tags import compare_tags

AUDIENCE = DataAudience("aaaaaaaaaa", "Main audience")


def row(row_id: int = 1, **metadata: object) -> DataRow:
    status = MemberStatus.SUBSCRIBED
    return DataRow(row_id, 7, "fred@example.org", "Fred", "Flintstone", status, metadata=metadata)


class Tick:
    """A clock whose every look is so many seconds later."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def make_plugin(**hooks: Callable[..., object]) -> object:
    return type("Plugin", (), {name: staticmethod(hookimpl(f)) for name, f in hooks.items()})()


def make_plugins(**hooks: Callable[..., object]) -> DataPlugins:
    plugins = DataPlugins()
    plugins.register(make_plugin(**hooks), "dino")
    return plugins


def begin(plugins: DataPlugins) -> DataChoice | None:
    return plugins.begin("dino", AUDIENCE, [], None)  # type: ignore[arg-type]


# --- calling them -------------------------------------------------------------------------------


def test_a_hook_takes_only_the_arguments_it_names():
    plugins = make_plugins(check_chunk=lambda rows: [DataUpdate(r.row_id) for r in rows])
    assert plugins.check("dino", AUDIENCE, [row(3)]) == [DataUpdate(3)]


def test_hooks_that_a_plugin_does_not_have_are_nothing():
    plugins = make_plugins()
    assert begin(plugins) == DataChoice(None)
    assert plugins.check("dino", AUDIENCE, [row()]) == []
    plugins.finish("dino", AUDIENCE)


def test_pre_chooses_whom_to_be_asked_about():
    assert begin(make_plugins(pre=lambda: [4, 4, 5])) == DataChoice(frozenset((4, 5)))
    nobody: list[int] = []
    assert begin(make_plugins(pre=lambda: nobody)) == DataChoice(frozenset())


def test_one_plugins_call_is_not_the_others():
    plugins = DataPlugins()
    for name, tag in (("dino", "Pet"), ("hoppy", "Hopper")):
        answer = [DataUpdate(1, tags={tag: True})]
        plugins.register(make_plugin(check_chunk=lambda answer=answer: answer), name)
    assert plugins.names == ("dino", "hoppy")
    assert plugins.check("hoppy", AUDIENCE, [row()]) == [DataUpdate(1, tags={"Hopper": True})]


@pytest.mark.parametrize("hook", ["pre", "check_chunk", "post"])
def test_a_failing_hook_is_told_with_its_plugin_and_goes_no_further(
    hook: str, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        raise KeyError("fred@example.org")

    plugins = make_plugins(**{hook: fail})
    assert (begin(plugins) is None) == (hook == "pre")
    assert plugins.check("dino", AUDIENCE, [row()]) == []
    plugins.finish("dino", AUDIENCE)
    [record] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert record.getMessage() == (
        f"Main audience: plugin dino failed in {hook}, its data is ignored: KeyError"
    )


def test_a_generator_that_fails_on_the_way_has_said_nothing():
    def check_chunk():  # type: ignore[no-untyped-def]
        yield DataUpdate(1)
        raise ValueError

    assert make_plugins(check_chunk=check_chunk).check("dino", AUDIENCE, [row()]) == []


def test_a_failure_of_every_chunk_is_told_once_for_each_audience(caplog: pytest.LogCaptureFixture):
    plugins = make_plugins(check_chunk=lambda: 1 / 0)
    for _ in range(2):
        begin(plugins)
        for _ in range(3):
            plugins.check("dino", AUDIENCE, [row()])
    assert caplog.text.count("plugin dino failed") == 2


def test_a_slow_call_is_reported_and_its_answer_counts(caplog: pytest.LogCaptureFixture):
    plugins = DataPlugins(slow_call_s=30, clock=Tick(31))
    plugins.register(make_plugin(check_chunk=lambda: [DataUpdate(1)]), "dino")
    assert plugins.check("dino", AUDIENCE, [row()]) == [DataUpdate(1)]
    assert "plugin dino took 31 s in check_chunk, more than 30 s" in caplog.text


def test_a_slow_call_that_fails_is_reported_as_both(caplog: pytest.LogCaptureFixture):
    plugins = DataPlugins(slow_call_s=30, clock=Tick(31))
    plugins.register(make_plugin(check_chunk=lambda: 1 / 0), "dino")
    assert plugins.check("dino", AUDIENCE, [row()]) == []
    assert "took 31 s" in caplog.text
    assert "failed in check_chunk" in caplog.text


# --- what they may ask for ----------------------------------------------------------------------


def test_an_update_is_read_as_mailchimp_wants_it():
    update = DataUpdate(1, {"age": 41, "pet": True}, {" Bowler ": True}, {"x": [1]})  # type: ignore[dict-item]
    read = read_update(update, {1})
    assert read == DataUpdate(1, {"AGE": "41", "PET": "true"}, {"Bowler": True}, {"x": [1]})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "NoneType instead of a DataUpdate"),
        ({"status": "cleaned", "email_address": "x"}, "email_address and status, which plugins"),
        (DataUpdate(2), "a row it was not asked about"),
        (DataUpdate(1, {"status": "cleaned"}), "status, which plugins may not set"),
        (DataUpdate(1, {"EMAIL": "x@example.org"}), "EMAIL, which plugins may not set"),
        (DataUpdate(1, {"FNAME": "Fred"}), "FNAME, but names have their own rules"),
        (DataUpdate(1, {"PET": ["Dino"]}), "list instead of text as the value of PET"),  # type: ignore[dict-item]
        (DataUpdate(1, {"": "x"}), "without a tag"),
        (DataUpdate(1, tags={"": True}), "a tag whose name"),
        (DataUpdate(1, tags={"x" * 101: True}), "a tag whose name"),
        (DataUpdate(1, tags={"x": "active"}), "neither on"),  # type: ignore[dict-item]
        (DataUpdate(1, metadata=[1]), "metadata that is not a mapping"),  # type: ignore[arg-type]
    ],
)
def test_what_no_plugin_may_ask_for(answer: object, words: str):
    with pytest.raises(RefusedUpdate, match=words):
        read_update(answer, {1})


def test_a_refused_update_leaves_the_others(caplog: pytest.LogCaptureFixture):
    answers = [DataUpdate(1, {"EMAIL": "x"}), DataUpdate(2, {"PET": "Dino"})]
    plugins = make_plugins(check_chunk=lambda: answers)
    assert plugins.check("dino", AUDIENCE, [row(1), row(2)]) == [DataUpdate(2, {"PET": "Dino"})]
    assert "plugin dino returned EMAIL, which plugins may not set" in caplog.text


# --- finding them -------------------------------------------------------------------------------


def test_the_built_in_ones_come_first_and_all_are_listed_with_versions(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    group = "mcsync.data_sync"
    entries = [
        EntryPoint("zelda", "mcsync.plugins.tags:Tags", group),
        EntryPoint("broken", "no.such.module", group),
        EntryPoint("tags", "mcsync.plugins.tags:Tags", group),
    ]
    monkeypatch.setattr(manager, "entry_points", lambda group: entries)
    plugins = load_plugins({"JOB": "job_title"}, ["mcsync.plugins.hookspec", "no.such.plugin"])
    from mcsync import __version__

    assert plugins.describe() == [
        PluginInfo("tags", __version__, "built in"),
        PluginInfo("fields", __version__, "built in"),
        PluginInfo("zelda", "", "entry point"),
        PluginInfo("mcsync.plugins.hookspec", "", "config"),
    ]
    assert set(plugins.left_out) == {"broken", "tags", "no.such.plugin"}
    assert "plugin broken is not used: ModuleNotFoundError" in caplog.text
    assert "plugin no.such.plugin is not used: ModuleNotFoundError" in caplog.text
    assert "there are two plugins named tags" in caplog.text


def test_without_a_map_there_is_no_fields_plugin():
    assert "fields" not in load_plugins({}, []).names


def test_a_plugin_with_a_hook_that_takes_other_arguments_is_left_out(
    caplog: pytest.LogCaptureFixture,
):
    plugins = make_plugins(check_chunk=lambda people: [])
    assert plugins.names == ()
    assert "plugin dino is not used" in caplog.text


def test_nobody_may_be_called_as_mcsync_itself(caplog: pytest.LogCaptureFixture):
    plugins = DataPlugins()
    plugins.register(make_plugin(), "mcsync")
    assert plugins.names == ()


# --- putting them together ----------------------------------------------------------------------


def test_of_two_tags_the_later_is_right_whatever_the_case():
    assert merge_tags({"Pet": True, "Bowler": True}, {"pet": False}) == {
        "Bowler": True,
        "pet": False,
    }


def test_what_was_sent_is_not_sent_again():
    wanted = Wanted(
        {"PET": "Dino", "JOB": "Miner"}, {"pet": True, "Bowler": False}, {"a": {"x": 1}}
    )
    sent = Sent({"PET": "Dino"}, {"Pet": True})
    assert subtract_sent(wanted, sent) == Wanted(
        {"JOB": "Miner"}, {"Bowler": False}, {"a": {"x": 1}}
    )


# --- tags ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "labels", "tags"),
    [
        pytest.param([], [], None, id="none"),
        pytest.param(["Donor"], ["Donor"], None, id="the same"),
        pytest.param([], ["Donor"], {"CiviCRM: Donor": True}, id="new"),
        pytest.param(["Donor"], [], {"CiviCRM: Donor": False}, id="gone"),
        pytest.param(
            ["Donor"], ["Patron"], {"CiviCRM: Patron": True, "CiviCRM: Donor": False}, id="renamed"
        ),
        pytest.param(["Donor"], ["DONOR"], {}, id="only the case"),
    ],
)
def test_tags_are_compared_with_those_pushed(
    seen: list[str], labels: list[str], tags: dict[str, bool] | None
):
    update = compare_tags(row(seen=seen) if seen else row(), labels)
    assert (update.tags if update else None) == tags
    if update:
        assert update.metadata == ({"seen": labels} if labels else {})


# --- fields -------------------------------------------------------------------------------------


def merge_field(tag: str, kind: str = "text", **more: object) -> MergeField:
    return MergeField(tag, tag.title(), kind, is_required=False, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tag", "source", "problem"),
    [
        ("JOB", "job_title", None),
        ("HOME", "address_primary", None),
        ("HOME", "address_primary.city", "an address is filled as a whole, from"),
        ("JOB", "address_primary", "address_primary is a whole address"),
        ("PET", "job_title", "the audience has no such merge field"),
    ],
)
def test_what_cannot_be_filled(tag: str, source: str, problem: str | None):
    known = {"HOME": merge_field("HOME", "address"), "JOB": merge_field("JOB")}
    found = find_problem(tag, source, known)
    assert (found or "").startswith(problem or "") if problem else found is None


def test_misfits_are_counted_by_field_and_reason_c1():
    fields = {"pet": "nick_name", "JOB": "job_title"}
    pets = merge_field("PET", "dropdown", choices=("Dino", "Puss"))
    people = [{"nick_name": "Dino"}, {"nick_name": "Rex", "job_title": "x" * 256}, {}]
    assert count_misfits(fields, [pets, merge_field("JOB")], people) == {
        ("PET", "not one of the field's choices"): 1,
        ("JOB", "longer than 255 bytes"): 1,
    }


def test_what_no_plugin_should_send_is_left_out_and_nothing_of_it_is_kept_c1():
    audience = replace(
        AUDIENCE, merge_fields=(merge_field("PET", "radio", choices=("Dino",)), merge_field("JOB"))
    )
    given = DataUpdate(1, {"pet": "Rex", "job": " Miner ", "NEW": "x"}, metadata={"a": 1})
    [found] = make_plugins(check_chunk=lambda: [given]).check("dino", audience, [row()])
    assert found.merge_fields == {"JOB": "Miner", "NEW": "x"}
    assert found.metadata is None
    assert found.left_out == {"PET": "not one of the field's choices"}
