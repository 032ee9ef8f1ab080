"""The verbs, in the order in which a person meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rehouse.cli.decide import app as decide_app
from rehouse.cli.frame import DIFFERENCES, QUARANTINED, By, In, Json, Reason, at_work, guarded, show

app = typer.Typer(
    name="rehouse",
    help="Moves a company's CRM from one platform to another and proves that it arrived.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
connect_app = typer.Typer(help="Say where the export lies and how to reach the target.", no_args_is_help=True)
app.add_typer(connect_app, name="connect")
app.add_typer(decide_app, name="decide")
HERE = Path()


@app.callback(invoke_without_command=True)
def top(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Moves a company's CRM from one platform to another and proves that it arrived."""
    if version:
        from rehouse import __version__

        typer.echo(f"rehouse {__version__}")
        raise typer.Exit


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the migration; becomes a folder.")],
    source: Annotated[str, typer.Option("--from", help="Source platform, e.g. planports.")],
    target: Annotated[str, typer.Option("--to", help="Target platform, e.g. salesforce.")],
    as_json: Json = False,
) -> None:
    """Make the folder of a migration.

    Example: rehouse new acme --from planports --to salesforce
    """
    from rehouse.cli import screens as views
    from rehouse.migration import Migration

    migration = Migration.new(Path(name), source, target)
    data = {"version": 1, "folder": str(migration.workspace.folder), "source": source, "target": target}
    show(as_json, data, views.show_new)


