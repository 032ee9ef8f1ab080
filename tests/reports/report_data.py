"""A small migration's figures in the shape of every report, complete and consistent."""

from __future__ import annotations

from typing import Any

HOSTILE = '<script>alert("x")</script> [bold]Ayşe[/bold] & "Can" \x1b[31mred\u202e'
"""A value that tries HTML, a markup of terminals, an escape sequence and a change of direction."""

SOURCE = {"contacts": 600, "deals": 240, "activities": 3_100, "files": 45}


def books() -> dict[str, Any]:
    def outcome(
        loaded: int, merged: int = 0, skipped: int = 0, quarantined: int = 0, waiting: int = 0
    ) -> dict[str, int]:
        return {
            "loaded": loaded,
            "merged": merged,
            "skipped": skipped,
            "quarantined": quarantined,
            "waiting": waiting,
        }

    return {
        "contacts": {"source": 600, "outcomes": {"Account": outcome(131, 42, 427), "Contact": outcome(585, 12, 0, 3)}},
        "deals": {"source": 240, "outcomes": {"Opportunity": outcome(239, 0, 0, 1)}},
        "activities": {
            "source": 3_100,
            "outcomes": {"Task": outcome(2_180, 0, 920), "Event": outcome(918, 0, 2_180, 2)},
        },
        "files": {"source": 45, "outcomes": {"ContentVersion": outcome(43, 0, 2)}},
    }


def difference(number: int, verdict: str = "edited since", field: str = "Phone", **values: Any) -> dict[str, Any]:
    row = {
        "object": "Contact",
        "output": "Contact",
        "key": f"c-{number:04}",
        "id": f"003A{number:011}",
        "field": field,
        "source": "0532 123 45 67",
        "planned": "+905321234567",
        "landed": "+905321234500",
        "verdict": verdict,
    }
    return {**row, **values}


def field_counts() -> list[dict[str, Any]]:
    return [
        {
            "output": "Contact",
            "object": "Contact",
            "field": f,
            "compared": 585,
            "equal": e,
            "as_planned": p,
            "different": d,
        }
        for f, e, p, d in [
            ("FirstName", 580, 5, 0),
            ("LastName", 583, 2, 0),
            ("Email", 402, 183, 0),
            ("Phone", 0, 583, 2),
        ]
    ] + [
        {"output": o, "object": o, "field": "Name", "compared": n, "equal": n, "as_planned": 0, "different": 0}
        for o, n in [("Account", 131), ("Opportunity", 239)]
    ]


def forecast() -> dict[str, Any]:
    return {
        "records": 4_096,
        "calls": 214,
        "bulk_batches": 6,
        "storage_bytes": 8_388_608,
        "file_bytes": 21_000_000,
        "calls_left": 15_000,
        "bulk_batches_left": 15_000,
        "storage_bytes_left": 10_485_760,
        "file_storage_bytes_left": None,
        "fits": True,
        "shortfalls": [],
    }


def rollback_parts() -> dict[str, Any]:
    return {
        "deletes": {"Contact": 583, "Account": 131, "Opportunity": 239},
        "restores": {"Account": 42},
        "kept": [{"object": "Contact", "id": "003A00000000017", "reason": "edited by Deniz Kaya since"}],
        "cannot": ["notification e-mails that have been sent", "9 custom fields stay, unless asked explicitly"],
    }


