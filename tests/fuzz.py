"""How much is left to chance: a little each time and always the same, or a lot and other things.

The latter with MCSYNC_FUZZ=long, which takes hours for all tests: it is for a few, by hand.
"""

import os

from hypothesis import settings

IS_LONG = os.environ.get("MCSYNC_FUZZ") == "long"


def how_many(few: int) -> int:
    """As many examples as are always played, or a hundred times as many."""
    return few * 100 if IS_LONG else few


def law(few: int) -> settings:
    """The settings of what holds for whatever is given."""
    return settings(derandomize=not IS_LONG, max_examples=how_many(few))
