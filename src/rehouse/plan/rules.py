"""The target's own rules, evaluated on the rows before a call is spent."""

from __future__ import annotations

import duckdb

from rehouse.mapping.expressions import Owner, RecordType, Reference
from rehouse.mapping.schema import Output, Recipe
from rehouse.model import Field, Kind
from rehouse.plan.binding import Binding, planned_field
from rehouse.plan.engine import ident, text

_TEXTUAL = (Kind.TEXT, Kind.LONG_TEXT, Kind.EMAIL, Kind.PHONE, Kind.URL, Kind.OPTION, Kind.HTML)
_NUMERIC = (Kind.INTEGER, Kind.DECIMAL, Kind.MONEY, Kind.PERCENT)


def record_issues(
    connection: duckdb.DuckDBPyConnection,
    about: tuple[str, str, str, str, str],
    *,
    blocking: bool,
    source: str,
    rid: str,
    raw: str,
) -> None:
    """Add issue rows. `about` is (object, output, field, code, message); `source` is FROM with its WHERE."""
    obj, output, field, code, message = (text(a) for a in about)
    connection.execute(
        f"INSERT INTO issues SELECT {obj}, {output}, {rid}, {field}, {code}, {message}, left({raw}, 200), "
        f"{'true' if blocking else 'false'} FROM {source}"
    )


def target_rules(
    connection: duckdb.DuckDBPyConnection, recipe: Recipe, binding: Binding, object_name: str, output: Output
) -> None:
    """Required, length, range and restricted options, checked on table `raw`; each fault blocks its record."""
    for name, node in output.fields.items():
        if isinstance(node, Reference | RecordType | Owner):
            continue
        field = planned_field(binding, recipe, output.to, name)
        if field is None:
            continue
        for code, message, condition in field_rules(field):
            column = f"t.{ident(name)}"
            record_issues(
                connection,
                (object_name, output.name, name, code, message),
                blocking=True,
                source=f"raw t WHERE {condition.format(column=column)}",
                rid="t._rid",
                raw=column,
            )
    described = binding.catalog.object(output.to)
    mapped = {n.lower() for n in output.fields}
    for field in described.fields if described else ():
        if field.required and field.createable and field.name.lower() not in mapped:
            record_issues(
                connection,
                (object_name, output.name, field.name, "required", f"{field.name} is required by the target"),
                blocking=True,
                source="raw t",
                rid="t._rid",
                raw="NULL",
            )


def field_rules(field: Field) -> list[tuple[str, str, str]]:
    """(code, message, SQL condition with `{column}`) for what the catalog says of a field."""
    rules = []
    if field.required:
        rules.append(("required", f"{field.name} is required by the target", "{column} IS NULL"))
    if field.length and field.kind in _TEXTUAL:
        rules.append(
            (
                "too_long",
                f"{field.name} holds at most {field.length} characters",
                f"length({{column}}) > {field.length}",
            )
        )
    if field.kind in _NUMERIC and field.digits:
        bound = "1" + "0" * max(field.digits - field.scale, 0)
        rules.append(
            (
                "out_of_range",
                f"{field.name} holds at most {field.digits - field.scale} digits before the decimal sign",
                f"abs(TRY_CAST({{column}} AS DECIMAL(38, 10))) >= {bound}",
            )
        )
    if field.restricted and field.kind is Kind.OPTION and field.options:
        options = ", ".join(text(o.value) for o in field.options if o.active).replace("{", "{{").replace("}", "}}")
        rules.append(
            (
                "restricted_option",
                f"{field.name} accepts only its own options",
                f"{{column}} IS NOT NULL AND {{column}} NOT IN ({options})",
            )
        )
    return rules
