"""Planted flaws: which, where, how many, and the record of them that becomes the answer key.

A flaw is identified by (kind, object, key, field). Composers guarantee that their data holds no flaw of these
kinds that is not in the book, so a detector can be judged by exact comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

COLUMN = "*"
"""Key of a flaw that a whole column has."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One planted flaw. `object` and `field` are canonical names; `key` is the record's id, see the answer key."""

    kind: str
    object: str
    key: str
    field: str
    note: str


@dataclass(frozen=True, slots=True)
class Planting:
    """What to spoil in one row: a kind, the column, and a running number to vary the spoiling by."""

    kind: str
    field: str
    turn: int


@dataclass(frozen=True, slots=True)
class Rule:
    """How often one spoiling occurs: per thousand rows, never below `least` nor above `most`."""

    object: str
    kind: str
    field: str
    per_mille: float
    least: int
    most: int = 60

    def count(self, rows: int) -> int:
        return min(self.most, max(self.least, round(rows * self.per_mille / 1000)))


RULES = (
    Rule("contacts", "mojibake", "full_name", 1, 1),
    Rule("contacts", "mojibake", "company", 1, 1),
    Rule("contacts", "mojibake", "address", 0.5, 1),
    Rule("contacts", "duplicate_contact", "email", 3, 2),
    Rule("contacts", "duplicate_contact", "phone", 3, 2),
    Rule("contacts", "duplicate_contact", "email+phone", 1, 1),
    Rule("contacts", "duplicate_id", "id", 0.5, 1),
    Rule("contacts", "blank_id", "id", 0.5, 1),
    Rule("contacts", "missing_required", "full_name", 1, 1),
    Rule("contacts", "multi_value", "email", 3, 2),
    Rule("contacts", "multi_value", "phone", 3, 2),
    Rule("contacts", "unparsable_date", "updated_at", 1, 1),
    Rule("contacts", "unparsable_number", "whatsapp_count", 1, 1),
    Rule("contacts", "invalid_email", "email", 2, 2),
    Rule("contacts", "placeholder_value", "company", 3, 2),
    Rule("leads", "missing_required", "full_name", 1, 1),
    Rule("leads", "invalid_email", "email", 1, 1),
    Rule("leads", "unknown_option", "ad_platform", 2, 1),
    Rule("leads", "placeholder_value", "company", 2, 1),
    Rule("leads", "unparsable_date", "created_at", 1, 1),
    Rule("leads", "unparsable_number", "score", 1, 1),
    Rule("leads", "dangling_reference", "converted_contact_id", 1, 1),
    Rule("deals", "mojibake", "title", 1, 1),
    Rule("deals", "duplicate_id", "id", 0.5, 1),
    Rule("deals", "missing_required", "title", 1, 1),
    Rule("deals", "missing_required", "stage", 1, 1),
    Rule("deals", "dangling_reference", "contact_id", 2, 2),
    Rule("deals", "unparsable_date", "closed_on", 1, 1),
    Rule("deals", "unparsable_number", "amount", 1, 1),
    Rule("activities", "mojibake", "subject", 0.4, 2),
    Rule("activities", "duplicate_id", "id", 0.2, 1),
    Rule("activities", "blank_id", "id", 0.2, 2),
    Rule("activities", "missing_required", "start", 0.3, 1),
    Rule("activities", "missing_required", "type", 0.2, 1),
    Rule("activities", "dangling_reference", "contact_id", 0.4, 2),
    Rule("activities", "dangling_reference", "deal_id", 0.4, 2),
    Rule("activities", "unknown_option", "type", 0.4, 2),
    Rule("activities", "unparsable_date", "end", 0.3, 1),
    Rule("files", "dangling_reference", "linked_id", 1, 1),
    Rule("files", "file_too_large", "size", 0, 1),
    Rule("files", "file_missing", "file_name", 5, 2),
)
UNLISTED_FILES = 2

