"""What follows from a report's data: sums, statements, the certificate. Pure, so page, JSON and terminal agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]

OUTCOMES = ("loaded", "merged", "skipped", "quarantined", "waiting")
"""Outcomes of the books, in the order in which every table and chart shows them. A plan says *load*."""

UNEXPLAINED = ("changed", "missing", "extra")
"""Verdicts of the diff that nothing explains."""

VERDICTS = (*UNEXPLAINED, "edited since", "set by automation", "created since", "as planned", "equal")
"""All verdicts, those that need a look first."""

FILES_ONLY = "the files"

NO_RECORDS = ("CustomField",)
"""Targets that are no records: the source's own field definitions, which the catalog proves and not the diff."""

PASSED, FAILED, UNKNOWN = "passed", "failed", "not stated"


def derive(kind: str, data: Mapping[str, Any]) -> Row:
    """Everything a report shows that is not in its data as such. Stands in the JSON under `report.derived`."""
    known: dict[str, Callable[[Mapping[str, Any]], Row]] = {
        "scope": _scope,
        "quality": _quality,
        "plan": _plan,
        "sample": _sample,
        "completion": _completion,
        "rollback": _rollback,
    }
    return known[kind](data)


def book_lines(books: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """One row per object and output: `source`, an outcome each, `sum`, `balanced`. No output: one row, unbalanced."""
    lines: list[Row] = []
    for name, book in books.items():
        source = book.get("source", 0)
        outputs = book.get("outcomes") or ({"": {}} if source else {})
        for output, counts in outputs.items():
            shown = {("loaded" if outcome == "load" else outcome): n for outcome, n in counts.items()}
            total = sum(shown.values())
            lines.append(
                {
                    "object": name,
                    "output": output,
                    "source": source,
                    **{outcome: shown.pop(outcome, 0) for outcome in OUTCOMES},
                    "other": shown,
                    "sum": total,
                    "balanced": total == source,
                }
            )
    return lines


def planned_books(figures: Mapping[str, Any]) -> dict[str, Row]:
    """A plan's figures in the shape of books."""
    planned = figures.get("planned", {})
    return {obj: {"source": n, "outcomes": planned.get(obj, {})} for obj, n in figures.get("source", {}).items()}


def target_lines(targets: Mapping[str, Mapping[str, int]]) -> list[Row]:
    """Per target object: planned, loaded, read back, and how far the last two are apart."""
    lines = []
    for name, counts in targets.items():
        loaded, read_back = counts.get("loaded"), counts.get("read_back")
        difference = read_back - loaded if loaded is not None and read_back is not None else None
        share = abs(difference) / loaded if difference is not None and loaded else None
        lines.append({"object": name, **counts, "difference": difference, "share": share})
    return lines


_COSTS = (
    ("API calls", "calls", "calls_left", "calls", "number"),
    ("bulk batches", "bulk_batches", "bulk_batches_left", "bulk_batches", "number"),
    ("data storage", "storage_bytes", "storage_bytes_left", "", "size"),
    ("file storage", "file_bytes", "file_storage_bytes_left", "", "size"),
)


def cost_lines(forecast: Mapping[str, Any], actual: Mapping[str, Any] | None = None) -> list[Row]:
    """Forecast beside what is left and, when known, beside what was used. `fits` is None where no limit is known."""
    lines: list[Row] = []
    for what, need, left, used, unit in _COSTS:
        if need not in forecast:
            continue
        needed, limit = forecast[need], forecast.get(left)
        lines.append(
            {
                "what": what,
                "unit": unit,
                "forecast": needed,
                "left": limit,
                "fits": None if limit is None else needed <= limit,
                "actual": (actual or {}).get(used) if used else None,
            }
        )
    return lines


_NEEDED = {"confirmed": "confirmations of mapping rows", "owners": "owners", "figures": "planned outcomes"}


def undecided(plan: Mapping[str, Any]) -> list[Row]:
    """What keeps a plan from being applied, or waits for a person: what, count, detail, hint."""
    found: list[Row] = []
    silent = [words for key, words in _NEEDED.items() if key not in plan]
    if silent:
        found.append(_open("facts that this report was not given", len(silent), ", ".join(silent), ""))
    confirmed = plan.get("confirmed") or {}
    open_rows = confirmed.get("of", 0) - confirmed.get("rows", 0)
    if open_rows > 0:
        found.append(_open("mapping rows without confirmation", open_rows, "", "rehouse confirm"))
    owners = [o for o in plan.get("owners", ()) if o.get("status") not in ("matched", "decided")]
    if owners:
        shown = ", ".join(o.get("email") or "(no owner)" for o in owners[:5])
        found.append(_open("owners without a user of the target", len(owners), _more(shown, owners), "rehouse decide"))
    automations = [a for a in plan.get("automations", ()) if not a.get("action")]
    if automations:
        shown = ", ".join(f"{a.get('kind', '')} {a.get('name', '')}".strip() for a in automations[:5])
        found.append(
            _open("automations without a decision", len(automations), _more(shown, automations), "rehouse decide")
        )
    short = plan.get("forecast", {}).get("shortfalls", ())
    if short:
        found.append(_open("limits that this plan would break", len(short), "; ".join(short), "wait, or load in parts"))
    blocking = [i for i in plan.get("figures", {}).get("issues", ()) if i.get("blocking")]
    if blocking:
        records = sum(i.get("records", 0) for i in blocking)
        text = f"{records:,} records are quarantined before a call is spent"
        found.append(_open("kinds of blocking issue", len(blocking), text, "correct the source, or rehouse decide"))
    waiting = sum(line["waiting"] for line in book_lines(planned_books(plan.get("figures", {}))))
    if waiting:
        found.append(_open("records waiting for a decision", waiting, "", "see planned outcomes below"))
    return found


def _open(what: str, count: int, detail: str, hint: str) -> Row:
    return {"what": what, "count": count, "detail": detail, "hint": hint}


def _more(shown: str, rows: Sequence[Any]) -> str:
    return f"{shown} and {len(rows) - 5} more" if len(rows) > 5 else shown


def schema_lines(schema: Mapping[str, Any]) -> Row:
    """The schema part of a plan as `fields` (object, field, label, kind, detail) and `record_types`."""
    fields: list[Row] = []
    given = schema.get("fields") or {}
    if isinstance(given, Mapping):
        for name, made in given.items():
            fields += [_field_line(name, field) for field in made]
    else:
        fields = [_field_line(*(str(name).split(".", 1) if "." in str(name) else ("", str(name)))) for name in given]
    types = []
    for given_type in schema.get("record_types") or ():
        if isinstance(given_type, str):
            obj, _, name = given_type.partition(".")
            types.append({"object": obj, "name": name, "label": "", "stages": ""})
        else:
            stages = [s.get("value", "") if isinstance(s, Mapping) else str(s) for s in given_type.get("stages", ())]
            types.append({**given_type, "stages": " → ".join(stages)})
    return {"fields": fields, "record_types": types}


def _field_line(obj: str, field: Any) -> Row:
    if not isinstance(field, Mapping):
        return {"object": obj, "field": str(field), "label": "", "kind": "", "detail": ""}
    facts = [
        f"up to {field['length']:,} characters" if field.get("length") else "",
        f"{field['digits']} digits, {field.get('scale', 0)} decimals" if field.get("digits") else "",
        f"{len(field['options'])} options" if field.get("options") else "",
        "external id" if field.get("external_id") else "",
        "unique" if field.get("unique") else "",
        "required" if field.get("required") else "",
    ]
    return {
        "object": obj,
        "field": field.get("name", ""),
        "label": field.get("label", ""),
        "kind": field.get("kind", ""),
        "detail": ", ".join(fact for fact in facts if fact),
    }


def evidence_text(gate: Mapping[str, Any], most: int = 5) -> str:
    """What a gate says for itself: its message, then the first pieces of evidence and how many more there are."""
    evidence = gate.get("evidence") or ()
    pieces = [evidence] if isinstance(evidence, str) else [str(piece) for piece in evidence]
    more = f"and {len(pieces) - most:,} more" if len(pieces) > most else ""
    listed = "; ".join([*pieces[:most], more] if more else pieces)
    return ". ".join(part for part in ("" if gate.get("open") else gate.get("message", ""), listed) if part)


def checklist(plan: Mapping[str, Any]) -> list[str]:
    """What an admin of the target checks before the plan is applied, one line each."""
    lines = []
    org = plan.get("org", {})
    if org.get("name"):
        trial = " (a test org)" if org.get("is_test") else ""
        lines.append(f"The target is {org['name']}{trial}, id {org.get('id', '')}, and {org.get('user', '')} writes.")
    schema = schema_lines(plan.get("schema") or {})
    if schema["fields"] or schema["record_types"]:
        counts = f"{len(schema['fields'])} fields and {len(schema['record_types'])} record types"
        lines.append(f"The migration user may create {counts}; page layouts and permissions of others are set by hand.")
    lines += [
        f"Owner {o.get('email') or '(no owner)'}: {o.get('note') or o.get('status', '')}."
        for o in plan.get("owners", ())
        if o.get("status") not in ("matched", "decided")
    ]
    lines += [f"Active while loading: {warning}." for warning in plan.get("warnings", ())]
    lines += [f"Limit: {line}." for line in plan.get("forecast", {}).get("shortfalls", ())]
    return lines


def certificate(data: Mapping[str, Any]) -> Row:
    """Whether a migration is done: `done`, the sentence `relative`, and the checks with passed, failed, not stated."""
    checks = [
        _books_check(data),
        _diff_check(data),
        _coverage_check(data),
        _waiting_check(data),
        _read_back_check(data),
        _automations_check(data),
        _ledger_check(data),
        *_optional_checks(data),
    ]
    return {
        "done": all(check["state"] == PASSED for check in checks),
        "relative": relative(data.get("complete")),
        "outcomes": outcome_totals(book_lines(data.get("books") or {})),
        "checks": checks,
    }


def relative(stated: Any) -> str:
    """`complete relative to control totals`, also from `relative to …` or the bare words; the files if not stated."""
    words = str(stated or FILES_ONLY).removeprefix("complete ").removeprefix("relative to ")
    return f"complete relative to {words}"


def outcome_totals(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Outcomes over all books; a record counts once per output."""
    totals = dict.fromkeys(OUTCOMES, 0)
    for line in lines:
        for outcome in OUTCOMES:
            totals[outcome] += line[outcome]
    return totals


def _check(what: str, passed: bool | None, text: str) -> Row:
    return {"what": what, "state": UNKNOWN if passed is None else PASSED if passed else FAILED, "text": text}


def _books_check(data: Mapping[str, Any]) -> Row:
    lines = book_lines(data.get("books") or {})
    if not lines:
        return _check("Books balance", None, "no books")
    wrong = [f"{w['object']} → {w['output'] or 'no output'}" for w in lines if not w["balanced"]]
    records = sum(book.get("source", 0) for book in data["books"].values())
    if wrong:
        return _check("Books balance", False, f"{len(wrong)} of {len(lines)} do not: {', '.join(wrong[:5])}")
    return _check("Books balance", True, f"{records:,} source records, {len(lines)} books, each record one outcome")


def _diff_check(data: Mapping[str, Any]) -> Row:
    diff = data.get("diff") or {}
    if "unexplained" not in diff:
        return _check("Unexplained differences", None, "not compared")
    count = diff["unexplained"]
    return _check("Unexplained differences", count == 0, f"{count:,} in {diff.get('compared_values', 0):,} values")


def _coverage_check(data: Mapping[str, Any]) -> Row:
    what, diff = "Every loaded record compared", data.get("diff") or {}
    targets = (data.get("targets") or {}).items()
    loaded = {name: t["loaded"] for name, t in targets if name not in NO_RECORDS and t.get("loaded") is not None}
    if "records" not in diff or not loaded:
        return _check(what, None, "not compared")
    seen = {field.get("object") for field in diff.get("fields", ())}
    unseen = [name for name, count in loaded.items() if count and "fields" in diff and name not in seen]
    if unseen:
        return _check(what, False, f"no field was compared of {', '.join(unseen)}")
    text = f"{diff['records']:,} compared, {sum(loaded.values()):,} created"
    return _check(what, diff["records"] >= sum(loaded.values()), text)


def _waiting_check(data: Mapping[str, Any]) -> Row:
    lines = book_lines(data.get("books") or {})
    if not lines:
        return _check("Nothing waits for a decision", None, "no books")
    count = sum(line["waiting"] for line in lines)
    return _check("Nothing waits for a decision", count == 0, f"{count:,} records wait")


def _read_back_check(data: Mapping[str, Any]) -> Row:
    lines = target_lines(data.get("targets") or {})
    if not lines or any(line["difference"] is None for line in lines):
        return _check("Read back as loaded", None, "not read back")
    wrong = [f"{line['object']} {line['difference']:+,}" for line in lines if line["difference"]]
    return _check("Read back as loaded", not wrong, ", ".join(wrong) or f"{len(lines)} objects, counts equal")


def _automations_check(data: Mapping[str, Any]) -> Row:
    automations = data.get("automations")
    if automations is None:
        return _check("Automations as before", None, "not stated")
    left = left_off(automations)
    text = f"still off: {', '.join(left)}" if left else f"{len(automations.get('off', ()))} switched off, all on again"
    return _check("Automations as before", not left, text)


def left_off(automations: Mapping[str, Any]) -> list[str]:
    """Automations switched off and not on again; what `left_off` states itself comes first."""
    if "left_off" in automations:
        return list(automations["left_off"])
    again = list(automations.get("on_again", ()))
    left = []
    for name in automations.get("off", ()):
        if name in again:
            again.remove(name)
        else:
            left.append(name)
    return left


def _ledger_check(data: Mapping[str, Any]) -> Row:
    ledger = data.get("ledger") or {}
    if "verified" not in ledger:
        return _check("Ledger unbroken", None, "not verified")
    problems = ledger.get("problems") or ()
    if problems:
        return _check("Ledger unbroken", False, "; ".join(map(str, problems[:3])))
    return _check(
        "Ledger unbroken",
        bool(ledger["verified"]),
        f"{ledger.get('events', 0):,} events, head {ledger.get('head', '')[:16]}",
    )


def _optional_checks(data: Mapping[str, Any]) -> Iterable[Row]:
    controls = data.get("controls")
    if controls:
        wrong = sum(not c.get("matches") for c in controls)
        yield _check("Control totals match", wrong == 0, f"{len(controls) - wrong} of {len(controls)} match")
    sums = data.get("sums")
    if sums:
        wrong = sum(not s.get("matches") for s in sums)
        yield _check("Sums match", wrong == 0, f"{len(sums) - wrong} of {len(sums)} match")
    flaws = data.get("flaws")
    if flaws:
        planted, found, false = flaws.get("planted", 0), flaws.get("found", 0), flaws.get("false", 0)
        text = f"{found:,} of {planted:,} found, {false:,} false findings"
        yield _check("Planted flaws found", found == planted and false == 0, text)


def rollback_totals(parts: Mapping[str, Any]) -> Row:
    """Sums of a rollback's parts."""
    return {
        "deletes": sum((parts.get("deletes") or {}).values()),
        "restores": sum((parts.get("restores") or {}).values()),
        "gone": sum((parts.get("already_gone") or {}).values()),
        "kept": parts.get("kept_count", len(parts.get("kept") or ())),
        "cannot": len(parts.get("cannot") or ()),
    }


def verdict_lines(verdicts: Mapping[str, int]) -> list[Row]:
    """Verdicts in their fixed order, unknown ones last, each with whether it counts as unexplained."""
    names = [*VERDICTS, *sorted(set(verdicts) - set(VERDICTS))]
    return [{"verdict": v, "count": verdicts[v], "unexplained": v in UNEXPLAINED} for v in names if v in verdicts]


def worst_first(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of a diff, those that need a look first; the order within a verdict stays."""
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    return [dict(row) for row in sorted(rows, key=lambda row: order.get(row.get("verdict") or "", -1))]


def _scope(data: Mapping[str, Any]) -> Row:
    source = data.get("source") or {}
    controls = source.get("controls") or ()
    return {
        "complete": relative(source.get("complete")),
        "records": sum(o.get("rows", 0) for o in data.get("objects", ())),
        "controls_differ": sum(not c.get("matches") for c in controls),
        "risks": {s: n for s in ("high", "medium", "low") if (n := _count(data.get("risks", ()), "severity", s))},
        "owners": {
            s: n for s in ("active", "departed", "unknown") if (n := _count(data.get("owners", ()), "status", s))
        },
    }


def _count(rows: Iterable[Mapping[str, Any]], key: str, value: str) -> int:
    return sum(row.get(key) == value for row in rows)


def _quality(data: Mapping[str, Any]) -> Row:
    findings = data.get("findings", ())
    return {
        "findings": sum(f.get("count", 0) for f in findings),
        "kinds": len(findings),
        "duplicate_groups": sum(d.get("groups", 0) for d in data.get("duplicates", ())),
        "required_missing": [
            {**c, "missing": c.get("rows", 0) - c.get("filled", 0)}
            for c in data.get("completeness", ())
            if c.get("required") and c.get("filled", 0) < c.get("rows", 0)
        ],
    }


def _plan(data: Mapping[str, Any]) -> Row:
    return {
        "undecided": undecided(data),
        "books": book_lines(planned_books(data.get("figures", {}))),
        "costs": cost_lines(data.get("forecast", {})),
        "schema": schema_lines(data.get("schema") or {}),
        "checklist": checklist(data),
    }


def _sample(data: Mapping[str, Any]) -> Row:
    verdicts = data.get("verdicts") or {}
    unexplained = data.get("unexplained")
    if unexplained is None and "verdicts" in data:
        unexplained = sum(verdicts.get(v, 0) for v in UNEXPLAINED)
    return {
        "unexplained": unexplained,
        "compared": sum(f.get("compared", 0) for f in data.get("fields", ())),
        "rows_of": sum(verdicts.values()),
        "verdicts": verdict_lines(verdicts),
    }


def _completion(data: Mapping[str, Any]) -> Row:
    return {
        "certificate": certificate(data),
        "books": book_lines(data.get("books") or {}),
        "targets": target_lines(data.get("targets") or {}),
        "costs": cost_lines(data.get("forecast") or {}, data.get("actual")),
        "verdicts": verdict_lines((data.get("diff") or {}).get("verdicts") or {}),
        "rows_of": sum(((data.get("diff") or {}).get("verdicts") or {}).values()),
        "rollback": rollback_totals(data.get("rollback") or {}),
    }


def _rollback(data: Mapping[str, Any]) -> Row:
    return {"totals": rollback_totals(data.get("plan") or {})}
