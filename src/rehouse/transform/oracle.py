"""The catalogue once more, slowly, in plain Python: what the engine's results are compared with.

Written from the operators' descriptions, not from the renderer; the two share the texts of patterns and the
cleaning functions, nothing else. Only tests use it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import singledispatch
from zoneinfo import ZoneInfo

from rehouse.mapping import expressions as ex
from rehouse.model import Kind
from rehouse.transform import numbers, parties, times
from rehouse.transform.locale import Locale, format_pattern
from rehouse.transform.sql import BLANKS, CONTROLS

NUMERIC = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.MONEY, Kind.PERCENT})
Value = str | None
Cells = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class World:
    """A row and all that its expressions may look at; `tables` are other objects' rows in source order."""

    row: Cells
    locale: Locale
    limits: Mapping[str, int] = field(default_factory=dict)
    object: str = ""
    tables: Mapping[str, Sequence[Cells]] = field(default_factory=dict)
    values: Mapping[str, ex.Expression] = field(default_factory=dict)


@singledispatch
def evaluate(node: ex.Expression, world: World) -> Value:
    """The canonical text of an expression for one row, or None."""
    raise TypeError(f"the oracle does not know {type(node).__name__}")


@singledispatch
def holds(node: ex.Condition, world: World) -> bool:
    """Whether a condition holds for one row."""
    raise TypeError(f"the oracle does not know {type(node).__name__}")


def codes(node: ex.Node, world: World) -> set[str]:
    """The codes of all issues that the row has with the node."""
    return set(_codes(node, world))


def normalised(cell: Value, empty_values: Sequence[str] = ()) -> Value:
    """A source cell as the operators expect it."""
    if cell is None:
        return None
    text = unicodedata.normalize("NFC", cell.replace("\0", "")).strip(BLANKS)
    return None if not text or text in empty_values else text


def cut(text: Value, limit: int | None) -> Value:
    if text is None or limit is None or len(text) <= limit:
        return text
    return text[:limit].rstrip(BLANKS) or None


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────


@evaluate.register
def _(node: ex.Column, world: World) -> Value:
    return world.row[node.name]


@evaluate.register
def _(node: ex.Constant, world: World) -> Value:
    return node.value


@evaluate.register
def _(node: ex.Limit, world: World) -> Value:
    return str(world.limits[node.name])


@evaluate.register
def _(node: ex.Text, world: World) -> Value:
    text = evaluate(node.of, world)
    if text is None:
        return None
    text = re.sub(CONTROLS, "", text.replace("\r\n", "\n").replace("\r", "\n"))
    return cut(text.strip(BLANKS) or None, node.max)


@evaluate.register
def _(node: ex.Join, world: World) -> Value:
    parts = [evaluate(part, world) for part in node.of]
    return cut(node.with_.join(p for p in parts if p is not None) or None, node.max)


@evaluate.register
def _(node: ex.FirstOf, world: World) -> Value:
    found = (evaluate(part, world) for part in node.of)
    return cut(next((f for f in found if f), None), node.max)


@evaluate.register
def _(node: ex.Part, world: World) -> Value:
    text = evaluate(node.of, world)
    pieces = text.split(node.separator) if text is not None else []
    return (pieces[node.take - 1].strip(BLANKS) or None) if len(pieces) >= node.take else None


@evaluate.register
def _(node: ex.ListOf, world: World) -> Value:
    text = evaluate(node.of, world)
    pieces = [p.strip(BLANKS) for p in text.split(node.separator)] if text is not None else []
    return cut(node.with_.join(p for p in pieces if p) or None, node.max)


@evaluate.register
def _(node: ex.MostCommon, world: World) -> Value:
    return cut(evaluate(node.of, world), node.max)


# ── cleaned ───────────────────────────────────────────────────────────────────────────────────────────


@evaluate.register
def _(node: ex.Name, world: World) -> Value:
    text = evaluate(node.of, world)
    return cut(getattr(parties.split_name(text), node.part), node.max) if text is not None else None


