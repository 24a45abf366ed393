"""Record what happens in a sandbox: requests with their answers, and commands. Pure."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from attrs import frozen

from .answers import Answer
from .faults import ScriptedFault
from .replies import HttpReply
from .traffic import Exchange, TrafficLog

__all__ = ["MAX_REPLAY_STEPS", "CommandStep", "Recorder", "collect_settings", "recorded"]

MAX_REPLAY_STEPS = 500
"""The most requests and commands that are kept to be repeated: more of them no one would read. They
are the first ones, because each depends on those before it."""

_OWN_SETTINGS = frozenset(
    {"self", "api_key", "port", "speed", "clock", "console", "control", "control_port", "profile"}
)
"""Arguments of a sandbox that a test sets itself, or has no use for."""


@frozen
class CommandStep:
    """One call of a method of `Sandbox`."""

    at_s: float
    """When it was called, in panel seconds."""
    name: str
    """The method."""
    arguments: Mapping[str, object]
    """The arguments that were given, by name."""


class Recorder:
    """The last requests of a sandbox, and the first requests and commands in their order."""

    def __init__(self, api_key: str, settings: Mapping[str, object]) -> None:
        """Start empty; `api_key` is never kept, `settings` come from `collect_settings`."""
        self.traffic = TrafficLog(api_key)
        self.settings = settings
        self.steps: list[CommandStep | Exchange] = []
        self.count = 0

    @property
    def is_complete(self) -> bool:
        """Whether all that happened is among the steps, and none was cut."""
        return len(self.steps) == self.count

    def add(self, step: CommandStep | Exchange) -> None:
        """Record a step, unless one before it is missing or cut."""
        is_cut = isinstance(step, Exchange) and step.is_cut
        if self.is_complete and len(self.steps) < MAX_REPLAY_STEPS and not is_cut:
            self.steps.append(step)
        self.count += 1

    def add_request(
        self,
        at_s: float,
        form: Mapping[str, str],
        scripted: ScriptedFault | None,
        answers: Sequence[Answer],
        reply: HttpReply,
        elapsed_s: float,
    ) -> None:
        """Record a request; `answers` has the panel's own answer, or nothing if it was not asked.

        `elapsed_s` is the real time until the reply, without its own wait.
        """
        action = form.get("action", "")
        exchange = self.traffic.record(
            at_s=at_s,
            action=action,
            fields=form,
            http_status=None if reply.is_dropped else reply.http_status,
            answer=reply.body.decode(errors="replace"),
            duration_ms=(elapsed_s + reply.wait_s) * 1000,
            fault=None if scripted is None else scripted.fault.value,
            is_applied=bool(answers),
            order=_find_order(answers) if action == "add" else None,
        )
        self.add(exchange)


class Recorded(Protocol):
    """An object whose commands are recorded."""

    _recorder: Recorder | None
    """None records nothing."""

    @property
    def now_s(self) -> float:
        """Panel seconds."""
        ...


_Self = TypeVar("_Self", bound=Recorded)
_Parameters = ParamSpec("_Parameters")

_Command = Callable[Concatenate[_Self, _Parameters], None]


def recorded(method: _Command[_Self, _Parameters]) -> _Command[_Self, _Parameters]:
    """Record each call of a method that did not raise."""
    signature = inspect.signature(method)

    @wraps(method)
    def call(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        at_s = self.now_s
        method(self, *args, **kwargs)
        if self._recorder is not None:
            _, *given = signature.bind(self, *args, **kwargs).arguments.items()
            self._recorder.add(CommandStep(at_s, method.__name__, dict(given)))

    return call


def collect_settings(
    create: Callable[..., object], arguments: Mapping[str, object]
) -> dict[str, object]:
    """Return the arguments of a sandbox that a test needs: those that are not the default."""
    return {
        name: str(arguments[name]) if name == "balance" else arguments[name]
        for name, parameter in inspect.signature(create).parameters.items()
        if name not in _OWN_SETTINGS and arguments[name] != parameter.default
    }


def _find_order(answers: Sequence[Answer]) -> str | None:
    """Return the id in the answer to an accepted order; None for a refusal."""
    answer = answers[0] if answers else None
    order = answer.get("order") if isinstance(answer, dict) else None
    return None if order is None else str(order)
