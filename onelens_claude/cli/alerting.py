"""`alerts test` and `alerts list`: whether alerts arrive, and what was told to whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from onelens_claude.alerts.delivery import send_sample
from onelens_claude.alerts.log import AlertLog
from onelens_claude.alerts.sending import DeliveryError
from onelens_claude.cli.output import JSON_OPTION, note, print_json, print_table, stdout
from onelens_claude.errors import SettingsError
from onelens_claude.settings import load_settings
from onelens_claude.visible import visible

app = typer.Typer(
    name="alerts",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def alerts() -> None:
    """Try the channels of the settings, or show what they were told."""


@app.command("test")
def try_channels(
    channel: str | None = typer.Option(None, "--channel", metavar="ID", help="Only this channel."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Send a sample to each channel of the settings. Exit 1 if one does not take it."""
    settings = load_settings(needs_keys=False)
    known = ", ".join(one.id for one in settings.alerts)
    if not settings.alerts:
        raise SettingsError(f"{settings.source}: alerts: there is no channel; onelens.example.yaml shows each kind")
    chosen = [one for one in settings.alerts if channel in {None, one.id}]
    if not chosen:
        raise SettingsError(f"{settings.source}: alerts: no channel {channel!r}; known channels: {known}")
    results = []
    for one in chosen:
        try:
            reason = send_sample(settings, one) or "took the sample"
            results.append({"channel": one.id, "kind": one.kind, "ok": True, "reason": reason})
        except (DeliveryError, SettingsError) as error:
            results.append({"channel": one.id, "kind": one.kind, "ok": False, "reason": str(error)})
    if as_json:
        print_json({"ok": all(one["ok"] for one in results), "channels": results})
    else:
        for result in results:
            mark, style = ("ok  ", "green") if result["ok"] else ("FAIL", "bold red")
            stdout.print(mark, style=style, end=" ")
            stdout.print(visible(f"{result['channel']} ({result['kind']}): {result['reason']}"), soft_wrap=True)
    if not all(one["ok"] for one in results):
        raise typer.Exit(1)


@app.command("list")
def list_alerts(as_json: bool = JSON_OPTION) -> None:
    """Show what each channel was told, what waits, and which channels are down."""
    settings = load_settings(needs_keys=False)
    log = AlertLog(settings.alerts_path)
    rows, down = log.rows(), log.down()
    if as_json:
        print_json({"alerts": rows, "down": [asdict(one) for one in down]})
        return
    own = [row for row in rows if row["told_in"] is None]
    if own:
        print_table(
            ["first seen (UTC)", "channel", "status", "alert"],
            [(f"{row['first_seen_at']:%Y-%m-%d %H:%M}", row["channel"], _status(row), row["title"]) for row in own],
        )
        if len(rows) > len(own):
            note(f"{len(rows) - len(own)} more were told in the message of another of these; --json shows them.")
    else:
        note("No channel was told anything yet.")
    for one in down:
        note(f"{one.channel} is down since {one.down_since:%Y-%m-%d %H:%M} UTC: {one.last_error}")


def _status(row: dict[str, Any]) -> str:
    """Return the status, with the attempts where one was not enough."""
    return f"{row['status']}, {row['attempts']} attempts" if row["attempts"] > 1 else str(row["status"])
