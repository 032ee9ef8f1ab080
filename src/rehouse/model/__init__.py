"""The ground floor's values: frozen, typed, no I/O, importing nothing else of ours."""

from rehouse.model.catalog import (
    Catalog,
    ChildReference,
    Field,
    Kind,
    Object,
    Option,
    RecordType,
    field_from_dict,
)

__all__ = ["Catalog", "ChildReference", "Field", "Kind", "Object", "Option", "RecordType", "field_from_dict"]
