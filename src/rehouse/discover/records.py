"""Findings about records: ids, duplicates, references, owners, files, encodings."""

from __future__ import annotations

from typing import Any

from rehouse.discover.columns import e164
from rehouse.discover.work import Work
from rehouse.formats.sql import identifier, literal
from rehouse.model import Kind
from rehouse.staging import StagedColumn, StagedObject
from rehouse.staging.finish import trimmed

SHOWN_GROUPS = 20


def find_ids(work: Work, staged: StagedObject) -> None:
    """Keys that several rows have (one finding per key), and rows without one."""
    field = "|".join(work.layout.objects[staged.name].key)
    table = identifier(staged.name)
    if staged.duplicates:
        work.add(
            "duplicate_id",
            staged.name,
            field,
            "SELECT _key AS key, count(*) || ' rows' AS value, min(_row) AS _row, "
            f"string_agg(_sheet_row::VARCHAR, ', ' ORDER BY _row) AS places FROM {table} WHERE _key IN "
            f"(SELECT _key FROM {table} WHERE _dup_of IS NOT NULL) GROUP BY _key",
            note="' (rows ' || left(places, 80) || ')'",
        )
    if staged.without_key:
        work.add(
            "blank_id",
            staged.name,
            field,
            f"SELECT _rid AS key, '' AS value, _row FROM {table} WHERE _key IS NULL",
        )


def find_encodings(work: Work, staged: StagedObject) -> None:
    """File parts that were not in UTF-8."""
    legacy = [(p.file, p.encoding, f": {p.encoding}") for p in staged.parts if p.encoding not in ("", "utf-8")]
    if legacy:
        work.add_rows("encoding", staged.name, "", legacy)


def find_duplicates(work: Work, staged: StagedObject) -> list[dict[str, Any]]:
    """Records that share a normalised e-mail or phone. Fills the table `duplicate_groups`; returns a summary.

    E-mail: first address, trimmed, lower case. Phone: first number in E.164. Rows that already lose against
    one with the same id are left out. The suggested survivor has the most filled columns, then comes first.
    """
    result = []
    for name in work.layout.objects[staged.name].duplicates:
        column = staged.column(name)
        if column is None or not column.present:
            continue
        _normalise(work, staged, column)
        filled = " + ".join(f"({identifier(c.name)} IS NOT NULL)::INTEGER" for c in staged.columns)
        work.con.execute(
            "CREATE OR REPLACE TEMP TABLE shared AS SELECT v, _rid, _row, "
            "row_number() OVER (PARTITION BY v ORDER BY _row) AS nth, "
            "first(_rid) OVER (PARTITION BY v ORDER BY _row) AS earlier, "
            "first(_rid) OVER (PARTITION BY v ORDER BY filled DESC, _row) AS survivor FROM "
            f"(SELECT n.v, s._rid, s._row, {filled} AS filled FROM {identifier(staged.name)} s "
            "JOIN normalised n USING (_rid) WHERE n.v IN "
            "(SELECT v FROM normalised GROUP BY v HAVING count(*) > 1))"
        )
        work.add(
            "duplicate_contact",
            staged.name,
            name,
            "SELECT _rid AS key, v AS value, _row, earlier FROM shared WHERE nth > 1",
            note="' as ' || earlier",
        )
        work.con.execute(
            f"INSERT INTO duplicate_groups SELECT {literal(staged.name)}, {literal(name)}, v, _rid, survivor "
            "FROM shared ORDER BY v, _row"
        )
        result.append(_summary(work, staged.name, name))
    return result


