"""A stand-in for GitHub on loopback: real git over smart HTTP, REST, GraphQL, and GitHub's ways to refuse.

It serves the demo and the tests. It keeps everything under one folder and needs git alone.
"""

from gitward_standin.accounts import APP_LOGIN, Account, Role, Token, TokenKind
from gitward_standin.apps import App, Installation
from gitward_standin.model import Comment, Issue, Label, Milestone, PullRequest, Repository
from gitward_standin.rulesets import Rule
from gitward_standin.server import StandIn
from gitward_standin.traffic import Fault, Gate, Outage, ReceivedRequest

__all__ = [
    "APP_LOGIN",
    "Account",
    "App",
    "Comment",
    "Fault",
    "Gate",
    "Installation",
    "Issue",
    "Label",
    "Milestone",
    "Outage",
    "PullRequest",
    "ReceivedRequest",
    "Repository",
    "Role",
    "Rule",
    "StandIn",
    "Token",
    "TokenKind",
]
