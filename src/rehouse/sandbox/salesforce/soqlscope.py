"""Names in a query: from a dotted path to a column, joining parents on the way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.queryable import Names
from rehouse.sandbox.salesforce.schema_model import SField, SObject
from rehouse.sandbox.salesforce.soql import Path, refuse
from rehouse.sandbox.salesforce.tables import quoted

_WSDL = "Please reference your WSDL or the describe call for the appropriate names."
NAME_FIELDS = {
    "Id": "id", "Name": "string", "FirstName": "string", "LastName": "string", "Email": "email", "Phone": "phone",
    "Title": "string", "Username": "string", "Alias": "string", "IsActive": "boolean", "ProfileId": "reference",
    "UserRoleId": "reference", "RecordTypeId": "reference", "Type": "string",
}  # fmt: skip
"""Fields reachable through a polymorphic reference: those of the platform's Name object."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A column: its SQL, its field, and the object names and id columns of the parents on the way."""

    sql: str
    item: SField
    owner: SObject | None
    names: tuple[str, ...]
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """One step up: relationship name as the schema spells it, SQL of the parent's id, its object if it is certain."""

    relation: str
    id_sql: str
    obj: SObject | None


class Scope:
    """The FROM of one SELECT: the object and the parents that its paths need."""

    def __init__(
        self, schema: Names, user_id: str, obj: SObject, text: str, alias: str = "", numbers: count[int] | None = None
    ) -> None:
        self.schema, self.user_id, self.obj, self.text, self.alias = schema, user_id, obj, text, alias
        self.numbers = numbers if numbers is not None else count()
        self.table = f"t{next(self.numbers)}"
        self.aliases: dict[str, tuple[str, ...]] = {}
        self._joins: dict[tuple[str, ...], tuple[str, SObject]] = {}
        self._clauses: list[str] = []

    @property
    def from_sql(self) -> str:
        """The FROM clause with its joins."""
        return " ".join([f"{quoted(self.obj.name)} {self.table}", *self._clauses])

    def resolve(self, path: Path) -> Resolved:
        """The column of a path. Raises ApiError INVALID_FIELD with the caret layout."""
        parts = path.parts
        if len(parts) > 1 and parts[0].lower() in (self.alias.lower(), self.obj.name.lower()) and parts[0]:
            parts = parts[1:]
        elif len(parts) > 1 and parts[0].lower() in self.aliases:
            parts = (*self.aliases[parts[0].lower()], *parts[1:])
        table, obj = self.table, self.obj
        parents: list[Parent] = []
        for depth, relation in enumerate(parts[:-1]):
            item = obj.by_relationship(relation)
            if item is None or not self.schema.visible(obj, item, self.user_id):
                raise self._no_relation(path, relation)
            name = item.relationship_name or relation
            if item.polymorphic:
                return self._polymorphic(
                    path,
                    parts[depth + 1 :],
                    table,
                    item,
                    (*parents, Parent(name, f"{table}.{quoted(item.name)}", None)),
                )
            target = self.schema.get(item.reference_to[0])
            if target is None:
                raise self._no_relation(path, relation)
            table = self._join(parts[: depth + 1], table, item, target)
            obj = target
            parents.append(Parent(name, f"{table}.Id", obj))
        return self._column(path, parts[-1], table, obj, tuple(parents))

    def _join(self, key: tuple[str, ...], table: str, item: SField, target: SObject) -> str:
        mark = tuple(k.lower() for k in key)
        known = self._joins.get(mark)
        if known is None:
            name = f"t{next(self.numbers)}"
            self._clauses.append(f"LEFT JOIN {quoted(target.name)} {name} ON {name}.Id = {table}.{quoted(item.name)}")
            known = self._joins[mark] = (name, target)
        return known[0]

    def _column(self, path: Path, name: str, table: str, obj: SObject, parents: tuple[Parent, ...]) -> Resolved:
        item = obj.field(name)
        if item is None or not self.schema.visible(obj, item, self.user_id):
            raise self.no_column(path.at, name, obj)
        sql = f"{table}.{quoted(item.name)}" if item.storage else f"{table}.Id"
        return Resolved(sql, item, obj, (*(p.relation for p in parents), item.name), parents)

    def _polymorphic(
        self, path: Path, rest: tuple[str, ...], table: str, item: SField, parents: tuple[Parent, ...]
    ) -> Resolved:
        """A field of the Name object behind a reference with several targets: chosen by the id's key prefix."""
        known = {n.lower(): n for n in NAME_FIELDS}
        name = known.get(rest[0].lower())
        if len(rest) != 1 or name is None:
            raise self.no_column(path.at, rest[-1], None, "Name")
        column = f"{table}.{quoted(item.name)}"
        branches = []
        for target_name in item.reference_to:
            target = self.schema.get(target_name)
            if target is None or not target.key_prefix:
                continue
            found = target.name_field if name == "Name" else target.field(name)
            if name == "Type":
                value = f"'{target.name}'"
            elif found is None or not found.storage:
                continue
            else:
                value = f"(SELECT p.{quoted(found.name)} FROM {quoted(target.name)} p WHERE p.Id={column})"
            branches.append(f" WHEN '{target.key_prefix}' THEN {value}")
        sql = f"(CASE substr({column},1,3){''.join(branches)} END)" if branches else "NULL"
        kind = NAME_FIELDS[name]
        if kind not in ("boolean", "id", "reference"):
            sql += " COLLATE NOCASE"
        return Resolved(sql, SField(name, name, kind), None, (*(p.relation for p in parents), name), parents)

    # refusals --------------------------------------------------------------------------------------------------

    def no_column(self, at: int, name: str, obj: SObject | None, entity: str = "") -> ApiError:
        """The platform's text for an unknown or hidden field."""
        return refuse(
            self.text,
            at,
            f"No such column '{name}' on entity '{obj.name if obj else entity}'. If you are attempting to use a custom "
            f"field, be sure to append the '__c' after the custom field name. {_WSDL}",
            "INVALID_FIELD",
        )

    def _no_relation(self, path: Path, relation: str) -> ApiError:
        return refuse(
            self.text,
            path.at,
            f"Didn't understand relationship '{relation}' in field path. If you are attempting to use a custom "
            f"relationship, be sure to append the '__r' after the custom relationship name. {_WSDL}",
            "INVALID_FIELD",
        )


def no_object(text: str, at: int, name: str) -> ApiError:
    """The platform's text for an unknown object."""
    return refuse(
        text,
        at,
        f"sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append the "
        f"'__c' after the entity name. {_WSDL}",
        "INVALID_TYPE",
    )


def no_child(text: str, at: int, name: str) -> ApiError:
    """The platform's text for an unknown child relationship."""
    return refuse(
        text,
        at,
        f"Didn't understand relationship '{name}' in FROM part of query call. If you are attempting to use a custom "
        f"relationship, be sure to append the '__r' after the custom relationship name. {_WSDL}",
        "INVALID_TYPE",
    )
