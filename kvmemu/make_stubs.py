# SPDX-License-Identifier: MIT
"""Writes constants.pyi from the compiled core (`make stubs`); a test says when it is stale."""

from __future__ import annotations

from pathlib import Path

from kvmemu import constants

HEAD = '''\
# SPDX-License-Identifier: MIT
# Made from the compiled core by make_stubs.py: run `make stubs` after a change of the headers.

ALL: dict[str, int]

def request_name(request: int) -> str: ...

'''


def stub() -> str:
    """The text of constants.pyi."""
    return HEAD + "".join(f"{name}: int\n" for name in constants.ALL)


if __name__ == "__main__":
    Path(constants.__file__).with_suffix(".pyi").write_text(stub(), encoding="utf-8")
