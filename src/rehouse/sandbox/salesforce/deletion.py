"""Delete to the recycle bin with what depends on the records, and undelete.

A delete is set-wise: the doomed rows are collected level by level along the child relationships, references of
rows that stay are cleared (and remembered, so that an undelete restores them). Sources: Object Reference on
relationships and the recycle bin; fact sheet section 5.10.
"""

from __future__ import annotations

from collections.abc import Sequence

from rehouse.sandbox.salesforce.aftermath import roll_up_amount
from rehouse.sandbox.salesforce.documents import delete_blobs
from rehouse.sandbox.salesforce.ids import id18, is_id
from rehouse.sandbox.salesforce.orgstate import OrgState
from rehouse.sandbox.salesforce.outcome import ApiError, RowError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.schema_model import ChildRelationship, SObject
from rehouse.sandbox.salesforce.tables import quoted

_ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)
# Documents and versions live and die together although the data file lists no cascade for versions.
_EXTRA_CHILDREN = {
    "ContentDocument": (
        ChildRelationship("ContentVersion", "ContentDocumentId", None, cascade_delete=True),
        ChildRelationship("ContentDocumentLink", "ContentDocumentId", None, cascade_delete=True),
        # A note is the document of the same id.
        ChildRelationship("ContentNote", "Id", None, cascade_delete=True),
    ),
    "Contact": (ChildRelationship("AccountContactRelation", "ContactId", None, cascade_delete=True),),
    "Account": (ChildRelationship("AccountContactRelation", "AccountId", None, cascade_delete=True),),
    "PermissionSet": tuple(
        ChildRelationship(child, column, None, cascade_delete=True)
        for child, column in (
            ("FieldPermissions", "ParentId"),
            ("ObjectPermissions", "ParentId"),
            ("PermissionSetAssignment", "PermissionSetId"),
        )
    ),
    "Group": (
        ChildRelationship("QueueSobject", "QueueId", None, cascade_delete=True),
        ChildRelationship("GroupMember", "GroupId", None, cascade_delete=True),
    ),
    "Campaign": (
        ChildRelationship("CampaignMember", "CampaignId", None, cascade_delete=True),
        ChildRelationship("CampaignMemberStatus", "CampaignId", None, cascade_delete=True),
    ),
}


def delete(
    org: OrgState, object_name: str, ids: Sequence[str], options: SaveOptions, *, hard: bool = False
) -> list[RowResult]:
    """Delete by id; a result per id in order. Ids of several objects may be mixed when no object is named."""
    results: list[RowResult | None] = [None] * len(ids)
    groups: dict[str, list[tuple[int, str]]] = {}
    for place, given in enumerate(ids):
        record_id = id18((given or "").strip())
        obj = org.schema.prefix_of(record_id) if is_id(record_id) else None
        fault = _id_fault(org, object_name, given, obj)
        if fault is not None or obj is None:
            results[place] = RowResult(given or None, False, None, (fault or _malformed(given),))
        else:
            groups.setdefault(obj.name, []).append((place, record_id))
    with org.store.transaction() as transaction:
        for name, items in groups.items():
            for place, result in _delete_rows(org, org.schema.objects[name], items, hard=hard):
                results[place] = result
        done = [r if r is not None else RowResult(None, False, None) for r in results]
        if options.all_or_none and not all(r.success for r in done):
            transaction.rollback()
            org.schema.permissions_changed()
            return [RowResult(r.id, False, None, (_ROLLED_BACK,)) if r.success else r for r in done]
    return done


def _malformed(given: str) -> RowError:
    return RowError("MALFORMED_ID", f"malformed id {given}", ("Id",))


