"""WHERE and HAVING to SQL with SOQL's two-valued logic: null equals null, null is smaller than nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.rules import text as sql_text
from rehouse.sandbox.salesforce.schema_model import NUMBER_TYPES, SField
from rehouse.sandbox.salesforce.soql import (
    AGGREGATES,
    DATE_FUNCTIONS,
    Boolean,
    Call,
    Comparison,
    Condition,
    Expression,
    Literal,
    Membership,
    Not,
    Path,
    Query,
    refuse,
)
from rehouse.sandbox.salesforce.soqldates import bounds
from rehouse.sandbox.salesforce.soqlscope import Resolved, Scope
from rehouse.sandbox.salesforce.sqlfunctions import datetime_text

SemiJoin = Callable[[Query, Scope], str]
_INTEGER = SField("", "", "int")


def date_function(name: str, column: str) -> str:
    """SQL of a date function; the user's time zone is GMT."""
    part = {
        "calendar_year": f"CAST(substr({column},1,4) AS INTEGER)",
        "calendar_month": f"CAST(substr({column},6,2) AS INTEGER)",
        "calendar_quarter": f"((CAST(substr({column},6,2) AS INTEGER)+2)/3)",
        "day_in_month": f"CAST(substr({column},9,2) AS INTEGER)",
        "day_in_week": f"(CAST(strftime('%w', substr({column},1,10)) AS INTEGER)+1)",
        "day_in_year": f"CAST(strftime('%j', substr({column},1,10)) AS INTEGER)",
        "day_only": f"substr({column},1,10)",
        "hour_in_day": f"CAST(substr({column},12,2) AS INTEGER)",
        "week_in_year": f"((CAST(strftime('%j', substr({column},1,10)) AS INTEGER)+6)/7)",
    }
    return part[name]


