# SPDX-License-Identifier: MIT
"""KVM's numbers: include/kvmemu/uapi.h and csrc/ioctl/constants_list.h against Linux's headers.

Two tables are compiled for arm64, one with Linux's headers and one with ours, and compared: every
constant's value and type, every structure's size and fields. What is compared is read from our
headers and from constants_list.h, so nothing is left out. Belongs to no layer.
"""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
UAPI = INCLUDE / "kvmemu" / "uapi"
LIST = ROOT / "csrc" / "ioctl" / "constants_list.h"
CROSS = "aarch64-linux-gnu-gcc"
OBJCOPY = "aarch64-linux-gnu-objcopy"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")

REAL = "#include <stddef.h>\n#include <stdint.h>\n#include <linux/kvm.h>\n"
OURS = "#include <stddef.h>\n#include <kvmemu/uapi.h>\n"
# What Linux's header uses of the kernel's own, and a program does not have.
KERNEL_HELPERS = """
#define SZ_64K 0x10000
#define BIT(n) (1UL << (n))
#define GENMASK(h, l) (((~0UL) << (l)) & (~0UL >> (63 - (h))))
"""


# ---- reading headers ----


class Constants(NamedTuple):
    """Macros of one header: object-like ones, and function-like ones with their parameters."""

    values: set[str]
    functions: dict[str, list[str]]


def source(path: Path) -> str:
    """A header without comments, continued lines joined."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.S)
    return text.replace("\\\n", " ")


def macros(path: Path) -> Constants:
    """The macros of a header of ours that are interface: not helpers, not aliases of fields."""
    found = Constants(set(), {})
    pattern = r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([^)]*\))?[ \t]*(.*)$"
    for name, params, value in re.findall(pattern, source(path), re.M):
        if name.upper().startswith("KVMEMU_") or re.match(r"\w+\[", value) or not value:
            continue
        if params:
            found.functions[name] = [p.strip() for p in params[1:-1].split(",")]
        else:
            found.values.add(name)
    return found


def struct_fields(path: Path) -> dict[str, list[tuple[str, bool]]]:
    """Each struct's fields as (path as offsetof() takes it, whether it has a size)."""
    found: dict[str, list[tuple[str, bool]]] = {}
    body = "\n".join(li for li in source(path).splitlines() if not li.lstrip().startswith("#"))
    tokens = re.findall(r"\w+|[{};\[\],*()]|[^\s\w]", body)
    at = 0

    def members(prefix: str, out: list[tuple[str, bool]]) -> None:
        """From behind a '{' to behind its '}'."""
        nonlocal at
        while tokens[at] != "}":
            if tokens[at] in ("struct", "union") and tokens[at + 1] == "{":
                at += 2
                inner: list[tuple[str, bool]] = []
                members("", inner)
                name = "" if tokens[at] == ";" else tokens[at]
                at += 1 if name else 0
                assert tokens[at] == ";", tokens[at - 5 : at + 5]
                at += 1
                dot = prefix + name + "." if name else prefix
                out.extend((dot + field, sized) for field, sized in inner)
                if name:
                    out.append((prefix + name, True))
                continue
            end = tokens.index(";", at)
            for declarator in " ".join(tokens[at:end]).split(","):
                match = re.search(r"(\w+)\s*(\[.*\])?\s*$", declarator)
                assert match, declarator
                out.append((prefix + match[1], match[2] is None or match[2] != "[ ]"))
            at = end + 1
        at += 1

    while at < len(tokens):
        if tokens[at] == "struct" and tokens[at + 2 : at + 3] == ["{"]:
            name = tokens[at + 1]
            at += 3
            found[name] = []
            members("", found[name])
        at += 1
    return found


def rows() -> list[tuple[str, str]]:
    """The rows of constants_list.h: (kind, name)."""
    return re.findall(r"^(KVMEMU_\w+)\((\w+)\)$", source(LIST), re.M)


