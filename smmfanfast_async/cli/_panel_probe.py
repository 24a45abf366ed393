"""`doctor --panel`: describe a panel by calls that change nothing, as a profile in TOML."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

from attrs import define, evolve, frozen
from rich.console import Console

from ..client import Client
from ..errors import InvalidResponseError, PanelError, RateLimitError, RefusedError
from ..events import AttemptFinished, Event
from ..profile import Profile
from ..results import Service
from . import _output as output
from ._codes import OK
from ._errors import print_line
from ._options import CommonOptions
from ._panel_facts import IMPOSSIBLE_IDS, Answers, Facts, collect_facts, find_by_id
from ._profile_toml import TomlTable, format_toml, to_table
from ._profiles import PROFILES
from ._settings import ResolvedSettings

__all__ = ["print_profile"]

CALLS_PER_MINUTE = 60
"""The most calls in a minute, the lowest limit seen; there are at most ten, one after the other."""

MAX_TRIES = 2
"""How often a call is made if the panel asks to wait: the client waits before the next."""

MULTI_STATUS_ACTIONS = ("multi_status", "multistatus", "statuses")
"""Other actions for the status of several ids (seen)."""

GET_HINT = (
    'the panel may take requests by GET only: put request_format = "get" into a file and pass it '
    "with --profile; this is not tried by itself, since the panel then logs the key"
)
"""What to do if a panel refuses POST."""

NOTES = {
    "order_types": "Those of today's services. Without this line, all types of the dialect.",
    "ids_per_call": "The panel refused two ids in one call.",
    "request_format": "The panel read no form.",
}
"""Comments above a key that was found."""


@define
class _Probe:
    """Asks one panel, and counts the requests."""

    resolved: ResolvedSettings
    requests: int = 0

    def open(self) -> Client:
        """Create a client that keeps the pace of the profile, 60 requests per minute at most."""
        pace = min(self.resolved.profile.calls_per_minute or CALLS_PER_MINUTE, CALLS_PER_MINUTE)
        return self.resolved.client(concurrency=1, calls_per_minute=pace, on_event=self._count)

    def _count(self, event: Event) -> None:
        self.requests += isinstance(event, AttemptFinished)

    async def ask(self, client: Client, call: str, action: str = "", **ids: str) -> object:
        """Return the decoded answer to a call under the panel's names, or the error."""
        names = client.profile.form_names
        fields = {names.field(call, name): text for name, text in ids.items()}
        tries = 0
        while True:
            tries += 1
            try:
                return await client.call(action or names.action(call), **fields)
            except RateLimitError as error:
                if tries == MAX_TRIES:
                    return error
            except PanelError as error:
                return error


@frozen
class _Look:
    """What a panel answered, and how it was asked."""

    profile: Profile
    base_url: str
    answers: Answers
    requests: int
    is_json_found: bool


async def _look(options: CommonOptions) -> _Look:
    """Ask a panel; raise the error if it does not answer the balance."""
    resolved = options.settings()
    if resolved.api_key.warning:
        print_line(resolved.api_key.warning, "yellow", head="warning")
    probe = _Probe(resolved)
    balance = await _ask_balance(probe)
    is_json_found = False
    if _may_need_json(balance, resolved.profile):
        probe.resolved = evolve(resolved, profile=evolve(resolved.profile, request_format="json"))
        in_json = await _ask_balance(probe)
        is_json_found = not isinstance(in_json, PanelError)
        probe.resolved, balance = (
            (probe.resolved, in_json) if is_json_found else (resolved, balance)
        )
    if isinstance(balance, PanelError):
        if balance.http_status == HTTPStatus.METHOD_NOT_ALLOWED and _is_builtin(resolved.profile):
            print_line(GET_HINT, "yellow", head="warning")
        raise balance
    if not isinstance(balance, Mapping) or "balance" not in balance:
        raise InvalidResponseError("the answer to balance has no balance", action="balance")
    async with probe.open() as client:
        answers = await _ask_rest(probe, client, cast("Mapping[str, Any]", balance))
    profile = probe.resolved.profile
    return _Look(profile, client.base_url, answers, probe.requests, is_json_found)


