"""`rehouse decide`: owners, risks, automations, issues and thresholds, singly or in bulk, by name and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rehouse.cli.frame import By, In, Json, Reason, at_work, show

app = typer.Typer(help="Settle owners, risks, automations, issues and thresholds by name.", no_args_is_help=True)
HERE = Path()


@app.command()
def owner(
    email: Annotated[str, typer.Argument(help="The source owner's e-mail ('' for records without an owner).")],
    to: Annotated[str, typer.Option(help="User (e-mail or name) or queue of the target.")],
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Who takes over one owner's records.

    Example: rehouse decide owner eski@acme.com.tr --to ayse@acme.com --by "Ayşe" --reason "left in May"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.decide_owners([email], to, by, reason)
    show(as_json, data, views.show_decided)


@app.command()
def owners(
    to: Annotated[str, typer.Option(help="User (e-mail or name) or queue of the target.")] = "",
    departed: Annotated[bool, typer.Option("--departed", help="All owners who left the source.")] = False,
    unknown: Annotated[bool, typer.Option("--unknown", help="All owners the source does not list.")] = False,
    rest: Annotated[bool, typer.Option("--rest", help="All that are not matched or decided.")] = False,
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """List owners, or settle many at once. The original owner's e-mail stays in a field of its own.

    Example: rehouse decide owners --departed --to ayse@acme.com --by "Ayşe" --reason "left the company"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        listed = migration.owners()
        if not to:
            show(as_json, {"version": 1, "owners": listed}, views.show_owners)
            return
        data = migration.decide_owner_group(listed, to, by, reason, departed=departed, unknown=unknown, rest=rest)
    show(as_json, data, views.show_decided)


@app.command()
def risk(
    ids: Annotated[list[str], typer.Argument(help="Ids of risks, or 'all'.")],
    accept: Annotated[bool, typer.Option("--accept", help="Accept by name.")] = False,
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Accept risks by name. Without --accept nothing is written.

    Example: rehouse decide risk R3 --accept --by "Ayşe" --reason "two old files, we do not need them"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.decide_risks(ids, by, reason, accept=accept)
    show(as_json, data, views.show_decided)


@app.command()
def automation(
    automation_id: Annotated[str, typer.Argument(metavar="ID", help="Id as the plan lists it.")],
    off: Annotated[bool, typer.Option("--off/--leave", help="Off while loading (put back after), or left on.")] = True,
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """What happens to an automation of the target while records load.

    Example: rehouse decide automation DuplicateRule:Contact.Strict --off --by "Ayşe" --reason "checked twice"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.decide_automation(automation_id, by, reason, off=off)
    show(as_json, data, views.show_decided)


@app.command()
def issue(
    row: Annotated[str, typer.Argument(help="Mapping row, e.g. contacts.Contact.Email.")],
    code: Annotated[str, typer.Argument(help="Code as the plan lists it, e.g. invalid_email.")],
    empty: Annotated[bool, typer.Option("--empty/--quarantine", help="Load without the value, or quarantine.")] = True,
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """What happens to records whose value has this issue. The default is quarantine.

    Example: rehouse decide issue contacts.Contact.Email invalid_email --empty --by "Ayşe" --reason "phone is enough"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.decide_issue(row, code, by, reason, empty=empty)
    show(as_json, data, views.show_decided)


@app.command()
def threshold(
    name: Annotated[str, typer.Argument(help="quarantine_percent, quarantined_open_deals, quarantined_accounts …")],
    value: Annotated[float, typer.Argument(help="The figure from now on.")],
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Change a gate's figure by name and reason.

    Example: rehouse decide threshold quarantine_percent 2 --by "Ayşe" --reason "old test records"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.decide_threshold(name, value, by, reason)
    show(as_json, data, views.show_decided)
