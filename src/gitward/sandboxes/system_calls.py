"""The system call filter of a sandbox: a seccomp program as bytes, for bubblewrap's `--seccomp`.

It refuses calls that no ordinary program needs and calls that bypass another wall. A refusal returns the error of a
kernel without the feature, so that programs fall back. Calls newer than this list do not exist inside. Another ABI than
the machine's own ends the process, because its numbers mean other calls.

The kernel compares the lower half of an argument that it reads as an `int`, and so does the filter: the upper half
changes nothing. Sources: seccomp(2), bpf(4) of BSD, linux/{filter,seccomp,audit}.h, asm/unistd.h.
"""

from __future__ import annotations

import errno
import functools
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NEWEST = 469  # file_setattr, of Linux 6.17; numbers from 424 on are the same on all machines

# linux/filter.h: the operations that are needed
_LOAD, _MASK, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter
_NUMBER, _ABI, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_SOCK_PACKET = 10  # a packet socket by another name
_MAP_HUGETLB, _MFD_HUGETLB, _SHM_HUGETLB = 0x40000, 0x4, 0x800
_TCP, _TCP_ULP = 6, 31
_SET_LEASE = 1024  # of fcntl

_LOCAL, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_INTERNET_PROTOCOLS = (0, 6, 17, 1, 58)  # the family's own, TCP, UDP, ICMP, ICMPv6: SMC (256) has a family otherwise
_NETLINK_PROTOCOLS = (0, 4, 15)  # routes, socket statistics, device events

# Numbers on x86_64 and aarch64.
_REFUSED: Mapping[str, tuple[int | None, int | None, int]] = {
    "bpf": (321, 280, errno.EPERM),
    "userfaultfd": (323, 282, errno.ENOSYS),
    "io_uring_setup": (425, 425, errno.ENOSYS),
    "io_uring_enter": (426, 426, errno.ENOSYS),
    "io_uring_register": (427, 427, errno.ENOSYS),
    "add_key": (248, 217, errno.ENOSYS),
    "request_key": (249, 218, errno.ENOSYS),
    "keyctl": (250, 219, errno.ENOSYS),
    "perf_event_open": (298, 241, errno.EPERM),
    "syslog": (103, 116, errno.EPERM),  # the host's kernel log
    "memfd_secret": (447, 447, errno.ENOSYS),  # memory that the watchdog cannot see
    "pidfd_getfd": (438, 438, errno.ENOSYS),  # descriptors of process 1
    "open_by_handle_at": (304, 265, errno.EPERM),
    "kexec_load": (246, 104, errno.EPERM),
    "kexec_file_load": (320, 294, errno.EPERM),
    "init_module": (175, 105, errno.EPERM),
    "finit_module": (313, 273, errno.EPERM),
    "delete_module": (176, 106, errno.EPERM),
    "acct": (163, 89, errno.EPERM),
    "quotactl": (179, 60, errno.EPERM),
    "quotactl_fd": (443, 443, errno.ENOSYS),
    "modify_ldt": (154, None, errno.ENOSYS),
    "uselib": (134, None, errno.ENOSYS),
}


@dataclass(frozen=True, kw_only=True)
class _Machine:
    """What differs from machine to machine: the ABI's name for the kernel, and numbers of calls."""

    abi: int  # AUDIT_ARCH_*
    column: int  # of `_REFUSED`
    socket: int
    socketpair: int
    setsockopt: int
    ptrace: int
    process_vm_readv: int
    process_vm_writev: int
    mmap: int
    memfd_create: int
    shmget: int
    fcntl: int


_MACHINES = {
    "x86_64": _Machine(
        abi=0xC000003E,
        column=0,
        **{"socket": 41, "socketpair": 53, "setsockopt": 54, "ptrace": 101},
        **{
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "mmap": 9,
            "memfd_create": 319,
            "shmget": 29,
            "fcntl": 72,
        },
    ),
    "aarch64": _Machine(
        abi=0xC00000B7,
        column=1,
        **{"socket": 198, "socketpair": 199, "setsockopt": 208, "ptrace": 117},
        **{
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "mmap": 222,
            "memfd_create": 279,
            "shmget": 194,
            "fcntl": 25,
        },
    ),
}
MACHINES = tuple(_MACHINES)


