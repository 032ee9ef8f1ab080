"""What discovery learned about a source, as data: the sole input of proposals, schema plan and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from rehouse.errors import InputError

DISCOVERY = "discovery.json"
FINDINGS = "findings.parquet"
DUPLICATES = "duplicates.parquet"

FINDING_COLUMNS = ("kind", "object", "key", "field", "value", "message", "severity")
"""VARCHAR columns of `findings.parquet`. (`kind`, `object`, `key`, `field`) identifies a finding; `key` is a
record's `_rid`, `*` for a whole column, an e-mail for an owner, a file name or path for a file."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The inventory of one snapshot. Holds record values as examples: it stays out of git and logs.

    - `objects`: by name: `rows`, `duplicates`, `without_key`, `parts`, and `columns`, a list of profiles
      (`name`, `header`, `kind`, `custom`, `required`, `present`, `options`, `reference`, `filled`, `fill_rate`
      0 to 1, `distinct`, `distinct_exact`, `min_length`, `max_length`, `looks_like`, `top`: values with counts).
    - `findings`: `total`, `counts` by kind, `by_object`, `examples` (first 20 of each kind).
    - `duplicates`: `groups` and `records` per object and field, and the first groups with a suggested survivor.
    - `owners`: by e-mail in lower case: `name`, `status` (active, departed, unknown), `records` by object.
    - `files`: counts, bytes, largest, over limit, missing, unlisted. `pipelines`: stages with counts and sums.
    - `custom_fields`, `references`, `volumes` (values of option columns), `risks`, `automations`,
      `completeness` (control totals), `left_out`, `warnings`.
    """

    snapshot: str
    objects: Mapping[str, Any] = field(default_factory=dict)
    findings: Mapping[str, Any] = field(default_factory=dict)
    duplicates: Mapping[str, Any] = field(default_factory=dict)
    owners: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    pipelines: tuple[Mapping[str, Any], ...] = ()
    custom_fields: tuple[Mapping[str, Any], ...] = ()
    references: tuple[Mapping[str, Any], ...] = ()
    volumes: Mapping[str, Any] = field(default_factory=dict)
    risks: tuple[Mapping[str, Any], ...] = ()
    automations: Mapping[str, Any] = field(default_factory=dict)
    completeness: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `discovery.json` holds it."""
        return asdict(self)

    @classmethod
    def load(cls, path: Path) -> Discovery:
        """Read a discovery from its folder or file; `InputError` when there is none."""
        file = path / DISCOVERY if path.is_dir() else path
        try:
            data = orjson.loads(file.read_bytes())
            for name in ("pipelines", "custom_fields", "references", "risks", "left_out", "warnings"):
                data[name] = tuple(data[name])
            return cls(**data)
        except FileNotFoundError as fault:
            raise InputError("no discovery here", hint="run: rehouse discover", file=str(file)) from fault
        except (ValueError, KeyError, TypeError) as fault:
            raise InputError(
                f"the discovery cannot be read ({fault})", hint="run: rehouse discover", file=str(file)
            ) from fault
