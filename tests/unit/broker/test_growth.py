"""What a rule costs grows no faster than what it reads, whatever a sandbox writes there.

The rules are found in the policy's tables and in the broker's source: one that is new fails until it has a case.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

import gitward.broker.policy
import gitward.broker.wire
from gitward.broker.policy import accept, answers, git, headers, lfs, models, push, rest, restriction, routes, writes
from gitward.broker.policy.argument import Argument, is_name, is_owner, same_name
from gitward.broker.policy.egress.client_hello import HelloReader, server_name
from gitward.broker.policy.egress.names import host_name, is_below
from gitward.broker.policy.egress.rules import Policy, Rule, Way, parse_rules
from gitward.broker.policy.graphql import document, opened, request, scopes
from gitward.broker.policy.graphql.mutations import OWN_VIEWS, VIEWS
from gitward.broker.policy.inject import headers as inject_headers
from gitward.broker.policy.inject.mask import StreamMask
from gitward.broker.policy.inject.paths import admitted
from gitward.broker.policy.model_closing import Closing
from gitward.broker.policy.model_usage import UsageReader
from gitward.broker.server.request_bodies import MAX_INSPECTED
from gitward.broker.wire import credentials, json_body, ls_refs, target
from gitward.broker.wire.advertisement import NoThin
from gitward.broker.wire.config import BrokerConfig
from gitward.broker.wire.pktline import FLUSH, PktReader, pkt, sideband
from gitward.broker.wire.upstream import is_one_of
from gitward.errors import PolicyDenied
from gitward.grants.grant import ExactPush, Grant
from gitward.grants.model_calls import MAX_MODEL, Api
from gitward.secrets import Secret
from hostile_texts import ALPHABET, SHAPES, text_of

GRANT = Grant(run_id="run-1", repository="octo/demo", push_ref="refs/heads/gitward/abc", expires_at=2e9)
CONFIG = BrokerConfig(server_url="https://github.com", api_url="https://api.github.com")
TOKEN = Secret("ghp_" + "T0k3n" * 7)
HEADER = 8190  # bytes of a line that the HTTP parser takes
NOTICEABLE = 0.004  # seconds; below this a clock says nothing about growth
FASTER = 3.0  # twice the input may cost less than this many times as much: 4 is quadratic

PREFIXES = ("", "repo:octo/demo ", "octo:", 'repo:octo/demo "')


def arguments() -> dict[str, Argument]:
    """Every rule for a value, from the tables of REST and GraphQL, under a place where it stands."""
    found: dict[str, Argument] = {}

    def note(place: str, argument: Argument) -> None:
        if argument not in found.values():
            found[place] = argument
        for name, member in (argument.members or {}).items():
            note(f"{place}.{name}", member)

    for rule in (*rest.RULES, *rest.OWN_RULES):
        for name, argument in rule.body.items():
            note(f"{rule.name}({name})", argument)
    for view in (*VIEWS.values(), *OWN_VIEWS.values()):
        for field, each in view.fields.items():
            for name, argument in each.arguments.items():
                note(f"{view.type}.{field}({name})", argument)
    return found


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def pieces(text: str, size: int = 1024) -> list[bytes]:
    data = raw(text)
    return [data[start : start + size] for start in range(0, len(data), size)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """How a rule is given a text, and how long that may be."""

    most: int
    run: Callable[[Any], object]
    begins: tuple[str, ...] = ("",)  # what may stand before it, so that the rule goes on reading
    made: Callable[[str], Any] = str  # what `run` takes; its cost does not count


def body(call: Callable[[bytes], object], *begins: str) -> Case:
    return Case(most=MAX_INSPECTED, run=call, begins=("", *begins), made=raw)


def header(call: Callable[[str], object], *begins: str) -> Case:
    return Case(most=HEADER, run=call, begins=("", *begins))


def fed(reader: Callable[[], Any], most: int, *begins: str) -> Case:
    """In pieces, as they come from a socket."""

    def run(pieces: list[bytes]) -> None:
        one = reader()
        for piece in pieces:
            one.feed(piece)
            if isinstance(one, PktReader):
                list(one)
        if isinstance(one, models.RequestReader):
            one.end()
            assert len(one.model) <= MAX_MODEL
            assert not (one.is_side and one.has_tools) or b"json_schema" in b"".join(pieces)

    return Case(most=most, run=run, begins=("", *begins), made=pieces)


def in_json(call: Callable[[bytes], object], before: str, after: str) -> Case:
    """The text as a value of a JSON body."""
    made = lambda text: raw(before + json.dumps(text, ensure_ascii=False) + after)  # noqa: E731 - one line, used once
    return Case(most=MAX_INSPECTED, run=call, made=made)


def segments(text: str) -> list[str]:
    return text.split("/")


def pull(text: str) -> object:
    (rule,) = (rule for rule in rest.RULES if rule.name == "rest.pulls.create")
    return rest.check_body(rule, raw(text), GRANT)


def read(data: bytes) -> object:
    return document.read(request.read(data), GRANT)


def pkts(text: str) -> str:
    """As lines of git's protocol."""
    return "".join(f"{len(line) + 4:04x}{line}" for line in (text[at : at + 60] for at in range(0, len(text), 60)))


