"""The named protections of a sandbox. Every sandbox has all of them.

Only the conformance suite removes one, to see an attack succeed; no setting can.
"""

from __future__ import annotations

from enum import StrEnum


class Wall(StrEnum):
    """One protection."""

    UNPRIVILEGED_USER = "unprivileged_user"  # a root worker becomes the slot's user before anything else
    NO_CAPABILITIES = "no_capabilities"
    NETWORK = "network"  # an own network namespace: nothing but the endpoint's ports on loopback
    PROCESSES_HIDDEN = "processes_hidden"  # an own process namespace and /proc
    IPC = "ipc"
    HOST_NAME = "host_name"
    CGROUP_HIDDEN = "cgroup_hidden"
    USER_NAMESPACES_CLOSED = "user_namespaces_closed"  # no further ones inside
    SYSTEM_CALLS = "system_calls"  # a filter: no sockets of other kinds, nothing that leads round other walls
    FIRST_PROCESS_HIDDEN = "first_process_hidden"  # process 1 of the sandbox, on which its end depends
    OWN_SESSION = "own_session"  # signals to the process group do not reach the supervisor
    HOST_FILES_HIDDEN = "host_files_hidden"
    SYSTEM_READ_ONLY = "system_read_only"  # system and tool folders
    ROOT_READ_ONLY = "root_read_only"  # `/` and `/dev`
    TMPFS_SIZES = "tmpfs_sizes"
    ENVIRONMENT_EMPTY = "environment_empty"  # of bubblewrap, whose environment can be read inside
    OPTIONS_HIDDEN = "options_hidden"  # from every process list
    KEYS_FORGOTTEN = "keys_forgotten"  # those of the operator's session
    DESCRIPTORS_CLOSED = "descriptors_closed"
    FOLLOWS_PARENT = "follows_parent"  # ends with the supervisor, the launcher, the worker
    ENDS_ALL = "ends_all"  # nothing outlives its command
    TIME = "time"
    PROCESS_LIMIT = "process_limit"
    MEMORY_LIMIT = "memory_limit"
    DISK_LIMIT = "disk_limit"
    FILE_SIZE_LIMIT = "file_size_limit"
    OPEN_FILES_LIMIT = "open_files_limit"
    NO_CORE_FILES = "no_core_files"


ALL_WALLS = frozenset(Wall)
