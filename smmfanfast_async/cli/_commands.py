"""The table of commands: name, function, help and examples. Needs no library."""

from typing import NamedTuple

from ._codes import MEANINGS

__all__ = ["COMMANDS", "PROGRAM_SUMMARY", "Command", "examples_of", "help_of", "overview"]

PROGRAM_SUMMARY = """\
Order from an SMM panel, and follow the orders.
`smmfanfast demo` shows how, without a key. `smmfanfast COMMAND --help` shows
options and examples."""

SETTINGS = {
    "API key": "SMMFANFAST_API_KEY; in a file: --key-file, SMMFANFAST_API_KEY_FILE",
    "address": "--base-url, SMMFANFAST_BASE_URL; by default that of the profile",
    "profile": "--profile, SMMFANFAST_PROFILE: smmfanfast, api-v2, or a TOML file",
    "proxy": "SMMFANFAST_PROXY",
    "panels": "--panels, SMMFANFAST_PANELS: a TOML file that names several",
    "journal": "--journal, SMMFANFAST_JOURNAL: a file, or the URL of a database",
}
"""Where each setting comes from."""

SETTINGS_NOTES = """\
The key is no argument: the process list and the shell history show arguments."""

OUTPUT_HELP = """\
On a terminal, a table. Into a pipe or a file, a line per row: cells separated
by tabs, without a heading, "-" if there is no value. With --json, JSON."""

ONCE = (
    "A question or --yes confirms the request. It is never repeated: if no response comes, it may "
    "have taken effect. The exit code is 5 if some ids have errors."
)
"""What a call has to know that changes something and is not an order."""

BY_REF = (
    "With --ref and --by it is requested for an order in the journal: recorded before it is sent, "
    "sent once however often it is called, and followed by `smmfanfast follow`. The output is a "
    "row of `smmfanfast requests`, and exit code 3 means that it may have been made."
)
"""What `refill` and `cancel` say about orders in a journal."""

LINK = "https://instagram.com/example"


class Command(NamedTuple):
    """A command of `smmfanfast`."""

    name: str
    """The name as it is typed."""
    function: str
    """The function in `commands`, as module:function; loaded when the command is called."""
    summary: str
    """What the command does, in one line: for the overview and as the first line of its help."""
    details: str
    """The rest of its help; empty if the summary says everything. The terminal wraps it."""
    examples: tuple[str, ...]
    """Examples without the name of the program; a shell can run each as it is."""


