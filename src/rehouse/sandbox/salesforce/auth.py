"""Sessions and logins: OAuth token grants, revoke, userinfo, identity, and SOAP `login`.

Facts: fact sheet sections 1.1 to 1.4. A session lasts two hours after its last use. The sandbox has one
connected app (client id and secret made with the store) and one password for all its users; a JWT's
signature is checked when the app's certificate was registered through the admin port, otherwise only its claims.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from rehouse.clock import Clock
from rehouse.sandbox.salesforce import wire
from rehouse.sandbox.salesforce.outcome import ApiError
from rehouse.sandbox.salesforce.site import Site, blocking, site_of, user_of
from rehouse.sandbox.salesforce.state import ServerState

SESSION_SECONDS = 2 * 60 * 60
JWT_SKEW_SECONDS = 300
EXPIRED = ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid", ())
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LOGIN_HOSTS = ("login.salesforce.com", "test.salesforce.com")
_MISSING = "missing required parameter: "


class OAuthError(Exception):
    """A refused grant: `{"error", "error_description"}`."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to log in to this sandbox."""

    client_id: str
    client_secret: str
    password: str
    security_token: str


class Sessions:
    """Access and refresh tokens of one org, kept across restarts."""

    def __init__(self, org_id: str, clock: Clock, state: ServerState) -> None:
        self._org, self._clock, self._state = org_id[:15], clock, state
        self.credentials = Credentials(*(self._secret(name) for name in ("id", "key", "password", "token")))

    def _secret(self, name: str) -> str:
        known = self._state.setting(f"credential:{name}")
        if known is not None:
            return known
        made = {
            "id": "3MVG9" + secrets.token_urlsafe(30),
            "key": secrets.token_hex(32).upper(),
            "password": "Sandbox-" + secrets.token_urlsafe(9),
            "token": secrets.token_urlsafe(18),
        }[name]
        return self._state.remember(f"credential:{name}", made)

    def open(self, user_id: str, kind: str = "session", token: str | None = None) -> str:
        """A new token for a user. `kind`: `session`, `refresh`, or `fixed` (named on the command line, never idle)."""
        value = token or f"{self._org}!{secrets.token_urlsafe(48)}"
        self._state.run(
            "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, 0)",
            value,
            user_id,
            kind,
            self._clock.now().timestamp(),
        )
        return value

    def user(self, token: str, kinds: tuple[str, ...] = ("session", "fixed")) -> str | None:
        """The user of a live token, or None. Using a session keeps it alive."""
        rows = self._state.run("SELECT user_id, kind, used, dead FROM session WHERE token = ?", token)
        if not rows:
            return None
        user_id, kind, used, dead = rows[0]
        now = self._clock.now().timestamp()
        if dead or kind not in kinds or (kind == "session" and now - used > SESSION_SECONDS):
            return None
        if kind == "session" and now - used > 60:
            self._state.run("UPDATE session SET used = ? WHERE token = ?", now, token)
        return str(user_id)

    def end(self, token: str, *, fixed_too: bool = True) -> bool:
        """End a token. False when there is no such token."""
        kinds = "" if fixed_too else " AND kind != 'fixed'"
        found = self._state.run(f"UPDATE session SET dead = 1 WHERE token = ?{kinds} RETURNING token", token)
        return bool(found)


SESSIONS = web.AppKey("sessions", Sessions)


def bearer(request: web.Request) -> str:
    """The token of the `Authorization` header (`Bearer` or `OAuth`), or the empty string."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


def session_user(request: web.Request, token: str) -> str:
    """The user of the request's session. Errors: 401 INVALID_SESSION_ID."""
    sessions = request.app[SESSIONS]
    if request.get(wire.EXPIRE):
        sessions.end(token, fixed_too=False)
        raise EXPIRED
    user_id = sessions.user(token)
    if user_id is None:
        raise EXPIRED
    return user_id


def find_user(site: Site, field: str, value: str) -> dict[str, Any] | None:
    """A user by Username or Id, with the fields that logins and identities show."""
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    names = "Id, Username, Name, FirstName, LastName, Email, IsActive, TimeZoneSidKey, LocaleSidKey, LanguageLocaleKey"
    for record in site.org.query(f"SELECT {names} FROM User WHERE {field} = '{text}' LIMIT 1").records(0, 1):
        return dict(record)
    return None


# --- token endpoint -------------------------------------------------------------------------------------------


async def token(request: web.Request) -> web.Response:
    """`POST /services/oauth2/token`: all grants, form encoded."""
    body = (await wire.read_bytes(request)).decode("utf-8", "replace")
    form = {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}
    _basic(request, form)
    try:
        return wire.answer(await blocking(_grant, request, form))
    except OAuthError as refused:
        shown = {"error": refused.error, "error_description": refused.description}
        return wire.answer(shown, refused.status)


