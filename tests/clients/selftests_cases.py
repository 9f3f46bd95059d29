# SPDX-License-Identifier: MIT
"""Which of Linux's KVM selftests are run, how, and what of it is compared. Part of the tests.

Which programs there are: TEST_GEN_PROGS_aarch64, tools/testing/selftests/kvm/Makefile, Linux 6.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from oracle.hosts import HOSTS

ALL_HOSTS = tuple(HOSTS)
GICV3_HOSTS = tuple(host for host in HOSTS if host.startswith("gicv3"))
GICV2_HOSTS = tuple(host for host in HOSTS if host.startswith("gicv2"))


@dataclass(frozen=True)
class Case:
    """One way to run one program.

    Attributes:
        name: what the case and its golden files are called.
        program: its path below tools/testing/selftests/kvm.
        executes_guest: hosts where it ends as it does only because a guest executed code.
        hosts: hosts where its output is the same every time.
        keep: what the lines that count contain (a regular expression); all lines count if empty.
    """

    name: str
    program: str
    args: tuple[str, ...] = ()
    executes_guest: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ALL_HOSTS
    keep: str = ""

    def needs_guest(self, host: str) -> bool:
        """Whether kvmemu, which executes no guest code, cannot bring this case to its end."""
        return host in self.executes_guest


def _register_lists() -> list[Case]:
    program = "aarch64/get-reg-list"
    pauth = "vregs+pauth_address+pauth_generic"
    configs = ("vregs", "vregs+pmu", "sve", "sve+pmu", pauth, f"{pauth}+pmu")
    return [
        Case("get-reg-list", program),
        Case("get-reg-list-core-reg-fixup", program, ("--core-reg-fixup",)),
        *(Case(f"get-reg-list-{c}", program, (f"--config={c}", "--list")) for c in configs),
        Case("get-reg-list-filtered", program, ("--config=vregs", "--list-filtered")),
    ]


def _guest_cases() -> list[Case]:
    """Cases that execute guest code, as small as the options allow.

    vgic_irq and arch_timer are skipped by themselves where there is no GICv3. On the other hosts
    arch_timer's guest misses its deadlines: the oracle emulates a machine that runs a guest.
    """
    cases: dict[str, tuple[str, ...]] = {
        "aarch64/debug-exceptions": ("-i", "2"),
        "aarch64/hypercalls": (),
        "aarch64/psci_test": (),
        "demand_paging_test": ("-b", "4M", "-v", "2"),
        "dirty_log_perf_test": ("-b", "4M", "-v", "2", "-i", "2"),
        "dirty_log_test": ("-M", "dirty-log", "-i", "3", "-m", "5"),
        "kvm_page_table_test": ("-b", "4M", "-v", "2"),
        "memslot_modification_stress_test": ("-b", "4M", "-i", "5", "-d", "1000"),
        "memslot_perf_test": ("-s", "64", "-l", "1", "-e", "4"),
        "rseq_test": (),
        "steal_time": (),
    }
    return [
        *(Case(p.split("/")[-1], p, args, ALL_HOSTS) for p, args in cases.items()),
        Case("vgic_irq", "aarch64/vgic_irq", executes_guest=GICV3_HOSTS),
        Case("arch_timer", "aarch64/arch_timer", hosts=GICV2_HOSTS),
    ]


CASES: tuple[Case, ...] = (
    *_register_lists(),
    Case("vcpu_width_config", "aarch64/vcpu_width_config"),
    Case("set_memory_region_test", "set_memory_region_test"),
    Case("kvm_create_max_vcpus", "kvm_create_max_vcpus"),
    Case("kvm_binary_stats_test", "kvm_binary_stats_test"),
    Case("kvm_binary_stats_test-16-8", "kvm_binary_stats_test", ("16", "8")),
    # Fails on Linux 6.1 itself: after its first refused KVM_RUN the VM is dead, and it wants more.
    Case("vgic_init", "aarch64/vgic_init"),
    Case("aarch32_id_regs", "aarch64/aarch32_id_regs"),
    Case("dirty_log_test-dirty-ring", "dirty_log_test", ("-M", "dirty-ring")),
    # A usage text; only its guest modes matter: an IPA size and an ID register decide them.
    Case("guest-modes", "kvm_page_table_test", ("-h",), keep=r"PA-bits:"),
    *_guest_cases(),
)

# What differs between two runs on the same machine -> what stands for it. Lines first, then values.
_VOLATILE = (
    # test_assert() lets a shell run addr2line and cat: its lines, and what that shell complains of.
    (re.compile(r"^ +\d+\t.*\n", re.MULTILINE), ""),
    (re.compile(r"^.*\baddr2line: .*\n", re.MULTILINE), ""),
    (re.compile(r"^ERROR: ld\.so: object .* cannot be preloaded .*\n", re.MULTILINE), ""),
    (re.compile(r"^  \(stack trace empty\)\n", re.MULTILINE), ""),
    (re.compile(r"\b(pid|tid)=\d+"), r"\1=<id>"),
    (re.compile(r"(Host +virtual +test memory offset: )0x[0-9a-f]+"), r"\1<address>"),
    (re.compile(r"\b\d+\.\d+s\b"), "<time>"),
    (re.compile(r"\b\d+\.\d+ pgs/sec"), "<rate> pgs/sec"),
    (re.compile(r"\b(Done|with) \d+ iterations"), r"\1 <n> iterations"),
    (re.compile(r"\bDirtied \d+ pages"), "Dirtied <n> pages"),
    (re.compile(r"\b(dirty|clear|track_next) \(\d+\)"), r"\1 (<n>)"),
)


def normalised(case: Case, output: str) -> str:
    """A case's output, reduced to lines that count and what two runs on the same machine share.

    Identifiers of processes, addresses of the process, times, and counts that depend on them become
    words in angle brackets; stack traces go.
    """
    lines = output.splitlines(keepends=True)
    output = "".join(line for line in lines if re.search(case.keep, line))
    for pattern, stand_in in _VOLATILE:
        output = pattern.sub(stand_in, output)
    return output
