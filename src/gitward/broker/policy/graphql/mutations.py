"""What may be changed by GraphQL: the texts, labels, people and draft state of this repository's issues and pull
requests, and new ones. Nothing here writes a ref or a file, merges, closes, deletes, approves, or gives rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gitward.broker.policy.graphql.arguments import ANY, HEAD, NOTHING, input_of, node, required
from gitward.broker.policy.graphql.readable import VIEWS as READABLE
from gitward.broker.policy.graphql.views import View, to, view

_PULL = node("PullRequest", required=True)
_ISSUE = node("Issue", required=True)
_EITHER = node("Issue", "PullRequest", required=True)
_REPOSITORY = node("Repository", required=True)
_LABELS = node("Label")
_PEOPLE = node("User", "Bot", "Mannequin")
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
            botIds=node("Bot"),
            teamIds=node("Team"),
            union=ANY,
        ),
    ),
    requestReviewsByLogin=to(
        "RequestReviewsByLoginPayload",
        input_of(pullRequestId=_PULL, userLogins=ANY, botLogins=ANY, teamSlugs=ANY, union=ANY),
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
        input_of(assignableId=_EITHER, actorIds=_PEOPLE, actorLogins=ANY),
    ),
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
