"""Complete a shipped blueprint with what only the data knows: pipelines, stages and custom columns.

Nothing that a person wrote is changed: a field, an option map or a record type that is already there stays.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from rehouse.errors import UserError
from rehouse.knowledge.load import Layout, PipelineLayout
from rehouse.mapping.edit import add_created_field, add_field, set_creates_record_types, set_option_map
from rehouse.mapping.expressions import Option, RecordType, columns_used, expand
from rehouse.mapping.load import load_recipe
from rehouse.mapping.schema import ObjectMapping, Output, Recipe
from rehouse.plan.engine import ident, parquet
from rehouse.staging.manifest import Snapshot, StagedColumn


@dataclass(frozen=True, slots=True)
class Completed:
    """What was added: rows by mapping file, in words."""

    added: tuple[str, ...]


def blueprint_names() -> list[str]:
    """Pairs that ship with a blueprint, as `source-target`."""
    root = resources.files("rehouse.knowledge") / "blueprints"
    return sorted(p.name for p in root.iterdir() if p.is_dir())


def copy_blueprint(source: str, target: str, folder: Path) -> list[Path]:
    """Copy the pair's blueprint into a mapping folder, file by file, keeping files that are there already."""
    name = f"{source}-{target}"
    if name not in blueprint_names():
        raise UserError(
            f"no blueprint is shipped for {source} → {target}",
            hint=f"pairs with a blueprint: {', '.join(blueprint_names())}; or write mapping files by hand",
        )
    folder.mkdir(parents=True, exist_ok=True)
    copied = []
    with resources.as_file(resources.files("rehouse.knowledge") / "blueprints" / name) as shipped:
        for file in sorted(shipped.glob("*.yaml")):
            if not (folder / file.name).exists():
                shutil.copy(file, folder / file.name)
                copied.append(folder / file.name)
    return copied


def known_fields(source: str, target: str) -> dict[tuple[str, str], dict[str, str]]:
    """(object, column) → field and label, for custom columns that this pair is known to have."""
    file = resources.files("rehouse.knowledge") / "blueprints" / f"{source}-{target}" / "known_fields.yml"
    if not file.is_file():
        return {}
    data = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return {(k["object"], k["column"]): k for k in data["known"]}


def complete(folder: Path, snapshot: Snapshot, layout: Layout) -> Completed:
    """Add pipelines, stages and custom columns of the snapshot to the mapping files of a migration."""
    columns = {n: [c.name for c in o.columns] for n, o in snapshot.objects.items()}
    recipe = load_recipe(folder, columns)
    added = _pipelines(folder, recipe, snapshot, layout)
    recipe = load_recipe(folder, columns)
    added += _custom_columns(folder, recipe, snapshot)
    return Completed(tuple(added))


# ── pipelines and stages ──────────────────────────────────────────────────────────────────────────────


def _pipelines(folder: Path, recipe: Recipe, snapshot: Snapshot, layout: Layout) -> list[str]:
    where = layout.pipelines
    if where is None or where.object not in snapshot.objects or where.object not in recipe.objects:
        return []
    mapping = recipe.objects[where.object]
    output, type_field, stage_field = _pipeline_fields(mapping)
    if output is None or recipe.blueprint.creates.record_types:
        return []
    found = _stages(snapshot, where)
    names = _stage_names(found)
    types = []
    for pipeline, stages in found.items():
        listed = [
            {
                "value": names[pipeline, s["stage"]],
                "probability": s["probability"],
                "won": s["won"],
                "closed": s["closed"],
                "category": "Closed" if s["won"] else "Omitted" if s["closed"] else "Pipeline",
            }
            for s in stages
        ]
        types.append({"object": output.to, "name": api_name(pipeline), "label": pipeline, "stages": listed})
    set_creates_record_types(folder / "blueprint.yaml", types)
    file = folder / f"{where.object}.yaml"
    set_option_map(file, output.name, type_field, {p: api_name(p) for p in found})
    set_option_map(file, output.name, stage_field, {f"{p} / {s}": v for (p, s), v in names.items()})
    stages_added = sum(len(s) for s in found.values())
    return [f"{len(found)} pipelines as record types with {stages_added} stages (from {where.object})"]


def _pipeline_fields(mapping: ObjectMapping) -> tuple[Output | None, str, str]:
    for output in mapping.outputs.values():
        types = [n for n, e in output.fields.items() if isinstance(e, RecordType) and not e.map]
        stages = [n for n, e in output.fields.items() if isinstance(e, Option) and not e.map]
        if types and stages:
            return output, types[0], stages[0]
    return None, "", ""


