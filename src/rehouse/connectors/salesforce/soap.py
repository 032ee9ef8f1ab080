"""The Metadata interface's envelopes: components in, results out, faults as our errors.

Source: Metadata API Developer Guide and the Metadata WSDL v63: document/literal, namespace
`http://soap.sforce.com/2006/04/metadata`, at most ten components of one type in a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from rehouse.connectors.salesforce.errors import REQUEST_CODES, Group, RefusedError, SessionEndedError, safe
from rehouse.connectors.salesforce.errors import judge as rest_judge
from rehouse.connectors.salesforce.limits import METADATA_PER_CALL
from rehouse.connectors.salesforce.session import Session
from rehouse.errors import FatalError, OutcomeUnknownError, RetryableError
from rehouse.wire import Answer, BudgetError, Call

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

Tree = Mapping[str, Any]
"""A component as plain data: text, numbers, booleans, nested trees, lists of these, or ready elements."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One component's result. `code` and `message` are the platform's words where it was refused."""

    name: str
    ok: bool
    created: bool
    code: str = ""
    message: str = ""


class Metadata:
    """Calls of the Metadata interface at one org."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, kind: str, components: Sequence[Tree]) -> list[Saved]:
        return self._save("createMetadata", kind, components, repeatable=False)

    def update(self, kind: str, components: Sequence[Tree], *, essential: bool = False) -> list[Saved]:
        # The same whole component twice ends in the same state.
        return self._save("updateMetadata", kind, components, repeatable=True, essential=essential)

    def upsert(self, kind: str, components: Sequence[Tree]) -> list[Saved]:
        return self._save("upsertMetadata", kind, components, repeatable=True)

    def read(self, kind: str, names: Sequence[str], *, essential: bool = False) -> dict[str, ET.Element]:
        """Components by full name; those the org does not have are absent."""
        found: dict[str, ET.Element] = {}
        for group in _groups(names):
            inner = [_element("type", kind), *(_element("fullNames", name) for name in group)]
            answer = self._send("readMetadata", inner, repeatable=True, essential=essential)
            for record in answer.iter(_tag("records")):
                name = record.findtext(_tag("fullName"))
                if name:
                    found[name] = record
        return found

    def names(self, kinds: Sequence[str]) -> dict[str, str]:
        """Full names of the components of these types (at most three), with their type."""
        queries = [_tree("queries", {"type": kind}) for kind in kinds]
        version = _element("asOfVersion", self._session.version())
        answer = self._send("listMetadata", [*queries, version], repeatable=True, essential=False)
        return {text(one, "fullName"): text(one, "type") for one in answer.iter(_tag("result"))}

    def _save(
        self,
        operation: str,
        kind: str,
        components: Sequence[Tree],
        *,
        repeatable: bool,
        essential: bool = False,
    ) -> list[Saved]:
        results: list[Saved] = []
        for group in _groups(components):
            inner = [_component(kind, one) for one in group]
            answer = self._send(operation, inner, repeatable=repeatable, essential=essential)
            results += [_saved(one) for one in answer.iter(_tag("result"))]
        return results

    def _send(self, operation: str, inner: Iterable[ET.Element], *, repeatable: bool, essential: bool) -> ET.Element:
        parts = list(inner)

        def call(token: str) -> Call:
            return Call(
                "POST",
                f"{self._session.login().url}/services/Soap/m/{self._session.version()}",
                headers={"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'},
                data=_envelope(token, operation, parts),
                repeatable=repeatable,
                essential=essential,
            )

        login = self._session.login()
        http = self._session.http
        try:
            answer = http.send(call(login.token), judge=judge)
        except SessionEndedError:
            answer = http.send(call(self._session.renew(login).token), judge=judge)
        return _parse(answer)


def judge(call: Call, answer: Answer) -> None:
    """Faults come with status 500 and a code such as `sf:INVALID_SESSION_ID`; other answers as in REST."""
    if answer.ok:
        return
    code, text = fault(answer)
    if not code:
        rest_judge(call, answer)
        return
    shown = f"{call.shown} answered {code}: {safe(code, text)}"
    match REQUEST_CODES.get(code, Group.FIX):
        case Group.AUTH:
            raise SessionEndedError(shown, hint="log in again")
        case Group.WAIT:
            raise RetryableError(shown)
        case Group.BUSY:
            raise RetryableError(shown) if call.harmless else OutcomeUnknownError(shown)
        case Group.QUOTA:
            raise BudgetError(shown, hint="the allowance rolls over 24 hours")
        case Group.STOP:
            raise FatalError(shown)
        case Group.FIX:
            raise RefusedError(
                answer.status,
                code,
                shown,
                hint="the user needs 'Modify Metadata Through Metadata API Functions' or 'Modify All Data'",
            )


def fault(answer: Answer) -> tuple[str, str]:
    """Code (without its prefix) and text of a SOAP fault; empty where the answer is none."""
    try:
        root = ET.fromstring(answer.body)
    except ET.ParseError:
        return "", ""
    for element in root.iter():
        if _local(element) == "Fault":
            texts = {_local(child): (child.text or "").strip() for child in element}
            return texts.get("faultcode", "").rpartition(":")[2], texts.get("faultstring", "")
    return "", ""


def xml_of(name: str, value: Any) -> list[ET.Element]:
    """Plain data as elements of the metadata namespace; None makes none, a list makes several."""
    if value is None:
        return []
    if isinstance(value, ET.Element):
        return [value]
    if isinstance(value, Mapping):
        return [_tree(name, value)]
    if isinstance(value, list | tuple):
        return [element for one in value for element in xml_of(name, one)]
    return [_element(name, str(value).lower() if isinstance(value, bool) else str(value))]


def texts(element: ET.Element, name: str) -> list[str]:
    """The texts of all direct children of that name."""
    return [child.text or "" for child in element.findall(_tag(name))]


def text(element: ET.Element, name: str) -> str:
    """The text of the first direct child of that name, or the empty string."""
    return element.findtext(_tag(name)) or ""


def children(element: ET.Element, name: str) -> list[ET.Element]:
    return element.findall(_tag(name))


def parts(element: ET.Element) -> dict[str, list[ET.Element]]:
    """The children by name, untouched: what is sent back must not lose what we know nothing about."""
    found: dict[str, list[ET.Element]] = {}
    for child in element:
        found.setdefault(_local(child), []).append(child)
    return found


def _component(kind: str, data: Tree) -> ET.Element:
    element = _tree("metadata", data)
    element.set(f"{{{XSI}}}type", f"met:{kind}")
    return element


def _tree(name: str, data: Tree) -> ET.Element:
    """Children in the order of the schema: `fullName` comes from the base type, the others are alphabetical."""
    element = ET.Element(_tag(name))
    for key in sorted(data, key=lambda one: (one != "fullName", one.lower())):
        element.extend(xml_of(key, data[key]))
    return element


def _element(name: str, value: str) -> ET.Element:
    element = ET.Element(_tag(name))
    element.text = value
    return element


def _envelope(token: str, operation: str, inner: Sequence[ET.Element]) -> bytes:
    root = ET.Element(f"{{{ENVELOPE}}}Envelope")
    # The type attribute's value needs the prefix; serialising alone would not declare it reliably.
    header = ET.SubElement(root, f"{{{ENVELOPE}}}Header")
    session = ET.SubElement(header, _tag("SessionHeader"))
    session.append(_element("sessionId", token))
    body = ET.SubElement(root, f"{{{ENVELOPE}}}Body")
    ET.SubElement(body, _tag(operation)).extend(inner)
    raw: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return raw


def _parse(answer: Answer) -> ET.Element:
    # A document type could nest entities without end; the platform sends none.
    if b"<!DOCTYPE" in answer.body[:2048]:
        raise FatalError("the Metadata interface answered with a document type", hint="a proxy in between?")
    try:
        return ET.fromstring(answer.body)
    except ET.ParseError as bad:
        raise FatalError("the Metadata interface answered with something that is no XML", hint="") from bad


def _saved(result: ET.Element) -> Saved:
    error = result.find(_tag("errors"))
    return Saved(
        name=text(result, "fullName"),
        ok=text(result, "success") == "true",
        created=text(result, "created") == "true",
        code="" if error is None else text(error, "statusCode"),
        message="" if error is None else text(error, "message"),
    )


def _groups(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[n : n + METADATA_PER_CALL] for n in range(0, len(items), METADATA_PER_CALL)]


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _local(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


ET.register_namespace("met", NAMESPACE)
ET.register_namespace("soapenv", ENVELOPE)
ET.register_namespace("xsi", XSI)
