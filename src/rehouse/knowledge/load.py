"""Platform knowledge: the YAML files beside this module, read once and checked against these models.

The `layout:` block of a source platform describes its export: sheets, files, columns, values. It is data,
so a migration can override any part of it; no reader knows a platform by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rehouse.errors import InputError, UsageError
from rehouse.model import Kind


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnLayout(_Strict):
    """One column of an export.

    `headers` are the spellings the header may have. `required` means the header must exist and every row
    should hold a value. `separator` splits a cell that holds several values. `aliases` maps spellings of a
    value to the one that control totals use. A reference points at one object (`reference`) or at the object
    that another column names (`reference_by`, translated by that column's `objects`).
    """

    headers: tuple[str, ...]
    kind: Kind
    required: bool = False
    options: tuple[str, ...] = ()
    aliases: Mapping[str, str] = {}
    separator: str = ""
    reference: str = ""
    reference_by: str = ""
    objects: Mapping[str, str] = {}
    owner: bool = False


class ObjectLayout(_Strict):
    """One object of an export: the sheets or CSV files (`files`, glob patterns) that hold it, and its key.

    `duplicates` names the columns whose normalised values point at the same person. `required` means that an
    export (a folder or workbook) without this object is refused.
    """

    sheets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    key: tuple[str, ...]
    columns: Mapping[str, ColumnLayout]
    duplicates: tuple[str, ...] = ()
    required: bool = False


class CustomFieldsLayout(_Strict):
    """Which object declares the custom fields, and what its columns and values mean.

    `objects` translates the export's words for its own objects, `kinds` its words for kinds of value.
    """

    object: str
    of: str
    label: str
    type: str
    options: str = ""
    required: str = ""
    objects: Mapping[str, str] = {}
    kinds: Mapping[str, Kind] = {}


class PipelineLayout(_Strict):
    """The object that moves through pipelines, and the columns that say where it stands.

    `won` and `lost` are the values of `status` that close a record.
    """

    object: str
    pipeline: str
    stage: str
    status: str = ""
    amount: str = ""
    currency: str = ""
    probability: str = ""
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class UsersLayout(_Strict):
    """The object that lists the people who own records, its e-mail column and its active flag."""

    object: str
    email: str
    active: str = ""


class AttachmentsLayout(_Strict):
    """The object that lists attached files; `record` is the linked record's id, `name` the file name.

    The files lie in the export under `files_folder`: `<files_folder>/<object>/<record id>/<name>`. A file over
    `limit_bytes` needs a decision (0: no limit); a plan may set another limit for its target.
    """

    object: str
    record: str
    name: str
    size: str = ""
    limit_bytes: int = 0


class Layout(_Strict):
    """How one platform's export looks. `verified` is true once a real export has confirmed it."""

    verified: bool = False
    locale: str = "en_US"
    zone: str = "UTC"
    decimal: str = "."
    thousands: str = ","
    encodings: tuple[str, ...] = ("utf-8", "utf-16", "cp1252")
    empty_values: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ("%Y-%m-%d",)
    datetime_formats: tuple[str, ...] = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
    true_values: tuple[str, ...] = ("TRUE",)
    false_values: tuple[str, ...] = ("FALSE",)
    total_row_labels: tuple[str, ...] = ()
    ignored_sheets: tuple[str, ...] = ()
    files_folder: str = "files"
    users: UsersLayout | None = None
    custom_fields: CustomFieldsLayout | None = None
    pipelines: PipelineLayout | None = None
    attachments: AttachmentsLayout | None = None
    not_exported: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    objects: Mapping[str, ObjectLayout]

    @property
    def region(self) -> str:
        """The country of the locale, two letters: the default region of phone numbers without a prefix."""
        return self.locale.partition("_")[2].upper() or "US"

    def digest(self) -> str:
        """sha256 over the whole layout: two layouts with the same digest read a file the same way."""
        plain = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(plain).hexdigest()

    def overridden(self, changes: Mapping[str, Any]) -> Layout:
        """This layout with parts replaced, deeply: what a migration's own `layout:` block does."""
        return _checked(_merged(self.model_dump(mode="json"), changes), "layout")


class Platform(BaseModel):
    """One platform file. Blocks that other floors read stay available through `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    platform: str
    label: str
    roles: tuple[str, ...] = ()
    layout: Layout | None = None


def platform_names() -> tuple[str, ...]:
    """The platforms this installation knows, sorted."""
    files = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml")))


@cache
def load_platform(name: str) -> Platform:
    """The knowledge about one platform. Unknown names raise `UsageError`, a broken file `InputError`."""
    if name not in platform_names():
        raise UsageError(f"unknown platform {name!r}", hint=f"known: {', '.join(platform_names())}")
    text = _folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return Platform.model_validate(YAML(typ="safe", pure=True).load(text))
    except (ValidationError, YAMLError) as fault:
        raise InputError(str(fault), hint="correct the platform file", file=f"{name}.yaml") from fault


def load_layout(name: str) -> Layout:
    """The export layout of a source platform; `UsageError` when the platform has none."""
    layout = load_platform(name).layout
    if layout is None:
        raise UsageError(f"platform {name!r} has no export layout", hint="choose a platform that is a source of files")
    return layout


def _folder() -> Traversable:
    return resources.files("rehouse.knowledge").joinpath("platforms")


def _checked(data: Mapping[str, Any], file: str) -> Layout:
    try:
        return Layout.model_validate(data)
    except ValidationError as fault:
        raise InputError(str(fault), hint="correct the `layout:` block", file=file) from fault


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        nested = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(old, value) if nested else value  # type: ignore[arg-type]
    return result