async def _ask_balance(probe: _Probe) -> object:
    async with probe.open() as client:
        return await probe.ask(client, "balance")


def _may_need_json(balance: object, profile: Profile) -> bool:
    """Return whether a panel may read JSON bodies only.

    GET is not tried: it would put the key into the logs of a panel that does not need it.
    """
    is_answered = isinstance(balance, RefusedError | InvalidResponseError)
    return is_answered and _is_builtin(profile)


def _is_builtin(profile: Profile) -> bool:
    """Return whether a profile is one of this library, and not written for one panel."""
    return profile in PROFILES.values()


async def _ask_rest(probe: _Probe, client: Client, balance: Mapping[str, Any]) -> Answers:
    services: tuple[Service, ...] | PanelError
    try:
        services = tuple((await client.with_options(keep_raw=True).services()).values())
    except PanelError as error:
        services = error
    one = await probe.ask(client, "status", order=IMPOSSIBLE_IDS[0])
    several, action = await _ask_several(probe, client)
    return Answers(
        balance=balance, services=services, one=one, several=several, several_action=action
    )


async def _ask_several(probe: _Probe, client: Client) -> tuple[object, str | None]:
    """Return the answer for two ids, and the action if it is another than that for one."""
    if client.profile.ids_per_call == 1:
        return None, None
    orders = ",".join(IMPOSSIBLE_IDS)
    several = await probe.ask(client, "statuses", orders=orders)
    if isinstance(several, RefusedError) and not dict(client.profile.action_names).get("statuses"):
        for action in MULTI_STATUS_ACTIONS:
            answer = await probe.ask(client, "statuses", action, orders=orders)
            if list(find_by_id(answer)):
                return answer, action
    return several, None


# --- output --------------------------------------------------------------------------------------


def _build_table(look: _Look, facts: Facts) -> TomlTable:
    is_builtin = _builtin_of(look) is not None
    table = {"like": look.profile.name} if is_builtin else to_table(look.profile)
    name = urlsplit(look.base_url).hostname if is_builtin else look.profile.name
    table = {"like": table.pop("like"), "name": name, "base_url": look.base_url} | table
    if look.is_json_found:
        table["request_format"] = "json"
    return table | facts.keys


def _builtin_of(look: _Look) -> Profile | None:
    """Return the profile of this library that was used; None if it was one for this panel."""
    profile = evolve(look.profile, request_format="form") if look.is_json_found else look.profile
    return profile if _is_builtin(profile) else None


def _build_toml(look: _Look, facts: Facts, table: TomlTable) -> str:
    head = [
        f"A profile for {look.base_url}",
        "made by `smmfanfast doctor --panel`: calls that change nothing",
        "",
        "Found",
        *(f"- {name}: {text}" for name, text in facts.found.items()),
        "",
        "Not found out",
        *(f"- {text}" for text in facts.missing),
    ]
    notes = {key: text for key, text in NOTES.items() if key in facts.keys or look.is_json_found}
    return format_toml(table, head, notes, facts.suggestions)


async def print_profile(options: CommonOptions) -> int:
    """Ask the panel, and print its profile as TOML, or as JSON with what was found."""
    look = await _look(options)
    facts = collect_facts(look.answers, look.profile, is_builtin=_builtin_of(look) is not None)
    table = _build_table(look, facts)
    toml = _build_toml(look, facts, table)
    console = Console()
    if options.json:
        result = {
            "profile": table,
            "found": facts.found,
            "not_found_out": facts.missing,
            "suggestions": facts.suggestions,
            "toml": toml,
            "requests": look.requests,
        }
        output.print_json(console, result)
        return OK
    console.file.write(toml)
    console.file.flush()
    print_line(
        f"{look.requests} requests, none of which changes anything. Asked for orders "
        f"{' and '.join(IMPOSSIBLE_IDS)}, the largest numbers, which no order has. Use it: "
        "save it as panel.toml, then --profile panel.toml",
        "dim",
    )
    return OK
