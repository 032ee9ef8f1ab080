"""The data rules of a column, compiled to SQL.

Input is the table of raw cells (alias `x`): NULL means "not touched", the empty text means "set to null",
anything else is the value as text. `Rule` texts are expressions that give NULL when the cell is fine and
`code US message US fields` otherwise (US is character 31). Messages follow the fact sheet; where a text or
code is not published this module says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from rehouse.sandbox.salesforce.columns import Column
from rehouse.sandbox.salesforce.schema import OrgSchema
from rehouse.sandbox.salesforce.schema_model import NUMBER_TYPES, SField, SObject
from rehouse.sandbox.salesforce.tables import quoted

US = "\x1f"
_BLANKS = "char(32,9,10,13)"
_TRIMMED = frozenset({"string", "picklist", "multipicklist", "combobox", "phone", "url", "email"})
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_MOMENT = _DAY + "T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_XSD = {"date": "date", "datetime": "dateTime", "time": "time", "boolean": "boolean", "int": "int"}


def text(value: str) -> str:
    """An SQL text literal."""
    return "'" + value.replace("'", "''") + "'"


def error(code: str, message: str, fields: str = "") -> str:
    """An error value; `message` is an SQL expression, `fields` names joined by commas."""
    return f"{text(code + US)}||({message})||{text(US + fields)}"


def trimmed(item: SField) -> bool:
    """Whether blanks around a value are dropped (general knowledge for text fields; unverified)."""
    return item.type in _TRIMMED


def cell(param: str, column: Column, *, bulk: bool, creating: bool) -> str:
    """A parameter as a raw cell. In Bulk an empty cell is null on insert and untouched on update; `#N/A` is null."""
    value = f"trim({param}, {_BLANKS})" if column.by_key or column.field.type != "textarea" else param
    if not bulk:
        return value if trimmed(column.field) or column.by_key else param
    empty = "''" if creating else "NULL"
    return f"CASE {param} WHEN '' THEN {empty} WHEN '#N/A' THEN '' ELSE {value} END"


@dataclass(frozen=True, slots=True)
class Context:
    """What the compiler knows: org schema, object, the column's place, and where the final record type stands."""

    schema: OrgSchema
    obj: SObject
    creating: bool
    bulk: bool
    record_type: str | None
    inactive_owner_ok: bool
    restricted_stage: bool
    now: str


# values ---------------------------------------------------------------------------------------------------------


def value(raw: str, column: Column) -> str:
    """The cell as it is stored (NULL for the empty text). Only for cells that pass `faults`."""
    item = column.field
    if column.by_key:
        return key_value(raw, column)
    if item.type == "boolean":
        default = int(bool(item.default_value))
        return f"CASE lower({raw}) WHEN 'true' THEN 1 WHEN '1' THEN 1 WHEN '' THEN {default} ELSE 0 END"
    if item.type in ("int", "long"):
        return f"CASE WHEN {raw}<>'' THEN CAST(CAST({raw} AS REAL) AS INTEGER) END"
    if item.type in NUMBER_TYPES:
        return f"CASE WHEN {raw}<>'' THEN round(CAST({raw} AS REAL), {item.scale}) END"
    if item.type == "datetime":
        fast = f"({raw} GLOB '{_MOMENT}.[0-9][0-9][0-9]Z' OR {raw} GLOB '{_MOMENT}Z')"
        return f"CASE WHEN {raw}='' THEN NULL WHEN {fast} THEN substr({raw},1,19)||'.000Z' ELSE sf_datetime({raw}) END"
    if item.type in ("reference", "id"):
        return f"CASE length({raw}) WHEN 18 THEN {raw} WHEN 0 THEN NULL ELSE sf_id18({raw}) END"
    return f"nullif({raw},'')"


def key_value(raw: str, column: Column) -> str:
    """The id of the parent that holds this key."""
    parent, key = column.parent, column.key
    assert parent is not None
    assert key is not None
    return (
        f"(SELECT k.Id FROM {quoted(parent.name)} k WHERE k.{quoted(key.name)} = {typed_key(raw, key)} "
        f"AND k._del IS NULL)"
    )


def typed_key(raw: str, key: SField) -> str:
    """A raw cell to be compared with a key column."""
    if key.type in NUMBER_TYPES:
        return f"CAST({raw} AS REAL)"
    return f"sf_id18({raw})" if key.type == "id" else raw


# faults ---------------------------------------------------------------------------------------------------------


def faults(ctx: Context, raw: str, final: str, column: Column, place: int) -> list[str]:
    """Error expressions of one column, first one wins. `final` is the SQL of the stored value."""
    item = column.field
    if column.by_key:
        found = _key_faults(raw, column)
    elif item.is_reference:
        found = _reference_faults(ctx, raw, item)
    else:
        found = [*_form_faults(ctx, raw, item, place), *_size_faults(raw, item), *_option_faults(ctx, raw, item)]
    if item.name == "OwnerId":
        found += _owner_faults(ctx, final, item)
    if item.name == "RecordTypeId":
        found += _record_type_faults(ctx, final)
    return [f"CASE WHEN {raw}<>'' THEN {one} END" for one in found]