def completion(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "migration": "acme",
        "made_at": "2026-03-02T18:40:11.000Z",
        "plan": "9f2c5b7a11d04e6688c0",
        "complete": "control totals",
        "controls": [
            {
                "object": "deals",
                "what": "sum",
                "column": "amount",
                "group": "TRY",
                "expected": "1204500.50",
                "found": "1204500.50",
                "matches": True,
            }
        ],
        "books": books(),
        "reasons": [
            {
                "object": "contacts",
                "output": "Contact",
                "outcome": "quarantined",
                "rule": "LastName is required by the target",
                "records": 3,
                "example": "c-0107",
            }
        ],
        "targets": {
            "Account": {"planned": 131, "loaded": 131, "read_back": 131},
            "Contact": {"planned": 585, "loaded": 585, "read_back": 585},
            "Opportunity": {"planned": 239, "loaded": 239, "read_back": 239},
        },
        "sums": [
            {
                "object": "deals",
                "what": "amount, won",
                "group": "TRY",
                "source": "1204500.50",
                "target": "1204500.50",
                "matches": True,
            }
        ],
        "diff": {
            "records": 955,
            "compared_values": 21_340,
            "unexplained": 0,
            "verdicts": {"edited since": 2, "set by automation": 1},
            "fields": field_counts(),
        },
        "differences": [
            difference(17),
            difference(21, field="LastName", source="Şahin", planned="Şahin", landed="Şahin-Öz"),
            difference(30, "set by automation", "Status__c", source=HOSTILE, planned="Open", landed=None),
        ],
        "spot_check": [difference(n, "equal", "Email") for n in (3, 99)],
        "forecast": forecast(),
        "actual": {"calls": 187, "bulk_batches": 6, "retries": 1},
        "automations": {"off": ["Standard Contact rule"], "on_again": ["Standard Contact rule"]},
        "ledger": {"head": "ab" * 32, "events": 212, "verified": True},
        "flaws": {"planted": 18, "found": 18, "false": 0},
        "rollback": rollback_parts(),
        "acceptance": ["Appointments show on the contact", "Stages of each pipeline are in order"],
        "limits_said": ["not yet run on a live org"],
    }
    return {**data, **changes}


def plan(**changes: Any) -> dict[str, Any]:
    planned = {
        obj: {
            out: {("load" if o == "loaded" else o): n for o, n in counts.items() if n}
            for out, counts in b["outcomes"].items()
        }
        for obj, b in books().items()
    }
    data: dict[str, Any] = {
        "migration": "acme",
        "version": 1,
        "digest": "9f2c5b7a11d04e6688c0",
        "made_at": "2026-03-01T09:00:00.000Z",
        "source": "Old CRM",
        "target": "New CRM",
        "org": {
            "id": "00D000000000001",
            "name": "Acme test",
            "is_test": True,
            "edition": "Enterprise",
            "user": "mig@acme.example",
        },
        "recipe": "c4" * 32,
        "snapshot": "5d1e",
        "facts": {},
        "consignments": [],
        "stages": [
            {"stage": "CreateSchema", "text": "create 3 fields and 2 record types, grant them to the migration user"},
            {"stage": "SwitchOff", "text": "switch off while loading: Standard Contact rule"},
            {"stage": "LoadRecords", "text": "create 131 Account records (rows, 1 part)"},
            {"stage": "LoadRecords", "text": "create 585 Contact records (rows, 3 parts)"},
            {"stage": "SwitchOn", "text": "switch on again and read back: Standard Contact rule"},
        ],
        "forecast": forecast(),
        "figures": {
            "source": SOURCE,
            "planned": planned,
            "issues": [
                {
                    "row": "contacts.Contact.LastName",
                    "code": "required",
                    "message": "LastName is required by the target",
                    "blocking": True,
                    "records": 3,
                    "example": "c-0107",
                },
                {
                    "row": "contacts.Contact.Email",
                    "code": "invalid_email",
                    "message": HOSTILE,
                    "blocking": False,
                    "records": 7,
                    "example": "c-0009",
                },
            ],
            "losses": [{"row": "activities.Task.Description", "code": "truncated", "records": 4, "example": "a-00031"}],
        },
        "warnings": ["duplicate rule Standard Contact rule on Contact: refuses records that look like another"],
        "owners": [
            {"email": "deniz@acme.example", "status": "matched", "user": "Deniz Kaya", "note": ""},
            {"email": "selin@acme.example", "status": "inactive", "user": "", "note": "user Selin Ak is not active"},
            {"email": "", "status": "undecided", "user": "", "note": "records without an owner"},
        ],
        "confirmed": {"rows": 118, "of": 120},
        "gates": [
            {"gate": "mapping", "open": False, "evidence": ["2 rows are not confirmed"], "hint": "rehouse confirm"},
            {"gate": "quality", "open": True, "evidence": "acknowledged by Deniz Kaya", "hint": ""},
        ],
        "schema": {
            "fields": {
                "Contact": [
                    {"name": "Legacy_Id__c", "label": "Legacy id", "kind": "text", "length": 64, "external_id": True},
                    {"name": "Source__c", "label": "Source", "kind": "option", "options": [{"value": "Web"}]},
                ],
                "Opportunity": [{"name": "Score__c", "label": "Score", "kind": "decimal", "digits": 18, "scale": 2}],
            },
            "record_types": [
                {
                    "object": "Opportunity",
                    "name": "Sales",
                    "label": "Sales",
                    "stages": [{"value": "New"}, {"value": "Won"}],
                }
            ],
        },
        "automations": [
            {
                "id": "1",
                "kind": "duplicate rule",
                "object": "Contact",
                "name": "Standard Contact rule",
                "effect": "refuses records that look like another",
                "can_switch": True,
                "action": "off",
            }
        ],
    }
    return {**data, **changes}


