"""The whole state of one stand-in: accounts, repositories, and the addresses it gives out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from gitward_standin.accounts import Account, Accounts, Role
from gitward_standin.apps import Apps
from gitward_standin.downloads import Downloads
from gitward_standin.git_folder import make_bare
from gitward_standin.made_apps import MadeApps
from gitward_standin.model import Repository
from gitward_standin.plumbing import Git

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


class Site:
    """Accounts and repositories under one folder. Repository names compare without case."""

    def __init__(self, root: Path, *, links: Links) -> None:
        self.root = root
        self.repositories_root = root / "repositories"
        self.links = links
        self.accounts = Accounts()
        self.apps = Apps(self.accounts)
        self.made_apps = MadeApps()
        self.git = Git(root / "git")
        self.downloads = Downloads()
        self.classic_projects = True  # False: as github.com since 2024, which answers queries for them with an error
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

    def follow_repository(self, full_name: str) -> Repository | None:
        """By its name, or by one that it had before it was renamed or transferred."""
        former = (each for each in self.repositories if full_name.lower() in each.former_names)
        return self.find_repository(full_name) or next(former, None)

    def rename_repository(self, repository: Repository, full_name: str) -> None:
        """Renames or transfers it. The name that it had leads to it until another repository takes that."""
        owner, name = self._free_name(full_name)
        del self._repositories[repository.full_name.lower()]
        repository.former_names.append(repository.full_name.lower())
        repository.owner, repository.name = owner, name
        self._take_name(repository)
        for kind, discussions in (("pull", repository.pulls), ("issues", repository.issues)):
            for each in discussions:
                each.html_url = self.links.html(owner.login, name, kind, each.number)

    def _free_name(self, full_name: str) -> tuple[Account, str]:
        """Owner and name; an owner that nobody added is an organization. Raises ValueError."""
        owner, _, name = full_name.partition("/")
        if not owner or not name or "/" in name:
            raise ValueError(f"{full_name!r} is not owner/name")
        if self.find_repository(full_name):
            raise ValueError(f"{full_name} exists already")
        return self.accounts.find(owner) or self.accounts.add(owner, type="Organization"), name

    def _take_name(self, repository: Repository) -> None:
        key = repository.full_name.lower()
        for each in self.repositories:
            each.former_names = [name for name in each.former_names if name != key]
        self._repositories[key] = repository

    def find_repository_by_id(self, number: int) -> Repository | None:
        return next((repository for repository in self.repositories if repository.id == number), None)

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
        owner, name = self._free_name(full_name)
        for login in permissions:
            self.accounts.get(login)
        number = self.new_id()
        path = self.repositories_root / owner.login.lower() / f"{name.lower()}.git"
        if path.exists():  # of one that was renamed
            path = path.with_name(f"{name.lower()}-{number}.git")
        make_bare(path, default_branch)
        repository = Repository(
            id=number,
            owner=owner,
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
        self._take_name(repository)
        if files:
            await repository.commit(default_branch, files, message="Initial commit")
        return repository
