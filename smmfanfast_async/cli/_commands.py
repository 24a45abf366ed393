"""The table of commands: name, function, help and examples. Needs no library."""

from typing import NamedTuple

from ._codes import MEANINGS

__all__ = ["COMMANDS", "Command", "examples_of", "help_of", "overview", "program_help"]

SETTINGS_HELP = """\
The key comes from SMMFANFAST_API_KEY, or from a file: --key-file or SMMFANFAST_API_KEY_FILE.
It is never an argument: arguments are visible in the process list and the shell history.
The panel comes from --profile or SMMFANFAST_PROFILE: smmfanfast, api-v2, or a TOML file that
describes one; --base-url or SMMFANFAST_BASE_URL is its address, SMMFANFAST_PROXY a proxy.
The journal of orders comes from --journal or SMMFANFAST_JOURNAL: a file, or the URL of a database.
--json prints JSON. `smmfanfast COMMAND --help` shows options and examples."""

PROGRAM_SUMMARY = "A client for SMM panels."

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
        Command("demo", "demo:demo", "Show the main features on a sandbox on this machine",
            "No key, no network, less than 20 seconds.",
            ("demo", "demo --json")),
        Command("sandbox", "sandbox:sandbox", "Run a panel on this machine for experiments",
            "It prints the address of a page that shows what your bot sent. With --control it also "
            "prints the address and token of an API with which programs in any language script "
            "faults, step the clock and read the truth. Ctrl-C stops it.",
            (
                "sandbox",
                "sandbox --port 9000 --balance 50 --speed 600",
                "sandbox --port 0 --speed 0 --control",
            )),
    ),
    "Query": (
        Command("balance", "account:balance", "Show the balance of the account", "",
            ("balance", "balance --key-file ~/.smmfanfast-key --json")),
        Command("services", "services:services", "List the services and what has changed",
            "--save writes the whole catalogue to a file; --diff lists only the changes since such "
            "a file was saved: services added or removed, prices raised or lowered (in percent), "
            "other limits. Both together compare with the old file first. The exit code is 0 "
            "either way; with --exit-code it is 1 if anything differs.",
            (
                "services --search telegram --max-rate 1",
                "services --save catalogue.json",
                "services --diff catalogue.json --exit-code",
            )),
        Command("status", "status:status", "Show the status of any number of orders",
            "On a terminal it is a table, elsewhere one line per order, and with --json one JSON "
            "object per line, each printed as its batch completes. Ctrl-C stops it and keeps what "
            "has been printed. The exit code is 5 if some ids have errors.",
            ("status 32 33 34", "status - --json < ids.txt")),
        Command("watch", "status:watch", "Watch orders until each is final",
            "On a terminal it is a table, elsewhere one line per change, and with --json one JSON "
            "object per line. Ctrl-C stops watching; the orders continue. The exit code is 5 if "
            "the panel does not know an id or if orders are still open after --timeout, 130 after "
            "Ctrl-C.",
            ("watch 32 33", "watch 32 --timeout 600 --json")),
        Command("doctor", "doctor:doctor", "Check the key, the address and the balance",
            "Shows where each setting comes from, and never the key. The exit code is 1 if "
            "anything is wrong.",
            ("doctor", "doctor --profile panel.toml")),
    ),
    "Order": (
        Command("add", "add:add", "Place an order; with --ref at most once per ref",
            "The order is checked against the catalogue and its price is shown first. With --ref "
            "it is recorded in the journal before it is sent, and the same ref is never ordered "
            "twice. Exit code 3 means that the outcome is unknown: the order may have been placed, "
            "so check the panel before ordering again.",
            (
                f"add default --service 5 --quantity 1000 \\\n    --link {LINK}",
                ("add custom_comments --service 30 --yes --comments @lines.txt "
                f"\\\n    --link {LINK}"),
                f"add default --service 5 --quantity 1000 --ref invoice-77 \\\n    --link {LINK}",
            )),
    ),
    "Keep track, in a journal of orders": (
        Command("orders", "orders:orders", "List the orders in the journal, oldest first",
            "With --json there is one JSON object per line, printed as it is read.",
            (
                "orders --state unknown --state accepted",
                "orders --ref invoice- --since 2030-01-01 --csv > orders.csv",
            )),
        Command("summary", "orders:summary", "Count the orders and their money",
            '"spent" is net of refunds; "at risk" is the price of orders that are unknown or in '
            "flight.",
            ("summary", "summary --json")),
        Command("follow", "follow:follow", "Send what is due and follow all orders to the end",
            "Ctrl-C stops it. Any number of these can run, on any number of machines that share "
            "the journal. An outage of the panel marks no order. With --json each change is a JSON "
            "object on a line of its own, once per --consumer: it continues where the last run "
            "stopped.",
            ("follow", "follow --until-final", "follow --json --consumer mail")),
        Command("unknown", "resolve:unknown", "Show orders with an unknown outcome, with evidence",
            "The evidence is not proof: check the panel's own list of orders, then record the "
            "outcome with `smmfanfast resolve`. With --json there is one JSON object per line.",
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
            "It costs money.",
            ("retry invoice-77 --by ann",)),
        Command("withdraw", "resolve:withdraw", "Cancel an order that has not been sent yet",
            "Such an order is prepared or held.",
            ("withdraw invoice-77 --by ann",)),
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
    lines = ["Usage: smmfanfast COMMAND", "", program_help()]
    for purpose, commands in COMMANDS.items():
        lines += ["", f"{purpose}:"]
        lines += [f"  {each.name:<12}{each.summary}" for each in commands]
    lines += ["", "Exit codes:"]
    lines += [f"  {code:<5}{meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(lines)


def program_help() -> str:
    """Return what the program is and where its settings come from."""
    return f"{PROGRAM_SUMMARY}\n\n{SETTINGS_HELP}"


def help_of(command: Command) -> str:
    """Return the help of a command, without its options and examples."""
    return f"{command.summary}.\n\n{command.details}".strip()


def examples_of(command: Command) -> str:
    """Return the examples of a command, as shown below its help."""
    shown = [f"  smmfanfast {example}" for example in command.examples]
    return "\n".join(["Examples:", *shown, "", "`smmfanfast --help` lists the exit codes."])