OUR_HEADERS = sorted(UAPI.glob("*.h"))
OUR_MACROS = {path.name: macros(path) for path in OUR_HEADERS}
OUR_VALUES = set().union(*(m.values for m in OUR_MACROS.values()))
OUR_FUNCTIONS = {n: p for m in OUR_MACROS.values() for n, p in m.functions.items()}
ARM32 = OUR_MACROS["arm32.h"]
STRUCTS = {n: f for h in OUR_HEADERS if h.name != "arm32.h" for n, f in struct_fields(h).items()}
OWN = [name for kind, name in rows() if kind.endswith("_OWN")]
PPC = re.compile(r"KVM_(PPC_\w+|CREATE_SPAPR_TCE(_64)?|ALLOCATE_RMA)$")


# ---- compiling ----


def run(*command: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command],
        input=text,
        text=True,
        capture_output=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )


def compile_c(compiler: str, text: str, *flags: str | Path) -> subprocess.CompletedProcess[str]:
    return run(compiler, *flags, f"-I{INCLUDE}", f"-I{LIST.parent}", "-xc", "-", text=text)


def table(
    prelude: str, entries: str, tmp: Path, cc: str = CROSS, objcopy: str = OBJCOPY
) -> list[int]:
    """The uint64 values of C initialisers, without running anything of the target."""
    obj, binary = tmp / "table.o", tmp / "table.bin"
    head = '\n__attribute__((section(".kvmemu"), used)) const unsigned long long t[] = {\n'
    done = compile_c(cc, prelude + head + entries + "};\n", "-std=gnu11", "-w", "-c", "-o", obj)
    assert done.returncode == 0, done.stderr[:2000]
    done = run(objcopy, "-O", "binary", "-j", ".kvmemu", obj, binary)
    assert done.returncode == 0, done.stderr
    data = binary.read_bytes()
    return list(struct.unpack(f"<{len(data) // 8}Q", data))


def shape(name: str) -> str:
    """Three table entries: value, size of the type, whether the type is signed."""
    return f"(unsigned long long)({name}), sizeof({name}), (__typeof__({name}))-1 < 1,\n"


def triples(values: list[int]) -> list[tuple[int, ...]]:
    return list(zip(*[iter(values)] * 3, strict=True))


def known_to(prelude: str, names: list[str], cc: str) -> list[str]:
    """Those of names that compile after prelude."""
    while True:
        lines = prelude.count("\n") + 1
        body = "".join(f"unsigned long long v{i} = {n};\n" for i, n in enumerate(names))
        done = compile_c(cc, prelude + body, "-fsyntax-only", "-fmax-errors=0")
        if done.returncode == 0:
            return names
        bad = {int(n) - lines for n in re.findall(r"<stdin>:(\d+):\d+: \w+", done.stderr)}
        kept = [n for i, n in enumerate(names) if i not in bad]
        assert len(kept) < len(names), done.stderr[:2000]
        names = kept


@pytest.fixture(scope="session")
def linux_headers() -> None:
    """Linux 6.1's arm64 headers and a compiler for them, or the test is skipped."""
    if not (shutil.which(CROSS) and shutil.which(OBJCOPY)) or (
        compile_c(CROSS, REAL, "-fsyntax-only").returncode
    ):
        pytest.skip("needs the packages gcc-aarch64-linux-gnu and linux-libc-dev-arm64-cross")
    code = "LINUX_VERSION_CODE >> 8"
    version = compile_c(
        CROSS,
        f'#include <linux/version.h>\n_Static_assert(({code}) == 0x601, "");',
        "-fsyntax-only",
    )
    if version.returncode:
        pytest.skip("needs Linux 6.1's headers for arm64 (Debian 12's linux-libc-dev-arm64-cross)")


@pytest.fixture(scope="session")
def linux_source() -> Path:
    """An unpacked Linux 6.1: tools/arch/arm has 32-bit arm's header, arch/powerpc ppc's."""
    path = Path(os.environ.get("KVMEMU_LINUX_SOURCE", "/nonexistent"))
    if not (path / "tools/arch/arm/include/uapi/asm/kvm.h").exists():
        pytest.skip("needs KVMEMU_LINUX_SOURCE, an unpacked linux-source-6.1 (Debian package)")
    return path


