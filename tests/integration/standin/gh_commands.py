"""The commands of gh whose requests are kept: what the product lets real gh do on one repository, and more of it.

Each runs in a clone of the example's repository, on its branch `topic`, one after the other. What they change, later
ones see.
"""

from __future__ import annotations

import shlex
from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Command:
    """One call of gh."""

    line: str  # without "gh"; ALL stands for every JSON field that this gh knows for the command
    shows: str = ""  # a part of its standard output
    _: KW_ONLY
    code: int = 0
    stdin: str = ""
    before: tuple[str, ...] = ()  # commands of git that prepare it
    only: str = ""  # the version of gh that it is for
    races: bool = False  # gh sends several requests at once and gives some up when one is answered

    @property
    def argv(self) -> list[str]:
        return shlex.split(self.line)


TOKEN = "ghp_octocat0000000000000000000000000000"
RUN, JOB = "900000013", "900000015"  # of the example

COMMANDS = (
    Command("auth login --with-token", stdin=f"{TOKEN}\n"),
    Command("auth status"),
    Command("auth setup-git"),
    Command("repo view", "# Demo"),
    Command("repo view octo-org/demo --json ALL", '"nameWithOwner":"octo-org/demo"'),
    Command("repo clone octo-org/demo ../again"),
    Command("pr list", "Add topic"),
    Command("pr list --state all --json ALL", '"headRefName":"done"'),
    Command("pr list --search topic --label bug", "Add topic"),
    Command("pr list --author @me --state closed", "Done"),
    Command("pr list --head topic --base main", "Add topic"),
    Command("pr view 1", "Why it is needed"),
    Command("pr view", "Why it is needed"),
    Command("pr view 1 --comments", "Looks good"),
    Command("pr view 1 --json ALL", '"title":"Add topic"'),
    Command("pr status", "Add topic"),
    Command("pr status --json number,title", "Add topic"),
    Command("pr checks 1", "ci/outside", code=1),  # one check failed, and gh says so by its exit status
    Command("pr checks", "lint", code=1),
    Command("pr diff 1", "+topic"),
    Command("pr diff", "+topic"),
    Command("pr comment 1 --body Hello", "#issuecomment-"),
    Command("pr comment --body Hello", "#issuecomment-"),
    Command("pr ready 1"),
    Command("pr ready 1 --undo"),
    Command("pr edit 1 --title New --body Text --base main", "/pull/1"),
    Command("pr edit 1 --add-label help --remove-label bug", "/pull/1"),
    Command("pr edit 1 --add-assignee hubot --add-reviewer hubot --milestone v1", "/pull/1"),
    Command("pr create --head fresh --title Fresh --body Text --draft", "/pull/5"),
    Command(
        "pr create --fill --label bug --assignee @me --reviewer hubot --milestone v1",
        "/pull/6",
        before=("switch --quiet pushed", "push --quiet --set-upstream origin pushed"),
    ),
    Command("pr review 1 --comment --body Fine"),
    Command("pr close 5"),
    Command("pr reopen 5"),
    Command("pr checkout 5"),
    Command("issue list", "It is broken"),
    Command("issue list --state all --json ALL", "An old one"),
    Command("issue list --label bug", "It is broken"),
    Command("issue list --search broken", "It is broken"),
    Command("issue list --assignee @me --author hubot", "It is broken"),
    Command("issue view 3", "Please help"),
    Command("issue view 3 --comments", "On it"),
    Command("issue view 3 --json ALL", '"title":"It is broken"'),
    Command("issue status", "It is broken"),
    Command("issue create --title New --body Text", "/issues/7"),
    Command("issue create --title New --body Text --label bug --assignee @me --milestone v1", "/issues/8"),
    Command("issue comment 3 --body Hello", "#issuecomment-"),
    Command("issue comment 1 --body Hello", "#issuecomment-"),
    Command("issue edit 3 --title Newer --add-label help --add-assignee hubot", "/issues/3"),
    Command("issue close 3 --reason 'not planned'"),
    Command("issue close 8 --comment Done"),
    Command("issue reopen 3"),
    Command("label list", "d73a4a"),
    Command("workflow list", "CI"),
    Command("workflow view CI", "Add topic"),
    Command("run list", "Add topic"),
    Command("run list --workflow CI --branch topic --json databaseId,conclusion", "failure"),
    Command(f"run view {RUN}", "It did not work"),
    Command(f"run view {RUN} --json jobs,conclusion", "failure"),
    Command(f"run view --job {JOB}", "Run tests"),
    Command(f"run view {RUN} --log", "test 1: failure"),
    Command("release list", "Release v1.0.0"),
    Command("release view", "Notes"),
    Command("release view v1.0.0", "Notes", races=True),
    Command("api repos/{owner}/{repo}", '"full_name":"octo-org/demo"'),
    Command("api repos/{owner}/{repo}/pulls/1/files", "topic.txt"),
    Command("api repos/{owner}/{repo}/issues/1/comments --paginate", "Looks good"),
    Command("api repos/{owner}/{repo}/commits/topic/check-runs", "lint"),
    Command("api repos/{owner}/{repo}/actions/runs -X GET -f branch=topic", "workflow_runs"),
    Command("api graphql -f query='query { viewer { login } }'", "octocat"),
)

# What the product refuses: the same requests show what has to be recognized.
FORBIDDEN = (
    Command("pr merge 1 --merge --auto"),
    Command("pr merge 6 --squash --delete-branch=false"),
    Command("issue delete 4 --confirm", code=1, only="2.23.0"),  # the token's owner does not administer
    Command("issue delete 4 --yes", code=1, only="2.102.0"),
    Command("pr list --repo octo-org/secret", "CANARY"),
    Command("issue view 2 --repo octo-org/secret", "CANARY"),
    Command("repo list", "octocat/own"),
    Command("search prs CANARY", "octo-org/secret"),
    Command("api user/repos", "octo-org/secret"),
    Command("api -X POST repos/{owner}/{repo}/git/refs -f ref=refs/heads/made -f sha=main", code=1),
)