COMMANDS: dict[str, tuple[Command, ...]] = {
    "Try it, without a key": (
        Command("demo", "demo:demo", "Show the main features on two test panels here",
            "It needs no key and no network, and takes about 20 seconds.",
            ("demo", "demo --json")),
        Command("sandbox", "sandbox:sandbox", "Run a test panel on this machine",
            "It prints the settings to use it with, and the address of a page that shows what your "
            "bot sent. With --control it also prints the address and token of an API with which "
            "programs in any language script faults, step the clock and read the truth. Nothing is "
            "bought. Ctrl-C stops it.",
            (
                "sandbox",
                "sandbox --port 9000 --balance 50 --speed 600",
                "sandbox --port 0 --speed 0 --control",
            )),
    ),
    "Ask the panel": (
        Command("balance", "services:balance", "Show the balance of the account", "",
            ("balance", "balance --key-file ~/.smmfanfast-key --json")),
        Command("services", "services:services", "List the services, or what changed of them",
            "The columns are id, name, type, rate (for 1000, or for a package), minimum, maximum "
            "and whether drip-feed is possible. "
            "--save writes the whole catalogue to a file; --diff lists only the changes since such "
            "a file was saved: services added or removed, prices raised or lowered (in percent), "
            "other limits. Both together compare with the old file first. The exit code is 0 "
            "either way; with --exit-code it is 1 if anything differs.\n\n"
            "--compare shows the products of the --panels file side by side. The columns are "
            "product, panel, id, rate (in the desk's currency), minimum, maximum, refill, cancel "
            "and a note. A panel that fails has a note, and its exit code.",
            (
                "services --search telegram --max-rate 1",
                "services --save catalogue.json",
                "services --diff catalogue.json --exit-code",
                "services --compare --panels panels.toml",
            )),
        Command("status", "status:status", "Show the status of any number of orders",
            "The ids are those of the panel. The columns are order, status, charge, start count, "
            "remains and a note. Into a pipe, and with --json (one object per line), each is "
            "printed as its batch completes. Ctrl-C stops it and keeps what has been printed. The "
            "exit code is 5 if some ids have errors.",
            ("status 32 33 34", "status - --json < ids.txt")),
        Command("watch", "status:watch", "Show the changes of orders until each is final",
            "The ids are those of the panel. Into a pipe, and with --json (one object per line), "
            "each change is a line. Ctrl-C stops watching; the orders continue. The exit code is 5 "
            "if the panel does not know an id or if orders are still open after --timeout, 130 "
            "after Ctrl-C.",
            ("watch 32 33", "watch 32 --timeout 600 --json")),
        Command("doctor", "doctor:doctor", "Check the key, the address and the balance",
            "It shows where each setting comes from, and never the key. The exit code is 1 if "
            "anything is wrong.\n\n"
            "--panel looks at the panel instead, with calls that change nothing, and prints a "
            "profile for it as TOML, with what it found and could not find out as comments.",
            (
                "doctor",
                "doctor --profile panel.toml",
                "doctor --panel > mine.toml",
            )),
    ),
    "Order": (
        Command("add", "add:add", "Place an order; with --ref at most once per ref",
            "The order is checked against the catalogue; its price and the balance are shown, and "
            "a question is asked. With --ref it is recorded in the journal before it is sent, and "
            "the same ref is never ordered twice. Exit code 3 means that the outcome is unknown: "
            "the order may have been placed, so check the panel before ordering again.\n\n"
            "With --panels, --service is a product and --ref is needed: the order goes to the "
            "panel that `smmfanfast quote` ranks first, and on to the next one only if a panel "
            "has refused it or was proved not to have it. The output names the panel.",
            (
                f"add default --service 5 --quantity 1000 \\\n    --link {LINK}",
                ("add custom_comments --service 30 --yes --comments @lines.txt "
                f"\\\n    --link {LINK}"),
                f"add default --service 5 --quantity 1000 --ref invoice-77 \\\n    --link {LINK}",
            )),
        Command("quote", "quote:quote", "Show what an order costs at each of several panels",
            "The panels and the products are those of the --panels file, and --service is a "
            "product. The columns are rank (1 is the panel that gets the order first), panel, "
            "service, the price in the panel's currency and in the desk's, and why a panel is left "
            "out. With --json there is one JSON object per line. Nothing is stored or sent; the "
            "exit code is 1 if no panel can take the order.",
            (("quote default --panels panels.toml --service likes "
                f"\\\n    --quantity 1000 --link {LINK}"),)),
        Command("refill", "refills:refill", "Request refills of orders (API v2 panels)",
            "The columns are order, refill and a note; `smmfanfast refill-status` takes the id of "
            f"a refill. {ONCE}\n\n{BY_REF}",
            ("refill 32 33 --profile api-v2 --yes",)),
        Command("refill-status", "refills:refill_status", "Show the status of refills",
            "The columns are refill, status and a note. The exit code is 5 if some ids have "
            "errors.",
            ("refill-status 7 8 --profile api-v2",)),
        Command("cancel", "refills:cancel", "Request to cancel orders (API v2 panels)",
            "The panel decides: `smmfanfast status` shows what happened. The columns are order, "
            f"cancel and a note. {ONCE}\n\n{BY_REF}",
            (
                "cancel 32 33 --profile api-v2 --yes",
                "cancel --ref invoice-77 --by ann --profile api-v2 --yes",
                "cancel - --profile api-v2 --yes --json < ids.txt",
            )),
    ),
    "Keep track, in a journal of orders": (
        Command("orders", "orders:orders", "List the orders in the journal, oldest first",
            "The columns are ref, state, order (the panel's id), status, price, charge, remains, "
            "the time of creation and the panel. On a terminal the newest 1000 are shown; into a "
            "pipe, and with --json (one object per line), each is printed as it is read. It calls "
            "no panel, and needs no key if the journal has only one account.",
            (
                "orders --state unknown --state accepted",
                "orders --ref invoice- --since 2030-01-01 --csv > orders.csv",
            )),
        Command("summary", "orders:summary", "Count the orders and their money",
            '"spent" is net of refunds; "at risk" is the price of orders that are unknown or being '
            "sent. It needs no panel, and no key if the journal has only one account.",
            ("summary", "summary --json")),
        Command("follow", "follow:follow", "Send what is due and follow all orders to the end",
            "Leave it running: Ctrl-C stops it, and the orders continue at the panel. Any number "
            "of these can run, on any number of machines that share the journal. During an outage "
            "of the panel it waits, and no order changes. Into a pipe each change is a line: time, "
            "ref, event, order, status, charge, remains, a message and the panel; with --json it "
            "is a JSON object. Each is shown once per --consumer: the next run continues where the "
            "last one stopped.",
            ("follow", "follow --until-final", "follow --json --consumer mail")),
        Command("health", "health:health", "Tell whether orders are followed or need a person",
            "For the healthcheck of a container: it reads only the journal, prints one line and "
            "exits with 0, with 1 if orders are overdue because nothing follows them, or with 6 if "
            "the journal cannot be read. Unknown orders wait for a person, and other orders for a "
            "panel that fails: both are shown and do not change the exit code, since a restart "
            "would not help. With --json there are also the oldest orders, the consumers of events "
            "and the panels. It needs no key if the journal has only one account.",
            ("health", "health --json")),
        Command("unknown", "resolve:unknown", "Show orders with an unknown outcome, with evidence",
            "The response to such an order was lost: it may have been placed, and is never sent "
            "again by itself. The evidence is not proof: check the panel's own list of orders, "
            "then record the outcome with `smmfanfast resolve`. With --json there is one JSON "
            "object per line.",
            ("unknown", "unknown --json")),
        Command("resolve", "resolve:resolve", "Record the outcome of an order that is unknown",
            "Check the panel's list of orders first. With --order the order is followed from then "
            "on; with --not-placed it counts as not ordered, and `smmfanfast retry` can send it "
            "again.",
            (
                "resolve invoice-77 --order 123456 --by ann",
                "resolve invoice-77 --not-placed --by ann --note 'not listed'",
            )),
        Command("retry", "resolve:retry", "Send an order again that was refused or not placed",
            "It spends money, without a question. With --panels, --panel chooses where, and is the "
            "only way by which an order that was unknown or held moves to another panel.",
            ("retry invoice-77 --by ann",)),
        Command("withdraw", "resolve:withdraw", "Take back an order that has not been sent yet",
            "Its state is prepared or held. `smmfanfast cancel` is for orders that the panel has.",
            ("withdraw invoice-77 --by ann",)),
        Command("requests", "requests:requests", "List refills and cancellations in the journal",
            "They were requested with `smmfanfast refill --ref` or `cancel --ref`, or by a "
            "program. The columns are ref, request, number, state, order and refill (the panel's "
            "ids), status, the time of creation and a note. With --json there is one JSON object "
            "per line.",
            ("requests", "requests --state unknown --json")),
        Command("resolve-request", "requests:resolve_request",
            "Record what became of a refill or cancellation",
            "For one that is unknown: check the panel's page first. With --refill the refill is "
            "followed from then on. --not-made also ends one that is not sent yet, or that the "
            "panel accepted and does not carry out; it can be requested again then.",
            ("resolve-request invoice-77 cancel --not-made --by ann",)),
    ),
    "Set up": (
        Command("completion", "completion:completion", "Print a completion script for a shell",
            "It completes commands, options and their fixed values. The script starts with how to "
            "install it. For the current shell only: source <(smmfanfast completion bash)",
            ("completion bash", "completion zsh", "completion fish")),
    ),
}  # fmt: skip
"""Every command, grouped by purpose."""


def overview() -> str:
    """Return the page of `smmfanfast --help`; without a library to load it appears at once."""
    lines = ["Usage: smmfanfast COMMAND", "", PROGRAM_SUMMARY]
    for purpose, commands in COMMANDS.items():
        lines += ["", f"{purpose}:"]
        lines += [f"  {each.name:<15}{each.summary}" for each in commands]
    lines += ["", "Settings:", *(f"  {name:<9}{source}" for name, source in SETTINGS.items())]
    lines += [SETTINGS_NOTES, "", "Output:", OUTPUT_HELP, "", "Exit codes:"]
    lines += [f"  {code:<5}{meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(lines)


def help_of(command: Command) -> str:
    """Return the help of a command, without its options and examples."""
    return f"{command.summary}.\n\n{command.details}".strip()


def examples_of(command: Command) -> str:
    """Return the examples of a command, as shown below its help."""
    shown = [f"  smmfanfast {example}" for example in command.examples]
    return "\n".join(["Examples:", *shown, "", "`smmfanfast --help` lists the exit codes."])