# ---- the values ----


def test_every_shared_constant_has_linux_value_and_type(
    linux_headers: None, tmp_path: Path
) -> None:
    entries = (
        "#define KVMEMU_CONSTANT(id) " + shape("id").strip() + '\n#include "constants_list.h"\n'
    )
    names = [name for kind, name in rows() if not kind.endswith("_OWN")]
    linux = triples(table(REAL, entries, tmp_path))
    ours = triples(table(OURS, entries, tmp_path))
    assert len(linux) == len(ours) == len(names)
    wrong = {n: (a, b) for n, a, b in zip(names, linux, ours, strict=True) if a != b}
    assert not wrong


def test_own_constants_that_only_lack_kernel_helpers_agree(
    linux_headers: None, tmp_path: Path
) -> None:
    assert not known_to(REAL, OWN, CROSS), "these rows are not OWN: Linux's header has them"
    names = known_to(KERNEL_HELPERS + REAL, OWN, CROSS)
    assert set(names) >= {"KVM_VGIC_V3_DIST_SIZE", "KVM_ARM_DEVICE_ID_MASK"}
    entries = "".join(map(shape, names))
    assert table(KERNEL_HELPERS + REAL, entries, tmp_path) == table(OURS, entries, tmp_path)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86 host's <linux/kvm.h>")
def test_x86_constants_agree_with_x86_header(linux_headers: None, tmp_path: Path) -> None:
    if not shutil.which("gcc") or compile_c("gcc", REAL, "-fsyntax-only").returncode:
        pytest.skip("needs the packages gcc and linux-libc-dev")
    names = known_to(REAL, OWN, "gcc")
    entries = "".join(map(shape, names))
    linux, ours = (table(p, entries, tmp_path, "gcc", "objcopy") for p in (REAL, OURS))
    assert linux == ours
    arm64 = known_to(KERNEL_HELPERS + REAL, OWN, CROSS)
    ppc = {n for n in OWN if PPC.match(n)}
    assert set(OWN) == {*names, *arm64, *ppc, *ARM32.values}, "rows that no test compares"


def test_every_structure_is_laid_out_as_linux_does(linux_headers: None, tmp_path: Path) -> None:
    def entries(rename: bool) -> str:
        text = ""
        for name, fields in STRUCTS.items():
            tag = "struct " + (name.removeprefix("kvmemu_") if rename else name)
            text += f"sizeof({tag}), _Alignof({tag}),\n"
            for field, sized in fields:
                size = f"sizeof((({tag} *)0)->{field})" if sized else "0"
                text += f"offsetof({tag}, {field}), {size},\n"
        return text

    what = [w for n, fs in STRUCTS.items() for w in (n, *(f"{n}.{f}" for f, _ in fs))]
    linux = table(REAL, entries(rename=True), tmp_path)
    ours = table(OURS, entries(rename=False), tmp_path)
    assert len(linux) == len(ours) == 2 * len(what)
    wrong = [w for i, w in enumerate(what) if linux[2 * i : 2 * i + 2] != ours[2 * i : 2 * i + 2]]
    assert not wrong
    assert {
        "kvm_run.system_event.data",
        "kvm_regs.fp_regs",
        "kvm_irq_routing_entry.u.msi",
        "kvm_irq_routing_msi.devid",
        "kvm_stats_desc.name",
    } <= set(what), "the parser lost fields"


def calls(functions: dict[str, list[str]], fields: dict[str, list[str]]) -> list[str]:
    """Calls of function-like macros. fields: arguments for parameters that are not numbers."""
    numbers = ["0", "1", "3", "15", "0x12", "0x12345"]
    found = []
    for name, params in functions.items():
        for i in range(max(len(fields.get(p, numbers)) for p in params)):
            args = [fields.get(p, numbers) for p in params]
            found.append(f"{name}({', '.join(a[(i + k) % len(a)] for k, a in enumerate(args))})")
    return found


