"""What each report is made of: plain JSON data, one shape per kind. Every key is optional unless said otherwise.

`rehouse.reports.write(kind, data, folder)` takes one of these. A key that is missing is *not stated*: a report
says so and never reads it as "passed". Times are ISO 8601 in UTC. Values are texts as the engine holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class ControlLine(TypedDict, total=False):
    """One control total against what was read. `what` is count or sum, `group` a currency or ""."""

    object: str
    what: str
    column: str
    group: str
    expected: str
    found: str
    matches: bool


class SourceFacts(TypedDict, total=False):
    """Where the records come from. `complete` ends the sentence "complete relative to …"."""

    platform: str
    label: str
    snapshot: str
    files: Sequence[Mapping[str, Any]]  # name, bytes, sha256
    controls: Sequence[ControlLine]
    complete: str


class FieldFacts(TypedDict, total=False):
    """One field of the source. `fill` is a share from 0 to 1; `examples` are values, masked unless asked."""

    name: str
    header: str
    kind: str
    fill: float
    distinct: int
    custom: bool
    examples: Sequence[Any]


class ObjectFacts(TypedDict, total=False):
    """One object of the source."""

    name: str
    rows: int
    fields: Sequence[FieldFacts]


class Gate(TypedDict, total=False):
    """A condition of the workflow. `message` says what keeps it shut, `evidence` is a sentence or a list of them."""

    gate: str
    open: bool
    message: str
    evidence: str | Sequence[str]
    hint: str


class ScopeData(TypedDict, total=False):
    """`scope`: what is in the source, what is not, and what could go wrong. See `rehouse.reports.discovered`.

    `pipelines`: pipeline, stage, records, sums by currency. `owners`: email, name, status, counts by object.
    `files`: given, listed, found, bytes, limit_bytes, over_limit, missing, unlisted, largest (key, name, bytes).
    `risks`: id, severity, what, count, evidence, mitigation, status. `automations`: statement, not_exported,
    questions. `facts`: further sentences. `volumes`: object, records, bytes.
    """

    migration: str
    made_at: str
    source: SourceFacts
    objects: Sequence[ObjectFacts]
    pipelines: Sequence[Mapping[str, Any]]
    owners: Sequence[Mapping[str, Any]]
    files: Mapping[str, Any]
    risks: Sequence[Mapping[str, Any]]
    automations: Mapping[str, Any]
    facts: Sequence[str]
    volumes: Sequence[Mapping[str, Any]]


class QualityData(TypedDict, total=False):
    """`quality`: what is wrong with the data and what to do about it before the move.

    `findings`: kind, severity, count, objects (records by object), mitigation, examples (object, key, field,
    value, message). `duplicates`: object, field, groups, records, first (value, records, survivor).
    `completeness`: object, field, header, rows, filled, fill (0 to 1), required.
    """

    migration: str
    made_at: str
    findings: Sequence[Mapping[str, Any]]
    duplicates: Sequence[Mapping[str, Any]]
    completeness: Sequence[Mapping[str, Any]]
    recommendations: Sequence[str]


class PlanData(TypedDict, total=False):
    """`plan`: `Plan.as_dict()` plus what people have to settle.

    `owners`: email, status (matched, decided, inactive, undecided), user, note. `confirmed`: rows, of.
    `schema`: fields ({object: [field]} or ["Object.Field"]), record_types ({object, name, label, stages} or
    ["Object.Name"]). `automations`: id, kind, object, name, effect, can_switch, action (off, leave or "").
    """

    migration: str
    digest: str
    made_at: str
    source: str
    target: str
    org: Mapping[str, Any]
    recipe: str
    snapshot: str
    stages: Sequence[Mapping[str, Any]]
    consignments: Sequence[Mapping[str, Any]]
    forecast: Mapping[str, Any]
    figures: Mapping[str, Any]
    warnings: Sequence[str]
    owners: Sequence[Mapping[str, Any]]
    confirmed: Mapping[str, int]
    gates: Sequence[Gate]
    schema: Mapping[str, Any]
    automations: Sequence[Mapping[str, Any]]


class DiffRow(TypedDict, total=False):
    """One field of one record: what the source says, what the mapping made of it, what the target holds.

    `object` is the target object, `output` the route output, `key` the source key.
    """

    object: str
    output: str
    key: str
    id: str
    field: str
    source: str | None
    planned: str | None
    landed: str | None
    verdict: str


class Story(TypedDict, total=False):
    """One record's whole way, told to a person.

    `title` names no person. `source`: source field → value. `steps`: step, text. `fields`: rows like `DiffRow`
    with `rule` in words. `related`: output, object, key, id, text of the records that hang on it.
    """

    title: str
    object: str
    key: str
    id: str
    source: Mapping[str, Any]
    steps: Sequence[Mapping[str, str]]
    fields: Sequence[Mapping[str, Any]]
    related: Sequence[Mapping[str, Any]]


class SampleData(TypedDict, total=False):
    """`sample`: the field-level diff that a person approves. `rows` are shown as they are, they are the evidence.

    `fields`: output, object, field, compared, equal, as_planned, different. `approved`: by, at, or None.
    """

    migration: str
    made_at: str
    plan: str
    records: int
    verdicts: Mapping[str, int]
    unexplained: int
    fields: Sequence[Mapping[str, Any]]
    rows: Sequence[DiffRow]
    approved: Mapping[str, str] | None
    example: Story | None


class RollbackParts(TypedDict, total=False):
    """Blast radius of a rollback: records by object, and what stays.

    `kept`: object, key, id, reason; may be the first of `kept_count`. `already_gone`: somebody deleted them.
    """

    deletes: Mapping[str, int]
    restores: Mapping[str, int]
    already_gone: Mapping[str, int]
    kept: Sequence[Mapping[str, str]]
    kept_count: int
    cannot: Sequence[str]


class CompletionData(TypedDict, total=False):
    """`completion`: the books, the 100 % diff, and the certificate on top.

    `complete`: ends "complete relative to …", missing means the files. `books`: {OBJECT: {source, outcomes:
    {OUTPUT: {OUTCOME: records}}}}. `targets`: {OBJECT: {planned, loaded, read_back}}. `diff`: records,
    compared_values, unexplained, verdicts, fields. `differences`, `spot_check`: `DiffRow`s. `sums`: object,
    what, group, source, target, matches. `actual`: calls, bulk_batches, retries. `automations`: off, on_again,
    left_off. `ledger`: head, events, verified, problems. `flaws`: planted, found, false, missed, not_planted.
    `acceptance`: checks for the admin.
    """

    migration: str
    made_at: str
    plan: str
    complete: str
    controls: Sequence[ControlLine]
    books: Mapping[str, Mapping[str, Any]]
    reasons: Sequence[Mapping[str, Any]]
    targets: Mapping[str, Mapping[str, int]]
    diff: Mapping[str, Any]
    differences: Sequence[DiffRow]
    spot_check: Sequence[DiffRow]
    sums: Sequence[Mapping[str, Any]]
    forecast: Mapping[str, Any]
    actual: Mapping[str, int]
    automations: Mapping[str, Sequence[str]]
    ledger: Mapping[str, Any]
    flaws: Mapping[str, Any] | None
    rollback: RollbackParts | None
    acceptance: Sequence[str]
    limits_said: Sequence[str]


class RollbackData(TypedDict, total=False):
    """`rollback`: the plan to put the target back, or the account of having done it. `figures`: name → number."""

    migration: str
    made_at: str
    plan: RollbackParts
    done: bool
    figures: Mapping[str, int]
