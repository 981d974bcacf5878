"""What the job's parts hand to each other are values with names: no signature of theirs has a mapping of anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gitward.runs

ROOT = Path(gitward.runs.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
EDGE = {"checkpoints.py", "facts.py"}  # where values become the JSON of a run's row, and are read from it again
STORED = "Stored"  # the edge's name for that JSON
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "OrderedDict"}


def annotated(tree: ast.Module) -> Iterator[ast.expr]:
    """Of parameters, results, fields and variables; and the types that a module gives a name to."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.expr() as found) | ast.AnnAssign(annotation=found):
                yield found
            case ast.FunctionDef(returns=ast.expr() as found) | ast.AsyncFunctionDef(returns=ast.expr() as found):
                yield found
            case ast.Assign(value=ast.Subscript() as found) | ast.Assign(value=ast.BinOp() as found):
                yield found


def mappings_of_anything(annotation: ast.expr) -> Iterator[str]:
    for node in ast.walk(annotation):
        match node:
            case ast.Subscript(value=ast.Name(id=kind), slice=ast.Tuple(elts=[_, ast.Name(id="Any")])):
                if kind in MAPPINGS:
                    yield ast.unparse(node)


def found_in(source: str) -> list[str]:
    return [each for one in annotated(ast.parse(source)) for each in mappings_of_anything(one)]


@pytest.mark.parametrize(
    "source",
    [
        "def f(data: dict[str, Any]) -> None: ...",
        "async def _f() -> list[dict[str, Any]]: ...",
        "class A:\n    data: Mapping[str, Any] | None",
        "Json = dict[str, Any]",
        "Told = tuple[str, dict[str, Any]]",
    ],
)
def test_each_kind_of_signature_is_read(source: str) -> None:
    assert len(found_in(source)) == 1


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_signature_has_a_mapping_of_anything(path: Path) -> None:
    allowed = ["Mapping[str, Any]"] if path == ROOT / "checkpoints.py" else []  # `Stored`
    assert found_in(path.read_text()) == allowed


def test_only_the_edge_knows_what_is_stored() -> None:
    users = {path for path in MODULES if STORED in {each.id for each in names(path)}}
    assert {str(path.relative_to(ROOT)) for path in users} == EDGE


def names(path: Path) -> Iterator[ast.Name]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            yield node