def _case(condition: str, then: str) -> str:
    return f"CASE WHEN {condition} THEN {then} END"


def _form_faults(ctx: Context, raw: str, item: SField, place: int) -> list[str]:
    bad = {
        "boolean": f"lower({raw}) NOT IN ('true','false','1','0')",
        "date": f"NOT ({raw} GLOB '{_DAY}' AND ifnull(strftime('%Y-%m-%d', {raw}, '+0 days')={raw}, 0))",
        "datetime": _bad_moment(raw),
        "time": f"NOT ({raw} GLOB '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]*')",
    }.get(item.type)
    if item.type in NUMBER_TYPES:
        bad = f"NOT (({raw} GLOB '[-0-9]*' AND json_valid({raw})) OR sf_number({raw}) IS NOT NULL)"
    if bad is None:
        return []
    kind = _XSD.get(item.type, "double")
    head = text(f"Failed to deserialize field at col {place}. Due to, '")
    tail = text(f"' is not a valid value for the type xsd:{kind}")
    message = f"{head}||{raw}||{tail}"
    return [_case(bad, error("INVALID_FIELD", message, item.name))]


def _bad_moment(raw: str) -> str:
    plain = f"substr({raw},1,19)"
    fast = f"{raw} GLOB '{_MOMENT}*Z' AND ifnull(strftime('%Y-%m-%dT%H:%M:%S', {plain}, '+0 days')={plain}, 0)"
    return f"NOT (({fast}) OR sf_datetime({raw}) IS NOT NULL)"


def _size_faults(raw: str, item: SField) -> list[str]:
    out = []
    if item.storage == "TEXT" and item.length and item.type not in ("date", "datetime", "time", "id"):
        message = f"{text(item.label + ': data value too large: ')}||{raw}||{text(f' (max length={item.length})')}"
        out.append(_case(f"length({raw})>{item.length}", error("STRING_TOO_LONG", message, item.name)))
    if item.type in NUMBER_TYPES:
        whole = (item.precision - item.scale) if item.precision else item.digits
        if whole > 0:
            message = f"{text(item.label + ': value outside of valid range on numeric field: ')}||{raw}"
            out.append(
                _case(
                    f"abs(round(CAST({raw} AS REAL), {item.scale}))>=1e{whole}",
                    error("NUMBER_OUTSIDE_VALID_RANGE", message, item.name),
                )
            )
    if item.type == "email":
        message = f"{text(item.label + ': invalid email address: ')}||{raw}"
        out.append(
            _case(
                f"NOT ({_plain_email(raw)} OR sf_email_ok({raw}))", error("INVALID_EMAIL_ADDRESS", message, item.name)
            )
        )
    return out


def _plain_email(raw: str) -> str:
    """Addresses that are surely fine, decided without leaving SQL; the others go to `sf_email_ok`."""
    odd = ("*[^A-Za-z0-9.@_-]*", "*..*", "*.@*", "*@*@*", "*-.*", "*.-*", "*-", "*.", "*[^A-Za-z]?", "*_*@*_*", "*@*_*")
    good = f"{raw} GLOB '[A-Za-z0-9]*@[A-Za-z0-9]*.[A-Za-z]?*'"
    return good + "".join(f" AND {raw} NOT GLOB '{pattern}'" for pattern in odd)


