"""Profiles: what each column of an object holds, counted set-wise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rehouse.discover.columns import parsed_date
from rehouse.discover.work import Work, parts_of
from rehouse.formats.sql import identifier, literal
from rehouse.model import Kind
from rehouse.staging import StagedColumn, StagedObject
from rehouse.staging.finish import trimmed
from rehouse.staging.numbers import is_number, value_of

EXACT_ROWS = 200_000
"""Objects with more rows get approximate counts of distinct values."""

SAMPLE_ROWS = 10_000
"""Rows (evenly spread) from which `looks_like` is judged."""

TOP = 5
_TOP_LENGTH = 100
_CLEAR = 0.95
"""Share of filled cells that must have a form before a column is said to look like it."""

_PRIVATE = (Kind.EMAIL, Kind.PHONE, Kind.ID, Kind.LONG_TEXT, Kind.HTML)
_FEW_OPTIONS = 25
_CUSTOM_FACTS = (
    "name", "header", "kind", "options", "required", "filled", "fill_rate", "distinct", "looks_like", "top",
)  # fmt: skip


def profile(work: Work, staged: StagedObject) -> dict[str, Any]:
    """Counts of one object and a profile per column, in the order of the staged file."""
    stats = _statistics(work, staged)
    columns = []
    for column in staged.columns:
        filled, distinct, shortest, longest, lost, *sample = stats[column.name]
        spec = work.column_layout(staged.name, column)
        columns.append(
            {
                "name": column.name,
                "header": column.header,
                "kind": column.kind,
                "custom": column.custom,
                "required": column.required,
                "present": column.present,
                "options": list(column.options),
                "reference": spec.reference if spec else "",
                "filled": filled,
                "fill_rate": round(filled / staged.rows, 4) if staged.rows else 0.0,
                "distinct": distinct,
                "distinct_exact": staged.rows <= EXACT_ROWS,
                "min_length": shortest,
                "max_length": longest,
                "lost_letters": lost,
                "looks_like": _looks_like(filled, distinct, longest, sample),
                "top": _top(work, staged, column, filled, distinct),
            }
        )
    return {
        "rows": staged.rows,
        "duplicates": staged.duplicates,
        "without_key": staged.without_key,
        "parts": [{"file": p.file, "sheet": p.sheet, "rows": p.rows, "encoding": p.encoding} for p in staged.parts],
        "columns": columns,
    }


def _statistics(work: Work, staged: StagedObject) -> dict[str, list[int]]:
    """Per column: filled, distinct, shortest, longest, cells with lost letters; of a sample: filled, each form."""
    every = max(1, staged.rows // SAMPLE_ROWS)
    forms = _forms(work)
    counter = "count(DISTINCT" if staged.rows <= EXACT_ROWS else "approx_count_distinct("
    result = {}
    for column in staged.columns:
        t = trimmed(column.name)
        wanted = [
            "count(t)",
            f"{counter} t)",
            "coalesce(min(length(t)), 0)",
            "coalesce(max(length(t)), 0)",
            "count_if(contains(t, chr(65533)))",
        ]
        whole = f"SELECT {', '.join(wanted)} FROM (SELECT {t} AS t FROM {identifier(staged.name)})"
        sample = (
            f"SELECT count(t), {', '.join(f'count_if({condition})' for condition in forms.values())} "
            f"FROM (SELECT {t} AS t FROM {identifier(staged.name)} WHERE _row % {every} = 0)"
        )
        result[column.name] = [int(value or 0) for value in (*work.rows(whole)[0], *work.rows(sample)[0])]
    return result


def _forms(work: Work) -> dict[str, str]:
    flags = work.list_of((*work.layout.true_values, *work.layout.false_values))
    return {
        "boolean": f"t IN {flags}",
        "integer": r"regexp_full_match(t, '[-+]?\d{1,18}')",
        "decimal": is_number("t", work.layout),
        "datetime": f"{parsed_date('t', work)} IS NOT NULL",
        "email": r"regexp_full_match(t, '[^@\s;,]+@[^@\s;,]+\.[^@\s;,]+')",
        "phone": r"regexp_full_match(t, '\+?[\d ()/.-]{9,20}') AND length(regexp_replace(t, '\D', '', 'g')) >= 9",
        "url": r"regexp_matches(t, '^(https?://|www\.)')",
    }


def _looks_like(filled: int, distinct: int, longest: int, sample: list[int]) -> str:
    if not filled:
        return "empty"
    seen, *shares = sample
    names = ("boolean", "integer", "decimal", "datetime", "email", "phone", "url")
    clear = [name for name, count in zip(names, shares, strict=True) if seen and count >= _CLEAR * seen]
    if "phone" in clear and "integer" in clear and longest >= 10:
        return "phone"
    if clear:
        return clear[0]
    if distinct <= min(_FEW_OPTIONS, filled // 4):
        return "option"
    return "text"


def _top(work: Work, staged: StagedObject, column: StagedColumn, filled: int, distinct: int) -> list[dict[str, Any]]:
    """The most common values of a column that repeats itself; none of names, addresses and numbers of people."""
    if not filled or Kind(column.kind) in _PRIVATE or distinct > filled // 2:
        return []
    t = trimmed(column.name)
    rows = work.rows(
        f"SELECT t, count(*) AS n FROM (SELECT {t} AS t FROM {identifier(staged.name)}) "
        f"WHERE t IS NOT NULL AND length(t) <= {_TOP_LENGTH} GROUP BY t ORDER BY n DESC, t LIMIT {TOP}"
    )
    return [{"value": value, "count": count} for value, count in rows]


def volumes(work: Work) -> dict[str, Any]:
    """How often each value of the option columns occurs: activity types, statuses, tags."""
    result: dict[str, Any] = {}
    for name, staged in work.snapshot.objects.items():
        for column in staged.columns:
            kind = Kind(column.kind)
            if kind not in (Kind.OPTION, Kind.MULTI_OPTION) or not column.present:
                continue
            values = parts_of(trimmed(column.name), column.separator if kind is Kind.MULTI_OPTION else "")
            rows = work.rows(
                f"SELECT v, count(*) AS n FROM (SELECT unnest({values}) AS v FROM {identifier(name)}) "
                "GROUP BY v ORDER BY n DESC, v LIMIT 200"
            )
            if rows:
                counts = [{"value": value, "count": count} for value, count in rows]
                result.setdefault(name, {})[column.name] = counts
    return result


def pipelines(work: Work) -> list[dict[str, Any]]:
    """Every pipeline and stage with its records and exact sums per currency, the most used first."""
    spec = work.layout.pipelines
    if spec is None or spec.object not in work.snapshot.objects:
        return []
    layout = work.layout.objects[spec.object].columns
    currency = f"coalesce({trimmed(spec.currency)}, '')" if spec.currency else "''"
    for spelling, name in (layout[spec.currency].aliases if spec.currency else {}).items():
        currency = f"CASE WHEN {currency} = {literal(spelling)} THEN {literal(name)} ELSE {currency} END"
    amount = value_of(trimmed(spec.amount), work.layout) if spec.amount else "NULL"
    status = trimmed(spec.status) if spec.status else "NULL"
    rows = work.rows(
        f"SELECT {trimmed(spec.pipeline)} AS p, {trimmed(spec.stage)} AS s, {status} AS u, {currency} AS c, "
        f"count(*), sum({amount}) FROM {identifier(spec.object)} GROUP BY ALL ORDER BY p, s, u, c"
    )
    stages: dict[tuple[str, str], dict[str, Any]] = {}
    for pipeline, stage, state, code, count, total in rows:
        entry = stages.setdefault(
            (pipeline or "", stage or ""),
            {"pipeline": pipeline or "", "stage": stage or "", "records": 0, "statuses": {}, "sums": {}},
        )
        entry["records"] += count
        entry["statuses"][state or ""] = entry["statuses"].get(state or "", 0) + count
        if total is not None:
            entry["sums"][code] = entry["sums"].get(code, Decimal(0)) + total
    for entry in stages.values():
        entry["sums"] = {code: format(total.normalize(), "f") for code, total in sorted(entry["sums"].items())}
    return sorted(stages.values(), key=lambda e: (e["pipeline"], -e["records"], e["stage"]))


def custom_fields(objects: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns that the layout does not know, with kind, options and use."""
    result = []
    for name, facts in objects.items():
        for column in facts["columns"]:
            if column["custom"]:
                result.append({"object": name, **{key: column[key] for key in _CUSTOM_FACTS}})
    return result