def sample(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "migration": "acme",
        "made_at": "2026-03-01T10:00:00.000Z",
        "plan": "9f2c5b7a11d04e6688c0",
        "records": 310,
        "verdicts": {"equal": 1, "as planned": 2, "changed": 1},
        "unexplained": 1,
        "fields": field_counts(),
        "rows": [
            difference(
                1,
                "equal",
                "Email",
                source="ayse.demir@acme.example",
                planned="ayse.demir@acme.example",
                landed="ayse.demir@acme.example",
            ),
            difference(1, "as planned", landed="+905321234567"),
            difference(2, "as planned", "Description", source=HOSTILE, planned=HOSTILE, landed=HOSTILE),
            difference(3, "changed", "Title", source="Müdür", planned="Müdür", landed="Mudur"),
        ],
        "approved": None,
        "example": {
            "title": "A contact with everything that hangs on it",
            "object": "contacts",
            "key": "c-0001",
            "id": "003A00000000001",
            "source": {"full_name": "Ayşe Demir", "email": "ayse.demir@acme.example", "city": "İzmir"},
            "steps": [
                {"step": "Read", "text": "row 2 of the sheet"},
                {"step": "Cleaned", "text": "0532 123 45 67 became +905321234567"},
            ],
            "fields": [
                {
                    "field": "LastName",
                    "source": "Ayşe Demir",
                    "rule": "last word of the name",
                    "planned": "Demir",
                    "landed": "Demir",
                    "verdict": "as planned",
                }
            ],
            "related": [
                {
                    "output": "Task",
                    "object": "activities",
                    "key": "a-00031",
                    "id": "00T1",
                    "text": "Call about the offer",
                }
            ],
        },
    }
    return {**data, **changes}