def exact() -> restriction.Publishing:
    return restriction.publishing(GRANT, ExactPush(old="1" * 40, new="2" * 40, ref=GRANT.push_ref))


def head(text: str) -> push.PushHead:
    lines = text.split("\n")
    updates = tuple(push.Update(old="1" * 40, new="2" * 40, ref=line or "x") for line in lines[:9000])
    return push.PushHead(updates=updates, options=tuple(lines), capabilities=frozenset({"report-status"}))


def git_call(text: str) -> git.GitCall:
    return git.GitCall(owner=text, name=text, service=git.Service.FETCH, advertisement=True)


def lfs_call(text: str) -> lfs.LfsCall:
    return lfs.LfsCall(repository=text, call=lfs.Call.BATCH)


PUBLIC = Grant(**{**vars(GRANT), "public_read": True, "readable": ("octo/library",)})
UPDATE = pkt(b"1" * 40 + b" " + b"2" * 40 + b" refs/heads/x\0report-status push-options").decode()
PEOPLE = next(rule for rule in rest.RULES if any(argument.people for argument in rule.body.values()))
SCREENED = 512 * 1024  # of eight megabytes: what grows evenly up to here does so further on
JSON = answers.Form(content_type="application/json")
TEXT = answers.Form(content_type="text/plain")
SCREEN, MASK = answers.Screen([TOKEN]), partial(StreamMask, [TOKEN])

