# SPDX-License-Identifier: MIT
"""What an argument about the GIC stands for: a register, a device attribute. Layer: cli; prints
nothing. kvmemu/cli/ids.py is the same for the registers of vCPUs.

    GICD_ISENABLER1             a name
    gicd:0x104, icc:0xc230      a frame and an offset; ICC registers have encodings for offsets
    1:0x104, DIST_REGS:0x104    a group and an attribute, as struct kvm_device_attr has them
    ADDR:REDIST_REGION          the same by Linux's names, or what is left of them without prefixes
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kvmemu import constants as c
from kvmemu.gic_attrs import (
    ADDR,
    ADDR_ATTRS,
    CTRL,
    CTRL_ATTRS,
    FRAME_OF_GROUP,
    GROUP_OF_FRAME,
    GROUP_PREFIX,
    GROUPS,
    LEVELS,
    NR_IRQS,
    WHOSE_SHIFT,
    offset_of,
    whose_of,
)
from kvmemu.gic_registers import (
    FRAMES,
    FRAMES_OF_VERSION,
    GicRegister,
    find_gic_register,
    gic_register_at,
    gic_registers,
)
from kvmemu.registers import find
from kvmemu.suggest import did_you_mean

_WORD = 4
_ATTR_PREFIXES = ("KVM_DEV_ARM_VGIC_", "KVM_DEV_ARM_", "KVM_VGIC_")
_LEVEL_INFO_MASK = c.KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK
_LEVEL_INFO_SHIFT = c.KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT
_FRAME_NAMES = {"dist": "gicd", "redist": "gicr", "cpu": "gicc"}
_PAIR = re.compile(r"([a-z_][a-z0-9_]*|\d+|0x[0-9a-f]+):([a-z0-9_]*)", re.IGNORECASE)


@dataclass
class Answer:
    """What is to be said about one argument.

    Attributes:
        text: the argument, without its value.
        version: of the GIC that it is about.
        group: of the device attribute; None if there is none.
        attr: the attribute's number, with a vCPU in its upper half if the argument says one; None
            if there is none.
        register: if it is one.
        shift: 32 if only the upper half of the register is meant.
        name: what it is called.
        value: what it is said to be; None if nothing is.
        bytes: of a value.
        problem: why it is nothing.
    """

    text: str
    version: int = 3
    group: int | None = None
    attr: int | None = None
    register: GicRegister | None = None
    shift: int = 0
    name: str = ""
    value: int | None = None
    bytes: int = 4
    problem: str = ""

    @property
    def intid(self) -> int | None:
        """The first interrupt that line levels are about; None for anything else."""
        if self.group != LEVELS or self.attr is None:
            return None
        return self.attr & c.KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK

    @property
    def whose(self) -> int | None:
        """The vCPU in the attribute: its id (GICv2) or its affinity; None if it names none."""
        if self.attr is None or self.group is None:
            return None
        return whose_of(self.version, self.group, self.attr)


def number_of(text: str) -> int | None:
    """A number, decimal or 0x..., or None."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def _plain(text: str) -> str:
    """An argument without the prefix that says that it is about the GIC."""
    return text[4:] if text[:4].lower() == "gic:" else text


def is_gic(text: str) -> bool:
    """Whether an argument of `kvmemu regs` is about the GIC."""
    name = text.partition("=")[0]
    plain = _plain(name)
    if plain != name or plain.upper().startswith(("GICD_", "GICR_", "GICC_")):
        return True
    return _PAIR.fullmatch(plain) is not None or _constant(plain) is not None


def _version_of(group: int, attr: int) -> int | None:
    """Which GIC alone has such an attribute."""
    if group == ADDR:
        return ADDR_ATTRS.get(attr, ("", None))[1]
    if group == CTRL:
        return CTRL_ATTRS.get(attr, ("", 0))[1] or None
    frame = FRAME_OF_GROUP.get(group)
    only = [version for version, frames in FRAMES_OF_VERSION.items() if frame in frames]
    if group == LEVELS:
        return 3
    return only[0] if len(only) == 1 else None


