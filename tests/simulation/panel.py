"""A panel: reads requests from the wire, stores orders, and answers as the scenario says.

It is broken but honest: it reports an order as placed only if it stored it, and sends a refusal
that the profile knows only if it did not. It sends any other answer with or without a stored order.
"""

import asyncio
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Literal
from urllib.parse import parse_qsl

from attrs import define, evolve, field, frozen

from .network import End, Network, Wire

__all__ = ["ADD_KINDS", "READ_KINDS", "Answer", "Kind", "Ledger", "Panel", "Received"]


@frozen(kw_only=True)
class Kind:
    """One way to answer."""

    body: str = ""
    """ORDER is replaced by the id, RIGHT by the correct answer to a read."""
    status: int = 200
    headers: tuple[str, ...] = ()
    stores: bool | None = False
    """Whether an order is stored before this answer; None for either."""
    means: Literal["placed", "refused", "unknown"] = "unknown"
    """What a client may conclude from it."""
    ahead: str = ""
    """Bytes before the answer."""
    behind: str = ""
    """Bytes after the answer."""
    missing_bytes: int = 0
    """How many bytes the head promises beyond the body."""
    is_chunked: bool = False
    is_silent: bool = False


_PLACED = '{"status":"success","order":ORDER}'
_UNEXPECTED = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + '{"order":98765}'
_PAGE = "<html><body>Bad gateway</body></html>"
_FUNDS = '{"status":"fail","message":"Not enough funds on balance"}'

_BOTH_KINDS = {
    "silent": Kind(is_silent=True, stores=None),
    "page": Kind(body=_PAGE, stores=None),
    "empty": Kind(stores=None),
    "list": Kind(body="[]", stores=None),
    "bad gateway": Kind(body=_PAGE, status=502, stores=None),
    "failed": Kind(body='{"error":"Not enough funds"}', status=500, stores=None),
    "gone": Kind(body=_PAGE, status=404, stores=None),
    "limited": Kind(
        body='{"error":"too many"}', status=429, headers=("Retry-After: 3",), means="refused"
    ),
    "limited for long": Kind(
        body=_PAGE, status=429, headers=("Retry-After: 600",), means="refused"
    ),
    "elsewhere": Kind(
        status=307, headers=("Location: http://127.0.0.1:8081/api/v1",), stores=None
    ),
    "challenged": Kind(
        body=_PAGE, status=403, headers=("cf-mitigated: challenge",), means="refused"
    ),
}  # fmt: skip

ADD_KINDS = {
    **_BOTH_KINDS,
    "placed": Kind(body=_PLACED, stores=True, means="placed"),
    "placed, id as text": Kind(body='{"order":"ORDER"}', stores=True, means="placed"),
    "placed, chunked": Kind(body=_PLACED, stores=True, means="placed", is_chunked=True),
    "placed, then an unexpected answer": Kind(
        body=_PLACED, stores=True, means="placed", behind=_UNEXPECTED
    ),
    "placed, after hints": Kind(
        body=_PLACED, stores=True, means="placed", ahead="HTTP/1.1 103 Early Hints\r\n\r\n"
    ),
    "created": Kind(body=_PLACED, status=201, stores=True, means="placed"),
    "refused": Kind(body=_FUNDS, means="refused"),
    "refused with 400": Kind(
        body='{"error":"neworder.error.min_quantity"}', status=400, means="refused"
    ),
    "active": Kind(body='{"error":"You have an active order with this link"}', means="refused"),
    "no service": Kind(body='{"error":"Service ID does not exists"}', means="refused"),
    "cut": Kind(body=_PLACED, missing_bytes=9, stores=True),
    "later": Kind(body='{"error":"please try again later"}', status=400, stores=None),
    "refused, and more": Kind(
        body='{"error":"Not enough funds on balance: the order waits for a payment"}', stores=None
    ),
    "both": Kind(body='{"order":ORDER,"error":"Not enough funds"}', stores=True),
    "zero": Kind(body='{"order":0}', stores=None),
    "null": Kind(body='{"status":"success","order":null}', stores=None),
    "conflict": Kind(body=_FUNDS, status=409, stores=None),
}
"""Answers to `add`."""

