"""Small edits of mapping files that keep every comment and the order of lines."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from rehouse.errors import Fault, MappingError
from rehouse.mapping.parse import Reader, line_of, nearest

_WIDTH = 4096
"""Long enough that no line of ours is ever folded."""


def set_option_map(file: Path, output: str, field: str, options: Mapping[str, str]) -> None:
    """Replaces the `map` of the `option` or `record_type` operator inside a field.

    Raises MappingError when output, field or operator is not there, or when the field holds several.
    """
    yaml, data = _load(file)
    fields = _fields(file, data, output)
    if field not in fields:
        raise _fault(file, line_of(data, "outputs", 1), f"{output!r} has no field {field!r}", field, fields)
    line = line_of(fields, field, 1)
    found = list(_operators(fields[field]))
    if len(found) != 1:
        many = "several option operators" if found else "no option operator"
        raise _fault(file, line, f"{output}.{field} has {many}")
    found[0]["map"] = _flow_map(options)
    _save(file, yaml, data)


def add_field(file: Path, output: str, field: str, expression: Any) -> None:
    """Adds a field to an output, or replaces its expression. `expression` is plain data, as in the files.

    Raises MappingError when the output is not there or the expression means nothing.
    """
    reader = Reader(file.name)
    reader.expression(expression, 1)
    if reader.faults:
        raise MappingError(reader.faults)
    yaml, data = _load(file)
    _fields(file, data, output)[field] = _flow(expression)
    _save(file, yaml, data)


def set_creates_record_types(file: Path, record_types: Sequence[Mapping[str, Any]]) -> None:
    """Replaces `creates.record_types` of a blueprint file with plain data, one line for each stage."""
    yaml, data = _load(file)
    creates = data.setdefault("creates", CommentedMap())
    listed = CommentedSeq()
    for record_type in record_types:
        block = CommentedMap((k, _safe(v)) for k, v in record_type.items() if k != "stages")
        stages = CommentedSeq()
        stages.extend(_flow(stage) for stage in record_type.get("stages", ()))
        block["stages"] = stages
        listed.append(block)
    creates["record_types"] = listed
    _save(file, yaml, data)


def add_created_field(file: Path, field: Mapping[str, Any]) -> None:
    """Adds one field to `creates.fields` of a blueprint file, as one line at the end of the list."""
    yaml, data = _load(file)
    creates = data.setdefault("creates", CommentedMap())
    creates.setdefault("fields", CommentedSeq()).append(_flow(field))
    _save(file, yaml, data)


def _operators(value: Any) -> Iterator[Any]:
    """The mappings inside a field that are option or record type operators."""
    if isinstance(value, dict):
        if "option" in value or "record_type" in value:
            yield value
        for part in value.values():
            yield from _operators(part)
    elif isinstance(value, list):
        for part in value:
            yield from _operators(part)


def _fields(file: Path, data: Any, output: str) -> Any:
    outputs = data.get("outputs") or {}
    if output not in outputs:
        raise _fault(file, line_of(data, "outputs", 1), f"there is no output {output!r}", output, outputs)
    if outputs[output].get("fields") is None:
        outputs[output]["fields"] = CommentedMap()
    return outputs[output]["fields"]


def _fault(file: Path, line: int, message: str, name: str = "", known: Mapping[str, Any] | None = None) -> MappingError:
    return MappingError([Fault(file.name, line, message, nearest(name, known or ()))])


def _safe(value: Any) -> Any:
    """Text that YAML would read as something else, or as two things in a one-line map, gets quotes."""
    if not isinstance(value, str):
        return value
    plain = value and value == value.strip() and not set(value) & set(",[]{}#&*!|>'\"%@`:?\n\t")
    read_back = YAML(typ="safe", pure=True).load(value) if plain else None
    return value if read_back == value else DoubleQuotedScalarString(value)


def _flow_map(options: Mapping[str, str]) -> CommentedMap:
    made = CommentedMap((_safe(k), _safe(v)) for k, v in options.items())
    made.fa.set_flow_style()
    return made


def _flow(value: Any) -> Any:
    """Plain data as ruamel's own containers in flow style: one line in the file."""
    if isinstance(value, Mapping):
        made = CommentedMap((_safe(k), _flow(v)) for k, v in value.items())
        made.fa.set_flow_style()
        return made
    if isinstance(value, list | tuple):
        listed = CommentedSeq(_flow(v) for v in value)
        listed.fa.set_flow_style()
        return listed
    return _safe(value)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _load(file: Path) -> tuple[YAML, Any]:
    yaml = _yaml()
    return yaml, yaml.load(file.read_text(encoding="utf-8"))


def _save(file: Path, yaml: YAML, data: Any) -> None:
    """Whole or not at all: written beside the file, then renamed."""
    stream = io.StringIO()
    yaml.dump(data, stream)
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(stream.getvalue(), encoding="utf-8")
    beside.replace(file)
