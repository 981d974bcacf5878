"""The changes that REST and GraphQL both make to issues and pull requests, with GitHub's rules and words.

Permissions are looked at before: the two APIs refuse them in different ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitward_standin import history
from gitward_standin.accounts import Account, Role, Team
from gitward_standin.clock import now
from gitward_standin.model import Comment, Discussion, Issue, Label, Milestone, PullRequest, Repository, Review
from gitward_standin.site import Site

LONGEST_BODY = 65_536  # characters
LONGEST_TITLE = 256


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One reason why a change is invalid."""

    sentence: str  # as GraphQL tells it
    code: str  # as REST tells it: invalid, missing_field or custom
    resource: str = "PullRequest"
    field: str | None = None
    message: str | None = None  # of REST's code `custom`


@dataclass
class Unprocessable(Exception):
    """The change breaks a rule. Without problems the message says it all."""

    message: str
    problems: Sequence[Problem] = ()


def invalid(*problems: Problem) -> Unprocessable:
    return Unprocessable(", ".join(problem.sentence for problem in problems), problems)


def _custom(sentence: str, **more: str) -> Problem:
    return Problem(sentence=sentence, code="custom", message=sentence, **more)


async def open_pull(
    site: Site,
    repository: Repository,
    author: Account,
    *,
    title: str,
    head: str,
    base: str,
    body: str | None = None,
    draft: bool = False,
) -> PullRequest:
    """Opens a pull request from a branch (`head`: branch or owner:branch). Raises Unprocessable."""
    head = _own_branch(repository, head)
    head_sha, base_sha = await repository.head(head), await repository.head(base)
    missing = [
        Problem(sentence=f"{name.capitalize()} sha can't be blank", code="invalid", field=name)
        for name, sha in (("head", head_sha), ("base", base_sha))
        if sha is None
    ]
    if head_sha is None or base_sha is None:
        raise invalid(*missing)
    check_text(title, body)
    _check_new(repository, head, base)
    if await history.merge_base(repository, base_sha, head_sha) is None:
        raise invalid(_custom(f"The {head} branch has no history in common with {base}"))
    if await repository.commits_between(base_sha, head_sha) == 0:
        raise invalid(_custom(f"No commits between {base} and {head}"))
    if draft and not repository.drafts:
        raise Unprocessable("Draft pull requests are not supported in this repository.")
    _check_new(repository, head, base)  # again: another request may have come first while git was asked
    pull = PullRequest(
        repository=repository,
        id=site.new_id(),
        number=_next_number(repository),
        title=title,
        body=body,
        author=author,
        head=head,
        base=base,
        head_sha=head_sha,
        base_sha=base_sha,
        draft=draft,
    )
    pull.html_url = site.links.html(repository.owner.login, repository.name, "pull", pull.number)
    repository.pulls.append(pull)
    await repository.keep_head(pull)
    return pull


async def edit_pull(
    pull: PullRequest,
    *,
    title: str | None = None,
    body: str | None = None,
    base: str | None = None,
    state: str | None = None,
) -> None:
    """Changes what is given. `state`: open or closed. Raises Unprocessable."""
    repository = pull.repository
    check_text(title if title is not None else pull.title, body)
    if state not in (None, "open", "closed"):
        raise invalid(Problem(sentence="State is invalid", code="invalid", field="state"))
    base_sha = await repository.head(base) if base is not None else pull.base_sha
    if base_sha is None:
        raise invalid(Problem(sentence="Base ref is invalid", code="invalid", field="base"))
    if state == "open" and pull.state != "open" and await repository.head(pull.head) is None:
        raise invalid(_custom("state cannot be changed. The branch was deleted.", field="state"))
    pull.base, pull.base_sha = base or pull.base, base_sha
    edit(pull, title=title, body=body, state=state)


def open_issue(
    site: Site,
    repository: Repository,
    author: Account,
    *,
    title: str,
    body: str | None = None,
    labels: Sequence[str] = (),
    assignees: Sequence[Account] = (),
    milestone: Milestone | None = None,
) -> Issue:
    """Labels that do not exist yet are made. Raises Unprocessable."""
    check_text(title, body)
    # A pull request is made by the same steps, but of other parts; one function for both would be longer than the two.
    issue = Issue(
        repository=repository,
        id=site.new_id(),
        number=_next_number(repository),
        title=title,
        body=body,
        author=author,
        assignees=list(assignees),
        milestone=milestone,
    )
    issue.html_url = site.links.html(repository.owner.login, repository.name, "issues", issue.number)
    repository.issues.append(issue)
    issue.label(*(ensure_label(site, repository, name).name for name in labels))
    return issue


