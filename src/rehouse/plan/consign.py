"""From prepared rows to consignments: what will be sent, row by row decided, set-wise computed.

Per route output: render every field, collect issues, merge rows that share a key, match records that the
target already has, check the target's own rules, check references against what the plan will load, and
write two things: the consignment (Parquet, hashed once) and one planned outcome for every source record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from rehouse.errors import UserError
from rehouse.events import Progress, Sink
from rehouse.mapping.expressions import Column, CompanyKey, Expression, Owner, RecordType, Reference, expand, walk
from rehouse.mapping.schema import ObjectMapping, Output, Recipe
from rehouse.model import Kind
from rehouse.model.durable import file_digest, settle_file
from rehouse.plan.binding import Binding, OwnerMatch, planned_field
from rehouse.plan.engine import count, ident, parquet, text
from rehouse.plan.merge import merge_rows
from rehouse.plan.prepare import Preparation, to_sql
from rehouse.plan.rules import record_issues, target_rules
from rehouse.plan.stages import Consignment
from rehouse.transform.duckdb import issues as issues_of
from rehouse.transform.duckdb import output_losses


@dataclass(slots=True)
class Consigning:
    """State of one planning pass over all outputs."""

    preparation: Preparation
    binding: Binding
    owners: Mapping[str, OwnerMatch]
    emptied: set[tuple[str, str]]
    existing: Mapping[str, Path]
    folder: Path
    consignments: list[Consignment] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        return self.preparation.recipe


def dependency_order(recipe: Recipe) -> list[str]:
    """Outputs so that every referenced output comes first, else in the recipe's own order.

    A circle is refused, never silently cut.
    """
    graph: dict[str, set[str]] = {}
    for mapping, output in recipe.outputs():
        if output.match_only is not None:
            continue
        needs = graph.setdefault(output.name, set())
        # rows that join another output's record can only be judged once that output is known
        needs |= {route.merge_into.output for route in mapping.routes if route.merge_into is not None}
        for node in output.fields.values():
            for inner in walk(expand(node, mapping.values)):
                if isinstance(inner, Reference):
                    needs |= {inner.to} if isinstance(inner.to, str) else {t for _, t in inner.to.map}
        if output.name in needs:
            raise UserError(
                f"output {output.name} refers to itself",
                hint="leave that reference out of the mapping; two-pass references are not supported yet",
            )
    sorter = TopologicalSorter(graph)
    places = list(graph)
    ordered: list[str] = []
    try:
        sorter.prepare()
        ready: list[str] = []
        while sorter.is_active():
            ready = sorted({*ready, *sorter.get_ready()}, key=places.index)
            ordered.append(ready[0])
            sorter.done(ready.pop(0))
        return ordered
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise UserError(
            f"outputs refer to each other in a circle: {circle}",
            hint="leave one of these references out of the mapping; two-pass references are not supported yet",
        ) from error


def consign(consigning: Consigning, sink: Sink) -> None:
    """Build every consignment in dependency order; fill the tables `planned`, `issues` and `losses`."""
    connection = consigning.preparation.connection
    connection.execute(
        "CREATE OR REPLACE TABLE planned (object VARCHAR, rid VARCHAR, output VARCHAR, outcome VARCHAR, "
        "rule VARCHAR, key VARCHAR, into_key VARCHAR)"
    )
    connection.execute(
        "CREATE OR REPLACE TABLE issues (object VARCHAR, output VARCHAR, rid VARCHAR, field VARCHAR, "
        "code VARCHAR, message VARCHAR, raw VARCHAR, blocking BOOLEAN)"
    )
    connection.execute(
        "CREATE OR REPLACE TABLE losses (object VARCHAR, output VARCHAR, field VARCHAR, code VARCHAR, "
        "records BIGINT, example VARCHAR)"
    )
    connection.execute("CREATE OR REPLACE TABLE ready (ref VARCHAR)")
    _owners_table(consigning)
    for name in dependency_order(consigning.recipe):
        found = consigning.recipe.output(name)
        if found is None or found[0].object not in consigning.preparation.snapshot.objects:
            continue
        _consign_output(consigning, *found, sink)
    _match_only(consigning)


def _owners_table(consigning: Consigning) -> None:
    connection = consigning.preparation.connection
    connection.execute("CREATE OR REPLACE TABLE owners (email VARCHAR, user_id VARCHAR, owns VARCHAR[])")
    rows = [(o.email, o.user_id or None, list(o.owns)) for o in consigning.owners.values()]
    if rows:
        connection.executemany("INSERT INTO owners VALUES (?, ?, ?)", rows)


def _consign_output(consigning: Consigning, mapping: ObjectMapping, output: Output, sink: Sink) -> None:
    connection = consigning.preparation.connection
    relation = ident(f"p_{mapping.object}")
    routes = [str(n) for n, r in enumerate(mapping.routes) if output.name in r.to]
    here = f"t._dup_of IS NULL AND t._route IN ({', '.join(routes) or '-1'})"
    _render(consigning, mapping, output, relation, here)
    _collect_issues(consigning, mapping, output, relation, here)
    if output.merge is not None:
        merge_rows(connection, output)
    else:
        connection.execute("CREATE OR REPLACE TABLE members AS SELECT _rid, _key, _rid AS survivor FROM raw")
    target_rules(connection, consigning.recipe, consigning.binding, mapping.object, output)
    _check_owner_and_references(consigning, mapping, output)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE blocked AS SELECT rid, min(code || ': ' || field) AS reason FROM issues "
        f"WHERE output = {text(output.name)} AND blocking GROUP BY rid"
    )
    matched = _matched(consigning, mapping, output)
    _write(consigning, mapping, output, matched)
    _plan_outcomes(consigning, mapping, output, matched)
    loads = count(connection, f"SELECT count(*) FROM planned WHERE output = {text(output.name)} AND outcome = 'load'")
    sink(Progress("consign", output.name, loads))


def _render(consigning: Consigning, mapping: ObjectMapping, output: Output, relation: str, here: str) -> None:
    """Table `raw`: one row per routed source row, every field rendered, references and owners still symbolic."""
    preparation = consigning.preparation
    columns = []
    for name, node in output.fields.items():
        preparation.learn(node, mapping, relation)
        columns.append(f"{_field_sql(consigning, mapping, output, name, node)} AS {ident(name)}")
    key = "t._key"
    if output.key is not None and output.key.from_ is not None:
        key = preparation.sql(output.key.from_, mapping)
    elif output.key is not None and output.key.natural:
        key = "t._rid"
    prefer = []
    if output.merge is not None:
        key = preparation.sql(output.merge.by, mapping)
        for number, preference in enumerate(output.merge.prefer):
            prefer.append(f"{_preference(preparation, mapping, preference)} AS _prefer{number}")
    files = ", t._md5, t._bytes" if _has_files(mapping, output) else ""
    listed = ", ".join([f"t._row, t._rid, {key} AS _key", *columns, *prefer])
    preparation.connection.execute(
        f"CREATE OR REPLACE TABLE raw AS SELECT {listed}{files} FROM {relation} t WHERE {here}"
    )


def _has_files(mapping: ObjectMapping, output: Output) -> bool:
    return any(
        n.result is Kind.BINARY for node in output.fields.values() for n in walk(node) if isinstance(n, Expression)
    )


def _field_sql(consigning: Consigning, mapping: ObjectMapping, output: Output, name: str, node: Expression) -> str:
    sql = consigning.preparation.sql(node, mapping, output.to)
    if isinstance(node, Reference) and node.field:
        # `Output:key` becomes `Output.Field:key`: another field of the parent, known once it is loaded
        replacement = text("\\1." + node.field + ":")
        sql = f"regexp_replace({sql}, '^([^:]*):', {replacement})"
    return sql


def _preference(preparation: Preparation, mapping: ObjectMapping, preference: object) -> str:
    """A sortable column: smaller comes first."""
    from rehouse.mapping.expressions import Condition, DateTime
    from rehouse.mapping.schema import Earliest, Latest

    if isinstance(preference, Condition):
        return f"CASE WHEN {preparation.sql(preference, mapping)} THEN '0' ELSE '1' END"
    assert isinstance(preference, Earliest | Latest)
    moment = preparation.sql(DateTime(preference.of), mapping)
    if isinstance(preference, Earliest):
        return f"coalesce({moment}, '~')"
    return f"CAST(-epoch_ms(TRY_CAST({moment} AS TIMESTAMP)) AS VARCHAR)"


def _collect_issues(consigning: Consigning, mapping: ObjectMapping, output: Output, relation: str, here: str) -> None:
    """Issue rows of every field; an issue that a person decided to leave empty does not block."""
    preparation = consigning.preparation
    context = preparation.context(mapping, output.to)
    for name, node in output.fields.items():
        row_id = f"{mapping.object}.{output.name}.{name}"
        full = expand(node, mapping.values)
        for rule in issues_of(full, context):
            blocking = rule.blocking and (row_id, rule.code) not in consigning.emptied and output.merge is None
            record_issues(
                preparation.connection,
                (mapping.object, output.name, name, rule.code, rule.message),
                blocking=blocking,
                source=f"{relation} t WHERE {here} AND ({to_sql(rule.condition)})",
                rid="t._rid",
                raw=to_sql(rule.raw),
            )
    expanded = replace(output, fields={n: expand(e, mapping.values) for n, e in output.fields.items()})
    for name, found in output_losses(expanded, context).items():
        for loss in found:
            preparation.connection.execute(
                f"INSERT INTO losses SELECT {text(mapping.object)}, {text(output.name)}, {text(name)}, "
                f"{text(loss.code)}, count(*), min(t._rid) FROM {relation} t "
                f"WHERE {here} AND ({to_sql(loss.condition)}) HAVING count(*) > 0"
            )


def _check_owner_and_references(consigning: Consigning, mapping: ObjectMapping, output: Output) -> None:
    """Replace owner e-mails by user ids; empty or block references to records that no plan will load."""
    connection = consigning.preparation.connection
    for name, node in output.fields.items():
        column = ident(name)
        if isinstance(node, Owner):
            record_issues(
                connection,
                (mapping.object, output.name, name, "owner_undecided", "this owner is not decided yet"),
                blocking=True,
                source=f"raw t WHERE coalesce(t.{column}, '') NOT IN "
                "(SELECT email FROM owners WHERE user_id IS NOT NULL)",
                rid="t._rid",
                raw=f"t.{column}",
            )
            record_issues(
                connection,
                (mapping.object, output.name, name, "owner_is_queue", f"this queue cannot own a {output.to}"),
                blocking=True,
                source=f"raw t WHERE coalesce(t.{column}, '') IN (SELECT email FROM owners "
                f"WHERE len(owns) > 0 AND NOT list_contains(owns, {text(output.to)}))",
                rid="t._rid",
                raw=f"t.{column}",
            )
            connection.execute(
                f"UPDATE raw SET {column} = (SELECT user_id FROM owners WHERE email = coalesce(raw.{column}, ''))"
            )
        elif isinstance(node, Reference):
            known = f"regexp_replace(t.{column}, '^([^.:]*)[.][^:]*:', '\\1:')"
            missing = f"t.{column} IS NOT NULL AND {known} NOT IN (SELECT ref FROM ready)"
            record_issues(
                connection,
                (mapping.object, output.name, name, "reference_missing", "the record it refers to is not loaded"),
                blocking=node.when_missing == "quarantine",
                source=f"raw t WHERE {missing}",
                rid="t._rid",
                raw=f"t.{column}",
            )
            connection.execute(f"UPDATE raw AS t SET {column} = NULL WHERE {missing}")


def _matched(consigning: Consigning, mapping: ObjectMapping, output: Output) -> bool:
    """Table `found(_key, Id, n, <field>…)`: records of the target that our keys match."""
    path = consigning.existing.get(output.name)
    if output.match is None or path is None:
        return False
    preparation = consigning.preparation
    by = expand(output.match.by, mapping.values)
    node: Expression = Column(output.match.field)
    if isinstance(by, CompanyKey):
        node = replace(by, of=node)
    relation = parquet(path)
    preparation.learn(node, mapping, relation)
    sql = preparation.sql(node, mapping)
    preparation.connection.execute(
        f"CREATE OR REPLACE TABLE found AS SELECT * EXCLUDE (rank) FROM (SELECT {sql} AS _match, t.*, "
        f"count(*) OVER (PARTITION BY {sql}) AS _n, row_number() OVER (PARTITION BY {sql} ORDER BY t.Id) AS rank "
        f"FROM {relation} t) WHERE rank = 1 AND _match IN (SELECT _key FROM raw)"
    )
    return True


def _write(consigning: Consigning, mapping: ObjectMapping, output: Output, matched: bool) -> None:
    """Write the insert consignment and, for matched records, the update consignment."""
    connection = consigning.preparation.connection
    good = "r._rid NOT IN (SELECT rid FROM blocked) AND r._key IS NOT NULL"
    fresh = f"{good} AND r._key NOT IN (SELECT _match FROM found)" if matched else good
    references = [n for n, e in output.fields.items() if isinstance(e, Reference | RecordType)]
    external = output.key.external_id if output.key else ""
    listed = [f"r.{ident(n)}" for n in output.fields]
    if external and external not in output.fields:
        listed.append(f"r._key AS {ident(external)}")
    files = ["r._md5", "r._bytes"] if _has_files(mapping, output) else []
    parents = [ident(n) for n in references if isinstance(output.fields[n], Reference)]
    order = ", ".join([*(f"r.{p} NULLS FIRST" for p in parents[:1]), "r._row"])
    fields = (*output.fields, *((external,) if external and external not in output.fields else ()))
    base = Consignment(
        name=output.name,
        output=output.name,
        object=output.to,
        op="insert",
        rows=0,
        file="",
        sha256="",
        fields=fields,
        references=tuple(references),
        key_field=external or None,
        natural_key=output.key.natural if output.key else (),
    )
    sql = f"SELECT r._key, r._rid, r._row, {', '.join([*listed, *files])} FROM raw r WHERE {fresh} ORDER BY {order}"
    consigning.consignments.append(_save(consigning, base, sql))
    if matched:
        update = _update_sql(consigning, output, good)
        base = replace(base, name=f"{output.name}-update", op="update", references=())
        names = _fillable(consigning, output)
        consigning.consignments.append(_save(consigning, replace(base, fields=tuple(names)), update))
    connection.execute(
        f"INSERT INTO ready SELECT {text(output.name + ':')} || r._key FROM raw r WHERE {good}"
        + (" AND r._key NOT IN (SELECT _match FROM found WHERE _n > 1)" if matched else "")
    )


def _fillable(consigning: Consigning, output: Output) -> list[str]:
    """Fields of a matched record that may be filled: updateable, and no reference (a parent is not changed)."""
    names = []
    external = output.key.external_id if output.key else ""
    for name in (*output.fields, external):
        described = planned_field(consigning.binding, consigning.recipe, output.to, name) if name else None
        if (
            described
            and described.updateable
            and not isinstance(output.fields.get(name), Reference | RecordType | Owner)
        ):
            names.append(name)
    return list(dict.fromkeys(names))


def _update_sql(consigning: Consigning, output: Output, good: str) -> str:
    """Matched records with exactly the fields that are empty there and known here."""
    held = {r[0] for r in consigning.preparation.connection.execute("DESCRIBE SELECT * FROM found").fetchall()}
    external = output.key.external_id if output.key else ""
    columns = []
    for name in _fillable(consigning, output):
        ours = "r._key" if name == external and name not in output.fields else f"r.{ident(name)}"
        there = f"f.{ident(name)}" if name in held else "NULL"
        columns.append(f"CASE WHEN {there} IS NULL THEN {ours} END AS {ident(name)}")
    wanted = "" if output.match and output.match.when_found == "fill_empty" else " AND false"
    return (
        f"SELECT r._key, r._rid, r._row, f.Id AS _id, {', '.join(columns)} FROM raw r JOIN found f "
        f"ON f._match = r._key WHERE {good} AND f._n = 1{wanted} ORDER BY r._row"
    )


def _save(consigning: Consigning, consignment: Consignment, sql: str) -> Consignment:
    path = consigning.folder / f"{consignment.name}.parquet"
    temporary = path.with_suffix(".tmp")
    connection = consigning.preparation.connection
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(
        f"COPY ({sql}) TO {text(str(temporary))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)"
    )
    connection.execute("SET preserve_insertion_order = false")
    settle_file(temporary, path)
    rows = count(connection, f"SELECT count(*) FROM {parquet(path)}")
    return replace(consignment, rows=rows, file=path.name, sha256=file_digest(path))


def _plan_outcomes(consigning: Consigning, mapping: ObjectMapping, output: Output, matched: bool) -> None:
    """One planned outcome per source record of the object for this output."""
    connection = consigning.preparation.connection
    obj, out = text(mapping.object), text(output.name)
    prefix = text(output.name + ":")
    found = "LEFT JOIN found f ON f._match = r._key" if matched else ""
    is_found, many = ("f.Id IS NOT NULL", "f._n > 1") if matched else ("false", "false")
    connection.execute(
        f"""
        INSERT INTO planned
        SELECT {obj}, m._rid, {out},
          CASE WHEN r._key IS NULL THEN 'quarantined'
               WHEN b.reason LIKE 'owner_undecided%' THEN 'waiting'
               WHEN b.rid IS NOT NULL THEN 'quarantined'
               WHEN {many} THEN 'waiting'
               WHEN {is_found} THEN 'merged'
               WHEN m._rid = m.survivor THEN 'load' ELSE 'merged' END,
          CASE WHEN r._key IS NULL THEN 'no source key'
               WHEN b.rid IS NOT NULL THEN b.reason
               WHEN {many} THEN 'several records of the target match'
               WHEN {is_found} THEN 'matches a record of the target'
               WHEN m._rid = m.survivor THEN 'created' ELSE 'same key as ' || m.survivor END,
          m._key, CASE WHEN m._rid <> m.survivor OR {is_found} THEN {prefix} || m._key END
        FROM members m JOIN raw r ON r._rid = m.survivor
        LEFT JOIN blocked b ON b.rid = m.survivor {found}
        """
    )
    relation = ident(f"p_{mapping.object}")
    for number, route in enumerate(mapping.routes):
        if output.name in route.to:
            continue
        outcome, rule, into = "'skipped'", text(f"{route.rule}: becomes {', '.join(route.to)}"), "NULL"
        if route.fate == "skip":
            rule = text(route.skip)
        elif route.fate == "reject":
            outcome, rule = "'quarantined'", text(route.reject)
        elif route.fate == "merge":
            known = "t._into IN (SELECT ref FROM ready)"
            outcome = f"CASE WHEN {known} THEN 'merged' ELSE 'quarantined' END"
            rule = f"CASE WHEN {known} THEN {text(route.rule)} ELSE 'the record it joins is not loaded' END"
            into = "t._into"
        connection.execute(
            f"INSERT INTO planned SELECT {obj}, t._rid, {out}, {outcome}, {rule}, t._key, {into} "
            f"FROM {relation} t WHERE t._dup_of IS NULL AND t._route = {number}"
        )
    connection.execute(
        f"INSERT INTO planned SELECT {obj}, t._rid, {out}, 'merged', 'the same record again in the export', "
        f"t._key, t._dup_of FROM {relation} t WHERE t._dup_of IS NOT NULL"
    )


def _match_only(consigning: Consigning) -> None:
    """Outputs that are found in the target and never written: owners."""
    connection = consigning.preparation.connection
    for mapping, output in consigning.recipe.outputs():
        if output.match_only is None or mapping.object not in consigning.preparation.snapshot.objects:
            continue
        by = consigning.preparation.sql(output.match_only.by, mapping)
        status = {o.email: o for o in consigning.owners.values()}
        rows = [(e, o.status, o.user_name) for e, o in status.items()]
        connection.execute("CREATE OR REPLACE TEMP TABLE people (email VARCHAR, status VARCHAR, name VARCHAR)")
        if rows:
            connection.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
        connection.execute(
            f"""
            INSERT INTO planned
            SELECT {text(mapping.object)}, t._rid, {text(output.name)},
              CASE p.status WHEN 'matched' THEN 'merged' WHEN 'decided' THEN 'merged'
                   WHEN 'inactive' THEN 'waiting' WHEN 'undecided' THEN 'waiting' ELSE 'skipped' END,
              CASE p.status WHEN 'matched' THEN 'matched to a user of the target'
                   WHEN 'decided' THEN 'replaced by ' || p.name WHEN 'inactive' THEN 'owner not decided'
                   WHEN 'undecided' THEN 'owner not decided' ELSE 'owns no record' END,
              t._key, p.name
            FROM {ident("p_" + mapping.object)} t LEFT JOIN people p ON p.email = lower(trim({by}))
            """
        )