BAD_DATES = ("31.02.2023", "yarın", "2023 yazı", "00.00.0000")
BAD_NUMBERS = {"amount": ("on bin", "sorulacak"), "whatsapp_count": ("çok",), "score": ("yüksek", "?")}
UNKNOWN_OPTIONS = {"type": ("Faks", "Telgraf"), "ad_platform": ("LinkedIn", "Gazete")}


@dataclass(slots=True)
class FlawBook:
    """The flaws planted so far, in the order of planting. Disabled, it plans none and refuses none."""

    enabled: bool
    flaws: list[Flaw] = field(default_factory=list)

    def add(self, kind: str, object_name: str, key: str | int, field: str, note: str) -> None:
        if self.enabled:
            self.flaws.append(Flaw(kind, object_name, str(key), field, note))

    def plan(
        self,
        object_name: str,
        rows: int,
        rng: Random,
        *,
        fits: Callable[[str, int], bool] = lambda kind, row: True,
    ) -> dict[int, Planting]:
        """Which rows of an object (0-based) to spoil how. A row is spoilt at most once.

        The first rows stay sound because some kinds refer to an earlier row. `fits(kind, row)` may refuse a row.
        """
        rules = [rule for rule in RULES if rule.object == object_name] if self.enabled else []
        wanted = [Planting(rule.kind, rule.field, n) for rule in rules for n in range(rule.count(rows))]
        free = range(first_spoilt(rows), rows)
        drawn = rng.sample(free, min(len(free), 3 * len(wanted) + 60))
        planned: dict[int, Planting] = {}
        for planting in wanted:
            row = next(row for row in drawn if fits(planting.kind, row))
            drawn.remove(row)
            planned[row] = planting
        return planned

    def as_rows(self) -> list[dict[str, Any]]:
        return [asdict(flaw) for flaw in self.flaws]

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(flaw.kind for flaw in self.flaws).items()))


def first_spoilt(rows: int) -> int:
    """The first row (0-based) that may be spoilt."""
    return min(50, rows // 5)


def fewest_rows(object_name: str) -> int:
    """How many rows an object needs for the smallest set of flaws."""
    least = sum(rule.least for rule in RULES if rule.object == object_name)
    return 2 * least + 4


def mojibake(text: str) -> str:
    """The text as it looks when its UTF-8 bytes were read as Windows-1252."""
    return text.encode("utf-8").decode("cp1252")


def spoil(row: dict[str, Any], planting: Planting, *, blanks: list[str], nowhere: str | int) -> str:
    """Spoil one cell of a row in place, for the kinds that need nothing but the row. Returns the note.

    `blanks` are the layout's placeholder texts, `nowhere` is an id that no record has.
    """
    name, turn = planting.field, planting.turn
    before = row.get(name)
    if planting.kind == "mojibake":
        row[name] = mojibake(str(before))
    elif planting.kind == "missing_required":
        row[name] = None
    elif planting.kind == "dangling_reference":
        row[name] = nowhere
    elif planting.kind == "unparsable_date":
        row[name] = BAD_DATES[turn % len(BAD_DATES)]
    elif planting.kind == "unparsable_number":
        row[name] = BAD_NUMBERS[name][turn % len(BAD_NUMBERS[name])]
    elif planting.kind == "unknown_option":
        row[name] = UNKNOWN_OPTIONS[name][turn % len(UNKNOWN_OPTIONS[name])]
    elif planting.kind == "placeholder_value":
        row[name] = blanks[turn % len(blanks)]
    elif planting.kind == "invalid_email":
        row[name] = _broken_address(str(before), turn)
    else:
        raise AssertionError(f"{planting.kind} needs more than its row")
    return f"{'(empty)' if before is None else before} became {'(empty)' if row[name] is None else row[name]}"


def _broken_address(address: str, turn: int) -> str:
    local, _, domain = address.partition("@")
    return (f"{local}@", f"{local}.{domain}", f"{local} @{domain}", f"{local}@@{domain}")[turn % 4]
