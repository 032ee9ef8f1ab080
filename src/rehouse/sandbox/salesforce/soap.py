"""SOAP: parsing envelopes of any prefix, and the partner API's `login`, `getUserInfo`, `logout`, `undelete`.

Facts: fact sheet sections 1.2 and 0 (clients look for un-prefixed `sessionId` and `serverUrl`, and for
faults with the literal prefix `sf:`). `login()` is absent from API version 65 on.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.auth import SESSIONS, find_user, session_user
from rehouse.sandbox.salesforce.outcome import ApiError, RowResult, SaveOptions
from rehouse.sandbox.salesforce.site import blocking, site_of

PARTNER = "urn:partner.soap.sforce.com"
PARTNER_FAULT = "urn:fault.partner.soap.sforce.com"
LAST_LOGIN_VERSION = 64

Element = ElementTree.Element


class Call:
    """One SOAP call: operation name, its element, the session of the header."""

    def __init__(self, body: bytes) -> None:
        """Parse an envelope. Errors: ApiError with a fault code for anything that is no envelope."""
        # A document type could name external or endlessly nested parts; no SOAP client sends one.
        if b"<!DOCTYPE" in body[:4096]:
            raise ApiError(500, "UNKNOWN_EXCEPTION", "document type declarations are not allowed")
        try:
            root = ElementTree.fromstring(body)
        except ElementTree.ParseError as broken:
            raise ApiError(500, "UNKNOWN_EXCEPTION", f"could not parse the request: {broken}") from broken
        if local(root) != "Envelope":
            raise ApiError(500, "UNKNOWN_EXCEPTION", "the root element is no SOAP envelope")
        content = child(root, "Body")
        if content is None or not len(content):
            raise ApiError(500, "UNKNOWN_EXCEPTION", "the SOAP body is empty")
        self.operation: str = local(content[0])
        self.element: Element = content[0]
        self.header = child(root, "Header")
        session = self.header_element("SessionHeader")
        self.session_id: str = text(session, "sessionId") if session is not None else ""

    def header_element(self, name: str) -> Element | None:
        return child(self.header, name) if self.header is not None else None

    def header_flag(self, name: str, flag: str) -> bool:
        """A boolean inside a header element, for example `AllOrNoneHeader/allOrNone`."""
        element = self.header_element(name)
        return element is not None and text(element, flag).lower() in ("true", "1")


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def child(element: Element, name: str) -> Element | None:
    """The first child of that local name."""
    return next((one for one in element if local(one) == name), None)


def children(element: Element, name: str) -> list[Element]:
    return [one for one in element if local(one) == name]


def text(element: Element, name: str, default: str = "") -> str:
    """The trimmed text of a child element."""
    found = child(element, name)
    return (found.text or "").strip() if found is not None else default


def tag(name: str, value: object) -> str:
    """`<name>value</name>` with escaping; booleans in XML spelling; nothing for None."""
    if value is None:
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(shown)}</{name}>"


async def partner(request: web.Request) -> web.StreamResponse:
    """`POST /services/Soap/u/{v}` and `/services/Soap/u/{v}/{orgId}`."""
    try:
        call = Call(await wire.read_bytes(request))
        if call.operation == "login":
            return await _login(request, call)
        user_id = session_user(request, call.session_id)
        site_of(request).limits.count_call()
        if call.operation == "getUserInfo":
            shown = await blocking(_user_info, request, user_id)
            return wire.soap(f"<getUserInfoResponse><result>{shown}</result></getUserInfoResponse>", PARTNER)
        if call.operation == "logout":
            request.app[SESSIONS].end(call.session_id)
            return wire.soap("<logoutResponse/>", PARTNER)
        if call.operation == "undelete":
            ids = [(one.text or "").strip() for one in children(call.element, "ids")]
            results = await blocking(site_of(request).org.undelete, ids, SaveOptions(user_id=user_id))
            return wire.soap(f"<undeleteResponse>{_results(results)}</undeleteResponse>", PARTNER)
    except ApiError as refused:
        return wire.soap_fault(refused.code, refused.message, PARTNER_FAULT)
    return wire.soap_fault("INVALID_OPERATION", f"no operation '{call.operation}' in this sandbox", PARTNER_FAULT)


def _results(results: Iterable[RowResult]) -> str:
    rows = []
    for row in results:
        errors = "".join(
            "<errors>"
            + "".join(tag("fields", name) for name in error.fields)
            + tag("message", error.message)
            + tag("statusCode", error.code)
            + "</errors>"
            for error in row.errors
        )
        rows.append(f"<result>{errors}{tag('id', row.id)}{tag('success', row.success)}</result>")
    return "".join(rows)


async def _login(request: web.Request, call: Call) -> web.StreamResponse:
    """SOAP login. The security token may be glued to the password, or left out (trusted network)."""
    version = _version(request)
    if version > LAST_LOGIN_VERSION:
        return wire.soap_fault(
            "UNSUPPORTED_API_VERSION", f"login() is not available in API version {version}.0", PARTNER_FAULT
        )
    site, sessions = site_of(request), request.app[SESSIONS]
    user = await blocking(find_user, site, "Username", text(call.element, "username"))
    given = text(call.element, "password").encode()
    known = sessions.credentials
    right = any(
        hmac.compare_digest(given, valid.encode()) for valid in (known.password, known.password + known.security_token)
    )
    if user is None or not user["IsActive"] or not right:
        return wire.soap_fault(
            "INVALID_LOGIN",
            "Invalid username, password, security token; or user locked out.",
            PARTNER_FAULT,
        )
    org = site.org.org_id[:15]
    body = (
        tag("metadataServerUrl", f"{site.url}/services/Soap/m/{version}.0/{org}")
        + tag("passwordExpired", value=False)
        + tag("sandbox", value=False)
        + tag("serverUrl", f"{site.url}/services/Soap/u/{version}.0/{org}")
        + tag("sessionId", sessions.open(str(user["Id"])))
        + tag("userId", user["Id"])
        + f"<userInfo>{await blocking(_user_info, request, str(user['Id']))}</userInfo>"
    )
    return wire.soap(f"<loginResponse><result>{body}</result></loginResponse>", PARTNER)


def _version(request: web.Request) -> int:
    found = re.match(r"(\d+)(?:\.0)?$", request.match_info["version"])
    return int(found.group(1)) if found else wire.LAST_VERSION


def _user_info(request: web.Request, user_id: str) -> str:
    site = site_of(request)
    user = find_user(site, "Id", user_id) or {}
    return (
        tag("accessibilityMode", value=False)
        + tag("organizationId", site.org.org_id)
        + tag("organizationMultiCurrency", value=False)
        + tag("organizationName", site.org.name)
        + tag("sessionSecondsValid", 7200)
        + tag("userEmail", user.get("Email"))
        + tag("userFullName", user.get("Name"))
        + tag("userId", user_id)
        + tag("userLanguage", user.get("LanguageLocaleKey"))
        + tag("userLocale", user.get("LocaleSidKey"))
        + tag("userName", user.get("Username"))
        + tag("userTimeZone", user.get("TimeZoneSidKey"))
        + tag("userType", "Standard")
        + tag("userUiSkin", "Theme3")
    )
