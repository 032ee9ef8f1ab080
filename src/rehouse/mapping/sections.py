"""The sections of the two kinds of mapping files, read with every fault noted: routes, outputs, blueprint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rehouse.mapping.expressions import Expression
from rehouse.mapping.parse import NEVER, NOTHING, Reader, Use, line_of, nearest
from rehouse.mapping.schema import (
    Blueprint,
    Cardinality,
    CreateField,
    CreateRecordType,
    Creates,
    Earliest,
    Key,
    Latest,
    Match,
    MatchOnly,
    Merge,
    MergeInto,
    ObjectMapping,
    Output,
    Owners,
    PairRow,
    Place,
    Preference,
    Route,
    Stage,
)
from rehouse.model import Field, Kind, Option

VERSION = 1
_CARDINALITIES = ("1:1", "1:many", "many:1", "lossy")
_FATES = ("to", "skip", "reject", "merge_into")
_FIELD_SIZES = ("length", "digits", "scale")
_FIELD_MARKS = ("required", "unique", "external_id", "case_sensitive", "restricted")
_FIELD_KEYS = ("object", "name", "label", "kind", *_FIELD_SIZES, *_FIELD_MARKS, "options", "references")
_BLUEPRINT_KEYS = (
    *("version", "source", "target", "title", "as_of"),
    *("order", "rows", "limits", "creates", "owners"),
)


class SectionReader(Reader):
    """A reader that also knows the sections. `places` collects where each row is written, by row id."""

    __slots__ = ("places",)

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.places: dict[str, Place] = {}

    def place(self, row: str, line: int) -> None:
        self.places[row] = Place(self.file, line)

    def version(self, data: Mapping[str, Any]) -> None:
        if data.get("version") != VERSION:
            found = data.get("version", "none")
            line = line_of(data, "version", 1)
            self.fault(line, f"version must be {VERSION}, found {found}: this release reads no other")

    def need(self, data: Mapping[str, Any], key: str, line: int, what: str) -> Any:
        """The value of a mandatory key; None after a fault."""
        if key not in data:
            self.fault(line, f"{what} needs {key!r}")
        return data.get(key)

    # ── mapping of one object ─────────────────────────────────────────────────────────────────────────

    def object_mapping(self, data: Mapping[str, Any]) -> ObjectMapping:
        self.known_keys(data, ("version", "object", "values", "routes", "outputs", "dropped"), 1, "a mapping")
        self.version(data)
        name = self.text(self.need(data, "object", 1, "a mapping"), line_of(data, "object", 1), "'object'")
        values = self._values(data, name)
        outputs = self._outputs(data, name)
        routes = self._routes(data, name)
        dropped = self._dropped(data, name)
        return ObjectMapping(name, values, routes, outputs, dropped)

    def _part(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = data.get(key)
        return {} if value is None else self.mapping(value, line_of(data, key, 1), f"{key!r}")

    def _values(self, data: Mapping[str, Any], owner: str) -> dict[str, Expression]:
        part, found = self._part(data, "values"), {}
        for name, value in part.items():
            line = line_of(part, name, 1)
            self.place(f"{owner}#value.{name}", line)
            found[str(name)] = self.expression(value, line)
        return found

    def _dropped(self, data: Mapping[str, Any], owner: str) -> dict[str, str]:
        part, found = self._part(data, "dropped"), {}
        for name, reason in part.items():
            line = line_of(part, name, 1)
            self.place(f"{owner}#drop.{name}", line)
            self.uses.append(Use("column", str(name), line))
            found[str(name)] = self.text(reason, line, f"the reason for dropping {name!r}")
            if reason == "":
                self.fault(line, f"{name!r} is dropped without a reason")
        return found

    def _routes(self, data: Mapping[str, Any], owner: str) -> tuple[Route, ...]:
        line = line_of(data, "routes", 1)
        listed = self.sequence(self.need(data, "routes", 1, "a mapping"), line, "'routes'")
        routes, closed = [], False
        for place, value in enumerate(listed):
            here = line_of(listed, place, line)
            self.place(f"{owner}#route{place + 1}", here)
            if closed:
                self.fault(here, "this route is never reached: it stands after 'otherwise'")
            route = self._route(self.mapping(value, here, "a route"), here)
            closed = closed or route.when is None
            routes.append(route)
        if not closed:
            self.fault(line, "the last route must be 'otherwise': every row needs a way")
        return tuple(routes)

    def _route(self, data: Mapping[str, Any], line: int) -> Route:
        self.known_keys(data, ("when", "otherwise", "rule", *_FATES), line, "a route")
        if "otherwise" in data:
            if "when" in data:
                self.fault(line, "a route has 'when' or 'otherwise', not both")
            given = {k: v for k, v in data.items() if k in _FATES}
            fate = data["otherwise"]
            given.update({"to": fate} if isinstance(fate, list) else self.mapping(fate, line, "'otherwise'"))
            self.known_keys(given, _FATES, line, "'otherwise'")
            condition = None
        else:
            given = {k: v for k, v in data.items() if k in _FATES}
            when = self.need(data, "when", line, "a route")
            condition = self.condition(when, line_of(data, "when", line)) if when is not None else NEVER
        if len(given) != 1:
            self.fault(line, f"a route needs exactly one of {', '.join(_FATES)}")
        to = self.texts(given["to"], line, "'to'") if "to" in given else ()
        if given.get("to") == []:
            self.fault(line, "'to' is empty; write skip or reject with the reason")
        self.uses.extend(Use("output", name, line) for name in to)
        return Route(
            condition,
            to,
            self.text(data.get("rule", ""), line, "'rule'"),
            self._reason(given, "skip", line),
            self._reason(given, "reject", line),
            self._merge_into(given["merge_into"], line) if "merge_into" in given else None,
        )

    def _reason(self, given: Mapping[str, Any], key: str, line: int) -> str:
        if key not in given:
            return ""
        reason = self.text(given[key], line, f"{key!r}")
        if not reason:
            self.fault(line, f"{key!r} needs a reason")
        return reason

    def _merge_into(self, value: Any, line: int) -> MergeInto:
        data = self.mapping(value, line, "'merge_into'")
        self.known_keys(data, ("output", "by"), line, "'merge_into'")
        output = self.text(self.need(data, "output", line, "'merge_into'"), line, "'output'")
        self.uses.append(Use("output", output, line))
        return MergeInto(output, self._by(data, line, "'merge_into'"))

    def _by(self, data: Mapping[str, Any], line: int, what: str, key: str = "by") -> Expression:
        value = self.need(data, key, line, what)
        return NOTHING if value is None else self.expression(value, line_of(data, key, line))

    # ── outputs ───────────────────────────────────────────────────────────────────────────────────────

    def _outputs(self, data: Mapping[str, Any], owner: str) -> dict[str, Output]:
        line = line_of(data, "outputs", 1)
        value = data.get("outputs")
        part = {} if value is None else self.mapping(value, line, "'outputs'")
        found = {}
        for name, value in part.items():
            here = line_of(part, name, line)
            found[str(name)] = self._output(str(name), self.mapping(value, here, f"output {name!r}"), here, owner)
        return found

    def _output(self, name: str, data: Mapping[str, Any], line: int, owner: str) -> Output:
        what = f"output {name!r}"
        self.known_keys(data, ("to", "merge", "key", "match", "match_only", "fields"), line, what)
        for part in ("key", "merge", "match", "match_only"):
            if part in data:
                shown = "match" if part == "match_only" else part
                self.place(f"{owner}.{name}#{shown}", line_of(data, part, line))
        if ("key" in data) == ("match_only" in data):
            self.fault(line, f"{what} needs either 'key' (it is written) or 'match_only' (it is only found)")
        to = self.text(self.need(data, "to", line, what), line_of(data, "to", line), "'to'")
        fields = self._fields(data, name, owner)
        made = Output(
            name,
            to,
            fields,
            self._key(data, fields) if "key" in data else None,
            self._merge(data) if "merge" in data else None,
            self._match(data) if "match" in data else None,
            self._match_only(data) if "match_only" in data else None,
        )
        if made.match_only is not None and (fields or made.merge or made.match):
            self.fault(line, f"{what} is only matched: it can have no fields, merge or match")
        return made

    def _fields(self, data: Mapping[str, Any], output: str, owner: str) -> dict[str, Expression]:
        part, found = self._part(data, "fields"), {}
        for name, value in part.items():
            line = line_of(part, name, 1)
            self.place(f"{owner}.{output}.{name}", line)
            found[str(name)] = self.expression(value, line)
        return found

    def _key(self, data: Mapping[str, Any], fields: Mapping[str, Expression]) -> Key:
        line = line_of(data, "key", 1)
        part = self.mapping(data["key"], line, "'key'")
        self.known_keys(part, ("external_id", "from", "natural"), line, "'key'")
        if "natural" in part:
            names = self.texts(part["natural"], line, "'natural'")
            if len(part) > 1:
                self.fault(line, "'key' has 'natural', or 'external_id' and 'from', not both")
            for name in names:
                if name not in fields:
                    near = nearest(name, fields)
                    self.fault(line, f"field {name!r} of the natural key is not mapped", near)
            return Key(natural=names)
        external_id = self.text(self.need(part, "external_id", line, "'key'"), line, "'external_id'")
        return Key(external_id, self._by(part, line, "'key'", "from"))

    def _merge(self, data: Mapping[str, Any]) -> Merge:
        line = line_of(data, "merge", 1)
        part = self.mapping(data["merge"], line, "'merge'")
        self.known_keys(part, ("by", "prefer"), line, "'merge'")
        listed = self.sequence(part.get("prefer", []), line_of(part, "prefer", line), "'prefer'")
        prefer = tuple(self._preference(v, line_of(listed, i, line)) for i, v in enumerate(listed))
        return Merge(self._by(part, line, "'merge'"), prefer)

    def _preference(self, value: Any, line: int) -> Preference:
        if isinstance(value, dict) and len(value) == 1:
            if "earliest" in value:
                return Earliest(self.expression(value["earliest"], line))
            if "latest" in value:
                return Latest(self.expression(value["latest"], line))
        return self.condition(value, line)

    def _match(self, data: Mapping[str, Any]) -> Match:
        line = line_of(data, "match", 1)
        part = self.mapping(data["match"], line, "'match'")
        self.known_keys(part, ("field", "by", "when_found"), line, "'match'")
        found = part.get("when_found", "fill_empty")
        if found not in ("fill_empty", "leave"):
            here = line_of(part, "when_found", line)
            near = nearest(str(found), ("fill_empty", "leave"))
            self.fault(here, f"'when_found' must be fill_empty or leave, not {found!r}", near)
            found = "fill_empty"
        field = self.text(self.need(part, "field", line, "'match'"), line, "'field'")
        return Match(field, self._by(part, line, "'match'"), found)

    def _match_only(self, data: Mapping[str, Any]) -> MatchOnly:
        line = line_of(data, "match_only", 1)
        part = self.mapping(data["match_only"], line, "'match_only'")
        self.known_keys(part, ("by", "field"), line, "'match_only'")
        field = self.text(self.need(part, "field", line, "'match_only'"), line, "'field'")
        return MatchOnly(self._by(part, line, "'match_only'"), field)

    # ── blueprint ─────────────────────────────────────────────────────────────────────────────────────

    def blueprint(self, data: Mapping[str, Any]) -> Blueprint:
        self.known_keys(data, _BLUEPRINT_KEYS, 1, "the blueprint")
        self.version(data)
        source, target = (
            self.text(self.need(data, k, 1, "the blueprint"), line_of(data, k, 1), f"{k!r}")
            for k in ("source", "target")
        )
        order = self.texts(self.need(data, "order", 1, "the blueprint"), line_of(data, "order", 1), "'order'")
        limits = self._part(data, "limits")
        return Blueprint(
            source,
            target,
            self.text(data.get("title", ""), line_of(data, "title", 1), "'title'"),
            order,
            str(data.get("as_of", "")),
            self._rows(data),
            {str(k): self.whole(v, line_of(limits, k, 1), f"limit {k!r}", 0) for k, v in limits.items()},
            self._creates(self._part(data, "creates"), line_of(data, "creates", 1)),
            self._owners(self._part(data, "owners"), line_of(data, "owners", 1)),
        )

    def _rows(self, data: Mapping[str, Any]) -> tuple[PairRow, ...]:
        line = line_of(data, "rows", 1)
        listed = self.sequence(data.get("rows", []), line, "'rows'")
        found = []
        for place, value in enumerate(listed):
            here = line_of(listed, place, line)
            part = self.mapping(value, here, "a row")
            self.known_keys(part, ("row", "source", "targets", "cardinality", "label"), here, "a row")
            shape = part.get("cardinality")
            if shape not in _CARDINALITIES:
                near = nearest(str(shape), _CARDINALITIES)
                self.fault(here, f"'cardinality' must be one of {', '.join(_CARDINALITIES)}", near)
            found.append(
                PairRow(
                    self.scalar(part.get("row", ""), here, "'row'"),
                    self.text(part.get("source", ""), here, "'source'"),
                    self.texts(part.get("targets", []), here, "'targets'"),
                    cast("Cardinality", shape),
                    self.text(part.get("label", ""), here, "'label'"),
                )
            )
        return tuple(found)

    def _owners(self, data: Mapping[str, Any], line: int) -> Owners:
        self.known_keys(data, ("match", "not_created"), line, "'owners'")
        if data:
            self.place("blueprint#owners", line)
        return Owners(
            self.text(data.get("match", ""), line, "'match'"),
            self.truth(data.get("not_created", True), line, "'not_created'"),
        )

    def _creates(self, data: Mapping[str, Any], line: int) -> Creates:
        self.known_keys(data, ("fields", "record_types", "shared"), line, "'creates'")
        fields = self._listed(data, "fields", line)
        types = self._listed(data, "record_types", line)
        shared = self._part(data, "shared")
        return Creates(
            tuple(self._create_field(part, here) for part, here in fields),
            tuple(self._record_type(part, here) for part, here in types),
            {str(k): self.texts(v, line_of(shared, k, line), "'shared'") for k, v in shared.items()},
        )

    def _listed(self, data: Mapping[str, Any], key: str, line: int) -> list[tuple[Mapping[str, Any], int]]:
        here = line_of(data, key, line)
        listed = self.sequence(data.get(key, []), here, f"{key!r}")
        places = [line_of(listed, i, here) for i in range(len(listed))]
        what = f"a line of {key!r}"
        return [(self.mapping(v, n, what), n) for v, n in zip(listed, places, strict=True)]

    def _create_field(self, part: Mapping[str, Any], line: int) -> CreateField:
        self.known_keys(part, _FIELD_KEYS, line, "a field to create")
        owner, name = (
            self.text(self.need(part, k, line, "a field to create"), line, f"{k!r}") for k in ("object", "name")
        )
        self.place(f"blueprint#create.{owner}.{name}", line)
        kinds = [str(k) for k in Kind]
        kind = str(part.get("kind", ""))
        if kind not in kinds:
            self.fault(line, f"'kind' of {name!r} is unknown: {kind!r}", nearest(kind, kinds))
            kind = "other"
        facts: dict[str, Any] = {k: self.whole(part.get(k, 0), line, f"{k!r}", 0) for k in _FIELD_SIZES}
        facts |= {k: self.truth(part.get(k, False), line, f"{k!r}") for k in _FIELD_MARKS}
        return CreateField(
            owner,
            Field(
                name=name,
                label=self.text(part.get("label", name), line, "'label'"),
                kind=Kind(kind),
                custom=True,
                options=self._options(part, line),
                references=self.texts(part.get("references", []), line, "'references'"),
                **facts,
            ),
        )

    def _options(self, part: Mapping[str, Any], line: int) -> tuple[Option, ...]:
        found = []
        for value in self.sequence(part.get("options", []), line, "'options'"):
            if isinstance(value, dict):
                self.known_keys(value, ("value", "label"), line, "an option")
                name = self.scalar(value.get("value"), line, "'value'")
                found.append(Option(name, self.scalar(value.get("label", name), line, "'label'")))
            else:
                found.append(Option(self.scalar(value, line, "an option"), ""))
        return tuple(found)

    def _record_type(self, part: Mapping[str, Any], line: int) -> CreateRecordType:
        what = "a record type"
        self.known_keys(part, ("object", "name", "label", "stages"), line, what)
        owner, name = (self.text(self.need(part, k, line, what), line, f"{k!r}") for k in ("object", "name"))
        self.place(f"blueprint#record_type.{owner}.{name}", line)
        stages = tuple(self._stage(v, n) for v, n in self._listed(part, "stages", line))
        label = self.text(part.get("label", name), line, "'label'")
        return CreateRecordType(owner, name, label, stages)

    def _stage(self, part: Mapping[str, Any], line: int) -> Stage:
        self.known_keys(part, ("value", "probability", "won", "closed", "category"), line, "a stage")
        probability = self.whole(part.get("probability", 0), line, "'probability'", 0)
        if probability > 100:
            self.fault(line, f"'probability' is a percentage; {probability} is over 100")
        return Stage(
            self.scalar(self.need(part, "value", line, "a stage"), line, "'value'"),
            probability,
            self.truth(part.get("won", False), line, "'won'"),
            self.truth(part.get("closed", False), line, "'closed'"),
            self.text(part.get("category", ""), line, "'category'"),
        )
