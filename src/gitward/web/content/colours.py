"""Colours for lines of code: strings, comments, numbers and words of the language; in time that grows with the line.

Small on purpose. Lexers of whole languages have expressions that hostile text makes run for hours, in the process that
serves everybody; and a diff has lines out of their context, which they cannot read anyway.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gitward.web.content.visible import visible

_C = (
    "auto bool break case catch char class const constexpr continue default delete do double else enum explicit extern "
    "false final float for friend goto if import inline int interface long namespace new null nullptr operator "
    "override package private protected public register return short signed sizeof static struct super switch "
    "template this "
    "throw throws true try typedef typename union unsigned using virtual void volatile while"
)
_SCRIPT = (
    "as async await break case catch class const continue debugger default delete do else enum export extends false "
    "finally for from function get if implements import in instanceof interface let new null of package private "
    "protected public readonly return set static super switch this throw true try type typeof undefined var void while "
    "yield"
)
_PYTHON = (
    "False None True and as assert async await break case class continue def del elif else except finally for from "
    "global if import in is lambda match nonlocal not or pass raise return self try while with yield"
)
_GO = (
    "break case chan const continue default defer else fallthrough false for func go goto if import interface map nil "
    "package range return select struct switch true type var"
)
_RUST = (
    "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move "
    "mut pub ref return self Self static struct super trait true type unsafe use where while"
)
_SHELL = "case do done elif else esac exit export fi for function if in local return set then until while"
_RUBY = (
    "alias and begin break case class def do else elsif end ensure false for if in module next nil not or redo rescue "
    "retry return self super then true undef unless until when while yield"
)
_SQL = (
    "ADD ALTER AND AS ASC BEGIN BY COLUMN COMMIT CREATE DELETE DESC DISTINCT DROP FROM GROUP HAVING IN INDEX INNER "
    "INSERT INTO IS JOIN LEFT LIMIT NOT NULL ON OR ORDER PRIMARY REFERENCES SELECT SET TABLE UNION UPDATE VALUES WHERE"
)
_NONE = "true false null yes no on off"
_FAMILIES: tuple[tuple[str, str, str], ...] = (  # endings, what begins a comment, words
    ("py pyi", "#", _PYTHON),
    ("js jsx ts tsx mjs cjs", "//", _SCRIPT),
    ("c h cc cpp hpp java kt cs swift scala php dart", "//", _C),
    ("go", "//", _GO),
    ("rs", "//", _RUST),
    ("sh bash zsh", "#", _SHELL),
    ("rb", "#", _RUBY),
    ("sql", "--", f"{_SQL} {_SQL.lower()}"),
    ("yml yaml toml ini cfg conf", "#", _NONE),
    ("json", "//", _NONE),
)
_NAMES = {"Makefile": "sh", "Dockerfile": "sh", "Rakefile": "rb", "Gemfile": "rb"}


@dataclass(frozen=True, kw_only=True)
class Token:
    kind: str  # str | com | num | kw | ""
    text: str


@dataclass(frozen=True, kw_only=True)
class Language:
    pattern: re.Pattern[str]
    words: frozenset[str]


@lru_cache(maxsize=64)
def _family(ending: str) -> Language | None:
    for endings, comment, words in _FAMILIES:
        if ending in endings.split():
            pattern = re.compile(
                rf"(?P<com>(?:(?<=\s)|^){re.escape(comment)}.*|/\*.*?(?:\*/|$))"
                r"""|(?P<str>"[^"\\]*(?:\\.[^"\\]*)*"?|'[^'\\]*(?:\\.[^'\\]*)*'?|`[^`]*`?)"""
                r"|(?P<word>[A-Za-z_]\w*)"
                r"|(?P<num>\d[\w.]*)"
            )
            return Language(pattern=pattern, words=frozenset(words.split()))
    return None


def language_of(path: str) -> Language | None:
    name = path.rpartition("/")[2]
    return _family(_NAMES.get(name) or name.rpartition(".")[2].lower())


def tokens(line: str, language: Language | None) -> Sequence[Token]:
    """The line in pieces; together they are the whole of it, with every character in sight."""
    if language is None or len(line) > 500:
        return (Token(kind="", text=visible(line)),)
    found: list[Token] = []
    at = 0
    for each in language.pattern.finditer(line):
        kind = each.lastgroup or ""
        if kind == "word":
            if each.group() not in language.words:
                continue
            kind = "kw"
        if each.start() > at:
            found.append(Token(kind="", text=visible(line[at : each.start()])))
        found.append(Token(kind=kind, text=visible(each.group())))
        at = each.end()
    if at < len(line) or not found:
        found.append(Token(kind="", text=visible(line[at:])))
    return found