def edit(
    discussion: Discussion, *, title: str | None = None, body: str | None = None, state: str | None = None
) -> None:
    """Changes what is given; `state` is open or closed. Raises Unprocessable."""
    check_text(title if title is not None else discussion.title, body)
    discussion.title = title if title is not None else discussion.title
    discussion.body = body if body is not None else discussion.body
    if state == "closed" and discussion.state == "open":
        discussion.close()
    if state == "open" and discussion.state == "closed":
        discussion.reopen()
    discussion.updated_at = now()


def comment(site: Site, on: Discussion, author: Account, body: str) -> Comment:
    """Raises Unprocessable."""
    _check_comment(body)
    on.comments.append(Comment(on=on, id=site.new_id(), author=author, body=body))
    on.updated_at = on.comments[-1].created_at
    return on.comments[-1]


def edit_comment(comment: Comment, body: str) -> None:
    """Raises Unprocessable."""
    _check_comment(body)
    comment.body, comment.updated_at = body, now()


def _check_comment(body: str) -> None:
    if not body.strip():
        sentence = "Body cannot be blank"
        raise invalid(Problem(sentence=sentence, code="missing_field", resource="IssueComment", field="body"))
    check_text("a comment has no title", body)


def review(site: Site, pull: PullRequest, author: Account, *, state: str, body: str) -> Review:
    """`state`: approved, changes_requested or commented. Raises Unprocessable."""
    if author == pull.author and state != "commented":
        verb = "approve" if state == "approved" else "request changes on"
        raise Unprocessable(f"Can not {verb} your own pull request")
    written = Review(on=pull, id=site.new_id(), author=author, state=state, body=body, commit=pull.head_sha)
    pull.reviews.append(written)
    pull.reviewers = [other for other in pull.reviewers if other != author]
    return written


def request_reviews(
    pull: PullRequest, reviewers: Sequence[Account | None], teams: Sequence[Team | None] = (), *, union: bool = True
) -> None:
    """Asks all of them (`union`: besides those who are asked already), or nobody when one cannot be asked.

    None stands for a login or a team that there is not. Raises Unprocessable.
    """
    people = [_reviewer(pull, account) for account in reviewers]
    groups = [_team_reviewer(pull, team) for team in teams]
    if not union:
        pull.reviewers, pull.teams = [], []
    pull.reviewers += [account for account in dict.fromkeys(people) if account not in pull.reviewers]
    pull.teams += [team for team in dict.fromkeys(groups) if team not in pull.teams]


def _reviewer(pull: PullRequest, account: Account | None) -> Account:
    repository = pull.repository
    if account == pull.author:
        raise Unprocessable("Review cannot be requested from pull request author.")
    role = repository.role(account) if account else None
    if account is None or role is None or (role < Role.PUSH and not repository.private):
        raise _no_collaborator("users or teams", repository)
    return account


def _team_reviewer(pull: PullRequest, team: Team | None) -> Team:
    if team is None or team.organization != pull.repository.owner or not team.reaches(pull.repository.full_name):
        raise _no_collaborator("teams", pull.repository)
    return team


def _no_collaborator(who: str, repository: Repository) -> Unprocessable:
    return Unprocessable(
        f"Reviews may only be requested from collaborators. One or more of the {who} you specified is not a "
        f"collaborator of the {repository.full_name} repository."
    )


def ensure_label(
    site: Site, repository: Repository, name: str, *, color: str = "ededed", description: str | None = None
) -> Label:
    """The label of this name; a missing one is made, as GitHub does."""
    known = repository.label(name)
    if known is None:
        known = Label(repository=repository, id=site.new_id(), name=name, color=color, description=description)
        repository.labels[name] = known
    return known


def check_text(title: str, body: str | None) -> None:
    """Raises Unprocessable."""
    if not title.strip():
        raise invalid(Problem(sentence="Title can't be blank", code="missing_field", resource="Issue", field="title"))
    for name, text, longest in (("title", title, LONGEST_TITLE), ("body", body or "", LONGEST_BODY)):
        if len(text) > longest:
            message = f"{name} is too long (maximum is {longest} characters)"
            sentence = message.capitalize()
            raise invalid(Problem(sentence=sentence, code="custom", resource="Issue", field=name, message=message))


def _next_number(repository: Repository) -> int:
    repository.last_number += 1
    return repository.last_number


def _own_branch(repository: Repository, head: str) -> str:
    """The branch of `owner:branch` or `branch`; another owner has no fork here, so the head is invalid."""
    owner, colon, branch = head.partition(":")
    if colon and owner.lower() != repository.owner.login.lower():
        raise invalid(Problem(sentence="Head sha can't be blank", code="invalid", field="head"))
    return branch if colon else head


def _check_new(repository: Repository, head: str, base: str) -> None:
    same = (pull for pull in repository.pulls if (pull.state, pull.head, pull.base) == ("open", head, base))
    if next(same, None):
        raise invalid(_custom(f"A pull request already exists for {repository.owner.login}:{head}."))
