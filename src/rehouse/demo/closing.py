"""The end of the demo: where everything lies, how to look at the target, what has not been tried."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

from rehouse.demo.act import Act
from rehouse.demo.server import API
from rehouse.demo.tell import SOFT, STRONG, WARN

KINDS = ("completion", "sample", "plan", "quality", "scope", "rollback")


def reports(act: Act) -> list[Path]:
    """The reports that were written, the most important first."""
    folder = act.migration.workspace.reports
    return [path for kind in KINDS if (path := folder / f"{kind}.html").is_file()]


def closing(act: Act, clean: bool) -> None:
    """Say where to look and what was not tried."""
    tell = act.tell
    tell.step("Where to look")
    tell.say("Reports (open them in a browser):")
    for path in reports(act):
        tell.line(str(path))
    _how_to_ask(act)
    tell.say("What has not been tried:", WARN)
    for line in act.facts["completion"]["limits_said"]:
        tell.line(f"- {line}", WARN)
    tell.title("")
    seconds = f"{tell.seconds:.0f} seconds"
    if clean:
        tell.title(f"Done in {seconds}: every record is accounted for, nothing is unexplained.")
    else:
        tell.title(f"Ended after {seconds}, and NOT everything adds up: look at the lines marked ✗.")


def _how_to_ask(act: Act) -> None:
    tell, server = act.tell, act.server
    token = "look"
    if act.keep:
        token = server.token
        tell.say(f"The sandbox still runs (process {server.process.pid}); end it with: kill {server.process.pid}")
    else:
        tell.say("The sandbox has ended; its org is kept. Start it again on the same store and port:")
        start = f"rehouse sandbox salesforce --tls --store {quote(str(act.place.org))} --port {server.port}"
        tell.line(f"{start} --token {token}", STRONG)
    tell.say("In another terminal, for all of the following:")
    tell.line(f"export REHOUSE_TARGET_TOKEN={quote(token)} REQUESTS_CA_BUNDLE={quote(server.ca)}")
    soql = "SELECT+Name,Email,Legacy_Id__c+FROM+Contact+WHERE+Legacy_Id__c+!=+null+LIMIT+3"
    tell.say("Ask it with curl:")
    tell.line(
        'curl --cacert "$REQUESTS_CA_BUNDLE" -H "Authorization: Bearer $REHOUSE_TARGET_TOKEN" '
        f"'{server.url}/services/data/{API}/query?q={soql}'"
    )
    tell.say("or with a client that is not ours (pip install simple-salesforce):")
    tell.line("import os")
    tell.line("from simple_salesforce import Salesforce")
    tell.line(f"sf = Salesforce(session_id=os.environ['REHOUSE_TARGET_TOKEN'], instance_url='{server.url}')")
    tell.line("print(sf.query('SELECT COUNT(Id) FROM Contact'))")
    tell.say("or with Rehouse; the migration is a folder as any other:")
    tell.line(f"cd {quote(str(act.place.migration))} && rehouse status && rehouse reconcile")
    tell.line(f"rehouse rollback --confirm {quote(act.facts['org']['name'])} --by YOU   # puts the org back", SOFT)


def document(act: Act, clean: bool) -> dict[str, Any]:
    """What `--json` prints. The token is not in it."""
    done, facts = act.facts["completion"], act.facts
    return {
        "version": 1,
        "clean": clean,
        "books": done["books"],
        "targets": done["targets"],
        "flaws": facts["flaws"],
        "unexplained_differences": done["diff"]["unexplained"],
        "reports": [str(path) for path in reports(act)],
        "folder": str(act.place.root),
        "migration": str(act.place.migration),
        "sizes": {name: getattr(act.composed.sizes, name) for name in act.composed.sizes.__slots__},
        "flaws_by_kind": facts["flaws_by_kind"],
        "mapping_rows": facts["mapping_rows"],
        "refused": facts["refused"],
        "owners": facts["owners"],
        "thresholds": facts.get("thresholds", {}),
        "plan": act.planned().digest,
        "sample": facts["sample"],
        "kill": facts["kill"],
        "story": facts["story"],
        "before": facts["before"],
        "diff": {name: done["diff"][name] for name in ("records", "compared_values", "verdicts")},
        "forecast": done["forecast"],
        "actual": done["actual"],
        "rollback_plan": facts["rollback_plan"],
        "sandbox": {
            "url": act.server.url,
            "ca": act.server.ca,
            "store": str(act.place.org),
            "running": act.keep,
            "pid": act.server.process.pid if act.keep else None,
        },
        "not_tried": done["limits_said"],
        "seconds": round(act.tell.seconds, 1),
    }