def test_function_like_macros_give_linux_values(linux_headers: None, tmp_path: Path) -> None:
    functions = {n: p for n, p in OUR_FUNCTIONS.items() if n not in ARM32.functions}
    regs = [f for f, _ in STRUCTS["kvm_regs"]] + ["regs.regs[30]", "fp_regs.vregs[31]", "spsr[4]"]
    made = calls(functions, {"name": regs, "field": ["OP0", "OP1", "CRN", "CRM", "OP2"]})
    made += [f"KVM_REG_SIZE({size}ULL << 52)" for size in range(9)]
    entries = "".join(map(shape, made))
    linux, ours = (triples(table(p, entries, tmp_path)) for p in (REAL, OURS))
    assert [m for m, a, b in zip(made, linux, ours, strict=True) if a != b] == []
    assert len(linux) > 60


def test_arm32_agrees_with_linux_source(
    linux_headers: None, linux_source: Path, tmp_path: Path
) -> None:
    header = linux_source / "tools/arch/arm/include/uapi/asm/kvm.h"
    prelude = (
        "#include <stddef.h>\n#include <linux/types.h>\n#include <linux/const.h>\n"
        "#include <linux/ioctl.h>\n#include <linux/psci.h>\n#include <asm/ptrace.h>\n"
        "struct pt_regs { unsigned int uregs[18]; };\n#define long int\n"
        f'#include "{header}"\n#undef long\n'
        "#define KVM_REG_ARM 0x4000000000000000ULL\n"
        "#define KVM_REG_SIZE_U32 0x0020000000000000ULL\n"
        "#define KVM_REG_SIZE_U64 0x0030000000000000ULL\n"
    )
    fields = [f for f, _ in struct_fields(UAPI / "arm32.h")["kvm_arm32_regs"]]
    aliases = re.findall(r"define\s+(KVM_ARM_[A-Z]{3}_\w+)\s+\w+\[", source(UAPI / "arm32.h"))
    assert len(aliases) == 20
    names = sorted(ARM32.values) + calls(
        ARM32.functions, {"name": fields + aliases, "field": ["OPC1", "CRM", "32_CRN", "32_OPC2"]}
    )
    theirs = "".join(shape(n.replace("ARM32_", "ARM_")) for n in names)
    linux = triples(table(prelude, theirs + "sizeof(struct kvm_regs), 0, 0", tmp_path))
    ours = triples(
        table(OURS, "".join(map(shape, names)) + "sizeof(struct kvm_arm32_regs), 0, 0", tmp_path)
    )
    assert [n for n, a, b in zip([*names, "regs"], linux, ours, strict=True) if a[0] != b[0]] == []


def test_ppc_requests_agree_with_linux_source(
    linux_headers: None, linux_source: Path, tmp_path: Path
) -> None:
    ppc = linux_source / "arch/powerpc/include/uapi/asm/kvm.h"
    kvm = real_header("linux/kvm.h").read_text().replace("#include <asm/kvm.h>", "")
    prelude = f'#include <linux/types.h>\n#include "{ppc}"\n{kvm}\n'
    names = [n for n in OWN if PPC.match(n)]
    entries = "".join(map(shape, names))
    assert table(prelude, entries, tmp_path) == table(OURS, entries, tmp_path)


# ---- nothing missing ----


def real_header(name: str) -> Path:
    """Where the cross compiler finds a header."""
    done = compile_c(CROSS, f"#include <{name}>\n", "-E")
    match = re.search(rf'^# \d+ "([^"]*/{name})"', done.stdout, re.M)
    assert match, name
    return Path(match[1])


WANTED = re.compile(
    r"(KVM_(CAP|EXIT|REG|DEV_(ARM|TYPE|VFIO)|ARM|VGIC|PSCI|STATS|SYSTEM_EVENT|MP_STATE|GUESTDBG|"
    r"MEM|IRQFD|IOEVENTFD|IRQ_ROUTING|MSI|DIRTY|SPSR|PMU_EVENT|VM_TYPE_ARM|DEBUG_ARCH|"
    r"INTERNAL_ERROR|CREATE_DEVICE)|PSCI|VGIC|ARM64_SYS_REG|KVM_API_VERSION|KVM_NR_)\w*$"
)


