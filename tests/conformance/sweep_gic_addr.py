# SPDX-License-Identifier: MIT
"""Scripts about where the frames of the interrupt controllers are put: a VM for each case.

Part of the tests; see make_scripts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance import gic_lines as gic
from conformance.gic_lines import ADDR, CTRL, INIT, get, has, put
from conformance.sweep import head

V2_TYPES = (gic.V2_ADDR_DIST, gic.V2_ADDR_CPU)
V3_TYPES = (gic.V3_ADDR_DIST, gic.V3_ADDR_REDIST)
DIST, REDIST, REGION = gic.V3_ADDR_DIST, gic.V3_ADDR_REDIST, gic.V3_ADDR_REGION
Address = tuple[int, int]  # type, address


def region(index: int, base: int, count: int, flags: int = 0) -> Address:
    """What KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION wants."""
    return REGION, count << 52 | base | flags << 12 | index


class _Cases:
    """VMs one after another, each with its frames set in some way."""

    def __init__(self, version: int, lines: list[str]) -> None:
        self.version = version
        self.lines = lines
        self.count = 0

    def begin(self, comment: str, vcpus: int, bits: int = 0) -> str:
        """A VM with a controller; its tag."""
        self.count += 1
        tag = f"_{self.count}"
        self.lines += ["", f"# {comment}", f"ioctl kvm KVM_CREATE_VM {bits} -> vm{tag}"]
        for number in range(vcpus):
            self.vcpu(number, tag)
        self.lines.append(gic.create(self.version, tag))
        return tag

    def vcpu(self, number: int, tag: str) -> None:
        name = f"v{number}{tag}"
        self.lines += [f"ioctl vm{tag} KVM_CREATE_VCPU {number} -> {name}", gic.init_vcpu(name)]

    def set(self, tag: str, addresses: Iterable[Address]) -> None:
        self.lines += [put(ADDR, kind, value, f"gic{tag}") for kind, value in addresses]

    def show(self, tag: str, vcpus: int = 0, indices: Iterable[int] = ()) -> None:
        """The addresses as they are now, and who is the last in a run of redistributors."""
        fd = f"gic{tag}"
        types = V3_TYPES if self.version == 3 else V2_TYPES
        self.lines += [get(ADDR, kind, fd) for kind in types]
        self.lines += [
            gic.attr("GET", ADDR, REGION, f"[ {gic.number(index)} ]", fd) for index in indices
        ]
        if self.version == 3:
            whose = (gic.whose(3, number) for number in range(vcpus))
            self.lines += [get(gic.REDIST, who | 8, fd) for who in whose]

    def init(self, tag: str) -> None:
        self.lines.append(gic.attr("SET", CTRL, INIT, "0", f"gic{tag}"))

    def run(self, tag: str) -> None:
        """A first KVM_RUN, which maps the frames; a VM where it fails is dead."""
        self.lines += [
            f"mmap v0{tag} 0x1000 0 -> run{tag}",
            f"poke run{tag}+1 [ u8 1 ]",
            f"ioctl v0{tag} KVM_RUN 0",
            f"ioctl v0{tag} KVM_RUN 0",
            get(gic.IRQS, 0, f"gic{tag}"),
            f"ioctl vm{tag} KVM_CHECK_EXTENSION KVM_CAP_NR_VCPUS ?",
        ]

    def whole(
        self, comment: str, vcpus: int, addresses: Sequence[Address], bits: int = 0, last: int = 0
    ) -> None:
        """Set, shown, initialised, shown, run; last: indices of regions to show."""
        tag = self.begin(comment, vcpus, bits)
        self.set(tag, addresses)
        self.show(tag, indices=range(last))
        self.init(tag)
        self.show(tag, vcpus, range(last))
        self.run(tag)


def _types(cases: _Cases) -> None:
    """Types that are not this version's, or nobody's; pointers."""
    tag = cases.begin("every type, and pointers", 2)
    fd = f"gic{tag}"
    for kind in (*range(8), 0xFFFF, 1 << 16, 1 << 32, 1 << 32 | 2):
        cases.lines += [has(ADDR, kind, fd), get(ADDR, kind, fd)]
        if kind not in (*V3_TYPES, *V2_TYPES, REGION):
            cases.lines.append(put(ADDR, kind, gic.DIST_BASE, fd))
        for memory in ("bad", "0", "[ u32 0x10000000 ]"):
            cases.lines += [gic.attr(op, ADDR, kind, memory, fd) for op in ("GET", "SET")]
    cases.show(tag)


def _ends(cases: _Cases, kind: int, bits: int, size: int) -> None:
    """Addresses around the end of the IPA space, of 64 bits, and between the pages."""
    end = 1 << (bits or 40)
    addresses = (
        *(0x800, 0x1000, 0x8000, 0x10000, end - size, end - size + 0x1000, end - 0x1000),
        *(end, end * 2, (1 << 52) - size, (1 << 64) - 0x1000, (1 << 64) - size, (1 << 64) - 1, 0),
    )
    for address in addresses:
        tag = cases.begin(f"type {kind}, {address:#x} of {bits or 40} bits", 1, bits)
        cases.set(tag, [(kind, address)])
        cases.show(tag)
        cases.set(tag, [(kind, address), (kind, gic.DIST_BASE)])


# ---- GICv2 ----


def v2() -> list[str]:
    lines = [
        *head(
            gic.V2_HOSTS,
            "Where the frames of a GICv2 are: by attribute and by KVM_ARM_SET_DEVICE_ADDR; "
            "alignment, the end of the IPA space, overlaps, which only KVM_RUN minds.",
        ),
        "open kvm",
    ]
    cases = _Cases(2, lines)
    _types(cases)
    for kind, size in ((0, 0x1000), (1, 0x2000)):
        for bits in (0, 36):
            _ends(cases, kind, bits, size)
    base = gic.DIST_BASE
    for comment, addresses in {
        "nothing set": (),
        "the distributor only": ((0, base),),
        "the interface only": ((1, base),),
        "both": ((0, base), (1, base + 0x10000)),
        "twice": ((0, base), (0, base), (1, base + 0x10000), (1, base)),
        "the same place": ((0, base), (1, base)),
        "the distributor in the interface": ((0, base + 0x1000), (1, base)),
        "next to each other": ((0, base + 0x2000), (1, base)),
        "next to each other, the other way": ((0, base), (1, base + 0x1000)),
    }.items():
        cases.whole(comment, 1, addresses)
    tag = cases.begin("not initialised before the run: it is then", 2)
    cases.set(tag, [(0, base), (1, base + 0x10000)])
    cases.run(tag)
    lines.append(f"ioctl vm{tag} KVM_CREATE_VCPU 2 -> late{tag}")
    _legacy(cases)
    return lines


def _legacy(cases: _Cases) -> None:
    """KVM_ARM_SET_DEVICE_ADDR: the type in bits 15:0, the device in 31:16."""
    base = gic.DIST_BASE
    lines = cases.lines
    lines += ["", "# KVM_ARM_SET_DEVICE_ADDR", "ioctl kvm KVM_CREATE_VM 0 -> bare"]
    lines += [f"ioctl bare KVM_ARM_SET_DEVICE_ADDR [ {kind} {base:#x} ]" for kind in (0, 1, 2)]
    lines += ["ioctl bare KVM_CREATE_IRQCHIP 0", "ioctl bare KVM_CREATE_IRQCHIP 0"]
    lines += ["ioctl bare KVM_ARM_SET_DEVICE_ADDR bad", "ioctl bare KVM_ARM_SET_DEVICE_ADDR [ 0 ]"]
    for number in (2, 3, 0xFFFF, 1 << 16, 1 << 16 | 2, 1 << 32 | 2, 1 << 63 | 3):
        lines.append(f"ioctl bare KVM_ARM_SET_DEVICE_ADDR [ {number:#x} {base:#x} ]")
    for kind in (0, 1):
        for address in (base + 0x800, 1 << 40, (1 << 40) - 0x1000, (1 << 64) - 0x1000, base, base):
            lines.append(f"ioctl bare KVM_ARM_SET_DEVICE_ADDR [ {kind} {address:#x} ]")
    tag = cases.begin("the same through the device", 1)
    lines += [f"ioctl vm{tag} KVM_ARM_SET_DEVICE_ADDR [ 1 {base:#x} ]", put(ADDR, 1, base)]
    lines[-1] = put(ADDR, 1, base, f"gic{tag}")
    cases.show(tag)


# ---- GICv3 ----


def v3() -> list[str]:
    lines = [
        *head(
            gic.V3_HOSTS,
            "Where the frames of a GICv3 are: the distributor, the one legacy region of "
            "redistributors; alignment, the end of the IPA space, overlaps, vCPUs that come later.",
        ),
        "open kvm",
    ]
    cases = _Cases(3, lines)
    _types(cases)
    for kind, size in ((DIST, 0x10000), (REDIST, 0x20000)):
        for bits in (0, 36):
            _ends(cases, kind, bits, size)
    base = gic.DIST_BASE
    for comment, addresses in {
        "nothing set": (),
        "the distributor only": ((DIST, base),),
        "redistributors only": ((REDIST, base),),
        "both": ((DIST, base), (REDIST, base + 0xA0000)),
        "twice": ((DIST, base), (DIST, base), (REDIST, base + 0xA0000), (REDIST, base + 0xA0000)),
        "the same place": ((DIST, base), (REDIST, base)),
        "the same place, the other way": ((REDIST, base), (DIST, base)),
        "the distributor behind two redistributors": ((REDIST, base), (DIST, base + 0x40000)),
        "the distributor in the second redistributor": ((REDIST, base), (DIST, base + 0x30000)),
        "redistributors into the distributor": ((DIST, base + 0x30000), (REDIST, base)),
        "redistributors before the distributor": ((DIST, base + 0x40000), (REDIST, base)),
        "redistributors after the distributor": ((DIST, base), (REDIST, base + 0x10000)),
        "the last redistributor behind the end": ((DIST, base), (REDIST, (1 << 40) - 0x20000)),
        "the last redistributor at the end": ((DIST, base), (REDIST, (1 << 40) - 0x40000)),
        "legacy, then a region": ((REDIST, base), region(1, base + 0x100000, 2)),
        "a region, then legacy": (region(0, base, 2), (REDIST, base + 0x100000)),
    }.items():
        cases.whole(comment, 2, addresses, last=2)
    _run_without_init(cases)
    _later_vcpus(cases)
    return lines


def _run_without_init(cases: _Cases) -> None:
    tag = cases.begin("run before it is initialised", 1)
    cases.set(tag, [(DIST, gic.DIST_BASE), (REDIST, gic.REDIST_BASE)])
    cases.run(tag)
    cases.init(tag)


def _later_vcpus(cases: _Cases) -> None:
    """vCPUs that are created when the addresses are set."""
    base = gic.DIST_BASE
    for comment, addresses, last in (
        ("no vCPU at first, legacy", [(DIST, base), (REDIST, base + 0x10000)], 0),
        ("the third runs into the distributor", [(REDIST, base), (DIST, base + 0x40000)], 0),
        ("the third is behind the end", [(REDIST, (1 << 40) - 0x40000), (DIST, base)], 0),
        ("a region of two", [region(0, base, 2), (DIST, base + 0x100000)], 1),
        (
            "two regions, of one and of four",
            [region(0, base, 1), region(1, base + 0x200000, 4), (DIST, base + 0x100000)],
            2,
        ),
    ):
        tag = cases.begin(comment, 0)
        cases.set(tag, addresses)
        cases.show(tag)
        for number in range(4):
            cases.vcpu(number, tag)
        cases.lines += [
            f"ioctl vm{tag} KVM_CREATE_VCPU 1 -> again{tag}",
            f"ioctl vm{tag} KVM_CREATE_VCPU 4 -> v4{tag}",
        ]
        cases.init(tag)
        cases.lines.append(f"ioctl vm{tag} KVM_CREATE_VCPU 5 -> late{tag}")
        cases.show(tag, 5, range(last))
        cases.run(tag)


def v3_regions() -> list[str]:
    lines = [
        *head(
            gic.V3_HOSTS,
            "Regions of redistributors: index 11:0 (of which 8 bits count), flags 15:12, base "
            "51:16, count 63:52. Their order, overlaps, how they fill, GICR_TYPER.Last.",
        ),
        "open kvm",
    ]
    cases = _Cases(3, lines)
    base, dist = 0x10000000, (DIST, gic.DIST_BASE)
    for comment, addresses in {
        "no count": (region(0, base, 0),),
        "flags": tuple(region(0, base, 1, flags) for flags in (1, 2, 4, 8, 0xF)),
        "index 1 first": (dist, region(1, base, 2)),
        "index 0 twice": (dist, region(0, base, 2), region(0, base + 0x100000, 2)),
        "index 2 after 0": (dist, region(0, base, 2), region(2, base + 0x100000, 2)),
        "index 256 is 0": (dist, region(256, base, 2), region(257, base + 0x100000, 2)),
        "index 0xfff is 255": (dist, region(0xFFF, base, 2)),
        "one region, just enough": (dist, region(0, base, 4)),
        "one region, too small": (dist, region(0, base, 3)),
        "one region, more than enough": (dist, region(0, base, 9)),
        "4095 redistributors": (dist, region(0, base, 0xFFF)),
        "four regions": (dist, *(region(n, base + n * 0x100000, 1) for n in range(4))),
        "two of two, downwards": (dist, region(0, base + 0x40000, 2), region(1, base, 2)),
        "two of two, touching": (dist, region(0, base, 2), region(1, base + 0x40000, 2)),
        "touching, the second unused": (dist, region(0, base, 4), region(1, base + 0x80000, 2)),
        "touching, three": (dist, *(region(n, base + n * 0x20000, 1 + n // 2) for n in range(3))),
        "overlapping": (dist, region(0, base, 2), region(1, base + 0x20000, 2)),
        "overlapping from below": (dist, region(0, base + 0x20000, 2), region(1, base, 2)),
        "one in the other": (dist, region(0, base, 8), region(1, base + 0x40000, 1)),
        "over the distributor": (dist, region(0, gic.DIST_BASE, 4)),
        "the distributor set over them": (region(0, base, 4), (DIST, base + 0x20000)),
        "the distributor next to them": (region(0, base, 4), (DIST, base + 0x80000)),
        "the distributor in a second one": (
            region(0, base, 2), region(1, base + 0x100000, 2), (DIST, base + 0x120000),
        ),
        "a second one over the distributor": (
            dist, region(0, base, 2), region(1, gic.DIST_BASE, 2),
        ),
        "at the end": (dist, region(0, (1 << 40) - 0x80000, 4)),
        "over the end": (dist, region(0, (1 << 40) - 0x60000, 4)),
        "behind the end": (dist, region(0, 1 << 40, 4)),
        "at the end of 52 bits": (dist, region(0, (1 << 52) - 0x10000, 4)),
    }.items():  # fmt: skip
        cases.whole(comment, 4, addresses, last=4)
    tag = cases.begin("reading: the index of what is there", 2)
    cases.set(tag, [dist, region(0, base, 1), region(1, base + 0x100000, 5)])
    for value in (0, 1, 2, 255, 256, 0x1000, 0xFFF, 1 << 52, (1 << 64) - 1, (1 << 64) - 0x100):
        cases.lines.append(gic.attr("GET", ADDR, REGION, f"[ {value:#x} ]", f"gic{tag}"))
    cases.set(tag, [(REDIST, base), region(2, base + 0x20000, 1), region(2, base + 0x200000, 1)])
    cases.show(tag, 2, range(4))
    return lines