class Where:
    """Compiles conditions of one scope."""

    def __init__(self, scope: Scope, semi_join: SemiJoin, today: date, *, aggregates: bool = False) -> None:
        self.scope, self.semi_join, self.today, self.aggregates = scope, semi_join, today, aggregates

    def sql(self, condition: Condition) -> str:
        match condition:
            case Boolean(operator=operator, terms=terms):
                return "(" + f" {operator.upper()} ".join(self.sql(t) for t in terms) + ")"
            case Not(term=term):
                return f"(NOT ifnull({self.sql(term)}, 0))"
            case Comparison():
                return self._comparison(condition)
            case Membership():
                return self._membership(condition)

    # operands ----------------------------------------------------------------------------------------------------

    def operand(self, expression: Expression) -> tuple[str, SField, int]:
        """SQL, the field that types it, and the place in the text."""
        if isinstance(expression, Path):
            found = self._filterable(expression)
            return found.sql, found.item, expression.at
        if expression.name in DATE_FUNCTIONS and isinstance(expression.argument, Path):
            found = self.scope.resolve(expression.argument)
            kind = SField("", "", "date") if expression.name == "day_only" else _INTEGER
            return date_function(expression.name, found.sql), kind, expression.at
        if self.aggregates and expression.name in AGGREGATES:
            return self._aggregate(expression)
        raise refuse(self.scope.text, expression.at, f"unexpected token: '{expression.name}'")

    def _aggregate(self, call: Call) -> tuple[str, SField, int]:
        if call.argument is None:
            return "count(*)", _INTEGER, call.at
        if not isinstance(call.argument, Path):
            raise refuse(self.scope.text, call.at, f"unexpected token: '{call.name}'")
        found = self.scope.resolve(call.argument)
        if call.name in ("count", "count_distinct"):
            distinct = "DISTINCT " if call.name == "count_distinct" else ""
            return f"count({distinct}{found.sql})", _INTEGER, call.at
        return f"{call.name}({found.sql})", found.item, call.at

    def _filterable(self, path: Path) -> Resolved:
        found = self.scope.resolve(path)
        item = found.item
        if (item.type == "textarea" and item.length > 255) or item.storage is None:
            raise refuse(
                self.scope.text, path.at, f"field '{item.name}' can not be filtered in a query call", "INVALID_FIELD"
            )
        return found

    # comparisons ---------------------------------------------------------------------------------------------------

    def _comparison(self, condition: Comparison) -> str:
        left, item, at = self.operand(condition.left)
        operator, right = condition.operator, condition.right
        if right.kind == "null" or (right.kind == "string" and right.value == "" and item.type != "boolean"):
            if operator not in ("=", "!="):
                raise self._bad(at, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on null value")
            if item.type == "boolean":
                return "0" if operator == "=" else "1"
            return f"({left} IS {'NOT ' if operator == '!=' else ''}NULL)"
        if operator == "like":
            return self._like(left, item, at, right)
        if right.kind == "keyword":
            return self._range(left, item, operator, right)
        value = self.value(item, right, at)
        if item.type in ("id", "reference") and operator not in ("=", "!="):
            if item.type == "reference" or not is_id(right.value):
                raise self._bad(at, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on id field")
            return f"({left} {operator} {value})"
        if operator == "=":
            return f"({left} = {value})"
        if operator == "!=":
            return f"({left} IS NOT {value})"
        if item.type == "boolean":
            raise self._bad(at, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on boolean field")
        return f"({left} {operator} {value})"

    def _like(self, left: str, item: SField, at: int, right: Literal) -> str:
        if item.storage != "TEXT" or item.type in ("id", "reference", "date", "datetime"):
            label = "id" if item.type in ("id", "reference") else item.type
            raise self._bad(at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {label} field")
        if right.kind != "string":
            raise self._quotes(item, right, quoted=False)
        if right.value.isascii():
            return f"({left} LIKE {sql_text(right.value)} ESCAPE '\\')"
        return f"sf_like({left}, {sql_text(right.value)})"

    def _range(self, left: str, item: SField, operator: str, right: Literal) -> str:
        found = bounds(right.value, self.today) if item.type in ("date", "datetime") else None
        if found is None:
            raise refuse(self.scope.text, right.at, f"unexpected token: '{right.value}'")
        tail = "" if item.type == "date" else "T00:00:00.000Z"
        start, end = (sql_text(d.isoformat() + tail) for d in found)
        sql = {
            "=": f"({left} >= {start} AND {left} < {end})",
            "!=": f"({left} IS NULL OR {left} < {start} OR {left} >= {end})",
            "<": f"({left} < {start})",
            "<=": f"({left} < {end})",
            ">": f"({left} >= {end})",
            ">=": f"({left} >= {start})",
        }
        return sql[operator]

    # membership ----------------------------------------------------------------------------------------------------

    def _membership(self, condition: Membership) -> str:
        left, item, at = self.operand(condition.left)
        if condition.operator in ("includes", "excludes"):
            return self._options(condition, left, item, at)
        if condition.query is not None:
            inner = self.semi_join(condition.query, self.scope)
            found = f"ifnull({left} IN ({inner}), 0)"
            return f"(NOT {found})" if condition.operator == "not in" else f"({left} IN ({inner}))"
        values = [v for v in condition.values if v.kind != "null"]
        nulls = len(values) < len(condition.values)
        if any(v.kind == "keyword" for v in values):
            each = [
                self._range(left, item, "=", v) if v.kind == "keyword" else f"({left} = {self.value(item, v, at)})"
                for v in values
            ]
            inside = "(" + " OR ".join(each) + ")"
        else:
            listed = ", ".join(self.value(item, v, at) for v in values)
            inside = f"({left} IN ({listed}))" if values else "0"
        if nulls:
            inside = f"({inside} OR {left} IS NULL)"
        return f"(NOT ifnull({inside}, 0))" if condition.operator == "not in" else inside

    def _options(self, condition: Membership, left: str, item: SField, at: int) -> str:
        if item.type != "multipicklist":
            raise self._bad(at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {item.type} field")
        each = " OR ".join(f"sf_options_any({left}, {sql_text(v.value)})" for v in condition.values)
        return f"({each})" if condition.operator == "includes" else f"(NOT ({each}))"

    # constants -----------------------------------------------------------------------------------------------------

    def value(self, item: SField, literal: Literal, at: int) -> str:
        """A constant as SQL, checked against the field's type."""
        kind = item.type
        if kind == "boolean":
            if literal.kind != "boolean":
                raise self._quotes(item, literal, quoted=False)
            return "1" if literal.value == "true" else "0"
        if kind in NUMBER_TYPES:
            if literal.kind != "number":
                raise self._quotes(item, literal, quoted=literal.kind == "string")
            return literal.value
        if kind == "date":
            return self._date(item, literal)
        if kind == "datetime":
            return self._moment(item, literal)
        if literal.kind != "string":
            raise self._quotes(item, literal, quoted=False)
        if kind in ("id", "reference"):
            if not is_id(literal.value):
                raise self._bad(at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}")
            return sql_text(id18(literal.value))
        return sql_text(literal.value)

    def _date(self, item: SField, literal: Literal) -> str:
        if literal.kind != "date":
            raise self._quotes(item, literal, quoted=literal.kind == "string")
        return sql_text(literal.value)

    def _moment(self, item: SField, literal: Literal) -> str:
        moment = datetime_text(literal.value) if literal.kind == "datetime" else None
        if moment is None:
            raise self._quotes(item, literal, quoted=literal.kind == "string")
        return sql_text(moment)

    def _quotes(self, item: SField, literal: Literal, *, quoted: bool) -> ApiError:
        kind = {"int": "int", "date": "date", "datetime": "dateTime", "boolean": "boolean"}.get(item.type)
        kind = kind or ("double" if item.type in NUMBER_TYPES else "string")
        advice = "should not be" if quoted or kind != "string" else "should be"
        return self._bad(
            literal.at,
            "INVALID_FIELD",
            f"value of filter criterion for field '{item.name}' must be of type {kind} and {advice} enclosed in quotes",
        )

    def _bad(self, at: int, code: str, message: str) -> ApiError:
        return refuse(self.scope.text, at, message, code)
