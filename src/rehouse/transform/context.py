"""What a renderer needs to know about the row it renders for, and what it hands back beside the value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from rehouse.mapping.expressions import Expression
from rehouse.transform.locale import Locale


@dataclass(frozen=True, slots=True)
class Context:
    """Where names lead to.

    `columns` gives the expression of a column or named value of the current row: qualified by its table,
    VARCHAR, already normalised (`normalised_column`), a named value already rendered. `table` gives the name
    of the relation that holds another object's normalised columns and named values, plus `_row BIGINT` (the
    order of the source). `values` are the named values behind column names: only their kinds are used, so
    that `{integer: seconds}` knows that `seconds` is a number already. `object` is the target object.
    """

    columns: Callable[[str], exp.Expression]
    table: Callable[[str], str]
    locale: Locale
    limits: Mapping[str, int] = field(default_factory=dict)
    object: str = ""
    values: Mapping[str, Expression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IssueRule:
    """A way in which a row's value can be wrong. `condition` is a boolean expression (never NULL), `raw` the
    text that was refused. `blocking`: the value became NULL; otherwise it was read by a declared rule that
    is counted (a skipped or repeated hour of the clock)."""

    code: str
    message: str
    condition: exp.Expression
    raw: exp.Expression
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Loss:
    """A way in which a part of a value is lost: where `condition` holds, `raw` was cut down to `kept`."""

    code: str
    condition: exp.Expression
    raw: exp.Expression
    kept: exp.Expression
