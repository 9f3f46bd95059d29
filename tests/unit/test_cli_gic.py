# SPDX-License-Identifier: MIT
"""`kvmemu gic decode`, `encode`, `list`, and what `kvmemu regs` passes on to them."""

from __future__ import annotations

import json
from inspect import signature
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kvmemu import cli
from kvmemu.gic_attrs import affinity_attr, default_affinity
from kvmemu.gic_registers import FRAMES_OF_VERSION, gic_registers
from kvmemu.system import System

# Before click 8.2 the two streams are one unless it is said.
SEPARATE: dict[str, Any] = (
    {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
)


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner(**SEPARATE).invoke(cli.program, [str(a) for a in args], prog_name="kvmemu")
    assert result.exit_code == code, result.output
    return result


def answer(*args: object, code: int = 0) -> Any:
    return json.loads(run(*args, "--json", code=code).stdout)


def rows(*args: object) -> list[list[str]]:
    """The fields of a value, a list of cells each."""
    lines = run("gic", "decode", *args).stdout.splitlines()
    return [line.split(maxsplit=3) for line in lines if line.startswith("    ")]


@pytest.mark.parametrize(
    ("text", "name", "gic"),
    [
        pytest.param("gicd:0x104", "GICD_ISENABLER1", 3, id="frame"),
        pytest.param("gic:dist:260", "GICD_ISENABLER1", 3, id="another-name-of-a-frame"),
        pytest.param("1:0x104", "GICD_ISENABLER1", 3, id="group"),
        pytest.param("DIST_REGS:0x104", "GICD_ISENABLER1", 3, id="short-name-of-a-group"),
        pytest.param("KVM_DEV_ARM_VGIC_GRP_DIST_REGS:0x104", "GICD_ISENABLER1", 3, id="its-name"),
        pytest.param("gicd_irouter33", "GICD_IROUTER33", 3, id="name"),
        pytest.param("5:0x100010200", "GICR_ISPENDR0", 3, id="redistributor"),
        pytest.param("icc:0xc230", "ICC_PMR_EL1", 3, id="encoding"),
        pytest.param("6:0x10000c230", "ICC_PMR_EL1", 3, id="system-register"),
        pytest.param("gic:ICC_PMR_EL1", "ICC_PMR_EL1", 3, id="told-to-be-the-gic-s"),
        pytest.param("GICC_PMR", "GICC_PMR", 2, id="only-a-gicv2-has-it"),
        pytest.param("gicc:4", "GICC_PMR", 2, id="frame-of-a-gicv2"),
        pytest.param("2:0x300000004", "GICC_PMR", 2, id="group-of-a-gicv2"),
        pytest.param("GICD_SPENDSGIR1", "GICD_SPENDSGIR1", 2, id="register-of-a-gicv2"),
        pytest.param("7:0x20", "line levels", 3, id="levels"),
        pytest.param("0:5", "KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION", 3, id="region"),
        pytest.param("ADDR:REDIST_REGION", "KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION", 3, id="short"),
        pytest.param("KVM_VGIC_V2_ADDR_TYPE_CPU", "KVM_VGIC_V2_ADDR_TYPE_CPU", 2, id="constant"),
        pytest.param("3:0", "KVM_DEV_ARM_VGIC_GRP_NR_IRQS", 3, id="nr-irqs"),
        pytest.param("CTRL:INIT", "KVM_DEV_ARM_VGIC_CTRL_INIT", 3, id="init"),
        pytest.param("4:3", "KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES", 3, id="save-tables"),
    ],
)
@pytest.mark.parametrize("command", [("gic", "decode"), ("regs", "decode")])
def test_what_an_argument_stands_for(
    command: tuple[str, str], text: str, name: str, gic: int
) -> None:
    (found,) = answer(*command, text)
    assert (found["name"], found["gic"], found["problem"]) == (name, gic, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("gicd:0x14", "no GICD register at 0x14: it reads as zero", id="hole"),
        pytest.param("gicd:0x105", "GICD_ISENABLER1 is at 0x104", id="inside-a-word"),
        pytest.param("icc:0xc231", "no attribute for the system register", id="encoding"),
        pytest.param("GICD_FOO", "no register 'GICD_FOO'", id="name"),
        pytest.param("GICD_ISENABLR1", "did you mean GICD_ISENABLER1", id="nearly-a-name"),
        pytest.param("8:0", "the ITS's registers", id="its"),
        pytest.param("9:0", "no group 9", id="group"),
        pytest.param("foo:0", "no frame or group of attributes is called foo", id="where"),
        pytest.param("CTRL:FOO", "KVM_DEV_ARM_VGIC_GRP_CTRL has no attribute FOO", id="what"),
        pytest.param("0:9", "KVM_DEV_ARM_VGIC_GRP_ADDR has no attribute 0x9", id="address"),
        pytest.param("gicd:x", "an offset in GICD is a number", id="offset"),
        pytest.param("7:0x21", "a multiple of 32", id="levels"),
        pytest.param("7:0x400", "bits 31:10 are 1; line levels", id="information"),
        pytest.param("1:0x10000000000000000", "a number of 64 bits", id="width"),
    ],
)
def test_what_is_nothing(text: str, why: str) -> None:
    assert why in run("gic", "decode", text, code=1).stdout
    (found,) = answer("regs", "decode", text, code=1)
    assert why in found["problem"]
    assert why in run("gic", "encode", text, code=1).stderr