def _normalise(work: Work, staged: StagedObject, column: StagedColumn) -> None:
    """Fill `normalised` (_rid, v) with the comparable first value of each winning row that has one."""
    text = trimmed(column.name)
    first = f"trim(split_part({text}, {literal(column.separator)}, 1))" if column.separator else text
    empty = work.list_of(work.layout.empty_values)
    work.con.execute(
        f"CREATE OR REPLACE TEMP TABLE firsts AS SELECT _rid, {first} AS t FROM {identifier(staged.name)} "
        f"WHERE _dup_of IS NULL AND {first} <> '' AND {first} NOT IN {empty}"
    )
    if column.kind == Kind.PHONE:
        texts = [t for (t,) in work.rows("SELECT DISTINCT t FROM firsts")]
        work.table("numbers", {"t": texts, "v": [e164(t, work.layout.region) or None for t in texts]})
        source = "SELECT _rid, v FROM firsts JOIN numbers USING (t) WHERE v IS NOT NULL"
    elif column.kind == Kind.EMAIL:
        source = "SELECT _rid, lower(t) AS v FROM firsts WHERE contains(t, '@')"
    else:
        source = "SELECT _rid, lower(t) AS v FROM firsts"
    work.con.execute(f"CREATE OR REPLACE TEMP TABLE normalised AS {source}")


def _summary(work: Work, object_name: str, field: str) -> dict[str, Any]:
    counts = work.rows("SELECT count(DISTINCT v), count(*) FROM shared")[0]
    groups = work.rows(
        "SELECT v, list(_rid ORDER BY _row), any_value(survivor) FROM shared GROUP BY v "
        f"ORDER BY count(*) DESC, min(_row) LIMIT {SHOWN_GROUPS}"
    )
    return {
        "object": object_name,
        "field": field,
        "groups": counts[0],
        "records": counts[1],
        "first": [{"value": v, "records": list(rids), "survivor": survivor} for v, rids, survivor in groups],
    }


def find_references(work: Work, staged: StagedObject) -> list[dict[str, Any]]:
    """Check every reference of an object against the keys of the object it points at."""
    result = []
    for column in staged.columns:
        spec = work.column_layout(staged.name, column)
        if spec is None or spec.owner or not column.present:
            continue
        if spec.reference:
            result.append(_reference(work, staged, column, spec.reference, ""))
        elif spec.reference_by:
            by = work.layout.objects[staged.name].columns[spec.reference_by]
            for word, target in by.objects.items():
                where = f"{trimmed(spec.reference_by)} = {literal(word)}"
                result.append(_reference(work, staged, column, target, where))
    return result


def _reference(work: Work, staged: StagedObject, column: StagedColumn, target: str, where: str) -> dict[str, Any]:
    text = trimmed(column.name)
    condition = f"{text} IS NOT NULL AND {text} NOT IN {work.list_of(work.layout.empty_values)}"
    condition += f" AND {where}" if where else ""
    source = (
        f"SELECT _rid AS key, {identifier(column.name)} AS value, {text} AS t, _row "
        f"FROM {identifier(staged.name)} WHERE {condition}"
    )
    filled, distinct = work.rows(f"SELECT count(*), count(DISTINCT t) FROM ({source})")[0]
    facts = {
        "object": staged.name,
        "field": column.name,
        "to": target,
        "filled": filled,
        "distinct": distinct,
        "checked": target in work.snapshot.objects,
        "dangling": 0,
        "most_per_record": work.number(f"SELECT max(n) FROM (SELECT count(*) AS n FROM ({source}) GROUP BY t)"),
    }
    if facts["checked"]:
        before = work.number("SELECT count(*) FROM findings")
        keys = f"SELECT _key FROM {identifier(target)} WHERE _key IS NOT NULL"
        work.add(
            "dangling_reference",
            staged.name,
            column.name,
            f"SELECT * FROM ({source}) WHERE t NOT IN ({keys})",
            note=f"{literal(f': {target} ')} || left(value, 60)",
        )
        facts["dangling"] = work.number("SELECT count(*) FROM findings") - before
    return facts


