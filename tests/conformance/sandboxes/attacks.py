"""Attacks from inside, each a small program that ends by printing BREACHED or HELD, and the walls that stop it.

`A` in a program is the dictionary of what the attacker knows about the host, so that an attack cannot fail for
want of knowledge.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from gitward.sandboxes.etc_folder import GIT_CONFIG
from gitward.sandboxes.walls import Wall

PRELUDE = """
import ctypes, json, os, resource, socket, sys
A = json.loads(sys.stdin.read())
def end(breached, why=""):
    print("BREACHED" if breached else "HELD", why, flush=True)
    os._exit(0)
def attempt(action):
    try:
        end(action() is not False)
    except (OSError, ValueError) as error:
        end(False, error)
"""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack. It succeeds once the sandbox is without `walls`, and never otherwise."""

    name: str
    walls: tuple[Wall, ...]
    program: str
    as_root_only: bool = False  # the wall is there for root workers only


def _attack(name: str, *walls: Wall, as_root_only: bool = False, program: str) -> Attack:
    return Attack(name=name, walls=walls, program=PRELUDE + program, as_root_only=as_root_only)


ATTACKS = (
    _attack(
        "change a setting of the host's kernel",
        Wall.UNPRIVILEGED_USER,
        as_root_only=True,
        program="attempt(lambda: os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY))",
    ),
    _attack(
        "own a file of root on the host",
        Wall.UNPRIVILEGED_USER,
        as_root_only=True,
        program="""
open('/workspace/owned', 'w').close()
end(os.stat('/proc/self').st_uid == os.stat('/etc/passwd').st_uid)
""",
    ),
    _attack(
        "change the root folder",
        Wall.NO_CAPABILITIES,
        program="attempt(lambda: os.chroot('/workspace'))",
    ),
    _attack(
        "reach a service on the host's loopback",
        Wall.NETWORK,
        program="attempt(lambda: socket.create_connection(('127.0.0.1', A['port']), timeout=5))",
    ),
    _attack(
        "reach a service by an abstract socket",
        Wall.NETWORK,
        program="attempt(lambda: socket.socket(socket.AF_UNIX).connect(chr(0) + A['abstract']))",
    ),
    _attack(
        "see a process of the host",
        Wall.PROCESSES_HIDDEN,
        program="attempt(lambda: A['marker'] in open(f'/proc/{A[\"pid\"]}/cmdline').read())",
    ),
    _attack(
        "see the host's shared memory",
        Wall.IPC,
        program="""
keys = [line.split()[0] for line in open('/proc/sysvipc/shm').read().splitlines()[1:]]
end(str(A['shm_key']) in keys)
""",
    ),
    _attack(
        "learn the host's name",
        Wall.HOST_NAME,
        program="end(os.stat('/proc/self/ns/uts').st_ino == A['uts'], os.uname().nodename)",
    ),
    _attack(
        "see the host's control groups",
        Wall.CGROUP_HIDDEN,
        program="end(os.stat('/proc/self/ns/cgroup').st_ino == A['cgroup'])",
    ),
    _attack(
        "make a user namespace",
        Wall.USER_NAMESPACES_CLOSED,
        program="""
libc = ctypes.CDLL(None, use_errno=True)
end(libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno()))
""",
    ),
    _attack(
        "read a file of the host",
        Wall.HOST_FILES_HIDDEN,
        program="attempt(lambda: open('/host' + A['secret']).read())",
    ),
    _attack(
        "change a tool",
        Wall.SYSTEM_READ_ONLY,
        program="attempt(lambda: open(A['tools'] + '/bin/tool', 'w'))",
    ),
    _attack(
        "write to the root folder",
        Wall.ROOT_READ_ONLY,
        program="attempt(lambda: open('/file', 'w'))",
    ),
    _attack(
        "fill memory through /dev",
        Wall.ROOT_READ_ONLY,
        program="attempt(lambda: open('/dev/file', 'w').write('x' * 65536))",
    ),
    *(
        _attack(
            f"fill memory through {place}",
            Wall.TMPFS_SIZES,
            program=f"attempt(lambda: open('{place}/file', 'w').write('x' * (24 << 20)))",
        )
        for place in ("/tmp", "/dev/shm", "/run", "/var/tmp")
    ),
    _attack(
        "read the launcher's environment",
        *(Wall.ENVIRONMENT_EMPTY, Wall.FIRST_PROCESS_HIDDEN),
        program="""
places = [f'/proc/{pid}/environ' for pid in os.listdir('/proc') if pid.isdecimal()]
texts = [open(place, errors='replace').read() for place in places if os.path.exists(place)]
end(any(A['in_environment'] in text for text in texts))
""",
    ),
    _attack(
        "read bubblewrap's options",
        *(Wall.OPTIONS_HIDDEN, Wall.FIRST_PROCESS_HIDDEN),
        program="attempt(lambda: A['workspace'] in open('/proc/1/cmdline').read())",
    ),
    _attack(
        "read a key of the operator's session",
        *(Wall.KEYS_FORGOTTEN, Wall.SYSTEM_CALLS),
        program="""
libc = ctypes.CDLL(None, use_errno=True)
key = libc.syscall(A['keyctl'], 10, ctypes.c_long(-3), b'user', A['key'].encode(), 0)
text = ctypes.create_string_buffer(64)
end(key > 0 and libc.syscall(A['keyctl'], 11, key, text, 64) > 0 and text.value == b'secret', text.value)
""",
    ),
    _attack(
        "use an inherited descriptor",
        Wall.DESCRIPTORS_CLOSED,
        program="""
inherited = []
for number in range(3, 1024):
    try:
        os.fstat(number)
        inherited.append((number, os.readlink(f'/proc/self/fd/{number}')))
    except OSError:
        pass
end(inherited, inherited)
""",
    ),
    _attack(
        "start more processes than allowed",
        Wall.PROCESS_LIMIT,
        program="""
children = []
try:
    for _ in range(A['processes'] + 20):
        pid = os.fork()
        if pid == 0:
            import signal
            signal.pause()
        children.append(pid)
except OSError as error:
    end(False, f'{len(children)} {error}')
end(True)
""",
    ),
    _attack(
        "start more threads than allowed",
        Wall.PROCESS_LIMIT,
        program="""
import threading
threading.stack_size(65536)
def idle(): threading.Event().wait()
try:
    for _ in range(A['processes'] + 20):
        threading.Thread(target=idle, daemon=True).start()
except RuntimeError as error:
    end(False, error)
end(True)
""",
    ),
    _attack(
        "write a file longer than allowed",
        Wall.FILE_SIZE_LIMIT,
        program="""
def write():
    with open('/workspace/long', 'wb') as file:
        file.seek(A['file_bytes'])
        file.write(b'x')
attempt(write)
""",
    ),
    _attack(
        "open more files than allowed",
        Wall.OPEN_FILES_LIMIT,
        program="""
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
attempt(lambda: [os.open('/dev/null', os.O_RDONLY) for _ in range(9000)])
""",
    ),
    _attack(
        "leave a core file",
        Wall.NO_CORE_FILES,
        program="attempt(lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20)))",
    ),
)

