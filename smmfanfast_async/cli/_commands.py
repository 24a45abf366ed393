"""The table of commands: where each lives, what it does in a line, and how it is used."""

from typing import NamedTuple

from ._codes import MEANINGS

__all__ = ["COMMANDS", "Command", "examples_of", "overview"]

HOW = """\
The key comes from SMMFANFAST_API_KEY, or from a file: --key-file or SMMFANFAST_API_KEY_FILE.
It is never an argument: those are in the list of processes and in the history of the shell.
The panel comes from --profile or SMMFANFAST_PROFILE: smmfanfast, api-v2, or a TOML file that
describes one; --base-url or SMMFANFAST_BASE_URL is its address, SMMFANFAST_PROXY a way to it.
The journal of orders comes from --journal or SMMFANFAST_JOURNAL: a file, or the URL of a database.
--json answers in JSON. `smmfanfast COMMAND --help` shows options and examples."""

LINK = "https://instagram.com/example"


class Command(NamedTuple):
    """A command of `smmfanfast`."""

    name: str
    """As it is typed."""
    function: str
    """Where it lives in `commands`, as module:function; loaded when it is called."""
    line: str
    """What it does."""
    examples: tuple[str, ...]
    """How it is used, without the name of the program; a shell can run each as it stands."""


COMMANDS: dict[str, tuple[Command, ...]] = {
    "Try it, without a key": (
        Command("demo", "demo:demo", "Show everything at work on a panel of this machine",
            ("demo", "demo --json")),
        Command("sandbox", "sandbox:sandbox", "Run a panel on this machine to try things against",
            ("sandbox", "sandbox --port 9000 --balance 50 --speed 600")),
    ),
    "Look": (
        Command("balance", "account:balance", "Show what is left on the account",
            ("balance", "balance --key-file ~/.smmfanfast-key --json")),
        Command("services", "services:services", "Show what is on offer, and what has changed", (
            "services --search telegram --max-rate 1",
            "services --save catalogue.json",
            "services --diff catalogue.json --exit-code",
        )),
        Command("status", "status:status", "Show how orders stand, any number of them",
            ("status 32 33 34", "status - --json < ids.txt")),
        Command("watch", "status:watch", "Watch some orders until each is final",
            ("watch 32 33", "watch 32 --timeout 600 --json")),
        Command("doctor", "doctor:doctor", "Look whether key, address and balance are in order",
            ("doctor", "doctor --profile panel.toml")),
    ),
    "Order": (
        Command("add", "add:add", "Place an order; with --ref once, however often it is called", (
            f"add default --service 5 --quantity 1000 \\\n    --link {LINK}",
            f"add custom_comments --service 30 --comments @lines.txt \\\n    --yes --link {LINK}",
            f"add default --service 5 --quantity 1000 --ref invoice-77 \\\n    --link {LINK}",
        )),
    ),
    "Keep track, in a journal of orders": (
        Command("orders", "orders:orders", "List the orders of the journal", (
            "orders --state unknown --state accepted",
            "orders --ref invoice- --since 2030-01-01 --csv > orders.csv",
        )),
        Command("summary", "orders:summary", "Count the orders and their money",
            ("summary", "summary --json")),
        Command("follow", "follow:follow", "Send what is due and follow all orders to the end",
            ("follow", "follow --until-final", "follow --json --consumer mail")),
        Command("unknown", "resolve:unknown", "Show orders whose outcome is unknown, with evidence",
            ("unknown", "unknown --json")),
        Command("resolve", "resolve:resolve", "Say what is true of an order that is unknown", (
            "resolve invoice-77 --order 123456 --by ann",
            "resolve invoice-77 --not-placed --by ann --note 'not listed'",
        )),
        Command("retry", "resolve:retry", "Send an order again that was refused or not placed",
            ("retry invoice-77 --by ann",)),
        Command("withdraw", "resolve:withdraw", "Take back an order that was not sent yet",
            ("withdraw invoice-77 --by ann",)),
    ),
    "Set up": (
        Command("completion", "completion:completion", "Let a shell complete commands and options",
            ("completion bash", "completion zsh", "completion fish")),
    ),
}  # fmt: skip
"""Every command, by what a person wants."""


def overview() -> str:
    """Write the page of `smmfanfast --help`; it needs no library, so it is there at once."""
    lines = ["Usage: smmfanfast COMMAND", "", "An SMM panel from the command line.", "", HOW]
    for purpose, commands in COMMANDS.items():
        lines += ["", f"{purpose}:"]
        lines += [f"  {each.name:<12}{each.line}" for each in commands]
    lines += ["", "Exit codes:"]
    lines += [f"  {code:<5}{meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(lines)


def examples_of(command: Command) -> str:
    """Write the examples of a command, as they stand under its help."""
    shown = [f"  smmfanfast {example}" for example in command.examples]
    return "\n".join(["Examples:", *shown, "", "`smmfanfast --help` lists the exit codes."])