def find_owners(work: Work) -> dict[str, Any]:
    """Who owns how many records of what, and whether the list of users knows them."""
    owned: dict[str, dict[str, int]] = {}
    for name, staged in work.snapshot.objects.items():
        for column in staged.columns:
            spec = work.column_layout(name, column)
            if spec is None or not spec.owner or not column.present:
                continue
            text = f"lower({trimmed(column.name)})"
            empty = work.list_of(value.lower() for value in work.layout.empty_values)
            for email, count in work.rows(
                f"SELECT {text} AS e, count(*) FROM {identifier(name)} WHERE e IS NOT NULL "
                f"AND e NOT IN {empty} GROUP BY e ORDER BY e"
            ):
                per_object = owned.setdefault(email, {})
                per_object[name] = per_object.get(name, 0) + count
    known = _users(work)
    owners = {}
    for email in sorted({*owned, *known}):
        full, active = known.get(email, ("", None))
        status = "unknown" if active is None else "active" if active else "departed"
        owners[email] = {"name": full, "status": status, "records": owned.get(email, {})}
    if work.layout.users and work.layout.users.object in work.snapshot.objects:
        _report_owners(work, owners)
    return owners


def _users(work: Work) -> dict[str, tuple[str, bool]]:
    spec = work.layout.users
    if spec is None or spec.object not in work.snapshot.objects:
        return {}
    active = f"{trimmed(spec.active)} IN {work.list_of(work.layout.false_values)}" if spec.active else "false"
    names = [c.name for c in work.snapshot.objects[spec.object].columns if c.kind == Kind.TEXT and c.required]
    full = trimmed(names[0]) if names else "''"
    rows = work.rows(
        f"SELECT lower({trimmed(spec.email)}) AS e, any_value({full}), bool_and(coalesce({active}, false)) "
        f"FROM {identifier(spec.object)} WHERE e IS NOT NULL GROUP BY e"
    )
    return {email: (full or "", not inactive) for email, full, inactive in rows}


def _report_owners(work: Work, owners: dict[str, Any]) -> None:
    spec = work.layout.users
    assert spec is not None
    for kind, status, field in (
        ("unknown_owner", "unknown", spec.email),
        ("departed_owner", "departed", spec.active or spec.email),
    ):
        found = [
            (email, email, ": " + ", ".join(f"{n:,} {name}" for name, n in owner["records"].items()))
            for email, owner in owners.items()
            if owner["status"] == status and owner["records"]
        ]
        if found:
            work.add_rows(kind, spec.object, field, found)


def find_files(work: Work, limit_bytes: int) -> dict[str, Any]:
    """Compare the list of files with the files themselves. `limit_bytes` 0 means no limit; the limit is inclusive."""
    facts = work.snapshot.files
    spec = work.layout.attachments
    summary: dict[str, Any] = {
        "given": facts.given,
        "listed": facts.listed,
        "found": facts.found,
        "bytes": facts.bytes,
        "limit_bytes": limit_bytes,
        "largest": [],
        "over_limit": 0,
        "missing": facts.listed - facts.found if facts.given else 0,
        "unlisted": len(facts.unlisted),
    }
    if spec is None:
        return summary
    if facts.unlisted:
        rows = [(file.path, f"{file.bytes} bytes", "") for file in facts.unlisted]
        work.add_rows("file_unlisted", spec.object, "", rows)
    if spec.object not in work.snapshot.objects or not facts.given:
        return summary
    table = identifier(spec.object)
    work.add(
        "file_missing",
        spec.object,
        spec.name,
        f"SELECT _rid AS key, {identifier(spec.name)} AS value, _row FROM {table} WHERE _path IS NULL",
        note="': ' || coalesce(left(value, 60), '')",
    )
    if limit_bytes:
        over = f"SELECT _rid AS key, _bytes || ' bytes' AS value, _row FROM {table} WHERE _bytes > {limit_bytes}"
        work.add(
            "file_too_large", spec.object, spec.size or spec.name, over, note=f"' ({limit_bytes} bytes): ' || value"
        )
        summary["over_limit"] = work.number(f"SELECT count(*) FROM ({over})")
    largest = work.rows(
        f"SELECT _rid, {identifier(spec.name)}, _bytes FROM {table} WHERE _bytes IS NOT NULL "
        "ORDER BY _bytes DESC, _row LIMIT 5"
    )
    summary["largest"] = [{"key": rid, "name": name, "bytes": size} for rid, name, size in largest]
    return summary
