"""From a discovery to the data of two reports: the scope document and the data-quality report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehouse.discover.kinds import KINDS
from rehouse.reports.data import FieldFacts, ObjectFacts, QualityData, ScopeData

_EXAMPLES = 3


def scope_of(
    discovery: Mapping[str, Any],
    *,
    migration: str = "",
    made_at: str = "",
    platform: str = "",
    label: str = "",
    inputs: tuple[Mapping[str, Any], ...] = (),
) -> ScopeData:
    """The scope document of `Discovery.as_dict()`. `inputs` are the snapshot's files (name, bytes, sha256)."""
    complete = discovery.get("completeness") or {}
    given = bool(complete.get("control_totals"))
    return ScopeData(
        migration=migration,
        made_at=made_at,
        source={
            "platform": platform,
            "label": label,
            "snapshot": discovery.get("snapshot", ""),
            "files": inputs,
            "controls": complete.get("controls", ()),
            "complete": "relative to control totals" if given else "relative to the files",
        },
        objects=[_object(name, facts) for name, facts in discovery.get("objects", {}).items()],
        pipelines=discovery.get("pipelines", ()),
        owners=[
            {"email": email, "name": o["name"], "status": o["status"], "counts": o["records"]}
            for email, o in discovery.get("owners", {}).items()
        ],
        files=discovery.get("files", {}),
        risks=discovery.get("risks", ()),
        automations=discovery.get("automations", {}),
        facts=_facts(discovery),
        volumes=_volumes(discovery),
    )


def _object(name: str, facts: Mapping[str, Any]) -> ObjectFacts:
    fields = [
        FieldFacts(
            name=column["name"],
            header=column["header"],
            kind=column["kind"],
            fill=column["fill_rate"],
            distinct=column["distinct"],
            custom=column["custom"],
            examples=[top["value"] for top in column["top"][:_EXAMPLES]],
        )
        for column in facts["columns"]
        if column["present"]
    ]
    return ObjectFacts(name=name, rows=facts["rows"], fields=fields)


def _facts(discovery: Mapping[str, Any]) -> list[str]:
    lines = [f"{left['name']} was not read: {left['reason']}" for left in discovery.get("left_out", ())]
    for name, facts in discovery.get("objects", {}).items():
        if facts.get("duplicates"):
            lines.append(f"{name}: {facts['duplicates']:,} rows lose against another row with the same id")
        if facts.get("without_key"):
            lines.append(f"{name}: {facts['without_key']:,} rows have no id")
    return [*lines, *discovery.get("warnings", ())]


def _volumes(discovery: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    files = discovery.get("files") or {}
    rows: list[Mapping[str, Any]] = [
        {"object": name, "records": facts["rows"]} for name, facts in discovery.get("objects", {}).items()
    ]
    if files.get("given"):
        rows.append({"object": "attached files on disk", "records": files["found"], "bytes": files["bytes"]})
    return rows


def quality_of(discovery: Mapping[str, Any], *, migration: str = "", made_at: str = "") -> QualityData:
    """The data-quality report of `Discovery.as_dict()`, gravest kind of finding first."""
    findings = discovery.get("findings") or {"counts": {}, "by_object": {}, "examples": {}}
    grave = {"high": 0, "medium": 1, "low": 2}
    lines = [
        {
            "kind": kind,
            "severity": KINDS[kind].severity,
            "count": count,
            "affects": KINDS[kind].affects,
            "objects": {obj: kinds[kind] for obj, kinds in findings["by_object"].items() if kind in kinds},
            "mitigation": KINDS[kind].mitigation,
            "examples": findings["examples"].get(kind, ()),
        }
        for kind, count in findings["counts"].items()
    ]
    lines.sort(key=lambda line: (grave[line["severity"]], -line["count"], line["kind"]))
    return QualityData(
        migration=migration,
        made_at=made_at,
        findings=lines,
        duplicates=list((discovery.get("duplicates") or {}).values()),
        completeness=[
            {
                "object": name,
                "field": column["name"],
                "header": column["header"],
                "rows": facts["rows"],
                "filled": column["filled"],
                "fill": column["fill_rate"],
                "required": column["required"],
            }
            for name, facts in discovery.get("objects", {}).items()
            for column in facts["columns"]
            if column["present"]
        ],
        recommendations=[f"{line['affects']} ({line['count']:,}): {line['mitigation']}" for line in lines],
    )
