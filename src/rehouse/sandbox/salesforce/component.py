"""What the component types of the metadata API have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rehouse.sandbox.salesforce.schema_model import SchemaError


class Component(Protocol):
    """One type of component in one org."""

    def create(self, name: str, spec: Mapping[str, Any]) -> None: ...

    def update(self, name: str, spec: Mapping[str, Any]) -> None: ...

    def delete(self, name: str) -> None: ...

    def read(self, name: str) -> dict[str, Any] | None: ...

    def list(self) -> list[tuple[str, str]]:
        """Full names with ids."""
        ...


def missing(kind: str, name: str) -> SchemaError:
    return SchemaError("INVALID_CROSS_REFERENCE_KEY", f"no {kind} named {name} found")


def refused(action: str, kind: str) -> SchemaError:
    """What this sandbox does not do although a platform may."""
    return SchemaError("UNKNOWN_EXCEPTION", f"{action} of {kind} is not supported by this sandbox")


def split_name(kind: str, name: str) -> tuple[str, str]:
    """`Object.Member`. Errors: INVALID_FULL_NAME without a dot."""
    owner, dot, member = name.partition(".")
    if not dot or not member:
        raise SchemaError("INVALID_FULL_NAME", f"{kind} full name must be of the form Object.Name: {name}")
    return owner, member
