"""The end state of a migration, comparable between runs: what the sandbox holds, and what the ledger says of it.

Ids and moments differ between two runs that did the same. So a record is named by its own external id, or by
its id where the record was there before, or else by its content; references by the name of what they point to.
Moments of the run itself read `<now>`; moments that we set (`CreatedDate` of migrated records) are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehouse.clock import SystemClock
from rehouse.ledger.ledger import Ledger
from rehouse.migration import Migration
from rehouse.plan.build import PLANNED
from rehouse.plan.engine import open_engine
from rehouse.sandbox.salesforce.dump import records
from rehouse.sandbox.salesforce.org import Org
from rehouse.verify.books import balance, settle_outcomes

KEY_FIELD = "Legacy_Id__c"
NOT_COMPARED = frozenset({"Id", "SystemModstamp", "LastModifiedDate", "LastViewedDate", "LastReferencedDate"})
"""Moved by every save, also by one that changes nothing."""
ONCE = frozenset({"ContentDocumentLink", "ContentDocument"})
"""Objects without an external id of which two with the same content are one written twice."""
NOW = "<now>"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrgState:
    """What an org holds: `records[object:name]` counts, `values` for the report of a difference."""

    counts: Mapping[str, int]
    records: Counter[str]
    values: Mapping[str, str]
    duplicates: tuple[str, ...]
    customised: Mapping[str, str]

    def differences(self, other: OrgState, *, schema: bool = True, limit: int = 8) -> list[str]:
        """What this state has and the other has not (`+`) or the reverse (`-`); empty when they are the same."""
        lines = [f"{n}: {self.counts.get(n, 0)} records, not {other.counts.get(n, 0)}" for n in _unlike(self, other)]
        lines += [f"+ {self.values[n][:400]}" for n in sorted((self.records - other.records).keys())[:limit]]
        lines += [f"- {other.values[n][:400]}" for n in sorted((other.records - self.records).keys())[:limit]]
        if schema:
            names = sorted({*self.customised, *other.customised})
            lines += [f"customisation {n} differs" for n in names if self.customised.get(n) != other.customised.get(n)]
        return lines


def _unlike(one: OrgState, other: OrgState) -> list[str]:
    return sorted(n for n in {*one.counts, *other.counts} if one.counts.get(n, 0) != other.counts.get(n, 0))


@dataclass(slots=True)
class EndState:
    """An org with the ledger that wrote it. `faults` lists what no end state may have."""

    org: OrgState
    books: Mapping[str, Any]
    faults: list[str] = field(default_factory=list)

    def differences(self, other: EndState) -> list[str]:
        lines = [*self.faults, *self.org.differences(other.org)]
        if self.books != other.books:
            lines.append(f"books differ: {json.dumps(self.books)} not {json.dumps(other.books)}")
        return lines


def org_state(
    store: Path,
    known: frozenset[str],
    since: str,
    without: Iterable[str] = (),
    without_fields: frozenset[str] = frozenset(),
) -> OrgState:
    """Dump the org in `store` (no server may be running on it, or only an idle one).

    `known` are ids of records that were there before; `since` is the moment (as the sandbox stores it) from
    which on a time stamp reads `<now>`; `without` names objects to leave out,
    `without_fields` fields of whatever object.
    """
    left_out = frozenset(without)
    org = Org.open(store, SystemClock())
    try:
        rows = {
            i: (name, {f: v for f, v in row.items() if f not in without_fields})
            for name, i, row in records(org)
            if name not in left_out
        }
        kept = {f"{kind} {obj} {name}": json.dumps(doc, sort_keys=True) for kind, obj, name, doc in org.store.kept()}
    finally:
        org.close()
    names = _names(rows, known, since)
    contents = {i: f"{names[i]} {_content(row, names, since)}" for i, (_, row) in rows.items()}
    found = Counter(contents.values())
    return OrgState(
        counts=dict(Counter(name for name, _ in rows.values())),
        records=found,
        values={c: c for c in found},
        duplicates=_duplicates(rows, names),
        customised={name: hashlib.sha256(doc.encode()).hexdigest() for name, doc in kept.items()},
    )


def ids_of(store: Path) -> frozenset[str]:
    """Ids of every live record of the org in `store`."""
    org = Org.open(store, SystemClock())
    try:
        return frozenset(i for _, i, _ in records(org))
    finally:
        org.close()


def _names(rows: Mapping[str, tuple[str, Row]], known: frozenset[str], since: str) -> dict[str, str]:
    names: dict[str, str] = {}
    nameless = []
    for record_id, (object_name, row) in rows.items():
        if record_id in known:
            names[record_id] = f"{object_name}={record_id}"
        elif row.get(KEY_FIELD):
            names[record_id] = f"{object_name}:{row[KEY_FIELD]}"
        else:
            nameless.append(record_id)
    # two rounds: a nameless record may point to another nameless one
    for _ in range(2):
        found = {}
        for record_id in nameless:
            object_name, row = rows[record_id]
            content = _content(row, names, since, rows)
            found[record_id] = f"{object_name}~{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        names.update(found)
    return names


def _content(row: Row, names: Mapping[str, str], since: str, rows: Mapping[str, tuple[str, Row]] | None = None) -> str:
    shown = {}
    for name, value in sorted(row.items()):
        if value is None or name in NOT_COMPARED:
            continue
        if isinstance(value, str):
            if value in names:
                value = names[value]
            elif rows is not None and value in rows:
                value = f"another {rows[value][0]}"
            elif _is_moment(value) and value >= since:
                value = NOW
        shown[name] = value
    return json.dumps(shown, ensure_ascii=False, sort_keys=True)


def _is_moment(value: str) -> bool:
    return len(value) in (20, 24) and value[10] == "T" and value.endswith("Z")


def _duplicates(rows: Mapping[str, tuple[str, Row]], names: Mapping[str, str]) -> tuple[str, ...]:
    keys = Counter(f"{name}:{row[KEY_FIELD]}" for name, row in rows.values() if row.get(KEY_FIELD))
    found = [f"{key} is there {n} times" for key, n in sorted(keys.items()) if n > 1]
    same = Counter(names[i] for i, (name, _) in rows.items() if name in ONCE)
    links = Counter(
        (row["ContentDocumentId"], row["LinkedEntityId"])
        for name, row in rows.values()
        if name == "ContentDocumentLink"
    )
    found += [f"{name} is there {n} times" for name, n in sorted(same.items()) if n > 1]
    found += [f"the link {link} is there {n} times" for link, n in sorted(links.items()) if n > 1]
    return tuple(found)


def ledger_faults(ledger: Ledger) -> list[str]:
    """What must not be left behind by a command that came to its end."""
    faults = [f"ledger: {problem}" for problem in ledger.verify()]
    faults += [f"intent {o.seq} of {o.intent.object} has no outcome" for o in ledger.open_intents()]
    faults += [f"{off.name} is still off" for off in ledger.automations_off()]
    faults += [f"run {run} is still open" for run in ledger.unclosed_runs()]
    return faults


def end_state(migration: Migration, org: OrgState, org_id: str) -> EndState:
    """The org's state together with the ledger's: chain, open intents, automations, books."""
    plan, folder = migration.load_plan()
    ledger_folder = migration.workspace.ledger / org_id
    scratch = migration.workspace.work / "scratch"
    with Ledger.open(ledger_folder, SystemClock(), write=False) as ledger, open_engine(scratch) as engine:
        faults = [*org.duplicates, *ledger_faults(ledger)]
        ledger.outcomes_view(engine)
        ledger.id_map(engine)
        settle_outcomes(engine, folder / PLANNED)
        books = balance(engine, {n: o.rows for n, o in migration.snapshot().objects.items()})
        twice = engine.execute(
            "SELECT object, key, count(*) FROM written WHERE how = 'inserted' GROUP BY ALL HAVING count(*) > 1"
        ).fetchall()
    faults += [f"{o}:{k} was written {n} times" for o, k, n in twice]
    faults += [f"books: {line}" for line in books.unbalanced()]
    if not plan.consignments:
        faults.append("the plan is empty: nothing was proved")
    return EndState(org, books.as_dict(), faults)