READ_KINDS = {
    **_BOTH_KINDS,
    "right": Kind(body="RIGHT"),
    "right, chunked": Kind(body="RIGHT", is_chunked=True),
    "right, then an unexpected answer": Kind(body="RIGHT", behind=_UNEXPECTED),
    "cut": Kind(body="RIGHT", missing_bytes=9),
}
"""Answers to what changes nothing."""


@frozen(kw_only=True)
class Answer:
    """What happens to one request."""

    kind: str
    stores: bool = False
    store_after_s: float = 0.001
    answer_after_s: float = 0.002
    """Counted from the storing."""
    ends: End | None = None
    """How the connection ends behind the answer; None if it is kept."""
    crash: Literal["before", "after"] | None = None
    """The panel crashes before or after storing the order, and does not answer."""
    outlives: bool = True
    """Whether it continues after the client has disconnected."""


@frozen
class Received:
    """An `add` that was read whole, stored or not."""

    link: str
    wire: int = 0
    """The number of its connection."""
    kind: str = "placed"
    """How it is answered, if nothing prevents that."""

    @property
    def is_refused(self) -> bool:
        """Whether the answer proves that there is no order."""
        return ADD_KINDS[self.kind].means == "refused"


@define
class Ledger:
    """What was stored."""

    orders: dict[int, str] = field(factory=dict)
    """The link of each order."""
    stored_at_s: dict[int, float] = field(factory=dict)
    received: list[Received] = field(factory=list)

    def store(self, link: str, at_s: float = 0.0) -> int:
        """Store an order, and return its id."""
        order = 100 + len(self.orders)
        self.orders[order] = link
        self.stored_at_s[order] = at_s
        return order

    def count(self, link: str) -> int:
        """Return how many orders a link has."""
        return list(self.orders.values()).count(link)

    def received_for(self, link: str) -> list[Received]:
        """Return the requests to order for a link, in the order in which they were read."""
        return [each for each in self.received if each.link == link]


