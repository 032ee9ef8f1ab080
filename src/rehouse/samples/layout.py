"""How a Planports export is laid out: sheet names, headers and options, read from the platform's knowledge.

Nothing of it is written down here, so a changed layout changes reader and composer together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from rehouse.errors import UsageError

LANGUAGES = ("tr", "en")
"""Position of a language among the names that the layout lists for a sheet or column."""


@dataclass(frozen=True, slots=True)
class ExportLayout:
    """The `layout:` block of the platform description, seen in one tenant language."""

    raw: dict[str, Any]
    language: str

    def _named(self, names: list[str]) -> str:
        return names[min(LANGUAGES.index(self.language), len(names) - 1)]

    def sheet(self, name: str) -> str:
        """The sheet name of an object."""
        return self._named(self.raw["objects"][name]["sheets"])

    def headers(self, name: str) -> dict[str, str]:
        """Header text by canonical column name, in the order of the layout."""
        columns = self.raw["objects"][name]["columns"]
        return {column: self._named(facts["headers"]) for column, facts in columns.items()}

    def options(self, name: str, column: str) -> list[str]:
        """The allowed values of an option column."""
        return [str(option) for option in self.raw["objects"][name]["columns"][column]["options"]]

    def separator(self, name: str, column: str) -> str:
        """What stands between several values of one cell."""
        return str(self.raw["objects"][name]["columns"][column]["separator"])

    def part_name(self, name: str, number: int) -> str:
        """File name of one CSV part of an object, from the layout's file pattern."""
        return self._named(self.raw["objects"][name]["files"]).replace("*", f"_{number}")

    @property
    def objects(self) -> list[str]:
        return list(self.raw["objects"])

    @property
    def yes(self) -> str:
        return str(self.raw["true_values"][0])

    @property
    def no(self) -> str:
        return str(self.raw["false_values"][0])

    @property
    def empty_values(self) -> list[str]:
        """What people type into a cell to say that it is empty."""
        return [str(value) for value in self.raw["empty_values"]]

    @property
    def total_label(self) -> str:
        return str(self.raw["total_row_labels"][0])

    @property
    def files_folder(self) -> str:
        return str(self.raw["files_folder"])

    @property
    def ignored_sheet(self) -> str:
        """A sheet of another module, present in the workbook and out of scope."""
        return str(self.raw["ignored_sheets"][0])


@cache
def _layout_block() -> dict[str, Any]:
    source = files("rehouse") / "knowledge" / "platforms" / "planports.yaml"
    block: dict[str, Any] = YAML(typ="safe").load(source.read_text(encoding="utf-8"))["layout"]
    return block


def export_layout(language: str = "tr") -> ExportLayout:
    """The export layout in one tenant language, `tr` or `en`. Raises UsageError for another."""
    if language not in LANGUAGES:
        raise UsageError(f"no export layout in language {language!r}", hint=f"one of {', '.join(LANGUAGES)}")
    return ExportLayout(_layout_block(), language)
