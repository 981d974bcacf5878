"""Turns a failure to create a sandbox into a sentence that says how to fix it."""

from __future__ import annotations

END = "end"  # the stage in which the sandbox was there, and its command
_REMEDY = {
    "claim": "The workspace belongs to a newer sandbox; this run has been taken over.",
    "cgroup": "The memory cgroup refuses the process; is /sys/fs/cgroup still writable for the worker?",
    "identity": (
        "A root worker must be able to become another user: it needs CAP_SETUID and CAP_SETGID, and a container that "
        "maps the ids from 61000 on."
    ),
    "namespaces": (
        "User namespaces are closed to unprivileged users on this machine. "
        "On Ubuntu 24.04 and later: kernel.apparmor_restrict_unprivileged_userns=0 in a file of /etc/sysctl.d, then "
        "sysctl --system (an AppArmor profile for bwrap alone is not enough: Gitward's Python makes the namespace); on "
        "older Debian: kernel.unprivileged_userns_clone=1; on a hardened system ('No space left on device'): "
        "user.max_user_namespaces above 0; in LXC: nesting=1; in a container: run it with "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined. "
        "In a chroot they are always closed."
    ),
    "ports": "The sandbox's own loopback has no room for the listener.",
    "bubblewrap": "Bubblewrap could not be executed. On Debian: apt-get install bubblewrap.",
    "setup": (
        "Bubblewrap could not create the sandbox. In a container it must be allowed to mount /proc: run it with "
        "--security-opt systempaths=unconfined. The kernel needs CONFIG_SECCOMP_FILTER for the system call filter. "
        "Elsewhere, check whether user namespaces are allowed."
    ),
}


def explain(stage: str, text: str) -> str:
    """What happened, and the remedy."""
    if stage == END:
        return f"{text[:1].upper()}{text[1:]}."
    return f"a sandbox could not be created ({stage}): {text}. {_REMEDY.get(stage, '')}".rstrip()
