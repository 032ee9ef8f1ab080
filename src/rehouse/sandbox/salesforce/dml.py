"""Insert, update and upsert: one engine for a single REST row and for a Bulk batch of ten thousand.

`Engine.save` takes JSON rows, `Engine.write` takes rows of cells with one list of headers. Both compile the
write once per (operation, object, headers, user) and run it set-wise inside one transaction.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rehouse.sandbox.salesforce import aftermath
from rehouse.sandbox.salesforce.columns import ColumnError, resolve
from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.jsonrows import FlatRow, flatten
from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.outcome import ApiError, RowError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.plan import Program, Request, Side, build
from rehouse.sandbox.salesforce.rules import US
from rehouse.sandbox.salesforce.schema_model import SField, SObject

__all__ = ["ApiError", "Engine", "Outcome", "RowError", "RowResult", "SaveOptions"]

CHUNK = 200
"""Rows of one trigger chunk: two rows with one upsert key inside a chunk refuse each other."""
_CACHE = 48
_ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row of cells. `error` is the coded text of `rules`, None on success."""

    id: str | None
    created: bool
    error: str | None


class Engine:
    """Compiles and runs writes for one org."""

    def __init__(self, org: OrgState) -> None:
        self._org = org
        self._programs: OrderedDict[tuple[Any, ...], Program] = OrderedDict()
        self._number = 0

    # JSON rows -------------------------------------------------------------------------------------------------

    def save(
        self,
        op: str,
        obj: SObject,
        rows: Sequence[Mapping[str, Any]],
        options: SaveOptions,
        key_name: str = "",
    ) -> list[RowResult]:
        """Write JSON rows; a result per row in order. Rows are grouped by the fields they name."""
        self._allowed(op, obj)
        key = self.key(obj, key_name, options.user_id) if op == "upsert" else None
        flats = [flatten(obj, row) for row in rows]
        groups: dict[tuple[str, ...], list[int]] = {}
        for place, flat in enumerate(flats):
            self._complete(op, flat, key)
            order = [i for _, i in sorted((header, i) for i, header in enumerate(flat.headers))]
            flat.cells = [flat.cells[i] for i in order]
            flat.headers = tuple(flat.headers[i] for i in order)
            groups.setdefault(flat.headers, []).append(place)
        results: list[RowResult] = [RowResult(None, False, None)] * len(rows)
        with self._org.store.transaction() as transaction:
            for headers, places in groups.items():
                cells = [flats[p].cells for p in places]
                blobs = [flats[p].blobs for p in places]
                try:
                    outcomes = self.write(op, obj, headers, cells, options, key, blobs)
                except ColumnError as refused:
                    raise refused.api from refused
                for place, outcome in zip(places, outcomes, strict=True):
                    results[place] = self._result(op, obj, outcome, options)
            if options.all_or_none and not all(r.success for r in results):
                transaction.rollback()
                self._org.schema.permissions_changed()
                results = [RowResult(None, False, None, (_ROLLED_BACK,)) if r.success else r for r in results]
        return results

    def _allowed(self, op: str, obj: SObject) -> None:
        fine = obj.updateable if op == "update" else obj.createable
        if not fine:
            word = "updated" if op == "update" else "inserted"
            raise ApiError(400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be {word}: {obj.label}")

    def key(self, obj: SObject, name: str, user_id: str) -> SField:
        """The upsert key field. Raises ApiError 404 as the REST resource does."""
        item = obj.field(name)
        user = user_id or self._org.admin_id
        if item is None or not item.id_lookup or not self._org.schema.visible(obj, item, user):
            raise ApiError(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {name}")
        return item

    def _complete(self, op: str, flat: FlatRow, key: SField | None) -> None:
        """Make sure the id or key column is there, empty when the row lacks it."""
        wanted = "Id" if op == "update" else key.name if key else ""
        if wanted and wanted.lower() not in (h.lower() for h in flat.headers):
            flat.headers = (*flat.headers, wanted)
            flat.cells.append("")

    def _result(self, op: str, obj: SObject, outcome: Outcome, options: SaveOptions) -> RowResult:
        if outcome.error is None:
            return RowResult(outcome.id, True, outcome.created if op == "upsert" else None)
        target = outcome.id if op == "update" else None
        return RowResult(target, False, None, (decode(outcome.error, obj, options.version, self._org),))

    # rows of cells ---------------------------------------------------------------------------------------------

    def write(
        self,
        op: str,
        obj: SObject,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        options: SaveOptions,
        key: SField | None = None,
        blobs: Sequence[Mapping[str, Any]] = (),
    ) -> list[Outcome]:
        """Write rows of cells set-wise in one transaction. Raises ColumnError for a bad header."""
        user = options.user_id or self._org.admin_id
        with self._org.store.transaction():
            program = self.program(op, obj, headers, replace(options, user_id=user), key)
            return self._run(program, op, headers, rows, user, key, blobs)

    def program(
        self, op: str, obj: SObject, headers: Sequence[str], options: SaveOptions, key: SField | None
    ) -> Program:
        """The compiled write, from the cache where the schema has not changed since."""
        schema, user = self._org.schema, options.user_id or self._org.admin_id
        mark = (op, obj.name, tuple(headers), user, options.bulk, options.duplicate_allow_save, key, schema.version)
        found = self._programs.pop(mark, None)
        if found is None:
            columns = resolve(schema, obj, headers, user)
            if key is not None and key.name != "Id" and key not in [c.field for c in columns if not c.by_key]:
                raise ColumnError(
                    f"Field name not found : {key.name}", ApiError(400, "MISSING_ARGUMENT", f"{key.name} not specified")
                )
            self._number += 1
            found = build(
                Request(
                    schema, obj, op, columns, user, options.bulk, key, options.duplicate_allow_save, self._org.switches
                ),
                self._number,
            )
        self._programs[mark] = found
        while len(self._programs) > _CACHE:
            _, old = self._programs.popitem(last=False)
            for table in old.tables():
                self._org.store.db.execute(f"DROP TABLE IF EXISTS temp.{table}")
        return found

    def _run(
        self,
        program: Program,
        op: str,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        user: str,
        key: SField | None,
        blobs: Sequence[Mapping[str, Any]],
    ) -> list[Outcome]:
        db = self._org.store.db
        for statement in (program.create, *(s.create for s in (program.insert, program.update) if s)):
            db.execute(statement.replace("CREATE TEMP TABLE", "CREATE TEMP TABLE IF NOT EXISTS", 1))
        for table in program.tables():
            db.execute(f"DELETE FROM temp.{table}")
        rounds = self._fill(program, op, headers, rows, key)
        params: dict[str, Any] = {"now": self._org.stamp(), "user": user, "auto": self._auto(program, len(rows))}
        done: list[Outcome | None] = [None] * len(rows)
        for turn in range(rounds):
            params["round"] = turn
            if program.match:
                db.execute(program.match, params)
            for side in (program.insert, program.update):
                if side is None:
                    continue
                self._side(program, side, params, done, blobs)
        return [outcome or Outcome(None, False, None) for outcome in done]

    def _auto(self, program: Program, count: int) -> int:
        """The number before the first auto-number of this batch; failed rows leave gaps, as on the platform."""
        if program.insert is None or not any(f.auto_number for f in program.obj.fields.values()):
            return 0
        first = self._org.store.take(f"auto:{program.obj.name}", count)
        return first - 1 + (0 if program.obj.custom else 999)

    def _fill(
        self, program: Program, op: str, headers: Sequence[str], rows: Sequence[Sequence[str]], key: SField | None
    ) -> int:
        """Fill the raw table; how many rounds it takes so that no round writes one record twice."""
        db, org = self._org.store.db, self._org
        fresh = org.next_ids(program.obj.name, len(rows)) if op != "update" else iter([None] * len(rows))
        lowered = [h.lower() for h in headers]
        place = lowered.index("id") if "id" in lowered else None
        if op == "insert":
            if place is None:
                heads = zip(range(1, len(rows) + 1), fresh)  # noqa: B905
                db.executemany(
                    program.fill,
                    ((rn, None, new, None, 0, 0, *row) for (rn, new), row in zip(heads, rows, strict=True)),
                )
            else:
                refused = US.join(("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "Id"))
                db.executemany(
                    program.fill,
                    (
                        (rn, None, new, refused if row[place] else None, 0, 0, *row)
                        for rn, (new, row) in enumerate(zip(fresh, rows, strict=True), 1)
                    ),
                )
            return 1
        at = place if op == "update" or (key and key.name == "Id") else lowered.index(key.name.lower() if key else "")
        heads2, rounds = _targets(op, [row[at] if at is not None else "" for row in rows], key, program.obj)
        db.executemany(
            program.fill,
            (
                (rn, target, new, fault, mode, turn, *row)
                for rn, ((target, fault, mode, turn), new, row) in enumerate(zip(heads2, fresh, rows, strict=True), 1)
            ),
        )
        return rounds

    def _side(
        self,
        program: Program,
        side: Side,
        params: Mapping[str, Any],
        done: list[Outcome | None],
        blobs: Sequence[Mapping[str, Any]],
    ) -> None:
        db = self._org.store.db
        db.execute(f"DELETE FROM temp.{side.stage}")
        if not db.execute(side.check, params).rowcount:
            return
        for column, item in side.unique:
            _unique_in_batch(db, side.stage, column, item)
        creating = side is program.insert
        before = aftermath.before(self._org, program, side, creating=creating)
        db.execute(side.apply, params)
        for rn, target, fault in db.execute(f"SELECT rn, id, err FROM temp.{side.stage}"):
            done[rn - 1] = Outcome(target, creating and fault is None, fault)
        aftermath.after(self._org, program, side, params, blobs, before, creating=creating)


def _targets(
    op: str, cells: Sequence[str], key: SField | None, obj: SObject
) -> tuple[list[tuple[str | None, str | None, int, int]], int]:
    """Per row: id, fault, mode (1 update), round. Equal keys go to later rounds, so that each sees the last."""
    out: list[tuple[str | None, str | None, int, int]] = []
    seen: dict[str, list[int]] = {}
    by_id = op == "update" or (key is not None and key.name == "Id")
    fold = not (by_id or (key is not None and key.case_sensitive))
    rounds = 1
    for number, cell in enumerate(cells):
        text = (cell or "").strip()
        text = "" if text == "#N/A" else text
        fault, mode, turn = None, int(by_id and bool(text)), 0
        if by_id:
            text = id18(text)
            fault = _id_fault(op, text, obj)
            mode = 1 if op == "update" else mode
        if text:
            mark = text.lower() if fold else text
            places = seen.setdefault(mark, [])
            if op == "upsert" and places and places[-1] // CHUNK == number // CHUNK:
                fault = fault or US.join(
                    ("DUPLICATE_VALUE", f"Duplicate external id specified: {text}", key.name if key else "Id")
                )
            turn = len({p // CHUNK for p in places} - {number // CHUNK}) if op == "upsert" else len(places)
            places.append(number)
            rounds = max(rounds, turn + 1)
        out.append((text or None if by_id else None, fault, mode, turn))
    return out, rounds


def _id_fault(op: str, text: str, obj: SObject) -> str | None:
    if not text:
        return US.join(("MISSING_ARGUMENT", "Id not specified in an update call", "Id")) if op == "update" else None
    if not is_id(text):
        return US.join(("MALFORMED_ID", f"malformed id {text}", "Id"))
    if obj.key_prefix and not text.startswith(obj.key_prefix):
        return US.join(("MALFORMED_ID", f"{obj.label} ID: id value of incorrect type: {text}", "Id"))
    return None


def _unique_in_batch(db: Any, stage: str, column: str, item: SField) -> None:
    """Of several new rows with one unique value the first is kept, the others are refused."""
    first: dict[Any, str] = {}
    refused: list[tuple[str, int]] = []
    for rn, value, target in db.execute(
        f"SELECT rn, {column}, id FROM temp.{stage} WHERE err IS NULL AND {column} IS NOT NULL ORDER BY rn"
    ):
        mark = value.lower() if isinstance(value, str) and not item.case_sensitive else value
        holder = first.setdefault(mark, target)
        if holder != target:
            message = f"duplicate value found: {item.name} duplicates value on record with id: {holder[:15]}"
            refused.append((US.join(("DUPLICATE_VALUE", message, item.name)), rn))
    if refused:
        db.executemany(f"UPDATE temp.{stage} SET err=? WHERE rn=?", refused)


def decode(coded: str, obj: SObject, version: int, org: OrgState) -> RowError:
    """The error that a coded text stands for."""
    parts = coded.split(US)
    fields = tuple(f for f in parts[2].split(",") if f) if len(parts) > 2 else ()
    extra = duplicate_body(org, obj, parts[3], parts[4].split(","), version) if len(parts) > 4 else None
    return RowError(parts[0], parts[1], fields, extra)


def duplicate_body(org: OrgState, obj: SObject, rule_name: str, ids: Sequence[str], version: int) -> dict[str, Any]:
    """The body of a duplicate rule's refusal, with the misspelt key that clients depend on."""
    rule = org.schema.duplicate_rules[rule_name]
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {
                "attributes": {"type": obj.name, "url": f"/services/data/v{version}.0/sobjects/{obj.name}/{record_id}"},
                "Id": record_id,
            },
        }
        for record_id in ids
    ]
    match = {
        "entityType": obj.name,
        "errors": [],
        "matchEngine": "ExactMatchEngine",
        "matchRecords": records,
        "rule": rule.matching_rule or rule.name,
        "size": len(records),
        "success": True,
    }
    return {
        "duplicateResut": {
            "allowSave": not rule.block,
            "duplicateRule": rule.name,
            "duplicateRuleEntityType": obj.name,
            "errorMessage": rule.alert_text,
            "matchResults": [match],
        }
    }
