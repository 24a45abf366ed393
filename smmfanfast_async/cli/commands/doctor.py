"""`doctor`: check the settings, the address and the account."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

from attrs import frozen
from rich.console import Console

from ...client import Client
from ...errors import InvalidSettingsError, PanelError
from .. import _output as output
from .. import _settings as settings
from .._codes import OK, REFUSED
from .._errors import handle_errors
from .._options import Flag, JournalOptions
from .._output import plural
from .._panel_probe import print_profile
from .._panels import PanelsFile

__all__ = ["Finding", "doctor", "examine"]


@frozen
class Finding:
    """The result of one check."""

    name: str
    text: str
    level: str = "ok"
    """`ok`, `warning` or `error`."""


def test_environment() -> Finding | None:
    """Return a warning if a test run has a real key in its environment: it might order."""
    key = os.environ.get("SMMFANFAST_API_KEY", "")
    in_test = [name for name in ("CI", "PYTEST_CURRENT_TEST", "TOX_ENV_NAME") if name in os.environ]
    if not key or key.startswith("test-") or not in_test:
        return None
    text = f"{in_test[0]} is set and so is a key that is not for a sandbox: tests might spend money"
    return Finding("environment", text, "warning")


def _find_open_key(options: JournalOptions) -> Finding | None:
    """Return a warning if the profile puts the key into URLs."""
    try:
        is_get = options.kind().profile.request_format == "get"
    except PanelError:
        return None
    text = "requests are sent by GET: proxies and the panel log their URLs, and the key with them"
    return Finding("request format", text, "warning") if is_get else None


async def examine(options: JournalOptions) -> list[Finding]:
    """Check the versions and each setting, and request the balance once."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec", "cattrs"))
    findings = [Finding("python", f"{platform.python_version()} with {libraries}")]
    try:
        file = options.panels_file()
    except PanelError as error:
        return [*findings, Finding("panels", str(error), "error")]
    if file is not None:
        return findings + await _examine_panels(file, options)
    for name, read in _CHECKS.items():
        finding = _check(name, read, options)
        # A profile that cannot be read has no address either: report it once.
        if finding.text != findings[-1].text:
            findings.append(finding)
    findings += filter(None, (test_environment(), _find_open_key(options)))
    if any(each.level == "error" for each in findings):
        return findings
    resolved = options.settings()
    if resolved.api_key.warning:
        findings.append(Finding("key file", resolved.api_key.warning, "warning"))
    try:
        client = resolved.client()
    except PanelError as error:
        return [*findings, Finding("settings", str(error), "error")]
    async with client:
        return findings + await _ask(client)


async def _examine_panels(file: PanelsFile, options: JournalOptions) -> list[Finding]:
    """Check each panel of a file: one that cannot be used keeps no other from being checked."""
    sold = f"account {file.account}, {plural(len(file.products), 'product')}"
    findings = [Finding("panels", sold), _check("journal", _journal, options)]
    for name, panel in file.panels.items():
        try:
            resolved = panel.resolve()
            client = resolved.client()
        except PanelError as error:
            findings.append(Finding(name, str(error), "error"))
            continue
        address = settings.mask_password(resolved.base_url.value)
        about = f"{resolved.profile.name} at {address}, key from {resolved.api_key.source}"
        findings.append(Finding(name, about))
        if resolved.api_key.warning:
            findings.append(Finding(name, resolved.api_key.warning, "warning"))
        async with client:
            asked = await _ask(client)
        findings += [Finding(f"{name} {each.name}", each.text, each.level) for each in asked]
    return findings


def _check(name: str, read: Callable[[JournalOptions], str], options: JournalOptions) -> Finding:
    try:
        return Finding(name, read(options))
    except PanelError as error:
        return Finding(name, str(error), "error")


def _key(options: JournalOptions) -> str:
    return f"from {settings.api_key(options.key_file).source}"


def _profile(options: JournalOptions) -> str:
    kind = options.kind()
    return f"{kind.profile.name} ({kind.source})"


def _address(options: JournalOptions) -> str:
    setting = settings.address(options.base_url, options.kind().profile)
    secured = "TLS" if setting.value.startswith("https:") else "no TLS: this machine only"
    return f"{settings.mask_password(setting.value)} ({secured}; {setting.source})"


def _proxy(_: JournalOptions) -> str:
    setting = settings.proxy()
    return (
        "none" if setting is None else f"{settings.mask_password(setting.value)} ({setting.source})"
    )


def _journal(options: JournalOptions) -> str:
    setting = settings.journal(None if options.journal is None else str(options.journal))
    if setting is None:
        return "none: --ref and the commands for orders need --journal or SMMFANFAST_JOURNAL"
    return f"{settings.mask_password(setting.value)} ({setting.source})"


_CHECKS: dict[str, Callable[[JournalOptions], str]] = {
    "profile": _profile,
    "address": _address,
    "proxy": _proxy,
    "key": _key,
    "journal": _journal,
}
"""What is shown of each setting: never the key, and no password."""


async def _ask(client: Client) -> list[Finding]:
    started_s = time.perf_counter()
    try:
        balance = await client.balance()
    except PanelError as error:
        return [Finding("panel", str(error), "error")]
    taken_ms = (time.perf_counter() - started_s) * 1000
    text = f"{balance.balance} {balance.currency or ''}".strip()
    level = "ok" if balance.balance > 0 else "warning"
    return [Finding("panel", f"answered in {taken_ms:.0f} ms"), Finding("balance", text, level)]


MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}

_HERE = JournalOptions()


@handle_errors
async def doctor(*, panel: Flag = False, options: JournalOptions = _HERE) -> int:
    """Run `smmfanfast doctor`.

    Parameters
    ----------
    panel
        Look at the panel, and print a profile for it as TOML.
    """
    if panel:
        if options.panels_file() is not None:
            reason = "and --panel cannot be combined: it looks at the panel of --base-url"
            raise InvalidSettingsError("panels", reason)
        return await print_profile(options)
    findings = await examine(options)
    if options.json:
        output.print_json(
            Console(),
            [{"name": each.name, "text": each.text, "level": each.level} for each in findings],
        )
    else:
        shown = output.table("smmfanfast doctor", "", "check", "result")
        for each in findings:
            mark, style = MARKS[each.level]
            shown.add_row(*map(output.cell, (mark, each.name, each.text), (style, "", "")))
        output.show(shown)
    return REFUSED if any(each.level == "error" for each in findings) else OK
