# SPDX-License-Identifier: MIT
"""`kvmemu replay`: traces against the emulator. Layer: cli."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

import kvmemu
from kvmemu.cli import output
from kvmemu.cli.errors import sentence_of
from kvmemu.hosts import host_names, load_host
from kvmemu.trace import statements as st
from kvmemu.trace.backends import KvmemuBackend
from kvmemu.trace.format import format_answer, format_statement, with_answers
from kvmemu.trace.parse import parse
from kvmemu.trace.replay import Difference, same_answers
from kvmemu.trace.replay import replay as run_script

VERDICTS = {"the same": 0, "without answers": 0, "different": 1, "unusable": 2}  # and exit codes
_BAR_FROM = 4  # files


@dataclass
class _Result:
    """What came of one trace on one host.

    Attributes:
        compared: how many answers the trace has.
        text: the trace with kvmemu's answers.
        error: why it could not be run; empty if it was.
    """

    file: str
    host: str
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    text: str = ""
    error: str = ""

    @property
    def verdict(self) -> str:
        """One of VERDICTS."""
        if self.error:
            return "unusable"
        if not self.compared:
            return "without answers"
        return "different" if self.differences else "the same"

    @property
    def code(self) -> int:
        """The exit code if this were the only trace."""
        return VERDICTS[self.verdict]


def _read(file: str) -> st.Script:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    return parse(text, kvmemu.constants.ALL)


def _run(script: st.Script, result: _Result) -> None:
    """Run a script on result.host and fill in the rest."""
    load_host(result.host)  # an unknown host is an error even for a script that opens nothing
    answers: dict[int, st.Answer] = {}
    for statement, answer in run_script(script, KvmemuBackend(kvmemu, result.host)):
        if answer is None:
            continue
        answers[statement.last_line] = answer
        if statement.answer is None:
            continue
        result.compared += 1
        if not same_answers(statement.answer, answer):
            result.differences.append(
                Difference(
                    statement.first_line,
                    format_statement(statement),
                    format_answer(statement.answer),
                    format_answer(answer),
                )
            )
    result.text = with_answers(script, answers)


def _results(file: str, host: str | None) -> Iterator[_Result]:
    """The results of one file, one for each host that it is for."""
    result = _Result(file, host or "")
    try:
        script = _read(file)
        default = os.environ.get("KVMEMU_HOST") or host_names()[0]
        for name in (host,) if host else script.hosts or (default,):
            result = _Result(file, name)
            _run(script, result)
            yield result
    except Exception as error:
        sentence = sentence_of(error)
        if not sentence:
            raise
        result.error = f"{file}: {sentence}" if isinstance(error, ValueError) else sentence
        yield result


def _all_results(files: Sequence[str], host: str | None) -> Iterable[_Result]:
    """The results of all files: as they come, or after a progress bar if there is one to see."""
    if len(files) < _BAR_FROM or not sys.stderr.isatty():
        return (result for file in files for result in _results(file, host))
    from kvmemu.cli import terminal  # noqa: PLC0415 - rich takes a while to load

    bar = terminal.with_bar(files, "replaying")
    return [result for file in bar for result in _results(file, host)]


def _json(result: _Result) -> dict[str, Any]:
    return {
        "file": result.file,
        "host": result.host,
        "verdict": result.verdict,
        "compared": result.compared,
        "differences": [
            {"line": d.line, "statement": d.statement, "expected": d.expected, "got": d.got}
            for d in result.differences
        ],
        "error": result.error or None,
    }


def _print_result(result: _Result) -> None:
    if result.error:
        click.echo(f"kvmemu: {result.error}", err=True)
        return
    where = f"{result.file} on {result.host}"
    if not result.compared:
        click.echo(f"{where}: no answers to compare; --show prints kvmemu's")
    elif result.differences:
        count = f"{len(result.differences)} of {result.compared} answers differ"
        click.echo(f"{where}: {output.styled(count, fg='red')}")
    else:
        click.echo(f"{where}: {result.compared} answers, all the same")
    for difference in result.differences:
        click.echo(f"  {str(difference).replace(chr(10), chr(10) + '  ')}")


@click.command("replay")
@click.argument("scripts", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--host",
    metavar="NAME|FILE",
    help="The machine to model, instead of the one each trace names. See `kvmemu hosts`.",
)
@click.option("--show", is_flag=True, help="Print each trace with kvmemu's own answers.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, one a trace and host.")
def replay(scripts: tuple[str, ...], host: str | None, show: bool, as_json: bool) -> int:
    """Replay traces of KVM calls and report what differs.

    A trace is a text of calls with the answers that a real Linux gave (docs/trace-format.md): this
    makes the calls on kvmemu and compares. A script is a trace without answers; with --show kvmemu
    answers it. `-` is standard input.

    \b
    Examples:
      kvmemu replay bug.trace
      kvmemu replay tests/conformance/*/*.trace
      kvmemu replay --show --host gicv2-cortex-a72 calls.trace
      kvmemu replay bug.trace --json

    \b
    Exit codes:
      0  every answer is the same
      1  an answer differs
      2  a file cannot be read or is not a trace, or there is no such host
    """
    if show and as_json:
        raise click.UsageError("--show prints traces, --json does not: choose one")
    results = []
    for result in _all_results(scripts, host):
        results.append(result)
        if show and not result.error:
            click.echo(result.text, nl=False)
        elif not as_json:
            _print_result(result)
    if as_json:
        output.print_json([_json(result) for result in results])
    elif len(results) > 1 and not show:
        counts = Counter(result.verdict for result in results)
        words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        click.echo(f"{len(results)} traces: {words}")
    return max(result.code for result in results)
