"""The kinds of finding: how grave each is, what it means, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

HIGH, MEDIUM, LOW = "high", "medium", "low"

COLUMN = "*"
"""Key of a finding that a whole column has."""


@dataclass(frozen=True, slots=True)
class FindingKind:
    """`message` is shown on each finding; `affects` and `mitigation` go into the risk register."""

    severity: str
    message: str
    affects: str
    mitigation: str


KINDS: dict[str, FindingKind] = {
    "decimal_comma": FindingKind(
        LOW,
        "numbers are written as text with a decimal comma",
        "columns with numbers as text",
        "read them with the layout's decimal sign; check the sum against a control total",
    ),
    "local_date": FindingKind(
        LOW,
        "dates are written as text, day first",
        "columns with dates as text",
        "read them with the layout's date formats; check a few days that could also be months",
    ),
    "encoding": FindingKind(
        LOW,
        "the file is not in UTF-8 and was recoded",
        "file parts in a legacy encoding",
        "look at names with special letters in the sample diff",
    ),
    "mojibake": FindingKind(
        MEDIUM,
        "letters were damaged by a wrong encoding before the export",
        "texts damaged in the source",
        "repair them in the source, or approve the repair rule in the mapping",
    ),
    "duplicate_contact": FindingKind(
        MEDIUM,
        "an earlier record has the same normalised value",
        "records that are probably the same person",
        "merge them in the source, or decide the survivors in the mapping",
    ),
    "duplicate_id": FindingKind(
        MEDIUM,
        "several rows have this id; one is kept",
        "rows with an id used twice",
        "check whether the losing row is an old version or another record",
    ),
    "blank_id": FindingKind(
        MEDIUM,
        "the record has no id; nothing can refer to it",
        "records without id",
        "give them ids in the source, or accept that they load without relations and cannot be matched later",
    ),
    "missing_required": FindingKind(
        MEDIUM,
        "a required value is missing",
        "records without a required value",
        "fill the values in the source, or decide a default in the mapping",
    ),
    "dangling_reference": FindingKind(
        MEDIUM,
        "refers to a record that the export does not hold",
        "references to records that are not in the export",
        "export the missing records, or decide to load without the relation",
    ),
    "multi_value": FindingKind(
        LOW,
        "the cell holds several values",
        "cells with several values",
        "decide in the mapping where the further values go",
    ),
    "unknown_owner": FindingKind(
        HIGH,
        "owns records but is not in the list of users",
        "owners that the export's users do not include",
        "name the user of the target who takes these records over",
    ),
    "departed_owner": FindingKind(
        MEDIUM,
        "is inactive and still owns records",
        "owners who have left",
        "name the user of the target who takes these records over, or create the user inactive",
    ),
    "unparsable_date": FindingKind(
        MEDIUM,
        "not a date in any of the layout's formats",
        "dates that cannot be read",
        "correct them in the source; otherwise the value stays behind and the record says so",
    ),
    "unparsable_number": FindingKind(
        MEDIUM,
        "not a number in the layout's locale",
        "numbers that cannot be read",
        "correct them in the source; otherwise the value stays behind and the record says so",
    ),
    "invalid_email": FindingKind(
        LOW,
        "not a valid e-mail address",
        "e-mail addresses that a target may refuse",
        "correct them in the source, or keep them in a text field",
    ),
    "invalid_phone": FindingKind(
        LOW,
        "not a possible phone number",
        "phone numbers that cannot be normalised",
        "correct them in the source; they load as written",
    ),
    "unknown_option": FindingKind(
        MEDIUM,
        "not one of the known options",
        "values outside the known options",
        "add them to the option map, or decide what they become",
    ),
    "placeholder_value": FindingKind(
        LOW,
        "a placeholder that means empty",
        "placeholders typed into empty fields",
        "they are treated as empty; confirm the list of placeholders",
    ),
    "file_too_large": FindingKind(
        MEDIUM,
        "the file is larger than the limit",
        "files over the size limit",
        "decide per file: leave behind, split, or move by hand",
    ),
    "file_missing": FindingKind(
        HIGH,
        "the file is listed but not in the export",
        "files that are listed but absent",
        "export the files again",
    ),
    "file_unlisted": FindingKind(
        LOW,
        "the file is in the export but no record lists it",
        "files that belong to no record",
        "find out where they belong, or accept that they stay behind",
    ),
}