def _id_fault(org: OrgState, object_name: str, given: str, obj: SObject | None) -> RowError | None:
    if not given:
        return RowError("MISSING_ARGUMENT", "Id not specified in a delete call", ("Id",))
    if obj is None:
        return _malformed(given)
    if (
        object_name
        and org.object(object_name).name != obj.name
        and org.object(object_name).key_prefix != obj.key_prefix
    ):
        label = org.object(object_name).label
        return RowError("MALFORMED_ID", f"{label} ID: id value of incorrect type: {given}", ("Id",))
    if not obj.deletable:
        # The code is in the platform's list; which one a delete gets is not published.
        return RowError("INSUFFICIENT_ACCESS_OR_READONLY", f"entity type cannot be deleted: {obj.label}")
    return None


def _delete_rows(
    org: OrgState, obj: SObject, items: Sequence[tuple[int, str]], *, hard: bool
) -> list[tuple[int, RowResult]]:
    db, out = org.store.db, []
    _scratch(org)
    state: dict[str, int | None] = {}
    for start in range(0, len(items), 500):
        part = [record_id for _, record_id in items[start : start + 500]]
        marks = ",".join("?" * len(part))
        state.update(db.execute(f"SELECT Id, _del FROM {quoted(obj.name)} WHERE Id IN ({marks})", part).fetchall())
    refused = _restrictions(org, obj, [i for _, i in items])
    good: dict[str, None] = {}
    for place, record_id in items:
        if record_id not in state:
            error = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        elif state[record_id] is not None or record_id in good:
            error = RowError("ENTITY_IS_DELETED", "entity is deleted")
        elif record_id in refused:
            error = refused[record_id]
        else:
            good[record_id] = None
            state[record_id] = None
            out.append((place, RowResult(record_id, True, None)))
            continue
        out.append((place, RowResult(record_id, False, None, (error,))))
    if good:
        _take(org, obj, list(good), hard=hard)
    return out


def _scratch(org: OrgState) -> None:
    db = org.store.db
    db.execute(
        "CREATE TEMP TABLE IF NOT EXISTS doomed "
        "(object TEXT, id TEXT, root INTEGER, PRIMARY KEY (object, id)) WITHOUT ROWID"
    )
    db.execute("DELETE FROM temp.doomed")


def children(org: OrgState, obj: SObject) -> list[ChildRelationship]:
    """Child relationships that a delete follows, of objects and fields that this org has."""
    known: dict[tuple[str, str], ChildRelationship] = {}
    for relation in (*obj.children, *_EXTRA_CHILDREN.get(obj.name, ())):
        child = org.schema.objects.get(relation.child)
        item = child.fields.get(relation.field) if child else None
        if item is None or not item.storage:
            continue
        before = known.get((relation.child, relation.field))
        if before is None or relation.cascade_delete:
            known[relation.child, relation.field] = relation
    return list(known.values())


def _restrictions(org: OrgState, obj: SObject, ids: Sequence[str]) -> dict[str, RowError]:
    """Records that cannot go because rows of a restricting relationship point at them."""
    out: dict[str, RowError] = {}
    for relation in children(org, obj):
        if not relation.restricted_delete:
            continue
        child = org.schema.objects[relation.child]
        named = child.name_field
        shown = quoted(named.name) if named and named.storage else "Id"
        for start in range(0, len(ids), 500):
            part = list(ids[start : start + 500])
            rows = org.store.db.execute(
                f"SELECT {quoted(relation.field)}, group_concat({shown}, ', ') FROM {quoted(child.name)} "
                f"WHERE {quoted(relation.field)} IN ({','.join('?' * len(part))}) AND _del IS NULL "
                f"GROUP BY {quoted(relation.field)}",
                part,
            ).fetchall()
            for record_id, names in rows:
                out.setdefault(record_id, _blocked(org, obj, record_id, child, names))
    return out


def _blocked(org: OrgState, obj: SObject, record_id: str, child: SObject, names: str) -> RowError:
    named = obj.name_field
    shown = record_id
    if named and named.storage:
        row = org.store.db.execute(
            f"SELECT {quoted(named.name)} FROM {quoted(obj.name)} WHERE Id=?", (record_id,)
        ).fetchone()
        shown = row[0] if row else record_id
    text = (
        f"Your attempt to delete {shown} could not be completed because it is associated with the following "
        f"{child.label_plural.lower()}.: {names}\n"
    )
    return RowError("DELETE_FAILED", text)