@evaluate.register
def _(node: ex.Phone, world: World) -> Value:
    text = evaluate(node.of, world)
    return parties.phone(text, node.region) if text is not None else None


@evaluate.register
def _(node: ex.Email, world: World) -> Value:
    text = evaluate(node.of, world)
    if text is None:
        return None
    found = parties.addresses(text)
    return cut(found.rest if node.take == "rest" else found.first, node.max)


@evaluate.register
def _(node: ex.CompanyKey, world: World) -> Value:
    text = evaluate(node.of, world)
    return parties.company_key(text) if text is not None else None


# ── numbers and truth ─────────────────────────────────────────────────────────────────────────────────


def read_number(node: ex.Expression, world: World) -> Decimal | None:
    """The number that an expression stands for, from canonical text or from text in the locale."""
    text = evaluate(node, world)
    if text is None:
        return None
    if ex.result_kind(node, world.values) in NUMERIC:
        return Decimal(text)
    return read_local_number(text, world.locale)


def read_local_number(text: str, locale: Locale) -> Decimal | None:
    if not re.fullmatch(numbers.number_pattern(locale), text):
        return None
    digits = "".join(c for c in text if c in "0123456789" or c == locale.decimal)
    value = Decimal(digits.replace(locale.decimal, "."))
    return -value if "-" in text or "\u2212" in text else value


def show(value: Decimal) -> str:
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    whole = text.lstrip("-")
    whole = (whole.split(".")[0].lstrip("0") or "0") + (f".{whole.split('.')[1]}" if "." in whole else "")
    return whole if whole == "0" or not text.startswith("-") else f"-{whole}"


def rounded(value: Decimal, scale: int | None) -> Decimal:
    if scale is None or value == 0:
        return value
    # Decimal.quantize would refuse 36 digits in the default context
    shifted = Fraction(value) * 10**scale
    whole = int(abs(shifted) + Fraction(1, 2))
    return Decimal((0 if shifted >= 0 else 1, tuple(int(d) for d in str(whole)), -scale))


@evaluate.register
def _(node: ex.Number, world: World) -> Value:
    value = read_number(node.of, world)
    return show(rounded(value, node.scale)) if value is not None else None


@evaluate.register
def _(node: ex.Integer, world: World) -> Value:
    value = read_number(node.of, world)
    return show(value) if value is not None and value == value.to_integral_value() else None


@evaluate.register
def _(node: ex.Boolean, world: World) -> Value:
    text = evaluate(node.of, world)
    if text is None:
        return node.otherwise
    if fold(text) in {"true", *(fold(w) for w in world.locale.true_values)}:
        return "true"
    return "false" if fold(text) in {"false", *(fold(w) for w in world.locale.false_values)} else None


def fold(word: str) -> str:
    return "".join("i" if c in "Iİı" else c for c in word).lower()


@evaluate.register
def _(node: ex.Duration, world: World) -> Value:
    text = evaluate(node.of, world)
    if text is None:
        return None
    canonical = ex.result_kind(node.of, world.values) in NUMERIC
    seconds = None if canonical else _seconds(text)
    if seconds is not None:
        exact = Fraction(seconds, numbers.SECONDS_IN[node.unit])
        ten_thousandths = int(exact * 10_000 + Fraction(1, 2))
        return show(Decimal(ten_thousandths) / 10_000)
    value = read_number(node.of, world)
    if value is None or (node.unit == "seconds" and value != value.to_integral_value()):
        return None
    return show(value if node.unit == "seconds" else rounded(value, 4))


def _seconds(text: str) -> int | None:
    if re.fullmatch(numbers.CLOCK, text):
        parts = [int(p) for p in text.split(":")]
        hours, minutes, seconds = parts if len(parts) == 3 else (0, *parts)
        return hours * 3600 + minutes * 60 + seconds
    words = re.sub("[ \t\u00a0\u202f]", "", fold(text))
    found = re.fullmatch(numbers.WORDS, words)
    if not found or not re.search("[a-z]", words):
        return None
    return sum(int(g or 0) * size for g, size in zip(found.groups(), (3600, 60, 1), strict=True))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────