# Asks the kernel for what the filter of system calls refuses; `call` gives a result, or the error's number below zero.
CALLS = """
import errno
N = {'x86_64': 0, 'aarch64': 1}[os.uname().machine]
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long  # an address may have its 32nd bit set
def call(numbers, *arguments):
    result = libc.syscall(ctypes.c_long(numbers[N]), *map(ctypes.c_long, arguments))
    return result if result >= 0 else -ctypes.get_errno()
def room(size): return ctypes.addressof(kept.setdefault(size, ctypes.create_string_buffer(size)))
kept = {}
def opens(family, kind, protocol):
    try: socket.socket(family, kind, protocol).close()
    except OSError: return False
    return True
"""


def _of_calls(name: str, program: str) -> Attack:
    return _attack(name, Wall.SYSTEM_CALLS, program=CALLS + program)


ATTACKS += (
    _of_calls(
        "open a socket of another family",
        "end([each for each in range(3, 46) if each not in (10, 16) for kind in (1, 2, 5) if opens(each, kind, 0)])",
    ),
    _of_calls(
        "open a socket of another family by a name of the internet's",
        "end(any(opens(f, kind, each) for f in (2, 10) for each in (132, 136, 256, 262) for kind in (1, 2)))",
    ),
    _of_calls("talk to the kernel's generic netlink", "end(opens(16, 3, 16))"),
    _of_calls(
        "hide a family behind what the kernel does not read",
        "end(any(call((41, 198), (1 << 32) + each, 1, 0) >= 0 for each in (38, 40, 15, 30)))",
    ),
    _of_calls(
        "make another kind of socket of one",
        """
one = socket.create_server(('127.0.0.1', 0))
other = socket.create_connection(one.getsockname())
try: other.setsockopt(6, 31, b'tls')
except OSError as error: end(error.errno != errno.ENOPROTOOPT, error)
end(True)
""",
    ),
    *(
        _of_calls(f"use {name}", f"end(call({numbers}, {arguments}) not in (-errno.ENOSYS, -errno.EPERM))")
        for name, numbers, arguments in (
            ("io_uring", (425, 425), "8, room(120)"),
            ("userfaultfd", (323, 282), "1"),
            ("the kernel's keys", (250, 219), "0, -3, 1"),
            ("performance counters", (298, 241), "0, 0, -1, -1, 0"),
            ("memory that nobody sees", (447, 447), "0"),
            ("BPF", (321, 280), "99, 0, 0"),
            ("another table of segments", (154, 447), "0, room(64), 64"),
        )
    ),
    _of_calls("take huge pages, which no limit counts", "end(call((319, 279), room(8), 4) >= 0)"),
    _of_calls("map huge pages", "end(call((9, 222), 0, 2 << 20, 3, 0x44022, -1, 0) > 0)"),
    _of_calls(
        "hold up others by a lease on a file",
        "open('leased', 'w').close(); end(call((72, 25), os.open('leased', os.O_RDONLY), 1024, 0) == 0)",
    ),
    _of_calls("trace process 1", "end(call((101, 117), 0x4206, 1, 0, 0) == 0)"),
    _of_calls(
        "read the memory of process 1 by a call",
        """
there = (ctypes.c_ulong * 2)(8, 8)
end(call((310, 270), 1, ctypes.addressof(there), 1, ctypes.addressof(there), 1, 0) != -errno.EPERM)
""",
    ),
    _of_calls("take a descriptor of process 1", "end(call((438, 438), os.pidfd_open(1), 0, 0) >= 0)"),
    _attack(
        "change the memory of process 1",
        Wall.FIRST_PROCESS_HIDDEN,
        program="""
def change():
    start = next(int(line.split('-')[0], 16) for line in open('/proc/1/maps') if ' rw-p ' in line)
    with open('/proc/1/mem', 'r+b', buffering=0) as memory:
        memory.seek(start)
        before = memory.read(8)
        memory.seek(start)
        memory.write(before)
attempt(change)
""",
    ),
)

