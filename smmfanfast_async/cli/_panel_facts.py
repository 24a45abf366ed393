"""What the answers of a panel say about its profile. Pure: answers in, facts out."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

from attrs import define, field, frozen

from .._text import sanitize
from ..errors import ErrorKind, PanelError
from ..orders import API_V2_ORDER_TYPES, ORDER_TYPES
from ..profile import API_V2, SMMFANFAST, Profile
from ..results import Service

__all__ = ["IMPOSSIBLE_IDS", "Answers", "Facts", "collect_facts", "find_by_id"]

IMPOSSIBLE_IDS = ("9223372036854775807", "9223372036854775806")
"""Ids that no order has: the two largest numbers of a column of 64 bits. A counter that had come to
them could not give another, and a text such as a UUID is none of them; as numbers above 0 they pass
the checks of a form. They are never the id of another customer's order."""

MAX_SERVICES_READ = 200
"""Services whose numbers are examined: a panel writes all of them in one way."""

MAX_SHOWN = 5
"""Unusual values that are shown."""

MAX_TEXT = 120
"""Characters of a panel's text that are shown."""

_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@frozen(kw_only=True)
class Answers:
    """The answers of a panel, as decoded JSON, or the errors in their place."""

    balance: Mapping[str, Any]
    services: tuple[Service, ...] | PanelError
    one: object
    """The answer to the status of an id that no order has."""
    several: object
    """That of two such ids; None if it was not asked."""
    several_action: str | None = None
    """The action that took several ids, if it is not that for one."""


@define
class Facts:
    """What was found, and what was not."""

    found: dict[str, str] = field(factory=dict[str, str])
    """What was found, by a word for it."""
    missing: list[str] = field(factory=list[str])
    """What could not be found out, and how to."""
    keys: dict[str, Any] = field(factory=dict[str, Any])
    """The keys of the profile file that follow from it."""
    suggestions: list[str] = field(factory=list[str])
    """Lines of a profile file that a person has to decide on."""


def collect_facts(answers: Answers, started: Profile, *, is_builtin: bool) -> Facts:
    """Return what the answers say; `is_builtin` if the profile was not written for this panel."""
    facts = Facts()
    _find_dialect(facts, answers, started, is_builtin=is_builtin)
    _find_currency(facts, answers.balance)
    _find_unknown_order(facts, answers.one, started)
    _find_several(facts, answers, started)
    _find_numbers(facts, answers)
    _find_types(facts, answers.services)
    facts.missing += _NEVER_FOUND
    return facts


_NEVER_FOUND = (
    "refusals of an order: none was sent; add a text only if it is sent before an order is created",
    "ids_per_call, calls_per_minute, delays_minutes: see the panel's API page",
    "double_decodes, final_statuses, replay_window_s: they show only in orders",
    "final_refill_statuses: they show only in refills",
)


# --- dialect -------------------------------------------------------------------------------------


def _find_dialect(facts: Facts, answers: Answers, started: Profile, *, is_builtin: bool) -> None:
    signs = dict(_api_v2_signs(answers))
    against = dict(_standard_signs(answers))
    if "services" in signs:
        dialect, reason = API_V2.name, signs["services"]
    elif len(signs) != len(against):
        dialect = API_V2.name if len(signs) > len(against) else SMMFANFAST.name
        reason = "; ".join((signs if len(signs) > len(against) else against).values())
    else:
        dialect, reason = "", ""
        facts.missing.append("dialect: the answers fit both; the one of the given profile is kept")
    if dialect:
        facts.found["dialect"] = f"{dialect}: {reason}"
    if dialect and is_builtin:
        facts.keys["like"] = dialect
    if not isinstance(answers.services, PanelError):
        _find_flags(facts, answers.services, started)


