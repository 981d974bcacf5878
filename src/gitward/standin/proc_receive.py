"""The `proc-receive` hook of a stand-in's repositories: refuses refs as GitHub does, hands the others back.

It runs in git's environment, alone: standard library only. Protocol: githooks(5), proc-receive.
"""

import json
import os
import subprocess
import sys

WORKFLOWS = ".github/workflows/"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def read_packet() -> bytes | None:
    """One pkt-line's payload; None for a flush packet."""
    length = int(sys.stdin.buffer.read(4), 16)
    return None if length == 0 else sys.stdin.buffer.read(length - 4)


def write_packet(text: str) -> None:
    data = text.encode()
    sys.stdout.buffer.write(b"%04x" % (len(data) + 4) + data)


def flush() -> None:
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()


def read_section() -> list[bytes]:
    lines = []
    while (line := read_packet()) is not None:
        lines.append(line)
    return lines


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def changed_workflow(new: str) -> str | None:
    """A workflow file that the push would bring to a branch and that no branch has in this form yet."""
    branches = git("for-each-ref", "--format=%(objectname)", "refs/heads").split()
    for commit in git("rev-list", "--reverse", new, "--not", *branches).split():
        line = git("rev-list", "--parents", "--max-count=1", commit).split()
        parent = line[1] if len(line) > 1 else EMPTY_TREE
        paths = git("diff-tree", "-r", "--name-only", "-z", parent, commit, "--", WORKFLOWS).split("\0")
        if paths[0]:
            return paths[0]
    return None


def refusal(ref: str, new: str, rules: dict[str, object]) -> str | None:
    """Why this ref may not be changed; None when it may."""
    protected = rules["protected"]
    assert isinstance(protected, list)
    if ref in protected:
        print(f"error: GH006: Protected branch update failed for {ref}.", file=sys.stderr)
        print("error: Changes must be made through a pull request.", file=sys.stderr)
        return "protected branch hook declined"
    if not rules["workflows"] and set(new) != {"0"}:
        path = changed_workflow(new)
        if path:
            return (
                f"refusing to allow a Personal Access Token to create or update workflow `{path}` "
                "without `workflow` scope"
            )
    return None


def main() -> None:
    rules = json.loads(os.environ["STANDIN_PUSH_RULES"])
    read_section()  # version and capabilities
    write_packet("version=1")
    flush()
    for line in read_section():
        _old, new, ref = line.decode().rstrip("\n").split(" ", 2)
        reason = refusal(ref, new, rules)
        if reason:
            write_packet(f"ng {ref} {reason}")
        else:
            write_packet(f"ok {ref}")
            write_packet("option fall-through")
    flush()


if __name__ == "__main__":
    main()
