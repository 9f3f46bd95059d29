# SPDX-License-Identifier: MIT
"""Blocks in memory before a call, and as answers after it. Layer: trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kvmemu.trace import statements as st
from kvmemu.trace.memory import Memory

# the number that a value stands for in this run
Resolve = Callable[[st.Scalar], int]
# one run of equal elements: width, count, and what is compared (None: nothing is)
_Run = tuple[int, int, object]


@dataclass(frozen=True)
class PlacedBlock:
    """A block in memory.

    Attributes:
        written: its bytes before the call.
        nested: the blocks that its items point to, by the items' index.
    """

    block: st.Block
    address: int
    written: bytes
    nested: dict[int, PlacedBlock]

    def changed(self, memory: Memory) -> bool:
        """Whether anything but volatile items is different now."""
        now = memory.load(self.address, len(self.written))
        at = 0
        for item in self.block.items:
            end = at + item.size
            if not item.volatile and now[at:end] != self.written[at:end]:
                return True
            at = end
        return any(inner.changed(memory) for inner in self.nested.values())


def place(block: st.Block, memory: Memory, resolve: Resolve) -> PlacedBlock:
    """Store a block, and those that its items point to."""
    address = memory.block(block.size)
    nested: dict[int, PlacedBlock] = {}
    data = bytearray()
    for index, item in enumerate(block.items):
        if isinstance(item.value, st.Text):
            data += item.value.data
            continue
        if isinstance(item.value, st.Block):
            nested[index] = place(item.value, memory, resolve)
            number = nested[index].address
        else:
            number = resolve(item.value)
        mask = (1 << 8 * item.width) - 1
        data += (number & mask).to_bytes(item.width, "little") * item.count
    memory.store(address, bytes(data))
    return PlacedBlock(block, address, bytes(data), nested)


def hex_number(data: bytes) -> st.Number:
    """Bytes as a little-endian number, written in hex."""
    value = int.from_bytes(data, "little")
    return st.Number(value, f"{value:#x}")


def _elements(item: st.Item, now: bytes, before: bytes) -> Iterator[st.Item]:
    """An item's elements after a call: unchanged ones as written, equal neighbours as one item."""
    width = item.width
    last: st.Item | None = None
    for at in range(0, len(now), width):
        data = now[at : at + width]
        value = item.value if data == before[at : at + width] else hex_number(data)
        if last is not None and last.value == value:
            last = st.Item(last.value, width, last.count + 1)
            continue
        if last is not None:
            yield last
        last = st.Item(value, width)
    if last is not None:
        yield last


def _answer_items(
    placed: PlacedBlock, index: int, now: bytes, at: int, memory: Memory
) -> Iterator[st.Item]:
    item = placed.block.items[index]
    before = placed.written[at : at + item.size]
    now = now[at : at + item.size]
    if item.volatile:
        yield st.Item(st.Number(0), item.width, item.count, volatile=True)
    elif index in placed.nested and now == before:
        yield st.Item(answer_block(placed.nested[index], memory))
    elif now == before:
        yield item
    elif isinstance(item.value, st.Text):
        yield st.Item(st.Text(now), item.width)
    else:
        yield from _elements(item, now, before)


def answer_block(placed: PlacedBlock, memory: Memory, device_fd: st.Item | None = None) -> st.Block:
    """The block as it is now.

    device_fd is what stands at byte 4 after a KVM_CREATE_DEVICE that created something.
    """
    now = memory.load(placed.address, len(placed.written))
    items: list[st.Item] = []
    at = 0
    for index, item in enumerate(placed.block.items):
        if device_fd is not None and at == 4 and (item.width, item.count) == (4, 1):
            items.append(device_fd)
        else:
            items.extend(_answer_items(placed, index, now, at, memory))
        at += item.size
    return st.Block(tuple(items))


# ---- comparing ----


def _runs(block: st.Block) -> Iterator[_Run]:
    for item in block.items:
        if isinstance(item.value, st.Block):
            yield 8, 1, "["
            yield from _runs(item.value)
            yield 0, 1, "]"
        elif item.volatile:
            yield item.width, item.count, None
        elif isinstance(item.value, st.Number):
            yield item.width, item.count, item.value.bits(item.width)
        else:
            yield item.width, item.count, item.value


def same_blocks(expected: st.Block, got: st.Block) -> bool:
    """Whether two blocks have the same layout and hold the same, volatile elements aside."""
    left = (run for run in _runs(expected) if run[1])
    right = (run for run in _runs(got) if run[1])
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        if a[0] != b[0] or (a[2] is not None and b[2] is not None and a[2] != b[2]):
            return False
        common = min(a[1], b[1])
        a = (a[0], a[1] - common, a[2]) if a[1] > common else next(left, None)
        b = (b[0], b[1] - common, b[2]) if b[1] > common else next(right, None)
    return a is None and b is None
