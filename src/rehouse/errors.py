"""Every error that Rehouse raises on purpose, grouped by what the caller does next.

    RehouseError
    ├── UserError             fix the input, the mapping, the credentials or the permission, run again   exit 1
    │   ├── InputError        a file, sheet, row or column cannot be read
    │   ├── MappingError      one or several faults in mapping files, reported together
    │   ├── GateError         a gate of the workflow is shut; the hint says what opens it               exit 5
    │   └── UsageError        arguments that make no sense together                                       exit 2
    ├── RetryableError        nothing was written; the same request may work later
    ├── OutcomeUnknownError   it may have been written: ask the target before sending again
    └── FatalError            going on would make it worse: stop at the last durable event

A refused *record* is never an exception: it is an outcome with the platform's code and text.
Messages name object, field, count and one example; the hint names the fix. Neither holds secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RehouseError(Exception):
    """Anything raised on purpose. `hint` says what the reader can do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, object]:
        """The error as the `--json` output shows it."""
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint}


class UserError(RehouseError):
    """Input, mapping, credentials or permissions. Fix and run again."""


class InputError(UserError):
    """A source file cannot be read as it is. Names file, sheet, row and column where they are known."""

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        file: str = "",
        sheet: str = "",
        row: int | None = None,
        column: str = "",
    ) -> None:
        self.file, self.sheet, self.row, self.column = file, sheet, row, column
        place = ", ".join(
            part
            for part in (
                f"file {file}" if file else "",
                f"sheet {sheet!r}" if sheet else "",
                f"row {row}" if row is not None else "",
                f"column {column!r}" if column else "",
            )
            if part
        )
        super().__init__(f"{place}: {message}" if place else message, hint=hint)

    def as_dict(self) -> dict[str, object]:
        return {
            **super().as_dict(),
            "file": self.file,
            "sheet": self.sheet,
            "row": self.row,
            "column": self.column,
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a mapping file: where, what, and the nearest name that would be valid."""

    file: str
    line: int
    message: str
    nearest: str = ""

    def __str__(self) -> str:
        tip = f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        return f"{self.file}:{self.line}: {self.message}{tip}"


class MappingError(UserError):
    """All faults found in the mapping files, together."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(
            f"{len(faults)} fault{'s' if len(faults) != 1 else ''} in the mapping:\n{lines}",
            hint="correct the lines named above; `rehouse map` shows the mapping beside samples",
        )

    def as_dict(self) -> dict[str, object]:
        faults = [{"file": f.file, "line": f.line, "message": f.message, "nearest": f.nearest} for f in self.faults]
        return {**super().as_dict(), "faults": faults}


class GateError(UserError):
    """A gate is shut. `gate` names it, `evidence` lists what keeps it shut."""

    exit_code = 5

    def __init__(self, gate: str, message: str, *, evidence: Sequence[str] = (), hint: str) -> None:
        self.gate, self.evidence = gate, tuple(evidence)
        shown = "".join(f"\n  - {line}" for line in self.evidence[:10])
        more = f"\n  … and {len(self.evidence) - 10} more" if len(self.evidence) > 10 else ""
        super().__init__(f"gate '{gate}' is shut: {message}{shown}{more}", hint=hint)

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "gate": self.gate, "evidence": list(self.evidence)}


class UsageError(UserError):
    """Arguments that make no sense together."""

    exit_code = 2


class RetryableError(RehouseError):
    """Nothing was written and the same request may work later. `wait` is the server's advice in seconds."""

    def __init__(self, message: str, *, hint: str = "", wait: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wait = wait


class OutcomeUnknownError(RehouseError):
    """It may have been written. Ask the target before sending again."""


class FatalError(RehouseError):
    """Going on would make it worse. Stop at the last durable event."""
