"""What a write answers: a result per row, an error per reason, and the refusal of a whole request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row was refused. `extra` holds the duplicate-rule body (`duplicateResut`) when there is one."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RowResult:
    """The outcome of one row. `created` is None where the operation does not say (insert, update, delete)."""

    id: str | None
    success: bool
    created: bool | None
    errors: tuple[RowError, ...] = ()


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How a save behaves. An empty `user_id` means the administrator. `bulk` selects the CSV cell rules.

    `version` is the API version of the caller, for addresses inside error bodies.
    """

    all_or_none: bool = False
    auto_assign: bool = True
    duplicate_allow_save: bool = False
    user_id: str = ""
    bulk: bool = False
    version: int = 66


class ApiError(Exception):
    """A whole request refused: rendered as `[{"message", "errorCode", "fields"?}]` with `status`."""

    def __init__(self, status: int, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.fields = status, code, message, fields
