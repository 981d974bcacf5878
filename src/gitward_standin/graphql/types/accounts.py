"""Users, organizations, bots and teams, and the ways from them to all that they own."""

from __future__ import annotations

from collections.abc import Sequence

from gitward_standin.accounts import Account, Role, Team
from gitward_standin.clock import timestamp
from gitward_standin.graphql.connections import Connected, empty, ordered, tables
from gitward_standin.graphql.tables import Table, Tables, absent, fixed, moment, plain, sized
from gitward_standin.graphql.types.discussions import filtered_issues, filtered_pulls
from gitward_standin.graphql.visits import Visit
from gitward_standin.model import Issue, PullRequest, Repository
from gitward_standin.node_ids import encode


def _page(visit: Visit, who: Account) -> str:
    return visit.url("apps", who.login.removesuffix("[bot]")) if who.type == "Bot" else visit.url(who.login)


def _path(_visit: Visit, who: Account) -> str:
    return f"/{who.login}"


def repositories(
    visit: Visit,
    who: Account,
    *,
    privacy: str | None = None,
    visibility: str | None = None,
    is_fork: bool | None = None,
    is_archived: bool | None = None,
    affiliations: Sequence[str] | None = None,
    owner_affiliations: Sequence[str] | None = None,
    order_by: dict[str, str] | None = None,
) -> list[Repository]:
    """What the account owns, and what it may use when that is asked for (also the default, as on GitHub)."""
    wanted = set(affiliations or ("OWNER", "COLLABORATOR")) & set(owner_affiliations or ("OWNER", "COLLABORATOR"))
    found = [each for each in visit.site.repositories if _affiliation(visit, each, who) in wanted]
    secret = {None, privacy, visibility} - {None}
    found = [each for each in visit.seen(found) if not secret or secret == {"PRIVATE" if each.private else "PUBLIC"}]
    found = [each for each in found if is_archived in (None, each.archived) and is_fork in (None, False)]
    dates = {"CREATED_AT": "id", "UPDATED_AT": "pushed_at", "PUSHED_AT": "pushed_at"}
    return ordered(found, order_by, **dates, NAME="name", STARGAZERS="id")


def _affiliation(visit: Visit, repository: Repository, who: Account) -> str | None:
    if repository.owner == who:
        return "OWNER"
    if repository.owner in visit.site.accounts.organizations(who):
        return "ORGANIZATION_MEMBER"
    return "COLLABORATOR" if repository.own_role(who) else None


def _repository(visit: Visit, who: Account, *, name: str) -> Repository:
    return visit.repository(f"{who.login}/{name}")


def _issues(
    visit: Visit,
    who: Account,
    *,
    states: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    filter_by: dict[str, object] | None = None,
    order_by: dict[str, str] | None = None,
) -> list[Issue]:
    """What the user wrote, wherever the viewer sees it."""
    found = [issue for each in visit.seen(visit.site.repositories) for issue in each.issues if issue.author == who]
    return filtered_issues(visit, found, states=states, labels=labels, filter_by=filter_by, order_by=order_by)


# The schema has the arguments that a resolver names, so each connection names the filters again.
def _pulls(
    visit: Visit,
    who: Account,
    *,
    states: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    head_ref_name: str | None = None,
    base_ref_name: str | None = None,
    order_by: dict[str, str] | None = None,
) -> list[PullRequest]:
    found = [pull for each in visit.seen(visit.site.repositories) for pull in each.pulls if pull.author == who]
    return filtered_pulls(
        found, states=states, labels=labels, head_ref_name=head_ref_name, base_ref_name=base_ref_name, order_by=order_by
    )


def _organization(visit: Visit, who: Account, *, login: str) -> Account | None:
    return next((each for each in visit.site.accounts.organizations(who) if each.login.lower() == login.lower()), None)


def _teams(visit: Visit, organization: Account, *, order_by: dict[str, str] | None = None) -> list[Team]:
    return ordered(visit.site.accounts.teams(organization), order_by, NAME="name")


def _team(visit: Visit, organization: Account, *, slug: str) -> Team | None:
    return next((team for team in visit.site.accounts.teams(organization) if team.slug == slug), None)


def _viewer_administers(visit: Visit, organization: Account) -> bool:
    own = (each.own_role(visit.viewer.account) for each in visit.site.repositories if each.owner == organization)
    return any(role is Role.ADMIN for role in own)


_ACTOR: Table = {
    **plain("login"),
    "id": lambda _, who: encode(who.type, who.id),
    "databaseId": lambda _, who: who.id,
    "url": _page,
    "resourcePath": _path,
    "avatarUrl": sized(lambda _, who: f"https://avatars.githubusercontent.com/u/{who.id}?v=4"),
    "createdAt": moment("created_at"),
    "updatedAt": moment("created_at"),
}
_OWNER: Table = {
    **_ACTOR,
    **plain("name"),
    "repositories": Connected(repositories),
    "repository": _repository,
    "projectsV2": empty("query", "orderBy"),
    "projects": empty("states", "search", "orderBy"),
    "location": lambda _visit, _who: None,
}


def _url_of_team(visit: Visit, team: Team) -> str:
    return visit.url("orgs", team.organization.login, "teams", team.slug)


TABLES: Tables = {
    "Bot": _ACTOR,
    "User": {
        **_OWNER,
        **fixed(bio=None, company=None, is_site_admin=False, email=""),
        "isViewer": lambda visit, who: visit.viewer.account == who,
        "issues": Connected(_issues),
        "pullRequests": Connected(_pulls),
        "organizations": Connected(lambda visit, who: visit.site.accounts.organizations(who)),
        "organization": _organization,
        "publicKeys": empty(),
    },
    "Organization": {
        **_OWNER,
        **fixed(description=None, email=None),
        "membersWithRole": Connected(lambda visit, who: visit.site.accounts.members(who)),
        "teams": Connected(_teams),
        "team": _team,
        "viewerIsAMember": lambda visit, who: who in visit.site.accounts.organizations(visit.viewer.account),
        "viewerCanAdminister": _viewer_administers,
    },
    "Team": {
        **plain("name", "slug", "organization"),
        "id": lambda _, team: encode("Team", team.organization.id, team.id),
        "databaseId": lambda _, team: team.id,
        "combinedSlug": lambda _, team: f"{team.organization.login}/{team.slug}",
        "description": lambda _visit, _team: None,
        "privacy": lambda _visit, _team: "VISIBLE",
        "url": _url_of_team,
        "createdAt": lambda _, team: timestamp(team.organization.created_at),
    },
    "PublicKey": absent("id", "key", "fingerprint"),
    **tables("User", "Organization", "Team", "PublicKey"),
    **{f"OrganizationMember{part}": tables("User")[f"User{part}"] for part in ("Connection", "Edge")},
}