def _take(org: OrgState, obj: SObject, ids: Sequence[str], *, hard: bool) -> None:
    """Mark the records and everything that goes with them; clear the references of what stays."""
    db = org.store.db
    db.executemany("INSERT INTO temp.doomed VALUES (?,?,1)", [(obj.name, i) for i in ids])
    waiting, level = [obj.name], 0
    while waiting and level < 12:
        found: list[str] = []
        for name in waiting:
            found += _collect(org, org.schema.objects[name])
        waiting, level = list(dict.fromkeys(found)), level + 1
    batch = org.store.take("delete")
    names = [row[0] for row in db.execute("SELECT DISTINCT object FROM temp.doomed")]
    for name in names:
        _clear(org, org.schema.objects[name], batch)
    opportunities = [
        row[0]
        for row in db.execute(
            "SELECT DISTINCT OpportunityId FROM OpportunityLineItem "
            "WHERE Id IN (SELECT id FROM temp.doomed WHERE object='OpportunityLineItem')"
        )
    ]
    for name in names:
        _mark(org, org.schema.objects[name], batch, hard=hard)
    if opportunities:
        roll_up_amount(org, ",".join(f"'{i}'" for i in opportunities))
    if {"FieldPermissions", "PermissionSetAssignment", "PermissionSet"} & set(names):
        org.schema.permissions_changed()


def _collect(org: OrgState, obj: SObject) -> list[str]:
    """Rows that go because their parent goes; the objects among which some were found."""
    found = []
    for relation in children(org, obj):
        if not relation.cascade_delete:
            continue
        before = org.store.db.total_changes
        org.store.db.execute(
            f"INSERT OR IGNORE INTO temp.doomed SELECT ?, c.Id, 0 FROM {quoted(relation.child)} c "
            f"JOIN temp.doomed d ON d.id = c.{quoted(relation.field)} AND d.object = ? WHERE c._del IS NULL",
            (relation.child, obj.name),
        )
        if org.store.db.total_changes > before:
            found.append(relation.child)
    return found


def _clear(org: OrgState, obj: SObject, batch: int) -> None:
    """References from rows that stay become empty; the old values are remembered for an undelete."""
    db = org.store.db
    for relation in children(org, obj):
        if relation.cascade_delete:
            continue
        child, name = quoted(relation.child), quoted(relation.field)
        stays = (
            f"{name} IN (SELECT id FROM temp.doomed WHERE object=?) AND _del IS NULL "
            "AND Id NOT IN (SELECT id FROM temp.doomed WHERE object=?)"
        )
        moved = db.execute(
            f"INSERT INTO _cleared SELECT ?, ?, ?, Id, {name} FROM {child} WHERE {stays}",
            (batch, relation.child, relation.field, obj.name, relation.child),
        ).rowcount
        if moved:
            db.execute(f"UPDATE {child} SET {name}=NULL WHERE {stays}", (obj.name, relation.child))


def _mark(org: OrgState, obj: SObject, batch: int, *, hard: bool) -> None:
    db, table, now = org.store.db, quoted(obj.name), org.stamp()
    among = "Id IN (SELECT id FROM temp.doomed WHERE object=?)"
    in_bin = "IsDeleted" in obj.fields
    if hard or not in_bin:
        ids = [row[0] for row in db.execute("SELECT id FROM temp.doomed WHERE object=?", (obj.name,))]
        db.execute(f"DELETE FROM {table} WHERE {among}", (obj.name,))
        delete_blobs(org, obj.name, ids)
        return
    stamp = ", SystemModstamp=?" if "SystemModstamp" in obj.fields else ""
    db.execute(
        f"UPDATE {table} SET _del=?, IsDeleted=1{stamp} WHERE {among}",
        (batch, *([now] if stamp else []), obj.name),
    )
    db.execute(
        "INSERT OR REPLACE INTO _deleted SELECT object, id, ?, root, ? FROM temp.doomed WHERE object=?",
        (batch, now, obj.name),
    )