def _option_faults(ctx: Context, raw: str, item: SField) -> list[str]:
    strict = item.restricted or (item.name == "StageName" and ctx.restricted_stage)
    if item.type not in ("picklist", "multipicklist") or not strict:
        return []
    lists = ctx.schema.allowed_options(ctx.obj, item)
    branches = []
    for record_type, options in lists.items():
        if record_type and (ctx.record_type is None or options == lists[""]):
            continue
        branches.append((record_type, _not_among(raw, item, options)))
    bad = next(sql for record_type, sql in branches if not record_type)
    narrowed = "".join(f" WHEN {text(record_type)} THEN {sql}" for record_type, sql in branches if record_type)
    if narrowed:
        bad = f"CASE {ctx.record_type}{narrowed} ELSE {bad} END"
    shown = f"sf_bad_options({raw}, {text(chr(10).join(lists['']))})" if item.type == "multipicklist" else raw
    message = f"{text(item.label + ': bad value for restricted picklist field: ')}||ifnull({shown},{raw})"
    return [_case(bad, error("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, item.name))]


def _not_among(raw: str, item: SField, options: tuple[str, ...]) -> str:
    if item.type == "multipicklist":
        return f"sf_bad_options({raw}, {text(chr(10).join(options))}) IS NOT NULL"
    return f"{raw} COLLATE NOCASE NOT IN ({', '.join(text(o) for o in options)})"


def _reference_faults(ctx: Context, raw: str, item: SField) -> list[str]:
    malformed = f"length({raw}) NOT IN (15,18) OR {raw} GLOB '*[^0-9A-Za-z]*'"
    out = [_case(malformed, error("MALFORMED_ID", f"'malformed id '||{raw}", item.name))]
    targets = [ctx.schema.objects[t] for t in item.reference_to if t in ctx.schema.objects]
    prefixes = [t.key_prefix for t in targets if t.key_prefix]
    if targets and len(prefixes) == len(item.reference_to):
        wrong = f"substr({raw},1,3) NOT IN ({', '.join(text(p) for p in prefixes)})"
        message = f"{text(item.label + ': id value of incorrect type: ')}||{raw}"
        out.append(_case(wrong, error("FIELD_INTEGRITY_EXCEPTION", message, item.name)))
    if item.name == "RecordTypeId":
        return out
    full = f"CASE length({raw}) WHEN 18 THEN {raw} ELSE sf_id18({raw}) END"
    state = "".join(
        f" WHEN {text(t.key_prefix)} THEN (SELECT t._del IS NOT NULL FROM {quoted(t.name)} t WHERE t.Id={full})"
        for t in targets
        if t.key_prefix
    )
    # An empty CASE is invalid SQL: a reference to objects that this org does not hold finds nothing.
    found = f"(CASE substr({raw},1,3){state} END)" if state else "NULL"
    gone = error("ENTITY_IS_DELETED", "'entity is deleted'", item.name)
    missing = error("INVALID_CROSS_REFERENCE_KEY", "'invalid cross reference id'", item.name)
    out.append(f"CASE {found} WHEN 0 THEN NULL WHEN 1 THEN {gone} ELSE {missing} END")
    return out


def _key_faults(raw: str, column: Column) -> list[str]:
    parent, key = column.parent, column.key
    assert parent is not None
    assert key is not None
    source = f"{quoted(parent.name)} k WHERE k.{quoted(key.name)} = {typed_key(raw, key)} AND k._del IS NULL"
    tail = text(f" not found for field {key.name} in entity {parent.name}")
    missing = error("INVALID_FIELD", f"'Foreign key external ID: '||{raw}||{tail}")
    out = [_case(f"NOT EXISTS (SELECT 1 FROM {source})", missing)]
    if not key.unique and key.type != "id":
        ids = f"(SELECT group_concat(i, ', ') FROM (SELECT substr(k.Id,1,15) i FROM {source} ORDER BY k.Id LIMIT 5))"
        many = f"{text(key.label + ': more than one record found for external id field: [')}||{ids}||']'"
        twice = f"(SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT 2))>1"
        out.append(_case(twice, error("DUPLICATE_EXTERNAL_ID", many)))
    return out


def _owner_faults(ctx: Context, final: str, item: SField) -> list[str]:
    out = []
    if not ctx.inactive_owner_ok:
        message = f"'operation performed with inactive user ['||{final}||{text('] as owner of ' + ctx.obj.name)}"
        inactive = f'EXISTS (SELECT 1 FROM "User" u WHERE u.Id={final} AND u.IsActive=0)'
        out.append(_case(inactive, error("INACTIVE_OWNER_OR_USER", message)))
    if "Group" in item.reference_to:
        # The text is known from Apex; its code is not verified.
        queue = (
            f'EXISTS (SELECT 1 FROM "Group" g JOIN QueueSobject q ON q.QueueId=g.Id AND q._del IS NULL '
            f"WHERE g.Id={final} AND g.Type='Queue' AND q.SobjectType={text(ctx.obj.name)})"
        )
        message = "'Queue not associated with this SObject type'"
        out.append(
            _case(f"substr({final},1,3)='00G' AND NOT {queue}", error("FIELD_INTEGRITY_EXCEPTION", message, "OwnerId"))
        )
    return out


def _record_type_faults(ctx: Context, final: str) -> list[str]:
    known = [text(r.id) for r in ctx.obj.record_types if r.active] + ["'012000000000000AAA'"]
    message = f"'Record Type ID: this ID value isn''t valid for the user: '||{final}"
    fault = error("INVALID_CROSS_REFERENCE_KEY", message, "RecordTypeId")
    return [_case(f"{final} NOT IN ({', '.join(known)})", fault)]


# unique fields and duplicate rules --------------------------------------------------------------------------------


def unique_fault(ctx: Context, item: SField, final: str, own_id: str) -> str:
    """A stored record already holds the value. `own_id` is the SQL of the row's own id, or empty on insert."""
    other = f" AND u.Id<>{own_id}" if own_id else ""
    source = f"{quoted(ctx.obj.name)} u WHERE u.{quoted(item.name)}={final} AND u._del IS NULL{other}"
    message = (
        f"{text(f'duplicate value found: {item.name} duplicates value on record with id: ')}"
        f"||(SELECT substr(u.Id,1,15) FROM {source} LIMIT 1)"
    )
    return _case(
        f"{final} IS NOT NULL AND EXISTS (SELECT 1 FROM {source})", error("DUPLICATE_VALUE", message, item.name)
    )
