# SPDX-License-Identifier: MIT
"""What only people on a terminal see. Layer: cli. Loads rich: import it where it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

T = TypeVar("T")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output; its last column may be wrapped."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in header:
        table.add_column(heading, no_wrap=heading != header[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def with_bar(items: Sequence[T], description: str) -> Iterable[T]:
    """The items, with a progress bar on standard error while they last. Nothing may be printed in
    the meantime: the bar and the print would be in each other's way.
    """
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield from progress.track(items, description=description)
