# SPDX-License-Identifier: MIT
"""What somebody may have meant who gave a name that nothing has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, names: Iterable[str], most: int = 3) -> str:
    """The end of a sentence: `; did you mean PC or SP?`; empty if no name is like it.

    Args:
        name: as it was given; case does not matter.
        names: those there are. One that begins with the given one comes before one that is like it.
        most: how many to name.
    """
    known = {candidate.upper(): candidate for candidate in names}
    given = name.upper()
    starts = [upper for upper in known if upper.startswith(given)] if given else []
    close = difflib.get_close_matches(given, known, n=most, cutoff=0.7)
    meant = list(dict.fromkeys([*starts[:most], *close]))[:most]
    return f"; did you mean {' or '.join(known[upper] for upper in meant)}?" if meant else ""
