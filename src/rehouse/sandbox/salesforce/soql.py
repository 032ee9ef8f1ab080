"""SOQL text to a syntax tree: a tokenizer and a recursive-descent parser.

Source: SOQL and SOSL Reference. Errors are `ApiError` 400 MALFORMED_QUERY in the platform's layout: the query,
a caret, the place, the message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rehouse.sandbox.salesforce.outcome import ApiError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<op><=|>=|<>|!=|=|<|>|\(|\)|,|:)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_CLAUSES = frozenset(
    {"where", "with", "group", "having", "order", "limit", "offset", "for", "using", "from", "all", "update", "scope"}
)
AGGREGATES = frozenset({"count", "count_distinct", "min", "max", "sum", "avg"})
DATE_FUNCTIONS = frozenset(
    {"calendar_year", "calendar_month", "calendar_quarter", "day_in_month", "day_in_week", "day_in_year", "day_only",
     "hour_in_day", "week_in_year"}
)  # fmt: skip
PASS_THROUGH = frozenset({"tolabel", "format", "convertcurrency", "converttimezone"})


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """A field by its dotted path, with the place in the text."""

    parts: tuple[str, ...]
    at: int

    @property
    def text(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of at most one field: aggregates, date functions, `toLabel`, `FIELDS`. No argument: `COUNT()`."""

    name: str
    argument: Path | Call | None
    at: int