@pytest.mark.parametrize(
    ("text", "version", "why"),
    [
        ("GICC_PMR", 3, "a GICv2 has"),
        ("GICR_CTLR", 2, "a GICv3 has"),
        ("gicr:0", 2, "a GICv2 has no GICR"),
        ("ADDR:5", 2, "a GICv3 has"),
        ("7:0", 2, "a GICv3 has"),
    ],
)
def test_a_gic_that_has_no_such_thing(text: str, version: int, why: str) -> None:
    assert why in run("gic", "decode", "--gic", version, text, code=1).stdout


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param(
            "gicd:0x104=0x30", [["INTID", "36", "1", "enabled"], ["INTID", "37", "1", "enabled"]],
            id="flags",
        ),
        pytest.param(
            "GICD_IPRIORITYR8=0x80a0",
            [["INTID", str(n), p, "priority"] for n, p in
             ((32, "0xa0"), (33, "0x80"), (34, "0"), (35, "0"))],
            id="priorities",
        ),
        pytest.param("GICD_IROUTER33=0x100", [["INTID", "33", "0x100", "to affinity 0.0.1.0"]],
                     id="affinity"),
        pytest.param("7:0x20=2", [["INTID", "33", "1", "line high"]], id="levels"),
        pytest.param(
            "5:0x10000000c=7",
            [["Aff3", "63:56", "0"], ["Aff2", "55:48", "0"], ["Aff1", "47:40", "0"],
             ["Aff0", "39:32", "7"]],
            id="upper-half",
        ),
        pytest.param(
            "0:5=0x0040000008100001",
            [["count", "63:52", "4", "4 redistributors"],
             ["base", "51:16", "0x810", "at 0x8100000"],
             ["flags", "15:12", "0", "none"], ["index", "11:0", "1"]],
            id="region",
        ),
        pytest.param("3:0=96", [["INTIDs", "31:0", "0x60", "SPIs 32 to 95"]], id="nr-irqs"),
        pytest.param("3:0=100", [["INTIDs", "31:0", "0x64", "refused: 64 to 992 in steps of 32"]],
                     id="nr-irqs-refused"),
        pytest.param("icc:0xc230=0xf0", [["Priority", "7:0", "0xf0"]], id="system-register"),
        pytest.param("ADDR:0=0xffffffffffffffff",
                     [["address", "63:0", "0xffffffffffffffff", "nowhere"]], id="no-address"),
    ],
)  # fmt: skip
def test_what_a_value_says(text: str, want: list[list[str]]) -> None:
    assert rows(text) == want


def test_what_the_values_of_a_gicv2_say() -> None:
    assert rows("--gic", 2, "GICD_ITARGETSR8=0x0301")[:2] == [
        ["INTID", "32", "1", "to vCPU 0"],
        ["INTID", "33", "3", "to vCPU 0, 1"],
    ]
    assert rows("GICD_SPENDSGIR0=0x0200")[1] == ["INTID", "1", "2", "from vCPU 1"]
    assert rows("--gic", 2, "GICD_ICFGR2=8")[1] == ["INTID", "33", "1", "edge-triggered"]
    assert ["EnableGrp0", "0", "1", "group 0 on"] in rows("--gic", 2, "GICD_CTLR=1")


def test_values_must_fit() -> None:
    assert "4 bytes" in run("gic", "decode", "gicd:0=0x100000000", code=2).stderr
    assert "4 bytes" in run("gic", "decode", "5:8=0x100000000", code=2).stderr  # half a register
    assert "not a number" in run("gic", "decode", "gicd:0=x", code=2).stderr
    assert "takes no value" in run("gic", "decode", "4:0=1", code=2).stderr
    assert "is not one of" in run("gic", "decode", "gicd:0=-1", code=2).stderr


def test_vcpus_are_named_as_the_gic_has_them() -> None:
    assert "affinity 0.0.1.2" in run("gic", "decode", "5:0x10200000000").stdout
    assert "vCPU 3" in run("gic", "decode", "2:0x300000004").stdout