# ---- names of attributes ----


def group_of(text: str) -> int | None:
    """A group by its number or its name."""
    number = number_of(text)
    if number is not None:
        return number
    name = text.upper().removeprefix(GROUP_PREFIX)
    return c.ALL.get(GROUP_PREFIX + name)


def _short(name: str) -> set[str]:
    """What may be left out of the name of an attribute."""
    for prefix in _ATTR_PREFIXES:
        name = name.removeprefix(prefix)
    return {name, name.removeprefix("CTRL_"), re.sub(r"^V[23]_ADDR_TYPE_", "", name)}


def _attr_of(group: int, text: str, version: int | None) -> int | None:
    """An attribute of a group by its number or its name."""
    number = number_of(text)
    if number is not None:
        return number
    named = ADDR_ATTRS if group == ADDR else CTRL_ATTRS if group == CTRL else {}
    fitting = [
        attr
        for attr, (name, of) in named.items()
        if text.upper() in {name, *_short(name)} and (of in {0, version} or version is None)
    ]
    return fitting[-1] if fitting else None


def _constant(text: str) -> tuple[int, int] | None:
    """Group and attribute of a constant of Linux's."""
    name = text.upper()
    for group, named in ((ADDR, ADDR_ATTRS), (CTRL, CTRL_ATTRS)):
        for attr, (known, _) in named.items():
            if name == known:
                return group, attr
    return (NR_IRQS, 0) if name == GROUP_PREFIX + "NR_IRQS" else None


# ---- what an argument stands for ----


def _no_register(version: int, frame: str, offset: int) -> str:
    inside = gic_register_at(version, frame, offset & ~(_WORD - 1))
    if offset % _WORD and inside is not None and frame != "icc":
        return f"registers are read in words: {inside.name} is at {inside.offset:#x}"
    if frame == "icc":
        return f"KVM has no attribute for the system register {offset:#x}"
    return (
        f"a GICv{version} has no {frame.upper()} register at {offset:#x}: it reads as zero and "
        "ignores writes"
    )


def _find_offset(answer: Answer, frame: str, offset: int) -> None:
    register = gic_register_at(answer.version, frame, offset)
    if register is None:
        if frame not in FRAMES_OF_VERSION[answer.version]:
            answer.problem = f"a GICv{answer.version} has no {frame.upper()}"
        else:
            answer.problem = _no_register(answer.version, frame, offset)
        return
    answer.register, answer.name = register, register.name
    answer.shift = 8 * (offset - register.offset)
    answer.bytes = register.bytes - answer.shift // 8


def _find_levels(answer: Answer, attr: int) -> None:
    info = (attr & _LEVEL_INFO_MASK) >> _LEVEL_INFO_SHIFT
    if info != c.VGIC_LEVEL_INFO_LINE_LEVEL:
        answer.problem = f"bits 31:10 are {info}; line levels, the only information, are 0"
    elif answer.intid is not None and answer.intid % 32:
        answer.problem = "line levels are read for 32 interrupts, from a multiple of 32"
    answer.name = "line levels"


def _find_attr(answer: Answer, group: int, attr: int) -> None:
    """What a device attribute is."""
    answer.group, answer.attr = group, attr
    frame = FRAME_OF_GROUP.get(group)
    if not 0 <= attr < 1 << 64:
        answer.problem = "an attribute is a number of 64 bits"
    elif frame is not None:
        _find_offset(answer, frame, offset_of(group, attr))
        if frame != "icc":
            answer.bytes = _WORD
    elif group == LEVELS:
        _find_levels(answer, attr)
    elif group == NR_IRQS:
        answer.name = GROUPS[NR_IRQS]
    elif group in {ADDR, CTRL}:
        named = ADDR_ATTRS if group == ADDR else CTRL_ATTRS
        answer.bytes = 8 if group == ADDR else 0
        if attr in named:
            answer.name = named[attr][0]
        else:
            answer.problem = f"{GROUPS[group]} has no attribute {attr:#x}"
    elif group == c.KVM_DEV_ARM_VGIC_GRP_ITS_REGS:
        answer.problem = "these are the ITS's registers, which are not modelled"
    else:
        answer.problem = f"the GIC's devices have no group {group}"


