# SPDX-License-Identifier: MIT
"""Tables, pairs and JSON on standard output. Layer: cli.

What goes to a terminal may be wrapped, coloured and ruled (by rich). What goes into a pipe or a
file is the same text in plain columns, whatever the terminal's width.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

import click


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def styled(text: str, *, bold: bool = False, fg: str | None = None) -> str:
    """A text in bold, or in a colour, for click.echo(), which takes that away in a pipe."""
    return text if os.environ.get("NO_COLOR") else click.style(text, bold=bold or None, fg=fg)


def print_json(value: object) -> None:
    """A value as JSON, indented. Numbers of 64 bits are better passed as strings: many readers of
    JSON keep only 53 bits of a number.
    """
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Rows of cells as lines: cells padded to their column's width, two blanks between."""
    rows = list(rows)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [(indent + "  ".join(cells)).rstrip() for cells in padded]


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: with headings and a last column that may be wrapped on a terminal, the bare rows
    elsewhere, so that every line of a pipe is an answer.
    """
    if not is_terminal():
        for line in columns(rows):
            click.echo(line)
        return
    from kvmemu.cli import terminal  # noqa: PLC0415 - rich takes a while to load

    terminal.print_table(header, rows)


def print_pairs(pairs: Iterable[tuple[str, str]], width: int = 13, indent: str = "  ") -> None:
    """Names with their values, one a line; on a terminal long values go on below themselves."""
    room = shutil.get_terminal_size().columns if is_terminal() else 0
    for name, value in pairs:
        start = f"{indent}{name:<{width}}  "
        if room < 2 * len(start):
            click.echo(start + value)
            continue
        lines = textwrap.wrap(value, room - len(start), break_long_words=False) or [""]
        click.echo(start + ("\n" + " " * len(start)).join(lines))
