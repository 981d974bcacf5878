"""Rules about the whole source that no linter knows: who opens the seal, who reads the environment, no shell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gitward
import gitward_standin

ROOTS = [Path(gitward.__file__).parent, Path(gitward_standin.__file__).parent]
MODULES = {
    ".".join((root.name, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__"): path
    for root in ROOTS
    for path in sorted(root.rglob("*.py"))
}
MAY_REVEAL = {"gitward.github.credentials", "gitward.identity.credentials", "gitward.broker.wire.upstream"}
# git's hook in the stand-in: a program of its own, whose whole input is the environment that git gives it.
MAY_READ_ENVIRONMENT = {"gitward.settings.environment", "gitward_standin.push_hook.proc_receive"}
SHELLS = {"system", "popen", "create_subprocess_shell", "getoutput", "getstatusoutput", "subprocess_shell"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(), module)


def names(module: str) -> Iterator[str]:
    """Every name that the code mentions: plain, after a dot, imported, or in the text given to getattr."""
    for node in ast.walk(tree(module)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name.rpartition(".")[2]
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield name


def test_the_tree_is_found() -> None:
    assert len(MODULES) > 100
    assert set(MODULES) >= MAY_REVEAL | MAY_READ_ENVIRONMENT


@pytest.mark.parametrize("forbidden", [{"reveal"}, {"_sealed"}])
def test_the_seal_is_opened_in_three_modules_only(forbidden: set[str]) -> None:
    users = {module for module in MODULES if module != "gitward.secrets" and forbidden & set(names(module))}
    assert users == (MAY_REVEAL if forbidden == {"reveal"} else set())


def test_the_environment_is_read_in_one_module_only() -> None:
    readers = {module for module in MODULES if {"environ", "environb", "getenv", "getenvb"} & set(names(module))}
    assert readers == MAY_READ_ENVIRONMENT


def test_no_module_starts_a_shell() -> None:
    for module in MODULES:
        assert not SHELLS & set(names(module)), module
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), module
                assert node.value.value is False, module


def test_no_module_unpickles_or_evaluates() -> None:
    """What comes from a database, a pipe or a sandbox is data."""
    for module in MODULES:
        assert not {"pickle", "marshal", "shelve", "dill", "eval", "exec"} & set(names(module)), module


def test_every_exception_from_a_rule_has_its_reason() -> None:
    """Behind `noqa` and `type: ignore`, in the same line."""
    exception = re.compile(r"# (?:noqa|type: ignore)(?:: ?[A-Z0-9, ]+|\[[a-z, -]+\])?(?P<reason>.*)")
    repository = Path(__file__).parents[3]
    bare = []
    for folder in ("src", "tests", "benchmarks", "docs"):
        for path in sorted((repository / folder).rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                found = exception.search(line)
                if found and path != Path(__file__) and len(found["reason"].strip(" -#")) < 4:
                    bare.append(f"{path.relative_to(repository)}:{number}")
    assert bare == []


def test_every_rule_that_is_switched_off_has_its_reason() -> None:
    """In pyproject.toml: rules of the linter for all files and for some, and what mypy is told to overlook."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    lists = {
        "ignore": r"^ignore = \[\n(.*?)^\]",
        "per-file-ignores": r"^\[tool\.ruff\.lint\.per-file-ignores\]\n(.*?)\n\n",
        "overrides": r"^\[\[tool\.mypy\.overrides\]\]\n(module.*?\n)",
    }
    for name, pattern in lists.items():
        found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        assert found is not None, name
        assert [line for line in found[1].splitlines() if not re.search(r"# .*\w{3}", line)] == [], name
