"""The intervals and time limits of a desk, all in seconds."""

from attrs import frozen

__all__ = ["Timing"]


@frozen(kw_only=True)
class Timing:
    """How long a desk waits for what; tests shorten it."""

    # --- sending -----------------------------------------------------------------------------

    write_within_s: float = 60.0
    """From the start of an attempt until its first byte must have left. Long enough for the rate
    limit, a connection and a slow disk; a process or machine that was suspended for longer must
    not send."""
    lease_s: float = 240.0
    """After this, an attempt without an outcome counts as unknown: what left at the end of
    `write_within_s` is answered, or has timed out, 140 s later."""
    balance_timeout_s: float = 5.0
    """For reading the balance as evidence: it must not delay an order for long."""
    reload_s: float = 0.25
    """For which a caller whose `wait_s` has passed waits for the journal to return its entry."""
    slot_wait_s: float = 600.0
    """For which an order waits for a slot among the account's attempts; a running desk sends it
    after that."""
    min_poll_s: float = 0.02
    """First interval between polls for a free slot, or for an attempt of another desk; doubles."""
    max_poll_s: float = 0.5
    """Longest interval between such polls, and between tries to record an outcome."""
    other_desk_s: float = 480.0
    """For which an attempt of another desk is waited for: twice its lease, which ends it long
    before unless the clock was set back."""
    outcome_wait_s: float = 900.0
    """For which recording an outcome is retried, each try lasting up to half a minute: a full disk
    or a database that is down takes a person some minutes."""

    # --- following ---------------------------------------------------------------------------

    claim_s: float = 120.0
    """How long a claim lasts: twice what a status call may take with all its retries."""
    idle_s: float = 1.0
    """Between polls of the journal while nothing is due: another desk may have placed an order,
    or a caller may have committed one."""
    send_interval_s: float = 1.0
    """Between polls of the journal for orders to send."""
    maintenance_s: float = 5.0
    """Between checks for expired leases and for a pause of the account's calls."""
    release_s: float = 5.0
    """For which a `follow` that is cancelled may delay to release its claims. Claims that it cannot
    release expire."""
    rate_limit_wait_s: float = 30.0
    """For which claimed orders wait for the account's rate limit; `claim_s` must cover it too."""
    min_backoff_s: float = 1.0
    """Backoff after one failed call, doubling with each further failure."""
    max_backoff_s: float = 60.0
    """Longest backoff: a panel that is down for an hour gets one call a minute from each desk."""

    health_s: float = 15.0
    """Between two reports of the health, and checks whether a panel is to be probed: Prometheus
    scrapes as often, and a circuit is open for longer."""

    watch_poll_s: float = 15.0
    """Between looks whether services are due to be watched: no interval is shorter than four."""
    watch_lease_s: float = 120.0
    """For which a desk that watches has its panel to itself, and after which a look that failed is
    repeated: twice what fetching a catalogue may take, and its turn."""

    # --- events and closing ------------------------------------------------------------------

    event_poll_s: float = 1.0
    """Between polls for events that other desks have written."""
    final_acknowledge_s: float = 5.0
    """For which a reader that stops may delay to acknowledge what it has read."""
    close_grace_s: float = 15.0
    """For which closing waits for orders in flight and for their outcomes to be recorded."""