Expression = Path | Call


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. `kind`: string, number, boolean, null, date, datetime, or keyword (a date literal)."""

    kind: str
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Expression
    operator: str
    right: Literal


@dataclass(frozen=True, slots=True)
class Membership:
    """IN, NOT IN, INCLUDES, EXCLUDES over constants, or IN over a subquery."""

    left: Expression
    operator: str
    values: tuple[Literal, ...] = ()
    query: Query | None = None


@dataclass(frozen=True, slots=True)
class Boolean:
    operator: str
    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Condition


Condition = Comparison | Membership | Boolean | Not


@dataclass(frozen=True, slots=True)
class TypeOf:
    """`TYPEOF What WHEN Account THEN Phone ELSE Name END`."""

    relation: Path
    branches: tuple[tuple[str, tuple[Path, ...]], ...]
    otherwise: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One selected thing with its alias."""

    what: Expression | Query | TypeOf
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    by: Expression
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed SELECT. `text` is the whole statement, for error messages."""

    text: str
    items: tuple[Item, ...]
    source: Path
    alias: str = ""
    where: Condition | None = None
    group_by: tuple[Expression, ...] = ()
    having: Condition | None = None
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    all_rows: bool = False
    aliases: dict[str, str] = field(default_factory=dict)


def refuse(text: str, at: int, message: str, code: str = "MALFORMED_QUERY") -> ApiError:
    """An error with the caret layout: `Row` and `Column` count from 1."""
    row = text.count("\n", 0, at) + 1
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)]
    caret = " " * (at - start) + "^"
    return ApiError(400, code, f"\n{line}\n{caret}\nERROR at Row:{row}:Column:{at - start + 1}\n{message}")


def tokenize(text: str) -> list[Token]:
    """The tokens, ended by one of kind `end`."""
    out, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            rest = text[place:]
            if not rest.strip():
                break
            at = place + len(rest) - len(rest.lstrip())
            raise refuse(text, at, f"line 1:{at} no viable alternative at character '{text[at]}'")
        out.append(Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        place = match.end()
    out.append(Token("end", "<EOF>", len(text)))
    return out


def unescape(quoted: str) -> str:
    """The text of a string token."""
    out, escaped = [], False
    for char in quoted[1:-1]:
        if escaped:
            # `\%` and `\_` keep their backslash: only LIKE gives them a meaning.
            out.append("\\" + char if char in "%_" else _ESCAPES.get(char, char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            out.append(char)
    return "".join(out)


def parse(text: str) -> Query:
    """Parse one statement. Raises ApiError MALFORMED_QUERY."""
    if len(text) > 100_000:
        raise ApiError(400, "QUERY_TOO_COMPLICATED", "SOQL statement is longer than 100,000 characters")
    parser = _Parser(text)
    query = parser.select()
    parser.expect_end()
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.place = 0
        self.depth = 0

    # tokens ----------------------------------------------------------------------------------------------------

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.tokens[self.place]
        self.place += 1
        return token

    def unexpected(self, token: Token | None = None) -> ApiError:
        token = token or self.next
        return refuse(self.text, token.at, f"unexpected token: '{token.text}'")

    def at_word(self, *words: str) -> bool:
        return self.next.kind == "word" and self.next.text.lower() in words

    def accept(self, *words: str) -> bool:
        if self.at_word(*words):
            self.place += 1
            return True
        return False

    def need(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected()

    def accept_op(self, op: str) -> bool:
        if self.next.kind == "op" and self.next.text == op:
            self.place += 1
            return True
        return False

    def need_op(self, op: str) -> None:
        if not self.accept_op(op):
            raise self.unexpected()

    def word(self) -> Token:
        if self.next.kind != "word":
            raise self.unexpected()
        return self.take()

    def path(self) -> Path:
        token = self.word()
        return Path(tuple(token.text.split(".")), token.at)

    def expect_end(self) -> None:
        if self.next.kind != "end":
            raise self.unexpected()

    def integer(self) -> int:
        token = self.take()
        if token.kind != "number" or not token.text.isdigit():
            raise self.unexpected(token)
        return int(token.text)

    # statement ---------------------------------------------------------------------------------------------------

    def select(self) -> Query:
        self.need("select")
        items = [self.item()]
        while self.accept_op(","):
            items.append(self.item())
        self.need("from")
        source = self.path()
        alias = self._alias()
        aliases = {}
        while self.accept_op(","):
            extra = self.path()
            aliases[self._alias() or extra.parts[-1]] = extra.text
        if self.accept("using"):
            self.need("scope")
            self.word()
        where = self.condition() if self.accept("where") else None
        if self.accept("with"):
            self.word()
        group, having = self._group()
        order = self._order()
        limit = self.integer() if self.accept("limit") else None
        offset = self.integer() if self.accept("offset") else 0
        all_rows = self._tail()
        return Query(
            self.text, tuple(items), source, alias, where, group, having, order, limit, offset, all_rows, aliases
        )

    def _alias(self) -> str:
        if self.next.kind == "word" and self.next.text.lower() not in _CLAUSES and "." not in self.next.text:
            self.accept("as")
            return self.take().text
        return ""

    def _group(self) -> tuple[tuple[Expression, ...], Condition | None]:
        if not self.accept("group"):
            return (), None
        self.need("by")
        out = [self.expression()]
        while self.accept_op(","):
            out.append(self.expression())
        return tuple(out), (self.condition() if self.accept("having") else None)

    def _order(self) -> tuple[Order, ...]:
        if not self.accept("order"):
            return ()
        self.need("by")
        out = [self._order_item()]
        while self.accept_op(","):
            out.append(self._order_item())
        return tuple(out)

    def _order_item(self) -> Order:
        by = self.expression()
        descending = self.accept("desc")
        if not descending:
            self.accept("asc")
        last = False
        if self.accept("nulls"):
            last = self.at_word("last")
            self.need("first", "last")
        return Order(by, descending, last)

    def _tail(self) -> bool:
        all_rows = False
        while self.at_word("for", "all", "update"):
            if self.accept("all"):
                self.need("rows")
                all_rows = True
            else:
                self.take()
                self.need("view", "reference", "update", "tracking", "viewstat")
        return all_rows

    def item(self) -> Item:
        if self.accept_op("("):
            inner = self.select()
            self.need_op(")")
            return Item(inner)
        if self.at_word("typeof"):
            return Item(self._type_of())
        what = self.expression()
        alias = ""
        after = self.tokens[min(self.place + 1, len(self.tokens) - 1)]
        if self.next.kind == "word" and (after.text == "," or after.text.lower() == "from"):
            alias = self.take().text
        return Item(what, alias)

    def _type_of(self) -> TypeOf:
        self.take()
        relation = self.path()
        branches: list[tuple[str, tuple[Path, ...]]] = []
        otherwise: tuple[Path, ...] = ()
        while self.accept("when"):
            name = self.word().text
            self.need("then")
            branches.append((name, self._paths()))
        if self.accept("else"):
            otherwise = self._paths()
        self.need("end")
        return TypeOf(relation, tuple(branches), otherwise)

    def _paths(self) -> tuple[Path, ...]:
        out = [self.path()]
        while self.accept_op(","):
            out.append(self.path())
        return tuple(out)

    def expression(self) -> Expression:
        token = self.word()
        if not self.accept_op("("):
            return Path(tuple(token.text.split(".")), token.at)
        if self.accept_op(")"):
            return Call(token.text.lower(), None, token.at)
        argument = self.expression()
        self.need_op(")")
        return Call(token.text.lower(), argument, token.at)

    # conditions --------------------------------------------------------------------------------------------------

    def condition(self) -> Condition:
        """AND and OR may not be mixed without parentheses, as on the platform."""
        self.depth += 1
        if self.depth > 60:
            raise refuse(self.text, self.next.at, "Query is too complicated", "QUERY_TOO_COMPLICATED")
        terms = [self.term()]
        operator = ""
        while self.at_word("and", "or"):
            word = self.next.text.lower()
            if operator and word != operator:
                raise self.unexpected()
            operator = word
            self.take()
            terms.append(self.term())
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Boolean(operator, tuple(terms))

    def term(self) -> Condition:
        if self.accept("not"):
            return Not(self.term())
        if self.next.kind == "op" and self.next.text == "(":
            self.take()
            inner = self.condition()
            self.need_op(")")
            return inner
        return self.comparison()

    def comparison(self) -> Condition:
        left = self.expression()
        if self.accept("not"):
            self.need("in")
            return self._members(left, "not in")
        if self.accept("in"):
            return self._members(left, "in")
        if self.at_word("includes", "excludes"):
            return self._members(left, self.take().text.lower())
        if self.accept("like"):
            return Comparison(left, "like", self.literal())
        token = self.take()
        if token.kind != "op" or token.text not in ("=", "!=", "<>", "<", "<=", ">", ">="):
            raise self.unexpected(token)
        return Comparison(left, "!=" if token.text == "<>" else token.text, self.literal())

    def _members(self, left: Expression, operator: str) -> Membership:
        self.need_op("(")
        if self.at_word("select"):
            inner = self.select()
            self.need_op(")")
            return Membership(left, operator, query=inner)
        values = [self.literal()]
        while self.accept_op(","):
            values.append(self.literal())
        self.need_op(")")
        return Membership(left, operator, tuple(values))

    def literal(self) -> Literal:
        token = self.take()
        if token.kind == "string":
            return Literal("string", unescape(token.text), token.at)
        if token.kind in ("number", "date", "datetime"):
            return Literal(token.kind, token.text, token.at)
        if token.kind == "word":
            word = token.text.lower()
            if word in ("true", "false"):
                return Literal("boolean", word, token.at)
            if word == "null":
                return Literal("null", "", token.at)
            value = token.text.upper()
            if self.accept_op(":"):
                value += f":{self.integer()}"
            return Literal("keyword", value, token.at)
        raise self.unexpected(token)
