"""Who may see a repository, and write to it."""

from __future__ import annotations

from gitward_standin.accounts import Identity, Role, TokenKind
from gitward_standin.model import Repository


def visible(repository: Repository, identity: Identity | None) -> bool:
    """Whether the sender sees the repository at all; if not, GitHub says that it does not exist."""
    if identity is None:
        return not repository.private
    if not repository.private:
        return True
    token = identity.token
    if not _reaches(repository, identity) or not token.has_scope("repo"):
        return False
    return token.kind is TokenKind.APP or repository.role(identity.account) is not None


def may_write(repository: Repository, identity: Identity | None) -> bool:
    """Whether both the token and the user behind it may push and open pull requests."""
    if identity is None or not identity.token.push or not _reaches(repository, identity):
        return False
    if not identity.token.has_scope("repo", *(() if repository.private else ("public_repo",))):
        return False
    if identity.token.kind is TokenKind.APP:
        return True
    role = repository.role(identity.account)
    return role is not None and role >= Role.PUSH


def role_of(repository: Repository, identity: Identity | None) -> Role | None:
    """What `permissions` tells: the role of the user, not of the token; an App's bot has the App's rights."""
    if identity is None:
        return None
    if identity.token.kind is TokenKind.APP:
        return Role.PUSH if may_write(repository, identity) else Role.PULL
    return repository.role(identity.account)


def may_discuss(repository: Repository, identity: Identity | None) -> bool:
    """Whether the sender may open issues and comment: who may read may, unless the token is read-only."""
    if identity is None or not identity.token.push or not _reaches(repository, identity):
        return False
    return visible(repository, identity) and identity.token.has_scope(
        "repo", *(() if repository.private else ("public_repo",))
    )


def _reaches(repository: Repository, identity: Identity) -> bool:
    listed = identity.token.repositories
    names = {repository.full_name.lower(), *repository.former_names}
    return listed is None or not names.isdisjoint(name.lower() for name in listed)
