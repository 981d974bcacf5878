"""The filter's decisions, on both machines: the program is carried out here as the kernel does (BPF)."""

from __future__ import annotations

import errno
import struct

import pytest

from gitward.sandboxes import system_calls

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
ABIS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FOREIGN = {"i386": 0x40000003, "arm": 0x40000028, "s390": 0x16}
SOCKET = {"x86_64": 41, "aarch64": 198}


def decide(machine: str, number: int, *arguments: int, abi: int | None = None) -> int:
    """What the kernel does with a call."""
    data = struct.pack("=IIQ6Q", number, abi or ABIS[machine], 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("=HBBI", system_calls.program(machine)))
    at, value = 0, 0
    while True:
        operation, when_true, when_false, constant = code[at]
        at += 1
        match operation:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                value &= constant
            case 0x06:
                return int(constant)
            case 0x15:
                at += when_true if value == constant else when_false
            case 0x25:
                at += when_true if value > constant else when_false
            case 0x45:
                at += when_true if value & constant else when_false
            case _:
                raise AssertionError(f"an unknown operation {operation:#x}")


def refused(error: int) -> int:
    return 0x00050000 | error


both = pytest.mark.parametrize("machine", system_calls.MACHINES)


@both
def test_ordinary_calls_are_allowed(machine: str) -> None:
    ordinary = {"x86_64": (0, 1, 2, 56, 57, 59, 61, 202, 231, 257, 435), "aarch64": (56, 63, 64, 93, 98, 220, 221, 435)}
    assert {decide(machine, number) for number in ordinary[machine]} == {ALLOWED}


@both
@pytest.mark.parametrize("abi", FOREIGN.values(), ids=FOREIGN)
def test_another_abi_ends_the_process(machine: str, abi: int) -> None:
    assert decide(machine, 1, abi=abi) == KILLED


@both
@pytest.mark.parametrize("number", [470, 512, 0x40000000, 0x40000029, 0xFFFFFFFF])
def test_calls_that_nobody_knows_do_not_exist(machine: str, number: int) -> None:
    """Those of x32 among them."""
    assert decide(machine, number) == refused(errno.ENOSYS)


@both
def test_only_four_families_of_sockets_are_there(machine: str) -> None:
    opened = {family for family in range(64) if decide(machine, SOCKET[machine], family, 1, 0) == ALLOWED}
    assert opened == {1, 2, 10, 16}
    assert decide(machine, SOCKET[machine], 40, 1, 0) == refused(errno.EAFNOSUPPORT)
    assert decide(machine, SOCKET[machine], (1 << 32) | 40, 1, 0) == refused(errno.EAFNOSUPPORT)
    assert decide(machine, SOCKET[machine], (1 << 32) | 2, 1, 0) == ALLOWED


@both
def test_only_plain_protocols_are_there(machine: str) -> None:
    """SMC is a family of its own, and a protocol of the internet families as well."""
    for family in (2, 10):
        opened = {each for each in range(300) if decide(machine, SOCKET[machine], family, 1, each) == ALLOWED}
        assert opened == {0, 1, 6, 17, 58}
    opened = {each for each in range(64) if decide(machine, SOCKET[machine], 16, 3, each) == ALLOWED}
    assert opened == {0, 4, 15}
    assert decide(machine, SOCKET[machine], 2, 10 | 0x800, 0) == refused(errno.EAFNOSUPPORT)


@both
def test_process_1_cannot_be_traced_and_others_can(machine: str) -> None:
    ptrace = {"x86_64": 101, "aarch64": 117}[machine]
    assert decide(machine, ptrace, 16, 1) == decide(machine, ptrace, 16, (1 << 32) | 1) == refused(errno.EPERM)
    assert decide(machine, ptrace, 16, 2) == decide(machine, ptrace, 0, 0) == ALLOWED


@both
def test_huge_pages_are_refused_and_others_are_not(machine: str) -> None:
    mmap = {"x86_64": 9, "aarch64": 222}[machine]
    assert decide(machine, mmap, 0, 4096, 3, 0x40022) == refused(errno.ENOMEM)
    assert decide(machine, mmap, 0, 4096, 3, 0x22) == ALLOWED


def test_the_kernel_takes_programs_of_this_length() -> None:
    for machine in system_calls.MACHINES:
        assert len(system_calls.program(machine)) // 8 < 4096


@both
def test_files_are_locked_but_not_leased(machine: str) -> None:
    fcntl = {"x86_64": 72, "aarch64": 25}[machine]
    assert {decide(machine, fcntl, 3, command) for command in (0, 1, 2, 3, 4, 5, 6, 7, 37, 1026, 1030)} == {ALLOWED}
    assert decide(machine, fcntl, 3, 1024) == decide(machine, fcntl, 3, (1 << 32) + 1024) == refused(errno.EINVAL)
