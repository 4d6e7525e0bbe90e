"""What a data-sync plugin may do: three hooks, called for each audience, each of them optional.

A plugin is a module, or an object, whose functions carry `@hookimpl`. A hook may take any of
the arguments named here, and leave out the others.
"""

from collections.abc import Collection, Iterable, Sequence

import pluggy

from mcsync.model import DataAudience, DataRow, DataSite, DataUpdate

PROJECT = "mcsync"
ENTRY_POINTS = "mcsync.data_sync"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class DataSync:
    """The hooks, in the order in which they are called."""

    @hookspec
    def pre(
        self, audience: DataAudience, rows: Iterable[DataRow], site: DataSite
    ) -> Collection[int] | None:
        """Gather data in bulk, once per audience.

        `rows` are all rows concerned: those to be judged in this run, and everybody who is
        subscribed or pending. They are read from the cache as they are taken, and only once.
        `site` reads from CiviCRM, and may be kept until `post`.

        Returns the ids of contacts to ask `check_chunk` about, or None for all. Rows that are
        to be judged anyway are asked about in any case.
        """

    @hookspec
    def check_chunk(self, audience: DataAudience, rows: Sequence[DataRow]) -> Iterable[DataUpdate]:  # type: ignore[empty-body]
        """Tell what these rows, at most a thousand, should have at Mailchimp.

        Rows about which there is nothing to tell may be left out. Nobody's status, address or
        name can be set; an update that tries is left out.
        """

    @hookspec
    def post(self, audience: DataAudience) -> None:
        """Clean up; called once per audience, also after a failure of `check_chunk`."""