def _basic(request: web.Request, form: dict[str, str]) -> None:
    """Client id and secret from a Basic header, where the form has none."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        name, _, secret = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    form.setdefault("client_id", name)
    form.setdefault("client_secret", secret)


def _grant(request: web.Request, form: dict[str, str]) -> dict[str, Any]:
    kind = _needed(form, "grant_type")
    if kind == "client_credentials":
        _check_client(request, form, secret=True)
        return _token_answer(request, site_of(request).org.admin_id)
    if kind == "password":
        _check_client(request, form, secret=False)
        user = _by_password(request, _needed(form, "username"), _needed(form, "password"))
        return _token_answer(request, user)
    if kind == "refresh_token":
        _check_client(request, form, secret=False)
        refresh_user = request.app[SESSIONS].user(_needed(form, "refresh_token"), ("refresh",))
        if refresh_user is None:
            raise OAuthError("invalid_grant", "expired access/refresh token")
        return _token_answer(request, refresh_user)
    if kind == JWT_GRANT:
        return _token_answer(request, _by_assertion(request, _needed(form, "assertion")))
    raise OAuthError("unsupported_grant_type", "grant type not supported")


def _needed(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise OAuthError("invalid_request", _MISSING + name)
    return form[name]


def _check_client(request: web.Request, form: dict[str, str], *, secret: bool) -> None:
    """The connected app. sf CLI refreshes without a secret, so only client credentials insist on one."""
    known = request.app[SESSIONS].credentials
    if not hmac.compare_digest(_needed(form, "client_id"), known.client_id):
        raise OAuthError("invalid_client_id", "client identifier invalid")
    given = _needed(form, "client_secret") if secret else form.get("client_secret") or known.client_secret
    if not hmac.compare_digest(given, known.client_secret):
        raise OAuthError("invalid_client", "invalid client credentials", 401)


def _by_password(request: web.Request, username: str, password: str) -> str:
    user = find_user(site_of(request), "Username", username)
    known = request.app[SESSIONS].credentials
    right = any(
        hmac.compare_digest(password.encode(), valid.encode())
        for valid in (known.password, known.password + known.security_token)
    )
    if user is None or not user["IsActive"] or not right:
        raise OAuthError("invalid_grant", "authentication failure")
    return str(user["Id"])


def _by_assertion(request: web.Request, assertion: str) -> str:
    """The user of a JWT. `exp` may be a number or a numeric string, in seconds or milliseconds."""
    site = site_of(request)
    try:
        head, body, signature = assertion.split(".")
        claims = json.loads(_unpad(body))
        issuer, subject, audience = str(claims["iss"]), str(claims["sub"]), str(claims["aud"])
        expires = float(claims["exp"])
    except (ValueError, KeyError, TypeError) as broken:
        raise OAuthError("invalid_grant", "invalid assertion") from broken
    if issuer != request.app[SESSIONS].credentials.client_id:
        raise OAuthError("invalid_client_id", "client identifier invalid")
    _check_signature(site, f"{head}.{body}".encode(), signature)
    host = urlsplit(audience).hostname or ""
    if host != urlsplit(site.url).hostname and host not in LOGIN_HOSTS and not host.endswith(".salesforce.com"):
        raise OAuthError("invalid_grant", "audience is invalid")
    if expires < site.clock.now().timestamp() - JWT_SKEW_SECONDS:
        raise OAuthError("invalid_grant", "expired authorization code")
    user = find_user(site, "Username", subject)
    if user is None:
        raise OAuthError("invalid_grant", "user hasn't approved this consumer")
    if not user["IsActive"]:
        raise OAuthError("invalid_grant", "inactive user")
    return str(user["Id"])


def _check_signature(site: Site, signed: bytes, signature: str) -> None:
    """RS256 against the registered certificate or public key (PEM); nothing to check without one."""
    pem = site.state.setting("connected app certificate")
    if pem is None:
        return
    try:
        key: object
        if "CERTIFICATE" in pem:
            key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        else:
            key = serialization.load_pem_public_key(pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise OAuthError("invalid_grant", "invalid assertion")
        key.verify(_unpad(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError) as wrong:
        raise OAuthError("invalid_grant", "invalid assertion") from wrong


def _unpad(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _token_answer(request: web.Request, user_id: str) -> dict[str, Any]:
    site, sessions = site_of(request), request.app[SESSIONS]
    issued = str(int(site.clock.now().timestamp() * 1000))
    identity = f"{site.url}/id/{site.org.org_id}/{user_id}"
    secret = sessions.credentials.client_secret.encode()
    signed = hmac.new(secret, (identity + issued).encode(), hashlib.sha256).digest()
    return {
        "access_token": sessions.open(user_id),
        "scope": "api refresh_token id",
        "instance_url": site.url,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued,
        "signature": base64.b64encode(signed).decode(),
    }


async def revoke(request: web.Request) -> web.Response:
    """`POST /services/oauth2/revoke`: 200 with an empty body."""
    form = parse_qs((await wire.read_bytes(request)).decode("utf-8", "replace"))
    value = (form.get("token") or [request.query.get("token", "")])[0]
    if not request.app[SESSIONS].end(value):
        return wire.answer(
            {"error": "unsupported_token_type", "error_description": "this token type is not supported"}, 400
        )
    return web.Response(status=200)


# --- who am I -------------------------------------------------------------------------------------------------


async def userinfo(request: web.Request) -> web.Response:
    """`GET|POST /services/oauth2/userinfo`."""
    site = site_of(request)
    user = await blocking(find_user, site, "Id", user_of(request)) or {}
    sub = f"{site.url}/id/{site.org.org_id}/{user_of(request)}"
    return wire.answer(
        {
            "sub": sub,
            "user_id": user_of(request),
            "organization_id": site.org.org_id,
            "preferred_username": user.get("Username"),
            "nickname": str(user.get("Username", "")).split("@")[0],
            "name": user.get("Name"),
            "email": user.get("Email"),
            "email_verified": True,
            "given_name": user.get("FirstName"),
            "family_name": user.get("LastName"),
            "zoneinfo": user.get("TimeZoneSidKey"),
            "photos": _photos(site),
            "profile": f"{site.url}/{user_of(request)}",
            "picture": _photos(site)["picture"],
            "urls": _urls(site, user_of(request)),
            "active": bool(user.get("IsActive")),
            "user_type": "STANDARD",
            "language": user.get("LanguageLocaleKey"),
            "locale": user.get("LocaleSidKey"),
            "utcOffset": 0,
        }
    )


async def identity(request: web.Request) -> web.Response:
    """`GET /id/{orgId}/{userId}`; the token may come as `oauth_token` in the query."""
    site = site_of(request)
    if request.match_info["org"][:15] != site.org.org_id[:15]:
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist", ())
    user = await blocking(find_user, site, "Id", request.match_info["user"])
    if user is None:
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist", ())
    user_id = str(user["Id"])
    return wire.answer(
        {
            "id": f"{site.url}/id/{site.org.org_id}/{user_id}",
            "asserted_user": True,
            "user_id": user_id,
            "organization_id": site.org.org_id,
            "username": user["Username"],
            "nick_name": str(user["Username"]).split("@")[0],
            "display_name": user["Name"],
            "email": user["Email"],
            "email_verified": True,
            "first_name": user["FirstName"],
            "last_name": user["LastName"],
            "timezone": user["TimeZoneSidKey"],
            "photos": _photos(site),
            "addr_street": None,
            "addr_city": None,
            "addr_state": None,
            "addr_country": None,
            "addr_zip": None,
            "mobile_phone": None,
            "mobile_phone_verified": False,
            "is_lightning_login_user": False,
            "status": {"created_date": None, "body": None},
            "urls": _urls(site, user_id),
            "active": bool(user["IsActive"]),
            "user_type": "STANDARD",
            "language": user["LanguageLocaleKey"],
            "locale": user["LocaleSidKey"],
            "utcOffset": 0,
            "last_modified_date": wire.wire_time(site.clock.now()),
            "is_app_installed": True,
        }
    )


def _photos(site: Site) -> dict[str, str]:
    return {"picture": f"{site.url}/profilephoto/005/F", "thumbnail": f"{site.url}/profilephoto/005/T"}


def _urls(site: Site, user_id: str) -> dict[str, str]:
    """URL templates; clients replace the literal `{version}`."""
    data, org = f"{site.url}/services/data/v{{version}}", site.org.org_id[:15]
    return {
        "enterprise": f"{site.url}/services/Soap/c/{{version}}/{org}",
        "metadata": f"{site.url}/services/Soap/m/{{version}}/{org}",
        "partner": f"{site.url}/services/Soap/u/{{version}}/{org}",
        "rest": f"{data}/",
        "sobjects": f"{data}/sobjects/",
        "search": f"{data}/search/",
        "query": f"{data}/query/",
        "recent": f"{data}/recent/",
        "tooling_soap": f"{site.url}/services/Soap/T/{{version}}/{org}",
        "tooling_rest": f"{data}/tooling/",
        "profile": f"{site.url}/{user_id}",
        "feeds": f"{data}/chatter/feeds",
        "groups": f"{data}/chatter/groups",
        "users": f"{data}/chatter/users",
        "feed_items": f"{data}/chatter/feed-items",
        "custom_domain": site.url,
    }