@pytest.mark.parametrize(
    ("args", "want"),
    [
        (("GICD_ISENABLER1",), "1:0x104"),
        (("GICD_ISENABLER1", "--vcpu", 3), "1:0x104"),
        (("GICD_ISENABLER0", "--vcpu", 3, "--gic", 2), "1:0x300000100"),
        (("GICC_PMR", "--vcpu", 3), "2:0x300000004"),
        (("GICR_TYPER", "--vcpu", 17), "5:0x10100000008 5:0x1010000000c"),
        (("GICR_ISPENDR0", "--vcpu", "0.0.1.1"), "5:0x10100010200"),
        (("gic:ICC_PMR_EL1",), "6:0xc230"),
        (("KVM_VGIC_V3_ADDR_TYPE_DIST",), "0:0x2"),
        (("gicr:0xc",), "5:0xc"),
    ],
)
def test_encoding(args: tuple[object, ...], want: str) -> None:
    assert run("gic", "encode", *args).stdout.strip() == want
    assert run("regs", "encode", *args).stdout.strip() == want


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("GICR_CTLR", "--vcpu", "x"), "is no vCPU"),
        (("GICR_CTLR", "--vcpu", "0.0.0.256"), "is no vCPU"),
        (("GICR_CTLR", "--vcpu", 512), "is no vCPU"),
        (("GICC_CTLR", "--vcpu", "0.0.0.1"), "by their ids"),
    ],
)
def test_vcpus_that_are_none(args: tuple[object, ...], why: str) -> None:
    assert why in run("gic", "encode", *args, code=2).stderr


def test_encode_and_decode_are_each_other_s_reverse() -> None:
    for version, frames in FRAMES_OF_VERSION.items():
        names = [f"gic:{name}" for frame in frames for name in gic_registers(version, frame)]
        encoded = answer("gic", "encode", "--gic", version, *names)
        attrs = [f"{e['group']}:{e['attrs'][0]}" for e in encoded]
        decoded = answer("gic", "decode", "--gic", version, *attrs)
        assert [f"gic:{d['name']}" for d in decoded] == names


def test_attributes_are_those_of_the_vm() -> None:
    with System("gicv3-max") as system, system.create_vm() as vm:
        vcpu = vm.create_vcpus(20)[18]
        gic = vm.create_vgic_v3()
        (found,) = answer("gic", "encode", "GICR_TYPER", "--vcpu", vcpu.id)
        low, high = (gic.get_device_attr(found["group"], int(a, 0), 4) for a in found["attrs"])
        assert high << 32 | low == gic.redist(vcpu)["GICR_TYPER"]
        assert default_affinity(vcpu.id) << 32 == affinity_attr(vcpu.regs["MPIDR_EL1"])


def test_list_has_what_the_vm_has() -> None:
    found = {r["name"]: r for r in answer("gic", "list", "--nr-irqs", 64, "--values")}
    assert found["GICD_IIDR"]["value"] == "0x4b00343b"
    assert found["ICC_SRE_EL1"]["value"] == "0x7"
    assert "GICD_ISENABLER2" not in found
    assert found["GICD_ISENABLER1"]["saved"]
    assert not found["GICD_ISENABLER0"]["saved"]
    v2 = answer("gic", "list", "--host", "gicv2-cortex-a72", "--frame", "gicc")
    assert {r["frame"] for r in v2} == {"gicc"}
    names = run("gic", "list", "--filter", "*PIDR2").stdout
    assert [line.split()[2] for line in names.splitlines()] == ["GICD_PIDR2", "GICR_PIDR2"]
    assert run("regs", "list", "--kind", "gicr").stdout == run(
        "gic", "list", "--frame", "gicr"
    ).stdout  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        (("gic", "list", "--filter", "nothing"), 1, "no register matches"),
        (("gic", "list", "--gic", 2, "--frame", "gicr"), 2, "a GICv2 has no GICR"),
        (("gic", "list", "--frame", "gicr", "--frame", "gicc"), 2, "has no"),
        (("gic", "list", "--gic", 3, "--host", "gicv2-cortex-a72"), 2, "ARM_VGIC_V3 on the VM"),
        (("gic", "list", "--nr-irqs", 65), 2, "EINVAL"),
        (("regs", "list", "--kind", "gicr", "--kind", "core"), 2, "two lists"),
    ],
)
def test_lists_that_cannot_be(args: tuple[object, ...], code: int, why: str) -> None:
    assert why in run(*args, code=code).stderr


def test_regs_takes_registers_of_both() -> None:
    found = answer("regs", "decode", "gic:dist:0x104", "gicr:0x8", "PC")
    assert [entry["name"] for entry in found] == ["GICD_ISENABLER1", "GICR_TYPER", "PC"]
    assert "INTID 35" in run("regs", "decode", "GICD_ISENABLER1=8").stdout
    assert "INTID 35" in run("regs", "decode", "GICD_ISENABLER1", "--value", 8).stdout
    assert run("regs", "encode", "PC", "GICD_CTLR").stdout.split() == [
        "0x6030000000100040", "1:0x0",
    ]  # fmt: skip
