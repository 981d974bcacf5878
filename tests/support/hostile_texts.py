"""Texts and documents that are dear to read: for each rule of the broker, and for the broker as a whole."""

# ruff: noqa: UP031 - documents are full of braces
from __future__ import annotations

import json
from collections.abc import Callable

OWN = 'repository(owner:"octo",name:"demo")'

ALPHABET = {
    "letters": "a",
    "marks": "\u0301\u0316",
    "hangul": "\u1100\u1161\u11a8",
    "folds": "\u0130\ufb03",
    "surrogates": "\ud800",
    "escapes": "\\u0301",
    "backslashes": "\\",
    "quotes": '"',
    "quoted": '"a" ',
    "colons": "a:",
    "words": "repo ",
    "hyphens": "-",
    "spaces": " ",
    "parentheses": "(",
    "brackets": "[",
    "braces": '{"a":',
    "commas": ",",
    "slashes": "a/",
    "dots": "../",
    "percents": "%41",
    "pairs": "a=b&",
    "lines": "a\n",
    "tokens": "ghp_T0k3n",
    "names": '"download_url": ',
}


def text_of(begin: str, letters: str, size: int) -> str:
    return begin + (letters * (size // len(letters) + 1))[: max(0, size - len(begin))]


def _variable(text: str, value: object) -> bytes:
    return json.dumps({"query": text, "variables": {"v": value}}, separators=(",", ":")).encode()


def _query(text: str) -> bytes:
    return json.dumps({"query": text}).encode()


SHAPES: dict[str, Callable[[int], bytes]] = {
    "aliases": lambda n: _query("{%s{%s}}" % (OWN, " ".join(f"a{each}:id" for each in range(n)))),
    "fields": lambda n: _query("{%s{%s}}" % (OWN, "id " * n)),
    "a list": lambda n: _query("{%s{issues(first:1,states:[%s]){totalCount}}}" % (OWN, "OPEN " * n)),
    "an object": lambda n: _query(
        "{%s{issues(first:1,filterBy:{%s}){totalCount}}}" % (OWN, " ".join(f"a{each}:1" for each in range(n)))
    ),
    "a nested list": lambda n: _query("{%s{issues(first:1,states:%s){totalCount}}}" % (OWN, "[" * n + "]" * n)),
    "nested selections": lambda n: _query("{" + "...{" * n + "viewer{login}" + "}" * (n + 1)),
    "fragments": lambda n: _query("{%s}%s" % (
        " ".join(f"...f{each}" for each in range(min(n, 99))),
        " ".join(f"fragment f{each} on Query{{viewer{{login}}}}" for each in range(n)),
    )),
    "a fragment often": lambda n: _query("{%s{%s}} fragment f on Repository{id name}" % (OWN, "...f " * n)),
    "fragments that multiply": lambda n: _query("{...f0}%s" % " ".join(
        f"fragment f{each} on Query{{{f'...f{each + 1} ' * 8}}}" for each in range(n)
    ) + f"fragment f{n} on Query{{viewer{{login}}}}"),
    "a fragment in itself": lambda n: _query("{...f} fragment f on Query{" + "...f " * n + "}"),
    "directives": lambda n: _query("{viewer{login%s}}" % ("@include(if:true)" * n)),
    "variables": lambda n: _query("query(%s){viewer{login}}" % " ".join(f"$a{each}:X=1" for each in range(n))),
    "a variable often": lambda n: _variable(
        "query($v:X){%s{%s}}"
        % (OWN, " ".join(f"a{each}:issues(first:1,filterBy:$v){{totalCount}}" for each in range(n))),
        {f"a{each}": 0 for each in range(10 * n)},
    ),
    "ids often": lambda n: _variable(
        "mutation($v:X){%s}" % " ".join(
            f'a{each}:addLabelsToLabelable(input:{{labelableId:"x",labelIds:$v}}){{clientMutationId}}'
            for each in range(min(n, 99))
        ),
        [f"id{each}" for each in range(10 * n)],
    ),
    "a search often": lambda n: _variable(
        "query($v:X){%s}" % " ".join(
            f"a{each}:search(query:$v,type:ISSUE,first:1){{issueCount}}" for each in range(min(n, 99))
        ),
        "repo:octo/demo " + "\u0301\u0316" * (10 * n),
    ),
    "another spelling": lambda n: _query('{repository(owner:"OCTO",name:"demo"){%s}}' % ("id " * n)),
    "teams": lambda n: _query('{organization(login:"octo"){%s}}' % " ".join(
        f"a{each}:teams(first:1){{totalCount}}" for each in range(n)
    )),
    "comments": lambda n: _query("{viewer{login}}" + "#x\n" * n),
    "a block of text": lambda n: _query('{%s{label(name:"""%s"""){id}}}' % (OWN, "\n  a" * n)),
}  # fmt: skip
