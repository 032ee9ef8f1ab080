"""Findings about values: required, placeholders, dates, numbers, options, addresses, damaged letters."""

from __future__ import annotations

import re

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from rehouse.discover.kinds import COLUMN
from rehouse.discover.work import Work, parts_of
from rehouse.formats.sql import identifier, literal
from rehouse.model import Kind
from rehouse.staging import StagedColumn, StagedObject
from rehouse.staging.finish import trimmed
from rehouse.staging.numbers import is_number

DATES = (Kind.DATE, Kind.DATETIME)
NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.MONEY, Kind.PERCENT)
TEXTS = (Kind.TEXT, Kind.LONG_TEXT, Kind.HTML, Kind.OPTION, Kind.MULTI_OPTION, Kind.OTHER)

_ATOM = r"[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+"
_PLAIN_EMAIL = rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{{2,63}}"

_NEXT = "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122"
_DAMAGE = re.compile(
    f"[\u00c2-\u00c5][{_NEXT}]|\u00e2[{_NEXT}]{{2}}|(?:[\u00c6-\u00df\u011e\u0130\u015e][{_NEXT}]){{2,}}"
)
_DAMAGE_SQL = (
    r"[\x{00C2}-\x{00DF}\x{00E2}\x{011E}\x{0130}\x{015E}]"
    r"[\x{0080}-\x{00BF}\x{0152}\x{0153}\x{0160}\x{0161}\x{0178}\x{017D}\x{017E}\x{0192}\x{02C6}\x{02DC}"
    r"\x{2013}-\x{203A}\x{20AC}\x{2122}]"
)


def find_in_columns(work: Work, staged: StagedObject) -> None:
    """Look at every column of one object; one pass over a column per family of checks."""
    for column in staged.columns:
        if not column.present:
            continue
        kind = Kind(column.kind)
        _simple(work, staged, column, kind)
        if kind is Kind.EMAIL:
            _emails(work, staged, column)
        if kind is Kind.PHONE:
            _phones(work, staged, column)
        if kind in (Kind.EMAIL, Kind.PHONE) and column.separator:
            _several(work, staged, column)
        if kind in TEXTS:
            _damaged(work, staged, column)
        if kind in DATES:
            _local_dates(work, staged, column)
        if kind in NUMBERS:
            _decimal_commas(work, staged, column)


def _simple(work: Work, staged: StagedObject, column: StagedColumn, kind: Kind) -> None:
    """Missing, placeholder, unparsable, unknown: a value has at most one of these."""
    cases = []
    if column.required and column.name not in work.layout.objects[staged.name].key:
        cases.append(("missing_required", "t IS NULL"))
    cases.append(("placeholder_value", f"t IN {work.list_of(work.layout.empty_values)}"))
    cases += _parse_cases(work, column, kind)
    source = f"SELECT _rid AS key, {identifier(column.name)} AS value, {trimmed(column.name)} AS t, _row"
    earlier: list[str] = []
    for found, condition in cases:
        where = " AND ".join([condition, *(f"(NOT {other} OR {other} IS NULL)" for other in earlier)])
        note = "''" if found == "missing_required" else "': ' || left(value, 60)"
        work.add(
            found,
            staged.name,
            column.name,
            f"SELECT * FROM ({source} FROM {identifier(staged.name)}) WHERE {where}",
            note=note,
        )
        earlier.append(f"({condition})")


def _parse_cases(work: Work, column: StagedColumn, kind: Kind) -> list[tuple[str, str]]:
    if kind in DATES:
        return [("unparsable_date", f"t IS NOT NULL AND {parsed_date('t', work)} IS NULL")]
    if kind in NUMBERS:
        return [("unparsable_number", f"t IS NOT NULL AND NOT {is_number('t', work.layout)}")]
    if kind is Kind.BOOLEAN:
        known = work.list_of((*work.layout.true_values, *work.layout.false_values))
        return [("unknown_option", f"t NOT IN {known}")]
    if kind in (Kind.OPTION, Kind.MULTI_OPTION) and column.options:
        options = work.list_of(column.options)
        if kind is Kind.OPTION:
            return [("unknown_option", f"t NOT IN {options}")]
        values = parts_of("t", column.separator or ",")
        return [("unknown_option", f"len(list_filter({values}, lambda x: x NOT IN {options})) > 0")]
    return []


def parsed_date(text: str, work: Work) -> str:
    """SQL: the local time of a text in any of the layout's formats, NULL when it has none."""
    formats = dict.fromkeys((*work.layout.datetime_formats, *work.layout.date_formats))
    return f"try_strptime({text}, [{', '.join(literal(f) for f in formats)}])"


