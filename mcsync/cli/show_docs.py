"""Lists of what there is to be printed, on stdout."""

from collections.abc import Mapping

from mcsync.cli.options import State
from mcsync.cli.tables import show_gap, show_line, show_table


def show_list(state: State, kind: str, found: Mapping[str, str], more: str) -> None:
    """Names with what they are, and where `more` is; `kind` is the document's word: "samples"."""
    state.answer = {kind: [{"name": name, "about": about} for name, about in found.items()]}
    if not state.wants_json:
        show_table(("name", "about"), list(found.items()))
        show_gap()
        show_line(more)