CASES: dict[str, Case] = {
    "policy.graphql.opened.take": Case(
        most=writes.LONGEST_TEXT,  # GitHub's answer repeats what the sandbox wrote
        run=lambda text: opened.take(raw(json.dumps({"data": {"a": {"body": text}}})), GRANT.repository),
    ),
    "policy.rest.logins_in": in_json(lambda body: rest.logins_in(PEOPLE, body), '{"assignees": [', "]}"),
    "policy.writes.not_a_person": header(writes.not_a_person),
    "policy.writes.not_own": header(writes.not_own),
    "policy.accept.accepted": header(lambda text: accept.accepted([text]), "application/vnd.github."),
    "policy.accept.is_json": header(accept.is_json, "application/"),
    "policy.accept.Accepted": header(accept.Accepted(plain=True).fits, "application/vnd.github."),
    "policy.answers.Form": header(lambda text: answers.Form.of([text]), "application/json; charset="),
    "policy.answers.Screen": Case(
        most=SCREENED,
        run=lambda text: (
            SCREEN.body(raw(text), TEXT),
            SCREEN.headers([("X", text[:HEADER])]),
            SCREEN.body(raw(text), JSON),
        ),
        begins=("", '{"download_url": "', '[{"temp_clone_token": ', '"\\u0041'),
    ),
    "policy.answers.decoded_answer": body(lambda data: answers.decoded_answer(data, "gzip")),
    "policy.argument.same_name": header(lambda text: same_name(text, GRANT.repository)),
    "policy.argument.is_owner": header(lambda text: is_owner(text, GRANT)),
    "policy.argument.is_name": header(lambda text: is_name(text, GRANT)),
    "policy.egress.client_hello.HelloReader": fed(HelloReader, 64 * 1024, "\x16\x03\x01\x3f\x00\x01"),
    "policy.egress.client_hello.server_name": Case(most=16 * 1024, run=lambda text: server_name(raw(text))),
    "policy.egress.names.host_name": header(host_name, "a."),
    "policy.egress.names.is_below": header(lambda text: is_below(text, "github.com")),
    "policy.egress.rules.Rule": header(Rule(host="*.a*b*c.test", port=443).matches, "a."),
    "policy.egress.rules.Policy": header(
        lambda text: Policy(parse_rules("*, *.a*b*c.test")).admit(text, 443, Way.TLS), "a."
    ),
    "policy.git.parse": header(lambda text: git.parse("GET", segments(text), ((text, text),))),
    "policy.git.is_listed": header(lambda text: git.is_listed(text, PUBLIC)),
    "policy.git.may_be_public": header(lambda text: git.may_be_public(text, PUBLIC), "a/"),
    "policy.git.hidden": header(lambda text: git.hidden(text, PUBLIC, 404)),
    "policy.git.check": header(lambda text: git.check(git_call(text), PUBLIC)),
    "policy.git.upstream_path": header(lambda text: git.upstream_path(git_call(text), PUBLIC)),
    "policy.graphql.request.read": body(request.read, '{"query":"', '{"variables":'),
    "policy.graphql.document.read": in_json(read, '{"query":', "}"),
    "policy.graphql.scopes.is_short_of_scopes": body(scopes.is_short_of_scopes, '"INSUFFICIENT'),
    "policy.headers.request_headers": header(lambda text: headers.request_headers([(text, text)])),
    "policy.headers.response_headers": header(
        lambda text: headers.response_headers([("Link", text), ("Location", text)], CONFIG), "<https://api.github.com/"
    ),
    "policy.headers.seen_from_inside": header(lambda text: headers.seen_from_inside(text, CONFIG), "https://"),
    "policy.inject.headers.request_headers": header(
        lambda text: inject_headers.request_headers([("Connection", text), (text, text)], injected=["x"])
    ),
    "policy.inject.headers.answer_headers": header(lambda text: inject_headers.answer_headers([("Connection", text)])),
    "policy.inject.mask.StreamMask": fed(MASK, SCREENED, "ghp_"),
    "policy.inject.paths.admitted": header(lambda text: admitted("/" + text, ["/v1/*", "/v1/a/b"], "a.test"), "v1/"),
    "policy.lfs.parse": header(lambda text: lfs.parse("POST", ["o", "n", "info", "lfs", *segments(text)], ())),
    "policy.lfs.check": header(lambda text: lfs.check(lfs_call(text), PUBLIC)),
    "policy.lfs.check_operation": header(
        lambda text: lfs.check_operation(
            lfs_call(text), lfs.Batch(operation="upload", content=b"", oids=frozenset()), GRANT
        )
    ),
    "policy.lfs.upstream_path": header(lambda text: lfs.upstream_path(lfs_call(text), PUBLIC)),
    "policy.lfs.hidden": header(lambda text: lfs.hidden(text, PUBLIC, 404)),
    "policy.lfs.read_verification": body(lfs.read_verification, '{"ref":{"name":"', '{"cursor":"'),
    "policy.lfs.read_batch": body(lfs.read_batch, '{"operation":"', '{"objects":['),
    "policy.model_closing.Closing": header(lambda text: Closing(Api.RESPONSES).event({"output": [{"type": text}]})),
    "policy.model_usage.UsageReader": header(lambda text: UsageReader(Api.CHAT).document({"model": text})),
    "policy.models.api_of": header(lambda text: models.api_of("POST", "/" + text), "v1/messages", "v1/messages?"),
    "policy.models.model_in": header(models.model_in, "/v1beta/models/", "/models/a"),
    "policy.models.RequestReader": fed(
        models.RequestReader, push.MAX_HEAD, '{"model":"', '{"tools" ', '"tools":[', '"format":{'
    ),
    "policy.models.AnswerReader": fed(
        partial(models.AnswerReader, Api.RESPONSES, status=200, content_type="text/event-stream"),
        push.MAX_HEAD,
        "data: ",
        'data: {"error":',
    ),
    "policy.push.check": Case(most=push.MAX_HEAD, run=lambda text: push.check(head(text), GRANT.push_ref)),
    "policy.push.refusal": Case(most=push.MAX_HEAD, run=lambda text: push.refusal(head(text[:4096]), "no")),
    "policy.push.PushReader": fed(push.PushReader, push.MAX_HEAD, UPDATE, "0035shallow "),
    "policy.push.ReportReader": fed(partial(push.ReportReader, sideband=True), push.MAX_HEAD, "000eunpack ok\n"),
    "policy.rest.find": header(
        lambda text: rest.find("GET", segments(text), ((text, text),), GRANT), "repos/octo/demo/"
    ),
    "policy.rest.refusal_status": header(lambda text: rest.refusal_status(segments(text))),
    "policy.rest.check_body": Case(most=MAX_INSPECTED, run=pull, begins=("", '{"title":', '{"head":"octo:')),
    "policy.restriction.FetchOnly": header(
        lambda text: (
            restriction.FetchOnly(repository="octo/demo").git(git_call(text)),
            restriction.FetchOnly(repository="octo/demo").lfs(lfs_call(text), "GET"),
        )
    ),
    "policy.restriction.Publishing": Case(
        most=push.MAX_HEAD, run=lambda text: (exact().push(head(text)), exact().git(git_call(text[:HEADER])))
    ),
    "policy.routes.Route": header(
        lambda text: routes.routes_of(CONFIG)[0].rest(target.Target(host=text, segments=tuple(segments(text))))
    ),
    "policy.routes.find": header(
        lambda text: routes.find(
            routes.routes_of(CONFIG), target.Target(host="api.github.com", segments=tuple(segments(text)))
        )
    ),
    "wire.advertisement.NoThin": fed(NoThin, SCREENED, "000a"),
    "wire.credentials.presented": header(credentials.presented, "Basic ", "token "),
    "wire.json_body.is_text": header(json_body.is_text),
    "wire.json_body.read_object": body(json_body.read_object, '{"a":', '{"a":"', '{"a":[0'),
    "wire.ls_refs.is_ls_refs": Case(most=MAX_INSPECTED, run=lambda text: ls_refs.is_ls_refs(raw(pkts(text)) + FLUSH)),
    "wire.pktline.pkt": Case(most=60_000, run=lambda text: pkt(raw(text[: 60_000 // 4]))),
    "wire.pktline.sideband": body(lambda data: sideband(1, data)),
    "wire.pktline.PktReader": fed(PktReader, push.MAX_HEAD, "0005"),
    "wire.target.Target": header(lambda text: target.Target(host="a", segments=tuple(segments(text))).path),
    "wire.target.parse_host": header(lambda text: target.parse_host([text], port=443, hosts=("github.com",))),
    "wire.target.parse_path": header(target.parse_path, "/", "/?"),
    "wire.target.parse_query": header(target.parse_query),
    "wire.target.encode_path": header(lambda text: target.encode_path([text.encode("utf-8", "replace").decode()])),
    "wire.target.encode_query": header(
        lambda text: target.encode_query(((text.encode("utf-8", "replace").decode(), ""),))
    ),
    "wire.upstream.is_one_of": header(lambda text: is_one_of(raw(text), [TOKEN])),
}
# What reads nothing that a sandbox or an upstream wrote: settings, tables, plain values, and messages of our own.
OURS = {
    "policy.argument.Argument", "policy.argument.name_of", "policy.argument.owner_of",  # every Argument is tried below
    "policy.egress.addresses.Reach", "policy.egress.addresses.is_own", "policy.egress.addresses.is_public",
    "policy.egress.addresses.parse_addresses", "policy.egress.addresses.parse_networks",
    "policy.egress.rules.parse_rules", "policy.inject.paths.read_pattern", "policy.inject.rules.parse_injections",
    "policy.graphql.arguments.input_of", "policy.graphql.arguments.node", "policy.graphql.arguments.one_of",
    "policy.graphql.arguments.required", "policy.graphql.views.connections", "policy.graphql.views.to",
    "policy.model_refusals.body",
    "policy.graphql.views.view", "policy.restriction.Restriction", "policy.restriction.publishing",
    "policy.restriction.restriction_of", "policy.routes.routes_of", "policy.verdict.allow", "policy.verdict.deny",
    "wire.config.BrokerConfig", "wire.config.address_of", "wire.config.graphql_url", "wire.inspection.FileRequest",
    "wire.inspection.PackRequest", "wire.inspection.answer_with", "wire.inspection.findings_of",
    "wire.inspection.is_request", "wire.inspection.refusal", "wire.inspection.request_of",
    "wire.inspection.require_success", "wire.link.Link",
    "wire.narrowing.narrowing_messages", "wire.narrowing.narrowing_of", "wire.upstream.api_authorization",
    "wire.upstream.git_authorization", "wire.upstream.handover", "wire.upstream.injected_value",
    "wire.upstream.proxy_authorization",
    # documents that `document.read` has printed: tried as such below
    "policy.graphql.scopes.no_teams", "policy.graphql.scopes.without_teams", "policy.graphql.values.Values",
    "policy.graphql.opened.asking",
    # tables
    "policy.graphql.arguments.written", "policy.graphql.mutations.views_of", "policy.rest.rules_of",
}  # fmt: skip


def rules_in_source() -> set[str]:
    """Public functions of the policy and the parsers, and classes with methods, by module and name."""
    found = set()
    for package in (gitward.broker.policy, gitward.broker.wire):
        for each in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(each.name)
            for name, value in vars(module).items():
                ours = not name.startswith("_") and getattr(value, "__module__", None) == each.name
                if ours and (inspect.isfunction(value) or (inspect.isclass(value) and _acts(value))):
                    found.add(f"{each.name.removeprefix('gitward.broker.')}.{name}")
    return found


def _acts(value: type) -> bool:
    return any(
        not name.startswith("_") and isinstance(member, (classmethod, property)) | inspect.isfunction(member)
        for name, member in vars(value).items()
    ) and not issubclass(value, Exception)


def test_every_rule_has_a_case() -> None:
    """Add it to CASES, with what a sandbox can write there; to OURS only what no sandbox writes."""
    found = rules_in_source()
    assert found - PLAIN_VALUES - set(CASES) - OURS == set()
    assert (set(CASES) | OURS) - found == set(), "of rules that are gone"


# Values whose properties only look at their own fields.
PLAIN_VALUES = {"policy.git.GitCall", "policy.inject.rules.Injection", "policy.push.PushHead", "policy.push.Update",
                "policy.rest.RestCall", "policy.rest.RestRule"}  # fmt: skip


def cost(call: Callable[[], object]) -> float:
    """Seconds of CPU; a refusal is an answer too."""
    began = time.thread_time()
    with contextlib.suppress(PolicyDenied, ValueError):
        call()
    return time.thread_time() - began


def grows_evenly(call: Callable[[int], Callable[[], object]], most: int) -> str | None:
    """What is wrong with the growth, from the first size that costs something noticeable: over two doublings.

    One doubling may pass the size of a cache, which makes what is linear look like more.
    """
    size = max(1, most // 16)
    while size < most // 4 and cost(call(4 * size)) < NOTICEABLE:
        size *= 2
    ratios = []
    for _ in range(5):  # the machine may be busy; nobody makes quadratic work look linear
        if cost(call(4 * size)) < NOTICEABLE:
            return None
        once, fourfold = (min(cost(call(each)) for _ in range(3)) for each in (size, 4 * size))
        if fourfold < FASTER**2 * once:
            return None
        ratios.append(f"{fourfold / once:.1f}")
    return f"{size} → {4 * size}: {', '.join(ratios)} times"


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_rule_grows_with_its_text(name: str) -> None:
    case = CASES[name]
    for begin in case.begins:
        for letters, unit in ALPHABET.items():

            def call(size: int, begin: str = begin, unit: str = unit) -> Callable[[], object]:
                return partial(case.run, case.made(text_of(begin, unit, size)))

            assert (wrong := grows_evenly(call, case.most)) is None, f"{letters} behind {begin!r}: {wrong}"


def _asked_often(argument: Argument, value: object) -> None:
    for _ in range(document.MAX_ROOTS):
        argument.problem(value, GRANT)


@pytest.mark.parametrize("place", sorted(arguments()))
def test_an_argument_grows_with_its_value(place: str) -> None:
    """As a text, as a list of texts, and asked as often as one document can: the same value under many names."""
    argument = arguments()[place]
    for letters, unit in ALPHABET.items():
        for begin in PREFIXES:

            def text(size: int, begin: str = begin, unit: str = unit) -> Callable[[], object]:
                return partial(argument.problem, text_of(begin, unit, size), GRANT)

            def entries(size: int, begin: str = begin, unit: str = unit) -> Callable[[], object]:
                return partial(argument.problem, [text_of(begin, unit, 64)] * (size // 64), GRANT)

            for shape in (text, entries):
                assert (wrong := grows_evenly(shape, MAX_INSPECTED)) is None, f"{letters} behind {begin!r}: {wrong}"
        longest = text_of("", unit, MAX_INSPECTED)
        for value in (longest, [longest], [unit] * (MAX_INSPECTED // 8), {unit: longest}):
            often = partial(_asked_often, argument, value)
            assert cost(often) < 0.1, letters


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_document_grows_with_its_parts(shape: str) -> None:
    """And with its scopes looked at again, as for a token without read:org, no document costs more than it may."""

    def whole(data: bytes) -> object:
        reading = document.read(request.read(data), GRANT)
        return scopes.no_teams(reading.content), scopes.without_teams(reading.content)

    largest = 1
    while len(SHAPES[shape](2 * largest)) <= MAX_INSPECTED and largest < 20_000:
        largest *= 2
    wrong = grows_evenly(lambda size: partial(whole, SHAPES[shape](min(size, largest * 2))), largest)
    assert wrong is None, wrong


@pytest.mark.parametrize("nested", ['{"a":', "[", '{"a":[', "[{},", '{"a":"b","c":'])
def test_json_of_any_depth_is_read_or_refused(nested: str) -> None:
    case = CASES["wire.json_body.read_object"]
    for begin in ('{"a":', ""):
        call = lambda size, begin=begin: partial(case.run, raw(text_of(begin, nested, size)))  # noqa: E731 - used once
        assert grows_evenly(call, case.most) is None
