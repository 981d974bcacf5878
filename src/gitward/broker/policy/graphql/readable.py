"""The fields that a run may read by GraphQL: what gh asks of one repository, its issues and pull requests.

A place that may belong to another repository than the session's (a fork, the repository of a linked issue) shows its
name and little more. gh shows the title of a linked issue; people made those links, because commands may close only
their own repository's issues. Users show their public profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gitward.broker.policy.argument import Argument
from gitward.broker.policy.graphql.arguments import ANY, NAME, OWNER, PAGE, SEARCH, node, one_of, required
from gitward.broker.policy.graphql.views import Field, View, connections, to, view

_NUMBER: Mapping[str, Argument] = {"number": required(ANY)}
_REPOSITORY: Mapping[str, Argument] = {"owner": OWNER, "name": NAME, "followRenames": ANY}
_DEPRECATED: Mapping[str, Argument] = {"includeDeprecated": ANY}

_ROOTS = {
    "Query": view(
        "Query",
        viewer="Viewer",
        repository=to("Repository", _REPOSITORY),
        node=to("Node", id=node("PullRequest", "Issue", "Repository", required=True)),
        search=to("SearchResultItemConnection", PAGE, query=SEARCH, type=one_of("ISSUE", "ISSUE_ADVANCED")),
        user=to("User", login=required(ANY)),
        organization=to("OwnOrganization", login=OWNER),
        __type=to("__Type", name=required(ANY)),
    ),
    "Node": view("Node", "id", "PullRequest Issue Repository"),
    "Viewer": view("User", "id login name databaseId url"),
    "OwnOrganization": view(
        "Organization", "id login name url", teams=to("TeamConnection", PAGE, orderBy=ANY, query=ANY)
    ),
    "SearchResultItemConnection": view(
        "SearchResultItemConnection",
        "issueCount",
        nodes="SearchResultItem",
        edges="SearchResultItemEdge",
        pageInfo="PageInfo",
    ),
    "SearchResultItemEdge": view("SearchResultItemEdge", "cursor", node="SearchResultItem"),
    "SearchResultItem": view("SearchResultItem", "", "PullRequest Issue"),
    "PageInfo": view("PageInfo", "hasNextPage hasPreviousPage startCursor endCursor"),
    "__Type": view(
        "__Type",
        "name kind",
        fields=to("__Field", _DEPRECATED),
        enumValues=to("__EnumValue", _DEPRECATED),
        inputFields=to("__InputValue", _DEPRECATED),
    ),
    "__Field": view("__Field", "name", args=to("__InputValue", _DEPRECATED)),
    "__EnumValue": view("__EnumValue", "name"),
    "__InputValue": view("__InputValue", "name"),
}

_PEOPLE = {
    "User": view("User", "id login name databaseId url avatarUrl"),
    "Bot": view("Bot", "id login databaseId url avatarUrl"),
    "Mannequin": view("Mannequin", "id login url avatarUrl"),
    "Organization": view("Organization", "id login name url avatarUrl"),
    "Actor": view("Actor", "login url avatarUrl", "User Bot Mannequin Organization ActorNode"),
    "ActorNode": view("Node", "id"),
    "Assignee": view("Assignee", "", "User Bot Mannequin Organization Actor ActorNode"),
    "RepositoryOwner": view("RepositoryOwner", "id login url avatarUrl", "User Organization"),
    "RequestedReviewer": view("RequestedReviewer", "", "User Bot Team Mannequin"),
    "Team": view("Team", "id name slug", organization="Organization"),
    "ReactingUserConnection": view("ReactingUserConnection", "totalCount"),
    "ReactionGroup": view("ReactionGroup", "content", users=to("ReactingUserConnection", PAGE)),
    **connections("User", "Team", "Assignee", "Actor"),
}

_OTHER_REPOSITORIES = {
    "RepositoryName": view("Repository", "id name nameWithOwner url", owner="RepositoryOwner"),
    "RelatedRepository": view(
        "Repository",
        "id databaseId name nameWithOwner url sshUrl description hasIssuesEnabled hasWikiEnabled isPrivate "
        "viewerPermission",
        owner="RepositoryOwner",
        defaultBranchRef="Ref",
    ),
    "LinkedIssue": view("Issue", "id number title url state stateReason", repository="RepositoryName"),
    "LinkedIssueConnection": view(
        "IssueConnection", "totalCount", nodes="LinkedIssue", pageInfo="PageInfo", edges="LinkedIssueEdge"
    ),
    "LinkedIssueEdge": view("IssueEdge", "cursor", node="LinkedIssue"),
    "LinkedPullRequest": view("PullRequest", "id number title url state", repository="RepositoryName"),
    "LinkedPullRequestConnection": view(
        "PullRequestConnection", "totalCount", nodes="LinkedPullRequest", pageInfo="PageInfo"
    ),
}

_REPOSITORY_VIEWS = {
    "Repository": view(
        "Repository",
        "id databaseId name nameWithOwner description url sshUrl homepageUrl visibility isArchived isDisabled isEmpty "
        "isFork isInOrganization isLocked isMirror isPrivate isTemplate isUserConfigurationRepository "
        "isSecurityPolicyEnabled isBlankIssuesEnabled hasIssuesEnabled hasProjectsEnabled hasWikiEnabled "
        "hasDiscussionsEnabled mergeCommitAllowed rebaseMergeAllowed squashMergeAllowed autoMergeAllowed "
        "deleteBranchOnMerge viewerPermission viewerCanAdminister viewerHasStarred viewerSubscription "
        "viewerDefaultMergeMethod viewerDefaultCommitEmail createdAt updatedAt pushedAt archivedAt diskUsage "
        "forkCount stargazerCount usesCustomOpenGraphImage openGraphImageUrl mirrorUrl securityPolicyUrl",
        owner="RepositoryOwner",
        parent="RelatedRepository",
        templateRepository="RelatedRepository",
        defaultBranchRef="Ref",
        pullRequest=to("PullRequest", _NUMBER),
        pullRequests=to(
            "PullRequestConnection",
            PAGE,
            states=ANY,
            labels=ANY,
            baseRefName=ANY,
            headRefName=ANY,
            orderBy=ANY,
        ),
        issue=to("Issue", _NUMBER),
        issueOrPullRequest=to("IssueOrPullRequest", _NUMBER),
        issues=to("IssueConnection", PAGE, states=ANY, labels=ANY, filterBy=ANY, orderBy=ANY),
        label=to("Label", name=required(ANY)),
        labels=to("LabelConnection", PAGE, orderBy=ANY, query=ANY),
        milestone=to("Milestone", _NUMBER),
        milestones=to("MilestoneConnection", PAGE, states=ANY, orderBy=ANY, query=ANY),
        assignableUsers=to("UserConnection", PAGE, query=ANY),
        suggestedActors=to("ActorConnection", PAGE, query=ANY, capabilities=ANY, loginNames=ANY),
        issueTypes=to("IssueTypeConnection", PAGE, orderBy=ANY),
        issueTemplates="IssueTemplate",
        pullRequestTemplates="PullRequestTemplate",
        contactLinks="RepositoryContactLink",
        fundingLinks="FundingLink",
        release=to("Release", tagName=required(ANY)),
        releases=to("ReleaseConnection", PAGE, orderBy=ANY),
        latestRelease="Release",
        primaryLanguage="Language",
        languages=to("LanguageConnection", PAGE, orderBy=ANY),
        licenseInfo="License",
        codeOfConduct="CodeOfConduct",
        repositoryTopics=to("RepositoryTopicConnection", PAGE),
        watchers=to("UserCount", PAGE),
    ),
    "Ref": view("Ref", "id name prefix", branchProtectionRule="BranchProtectionRule", target="GitObject"),
    "GitObject": view("GitObject", "oid abbreviatedOid"),
    "BranchProtectionRule": view("BranchProtectionRule", "requiresStrictStatusChecks requiredApprovingReviewCount"),
    "IssueOrPullRequest": view("IssueOrPullRequest", "", "Issue PullRequest"),
    "IssueTemplate": view("IssueTemplate", "name title body about filename"),
    "PullRequestTemplate": view("PullRequestTemplate", "body filename"),
    "RepositoryContactLink": view("RepositoryContactLink", "about name url"),
    "FundingLink": view("FundingLink", "platform url"),
    "Label": view("Label", "id name description color isDefault createdAt updatedAt url"),
    "Milestone": view(
        "Milestone", "id number title description dueOn state createdAt updatedAt closedAt url progressPercentage"
    ),
    "IssueType": view("IssueType", "id name description color"),
    "Release": view(
        "Release",
        "id databaseId name tagName description url isDraft isPrerelease isLatest immutable createdAt publishedAt",
        author="User",
    ),
    "Language": view("Language", "id name color"),
    "LanguageEdge": view("LanguageEdge", "cursor size", node="Language"),
    "LanguageConnection": view(
        "LanguageConnection", "totalCount totalSize", nodes="Language", edges="LanguageEdge", pageInfo="PageInfo"
    ),
    "License": view("License", "key name nickname spdxId url"),
    "CodeOfConduct": view("CodeOfConduct", "key name url"),
    "Topic": view("Topic", "name"),
    "RepositoryTopic": view("RepositoryTopic", "url", topic="Topic"),
    "UserCount": view("UserConnection", "totalCount"),
    **connections("PullRequest", "Issue", "Label", "Milestone", "Release", "RepositoryTopic", "IssueType"),
}

_DISCUSSION: dict[str, Field | str] = {
    "author": "Actor",
    "assignees": to("UserConnection", PAGE),
    "assignedActors": to("AssigneeConnection", PAGE),
    "labels": to("LabelConnection", PAGE, orderBy=ANY),
    "milestone": "Milestone",
    "comments": to("IssueCommentConnection", PAGE, orderBy=ANY),
    "reactionGroups": "ReactionGroup",
    "projectCards": to("ProjectCardConnection", PAGE, archivedStates=ANY),
    "projectItems": to("ProjectV2ItemConnection", PAGE, includeArchived=ANY),
    "repository": "RepositoryName",
    "suggestedActors": to("ActorConnection", PAGE, query=ANY, capabilities=ANY),
}
_DISCUSSION_LEAVES = (
    "id number fullDatabaseId title body bodyText url state stateReason locked closed closedAt createdAt updatedAt "
    "isPinned includesCreatedEdit lastEditedAt viewerDidAuthor authorAssociation "
)

_DISCUSSIONS = {
    "Issue": view(
        "Issue",
        _DISCUSSION_LEAVES,
        **_DISCUSSION,
        issueType="IssueType",
        parent="LinkedIssue",
        subIssues=to("LinkedIssueConnection", PAGE),
        subIssuesSummary="SubIssuesSummary",
        blockedBy=to("LinkedIssueConnection", PAGE),
        blocking=to("LinkedIssueConnection", PAGE),
        closedByPullRequestsReferences=to("LinkedPullRequestConnection", PAGE, includeClosedPrs=ANY),
    ),
    "SubIssuesSummary": view("SubIssuesSummary", "total completed percentCompleted"),
    "IssueComment": view(
        "IssueComment",
        "id fullDatabaseId authorAssociation body createdAt updatedAt includesCreatedEdit isMinimized minimizedReason "
        "url viewerDidAuthor",
        author="Actor",
        reactionGroups="ReactionGroup",
    ),
    "PullRequest": view(
        "PullRequest",
        _DISCUSSION_LEAVES + "additions deletions changedFiles baseRefName baseRefOid headRefName headRefOid isDraft "
        "isCrossRepository isInMergeQueue isMergeQueueEnabled maintainerCanModify merged mergedAt mergeable "
        "mergeStateStatus reviewDecision viewerCanUpdate viewerCanEnableAutoMerge",
        **_DISCUSSION,
        baseRef="Ref",
        headRef="Ref",
        headRepository="RepositoryName",
        headRepositoryOwner="RepositoryOwner",
        mergedBy="Actor",
        mergeCommit="GitObjectCommit",
        potentialMergeCommit="GitObjectCommit",
        autoMergeRequest="AutoMergeRequest",
        commits=to("PullRequestCommitConnection", PAGE),
        files=to("PullRequestChangedFileConnection", PAGE),
        reviews=to("PullRequestReviewConnection", PAGE, states=ANY, author=ANY),
        latestReviews=to("PullRequestReviewConnection", PAGE, writersOnly=ANY),
        reviewRequests=to("ReviewRequestConnection", PAGE),
        closingIssuesReferences=to("LinkedIssueConnection", PAGE, orderBy=ANY),
        statusCheckRollup="StatusCheckRollup",
        suggestedReviewerActors=to("ActorConnection", PAGE, query=ANY),
    ),
    "AutoMergeRequest": view(
        "AutoMergeRequest", "authorEmail commitBody commitHeadline enabledAt mergeMethod", enabledBy="Actor"
    ),
    "PullRequestChangedFile": view("PullRequestChangedFile", "path additions deletions changeType"),
    "PullRequestReview": view(
        "PullRequestReview",
        "id fullDatabaseId authorAssociation body state submittedAt url",
        author="Actor",
        commit="GitObjectCommit",
        reactionGroups="ReactionGroup",
    ),
    "ReviewRequest": view("ReviewRequest", "id asCodeOwner", requestedReviewer="RequestedReviewer"),
    # Projects belong to users and organizations: only the name of a card's place is shown.
    "Project": view("Project", "name"),
    "ProjectColumn": view("ProjectColumn", "name"),
    "ProjectCard": view("ProjectCard", project="Project", column="ProjectColumn"),
    "ProjectV2": view("ProjectV2", "id title"),
    "ProjectV2Item": view(
        "ProjectV2Item",
        "id",
        project="ProjectV2",
        fieldValueByName=to("ProjectV2ItemFieldValue", name=ANY),
    ),
    "ProjectV2ItemFieldValue": view("ProjectV2ItemFieldValue", "", "ProjectV2ItemFieldSingleSelectValue"),
    "ProjectV2ItemFieldSingleSelectValue": view("ProjectV2ItemFieldSingleSelectValue", "optionId name"),
    **connections(
        "IssueComment",
        "PullRequestChangedFile",
        "PullRequestReview",
        "ReviewRequest",
        "ProjectCard",
        "ProjectV2Item",
    ),
}

_CHECKS = {
    "GitObjectCommit": view("Commit", "oid abbreviatedOid"),
    "PullRequestCommit": view("PullRequestCommit", "id url", commit="Commit"),
    "Commit": view(
        "Commit",
        "oid abbreviatedOid message messageHeadline messageBody authoredDate committedDate url",
        author="GitActor",
        authors=to("GitActorConnection", PAGE),
        statusCheckRollup="StatusCheckRollup",
    ),
    "GitActor": view("GitActor", "name email date", user="User"),
    "StatusCheckRollup": view("StatusCheckRollup", "id state", contexts=to("StatusCheckRollupContextConnection", PAGE)),
    "StatusCheckRollupContextConnection": view(
        "StatusCheckRollupContextConnection",
        "totalCount checkRunCount statusContextCount",
        nodes="StatusCheckRollupContext",
        edges="StatusCheckRollupContextEdge",
        pageInfo="PageInfo",
        checkRunCountsByState="CheckRunStateCount",
        statusContextCountsByState="StatusContextStateCount",
    ),
    "StatusCheckRollupContextEdge": view("StatusCheckRollupContextEdge", "cursor", node="StatusCheckRollupContext"),
    "StatusCheckRollupContext": view("StatusCheckRollupContext", "", "CheckRun StatusContext"),
    "CheckRunStateCount": view("CheckRunStateCount", "count state"),
    "StatusContextStateCount": view("StatusContextStateCount", "count state"),
    "CheckRun": view(
        "CheckRun",
        "id databaseId name title summary status conclusion startedAt completedAt detailsUrl url",
        isRequired=to("", pullRequestId=node("PullRequest"), pullRequestNumber=ANY),
        checkSuite="CheckSuite",
    ),
    "StatusContext": view(
        "StatusContext",
        "id context description state targetUrl createdAt",
        isRequired=to("", pullRequestId=node("PullRequest"), pullRequestNumber=ANY),
        creator="Actor",
    ),
    "CheckSuite": view("CheckSuite", "id databaseId status conclusion", app="App", workflowRun="WorkflowRun"),
    "App": view("App", "name slug"),
    "WorkflowRun": view("WorkflowRun", "id databaseId event runNumber url createdAt", workflow="Workflow"),
    "Workflow": view("Workflow", "id databaseId name state url"),
    **connections("PullRequestCommit", "GitActor"),
}

VIEWS: Mapping[str, View] = MappingProxyType(
    _ROOTS | _PEOPLE | _OTHER_REPOSITORIES | _REPOSITORY_VIEWS | _DISCUSSIONS | _CHECKS
)
