"""A simulation with virtual time: the real client on real aiohttp, the real desk, and panels.

How this works. `virtual_loop` is an event loop whose time jumps to the next timer when nothing is
ready, and which knows no sockets. `network` carries bytes between the client's transports and each
`panel`: late, in pieces, not at all, or up to a cut. Which of it happens is chosen before it
happens, by a seed (`scenario`). `run` lets tasks of callers work, cancels, closes and crashes them,
and `verdict` compares the results of calls with what the panel's ledger contains. The same seed
gives the same trace: `SMMFANFAST_SEED=123` replays one, `-m slow` runs 2,000, and
`SMMFANFAST_SEEDS=5000` with it runs more.

The same for desks, with a quarter of the seeds (`desk_scenario`, `desk_run`, `desk_verdict`): two
or three panels, each with partitions, crashes, money and mistakes of its own; one or two processes
(`process`) with a desk over all of them, on one journal in a file (`sqlite`), one of which may end
without any clean-up; callers who place refs at once, again, and give up; and a person who decides
the day after about what is unknown. `broken` and `broken_desks` have one fault each, which has to
be found.

Real here: the client, aiohttp's session, connector, parser and writer, asyncio's tasks and locks;
the desk with its followers, the journal, its SQL and SQLite.

What it cannot show:

- kernels: send buffers that fill, half-open sockets, TCP's own time-outs, keep-alive probes;
  a write is taken whole and at once, so nothing ever waits for a drain;
- TLS, its handshake, its close, certificates; real name resolution, several addresses and the race
  between them; proxies, and everything that is decided by a CONNECT;
- uvloop and the proactor loop, whose transports order their callbacks in another way;
- threads, signals, a blocked loop, a clock that jumps, a disk that fails; processes end between
  two calls to SQLite, never within one (the tests in `killing` kill real ones), and there is no
  PostgreSQL;
- false answers: a panel here is broken in many ways, yet it never reports an order as placed that
  it did not store, nor as refused (in texts that the profile knows) one that it did;
- answers of many kilobytes: the bounds on bodies and compressed bodies are tested elsewhere;
- sessions passed by the caller, with their own middlewares and redirects.
"""