def read_clock(text: str, locale: Locale) -> tuple[datetime, timedelta | None] | None:
    """The wall clock of a text and its offset (None when it states none), or None when it is no time."""
    formats = [*locale.datetime_formats, *locale.date_formats, "%Y-%m-%d"]
    for one in formats:
        if re.fullmatch(format_pattern(one), text):
            try:
                return datetime.strptime(text, one), None
            except ValueError:
                continue
    if not re.fullmatch(f"{times.ISO_LOCAL}(?:{times.OFFSET})?", text):
        return None
    found = re.fullmatch(r"(.{10}).(\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:(Z)|([+-])(\d\d):?(\d\d))?", text)
    assert found is not None
    try:
        clock = datetime.strptime(f"{found[1]} {found[2]}:{found[3] or '00'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    clock += timedelta(milliseconds=int((found[4] or "0")[:3].ljust(3, "0")))
    if found[5]:
        return clock, timedelta(0)
    if found[6]:
        offset = timedelta(hours=int(found[7]), minutes=int(found[8]))
        return clock, -offset if found[6] == "-" else offset
    return clock, None


def doubt(clock: datetime, zone: str) -> str:
    """`gap`, `overlap` or '' for a wall clock reading in a zone."""
    aware = [clock.replace(tzinfo=ZoneInfo(zone), fold=f) for f in (0, 1)]
    if aware[0].utcoffset() == aware[1].utcoffset():
        return ""
    back = aware[0].astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return "overlap" if back == clock else "gap"


@evaluate.register
def _(node: ex.Date, world: World) -> Value:
    text = evaluate(node.of, world)
    read = read_clock(text, world.locale) if text is not None else None
    if read is None:
        return None
    clock, offset = read
    if offset is not None:
        moment = (clock - offset).replace(tzinfo=UTC)
        clock = moment.astimezone(ZoneInfo(world.locale.zone)).replace(tzinfo=None)
    return clock.date().isoformat()


@evaluate.register
def _(node: ex.DateTime, world: World) -> Value:
    text = evaluate(node.of, world)
    read = read_clock(text, world.locale) if text is not None else None
    if read is None:
        return None
    clock, offset = read
    zone = node.zone or world.locale.zone
    if offset is not None:
        moment = clock - offset
    else:
        kind = doubt(clock, zone)
        if kind == "gap" and node.gap == "reject":
            return None
        second = 1 if kind == "overlap" and node.overlap == "later" else 0
        aware = clock.replace(tzinfo=ZoneInfo(zone), fold=second)
        moment = aware.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


# ── options, references ───────────────────────────────────────────────────────────────────────────────


@evaluate.register
def _(node: ex.Option, world: World) -> Value:
    text = evaluate(node.of, world)
    if text is None or text in dict(node.map):
        return dict(node.map)[text] if text is not None else None
    if node.otherwise == "keep":
        return text
    return node.otherwise.value if isinstance(node.otherwise, ex.Constant) else None


@evaluate.register
def _(node: ex.RecordType, world: World) -> Value:
    name = evaluate(ex.Option(node.of, node.map, node.otherwise), world)
    return f"RecordType.{world.object}:{name}" if name is not None else None


@evaluate.register
def _(node: ex.Owner, world: World) -> Value:
    text = (evaluate(node.of, world) or "").replace("İ", "i").lower()
    return text.removeprefix("mailto:").strip(BLANKS)


@evaluate.register
def _(node: ex.Reference, world: World) -> Value:
    key = evaluate(node.of, world)
    if key is None:
        return None
    if isinstance(node.to, str):
        return f"{node.to}:{key}"
    output = dict(node.to.map).get(evaluate(node.to.column, world) or "")
    return f"{output}:{key}" if output is not None else None


@evaluate.register
def _(node: ex.Lookup, world: World) -> Value:
    wanted = evaluate(node.equals, world)
    rows = world.tables[node.in_]
    fitting = (r[node.column] for r in rows if wanted is not None and r[node.where] == wanted)
    return next((v for v in fitting if v is not None), None)


@evaluate.register
def _(node: ex.File, world: World) -> Value:
    return evaluate(node.of, world)


@evaluate.register
def _(node: ex.If, world: World) -> Value:
    if holds(node.condition, world):
        return evaluate(node.then, world)
    return evaluate(node.else_, world) if node.else_ is not None else None


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────


@holds.register
def _(node: ex.Equals, world: World) -> bool:
    left = evaluate(node.left, world)
    return left is not None and left == evaluate(node.right, world)


@holds.register
def _(node: ex.In, world: World) -> bool:
    return evaluate(node.of, world) in node.values


@holds.register
def _(node: ex.Greater, world: World) -> bool:
    if ex.result_kind(node.left, world.values) in (Kind.DATE, Kind.DATETIME):
        earlier, later = evaluate(node.right, world), evaluate(node.left, world)
        return earlier is not None and later is not None and later > earlier
    left, right = read_number(node.left, world), read_number(node.right, world)
    return left is not None and right is not None and left > right


@holds.register
def _(node: ex.Present, world: World) -> bool:
    return bool(evaluate(node.of, world))


@holds.register
def _(node: ex.Missing, world: World) -> bool:
    return not evaluate(node.of, world)


@holds.register
def _(node: ex.Not, world: World) -> bool:
    return not holds(node.of, world)


@holds.register
def _(node: ex.All, world: World) -> bool:
    return all(holds(part, world) for part in node.of)


@holds.register
def _(node: ex.AnyOf, world: World) -> bool:
    return any(holds(part, world) for part in node.of)


# ── issues ────────────────────────────────────────────────────────────────────────────────────────────


def _codes(node: ex.Node, world: World) -> Iterator[str]:
    if isinstance(node, ex.If):
        yield from _codes(node.condition, world)
        branch = node.then if holds(node.condition, world) else node.else_
        yield from _codes(branch, world) if branch is not None else ()
        return
    for child in ex.children(node):
        yield from _codes(child, world)
        if isinstance(node, ex.FirstOf) and isinstance(child, ex.Expression) and evaluate(child, world):
            break
    yield from _own_codes(node, world)


def _own_codes(node: ex.Node, world: World) -> Iterator[str]:
    match node:
        case ex.DateTime():
            yield from _time_codes(node, world)
        case ex.Email():
            yield from _email_codes(node, world)
        case ex.Option() | ex.RecordType() if node.otherwise == "reject":
            text = evaluate(node.of, world)
            if text is not None and text not in dict(node.map):
                yield "unmapped_option"
        case ex.Reference() if isinstance(node.to, ex.Polymorphic):
            if evaluate(node.of, world) is not None and evaluate(node, world) is None:
                yield "unmapped_option"
        case ex.Greater() if ex.result_kind(node.left, world.values) not in (Kind.DATE, Kind.DATETIME):
            for side in (node.left, node.right):
                if evaluate(side, world) is not None and read_number(side, world) is None:
                    yield "unparsable_number"
        case ex.Number() | ex.Integer() | ex.Boolean() | ex.Date() | ex.Duration() | ex.Phone():
            if evaluate(node.of, world) is not None and evaluate(node, world) is None:
                yield node.fails[0]
        case _:
            return


def _time_codes(node: ex.DateTime, world: World) -> Iterator[str]:
    text = evaluate(node.of, world)
    read = read_clock(text, world.locale) if text is not None else None
    if text is not None and read is None:
        yield "unparsable_date"
    if read is not None and read[1] is None:
        kind = doubt(read[0], node.zone or world.locale.zone)
        if kind:
            yield f"dst_{kind}"


def _email_codes(node: ex.Email, world: World) -> Iterator[str]:
    text = evaluate(node.of, world)
    if text is None:
        return
    found = parties.addresses(text)
    wrong = found.first is not None and found.invalid is not None
    if (node.take == "1" and found.first is None) or (node.take == "rest" and wrong):
        yield "invalid_email"
