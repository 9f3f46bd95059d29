# SPDX-License-Identifier: MIT
"""The command line, `kvmemu`. Layer: cli, a client of the ioctl interface: arguments and printing.

Each command is a module of its own here, imported when it is called: the click command NAME in
kvmemu/cli/NAME.py, and a line for it in COMMANDS. A command returns its exit code (None is 0) and
lets errors through; Program makes a sentence of them.
"""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

import kvmemu
from kvmemu.cli.errors import sentence_of

# The commands in the order --help lists them, each with its summary.
COMMANDS = {
    "demo": "Restore a recorded VM, let time pass, save it, compare.",
    "regs": "Register ids, names, values and bit fields.",
    "state": "Saved VMs: show, compare, verify.",
    "gic": "The interrupts of a saved VM; registers of the GIC.",
    "hosts": "The machines kvmemu can model.",
    "replay": "Replay traces of KVM calls and report what differs.",
    "bench": "Measure what calls cost.",
}

INTERRUPTED = 130  # as shells have it for a program that SIGINT, or SIGPIPE, has ended
BROKEN_PIPE = 141


class Failure(click.ClickException):
    """An error with a sentence: input that cannot be used, or a call that KVM refused."""

    exit_code = 2

    def show(self, file: object = None) -> None:  # noqa: ARG002
        click.echo(f"kvmemu: {self.message}", err=True)


class Program(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> None:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Exception as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            if sentence:
                raise Failure(sentence) from error
            # The reader has gone; nor can what is still buffered be written at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = BROKEN_PIPE
        ctx.exit(code or 0)


@click.command(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(kvmemu.__version__, prog_name="kvmemu", message="%(prog)s %(version)s")
def program() -> None:
    """Linux's KVM/arm64 state interface in user space.

    kvmemu answers the calls on /dev/kvm that create a VM and save and restore its state, as Linux
    6.1 on an arm64 machine would: any machine will do, no root, no kernel module. It runs no guest
    code. From Python: import kvmemu. This program looks at ids, hosts and traces.

    \b
    Examples:
      kvmemu demo
      kvmemu regs decode 0x603000000013df1a
      kvmemu regs encode CNTV_CTL_EL0
      kvmemu regs list --host gicv3-max --filter 'ID_AA64*' --values
      kvmemu state diff before.state after.state
      kvmemu hosts gicv3-max
      kvmemu replay bug.trace

    `kvmemu COMMAND --help` says more, with examples. Where a program would read the answer, --json
    gives it as JSON. KVMEMU_HOST in the environment names the host where no --host does.

    \b
    Exit codes:
      0  done; the answer is yes, or the same
      1  the answer is no: no such register, a difference, an invalid host
      2  wrong usage, input that cannot be read, or a call that KVM refused
    """


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # arguments may have bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    program.main(prog_name="kvmemu")
