"""One write, compiled: raw cells → checked stage → the object's table. Everything per batch is set-wise SQL.

A `Program` belongs to an operation on one object with one list of columns. It owns a temporary table of raw
cells and, for each side (insert, update) that the operation can take, a `Side` with its own stage table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rehouse.sandbox.salesforce import rules
from rehouse.sandbox.salesforce.columns import Column, writable
from rehouse.sandbox.salesforce.effects import Derived, derive
from rehouse.sandbox.salesforce.rules import Context, error, text
from rehouse.sandbox.salesforce.schema import OrgSchema
from rehouse.sandbox.salesforce.schema_model import AUDIT_FIELDS, DuplicateRule, SField, SObject
from rehouse.sandbox.salesforce.tables import quoted

READ_ONLY = (
    "Unable to create/update fields: {}. Please check the security settings of this field and verify that "
    "it is read/write for your profile or permission set."
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be compiled. `key` is the upsert key; `switches` are the org's."""

    schema: OrgSchema
    obj: SObject
    op: str
    columns: tuple[Column, ...]
    user_id: str
    bulk: bool
    key: SField | None
    allow_duplicates: bool
    switches: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Side:
    """The insert or the update half. `check` fills the stage (parameter :round), `apply` writes the object."""

    stage: str
    create: str
    check: str
    apply: str
    unique: tuple[tuple[str, SField], ...]
    positions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled write."""

    obj: SObject
    raw: str
    create: str
    fill: str
    match: str | None
    insert: Side | None
    update: Side | None

    def tables(self) -> list[str]:
        """The temporary tables to drop with the program."""
        return [self.raw, *(side.stage for side in (self.insert, self.update) if side)]


class _View:
    """The row as effects see it (see `effects.RowView`)."""

    def __init__(self, side: _SideBuilder, *, staged: bool) -> None:
        self._side, self._staged = side, staged

    @property
    def creating(self) -> bool:
        return self._side.creating

    @property
    def obj(self) -> SObject:
        return self._side.obj

    def col(self, name: str) -> str:
        return self._side.final(name, staged=self._staged)

    def given(self, name: str) -> str:
        place = self._side.places.get(name)
        return "0" if place is None else f"ifnull({self._side.raw(place)}<>'', 0)"

    def touched(self, name: str) -> str:
        place = self._side.places.get(name)
        return "0" if place is None else f"({self._side.raw(place)} IS NOT NULL)"

    def old(self, name: str) -> str:
        return "NULL" if self._side.creating else f"cur.{quoted(name)}"


class _SideBuilder:
    def __init__(self, request: Request, raw_table: str, *, creating: bool) -> None:
        self.request, self.obj, self.creating = request, request.obj, creating
        self.raw_table = raw_table
        self.stage = raw_table.replace("raw", "ins" if creating else "upd")
        self.places: dict[str, int] = {}
        self.blocked: list[tuple[int, SField]] = []
        for place, column in enumerate(request.columns):
            item = column.field
            if item.storage is None or item.name == "Id":
                continue
            if not self._writable(item):
                self.blocked.append((place, item))
                continue
            self.places[item.name] = place
        self.context = Context(
            schema=request.schema,
            obj=request.obj,
            creating=creating,
            bulk=request.bulk,
            record_type=self._record_type(),
            inactive_owner_ok=request.switches["UpdateWithInactiveOwner"],
            restricted_stage=request.switches["RestrictedStageName"],
            now=":now",
        )

    def _writable(self, item: SField) -> bool:
        request = self.request
        if request.key is not None and item.name == request.key.name:
            return True
        audit = request.switches["CreateAuditFields"]
        return writable(request.schema, self.obj, item, request.user_id, creating=self.creating, audit_switch=audit)

    def raw(self, place: int) -> str:
        """The raw cell; on the insert half of a Bulk upsert an untouched cell is null."""
        cell = f"x.r{place}"
        return f"ifnull({cell},'')" if self.creating and self.request.op == "upsert" else cell

    def _record_type(self) -> str | None:
        if not self.obj.record_types or "RecordTypeId" not in self.obj.fields:
            return None
        return f"ifnull({self.final('RecordTypeId', staged=False)}, '')"

    def final(self, name: str, *, staged: bool) -> str:
        """SQL of the value after the write; `staged` says whether the stage is filled already."""
        place = self.places.get(name)
        item = self.obj.fields.get(name)
        if place is None:
            return self._default(item) if self.creating else f"cur.{quoted(name)}"
        if staged:
            return f"s.v{place}"
        return self._value(place)

    def _default(self, item: SField | None) -> str:
        if item is None:
            return "NULL"
        if item.type == "boolean":
            return str(int(bool(item.default_value)))
        if item.default_value is not None:
            return text(str(item.default_value))
        return ":user" if item.name == "OwnerId" else "NULL"

    def _value(self, place: int) -> str:
        column = self.request.columns[place]
        raw = self.raw(place)
        value = rules.value(raw, column)
        if self.creating:
            default = self._default(column.field)
            if column.field.name in AUDIT_FIELDS:
                default = ":now" if column.field.type == "datetime" else ":user"
            return value if default == "NULL" or column.field.type == "boolean" else f"coalesce({value}, {default})"
        return f"CASE WHEN {raw} IS NULL THEN cur.{quoted(column.field.name)} ELSE {value} END"

    # checking ------------------------------------------------------------------------------------------------

    def check(self) -> str:
        places = sorted(self.places.values())
        names = ", ".join(f"v{p}" for p in places)
        values = ", ".join(self._value(p) for p in places)
        source = f"{self.raw_table} x"
        if not self.creating:
            source += f" LEFT JOIN {quoted(self.obj.name)} cur ON cur.Id = x.id"
        target = "x.fresh" if self.creating else "x.id"
        return (
            f"INSERT INTO {self.stage} (rn, id, err{', ' if names else ''}{names}) "
            f"SELECT x.rn, {target}, {_first(self._faults())}{', ' if values else ''}{values} "
            f"FROM {source} WHERE x.mode = {int(not self.creating)} AND x.round = :round ORDER BY x.rn"
        )

    def _faults(self) -> list[str]:
        found = ["x.err"]
        if not self.creating:
            missing = error("INVALID_CROSS_REFERENCE_KEY", text("invalid cross reference id"))
            gone = error("ENTITY_IS_DELETED", text("entity is deleted"))
            found.append(f"CASE WHEN cur.Id IS NULL THEN {missing} WHEN cur._del IS NOT NULL THEN {gone} END")
        found += self._blocked_faults()
        found += self._missing_faults()
        found += self._permission_faults()
        for name, place in self.places.items():
            column = self.request.columns[place]
            found += rules.faults(self.context, self.raw(place), self._value(place), column, place + 1)
            if name in ("OwnerId",) and not self.creating:
                blank = error("INVALID_CROSS_REFERENCE_KEY", text("Owner ID: cannot be blank"), "OwnerId")
                found.append(f"CASE WHEN {self.raw(place)}='' THEN {blank} END")
        view = _View(self, staged=False)
        found += derive(view).faults
        for name, place in self.places.items():
            item = self.obj.fields[name]
            if item.unique:
                own = "" if self.creating else "cur.Id"
                found.append(rules.unique_fault(self.context, item, self._value(place), own))
        found += [self._duplicate_fault(rule) for rule in self._duplicate_rules()]
        return found

    def _permission_faults(self) -> list[str]:
        """FieldPermissions name a field that can have them; the text is the platform's for a bad picklist value."""
        place = self.places.get("Field")
        if self.obj.name != "FieldPermissions" or place is None:
            return []
        names = [
            text(f"{obj.name}.{item.name}")
            for obj in self.request.schema.objects.values()
            for item in obj.fields.values()
            if (item.permissionable if item.custom else item.nillable)
        ]
        raw = self.raw(place)
        message = f"'Field Name: bad value for restricted picklist field: '||{raw}"
        fault = error("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, "Field")
        return [f"CASE WHEN {raw} COLLATE NOCASE NOT IN ({', '.join(names)}) THEN {fault} END"]

    def _blocked_faults(self) -> list[str]:
        if not self.blocked:
            return []
        names = [item.name for _, item in self.blocked]
        fault = error("INVALID_FIELD_FOR_INSERT_UPDATE", text(READ_ONLY.format(", ".join(names))), ",".join(names))
        touched = " OR ".join(
            f"{self.raw(place)}<>''" if self.request.bulk else f"{self.raw(place)} IS NOT NULL"
            for place, _ in self.blocked
        )
        return [f"CASE WHEN {touched} THEN {fault} END"]

    def _missing_faults(self) -> list[str]:
        """One error that names every required field without a value."""
        wanted = list(self.obj.required_fields)
        if not self.creating:
            wanted += [n for n, p in self.places.items() if self._never_null(self.request.columns[p].field)]
        always, sometimes = [], []
        for name in dict.fromkeys(wanted):
            place = self.places.get(name)
            item = self.obj.fields[name]
            if place is not None:
                sometimes.append(f"CASE WHEN {self.raw(place)}='' THEN {text(', ' + name)} ELSE '' END")
            elif self.creating and item.storage and item.default_value is None and item.name != "OwnerId":
                always.append(name)
        fixed = text("".join(f", {n}" for n in always))
        listed = "||".join([fixed, *sometimes])
        out = []
        if always or sometimes:
            names = f"substr({listed},3)"
            head = text(f"REQUIRED_FIELD_MISSING{rules.US}Required fields are missing: [")
            message = f"{head}||{names}||{text(']' + rules.US)}||replace({names},', ',',')"
            out = [f"CASE WHEN {listed}<>'' THEN {message} END"]
        return out + (self._any_of_faults() if self.creating else [])

    def _any_of_faults(self) -> list[str]:
        out = []
        for group in self.obj.required_any_of:
            if self.obj.name in ("Event", "OpportunityLineItem", "QuoteLineItem"):
                continue
            empty = " AND ".join(
                f"ifnull({self.raw(self.places[n])},'')=''" if n in self.places else "1" for n in group
            )
            fault = error(
                "REQUIRED_FIELD_MISSING", text(f"Required fields are missing: [{', '.join(group)}]"), ",".join(group)
            )
            out.append(f"CASE WHEN {empty} THEN {fault} END")
        return out

    def _never_null(self, item: SField) -> bool:
        return not item.nillable and item.type != "boolean" and item.name != "OwnerId" and item.name not in AUDIT_FIELDS

    def _duplicate_rules(self) -> list[DuplicateRule]:
        return [
            r
            for r in self.request.schema.duplicate_rules.values()
            if r.active
            and r.object == self.obj.name
            and (r.block or not self.request.allow_duplicates)
            and any(name in self.places for name in r.fields)
        ]

    def _duplicate_fault(self, rule: DuplicateRule) -> str:
        pairs = " AND ".join(f"d.{quoted(n)}={self.final(n, staged=False)}" for n in rule.fields)
        other = "" if self.creating else " AND d.Id<>cur.Id"
        source = f"{quoted(self.obj.name)} d WHERE {pairs} AND d._del IS NULL{other}"
        ids = f"(SELECT group_concat(i) FROM (SELECT d.Id i FROM {source} ORDER BY d.Id LIMIT 5))"
        tail = f"||{text(rules.US + rule.name + rules.US)}||{ids}"
        touched = " OR ".join(f"{self.raw(self.places[n])} IS NOT NULL" for n in rule.fields if n in self.places)
        fault = error("DUPLICATES_DETECTED", text(rule.alert_text)) + tail
        return f"CASE WHEN ({touched}) AND EXISTS (SELECT 1 FROM {source}) THEN {fault} END"

    # writing ---------------------------------------------------------------------------------------------------

    def build(self) -> Side:
        columns = "".join(f", v{p} {_affinity(self.request.columns[p].field)}" for p in sorted(self.places.values()))
        return Side(
            stage=self.stage,
            create=f"CREATE TEMP TABLE {self.stage} (rn INTEGER PRIMARY KEY, id TEXT, err TEXT{columns})",
            check=self.check(),
            apply=self._insert() if self.creating else self._update(),
            unique=tuple(
                (f"v{place}", self.obj.fields[name])
                for name, place in self.places.items()
                if self.obj.fields[name].unique
            ),
            positions={name: f"v{place}" for name, place in self.places.items()},
        )

    def _derived(self) -> Derived:
        return derive(_View(self, staged=True))

    def _insert(self) -> str:
        derived = self._derived()
        chosen: dict[str, str] = {"Id": "s.id"}
        for item in self.obj.fields.values():
            if item.storage is None or item.name == "Id":
                continue
            sql = derived.columns.get(item.name) or self._inserted(item)
            if sql != "NULL":
                chosen[item.name] = sql
        names = ", ".join(quoted(n) for n in chosen)
        return (
            f"INSERT INTO {quoted(self.obj.name)} ({names}) SELECT {', '.join(chosen.values())} "
            f"FROM {self.stage} s JOIN {self.raw_table} x ON x.rn = s.rn {' '.join(derived.joins)} "
            "WHERE s.err IS NULL ORDER BY s.rn"
        )

    def _inserted(self, item: SField) -> str:
        place = self.places.get(item.name)
        if place is not None:
            return f"s.v{place}"
        if item.name in ("CreatedDate", "LastModifiedDate", "SystemModstamp"):
            return ":now"
        if item.name in ("CreatedById", "LastModifiedById", "OwnerId"):
            return ":user"
        return self._default(item)

    def _update(self) -> str:
        derived = self._derived()
        sets = {name: f"s.v{place}" for name, place in self.places.items()} | derived.columns
        for name, sql in (("LastModifiedDate", ":now"), ("LastModifiedById", ":user"), ("SystemModstamp", ":now")):
            if name in self.obj.fields:
                sets[name] = sql
        table = quoted(self.obj.name)
        return (
            f"UPDATE {table} SET {', '.join(f'{quoted(n)}={sql}' for n, sql in sets.items())} "
            f"FROM {self.stage} s JOIN {self.raw_table} x ON x.rn = s.rn JOIN {table} cur ON cur.Id = s.id "
            f"{' '.join(derived.joins)} WHERE s.err IS NULL AND {table}.Id = s.id"
        )


def _affinity(item: SField) -> str:
    return item.storage or "TEXT"


def _first(faults: Sequence[str]) -> str:
    """The first fault that is not NULL; nested, because SQLite limits the arguments of one call."""
    if len(faults) == 1:
        return faults[0]
    if len(faults) <= 60:
        return f"coalesce({', '.join(faults)})"
    return _first([_first(faults[i : i + 60]) for i in range(0, len(faults), 60)])


def build(request: Request, number: int) -> Program:
    """Compile a request. `number` keeps the names of its temporary tables apart from others'."""
    raw = f"raw_{number}"
    cells = "".join(f", r{place} TEXT" for place in range(len(request.columns)))
    creating = request.op == "insert"
    fills = "".join(
        ", " + rules.cell(f"?{place + 7}", column, bulk=request.bulk, creating=creating)
        for place, column in enumerate(request.columns)
    )
    return Program(
        obj=request.obj,
        raw=raw,
        create=(
            f"CREATE TEMP TABLE {raw} (rn INTEGER PRIMARY KEY, id TEXT, fresh TEXT, err TEXT, mode INTEGER, "
            f"round INTEGER{cells})"
        ),
        fill=f"INSERT INTO {raw} VALUES (?1,?2,?3,?4,?5,?6{fills})",
        match=_match(request, raw) if request.op == "upsert" else None,
        insert=_SideBuilder(request, raw, creating=True).build() if request.op != "update" else None,
        update=_SideBuilder(request, raw, creating=False).build() if request.op != "insert" else None,
    )


def _match(request: Request, raw: str) -> str | None:
    """The statement that finds, for the rows of a round, the record that holds the upsert key."""
    key = request.key
    if key is None or key.name == "Id":
        return None
    place = next(i for i, c in enumerate(request.columns) if c.field.name == key.name)
    cell = rules.typed_key(f"{raw}.r{place}", key)
    source = f"{quoted(request.obj.name)} k WHERE k.{quoted(key.name)} = {cell} AND k._del IS NULL"
    blank = error("MISSING_ARGUMENT", text(f"{key.name} not specified"), key.name)
    ids = f"(SELECT group_concat(i, ', ') FROM (SELECT k.Id i FROM {source} ORDER BY k.Id LIMIT 5))"
    many = error(
        "DUPLICATE_EXTERNAL_ID",
        f"{text(key.label + ': more than one record found for external id field: [')}||{ids}||']'",
        key.name,
    )
    several = "0" if key.unique else f"(SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT 2))>1"
    return (
        f"UPDATE {raw} SET id=(SELECT k.Id FROM {source} LIMIT 1), "
        f"mode=EXISTS (SELECT 1 FROM {source}), "
        f"err=coalesce(err, CASE WHEN ifnull(r{place},'')='' THEN {blank} WHEN {several} THEN {many} END) "
        "WHERE round=:round"
    )