@functools.cache
def program(machine: str) -> bytes:
    """The filter for a machine, as `os.uname` names it. KeyError for one that is not in MACHINES.

    The launcher asks once, before it forks, so that no child has to.
    """
    return b"".join(_program(_MACHINES[machine]))


def as_file() -> int:
    """A nameless file with this machine's filter, to be read from its beginning."""
    descriptor = os.memfd_create("filter", os.MFD_CLOEXEC)
    os.write(descriptor, program(os.uname().machine))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _program(machine: _Machine) -> Iterator[bytes]:
    yield _load(_ABI)
    yield from _if(_EQUAL, machine.abi, unless=(_return(_KILL),))
    yield _load(_NUMBER)
    yield from _if(_ABOVE, _NEWEST, (_refuse(errno.ENOSYS),))  # x32 too: its numbers have a high bit
    for *numbers, error in _REFUSED.values():
        number = numbers[machine.column]
        if number is not None:
            yield from _if(_EQUAL, number, (_refuse(error),))
    for number in (machine.socket, machine.socketpair):
        yield from _if(_EQUAL, number, tuple(_socket()))
    for number, rule in _rules(machine):
        yield from _if(_EQUAL, number, rule)
    yield _return(_ALLOW)


def _socket() -> Iterator[bytes]:
    """For arguments family, type, protocol."""
    yield _load(_argument(1))
    yield _instruction(_MASK, 0xF)
    yield from _if(_EQUAL, _SOCK_PACKET, (_refuse(errno.EAFNOSUPPORT),))
    yield _load(_argument(0))
    yield from _if(_EQUAL, _LOCAL, (_return(_ALLOW),))
    for family, protocols in (
        (_INET, _INTERNET_PROTOCOLS),
        (_INET6, _INTERNET_PROTOCOLS),
        (_NETLINK, _NETLINK_PROTOCOLS),
    ):
        yield from _if(_EQUAL, family, (_load(_argument(2)), *_one_of(protocols), _refuse(errno.EPROTONOSUPPORT)))
    yield _refuse(errno.EAFNOSUPPORT)


def _one_of(protocols: tuple[int, ...]) -> Iterator[bytes]:
    for protocol in protocols:
        yield from _if(_EQUAL, protocol, (_return(_ALLOW),))


def _rules(machine: _Machine) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """Calls that depend on an argument, each with what is done once it is loaded."""
    # Process 1 could be stopped, or made to outlive its supervisor; debuggers have all others.
    for number, argument in ((machine.ptrace, 1), (machine.process_vm_readv, 0), (machine.process_vm_writev, 0)):
        yield number, _when(argument, _EQUAL, 1, errno.EPERM)
    # Huge pages are the host's, and no memory limit counts them.
    yield machine.mmap, _when(3, _ANY_BIT, _MAP_HUGETLB, errno.ENOMEM)
    yield machine.memfd_create, _when(1, _ANY_BIT, _MFD_HUGETLB, errno.EINVAL)
    yield machine.shmget, _when(2, _ANY_BIT, _SHM_HUGETLB, errno.ENOMEM)
    # Who holds a lease on a file delays everybody else's opening of it, 45 seconds each: on a mirror's file, which all
    # runs of its repository have, where sandboxes have the worker's own user id.
    yield machine.fcntl, _when(1, _EQUAL, _SET_LEASE, errno.EINVAL)
    # A TCP socket can become another kind of socket (SMC) later.
    upper_layer = _when(2, _EQUAL, _TCP_ULP, errno.ENOPROTOOPT)
    yield machine.setsockopt, (_load(_argument(1)), *_if(_EQUAL, _TCP, upper_layer), _return(_ALLOW))


def _when(argument: int, test: int, value: int, error: int) -> tuple[bytes, ...]:
    return (_load(_argument(argument)), *_if(test, value, (_refuse(error),)), _return(_ALLOW))


def _argument(number: int) -> int:
    """The offset of the lower half of an argument: both machines are little-endian."""
    return _ARGUMENTS + 8 * number


def _if(test: int, value: int, then: tuple[bytes, ...] = (), *, unless: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """`then` when the test is true (else it is jumped over), or `unless` when it is false. Both end by returning."""
    if then:
        return (_instruction(test, value, when_false=len(then)), *then)
    return (_instruction(test, value, when_true=len(unless)), *unless)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _refuse(error: int) -> bytes:
    return _return(_ERROR | error)


def _instruction(code: int, value: int, *, when_true: int = 0, when_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, when_true, when_false, value)
