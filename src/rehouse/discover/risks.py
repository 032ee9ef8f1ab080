"""The risk register that discovery opens: every kind of finding and every limit of the export is a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rehouse.discover.kinds import HIGH, KINDS, LOW, MEDIUM
from rehouse.knowledge.load import Layout
from rehouse.staging import Snapshot

_ORDER = (HIGH, MEDIUM, LOW)
_EVIDENCE = 5


def risks(
    snapshot: Snapshot,
    layout: Layout,
    findings: Mapping[str, Any],
    references: Sequence[Mapping[str, Any]],
    objects: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The register, gravest first. Ids are stable between discoveries, so earlier decisions can be kept."""
    found = [
        *_from_findings(findings),
        *_from_controls(snapshot),
        *_from_export(snapshot, layout),
        *_from_references(references),
        *_from_letters(objects),
    ]
    return sorted(found, key=lambda risk: (_ORDER.index(risk["severity"]), risk["id"]))


def _risk(name: str, severity: str, what: str, count: int, evidence: Sequence[str], mitigation: str) -> dict[str, Any]:
    return {
        "id": name,
        "severity": severity,
        "what": what,
        "count": count,
        "evidence": list(evidence),
        "mitigation": mitigation,
        "status": "open",
        "owner": "",
    }


def _from_findings(findings: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = []
    for kind, count in findings["counts"].items():
        known = KINDS[kind]
        examples = findings["examples"][kind][:_EVIDENCE]
        evidence = [" ".join(part for part in (e["object"], e["key"], e["field"]) if part) for e in examples]
        result.append(_risk(kind, known.severity, known.affects, count, evidence, known.mitigation))
    return result


def _from_controls(snapshot: Snapshot) -> list[dict[str, Any]]:
    if not snapshot.controls_given:
        what = "no control totals: every statement is complete relative to the files"
        hint = "copy counts and sums from the source's own screens into control_totals.yaml"
        return [_risk("no_control_totals", MEDIUM, what, len(snapshot.objects), [], hint)]
    wrong = [control for control in snapshot.controls if not control.matches]
    if not wrong:
        return []
    evidence = [
        f"{c.object} {c.what} {c.column} {c.group}: found {c.found}, expected {c.expected}".replace("  ", " ")
        for c in wrong
    ]
    what = "figures that differ from the control totals"
    hint = "export again, or explain the difference before anything is loaded"
    return [_risk("control_totals_differ", HIGH, what, len(wrong), evidence, hint)]


def _from_export(snapshot: Snapshot, layout: Layout) -> list[dict[str, Any]]:
    result = [
        _risk(
            f"not_exported_{number}",
            MEDIUM,
            f"the export does not contain {text}",
            0,
            ["by the platform's description"],
            "answer the questions of the automation inventory; rebuild by hand in the target",
        )
        for number, text in enumerate(layout.not_exported, 1)
    ]
    hidden = [left.name for left in snapshot.left_out if "its name is that of object" in left.reason]
    if hidden:
        what = "hidden sheets that bear the name of an object were not read"
        result.append(_risk("hidden_sheets", HIGH, what, len(hidden), hidden, "unhide them or confirm"))
    unknown = [left.name for left in snapshot.left_out if left.reason.startswith(("not in scope", "a CSV file"))]
    if unknown:
        what = "sheets and files that no object of the layout names were not read"
        result.append(_risk("out_of_scope", MEDIUM, what, len(unknown), unknown[:_EVIDENCE], "confirm the scope"))
    if not layout.verified:
        what = "the layout of this export has not been confirmed by a real one"
        hint = "compare sheets and columns with the source's screens"
        result.append(_risk("layout_unverified", LOW, what, 0, [], hint))
    cut = [warning for warning in snapshot.warnings if "cut" in warning and "characters" in warning]
    if cut:
        what = "texts that the source cut at the longest cell of a workbook"
        result.append(_risk("texts_cut", MEDIUM, what, len(cut), cut[:_EVIDENCE], "export this object as CSV"))
    return result


def _from_references(references: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    open_ended = [r for r in references if not r["checked"] and r["filled"]]
    if not open_ended:
        return []
    evidence = [f"{r['object']}.{r['field']} → {r['to']}: {r['filled']:,}" for r in open_ended]
    count = sum(r["filled"] for r in open_ended)
    what = "references to objects that are not in the export could not be checked"
    return [_risk("references_unchecked", MEDIUM, what, count, evidence, "export these objects too")]


def _from_letters(objects: Mapping[str, Any]) -> list[dict[str, Any]]:
    lost = [
        (f"{name}.{column['name']}: {column['lost_letters']:,}", column["lost_letters"])
        for name, facts in objects.items()
        for column in facts["columns"]
        if column["lost_letters"]
    ]
    if not lost:
        return []
    what = "cells that hold the replacement character: letters were lost before the export"
    evidence = [text for text, _ in lost]
    return [_risk("letters_lost", LOW, what, sum(n for _, n in lost), evidence, "correct them in the source")]
