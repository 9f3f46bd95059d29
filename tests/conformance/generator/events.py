# SPDX-License-Identifier: MIT
"""Random calls about eventfds and routes: irqfds, GSI routing, MSIs, ioeventfds, coalesced MMIO.

Part of the tests. What an irqfd injects Linux may inject on another thread: where that can be, time
passes before the next call.
"""

from __future__ import annotations

from conformance.generator.writer import Writer

EVENTFDS_MAX = 4
PLACES = (0x1000, 0x1004, 0x2000, 0x8000000, 0x80A0000, 0x10000)


def _eventfd(w: Writer, initial: int | None = None) -> str:
    """An eventfd, an old one as soon as there are some."""
    if initial is None and len(w.eventfds) >= EVENTFDS_MAX:
        return w.pick(w.eventfds)
    name = w.new_name("event")
    w.add(f"eventfd {name} {initial or 0} 0")
    w.eventfds.append(name)
    return name


def irqfd(w: Writer) -> None:
    """An eventfd, with a count or without, for a GSI; taken away; resampled."""
    flags = w.pick((0, 0, 0, 1, 1, 2, 2, 3, 4))
    counts = flags in (0, 2) and w.one_in(3)
    event = _eventfd(w, 1 if counts else None)
    other = _eventfd(w) if flags & 2 and not w.one_in(6) else ""
    resample = f"fd:{other}" if other else "0"
    gsi = w.pick((0, 1, 2, 3, 31, 32, 63, 64, 4095, 1 << 31))
    descriptor = w.pick((*[f"fd:{event}"] * 6, "-1", "fd:kvm"))
    w.add(f"ioctl {w.vm()} KVM_IRQFD [ u32 {descriptor} {gsi} {flags} {resample} 4*0 ]")
    if flags != 1:  # of a count, or of the line that goes down with a refused one
        w.settle()


def _entry(w: Writer) -> str:
    gsi = w.pick((0, 1, 2, 3, 31, 63, 64, 4095, 4096))
    kind = w.pick((1, 1, 1, 2, 2, 0, 4))
    if kind == 1:
        chip, pin = w.pick((0, 0, 0, 1)), w.pick((0, 1, 2, 31, 63, 987, 988, 1019, 1020, 4096))
        return f"{gsi} 1 {w.pick((0, 0, 0, 1))} 0 {chip} {pin} 6*0"
    device = w.pick((0, 1))
    return f"{gsi} {kind} {w.pick((0, device, 2))} 0 0x8090040 0 {w.number(0, 3)} {device} 4*0"


def routing(w: Writer) -> None:
    entries = [_entry(w) for _ in range(w.number(0, 4))]
    number = len(entries) if not w.one_in(12) else w.pick((5, 4097))
    block = " ".join([str(number), str(w.pick((0, 0, 0, 0, 0, 1))), *entries])
    w.add(f"ioctl {w.vm()} KVM_SET_GSI_ROUTING [ u32 {block} ]")


def msi(w: Writer) -> None:
    flags = w.pick((0, 1, 1, 2))
    w.add(f"ioctl {w.vm()} KVM_SIGNAL_MSI [ u32 0x8090040 0 {w.number(0, 3)} {flags} 0 3*0 ]")


def ioeventfd(w: Writer) -> None:
    event, place = _eventfd(w), w.pick(PLACES)
    match, bytes_ = w.pick((0, 0, 7, 1 << 40)), w.pick((0, 1, 2, 4, 4, 8, 3, 16))
    flags = w.pick((0, 0, 1, 2, 4, 5, 4, 8, 0x20))
    descriptor = w.pick((*[f"fd:{event}"] * 8, "-1", "fd:kvm"))
    w.add(
        f"ioctl {w.vm()} KVM_IOEVENTFD "
        f"[ {match:#x} {place:#x} u32 {bytes_} {descriptor} {flags:#x} 9*0 ]"
    )


def coalesced(w: Writer) -> None:
    request = w.pick(("KVM_REGISTER_COALESCED_MMIO", "KVM_UNREGISTER_COALESCED_MMIO"))
    size, port = w.pick((0, 4, 0x100, 0x1000)), w.pick((0, 0, 0, 1, 2))
    w.add(f"ioctl {w.vm()} {request} [ {w.pick(PLACES):#x} u32 {size:#x} {port} ]")


def close_eventfd(w: Writer) -> None:
    if w.eventfds:
        w.add(f"close {w.eventfds.pop(w.number(0, len(w.eventfds) - 1))}")
        w.settle()
