"""Cleaning as a step over distinct values: each text is cleaned once, kept on disk, and joined back by name.

A dictionary is a table `raw VARCHAR` plus its parts: `clean_name (honorific, given, family)`,
`clean_phone_<REGION> (value)`, `clean_email (first, rest, invalid)`, `clean_company (value)`. The cached files
hold personal data: the cache belongs under the migration's own, git-ignored folder.

`CLEAN_VERSION` changes whenever a result can change; it is part of every cached dictionary's name.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from rehouse.mapping import expressions as ex
from rehouse.transform.context import Context
from rehouse.transform.parties import addresses, company_key, phone, split_name
from rehouse.transform.render import dictionary_name, render

CLEAN_VERSION = "1"
_BATCH = 50_000

_PARTS: dict[str, tuple[str, ...]] = {
    "name": ("honorific", "given", "family"),
    "phone": ("value",),
    "email": ("first", "rest", "invalid"),
    "company": ("value",),
}


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a dictionary is read: the argument's expression over `relation`."""

    dictionary: str
    argument: exp.Expression
    relation: str


def uses(node: ex.Node, ctx: Context, relation: str) -> list[Use]:
    """The dictionaries that a node reads, innermost first."""
    found = [use for child in ex.children(node) for use in uses(child, ctx, relation)]
    name = dictionary_name(node)
    if name is not None:
        assert isinstance(node, ex.Name | ex.Phone | ex.Email | ex.CompanyKey)
        found.append(Use(name, render(node.of, ctx), relation))
    return found


def dictionary(name: str, values: Iterable[str]) -> pa.Table:
    """The entries of dictionary `name` for the given texts, each once."""
    kind, _, region = name.removeprefix("clean_").partition("_")
    clean = _cleaner(kind, region)
    raws = list(dict.fromkeys(values))
    rows = [clean(raw) for raw in raws]
    parts = _PARTS[kind]
    columns = [pa.array(raws, pa.string())]
    columns += [pa.array([row[i] for row in rows], pa.string()) for i in range(len(parts))]
    return pa.table(columns, names=["raw", *parts])


def _cleaner(kind: str, region: str) -> Callable[[str], Sequence[str | None]]:
    def name(raw: str) -> Sequence[str | None]:
        found = split_name(raw)
        return found.honorific, found.given, found.family

    def email(raw: str) -> Sequence[str | None]:
        found = addresses(raw)
        return found.first, found.rest, found.invalid

    cleaners: dict[str, Callable[[str], Sequence[str | None]]] = {
        "name": name,
        "email": email,
        "phone": lambda raw: (phone(raw, region),),
        "company": lambda raw: (company_key(raw),),
    }
    return cleaners[kind]


def build_dictionaries(
    connection: duckdb.DuckDBPyConnection,
    node: ex.Node,
    ctx: Context,
    relation: str,
    cache: Path | None = None,
    alias: str = "t",
) -> dict[str, int]:
    """Makes sure that every dictionary a node reads is a table of the connection and holds all its texts.

    `relation` is what the FROM clause names (an identifier already quoted, or a table function); the context's
    columns are qualified by `alias`. Inner dictionaries are completed before the outer ones that read them.
    Texts cleaned before, in this connection or in `cache`, are not cleaned again. Returns the number of texts
    cleaned now, by dictionary.
    """
    found = uses(node, ctx, relation)
    cleaned = dict.fromkeys((use.dictionary for use in found), 0)
    for name in cleaned:
        _open(connection, name, cache)
    for use in found:
        cleaned[use.dictionary] += _extend(connection, use, alias)
    for name, count in cleaned.items():
        if cache is not None and count:
            _store(connection, name, cache)
    return cleaned


def _extend(connection: duckdb.DuckDBPyConnection, use: Use, alias: str) -> int:
    """Cleans what the dictionary lacks, in batches; the number of texts cleaned."""
    argument = use.argument.sql(dialect="duckdb")
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE "_to_clean" AS SELECT {argument} AS raw FROM {use.relation} {alias} '
        f'EXCEPT SELECT raw FROM "{use.dictionary}"'
    )
    count = 0
    reader: Any = connection.sql('SELECT raw FROM "_to_clean" WHERE raw IS NOT NULL').to_arrow_reader(_BATCH)
    # the reader belongs to the connection's pending query, so the tables wait until it is drained
    tables = [dictionary(use.dictionary, batch.column(0).to_pylist()) for batch in reader]
    for table in tables:
        connection.register("_cleaned_now", table)
        connection.execute(f'INSERT INTO "{use.dictionary}" SELECT * FROM "_cleaned_now"')
        connection.unregister("_cleaned_now")
        count += table.num_rows
    connection.execute('DROP TABLE "_to_clean"')
    return count


def _open(connection: duckdb.DuckDBPyConnection, name: str, cache: Path | None) -> None:
    """The table exists afterwards, filled from the cache when it did not exist before."""
    known = connection.execute("SELECT 1 FROM information_schema.tables WHERE table_name = ?", [name]).fetchall()
    if known:
        return
    stored = pq.read_table(_path(cache, name)) if cache is not None and _path(cache, name).is_file() else None
    connection.register("_stored", stored if stored is not None else dictionary(name, ()))
    connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM "_stored"')
    connection.unregister("_stored")


def _store(connection: duckdb.DuckDBPyConnection, name: str, cache: Path) -> None:
    """Whole or not at all: written beside the file, then renamed."""
    cache.mkdir(parents=True, exist_ok=True)
    path = _path(cache, name)
    beside = path.with_suffix(".new")
    pq.write_table(connection.table(f'"{name}"').to_arrow_table(), beside, compression="zstd")
    beside.replace(path)


def _path(cache: Path | None, name: str) -> Path:
    """The file of a dictionary; its name changes with anything that can change a result."""
    assert cache is not None
    versions = [CLEAN_VERSION]
    versions += [importlib.metadata.version(p) for p in ("phonenumberslite", "email-validator")]
    mark = hashlib.sha256(" ".join(versions).encode()).hexdigest()[:12]
    return cache / f"{name}-{mark}.parquet"
