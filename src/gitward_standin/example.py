"""A populated GitHub: one repository to work on, and around it everything that must stay out of reach.

Used by the tests of gh, of the broker's policy, and by whoever wants to look at the stand-in. What belongs to other
repositories and people holds the word CANARY, so that a leak is found by searching for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitward_standin import changes
from gitward_standin.model import (
    Annotation,
    CheckRun,
    Milestone,
    Release,
    Repository,
    StatusContext,
    Step,
    Workflow,
    WorkflowRun,
)
from gitward_standin.server import StandIn

OWNER, REPOSITORY = "octo-org", "octo-org/demo"
SENDER, COLLEAGUE, STRANGER = "octocat", "hubot", "stranger"
CANARY = "CANARY"

OTHERS = {  # repository: whether it is private, and who may do what
    "octo-org/secret": (True, {SENDER: "admin"}),  # the token reaches it: only a policy can keep it away
    "octo-org/open": (False, {SENDER: "push"}),
    f"{SENDER}/own": (True, {}),
    f"{STRANGER}/hidden": (True, {}),  # not even the token sees it
}
_FILES = {
    "README.md": "# Demo\n\nA repository of the stand-in.\n",
    "src/app.py": 'print("Hello")\n',
    ".github/workflows/ci.yml": "name: CI\non: [push]\njobs: {}\n",
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """The parts that tests name."""

    repository: Repository
    others: tuple[Repository, ...]


async def populate(standin: StandIn) -> Example:
    """Fills a stand-in. Numbers and ids are the same each time when it was empty; commits are not.

    In the repository: pull request 1 (branch `topic`, a draft with checks, a comment, a review and a review request),
    2 (branch `done`, closed), issues 3 and 4 (closed), label bug, milestone v1, one workflow with two runs, a release
    and a draft of one; and a branch `fresh` that has no pull request.
    """
    accounts = standin.site.accounts
    standin.add_user(SENDER, name="Mona Lisa", email="mona@example.org")
    standin.add_user(COLLEAGUE, name="Hubot")
    standin.add_user(STRANGER, name=f"{CANARY} of a stranger")
    accounts.add(OWNER, type="Organization", name="The Octo Organization")
    accounts.add_member(OWNER, SENDER, COLLEAGUE)
    accounts.add_team(OWNER, "reviewers", name="Reviewers")
    rights = {SENDER: "push", COLLEAGUE: "push"}
    repository = await standin.add_repository(REPOSITORY, files=_FILES, permissions=rights)
    repository.description = "A repository to work on"
    await _fill(standin, repository)
    others = [await _other(standin, name, private, roles) for name, (private, roles) in OTHERS.items()]
    return Example(repository=repository, others=tuple(others))


async def _fill(standin: StandIn, repository: Repository) -> None:
    site, accounts = standin.site, standin.site.accounts
    sender, colleague = accounts.get(SENDER), accounts.get(COLLEAGUE)
    start = await repository.head("main")
    for branch in ("topic", "done", "fresh"):
        await repository.commit(branch, {f"{branch}.txt": f"{branch}\n"}, message=f"Add {branch}", start=start)
    changes.ensure_label(site, repository, "bug", color="d73a4a", description="Something isn't working")
    changes.ensure_label(site, repository, "help", color="008672")
    milestone = Milestone(repository=repository, id=site.new_id(), number=1, title="v1", description="The first one")
    repository.milestones.append(milestone)
    pull = await changes.open_pull(
        site, repository, sender, title="Add topic", head="topic", base="main", body="Why it is needed", draft=True
    )
    pull.label("bug")
    pull.milestone = milestone
    changes.comment(site, pull, colleague, "Looks good")
    changes.review(site, pull, colleague, state="commented", body="One question")
    changes.request_reviews(pull, [colleague])
    done = await changes.open_pull(site, repository, sender, title="Done", head="done", base="main")
    done.close()
    issue = changes.open_issue(
        site,
        repository,
        colleague,
        title="It is broken",
        body=f"Please help, @{SENDER}",
        labels=["bug"],
        assignees=[sender],
    )
    changes.comment(site, issue, sender, "On it")
    old = changes.open_issue(site, repository, sender, title="An old one")
    old.close()
    old.state_reason = "completed"
    _check(standin, repository, pull.head_sha)
    _release(standin, repository, "v1.0.0")
    _release(standin, repository, "v2.0.0", draft=True)


def _check(standin: StandIn, repository: Repository, sha: str) -> None:
    """A workflow with a good and a bad run, a status, and a check that no workflow made."""
    site = standin.site
    sender = site.accounts.get(SENDER)
    workflow = Workflow(repository=repository, id=site.new_id(), name="CI", path=".github/workflows/ci.yml")
    repository.workflows.append(workflow)
    for number, conclusion in ((1, "failure"), (2, "success")):
        run = WorkflowRun(
            workflow=workflow,
            id=site.new_id(),
            suite_id=site.new_id(),
            number=number,
            event="push",
            branch="topic",
            sha=sha,
            title="Add topic",
            actor=sender,
            conclusion=conclusion,
        )
        repository.runs.append(run)
        _add_check(standin, repository, sha, name=f"test {number}", conclusion=conclusion, run=run)
    _add_check(standin, repository, sha, name="lint", conclusion="success")
    status = StatusContext(
        repository=repository,
        id=site.new_id(),
        sha=sha,
        context="ci/outside",
        state="success",
        creator=sender,
        description="All is well",
        target_url="https://ci.example.org/1",
    )
    repository.statuses.append(status)


def _add_check(
    standin: StandIn, repository: Repository, sha: str, *, name: str, conclusion: str, run: WorkflowRun | None = None
) -> None:
    number = standin.site.new_id()
    where = ("actions", "runs", run.id, "job", number) if run else ("runs", number)
    log = f"2026-01-01T00:00:00.0000000Z {name}: {conclusion}\n"
    remark = Annotation(path="src/app.py", line=1, level="failure", message="It did not work")
    check = CheckRun(
        repository=repository,
        id=number,
        name=name,
        sha=sha,
        conclusion=conclusion,
        run=run,
        steps=(Step(number=1, name="Run tests", conclusion=conclusion, log=log),) if run else (),
        annotations=(remark,) if conclusion == "failure" else (),
        details_url=standin.site.links.html(repository.owner.login, repository.name, *where),
    )
    repository.check_runs.append(check)


def _release(standin: StandIn, repository: Repository, tag: str, *, draft: bool = False) -> None:
    author = standin.site.accounts.get(SENDER)
    name, number = f"Release {tag}", standin.site.new_id()
    release = Release(repository=repository, id=number, tag=tag, name=name, body="Notes", author=author, draft=draft)
    repository.releases.append(release)


async def _other(standin: StandIn, full_name: str, private: bool, roles: dict[str, str]) -> Repository:
    files = {"README.md": f"{CANARY} in a file\n"}
    other = await standin.add_repository(full_name, files=files, private=private, permissions=roles)
    other.description = f"{CANARY} in a description"
    site, author = standin.site, standin.site.accounts.get(STRANGER)
    await other.commit("topic", {"secret.txt": CANARY}, start=await other.head("main"))
    pull = await changes.open_pull(
        site, other, author, title=f"{CANARY} in a pull request", head="topic", base="main", body=CANARY
    )
    changes.comment(site, pull, author, f"{CANARY} in a comment on a pull request")
    issue = changes.open_issue(site, other, author, title=f"{CANARY} in an issue", body=f"{CANARY} @{SENDER}")
    changes.comment(site, issue, author, f"{CANARY} in a comment")
    changes.ensure_label(site, other, f"{CANARY} label")
    _release(standin, other, f"{CANARY}-1")
    return other