def undelete(org: OrgState, ids: Sequence[str], options: SaveOptions) -> list[RowResult]:
    """Bring records back with what went along with them. A row that went by cascade cannot return alone."""
    out: list[RowResult] = []
    with org.store.transaction() as transaction:
        for given in ids:
            out.append(_undelete_one(org, given))
        if options.all_or_none and not all(r.success for r in out):
            transaction.rollback()
            return [RowResult(r.id, False, None, (_ROLLED_BACK,)) if r.success else r for r in out]
    return out


def _undelete_one(org: OrgState, given: str) -> RowResult:
    db, record_id = org.store.db, id18((given or "").strip())
    obj = org.schema.prefix_of(record_id) if is_id(record_id) else None
    if obj is None:
        return RowResult(given or None, False, None, (_malformed(given),))
    row = db.execute("SELECT batch, root FROM _deleted WHERE object=? AND id=?", (obj.name, record_id)).fetchone()
    if row is None or not row[1]:
        # Status code from the platform's list; the wording is not published.
        error = RowError(
            "UNDELETE_FAILED", "Entity is not in the recycle bin" if row is None else "Undelete the parent record first"
        )
        return RowResult(record_id, False, None, (error,))
    _restore(org, obj, record_id, row[0])
    return RowResult(record_id, True, None)


def _restore(org: OrgState, obj: SObject, record_id: str, batch: int) -> None:
    """One root of a delete returns with its own cascade; references to what returned are set again."""
    db = org.store.db
    _scratch(org)
    db.execute("INSERT INTO temp.doomed VALUES (?,?,1)", (obj.name, record_id))
    waiting = [obj.name]
    while waiting:
        found: list[str] = []
        for name in waiting:
            for relation in children(org, org.schema.objects[name]):
                if not relation.cascade_delete:
                    continue
                before = db.total_changes
                db.execute(
                    f"INSERT OR IGNORE INTO temp.doomed SELECT ?, c.Id, 0 FROM {quoted(relation.child)} c "
                    f"JOIN temp.doomed d ON d.id = c.{quoted(relation.field)} AND d.object = ? WHERE c._del = ? "
                    "AND c.Id IN (SELECT id FROM _deleted WHERE object=? AND root=0)",
                    (relation.child, name, batch, relation.child),
                )
                if db.total_changes > before:
                    found.append(relation.child)
        waiting = list(dict.fromkeys(found))
    for (name,) in db.execute("SELECT DISTINCT object FROM temp.doomed").fetchall():
        known = org.schema.objects[name]
        stamp = ", SystemModstamp=?" if "SystemModstamp" in known.fields else ""
        db.execute(
            f"UPDATE {quoted(name)} SET _del=NULL, IsDeleted=0{stamp} "
            "WHERE Id IN (SELECT id FROM temp.doomed WHERE object=?)",
            (*([org.stamp()] if stamp else []), name),
        )
        db.execute(
            "DELETE FROM _deleted WHERE object=? AND id IN (SELECT id FROM temp.doomed WHERE object=?)", (name, name)
        )
    for name, column, child_id, was in db.execute(
        "SELECT object, field, id, was FROM _cleared WHERE batch=? AND was IN (SELECT id FROM temp.doomed)", (batch,)
    ).fetchall():
        db.execute(
            f"UPDATE {quoted(name)} SET {quoted(column)}=? WHERE Id=? AND {quoted(column)} IS NULL", (was, child_id)
        )
    db.execute("DELETE FROM _cleared WHERE batch=? AND was IN (SELECT id FROM temp.doomed)", (batch,))


def ensure_deletable(obj: SObject) -> None:
    """Refuse a request to delete records of an object that keeps them."""
    if not obj.deletable:
        raise ApiError(405, "METHOD_NOT_ALLOWED", "HTTP Method 'DELETE' not allowed. Allowed are HEAD,GET,PATCH")
