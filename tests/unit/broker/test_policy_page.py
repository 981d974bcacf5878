"""The documentation's page of the policy has everything that the policy allows."""

from __future__ import annotations

from pathlib import Path

from gitward.broker.policy import push, rest
from gitward.broker.policy.graphql.mutations import VIEWS
from gitward.broker.policy_page import markdown


def test_every_rule_is_on_the_page() -> None:
    page = markdown()
    for name in [rule.name for rule in rest.RULES] + [rule.name for rule in push.RULES]:
        assert f"`{name}`" in page
    for name in VIEWS["Mutation"].fields:
        assert f"| `{name}` | " in page
    for view in VIEWS.values():
        for field in view.fields:
            assert f"`{field}`" in page


def test_every_line_of_a_table_has_its_cells() -> None:
    width = 0
    for line in markdown().splitlines():
        cells = line.replace("\\|", "").count("|")
        assert not line or cells == 0 or width in {0, cells}, line
        width = cells


def test_the_page_in_the_repository_is_this_policy() -> None:
    """Else: write gitward.broker.policy_page.markdown() to docs/policy.md again."""
    assert (Path(__file__).parents[3] / "docs" / "policy.md").read_text() == markdown()
