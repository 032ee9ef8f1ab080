"""Discovery: one look at everything in a snapshot. Reads only; writes its results into a folder of its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from rehouse.discover.columns import find_in_columns
from rehouse.discover.discovery import DISCOVERY, DUPLICATES, FINDING_COLUMNS, FINDINGS, Discovery
from rehouse.discover.profile import custom_fields, pipelines, profile, volumes
from rehouse.discover.records import (
    find_duplicates,
    find_encodings,
    find_files,
    find_ids,
    find_owners,
    find_references,
)
from rehouse.discover.risks import risks
from rehouse.discover.work import Work
from rehouse.events import Progress, Sink, silent
from rehouse.formats.sql import literal
from rehouse.knowledge.load import Layout
from rehouse.staging import Snapshot, connect

STEP = "discover"
EXAMPLES = 20
"""Findings of each kind that the discovery itself shows; all of them are in `findings.parquet`."""


def discover(
    snapshot: Snapshot,
    layout: Layout,
    out: Path,
    sink: Sink | None = None,
    *,
    limit_bytes: int | None = None,
    memory: str = "512MB",
) -> Discovery:
    """Profile a snapshot, find its flaws, and write `discovery.json`, `findings.parquet`, `duplicates.parquet`.

    `limit_bytes` replaces the layout's size limit of files (0: none), inclusive. The result depends on the
    snapshot and the layout only.
    """
    say = sink or silent
    out.mkdir(parents=True, exist_ok=True)
    with connect(snapshot, memory=memory) as con:
        work = Work(con, snapshot, layout)
        work.prepare()
        con.execute(
            "CREATE TEMP TABLE duplicate_groups (object VARCHAR, field VARCHAR, value VARCHAR, "
            "record VARCHAR, survivor VARCHAR)"
        )
        objects: dict[str, Any] = {}
        duplicates: list[dict[str, Any]] = []
        references: list[dict[str, Any]] = []
        for name, staged in snapshot.objects.items():
            objects[name] = profile(work, staged)
            find_ids(work, staged)
            find_encodings(work, staged)
            find_in_columns(work, staged)
            duplicates += find_duplicates(work, staged)
            references += find_references(work, staged)
            say(Progress(STEP, name, staged.rows, staged.rows))
        owners = find_owners(work)
        spec = layout.attachments
        limit = limit_bytes if limit_bytes is not None else spec.limit_bytes if spec else 0
        files = find_files(work, limit)
        findings = _summary(work)
        result = Discovery(
            snapshot=snapshot.id,
            objects=objects,
            findings=findings,
            duplicates={f"{entry['object']}.{entry['field']}": entry for entry in duplicates},
            owners=owners,
            files=files,
            pipelines=tuple(pipelines(work)),
            custom_fields=tuple(custom_fields(objects)),
            references=tuple(references),
            volumes=volumes(work),
            risks=tuple(risks(snapshot, layout, findings, references, objects)),
            automations=_automations(layout),
            completeness=_completeness(snapshot),
            left_out=tuple(asdict(left) for left in snapshot.left_out),
            warnings=snapshot.warnings,
        )
        _write(work, out, result)
    return result


def _summary(work: Work) -> dict[str, Any]:
    counts = dict(work.rows("SELECT kind, count(*) FROM findings GROUP BY kind ORDER BY kind"))
    per_object: dict[str, dict[str, int]] = {}
    for name, kind, count in work.rows(
        "SELECT object, kind, count(*) FROM findings GROUP BY object, kind ORDER BY object, kind"
    ):
        per_object.setdefault(name, {})[kind] = count
    examples: dict[str, list[dict[str, str]]] = {kind: [] for kind in counts}
    columns = ", ".join(FINDING_COLUMNS)
    for row in work.rows(
        f"SELECT {columns} FROM findings QUALIFY row_number() OVER "
        f"(PARTITION BY kind ORDER BY object, field, seq, key) <= {EXAMPLES} ORDER BY kind, object, field, seq, key"
    ):
        examples[row[0]].append(dict(zip(FINDING_COLUMNS, row, strict=True)))
    return {"total": sum(counts.values()), "counts": counts, "by_object": per_object, "examples": examples}


def _automations(layout: Layout) -> dict[str, Any]:
    return {
        "contained": False,
        "statement": "The export contains no automations, rules or notifications; none can be read from it.",
        "not_exported": list(layout.not_exported),
        "questions": list(layout.questions),
    }


def _completeness(snapshot: Snapshot) -> dict[str, Any]:
    controls = [{**asdict(control), "matches": control.matches} for control in snapshot.controls]
    given = snapshot.controls_given
    return {
        "control_totals": given,
        "statement": "compared with control totals" if given else "complete relative to the files",
        "matching": sum(control.matches for control in snapshot.controls),
        "differing": sum(not control.matches for control in snapshot.controls),
        "controls": controls,
        "records": sum(staged.rows for staged in snapshot.objects.values()),
        "source_bytes": sum(source.bytes for source in snapshot.inputs),
        "file_bytes": snapshot.files.bytes,
    }


def _write(work: Work, out: Path, result: Discovery) -> None:
    columns = ", ".join(FINDING_COLUMNS)
    tables = (
        (FINDINGS, f"SELECT {columns} FROM findings ORDER BY kind, object, field, seq, key"),
        (DUPLICATES, "SELECT * FROM duplicate_groups"),
    )
    for name, sql in tables:
        fresh = out / f".{name}.new"
        work.con.execute(f"COPY ({sql}) TO {literal(str(fresh))} (FORMAT parquet, COMPRESSION zstd)")
        fresh.replace(out / name)
    fresh = out / f".{DISCOVERY}.new"
    fresh.write_bytes(orjson.dumps(result.as_dict(), option=orjson.OPT_INDENT_2))
    fresh.replace(out / DISCOVERY)
