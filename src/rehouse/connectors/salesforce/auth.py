"""Ways to get a session, and the signed assertion of the JWT flow.

Source: REST API Developer Guide and OAuth help pages ("OAuth 2.0 JWT Bearer Flow", "OAuth 2.0 Client Credentials
Flow"). SOAP `login()` is not used: it is absent from API version 65 on.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from rehouse.clock import Clock
from rehouse.connectors.base import Settings
from rehouse.connectors.salesforce.errors import body_error
from rehouse.errors import FatalError, RetryableError, UserError
from rehouse.wire import Answer, Call, Http

TOKEN_PATH = "/services/oauth2/token"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_SECONDS = 180
"""Lifetime of an assertion; the documented validity is about three minutes."""


@dataclass(frozen=True, slots=True)
class Login:
    """A live session: where to send requests, and what to prove ourselves with."""

    url: str
    token: str


Renew = Callable[[Http], Login]


def credentials(settings: Settings, clock: Clock) -> tuple[Login | None, Renew | None]:
    """The session that the settings hold, and the way to get a new one (each may be None, not both).

    Settings: `url` with `token`; or with `client_id` and `client_secret`; or with `username`, `client_id` and
    `private_key` (PEM text or the path of a PEM file), optionally `audience`.
    """
    url = str(settings.get("url") or "").rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise UserError("the connection has no `url`", hint="the org's own address: https://….my.salesforce.com")
    token = settings.get("token")
    login = Login(url, str(token)) if token else None
    form = _form(settings, url, clock)
    if login is None and form is None:
        raise UserError(
            "the connection has no way to log in",
            hint="give `token`, or `client_id` and `client_secret`, or `username`, `client_id` and `private_key`",
        )
    return login, None if form is None else lambda http: _log_in(http, url, form())


def _form(settings: Settings, url: str, clock: Clock) -> Callable[[], dict[str, str]] | None:
    client = settings.get("client_id")
    if client and settings.get("private_key"):
        user = settings.get("username")
        if not user:
            raise UserError("the JWT login has no `username`", hint="name the migration user")
        key = _private_key(str(settings["private_key"]))
        audience = str(settings.get("audience") or url)
        return lambda: {
            "grant_type": JWT_GRANT,
            "assertion": assertion(key, str(client), str(user), audience, clock),
        }
    if client and settings.get("client_secret"):
        return lambda: {
            "grant_type": "client_credentials",
            "client_id": str(client),
            "client_secret": str(settings["client_secret"]),
        }
    return None


def assertion(key: rsa.RSAPrivateKey, client: str, user: str, audience: str, clock: Clock) -> str:
    """A signed JWT (RS256) with the claims `iss`, `sub`, `aud`, `exp`."""
    expires = int(clock.now().timestamp()) + JWT_SECONDS
    claims = {"iss": client, "sub": user, "aud": audience, "exp": expires}
    signed = f"{_pack({'alg': 'RS256', 'typ': 'JWT'})}.{_pack(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_b64(signature)}"


def _pack(value: object) -> str:
    return _b64(orjson.dumps(value))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _private_key(given: str) -> rsa.RSAPrivateKey:
    hint = "`private_key` is an unencrypted RSA key in PEM form, or the path of one"
    try:
        pem = given.encode() if "-----BEGIN" in given else Path(given).expanduser().read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except (OSError, ValueError, TypeError) as bad:
        # The reason is not passed on: it may quote the key or its path.
        raise UserError("the private key of the connection cannot be read", hint=hint) from bad
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UserError("the private key of the connection is no RSA key", hint=hint)
    return key


def _log_in(http: Http, url: str, form: dict[str, str]) -> Login:
    # A grant changes nothing in the org, so it may be sent again.
    call = Call(
        "POST",
        url + TOKEN_PATH,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        data=urlencode(form).encode(),
        repeatable=True,
        essential=True,
        kind="logins",
    )
    body = http.send(call, judge=_judge).json()
    return Login(str(body.get("instance_url") or url).rstrip("/"), str(body["access_token"]))


def _judge(call: Call, answer: Answer) -> None:
    if answer.ok:
        return
    code, text = body_error(answer)
    if answer.status in (420, 429) or answer.status >= 500:
        raise RetryableError(f"{call.shown} answered {answer.status}")
    if answer.status in (400, 401, 403):
        raise UserError(f"the login was refused: {code} {text}", hint=LOGIN_HINTS.get(code, "check the connected app"))
    raise FatalError(f"{call.shown} answered {answer.status} {code}", hint="is `url` the address of an org?")


LOGIN_HINTS: dict[str, str] = {
    "invalid_grant": "user name, key, audience, or the user's approval of the connected app; also IP policies",
    "invalid_client_id": "`client_id` is the consumer key of the connected app",
    "invalid_client": "`client_secret` is the consumer secret of the connected app",
    "unsupported_grant_type": "switch this flow on in the connected app, on the org's own address",
}
