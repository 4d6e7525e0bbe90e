"""mcsync sandbox act."""

from dataclasses import asdict

import click

from mcsync.cli.output import write_answer
from mcsync.cli.state import State
from mcsync.errors import RemoteUnavailable, UsageError
from mcsync.sandbox.acting import ACTS, CannotAct, Told, ask_to_act
from mcsync.text import one_line

_WORDS = ("ACTION", "PERSON", "NEW")


def act(state: State, port: int, words: tuple[str, ...]) -> None:
    """Have somebody do something; without an action, offer a menu where somebody can choose."""
    from mcsync.cli.init.steps import is_somebody_there

    named = words[1:]
    if words[0] != "act" or len(named) > len(_WORDS) or (named and named[0] not in ACTS):
        raise UsageError(f'cannot do "{" ".join(words)}"', hint=_HINT)
    if named:
        told = _ask(port, *named)
        state.answer = asdict(told)
        if not state.wants_json:
            _show(told)
        return
    if state.wants_json or not is_somebody_there():
        raise UsageError("no action is named", hint=_HINT)
    _offer_menu(port)


_HINT = f"mcsync sandbox act ACTION [PERSON [NEW]]; the actions are {', '.join(ACTS)}"


def _ask(port: int, name: str, who: str = "", more: str = "") -> Told:
    try:
        return ask_to_act(port, name, who, more)
    except CannotAct as why:
        raise UsageError(str(why), hint="mcsync sandbox act lets you choose") from None
    except OSError:
        raise RemoteUnavailable(
            f"no sandbox answers at port {port}",
            hint="start one in another terminal: mcsync sandbox --write-config sandbox.json",
        ) from None


def _show(told: Told) -> None:
    write_answer(f"{one_line(told.happened)}. The next sync {one_line(told.expected)}:")
    for command in told.commands:
        write_answer(f"  {one_line(command)}")


def _offer_menu(port: int) -> None:
    """One action after the other, until only Enter."""
    from mcsync.cli.init.questions import ask, choose_one

    names = list(ACTS)
    labels = [f"{name.ljust(14)}  {each.title}" for name, each in ACTS.items()]
    while (place := choose_one("Number or name (Enter: quit)", labels, names)) is not None:
        who = ask("Address (Enter: anybody suitable)")
        more = ACTS[names[place]].more
        new = ask(f"{more[0].upper()}{more[1:]} (Enter: any)") if more else ""
        click.echo()
        try:
            _show(_ask(port, names[place], who, new))
        except UsageError as why:
            write_answer(f"Nothing was done: {one_line(why.message)}.")
        click.echo()
