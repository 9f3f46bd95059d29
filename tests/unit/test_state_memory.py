# SPDX-License-Identifier: MIT
"""A VM's memory in saved states: sparse, checked, refused as a whole."""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path

import pytest

import kvmemu
from kvmemu import state
from kvmemu.state.memory import CHUNK, PAGE, Contents, snapshot

MIB = 1 << 20
BASE = 0x4000_0000


@pytest.fixture
def filled(vm: kvmemu.Vm) -> kvmemu.Vm:
    """Two slots: 8 MiB with something here and there, and two pages of zeros."""
    vm.create_vcpus(1)
    memory = mmap.mmap(-1, 8 * MIB)
    for at in (0, 5 * PAGE + 17, 3 * MIB - 1, 8 * MIB - 4):
        memory[at : at + 4] = b"abcd"
    vm.set_user_memory_region(0, BASE, memory)
    vm.set_user_memory_region(7, BASE + 16 * MIB, mmap.mmap(-1, 2 * PAGE), flags=1)
    return vm


def test_slots_and_contents_come_back(
    filled: kvmemu.Vm, system: kvmemu.System, tmp_path: Path
) -> None:
    saved = state.save(filled)
    state.store(saved, tmp_path / "vm.state")
    loaded = state.load(tmp_path / "vm.state")
    assert loaded == saved
    with system.create_vm() as other:
        state.restore(loaded, other)
        assert state.save(other) == saved
        before, after = filled.memory_slots, other.memory_slots
        assert [(s.slot, s.ipa, s.size, s.flags) for s in before] == [
            (s.slot, s.ipa, s.size, s.flags) for s in after
        ]
        assert all(bytes(a.view()) == bytes(b.view()) for a, b in zip(before, after, strict=True))


def test_files_have_holes(filled: kvmemu.Vm, tmp_path: Path) -> None:
    state.store(state.save(filled), tmp_path / "vm.state")
    found = (tmp_path / "vm.ram").stat()
    assert found.st_size == 8 * MIB + 2 * PAGE
    assert found.st_blocks * 512 <= 16 * PAGE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vm.ram", "vm.state"]


def test_a_file_without_holes_is_as_good(filled: kvmemu.Vm, tmp_path: Path) -> None:
    saved = state.save(filled)
    state.store(saved, tmp_path / "vm.state")
    ram = tmp_path / "vm.ram"
    ram.write_bytes(ram.read_bytes())
    assert state.load(tmp_path / "vm.state").ram == saved.ram


def test_a_state_is_a_snapshot(filled: kvmemu.Vm) -> None:
    saved = state.save(filled)
    filled.memory_slots[0].view()[0] = 0
    (difference,) = state.compare(saved, state.save(filled))
    assert (difference.where, difference.what) == ("memory slot 0", "contents")
    assert saved.ram[0].extents[0][1].startswith(b"abcd")


def test_memory_may_be_left_out(filled: kvmemu.Vm) -> None:
    saved = state.save(filled, memory=False)
    assert saved.slots == ()


@pytest.mark.parametrize("size", [PAGE, CHUNK, CHUNK + PAGE, 3 * CHUNK])
def test_checksum_is_that_of_all_bytes(size: int) -> None:
    memory = bytearray(size)
    for at in (1, size // 2, size - 1):
        memory[at] = 0xAA
        contents = snapshot(memoryview(memory))
        assert contents.sha256() == hashlib.sha256(memory).hexdigest()
        copy = bytearray(size)
        contents.copy_to(memoryview(copy))
        assert copy == memory
    assert Contents(size).sha256() == hashlib.sha256(bytes(size)).hexdigest()


def damage(ram: Path, how: str) -> None:
    match how:
        case "missing":
            ram.unlink()
        case "truncated":
            os.truncate(ram, 8 * MIB)
        case "longer":
            os.truncate(ram, 9 * MIB)
        case "altered":
            with ram.open("r+b") as file:
                file.seek(5 * MIB)
                file.write(b"!")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("missing", "the VM's memory is missing: there is no .*vm.ram"),
        ("truncated", "has 8388608 bytes; the VM's memory has 8396800"),
        ("longer", "has 9437184 bytes"),
        ("altered", "or was altered: the checksum of slot 0 does not match"),
    ],
)
def test_damaged_memory_is_refused_in_words(
    filled: kvmemu.Vm, tmp_path: Path, how: str, why: str
) -> None:
    state.store(state.save(filled), tmp_path / "vm.state")
    damage(tmp_path / "vm.ram", how)
    with pytest.raises(state.StateFileError, match=why):
        state.load(tmp_path / "vm.state")


def test_text_alone_cannot_be_restored(filled: kvmemu.Vm, system: kvmemu.System) -> None:
    text = state.loads(state.dumps(state.save(filled)))
    with system.create_vm() as other:
        with pytest.raises(state.RestoreError, match="load the state from its file"):
            state.restore(text, other)
        assert other.vcpus == []
        assert other.memory_slots == []
    with pytest.raises(ValueError, match="not what was in them"):
        state.store(text, "/nonexistent/vm.state")


def test_a_name_in_ram_would_be_its_own_memory(filled: kvmemu.Vm, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not end in \.ram"):
        state.store(state.save(filled), tmp_path / "vm.ram")


def test_a_failed_store_leaves_the_files_as_they_were(
    filled: kvmemu.Vm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = state.save(filled)
    state.store(saved, tmp_path / "vm.state")

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    filled.memory_slots[0].view()[99] = 1
    changed = state.save(filled)
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match="No space"):
        state.store(changed, tmp_path / "vm.state")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vm.ram", "vm.state"]
    assert state.load(tmp_path / "vm.state") == saved
