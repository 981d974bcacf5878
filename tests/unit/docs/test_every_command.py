"""Every command and every program that the documentation shows is run by a test, or has a reason why none runs it."""

from __future__ import annotations

import re
from functools import cache

import pytest

from documented import LEFT_OUT, ROOT, RUNNABLE, Block, blocks, commands, left_out, pages

# A test that calls one of these, with the page and the heading written out, runs the blocks of that section.
_SHELL = re.compile(r"\bshell\(\s*\"([\w./-]+\.md)\", \"([\w-]+)\"")
_CODE = re.compile(r"\bcode\(\s*\"([\w./-]+\.md)\", \"([\w-]+)\", \"(\w+)\"")

# Sections that a test runs which reads its page in its own way.
ELSEWHERE = {
    "README.md#quick-start": "tests/acceptance/test_readme.py",
    "docs/backup.md#sqlite": "tests/acceptance/test_backup.py",
    "docs/backup.md#postgres": "tests/acceptance/test_backup.py",
    "docs/install.md#from-a-clone": "tests/newcomer.py",
    "docs/upgrade.md#upgrade": "tests/acceptance/test_upgrade.py",
    "docs/upgrade.md#go-back": "tests/acceptance/test_upgrade.py",
    "docs/environments.md#setup": "tests/environments/test_documentation.py",
    "docs/environments.md#from-debian-packages-without-docker": "tests/environments/test_documentation.py",
    "docs/environments.md#a-monorepo-with-two-toolchains": "tests/environments/test_documentation.py",
}

# Sections that no test runs, and why.
NOT_RUN = {
    "CONTRIBUTING.md#checks": "they run the tests themselves; test_the_tests_that_contributing_names_exist checks them",
    "docs/environments.md#from-a-dockerfile-that-is-built-elsewhere": "no Docker here; the archive it makes is tested",
    "docs/install.md#from-a-wheel": "tests/acceptance/test_installed.py does the same without a network",
    "docs/deployment.md#systemd": "no systemd runs here; tests/unit/deploy/test_systemd.py reads the unit",
    "docs/deployment.md#a-container": "no container engine here; scripts/container carries out the file's steps",
    "docs/deployment.md#kubernetes": "no cluster here; tests/unit/deploy/test_kubernetes.py reads the manifests",
    "docs/quick-start.md#a-token": "the reader's own token",
}

BLOCKS = [block for page in pages() for block in blocks(page) if block.language in RUNNABLE]


@cache
def run_sections() -> frozenset[tuple[str, str]]:
    """Section and language of the blocks that tests ask for."""
    source = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    asked = [(page, heading, "sh") for page, heading in _SHELL.findall(source)] + _CODE.findall(source)
    return frozenset((f"{page}#{heading}", language) for page, heading, language in asked)


def test_there_is_something_to_look_at() -> None:
    assert len(BLOCKS) > 40
    assert {"README.md#quick-start", "docs/api.md#events"} <= {block.section for block in BLOCKS}


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{b.section}-{b.language}" for b in BLOCKS])
def test_a_test_runs_it(block: Block) -> None:
    run = (block.section, block.language) in run_sections()
    known = run or block.section in ELSEWHERE or block.section in NOT_RUN
    assert known, f"no test runs what {block.section} shows: {block.text[:200]}"


@pytest.mark.parametrize("table", [ELSEWHERE, NOT_RUN], ids=["elsewhere", "not-run"])
def test_the_tables_name_sections_that_exist(table: dict[str, str]) -> None:
    assert set(table) <= {block.section for block in BLOCKS}
    assert not set(table) & {section for section, _ in run_sections()}


def test_the_tests_elsewhere_read_their_page() -> None:
    for section, test in ELSEWHERE.items():
        page = section.partition("#")[0].rpartition("/")[2]
        assert page in (ROOT / test).read_text(), (section, test)


def test_each_command_that_is_left_out_is_shown_somewhere_and_its_test_exists() -> None:
    shown = {left_out(command) for block in BLOCKS for command in commands(block.text)}
    assert set(LEFT_OUT) <= shown
    for reason in LEFT_OUT.values():
        for named in re.findall(r"\b(?:tests|scripts)/[\w/.-]+", reason):
            assert (ROOT / named).exists(), named


def test_the_tests_that_contributing_names_exist() -> None:
    shown = next(block.text for block in BLOCKS if block.section == "CONTRIBUTING.md#checks")
    named = re.findall(r"^scripts/test .*?(tests/[\w/.-]+)", shown, re.MULTILINE)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_a_block_that_nothing_runs_is_found() -> None:
    """The test above can fail."""
    stranger = Block(page="docs/api.md", heading="nowhere", language="sh", text="gitward serve\n")
    with pytest.raises(AssertionError, match=r"no test runs what docs/api\.md#nowhere shows"):
        test_a_test_runs_it(stranger)
