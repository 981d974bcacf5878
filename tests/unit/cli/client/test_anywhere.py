"""The client runs where the service cannot: on macOS and Windows."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

class Missing:
    names = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "syslog", "spwd", "crypt"}

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in Missing.names:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
import os, signal, select
missing = (
    (os, ("geteuid", "fork", "pidfd_open", "memfd_create")),
    (signal, ("SIGKILL", "pidfd_send_signal")),
    (select, ("epoll", "poll")),
)
for module, names in missing:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import gitward.cli.main, gitward.cli.client.actions, gitward.cli.client.many
print(*sorted(name for name in sys.modules if name.startswith("gitward.")))
"""


def test_it_imports_nothing_that_only_linux_has() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    parts = {".".join(name.split(".")[:2]) for name in done.stdout.split()}
    assert parts == {"gitward.cli", "gitward.errors", "gitward.settings"}, parts
    others = {name for name in done.stdout.split() if name.startswith("gitward.cli.") and ".client" not in name}
    assert others == {"gitward.cli.main", "gitward.cli.start_garbage"}