def scope(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "migration": "acme",
        "made_at": "2026-02-27T08:00:00.000Z",
        "source": {
            "platform": "oldcrm",
            "label": "Old CRM",
            "snapshot": "5d1e",
            "files": [{"name": "export.xlsx", "bytes": 1_204_224, "sha256": "0f" * 32}],
            "controls": [
                {
                    "object": "contacts",
                    "what": "count",
                    "column": "",
                    "group": "",
                    "expected": "600",
                    "found": "600",
                    "matches": True,
                }
            ],
            "complete": "relative to control totals",
        },
        "objects": [
            {
                "name": name,
                "rows": rows,
                "fields": [
                    {
                        "name": "phone",
                        "header": "Telefon",
                        "kind": "phone",
                        "fill": 0.97,
                        "distinct": 570,
                        "custom": False,
                        "examples": ["0532 123 45 67"],
                    },
                    {
                        "name": "stage",
                        "header": "Aşama",
                        "kind": "option",
                        "fill": 1.0,
                        "distinct": 4,
                        "custom": False,
                        "examples": ["Yeni", HOSTILE],
                    },
                ],
            }
            for name, rows in SOURCE.items()
        ],
        "pipelines": [{"pipeline": "Satış", "stage": "Yeni", "records": 80, "sums": {"TRY": "120000.00"}}],
        "owners": [
            {
                "email": "deniz@acme.example",
                "name": "Deniz Kaya",
                "status": "active",
                "counts": {"contacts": 400, "deals": 200},
            },
            {
                "email": "selin@acme.example",
                "name": "Selin Ak",
                "status": "departed",
                "counts": {"contacts": 200, "deals": 40},
            },
        ],
        "files": {
            "given": True,
            "listed": 45,
            "found": 43,
            "bytes": 21_000_000,
            "limit_bytes": 26_214_400,
            "over_limit": 0,
            "missing": 2,
            "unlisted": 1,
            "largest": [{"key": "f-3", "name": "teklif.pdf", "bytes": 4_000_000}],
        },
        "risks": [
            {
                "id": "file_missing",
                "severity": "high",
                "what": "files that are listed but absent",
                "count": 2,
                "evidence": ["files f-7", "files f-9"],
                "mitigation": "export the files again",
                "status": "open",
            }
        ],
        "automations": {
            "statement": "The export contains no automations.",
            "not_exported": ["workflows"],
            "questions": ["Which e-mails are sent?"],
        },
        "facts": ["the sheet Notes was not read: not in scope"],
        "volumes": [
            {"object": "contacts", "records": 600},
            {"object": "attached files on disk", "records": 43, "bytes": 21_000_000},
        ],
    }
    return {**data, **changes}


def quality(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "migration": "acme",
        "made_at": "2026-02-27T08:00:00.000Z",
        "findings": [
            {
                "kind": "invalid_email",
                "severity": "low",
                "count": 7,
                "affects": "e-mail addresses that a target may refuse",
                "objects": {"contacts": 7},
                "mitigation": "correct them in the source",
                "examples": [
                    {
                        "object": "contacts",
                        "key": "c-0009",
                        "field": "email",
                        "value": "ayse.demir@acme.example,",
                        "message": "not a valid e-mail address: ayse.demir@acme.example,",
                    }
                ],
            },
            {
                "kind": "mojibake",
                "severity": "medium",
                "count": 1,
                "affects": "texts",
                "objects": {"contacts": 1},
                "mitigation": "repair",
                "examples": [
                    {"object": "contacts", "key": "c-0010", "field": "city", "value": HOSTILE, "message": "damaged"}
                ],
            },
        ],
        "duplicates": [
            {
                "object": "contacts",
                "field": "phone",
                "groups": 6,
                "records": 12,
                "first": [{"value": "+905321234567", "records": ["c-0001", "c-0344"], "survivor": "c-0001"}],
            }
        ],
        "completeness": [
            {
                "object": "contacts",
                "field": "full_name",
                "header": "Ad Soyad",
                "rows": 600,
                "filled": 597,
                "fill": 0.995,
                "required": True,
            },
            {
                "object": "contacts",
                "field": "city",
                "header": "Şehir",
                "rows": 600,
                "filled": 410,
                "fill": 0.6833,
                "required": False,
            },
        ],
        "recommendations": ["e-mail addresses that a target may refuse (7): correct them in the source"],
    }
    return {**data, **changes}


def rollback(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "migration": "acme",
        "made_at": "2026-03-03T07:00:00.000Z",
        "plan": rollback_parts(),
        "done": True,
        "figures": {"deleted": 953, "restored": 42, "kept": 1},
    }
    return {**data, **changes}


EVERY = {
    "scope": scope,
    "quality": quality,
    "plan": plan,
    "sample": sample,
    "completion": completion,
    "rollback": rollback,
}