def _api_v2_signs(answers: Answers) -> Iterable[tuple[str, str]]:
    services = () if isinstance(answers.services, PanelError) else answers.services
    if any(each.refill is not None or each.cancel is not None for each in services):
        yield "services", "the services say whether they can be refilled or canceled"
    elif any(_type_of(each) in set(API_V2_ORDER_TYPES) - set(ORDER_TYPES) for each in services):
        yield "services", "there are order types that only API v2 has"
    if "status" not in answers.balance:
        yield "balance", 'the balance has no "status"'
    if any(isinstance(value, Mapping) for value in find_by_id(answers.several)):
        yield "several", "an unknown id is answered by an object"


def _standard_signs(answers: Answers) -> Iterable[tuple[str, str]]:
    if "status" in answers.balance:
        yield "balance", 'the balance has a "status"'
    if any(isinstance(value, str) for value in find_by_id(answers.several)):
        yield "several", "an unknown id is answered by a bare text"


def _find_flags(facts: Facts, services: Iterable[Service], started: Profile) -> None:
    has = [name for name in ("refill", "cancel") if any(getattr(each, name) for each in services)]
    if has:
        facts.found["flags"] = f"services that allow: {', '.join(has)}"
    if has or "refill" in started.actions:
        facts.missing.append(
            "refill, refill_status, cancel: not called, as they need an order or change one; "
            "remove them from `actions` if the panel's API page has none"
        )


# --- answers -------------------------------------------------------------------------------------


def _find_currency(facts: Facts, balance: Mapping[str, Any]) -> None:
    currency = balance.get("currency")
    if isinstance(currency, str) and currency.strip():
        facts.found["currency"] = _shorten(currency)
    else:
        facts.missing.append("currency: the balance names none; amounts are in the account's own")


def _find_unknown_order(facts: Facts, one: object, started: Profile) -> None:
    if not isinstance(one, PanelError):
        facts.missing.append(
            f"text for an unknown order: the status of order {IMPOSSIBLE_IDS[0]}, which does not "
            "exist, was answered without an error"
        )
        return
    text = _shorten(one.text)
    # The panel's own action may be one that the error does not know as a read.
    if ErrorKind.NOT_FOUND in (one.kind, started.refusal_kind(one.text, "status")):
        facts.found["unknown order"] = f"{text!r}, which is recognized"
    elif one.kind in _NO_TEXT_KINDS:
        facts.missing.append(f"text for an unknown order: {_shorten(str(one))}")
    else:
        facts.found["unknown order"] = f"{text!r}, which is not recognized"
        _suggest_text(facts, sanitize(one.text.replace(IMPOSSIBLE_IDS[0], "{n}")))


def _suggest_text(facts: Facts, template: str) -> None:
    """Suggest a text for an unknown order, as a line that a person has to accept.

    In a profile it also proves of an order that none was created: the panel's word for it is not
    enough.
    """
    if len(template) > MAX_TEXT or set("{}") & set(template.replace("{n}", "")):
        facts.missing.append("text for an unknown order: it is none that a profile can have")
        return
    facts.missing.append(
        "whether the text for an unknown order may be listed as a refusal: a listed text also "
        "proves of an order that none was created. Remove the # from the last lines only if the "
        "panel never answers an order with it that it may have created"
    )
    facts.suggestions += [
        "[refusals]",
        f"not_found = [{json.dumps(template, ensure_ascii=False)}]",
    ]


_NO_TEXT_KINDS = frozenset(
    {
        ErrorKind.BLOCKED,
        ErrorKind.MALFORMED,
        ErrorKind.NETWORK,
        ErrorKind.RATE_LIMIT,
        ErrorKind.SERVER,
        ErrorKind.TIMEOUT,
    }
)
"""Kinds of errors whose text is not the panel's wording for an unknown order."""