def _local_dates(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    local = [f for f in (*work.layout.datetime_formats, *work.layout.date_formats) if not f.startswith("%Y-")]
    if not local:
        return
    formats = ", ".join(literal(f) for f in dict.fromkeys(local))
    count = work.number(
        f"SELECT count(*) FROM {identifier(staged.name)} "
        f"WHERE try_strptime({trimmed(column.name)}, [{formats}]) IS NOT NULL"
    )
    if count:
        work.add_rows("local_date", staged.name, column.name, [(COLUMN, "", f": {count:,} cells")])


def _decimal_commas(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    """A spreadsheet's own numbers carry the layout's sign in staging, so sheets are judged by their cells."""
    if work.layout.decimal != ",":
        return
    count = column.cells.get("comma", 0)
    csvs = [part.file for part in staged.parts if not part.sheet]
    if csvs:
        count += work.number(
            f"SELECT count(*) FROM {identifier(staged.name)} WHERE _file IN {work.list_of(csvs)} "
            f"AND {is_number(trimmed(column.name), work.layout)} AND contains({identifier(column.name)}, ',')"
        )
    if count:
        work.add_rows("decimal_comma", staged.name, column.name, [(COLUMN, "", f": {count:,} cells")])


def _several(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    values = parts_of(trimmed(column.name), column.separator)
    work.add(
        "multi_value",
        staged.name,
        column.name,
        f"SELECT _rid AS key, {identifier(column.name)} AS value, _row FROM {identifier(staged.name)} "
        f"WHERE len({values}) > 1",
    )


def _emails(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    values = parts_of(trimmed(column.name), column.separator)
    table = identifier(staged.name)
    odd = work.rows(
        f"SELECT DISTINCT v FROM (SELECT unnest({values}) AS v FROM {table}) "
        f"WHERE NOT regexp_full_match(v, '{_PLAIN_EMAIL}') AND v NOT IN {work.list_of(work.layout.empty_values)}"
    )
    _join_bad(work, staged, column, "invalid_email", [v for (v,) in odd if not _is_email(v)])


def _phones(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    values = parts_of(trimmed(column.name), column.separator)
    distinct = work.rows(
        f"SELECT DISTINCT v FROM (SELECT unnest({values}) AS v FROM {identifier(staged.name)}) "
        f"WHERE v NOT IN {work.list_of(work.layout.empty_values)} "
        # Ten to thirteen digits with usual signs are possible numbers nearly everywhere: spare the parser.
        r"AND NOT regexp_full_match(regexp_replace(v, '[ ()./-]', '', 'g'), '\+?[0-9]{10,12}')"
    )
    region = work.layout.region
    _join_bad(work, staged, column, "invalid_phone", [v for (v,) in distinct if not e164(v, region)])


def _join_bad(work: Work, staged: StagedObject, column: StagedColumn, kind: str, bad: list[str]) -> None:
    if not bad:
        return
    work.table("bad_values", {"v": bad})
    values = parts_of(trimmed(column.name), column.separator)
    work.add(
        kind,
        staged.name,
        column.name,
        f"SELECT DISTINCT _rid AS key, value, _row FROM (SELECT _rid, _row, {identifier(column.name)} AS value, "
        f"unnest({values}) AS v FROM {identifier(staged.name)}) JOIN bad_values USING (v)",
        note="': ' || left(value, 60)",
    )


def _damaged(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    name = identifier(column.name)
    cursor = work.con.execute(
        f"SELECT _rid, {name} FROM {identifier(staged.name)} WHERE regexp_matches({name}, {literal(_DAMAGE_SQL)})"
    )
    found = []
    while rows := cursor.fetchmany(10_000):
        for rid, text in rows:
            damage = damaged_letters(text)
            if damage:
                found.append((rid, text, f": {damage}"))
    if found:
        work.add_rows("mojibake", staged.name, column.name, found)


def damaged_letters(text: str) -> str:
    """The first letters of a text that are UTF-8 read as Windows-1252 or 1254, with their repair; else ""."""
    for match in _DAMAGE.finditer(text):
        for codec in ("cp1252", "cp1254"):
            try:
                raw = b"".join(_byte(letter, codec) for letter in match.group())
                repaired = raw.decode("utf-8")
            except UnicodeError:
                continue
            if repaired.isprintable() or repaired == "\u00a0":
                return f"{match.group()!r} was {repaired!r}"
    return ""


def _byte(letter: str, codec: str) -> bytes:
    # Bytes that the code page leaves undefined come through as control characters.
    return bytes([ord(letter)]) if "\u0080" <= letter <= "\u009f" else letter.encode(codec)


def _is_email(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def e164(text: str, region: str) -> str:
    """The number as `+905321234567`, or "" when the text is no possible phone number of the region."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