if os.uname().machine == "x86_64":
    ATTACKS += (
        _of_calls(
            "call the kernel as a 32-bit program does",
            r"""
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b'\xb8\x14\0\0\0\xcd\x80\xc3')  # mov eax, 20 (getpid there); int 0x80; ret
ask = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
pid = os.fork()
if pid == 0:
    os._exit(0 if ask() == os.getpid() else 1)
end(os.waitpid(pid, 0)[1] == 0)
""",
        ),
    )

# What has more than one wall in front of it, or one that cannot be taken away.
HOPELESS = (
    ("become root by a setuid program", "attempt(lambda: os.setuid(0))"),
    ("gain privileges by exec", "end('NoNewPrivs:\\t1' not in open('/proc/self/status').read())"),
    ("hold a capability", "end('CapBnd:\\t0000000000000000' not in open('/proc/self/status').read())"),
    ("see the host's hardware", "end(os.path.exists('/sys/devices'))"),
    ("see homes", "end(set(os.listdir('/home')) != {'gitward'} or os.path.exists('/root'))"),
    ("read the host's accounts", "end(os.path.exists('/etc/shadow') or 'sync' in open('/etc/passwd').read())"),
    ("read the machine's identity", "end(os.path.exists('/etc/machine-id'))"),
    ("read the host's git configuration", f"end(open('/etc/gitconfig').read() != {GIT_CONFIG!r})"),
    ("write to /usr", "attempt(lambda: open('/usr/bin/git', 'r+'))"),
    ("write to /etc", "attempt(lambda: open('/etc/hosts', 'a'))"),
    ("add a CA", "attempt(lambda: open('/etc/ssl/certs/ca-certificates.crt', 'a'))"),
    ("make a device", "attempt(lambda: os.mknod('/workspace/disk', 0o060600, os.makedev(254, 0)))"),
    ("press the magic key", "attempt(lambda: os.open('/proc/sysrq-trigger', os.O_WRONLY))"),
    ("read kernel memory", "attempt(lambda: open('/proc/kcore', 'rb').read(1))"),
    ("open a raw socket", "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))"),
    ("capture packets", "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))"),
    ("find another network interface", "end(socket.if_nameindex() != [(1, 'lo')], socket.if_nameindex())"),
    ("find a route out", "end(open('/proc/net/route').read().splitlines()[1:])"),
    ("connect out", "attempt(lambda: socket.create_connection(('192.0.2.1', 443), timeout=5))"),
    ("connect out by IPv6", "attempt(lambda: socket.create_connection(('2001:db8::1', 443), timeout=5))"),
    ("resolve a name", "attempt(lambda: socket.getaddrinfo('example.com', 443))"),
    ("send a datagram out", "attempt(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53)))"),
    ("attach a terminal's input", "attempt(lambda: os.open('/dev/tty', os.O_RDWR))"),
    ("mount", "end(ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0)"),
    ("raise a limit", "attempt(lambda: resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096)))"),
    ("avoid the OOM killer", "attempt(lambda: open('/proc/self/oom_score_adj', 'wb', 0).write(b'-1000'))"),
    ("change the sandbox's own root", "attempt(lambda: os.chmod('/', 0o777))"),
    ("change owners", "attempt(lambda: os.chown('/workspace', 0, 0))"),
)
