"""The mutations that a run may use. None writes a ref or a file, merges, closes, deletes or approves.

With GITWARD_WRITES=own they write the texts of the session's own pull request and issues; with `repository` the texts,
labels, people and draft state of all in this repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gitward.broker.policy.graphql.arguments import ANY, HEAD, NOTHING, input_of, node, required, written
from gitward.broker.policy.graphql.readable import VIEWS as READABLE
from gitward.broker.policy.graphql.views import View, to, view
from gitward.broker.policy.writes import BASE, DRAFT, NO_BOTS, NONE, PEOPLE, TEXT, UNSET
from gitward.grants.grant import Grant

_PULL = node("PullRequest", required=True)
_ISSUE = node("Issue", required=True)
_EITHER = node("Issue", "PullRequest", required=True)
_REPOSITORY = node("Repository", required=True)
_LABELS = node("Label")
_PEOPLE = node("User", "Mannequin")
_TEXT = {"title": ANY, "body": ANY}
# gh sends empty lists of projects, which belong to users and organizations.
_META = {
    "labelIds": _LABELS,
    "assigneeIds": _PEOPLE,
    "milestoneId": node("Milestone"),
    "projectIds": NOTHING,
    "projectV2Ids": NOTHING,
}

_MUTATION = view(
    "Mutation",
    createPullRequest=to(
        "CreatePullRequestPayload",
        input_of(
            repositoryId=_REPOSITORY,
            headRefName=HEAD,
            headRepositoryId=node("Repository"),
            baseRefName=required(ANY),
            draft=ANY,
            maintainerCanModify=ANY,
            **_TEXT,
        ),
    ),
    updatePullRequest=to(
        "UpdatePullRequestPayload",
        input_of(pullRequestId=_PULL, baseRefName=ANY, maintainerCanModify=ANY, **_TEXT, **_META),
    ),
    markPullRequestReadyForReview=to("MarkPullRequestReadyForReviewPayload", input_of(pullRequestId=_PULL)),
    convertPullRequestToDraft=to("ConvertPullRequestToDraftPayload", input_of(pullRequestId=_PULL)),
    requestReviews=to(
        "RequestReviewsPayload",
        input_of(
            pullRequestId=_PULL,
            userIds=node("User", "Mannequin"),
            botIds=NO_BOTS,
            teamIds=node("Team"),
            union=ANY,
        ),
    ),
    requestReviewsByLogin=to(
        "RequestReviewsByLoginPayload",
        input_of(pullRequestId=_PULL, userLogins=PEOPLE, botLogins=NO_BOTS, teamSlugs=ANY, union=ANY),
    ),
    createIssue=to(
        "CreateIssuePayload",
        input_of(
            repositoryId=_REPOSITORY,
            issueTemplate=ANY,
            parentIssueId=node("Issue"),
            **_TEXT,
            **_META,
        ),
    ),
    updateIssue=to("UpdateIssuePayload", input_of(id=_ISSUE, **_TEXT, **_META)),
    addComment=to("AddCommentPayload", input_of(subjectId=_EITHER, body=required(ANY))),
    addLabelsToLabelable=to("AddLabelsToLabelablePayload", input_of(labelableId=_EITHER, labelIds=_LABELS)),
    removeLabelsFromLabelable=to("RemoveLabelsFromLabelablePayload", input_of(labelableId=_EITHER, labelIds=_LABELS)),
    addAssigneesToAssignable=to("AddAssigneesToAssignablePayload", input_of(assignableId=_EITHER, assigneeIds=_PEOPLE)),
    removeAssigneesFromAssignable=to(
        "RemoveAssigneesFromAssignablePayload", input_of(assignableId=_EITHER, assigneeIds=_PEOPLE)
    ),
    replaceActorsForAssignable=to(
        "ReplaceActorsForAssignablePayload",
        input_of(assignableId=_EITHER, actorIds=_PEOPLE, actorLogins=PEOPLE),
    ),
)

_OWN_TEXT = {"title": TEXT, "body": TEXT}
_OWN_META_OF_NEW = {
    **dict.fromkeys(("labelIds", "assigneeIds", "projectIds", "projectV2Ids"), NONE),
    **dict.fromkeys(("milestoneId", "issueTemplate", "parentIssueId"), UNSET),  # a template sets labels and people
}
_OWN_META = dict.fromkeys(("labelIds", "assigneeIds", "milestoneId", "projectIds", "projectV2Ids"), UNSET)
# Whole beside `_MUTATION`, not derived from it: what is allowed in the narrow case is read here, and a field that is
# added there is not allowed here by itself.
_OWN_MUTATION = view(
    "Mutation",
    createPullRequest=to(
        "CreatePullRequestPayload",
        input_of(
            repositoryId=_REPOSITORY,
            headRefName=HEAD,
            headRepositoryId=node("Repository"),
            baseRefName=BASE,
            draft=DRAFT,
            maintainerCanModify=ANY,
            **_OWN_TEXT,
        ),
    ),
    updatePullRequest=to(
        "UpdatePullRequestPayload",
        input_of(
            pullRequestId=written("PullRequest"),
            baseRefName=UNSET,
            maintainerCanModify=UNSET,
            **_OWN_TEXT,
            **_OWN_META,
        ),
    ),
    convertPullRequestToDraft=to("ConvertPullRequestToDraftPayload", input_of(pullRequestId=written("PullRequest"))),
    createIssue=to("CreateIssuePayload", input_of(repositoryId=_REPOSITORY, **_OWN_TEXT, **_OWN_META_OF_NEW)),
    updateIssue=to("UpdateIssuePayload", input_of(id=written("Issue"), **_OWN_TEXT, **_OWN_META)),
    addComment=to("AddCommentPayload", input_of(subjectId=written("Issue", "PullRequest"), body=required(TEXT))),
)


def _payload(name: str, **members: str) -> dict[str, View]:
    return {f"{name}Payload": view(f"{name}Payload", "clientMutationId", **members)}


_PAYLOADS = {
    **_payload("CreatePullRequest", pullRequest="PullRequest"),
    **_payload("UpdatePullRequest", pullRequest="PullRequest", actor="Actor"),
    **_payload("MarkPullRequestReadyForReview", pullRequest="PullRequest"),
    **_payload("ConvertPullRequestToDraft", pullRequest="PullRequest"),
    **_payload("RequestReviews", pullRequest="PullRequest"),
    **_payload("RequestReviewsByLogin", pullRequest="PullRequest"),
    **_payload("CreateIssue", issue="Issue"),
    **_payload("UpdateIssue", issue="Issue"),
    **_payload("AddComment", commentEdge="IssueCommentEdge"),
    **_payload("AddLabelsToLabelable"),
    **_payload("RemoveLabelsFromLabelable"),
    **_payload("AddAssigneesToAssignable"),
    **_payload("RemoveAssigneesFromAssignable"),
    **_payload("ReplaceActorsForAssignable"),
}

VIEWS: Mapping[str, View] = MappingProxyType({**READABLE, "Mutation": _MUTATION, **_PAYLOADS})
OWN_VIEWS: Mapping[str, View] = MappingProxyType({**VIEWS, "Mutation": _OWN_MUTATION})


def views_of(grant: Grant) -> Mapping[str, View]:
    return OWN_VIEWS if grant.own_writes else VIEWS