def _find_pair(answer: Answer, where: str, what: str, version: int | None) -> None:
    frame = _FRAME_NAMES.get(where.lower(), where.lower())
    if frame in FRAMES:
        number = number_of(what)
        only = _version_of(GROUP_OF_FRAME[frame], 0)
        answer.version = version or only or 3
        if number is None:
            answer.problem = f"an offset in {frame.upper()} is a number"
        elif number >> WHOSE_SHIFT:
            _find_attr(answer, GROUP_OF_FRAME[frame], number)
        else:
            _find_offset(answer, frame, number)
        return
    group = group_of(where)
    if group is None:
        answer.problem = f"no frame or group of attributes is called {where}"
        return
    attr = _attr_of(group, what, version)
    if attr is None:
        answer.problem = f"{GROUPS.get(group, f'group {group}')} has no attribute {what}"
        return
    answer.version = version or _version_of(group, attr) or 3
    _find_attr(answer, group, attr)


def unknown_name(name: str, version: int) -> str:
    """A sentence for a name that no register of the GIC has, with what may have been meant."""
    if not name:
        return "a name is missing"
    if number_of(name) is not None:
        return "a number alone says nothing: FRAME:OFFSET or GROUP:ATTR expected"
    if find(name) is not None:
        return f"{name} is a register of vCPUs: see `kvmemu regs`"
    names = [n for frame in FRAMES_OF_VERSION[version] for n in gic_registers(version, frame)]
    return f"a GICv{version} has no register {name!r}{did_you_mean(name, names)}"


def _find_name(answer: Answer, name: str, version: int | None) -> None:
    for candidate in (version,) if version else (3, 2):
        register = find_gic_register(candidate, name)
        if register is not None:
            answer.version, answer.register, answer.name = candidate, register, register.name
            answer.bytes = register.bytes
            return
    answer.version = version or (2 if name.upper().startswith("GICC_") else 3)
    answer.problem = unknown_name(name, answer.version)
    if version and find_gic_register(5 - version, name):
        answer.problem = f"a GICv{version} has no register {name!r}; a GICv{5 - version} has"


def identify(text: str, version: int | None = None) -> Answer:
    """What an argument without a value stands for.

    Args:
        version: of the guest's GIC; None takes the one that has such a register, a GICv3 if both.
    """
    plain = _plain(text)
    answer = Answer(text, version or 3)
    pair = _PAIR.fullmatch(plain)
    constant = _constant(plain)
    if pair is not None:
        _find_pair(answer, pair[1], pair[2], version)
    elif constant is not None:
        answer.version = version or _version_of(*constant) or 3
        _find_attr(answer, *constant)
    else:
        _find_name(answer, plain, version)
    only = _version_of(answer.group, answer.attr or 0) if answer.group is not None else None
    if not answer.problem and only and only != answer.version:
        answer.problem = f"a GICv{answer.version} has no such attribute; a GICv{only} has"
    return answer


def attrs_of(answer: Answer, whose: int = 0) -> tuple[int, list[int]]:
    """Group and attributes of what was identified: two for a register of 64 bits in a frame.

    Args:
        whose: the vCPU, if the argument names none: its id (GICv2), or its affinity as four bytes
            (GICv3).
    """
    if answer.group is not None and answer.attr is not None:
        return answer.group, [answer.attr]
    register = answer.register
    assert register is not None
    if answer.version == 3 and register.frame == "gicd":
        whose = 0
    first = whose << WHOSE_SHIFT | register.offset + answer.shift // 8
    split = answer.bytes > _WORD and register.frame != "icc"
    return GROUP_OF_FRAME[register.frame], [first, first + _WORD] if split else [first]
