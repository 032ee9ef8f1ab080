"""What acts by itself in an org, and switching duplicate rules off and on.

Sources: Object Reference "DuplicateRule", "ApexTrigger"; Metadata API Developer Guide "DuplicateRule" (editable
there only), "Flow", "ValidationRule", "WorkflowRule". Reading `active` of validation and workflow rules and
`status` of flows through `readMetadata` is documented but has not been tried on a live org: unverified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from rehouse.connectors.base import Automation
from rehouse.connectors.salesforce import soap
from rehouse.connectors.salesforce.errors import RefusedError
from rehouse.connectors.salesforce.read import Reader
from rehouse.connectors.salesforce.soap import Metadata
from rehouse.errors import FatalError, UserError
from rehouse.events import Note, Sink

DUPLICATE_RULE = "DuplicateRule"
LISTED: dict[str, str] = {
    "ValidationRule": "refuses records that break the rule",
    "WorkflowRule": "may change fields, create tasks or send mail when records are saved",
    "Flow": "may change fields, create records or send mail when records are saved",
}
TRIGGER = "ApexTrigger"
TRIGGER_EFFECT = "runs code when records are saved"
BLOCKING = frozenset({"ValidationRule"})


class Automations:
    """Automations of one org."""

    def __init__(self, metadata: Metadata, reader: Reader, sink: Sink) -> None:
        self._metadata, self._reader, self._sink = metadata, reader, sink

    def every(self, objects: Sequence[str]) -> list[Automation]:
        """Active and inactive automations on these objects; what the org does not let us list is announced."""
        wanted = set(objects)
        found = [*self._duplicate_rules(), *self._triggers()]
        for kind in LISTED:
            found += self._listed(kind)
        # A flow without an object of its own may act on anything, so it stays in the list.
        return [one for one in found if one.object in wanted or not one.object]

    def switch(self, automation_id: str, *, active: bool) -> None:
        """Switch a duplicate rule and read back that it is so. Errors: `UserError`, `FatalError`."""
        kind, _, name = automation_id.partition(":")
        if kind != DUPLICATE_RULE or not name:
            raise UserError(
                f"{automation_id} cannot be switched by this connector", hint="switch it in Setup, and back later"
            )
        rule = self._rule(name)
        if _is_active(rule) is active:
            return
        spec = {**soap.parts(rule), "fullName": name, "isActive": active}
        # Putting a rule back must work at any time, so it may use the reserve of the day's calls.
        saved = self._metadata.update(DUPLICATE_RULE, [spec], essential=True)[0]
        if not saved.ok:
            raise UserError(
                f"the duplicate rule {name} was not switched {'on' if active else 'off'}: {saved.code} {saved.message}",
                hint="switch it in Setup",
            )
        if _is_active(self._rule(name)) is not active:
            raise FatalError(
                f"the duplicate rule {name} was saved, but reads back as {'inactive' if active else 'active'}",
                hint="look at the rule in Setup before going on",
            )

    def _rule(self, name: str) -> ET.Element:
        rule = self._metadata.read(DUPLICATE_RULE, [name], essential=True).get(name)
        if rule is None:
            raise UserError(f"the org has no duplicate rule {name}", hint="it may have been renamed or deleted")
        return rule

    def _duplicate_rules(self) -> Iterator[Automation]:
        text = "SELECT Id, DeveloperName, MasterLabel, SobjectType, IsActive FROM DuplicateRule"
        rows = [f"{row['SobjectType']}.{row['DeveloperName']}" for row in self._asked(DUPLICATE_RULE, text)]
        rules = self._metadata.read(DUPLICATE_RULE, rows) if rows else {}
        for name, rule in rules.items():
            blocks = soap.text(rule, "actionOnInsert") == "Block"
            yield Automation(
                id=f"{DUPLICATE_RULE}:{name}",
                kind=DUPLICATE_RULE,
                object=name.partition(".")[0],
                name=soap.text(rule, "masterLabel") or name,
                active=_is_active(rule),
                effect="refuses records that resemble existing ones" if blocks else "warns of similar records",
                can_switch=True,
                # A load without the platform's override header fails on warning rules, too.
                blocks=True,
            )

    def _triggers(self) -> Iterator[Automation]:
        text = "SELECT Id, Name, TableEnumOrId, Status FROM ApexTrigger"
        for row in self._asked(TRIGGER, text, tooling=True):
            name, active = str(row["Name"]), row["Status"] == "Active"
            yield _other(TRIGGER, name, str(row["TableEnumOrId"]), active, TRIGGER_EFFECT)

    def _asked(self, kind: str, text: str, *, tooling: bool = False) -> list[dict[str, object]]:
        try:
            return list(self._reader.rows(text, tooling=tooling))
        except RefusedError as refused:
            self._unlisted(kind, refused)
            return []

    def _listed(self, kind: str) -> list[Automation]:
        try:
            names = [name for name, listed in self._metadata.names([kind]).items() if listed == kind]
            found = self._metadata.read(kind, names) if names else {}
        except RefusedError as refused:
            self._unlisted(kind, refused)
            return []
        return [
            _other(kind, name, _object_of(kind, name, one), _runs(kind, one), LISTED[kind])
            for name, one in found.items()
        ]

    def _unlisted(self, kind: str, refused: RefusedError) -> None:
        self._sink(Note(f"{kind}s were not listed: the org answered {refused.code}", step="automations"))


def _other(kind: str, name: str, object_name: str, active: bool, effect: str) -> Automation:
    return Automation(f"{kind}:{name}", kind, object_name, name, active, effect, False, kind in BLOCKING)


def _object_of(kind: str, name: str, found: ET.Element) -> str:
    if kind != "Flow":
        return name.partition(".")[0]
    start = soap.children(found, "start")
    return soap.text(start[0], "object") if start else ""


def _runs(kind: str, found: ET.Element) -> bool:
    return soap.text(found, "status") == "Active" if kind == "Flow" else soap.text(found, "active") == "true"


def _is_active(rule: ET.Element) -> bool:
    return soap.text(rule, "isActive") == "true"