def _find_several(facts: Facts, answers: Answers, started: Profile) -> None:
    several = answers.several
    values = list(find_by_id(several))
    if values:
        kinds = "bare texts" if all(isinstance(each, str) for each in values) else "objects"
        facts.found["several ids"] = (
            f"answered one by one, each under its id; unknown ones: {kinds}"
        )
        if answers.several_action is not None:
            facts.keys["action_names"] = dict(started.action_names) | {
                "statuses": answers.several_action
            }
    elif several is None:
        facts.found["several ids"] = "not asked: the profile has one id per call"
    elif isinstance(several, PanelError) and _refuses_several(several, answers.one):
        facts.found["several ids"] = f"refused: {_shorten(several.text)!r}"
        facts.keys["ids_per_call"] = 1
    else:
        shown = str(several) if isinstance(several, PanelError) else "an answer without the ids"
        facts.missing.append(
            f"several ids: two unknown ones got {_shorten(shown)!r} for both; try `smmfanfast "
            "status` with two orders of yours, and set ids_per_call = 1 if it fails"
        )


def _refuses_several(several: PanelError, one: object) -> bool:
    """Return whether a panel does not know the form for several ids.

    It then misses the id, although it has a text of its own for an id that does not exist.
    """
    is_other = isinstance(one, PanelError) and one.text != several.text
    return is_other and several.kind is ErrorKind.VALIDATION


def find_by_id(answer: object) -> Iterable[object]:
    """Yield what an answer has under each of the ids that were asked for."""
    if isinstance(answer, Mapping):
        by_id = cast("Mapping[object, object]", answer)
        yield from (by_id[each] for each in IMPOSSIBLE_IDS if each in by_id)
    elif isinstance(answer, list):
        for row in cast("list[object]", answer):
            if isinstance(row, Mapping):
                named = cast("Mapping[object, object]", row)
                if str(named.get("order")) in IMPOSSIBLE_IDS:
                    yield named


# --- numbers and types ---------------------------------------------------------------------------


def _find_numbers(facts: Facts, answers: Answers) -> None:
    values: list[object] = []
    if not isinstance(answers.services, PanelError):
        for service in answers.services[:MAX_SERVICES_READ]:
            row = _read_row(service)
            values += [row[name] for name in ("rate", "min", "max") if name in row]
    # Last, so that the example is none that changes and concerns this account.
    values.append(answers.balance["balance"])
    texts = [each for each in values if isinstance(each, str)]
    count = len([each for each in values if isinstance(each, str | int | float | Decimal)])
    style = "texts" if len(texts) == count else "JSON numbers" if not texts else "both"
    example = f", such as {_shorten(json.dumps(values[0]))}" if len(values) > 1 else ""
    facts.found["numbers"] = f"{style}{example}"
    odd = list(dict.fromkeys(each for each in texts if not _PLAIN.fullmatch(each.strip())))
    if odd:
        facts.found["unusual numbers"] = ", ".join(map(_shorten, map(repr, odd[:MAX_SHOWN])))
        facts.missing.append(
            "whether a mark in an unusual number separates thousands or decimals: what could be "
            "either is read as None"
        )


def _read_row(service: Service) -> Mapping[str, Any]:
    try:
        row: object = json.loads(service.raw or "")
    except ValueError:  # cut after 2,000 characters
        return {}
    return cast("Mapping[str, Any]", row) if isinstance(row, Mapping) else {}


def _find_types(facts: Facts, services: tuple[Service, ...] | PanelError) -> None:
    if isinstance(services, PanelError):
        facts.missing.append(f"order types: the services cannot be read: {_shorten(str(services))}")
        return
    found = Counter(_type_of(each) or (each.type or "none") for each in services)
    if not found:
        facts.missing.append("order types: the panel offers no service")
        return
    known = [each for each in API_V2_ORDER_TYPES if each in found]
    other = [each for each in found if each not in known]
    facts.found["order types"] = f"{len(known)} known ones in {len(services)} services"
    if known:
        facts.keys["order_types"] = known
    if other:
        shown = ", ".join(map(_shorten, map(repr, other[:MAX_SHOWN])))
        facts.missing.append(f"order types that have no class here, at most {MAX_SHOWN}: {shown}")


def _type_of(service: Service) -> str | None:
    """Return the type of a service in the document's spelling; None if it is not known."""
    kind = API_V2_ORDER_TYPES.get(service.type or "")
    return None if kind is None else kind.panel_type


def _shorten(text: str) -> str:
    return sanitize(text, MAX_TEXT)
