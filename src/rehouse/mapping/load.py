"""Mapping files to a recipe. All faults of all files are reported together, each with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rehouse.errors import Fault, InputError, MappingError
from rehouse.mapping.check import FileUses, Layout, check, created_fields, unused_columns
from rehouse.mapping.schema import Blueprint, ObjectMapping, Place, Recipe
from rehouse.mapping.sections import SectionReader
from rehouse.model import Catalog

__all__ = ["BLUEPRINT", "created_fields", "load_recipe", "unused_columns"]

BLUEPRINT = "blueprint.yaml"


def load_recipe(folder: Path, layout_columns: Layout | None = None, target: Catalog | None = None) -> Recipe:
    """The recipe in a folder: `blueprint.yaml` and one `<object>.yaml` per source object.

    `layout_columns` (columns by source object, custom ones included) turns unknown columns into faults;
    `target` does the same for objects and fields that the target lacks and the recipe does not create.
    Raises MappingError with all faults, InputError when there is no blueprint.
    """
    if not (folder / BLUEPRINT).is_file():
        raise InputError(
            "the folder holds no blueprint.yaml",
            file=str(folder),
            hint="point at a mapping folder; `rehouse propose` makes one from the pair's blueprint",
        )
    faults: list[Fault] = []
    reader, data = _read(folder / BLUEPRINT, faults)
    blueprint = reader.blueprint(data) if data is not None else Blueprint("", "", "", ())
    faults += reader.faults
    places = dict(reader.places)
    found: dict[str, ObjectMapping] = {}
    uses: FileUses = []
    for path in sorted(p for p in folder.glob("*.yaml") if p.name != BLUEPRINT):
        reader, data = _read(path, faults)
        if data is not None:
            mapping = reader.object_mapping(data)
            faults += _twice(found, mapping, path.name, reader.places)
            found[mapping.object] = mapping
            places |= reader.places
            uses.append((path.name, mapping.object, reader.uses))
        faults += reader.faults
    recipe = Recipe(blueprint, _ordered(found, blueprint.order), places)
    faults += check(recipe, uses, layout_columns, target)
    if faults:
        raise MappingError(sorted(set(faults), key=lambda f: (f.file, f.line, f.message)))
    return recipe


def _read(path: Path, faults: list[Fault]) -> tuple[SectionReader, Mapping[str, Any] | None]:
    """A reader for the file and its content; None after a fault of YAML itself."""
    reader = SectionReader(path.name)
    try:
        data = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        faults.append(Fault(path.name, line, f"not valid YAML: {_first_line(error.problem)}"))
        return reader, None
    except (YAMLError, UnicodeDecodeError) as error:
        faults.append(Fault(path.name, 1, f"not valid YAML: {_first_line(str(error))}"))
        return reader, None
    if not isinstance(data, dict):
        faults.append(Fault(path.name, 1, "the file must hold a mapping"))
        return reader, None
    return reader, data


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _twice(
    found: Mapping[str, ObjectMapping], mapping: ObjectMapping, file: str, places: Mapping[str, Place]
) -> list[Fault]:
    if mapping.object in found:
        return [Fault(file, 1, f"object {mapping.object!r} is mapped in two files")]
    taken = {name for other in found.values() for name in other.outputs}
    faults = []
    for name in mapping.outputs:
        if name in taken:
            place = places.get(f"{mapping.object}.{name}#key", Place(file, 1))
            faults.append(Fault(file, place.line, f"output {name!r} exists already in another file"))
    return faults


def _ordered(found: Mapping[str, ObjectMapping], order: tuple[str, ...]) -> dict[str, ObjectMapping]:
    listed = [name for name in order if name in found]
    return {name: found[name] for name in (*listed, *(n for n in found if n not in listed))}
