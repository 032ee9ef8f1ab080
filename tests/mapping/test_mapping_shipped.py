"""The shipped blueprints load, fit their layouts, and compile to queries that the engine accepts."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML
from test_mapping_load import catalog_of

from rehouse.mapping.check import roots
from rehouse.mapping.load import load_recipe, unused_columns
from rehouse.mapping.rows import rows
from rehouse.mapping.schema import Recipe
from rehouse.transform import sql
from rehouse.transform.clean import build_dictionaries
from rehouse.transform.duckdb import Context, issues, losses, render
from rehouse.transform.locale import Locale

KNOWLEDGE = files("rehouse.knowledge")
SHIPPED = sorted(p.name for p in (KNOWLEDGE / "blueprints").iterdir() if (p / "blueprint.yaml").is_file())


def layout_of(source: str) -> dict[str, object]:
    text = (KNOWLEDGE / "platforms" / f"{source}.yaml").read_text(encoding="utf-8")
    layout: dict[str, object] = YAML(typ="safe", pure=True).load(text)["layout"]
    return layout


def columns_of(layout: dict[str, object]) -> dict[str, list[str]]:
    objects = layout["objects"]
    assert isinstance(objects, dict)
    return {name: list(part["columns"]) for name, part in objects.items()}


def load(pair: str) -> Recipe:
    folder: Traversable = KNOWLEDGE / "blueprints" / pair
    assert isinstance(folder, Path)
    return load_recipe(folder, columns_of(layout_of(pair.split("-")[0])))


@pytest.mark.req("COM-MAP-01", "COM-MAP-02")
@pytest.mark.parametrize("pair", SHIPPED)
def test_a_shipped_blueprint_loads_and_fits(pair: str) -> None:
    recipe = load(pair)
    assert "-".join((recipe.blueprint.source, recipe.blueprint.target)) == pair
    assert recipe.blueprint.rows
    folder = KNOWLEDGE / "blueprints" / pair
    assert isinstance(folder, Path)
    columns = columns_of(layout_of(recipe.blueprint.source))
    assert load_recipe(folder, columns, catalog_of(recipe)) == recipe
    unmapped = unused_columns(recipe, columns)
    assert set(unmapped) <= {
        name for name, m in recipe.objects.items() if all(o.match_only for o in m.outputs.values())
    }
    found = rows(recipe)
    assert len({r.id for r in found}) == len(found)
    assert {r.id for r in found} <= set(recipe.places)


@pytest.mark.parametrize("pair", SHIPPED)
def test_a_shipped_blueprint_compiles(pair: str) -> None:
    recipe = load(pair)
    layout = layout_of(recipe.blueprint.source)
    known = columns_of(layout)
    connection = duckdb.connect()
    for name, mapping in recipe.objects.items():
        system = ["_path", "_bytes", "_key", "_rid"]
        listed = ", ".join(f'CAST(NULL AS VARCHAR) AS "{c}"' for c in [*known[name], *mapping.values, *system])
        connection.execute(f'CREATE TABLE "{name}" AS SELECT {listed}, CAST(1 AS BIGINT) AS _row')
    for name, mapping in recipe.objects.items():
        ctx = Context(
            columns=lambda c: sql.column(c, "t"),
            table=lambda o: o,
            locale=Locale.of(layout),
            limits=recipe.blueprint.limits,
            object="Opportunity",
            values=mapping.values,
        )
        for node in roots(mapping):
            build_dictionaries(connection, node, ctx, f'"{name}"')
            conditions = [i.condition for i in issues(node, ctx)] + [x.condition for x in losses(node, ctx)]
            raws = [i.raw for i in issues(node, ctx)]
            shown = ", ".join(e.sql(dialect="duckdb") for e in (render(node, ctx), *conditions, *raws))
            assert len(connection.execute(f'SELECT {shown} FROM "{name}" t').fetchall()) == 1
    connection.close()
