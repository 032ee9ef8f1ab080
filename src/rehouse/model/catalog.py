"""What `describe` learns about a platform: objects, fields, options. Frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kind of value a field holds. Every platform's own type names map onto these."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    HTML = "html"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    PERCENT = "percent"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    OPTION = "option"
    MULTI_OPTION = "multi_option"
    REFERENCE = "reference"
    ID = "id"
    BINARY = "binary"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Option:
    """One enumerated value of a field: what is stored, what people see."""

    value: str
    label: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Field:
    """A named value of an object.

    `length` counts characters (0: no limit known), `digits`/`scale` are for numbers. `required` means that
    a create without it is refused; `defaulted` that the platform fills it when a create leaves it out.
    `restricted` means that only `options` are accepted.
    """

    name: str
    label: str
    kind: Kind
    length: int = 0
    digits: int = 0
    scale: int = 0
    required: bool = False
    defaulted: bool = False
    createable: bool = True
    updateable: bool = True
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    custom: bool = False
    restricted: bool = False
    options: tuple[Option, ...] = ()
    references: tuple[str, ...] = ()
    relationship: str = ""
    native_type: str = ""


@dataclass(frozen=True, slots=True)
class ChildReference:
    """Another object's field that may point at this object."""

    object: str
    field: str
    cascades: bool = False


@dataclass(frozen=True, slots=True)
class RecordType:
    """A variant of an object with its own subset of options. `options` maps field name to allowed values."""

    name: str
    label: str
    id: str = ""
    active: bool = True
    default: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """A kind of record."""

    name: str
    label: str
    fields: tuple[Field, ...]
    children: tuple[ChildReference, ...] = ()
    record_types: tuple[RecordType, ...] = ()
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    custom: bool = False

    def field(self, name: str) -> Field | None:
        """The field of that name, compared without case, or None."""
        lowered = name.lower()
        return next((f for f in self.fields if f.name.lower() == lowered), None)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All objects of one platform instance, by name."""

    platform: str
    objects: Mapping[str, Object] = field(default_factory=dict)

    @classmethod
    def of(cls, platform: str, objects: Iterable[Object]) -> Catalog:
        return cls(platform, {o.name: o for o in objects})

    def object(self, name: str) -> Object | None:
        return self.objects.get(name)

    def merged(self, other: Catalog) -> Catalog:
        """This catalog with the other's objects added or replaced."""
        return replace(self, objects={**self.objects, **other.objects})

    def as_dict(self) -> dict[str, Any]:
        """Plain data, stable order: what digests and JSON are made of."""
        return {"platform": self.platform, "objects": [asdict(self.objects[n]) for n in sorted(self.objects)]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Catalog:
        return cls.of(data["platform"], (_object(o) for o in data["objects"]))


def _object(data: Mapping[str, Any]) -> Object:
    return Object(
        **{
            **data,
            "fields": tuple(field_from_dict(f) for f in data["fields"]),
            "children": tuple(ChildReference(**c) for c in data["children"]),
            "record_types": tuple(RecordType(**r) for r in data["record_types"]),
        }
    )


def field_from_dict(data: Mapping[str, Any]) -> Field:
    """The field that `dataclasses.asdict` wrote."""
    return Field(
        **{
            **data,
            "kind": Kind(data["kind"]),
            "options": tuple(Option(**o) for o in data["options"]),
            "references": tuple(data["references"]),
        }
    )
