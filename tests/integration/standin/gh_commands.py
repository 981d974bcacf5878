"""The commands of gh whose requests are kept: what the product lets real gh do on one repository, and more of it.

Each runs in a clone of the example's repository, on its branch `topic`, one after the other. What they change, later
ones see.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Command:
    """One call of gh."""

    line: str  # without "gh"; ALL stands for every JSON field that this gh knows for the command
    shows: str = ""  # a part of its standard output
    code: int = 0
    stdin: str = ""
    before: tuple[str, ...] = ()  # commands of git that prepare it
    only: str = ""  # the version of gh that it is for
    races: bool = False  # gh sends several requests at once and gives some up when one is answered

    @property
    def argv(self) -> list[str]:
        return shlex.split(self.line)


def _command(line: str, shows: str = "", **more: object) -> Command:
    return Command(line=line, shows=shows, **more)  # type: ignore[arg-type] # names and types are those of the fields


TOKEN = "ghp_octocat0000000000000000000000000000"
RUN, JOB = "900000013", "900000015"  # of the example

COMMANDS = (
    _command("auth login --with-token", stdin=f"{TOKEN}\n"),
    _command("auth status"),
    _command("auth setup-git"),
    _command("repo view", "# Demo"),
    _command("repo view octo-org/demo --json ALL", '"nameWithOwner":"octo-org/demo"'),
    _command("repo clone octo-org/demo ../again"),
    _command("pr list", "Add topic"),
    _command("pr list --state all --json ALL", '"headRefName":"done"'),
    _command("pr list --search topic --label bug", "Add topic"),
    _command("pr list --author @me --state closed", "Done"),
    _command("pr list --head topic --base main", "Add topic"),
    _command("pr view 1", "Why it is needed"),
    _command("pr view", "Why it is needed"),
    _command("pr view 1 --comments", "Looks good"),
    _command("pr view 1 --json ALL", '"title":"Add topic"'),
    _command("pr status", "Add topic"),
    _command("pr status --json number,title", "Add topic"),
    _command("pr checks 1", "ci/outside", code=1),  # one check failed, and gh says so by its exit status
    _command("pr checks", "lint", code=1),
    _command("pr diff 1", "+topic"),
    _command("pr diff", "+topic"),
    _command("pr comment 1 --body Hello", "#issuecomment-"),
    _command("pr comment --body Hello", "#issuecomment-"),
    _command("pr ready 1"),
    _command("pr ready 1 --undo"),
    _command("pr edit 1 --title New --body Text --base main", "/pull/1"),
    _command("pr edit 1 --add-label help --remove-label bug", "/pull/1"),
    _command("pr edit 1 --add-assignee hubot --add-reviewer hubot --milestone v1", "/pull/1"),
    _command("pr create --head fresh --title Fresh --body Text --draft", "/pull/5"),
    _command(
        "pr create --fill --label bug --assignee @me --reviewer hubot --milestone v1",
        "/pull/6",
        before=("switch --quiet pushed", "push --quiet --set-upstream origin pushed"),
    ),
    _command("pr review 1 --comment --body Fine"),
    _command("pr close 5"),
    _command("pr reopen 5"),
    _command("pr checkout 5"),
    _command("issue list", "It is broken"),
    _command("issue list --state all --json ALL", "An old one"),
    _command("issue list --label bug", "It is broken"),
    _command("issue list --search broken", "It is broken"),
    _command("issue list --assignee @me --author hubot", "It is broken"),
    _command("issue view 3", "Please help"),
    _command("issue view 3 --comments", "On it"),
    _command("issue view 3 --json ALL", '"title":"It is broken"'),
    _command("issue status", "It is broken"),
    _command("issue create --title New --body Text", "/issues/7"),
    _command("issue create --title New --body Text --label bug --assignee @me --milestone v1", "/issues/8"),
    _command("issue comment 3 --body Hello", "#issuecomment-"),
    _command("issue comment 1 --body Hello", "#issuecomment-"),
    _command("issue edit 3 --title Newer --add-label help --add-assignee hubot", "/issues/3"),
    _command("issue close 3 --reason 'not planned'"),
    _command("issue close 8 --comment Done"),
    _command("issue reopen 3"),
    _command("label list", "d73a4a"),
    _command("workflow list", "CI"),
    _command("workflow view CI", "Add topic"),
    _command("run list", "Add topic"),
    _command("run list --workflow CI --branch topic --json databaseId,conclusion", "failure"),
    _command(f"run view {RUN}", "It did not work"),
    _command(f"run view {RUN} --json jobs,conclusion", "failure"),
    _command(f"run view --job {JOB}", "Run tests"),
    _command(f"run view {RUN} --log", "test 1: failure"),
    _command("release list", "Release v1.0.0"),
    _command("release view", "Notes"),
    _command("release view v1.0.0", "Notes", races=True),
    _command("api repos/{owner}/{repo}", '"full_name":"octo-org/demo"'),
    _command("api repos/{owner}/{repo}/pulls/1/files", "topic.txt"),
    _command("api repos/{owner}/{repo}/issues/1/comments --paginate", "Looks good"),
    _command("api repos/{owner}/{repo}/commits/topic/check-runs", "lint"),
    _command("api repos/{owner}/{repo}/actions/runs -X GET -f branch=topic", "workflow_runs"),
    _command("api graphql -f query='query { viewer { login } }'", "octocat"),
)

# What the product refuses: the same requests show what has to be recognized.
FORBIDDEN = (
    _command("pr merge 1 --merge --auto"),
    _command("pr merge 6 --squash --delete-branch=false"),
    _command("issue delete 4 --confirm", code=1, only="2.23.0"),  # the token's owner does not administer
    _command("issue delete 4 --yes", code=1, only="2.102.0"),
    _command("pr list --repo octo-org/secret", "CANARY"),
    _command("issue view 2 --repo octo-org/secret", "CANARY"),
    _command("repo list", "octocat/own"),
    _command("search prs CANARY", "octo-org/secret"),
    _command("api user/repos", "octo-org/secret"),
    _command("api -X POST repos/{owner}/{repo}/git/refs -f ref=refs/heads/made -f sha=main", code=1),
)
