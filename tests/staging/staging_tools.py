"""A small source of our own: one layout, files written in a line, rows of a staged object in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xlsxwriter

from rehouse.knowledge import Layout
from rehouse.staging import Snapshot, connect

LAYOUT = Layout.model_validate(
    {
        "locale": "tr_TR",
        "decimal": ",",
        "thousands": ".",
        "encodings": ["utf-8", "cp1254"],
        "datetime_formats": ["%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
        "date_formats": ["%d.%m.%Y", "%Y-%m-%d"],
        "true_values": ["Evet", "TRUE"],
        "false_values": ["Hayır", "FALSE"],
        "empty_values": ["-"],
        "total_row_labels": ["Toplam"],
        "users": {"object": "users", "email": "email", "active": "active"},
        "custom_fields": {
            "object": "extra",
            "of": "object",
            "label": "field",
            "type": "type",
            "options": "options",
            "required": "required",
            "objects": {"Kişi": "people"},
            "kinds": {"Liste": "option", "Para": "money"},
        },
        "pipelines": {"object": "deals", "pipeline": "line", "stage": "stage", "amount": "amount", "currency": "code"},
        "attachments": {"object": "papers", "record": "of", "name": "name", "size": "size", "limit_bytes": 10},
        "objects": {
            "users": {
                "sheets": ["Users"],
                "key": ["email"],
                "columns": {
                    "name": {"headers": ["Name"], "kind": "text", "required": True},
                    "email": {"headers": ["Email"], "kind": "email", "required": True},
                    "active": {"headers": ["Active"], "kind": "boolean"},
                },
            },
            "extra": {
                "sheets": ["Extra"],
                "key": ["object", "field"],
                "columns": {
                    "object": {"headers": ["Object"], "kind": "text", "required": True},
                    "field": {"headers": ["Field"], "kind": "text", "required": True},
                    "type": {"headers": ["Type"], "kind": "text"},
                    "options": {"headers": ["Options"], "kind": "text", "separator": "|"},
                    "required": {"headers": ["Must"], "kind": "boolean"},
                },
            },
            "people": {
                "sheets": ["People", "Kişiler"],
                "files": ["people*.csv"],
                "key": ["id"],
                "duplicates": ["email", "phone"],
                "columns": {
                    "id": {"headers": ["Id"], "kind": "id", "required": True},
                    "name": {"headers": ["Name"], "kind": "text", "required": True},
                    "email": {"headers": ["Email"], "kind": "email", "separator": ";"},
                    "phone": {"headers": ["Phone"], "kind": "phone", "separator": "/"},
                    "owner": {"headers": ["Owner"], "kind": "email", "reference": "users", "owner": True},
                    "updated_at": {"headers": ["Updated"], "kind": "datetime"},
                },
            },
            "deals": {
                "sheets": ["Deals"],
                "files": ["deals*.csv"],
                "key": ["id"],
                "columns": {
                    "id": {"headers": ["Deal"], "kind": "id", "required": True},
                    "person": {"headers": ["Person"], "kind": "id", "reference": "people"},
                    "line": {"headers": ["Line"], "kind": "text"},
                    "stage": {"headers": ["Stage"], "kind": "text"},
                    "amount": {"headers": ["Amount"], "kind": "money"},
                    "code": {
                        "headers": ["Currency"],
                        "kind": "option",
                        "options": ["TRY", "TL"],
                        "aliases": {"TL": "TRY"},
                    },
                    "closed": {"headers": ["Closed"], "kind": "date"},
                },
            },
            "papers": {
                "sheets": ["Papers"],
                "files": ["papers*.csv"],
                "key": ["id"],
                "columns": {
                    "id": {"headers": ["Paper"], "kind": "id", "required": True},
                    "kind": {"headers": ["Of kind"], "kind": "option", "objects": {"Kişi": "people", "Deal": "deals"}},
                    "of": {"headers": ["Of"], "kind": "id", "reference_by": "kind"},
                    "name": {"headers": ["File"], "kind": "text", "required": True},
                    "size": {"headers": ["Size"], "kind": "text"},
                },
            },
        },
    }
)


def export(folder: Path, sheets: dict[str, list[list[Any]]], **texts: str) -> Path:
    """A folder with one workbook of these sheets, and text files by name (`people_1_csv="…"`)."""
    folder.mkdir(parents=True, exist_ok=True)
    if sheets:
        book = xlsxwriter.Workbook(str(folder / "export.xlsx"))
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if value is not None:
                        sheet.write(at, column, value)
        book.close()
    for name, text in texts.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return folder


def rows_of(snapshot: Snapshot, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """The rows of a staged object in order, some columns of them."""
    with connect(snapshot) as con:
        return con.execute(f'SELECT {", ".join(columns)} FROM "{name}" ORDER BY _row').fetchall()