@connect_app.command("source")
def connect_source(
    path: Annotated[Path, typer.Argument(help="The export: a folder, a workbook or a CSV file.")],
    control_totals: Annotated[
        Path | None, typer.Option(help="YAML with counts and sums read from the source's own screens.")
    ] = None,
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Remember where the export lies.

    Example: rehouse connect source exports/ --control-totals totals.yaml
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.connect_source(path, control_totals)
    show(as_json, {"version": 1, **data}, views.show_connected)


@connect_app.command("target")
def connect_target(
    url: Annotated[str, typer.Option(help="Address of the org, e.g. https://acme.my.salesforce.com")],
    client_id: Annotated[str, typer.Option(help="Consumer key of the connected app.")] = "",
    username: Annotated[str, typer.Option(help="User name (for a JWT login).")] = "",
    ca: Annotated[str, typer.Option(help="File of a private certificate authority.")] = "",
    keep: Annotated[bool, typer.Option(help="Keep the secrets found in the environment in the OS keyring.")] = False,
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Remember how to reach the target and ask it who it is. Secrets come from REHOUSE_TARGET_TOKEN,
    REHOUSE_TARGET_CLIENT_SECRET, REHOUSE_TARGET_PRIVATE_KEY or the OS keyring, never from a file.

    Example: REHOUSE_TARGET_TOKEN=… rehouse connect target --url http://127.0.0.1:8484
    """
    from rehouse.cli import screens as views

    given = {"url": url, "client_id": client_id, "username": username, "ca": ca}
    with at_work(folder, as_json) as migration:
        data = migration.connect_target({k: v for k, v in given.items() if v}, keep_secrets=keep)
    show(as_json, {"version": 1, **data}, views.show_connected)


@app.command()
def discover(
    file: Annotated[Path | None, typer.Argument(help="An export, before anything is set up.")] = None,
    source: Annotated[str, typer.Option("--from", help="Source platform of FILE.")] = "planports",
    control_totals: Annotated[Path | None, typer.Option(help="Control totals for FILE.")] = None,
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Read the source: counts, quality, owners, risks. Writes the scope and the quality report.

    Example: rehouse discover export.xlsx
    """
    from rehouse.cli import screens as views

    if file is not None:
        from rehouse.migration import discover_file

        with views.watching(as_json) as sink:
            data = discover_file(file, source, control_totals, sink)
    else:
        with at_work(folder, as_json) as migration:
            data = migration.discover().as_dict()
            data["reports"] = [str(migration.workspace.reports / f"{n}.html") for n in ("scope", "quality")]
    show(as_json, {"version": 1, **data}, views.show_discovery)


@app.command("map")
def map_(
    only: Annotated[str, typer.Argument(help="Show only rows whose id begins with this.")] = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Write the mapping (blueprint, completed from the data) and list its rows with their confirmations.

    Example: rehouse map contacts.Contact
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        added = migration.map().added
        listed = migration.map_rows(only)
    data = {"version": 1, "added": list(added), "rows": listed, "folder": str(migration.workspace.mapping)}
    show(as_json, data, views.show_map)


@app.command()
def confirm(
    names: Annotated[list[str] | None, typer.Argument(help="Row ids or objects, e.g. contacts.Contact.Email.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Confirm every row as it stands.")] = False,
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Confirm mapping rows by name. An edit withdraws the confirmation of that row and what depends on it.

    Example: rehouse confirm contacts --by "Ayşe Yılmaz"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        rows = migration.confirm(names or [], by, everything=everything, reason=reason)
        left = migration.status()["confirmed"]
    data = {"version": 1, "confirmed": [r.id for r in rows], "rows": left["rows"], "of": left["of"]}
    show(as_json, data, views.show_confirmed)


@app.command()
def plan(folder: In = HERE, as_json: Json = False) -> None:
    """Make a plan: schema, owners, stages, automations, forecast, and what is undecided. Moves nothing.

    Example: rehouse plan
    """
    from rehouse.cli import screens as views
    from rehouse.plan.build import OWNERS

    with at_work(folder, as_json) as migration:
        made, gates = migration.plan()
        owners = json.loads((migration.load_plan(made.digest)[1] / OWNERS).read_text(encoding="utf-8"))
        confirmed = migration.status()["confirmed"]
    data = {
        **made.as_dict(),
        "confirmed": confirmed,
        "owners": owners,
        "gates": [g.as_dict() for g in gates],
        "report": str(migration.workspace.reports / "plan.html"),
    }
    show(as_json, data, views.show_plan)


@app.command()
def sample(
    reference: Annotated[str, typer.Argument(metavar="PLAN", help="Digest of the plan (default: the newest).")] = "",
    size: Annotated[int, typer.Option(help="Records to move; parents are added.", min=1)] = 200,
    approve: Annotated[bool, typer.Option("--approve", help="Approve the last sample's diff by name.")] = False,
    by: By = "",
    reason: Reason = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Load a few records of every kind through the real path, read them back, show the field-level diff.

    Example: rehouse sample --size 300, then: rehouse sample --approve --by "Ayşe Yılmaz"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        report = str(migration.workspace.reports / "sample.html")
        if approve:
            approval = migration.approve_sample(by, reason)
            show(as_json, {"version": 1, **approval.model_dump()}, views.show_approval)
            return
        result = migration.sample(size, by, reference)
    show(as_json, {"version": 1, **result.diff.as_dict(), "report": report}, views.show_diff)
    if result.diff.unexplained:
        raise typer.Exit(DIFFERENCES)


@app.command("apply")
def apply_(
    reference: Annotated[str, typer.Argument(metavar="PLAN", help="Digest of the plan (default: the newest).")] = "",
    by: By = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Load everything: schema, records, files. Refuses while a gate is shut; resumes what was interrupted.

    Example: rehouse apply 3f2a91c07b54 --by "Ayşe Yılmaz"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        run = migration.apply(reference, by)
        data = {"version": 1, "run": run, **migration.loaded()}
    show(as_json, data, views.show_applied)
    if data["refused"]:
        raise typer.Exit(QUARANTINED)


@app.command("reconcile")
def reconcile_(folder: In = HERE, as_json: Json = False) -> None:
    """Read everything back, compare every record and mapped field, balance the books, write the report.

    Example: rehouse reconcile
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        result, data = migration.reconcile()
    show(as_json, {"version": 1, **data}, views.show_completion)
    if not (result.clean and data["done"]):
        raise typer.Exit(DIFFERENCES)


@app.command()
def rollback(
    plan_only: Annotated[bool, typer.Option("--plan", help="Say what would go and what stays; write nothing.")] = False,
    confirm_target: Annotated[str, typer.Option("--confirm", help="Name of the target org, typed out.")] = "",
    by: By = "",
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """Put the target back: delete what was created, restore what was changed, keep and list what others touched.

    Example: rehouse rollback --plan, then: rehouse rollback --confirm "Acme Test" --by "Ayşe Yılmaz"
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        undo = migration.rollback(by, plan_only=plan_only, confirm=confirm_target)
    data: dict[str, Any] = {
        "version": 1,
        "done": not plan_only,
        **undo.as_dict(),
        "report": str(migration.workspace.reports / "rollback.html"),
    }
    show(as_json, data, views.show_rollback)


@app.command()
def explain(
    object_name: Annotated[str, typer.Argument(metavar="OBJECT", help="Source object, e.g. contacts.")],
    key: Annotated[str, typer.Argument(help="Key of the record in the source.")],
    folder: In = HERE,
    as_json: Json = False,
) -> None:
    """One record's story: from the cell of the export to the field of the target and back.

    Example: rehouse explain contacts 1042
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.explain(object_name, key)
    show(as_json, {"version": 1, **data}, views.show_story)


@app.command()
def status(folder: In = HERE, as_json: Json = False) -> None:
    """Where the migration stands and what comes next.

    Example: rehouse status --json
    """
    from rehouse.cli import screens as views

    with at_work(folder, as_json) as migration:
        data = migration.status()
    show(as_json, data, views.show_status)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the demo.")] = Path("rehouse-demo"),
    contacts: Annotated[int, typer.Option(help="Size of the sample company.", min=100)] = 600,
    keep: Annotated[bool, typer.Option(help="Keep the sandbox running at the end, to look at it.")] = False,
    as_json: Json = False,
) -> None:
    """A whole migration with sample data into a local Salesforce sandbox; no account needed.

    Example: rehouse demo
    """
    from rehouse.demo.run import run_demo

    run_demo(folder, contacts=contacts, keep=keep, as_json=as_json)


@app.command()
def sandbox(
    platform: Annotated[str, typer.Argument(help="Platform to stand in for: salesforce.")],
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1 (0: any free one).")] = 0,
    token: Annotated[str | None, typer.Option(help="A bearer token that is accepted as a live session.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Serve https with a local certificate authority.")] = False,
    store: Annotated[Path | None, typer.Option(help="Folder that keeps the org (default: a temporary one).")] = None,
    edition: Annotated[str, typer.Option(help="Edition, which sets the limits.")] = "Enterprise",
    seed: Annotated[Path | None, typer.Option(help="JSON with records the org holds at first.")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Port of the clock-and-faults interface.")] = None,
    as_json: Json = False,
) -> None:
    """A local server with the platform's own wire protocol. Prints one line when it is ready; ends on SIGTERM.

    Example: rehouse sandbox salesforce --port 8484 --token T --json
    """
    from rehouse.cli.serving import serve_sandbox

    serve_sandbox(platform, port, token, tls, store, edition, seed, admin_port, as_json)


def run() -> None:
    """Run the command line and end the process."""
    guarded(app)