@pytest.mark.parametrize("header", ["linux/kvm.h", "asm/kvm.h", "linux/psci.h"])
def test_every_interface_constant_of_linux_is_in_ours(linux_headers: None, header: str) -> None:
    text = source(real_header(header))
    defined = re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(.*)$", text, re.M)
    request = re.compile(r"\s+(_IO[RW]*\(|__KVM_DEPRECATED_)")
    names = {n for n, value in defined if request.match(value) and n.startswith("KVM_")}
    assert header != "linux/kvm.h" or len(names) > 150
    names |= {n for n, _ in defined if WANTED.match(n)}
    for body in re.findall(r"\benum\b[^{;]*\{([^}]*)\}", text):
        plain = re.sub(r"^\s*#.*$", "", body, flags=re.M)
        names |= {n for n in re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", plain) if WANTED.match(n)}
    assert sorted(names - OUR_VALUES - set(OUR_FUNCTIONS)) == []


def test_list_has_exactly_the_constants_of_the_header() -> None:
    listed = [name for _, name in rows()]
    assert set(listed) - OUR_VALUES == set()
    assert OUR_VALUES - set(listed) == set()
    assert len(listed) > 800


def test_list_is_sorted_without_repetition() -> None:
    listed = [name for _, name in rows()]
    assert [(a, b) for a, b in itertools.pairwise(listed) if a >= b] == []


def test_list_marks_requests() -> None:
    values = re.findall(r"define[ \t]+(KVM_\w+)[ \t]+KVMEMU_IO", source(UAPI / "ioctls.h"))
    marked = {name for kind, name in rows() if kind.startswith("KVMEMU_REQUEST")}
    assert set(values) - marked == {"KVM_ARM_SET_DEVICE_ADDR"}
    assert marked <= set(values)


# ---- the header as a header ----

COMPILERS = [
    *itertools.product(["gcc", "clang", CROSS], ["c11", "gnu11", "c17"], ["c"]),
    *itertools.product(["g++", "clang++", "aarch64-linux-gnu-g++"], ["c++17", "c++20"], ["c++"]),
]
BEFORE = {
    "alone": "",
    "twice": "#include <kvmemu/uapi.h>\n",
    "after-ioctl": "#include <sys/ioctl.h>\n#include <linux/ioctl.h>\n#include <signal.h>\n",
    "after-psci": "#include <linux/psci.h>\n",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize(("compiler", "standard", "language"), COMPILERS)
def test_header_compiles_without_warning(
    compiler: str, standard: str, language: str, before: str
) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}")
    text = before + "#include <kvmemu/uapi.h>\n#include <sys/ioctl.h>\nint kvmemu_unused;\n"
    flags = (f"-std={standard}", *WARNINGS, "-fsyntax-only", f"-I{INCLUDE}", f"-x{language}", "-")
    done = run(compiler, *flags, text=text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("standard", ["c11", "gnu17"])
def test_header_gives_way_to_linux_arm64_header(linux_headers: None, standard: str) -> None:
    text = (
        REAL + "#include <kvmemu/uapi.h>\n"
        "struct kvmemu_user_pt_regs regs;\n"
        "unsigned long long a = KVM_REG_ARM32_TIMER_CNT, b = KVM_GET_ONE_REG;\n"
    )
    done = compile_c(CROSS, text, f"-std={standard}", *WARNINGS, "-fsyntax-only")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(platform.machine() == "aarch64", reason="an arm64 host's header is the same")
def test_header_refuses_another_architectures_kvm_header() -> None:
    if not shutil.which("gcc") or compile_c("gcc", REAL, "-fsyntax-only").returncode:
        pytest.skip("needs the packages gcc and linux-libc-dev")
    done = compile_c("gcc", REAL + "#include <kvmemu/uapi.h>\n", "-fsyntax-only")
    assert done.returncode
    assert "do not include this machine's <linux/kvm.h>" in done.stderr
