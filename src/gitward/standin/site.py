"""The whole state of one stand-in: accounts, repositories, and the addresses it gives out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from gitward.standin.accounts import Accounts
from gitward.standin.plumbing import Git
from gitward.standin.repositories import PullRequest, Repository, Role

README: Mapping[str, str | bytes] = {"README.md": "# A repository of the stand-in\n"}


@dataclass(frozen=True, kw_only=True)
class Links:
    """The public addresses that answers hold. They need not be where the stand-in listens."""

    public_url: str = "https://github.com"

    @property
    def api_url(self) -> str:
        if self.public_url == "https://github.com":
            return "https://api.github.com"
        return f"{self.public_url}/api/v3"

    @property
    def host(self) -> str:
        return urlsplit(self.public_url).netloc

    def html(self, *parts: str | int) -> str:
        return "/".join([self.public_url, *(quote(str(part)) for part in parts)])

    def api(self, *parts: str | int) -> str:
        return "/".join([self.api_url, *(quote(str(part)) for part in parts)])


def node_id(prefix: str, *numbers: int) -> str:
    """GitHub's global node id: a prefix, and the base64 of a msgpack array of 0 and the numbers."""
    packed = bytes([0x91 + len(numbers), 0]) + b"".join(b"\xce" + number.to_bytes(4, "big") for number in numbers)
    return f"{prefix}_{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


class Site:
    """Accounts and repositories under one folder. Repository names compare without case."""

    def __init__(self, root: Path, *, links: Links) -> None:
        self.root = root
        self.repositories_root = root / "repositories"
        self.links = links
        self.accounts = Accounts()
        self.git = Git(root / "git")
        self._repositories: dict[str, Repository] = {}
        self._last_id = 900_000_000

    def prepare(self) -> None:
        """Makes the folders. May be called again."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.git.prepare()

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    @property
    def repositories(self) -> tuple[Repository, ...]:
        return tuple(self._repositories.values())

    def find_repository(self, full_name: str) -> Repository | None:
        return self._repositories.get(full_name.lower())

    async def add_repository(
        self,
        full_name: str,
        *,
        files: Mapping[str, str | bytes],
        default_branch: str,
        private: bool,
        archived: bool,
        permissions: Mapping[str, str],
        drafts: bool,
        protected: tuple[str, ...],
    ) -> Repository:
        owner, _, name = full_name.partition("/")
        if not owner or not name or "/" in name:
            raise ValueError(f"{full_name!r} is not owner/name")
        if self.find_repository(full_name):
            raise ValueError(f"{full_name} exists already")
        for login in permissions:
            self.accounts.get(login)
        path = self.repositories_root / owner.lower() / f"{name.lower()}.git"
        path.mkdir(parents=True)
        await self.git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}", cwd=path)
        repository = Repository(
            id=self.new_id(),
            owner=self.accounts.find(owner) or self.accounts.add(owner, type="Organization"),
            name=name,
            path=path,
            default_branch=default_branch,
            private=private,
            archived=archived,
            drafts=drafts,
            protected=protected,
            permissions={login.lower(): Role[role.upper()] for login, role in permissions.items()},
            git=self.git,
        )
        self._repositories[full_name.lower()] = repository
        if files:
            await repository.commit(default_branch, files, message="Initial commit")
        return repository

    async def open_pull(self, repository: Repository, pull: PullRequest) -> None:
        """Gives a pull request its number and address, and keeps it."""
        repository.last_number += 1
        pull.number = repository.last_number
        pull.html_url = self.links.html(repository.owner.login, repository.name, "pull", pull.number)
        repository.pulls.append(pull)
        await repository.keep_head(pull)