def _stages(snapshot: Snapshot, where: PipelineLayout) -> dict[str, list[dict[str, Any]]]:
    """Stages of every pipeline in the order of their probability, with what the data says of them."""
    probability = ident(where.probability) if where.probability else "NULL"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT trim({ident(where.pipeline)}), trim({ident(where.stage)}), trim({ident(where.status)}), "
            f"{probability}, count(*) FROM {parquet(snapshot.objects[where.object].path)} "
            f"WHERE nullif(trim({ident(where.pipeline)}), '') IS NOT NULL "
            f"AND nullif(trim({ident(where.stage)}), '') IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    statuses: dict[tuple[str, str], Counter[str]] = {}
    odds: dict[tuple[str, str], Counter[int]] = {}
    for pipeline, stage, status, chance, count in rows:
        key = unicodedata.normalize("NFC", pipeline), unicodedata.normalize("NFC", stage)
        statuses.setdefault(key, Counter())[status or ""] += count
        digits = re.sub(r"[^0-9]", "", (chance or "").split(",")[0])
        if digits:
            odds.setdefault(key, Counter())[min(int(digits), 100)] += count
    result: dict[str, list[dict[str, Any]]] = {}
    for (pipeline, stage), counted in statuses.items():
        usual = counted.most_common(1)[0][0]
        won, lost = usual in where.won, usual in where.lost
        chance = odds[pipeline, stage].most_common(1)[0][0] if (pipeline, stage) in odds else 0
        result.setdefault(pipeline, []).append(
            {
                "stage": stage,
                "probability": 100 if won else 0 if lost else chance,
                "won": won,
                "closed": won or lost,
            }
        )
    for stages in result.values():
        stages.sort(key=lambda s: (s["closed"], not s["won"], s["probability"], s["stage"]))
    return result


def _stage_names(found: Mapping[str, list[dict[str, Any]]]) -> dict[tuple[str, str], str]:
    """A stage keeps its name; where two pipelines mean different things by it, the name says which."""
    meanings: dict[str, set[tuple[Any, ...]]] = {}
    for stages in found.values():
        for s in stages:
            meanings.setdefault(s["stage"], set()).add((s["probability"], s["won"], s["closed"]))
    return {
        (pipeline, s["stage"]): s["stage"] if len(meanings[s["stage"]]) == 1 else f"{s['stage']} ({pipeline})"
        for pipeline, stages in found.items()
        for s in stages
    }


# ── custom columns ────────────────────────────────────────────────────────────────────────────────────


def _custom_columns(folder: Path, recipe: Recipe, snapshot: Snapshot) -> list[str]:
    known = known_fields(recipe.blueprint.source, recipe.blueprint.target)
    added = []
    for name, mapping in recipe.objects.items():
        if name not in snapshot.objects:
            continue
        used = {
            column
            for output in mapping.outputs.values()
            for node in output.fields.values()
            for column in columns_used(expand(node, mapping.values))
        }
        output = _main_output(mapping)
        for column in snapshot.objects[name].columns:
            if not column.custom or column.name in used or column.name in mapping.dropped or output is None:
                continue
            chosen = known.get((name, column.name), {})
            field = chosen.get("field") or f"{api_name(column.header)}__c"
            label = chosen.get("label") or column.header
            _create(folder, recipe, output, field, label, column)
            add_field(folder / f"{name}.yaml", output.name, field, _expression(column))
            added.append(f"{name}.{column.name} → {output.to}.{field} (custom column {column.header!r})")
    return added


def _main_output(mapping: ObjectMapping) -> Output | None:
    """The output that stands for the row itself: keyed by the row, not merged."""
    return next((o for o in mapping.outputs.values() if o.merge is None and o.match_only is None), None)


def _create(folder: Path, recipe: Recipe, output: Output, field: str, label: str, column: StagedColumn) -> None:
    if any(c.object == output.to and c.field.name == field for c in recipe.blueprint.creates.fields):
        return
    spec: dict[str, Any] = {"object": output.to, "name": field, "label": label[:40]}
    match column.kind:
        case "money" | "decimal" | "percent" | "integer":
            spec |= {"kind": "decimal", "digits": 18, "scale": 2}
        case "date" | "datetime" | "boolean":
            spec |= {"kind": column.kind}
        case "long_text":
            spec |= {"kind": "long_text", "length": 32000}
        case _:
            spec |= {"kind": "text", "length": 255}
    add_created_field(folder / "blueprint.yaml", spec)


def _expression(column: StagedColumn) -> Any:
    match column.kind:
        case "money" | "decimal" | "percent" | "integer":
            return {"number": column.name, "scale": 2}
        case "date" | "datetime":
            return {column.kind: column.name}
        case "boolean":
            return {"boolean": column.name, "otherwise": "false"}
        case "long_text":
            return {"text": column.name, "max": 32000}
        case _:
            return {"text": column.name, "max": 255}


_TURKISH = str.maketrans("çğıöşüÇĞİÖŞÜ", "cgiosuCGIOSU")


def api_name(label: str) -> str:
    """A developer name: letters, digits and single underscores, beginning with a letter, at most 37 characters."""
    plain = unicodedata.normalize("NFKD", label.translate(_TURKISH)).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:37].strip("_")
    return name if name and name[0].isalpha() else f"X{name}"