@define(eq=False)
class Panel:
    """The other end of every connection to one port."""

    network: Network
    choose_answer: Callable[[Wire, str, str], Answer]
    """By connection, action, and link or id."""
    name: str = "panel"
    balance: Decimal = Decimal("7.50")
    """An order that costs more is refused, whatever else it would have been answered."""
    rate: Decimal = Decimal(0)
    """The price of 1,000 of its only service."""
    service: int = 5
    finish_after_s: float = math.inf
    """Seconds after which an order is completed."""
    restart_s: float = 5.0
    """Seconds from a crash to the next start."""
    crash_dark: bool = False
    """Whether a crash takes the host down, so that nothing replies."""
    ledger: Ledger = field(factory=Ledger)
    state: Literal["up", "down", "dark"] = "up"
    shared: list[str] = field(factory=list)
    """Connections that carried an `add` and something else."""
    _actions: dict[Wire, list[str]] = field(factory=dict)
    _inboxes: dict[Wire, bytes] = field(factory=dict)
    _work: list[asyncio.TimerHandle] = field(factory=list)

    def accept(self, wire: Wire) -> None:
        """Accept a connection."""
        self._inboxes[wire] = b""

    def receive(self, wire: Wire, data: bytes) -> None:
        """Receive bytes; a connection from before a restart is reset."""
        if self.state == "dark":
            return
        if wire not in self._inboxes:
            wire.down.put("rst")
            return
        self._inboxes[wire] += data
        while wire in self._inboxes and (form := self._next_form(wire)) is not None:
            self._begin(wire, form)

    def peer_closed(self, wire: Wire) -> None:
        """Handle the end of the client's side; close this side too."""
        if self._inboxes.pop(wire, None) is not None:
            wire.down.put("fin")

    def crash(self) -> None:
        """Lose everything but the ledger; start again after `restart_s`."""
        self.network.note(f"{self.name}: crash")
        for handle in self._work:
            handle.cancel()
        wires, self._inboxes, self._work = list(self._inboxes), {}, []
        self.state = "dark" if self.crash_dark else "down"
        for wire in wires:
            if not self.crash_dark:
                wire.down.put("rst")
        self.network.loop.call_later(self.restart_s, self._start)

    def _start(self) -> None:
        self.network.note(f"{self.name}: start")
        self.state = "up"

    def _next_form(self, wire: Wire) -> dict[str, str] | None:
        """Return the next complete request and remove it, None if there is none yet."""
        head, mark, rest = self._inboxes[wire].partition(b"\r\n\r\n")
        if not mark:
            return None
        lines = head.decode("ascii").lower().split("\r\n")
        size = next(int(each[15:]) for each in lines if each.startswith("content-length:"))
        if len(rest) < size:
            return None
        self._inboxes[wire] = rest[size:]
        return dict(parse_qsl(rest[:size].decode("ascii"), keep_blank_values=True))

    def _begin(self, wire: Wire, form: dict[str, str]) -> None:
        action, about = form["action"], form.get("link") or form.get("orders", "")
        answer = self.choose_answer(wire, action, about)
        if action == "add" and self._price(form) > self.balance:
            answer = evolve(answer, kind="refused", stores=False)
        wire.note(f"{self.name}: {action} {about}: {answer.kind}, stores={answer.stores}")
        actions = self._actions.setdefault(wire, [])
        actions.append(action)
        if "add" in actions and len(actions) > 1:
            self.shared.append(f"wire {wire.number}: {', '.join(actions)}")
        if action == "add":
            self.ledger.received.append(Received(about, wire.number, answer.kind))
        if answer.crash == "before":
            self.crash()
            return
        self._later(answer.store_after_s, self._store, wire, form, answer)

    def _store(self, wire: Wire, form: dict[str, str], answer: Answer) -> None:
        if wire not in self._inboxes and not answer.outlives:
            return
        order = 0
        if answer.stores:
            order = self.ledger.store(form["link"], self.network.loop.time())
            self.balance -= self._price(form)
            wire.note(f"{self.name}: stored {order} {form['link']}")
        if answer.crash == "after":
            self.crash()
            return
        self._later(answer.answer_after_s, self._answer, wire, form, answer, order)

    def _answer(self, wire: Wire, form: dict[str, str], answer: Answer, order: int) -> None:
        kind = (ADD_KINDS if form["action"] == "add" else READ_KINDS)[answer.kind]
        if wire not in self._inboxes:
            return
        if not kind.is_silent:
            right = self._right(form) if form["action"] != "add" else ""
            body = kind.body.replace("ORDER", str(order)).replace("RIGHT", right)
            wire.down.put(_raw(kind, body))
        if answer.ends is not None:
            del self._inboxes[wire]
            wire.down.put(answer.ends)

    def _right(self, form: dict[str, str]) -> str:
        if form["action"] == "balance":
            return json.dumps(
                {"status": "success", "balance": f"{self.balance:.2f}", "currency": "USD"}
            )
        if form["action"] == "services":
            return json.dumps([{
                "service": self.service, "name": "One", "type": "Default", "category": "c",
                "rate": str(self.rate), "min": 1, "max": 100_000,
            }])  # fmt: skip
        return json.dumps({each: self._status(each) for each in form["orders"].split(",")})

    def _status(self, order: str) -> dict[str, str]:
        if int(order) not in self.ledger.orders:
            return {"error": "Incorrect order ID"}
        age_s = self.network.loop.time() - self.ledger.stored_at_s[int(order)]
        status = "Pending" if age_s < self.finish_after_s else "Completed"
        # The count is the id, so that an answer to another question shows.
        return {"status": status, "charge": "0.5", "start_count": order}

    def _price(self, form: dict[str, str]) -> Decimal:
        return self.rate * int(form["quantity"]) / 1000

    def _later(self, span_s: float, work: Callable[..., None], *arguments: object) -> None:
        self._work.append(self.network.loop.call_later(span_s, work, *arguments))


def _raw(kind: Kind, body: str) -> bytes:
    lines = [f"HTTP/1.1 {kind.status} X", "Content-Type: application/json", *kind.headers]
    if kind.is_chunked:
        lines.append("Transfer-Encoding: chunked")
        body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body) + kind.missing_bytes}")
    return (kind.ahead + "\r\n".join([*lines, "", body]) + kind.behind).encode("ascii")
