"""What the platform's codes mean: data tables, and the judge that applies them to a whole request.

Sources: REST API Developer Guide "Status Codes and Error Responses"; StatusCode list of the Metadata WSDL v63;
Bulk API 2.0 Developer Guide; Object Reference. A code that is in no table stops the load.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import orjson

from rehouse.connectors.base import Advice
from rehouse.errors import FatalError, OutcomeUnknownError, RetryableError, UserError
from rehouse.wire import Answer, BudgetError, Call
from rehouse.wire.http import retry_after


class Group(StrEnum):
    """What a refused *request* asks of its sender."""

    AUTH = "log in again"
    WAIT = "nothing was done; wait"
    BUSY = "the server failed, perhaps after doing it"
    QUOTA = "an allowance of the day is used up"
    FIX = "fix the request, the org or the permission"
    STOP = "going on would make it worse"


REQUEST_CODES: dict[str, Group] = {
    "INVALID_SESSION_ID": Group.AUTH,
    "INVALID_AUTH_HEADER": Group.AUTH,
    "REQUEST_LIMIT_EXCEEDED": Group.QUOTA,
    "LIMIT_EXCEEDED": Group.QUOTA,
    "EXCEEDEDQUOTA": Group.QUOTA,
    "SERVER_UNAVAILABLE": Group.BUSY,
    "UNKNOWN_EXCEPTION": Group.BUSY,
    "REQUEST_RUNNING_TOO_LONG": Group.BUSY,
    "UNABLE_TO_LOCK_ROW": Group.WAIT,
    "TERRITORY_REALIGN_IN_PROGRESS": Group.WAIT,
    "STORAGE_LIMIT_EXCEEDED": Group.STOP,
}
"""Codes of whole requests that outrank the status. `REQUEST_LIMIT_EXCEEDED` for concurrent calls is a WAIT."""

REQUEST_STATUS: dict[int, Group] = {
    300: Group.FIX,
    400: Group.FIX,
    401: Group.AUTH,
    403: Group.FIX,
    404: Group.FIX,
    405: Group.FIX,
    406: Group.WAIT,
    409: Group.FIX,
    410: Group.FIX,
    412: Group.FIX,
    414: Group.FIX,
    415: Group.FIX,
    420: Group.WAIT,
    428: Group.FIX,
    429: Group.WAIT,
    431: Group.FIX,
    500: Group.BUSY,
    502: Group.BUSY,
    503: Group.BUSY,
    504: Group.BUSY,
}
"""Codeless answers. 503 may come from an edge after the work was done, so it counts as BUSY, not as WAIT."""

_DATA, _TARGET, _RETRY, _STOP = Advice.FIX_DATA, Advice.FIX_TARGET, Advice.RETRY, Advice.STOP

RECORD_CODES: dict[str, Advice] = {
    "REQUIRED_FIELD_MISSING": _DATA,
    "STRING_TOO_LONG": _DATA,
    "NUMBER_OUTSIDE_VALID_RANGE": _DATA,
    "INVALID_EMAIL_ADDRESS": _DATA,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": _DATA,
    "INVALID_TYPE_ON_FIELD_IN_RECORD": _DATA,
    "FIELD_INTEGRITY_EXCEPTION": _DATA,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": _DATA,
    "FIELD_FILTER_VALIDATION_EXCEPTION": _DATA,
    "JSON_PARSER_ERROR": _DATA,
    "MALFORMED_ID": _DATA,
    "INVALID_ID_FIELD": _DATA,
    "INVALID_CROSS_REFERENCE_KEY": _DATA,
    "MISSING_ARGUMENT": _DATA,
    "DUPLICATE_EXTERNAL_ID": _DATA,
    "DUPLICATE_VALUE": _DATA,
    "DUPLICATES_DETECTED": _DATA,
    "ENTITY_IS_DELETED": _DATA,
    "ENTITY_IS_ARCHIVED": _DATA,
    "INVALID_STATUS": _DATA,
    "FAILED_ACTIVATION": _DATA,
    "CANNOT_UPDATE_CONVERTED_LEAD": _DATA,
    "CIRCULAR_DEPENDENCY": _DATA,
    "MAXIMUM_HIERARCHY_LEVELS_REACHED": _DATA,
    "MAXIMUM_HIERARCHY_CHILDREN_REACHED": _DATA,
    "CANNOT_REPARENT_RECORD": _DATA,
    "INVALID_PERSON_ACCOUNT_OPERATION": _DATA,
    "DELETE_FAILED": _DATA,
    "DEPENDENCY_EXISTS": _DATA,
    "DELETE_REQUIRED_ON_CASCADE": _DATA,
    "DELETE_OPERATION_TOO_LARGE": _DATA,
    "UNDELETE_FAILED": _DATA,
    "MERGE_FAILED": _DATA,
    "FILE_SIZE_LIMIT_EXCEEDED": _DATA,
    "FILE_EXTENSION_NOT_ALLOWED": _DATA,
    "MAXIMUM_SIZE_OF_ATTACHMENT": _DATA,
    "TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET": _DATA,
    "INVALID_CURRENCY_ISO": _DATA,
    "STANDARD_PRICE_NOT_DEFINED": _DATA,
    "NOT_FOUND": _DATA,
    "INVALID_FIELD": _TARGET,
    "INVALID_TYPE": _TARGET,
    "INVALID_FIELD_FOR_INSERT_UPDATE": _TARGET,
    "INSUFFICIENT_ACCESS": _TARGET,
    "INSUFFICIENT_ACCESS_OR_READONLY": _TARGET,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _TARGET,
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": _TARGET,
    "CANNOT_EXECUTE_FLOW_TRIGGER": _TARGET,
    "ENTITY_IS_LOCKED": _TARGET,
    "RECORD_LOCKED": _TARGET,
    "INACTIVE_OWNER_OR_USER": _TARGET,
    "INVALID_OWNER": _TARGET,
    "TRANSFER_REQUIRES_READ": _TARGET,
    "INVALID_CURRENCY_CONV_RATE": _TARGET,
    "INVALID_CURRENCY_CORP_RATE": _TARGET,
    "MIXED_DML_OPERATION": _TARGET,
    "INVALIDBATCH": _TARGET,
    "UNABLE_TO_LOCK_ROW": _RETRY,
    "TOOMANYLOCKFAILURE": _RETRY,
    "TERRITORY_REALIGN_IN_PROGRESS": _RETRY,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": _RETRY,
    "REQUEST_RUNNING_TOO_LONG": _RETRY,
    "TIMEOUT": _RETRY,
    "UNPROCESSED": _RETRY,
    "NOT_SENT": _RETRY,
    "STORAGE_LIMIT_EXCEEDED": _STOP,
    "LICENSE_LIMIT_EXCEEDED": _STOP,
    "EXCEEDEDQUOTA": _STOP,
    # Ours: rows that were not sent, see write.py and files.py.
    "NULL_MARKER_AS_VALUE": _DATA,
    "FILE_UNREADABLE": _DATA,
}
"""Codes of refused records, in upper case, from whichever interface (collections, single calls, Bulk)."""


class RefusedError(UserError):
    """The platform refused a whole request; nothing of it was done. `status` and `code` are its own."""

    def __init__(self, status: int, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status, self.code = status, code


class SessionEndedError(UserError):
    """The session is over; nothing of the request was done."""


def advice_for(code: str) -> Advice:
    """What to do about a record refused with that code; an unknown code means stop."""
    return RECORD_CODES.get(code.upper(), Advice.STOP)


def body_error(answer: Answer) -> tuple[str, str]:
    """Code and text of an error answer: JSON array, single object, OAuth form; empty for HTML pages."""
    try:
        body: Any = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "", ""
    if isinstance(body, list):
        body = body[0] if body else {}
    if not isinstance(body, dict):
        return "", ""
    code = body.get("errorCode") or body.get("statusCode") or body.get("exceptionCode") or body.get("error") or ""
    text = body.get("message") or body.get("exceptionMessage") or body.get("error_description") or ""
    return str(code), str(text)


def judge(call: Call, answer: Answer) -> None:
    """Raise what a refused request means. A 2xx passes."""
    if answer.ok:
        return
    code, text = body_error(answer)
    group = group_of(answer.status, code, text)
    shown = f"{call.shown} answered {answer.status}{f' {code}' if code else ''}"
    if group is Group.AUTH:
        raise SessionEndedError(shown, hint="log in again; a bare token cannot be renewed")
    if group is Group.WAIT or (group is Group.BUSY and call.harmless):
        raise RetryableError(shown, wait=retry_after(answer.headers))
    if group is Group.BUSY:
        raise OutcomeUnknownError(shown, hint="ask the target what it holds before sending again")
    if group is Group.QUOTA:
        raise BudgetError(f"{shown}: {safe(code, text)}", hint="the allowance rolls over 24 hours; resume later")
    if group is Group.FIX:
        raise RefusedError(answer.status, code, f"{shown}: {safe(code, text)}", hint=HINTS.get(code, ""))
    raise FatalError(f"{shown}: {safe(code, text)}", hint=HINTS.get(code, "this answer is in no table of ours"))


def lenient(call: Call, answer: Answer) -> None:
    """For requests that write one record: refusals of the record pass, everything else is judged."""
    if answer.status in (400, 403, 404, 413):
        code, text = body_error(answer)
        known = REQUEST_CODES.get(code.upper())
        if known in (None, Group.WAIT) or group_of(answer.status, code, text) is Group.FIX:
            return
    judge(call, answer)


def group_of(status: int, code: str, text: str) -> Group:
    """The group of an answer: its code where the table has it, else its status, else STOP."""
    if code.upper() == "REQUEST_LIMIT_EXCEEDED" and text.startswith("ConcurrentRequests"):
        return Group.WAIT
    if code.upper() == "UNKNOWN_EXCEPTION" and status < 500:
        return REQUEST_STATUS.get(status, Group.STOP)
    return REQUEST_CODES.get(code.upper()) or REQUEST_STATUS.get(status, Group.STOP)


def safe(code: str, text: str) -> str:
    """The platform's words without record values: query and parse errors quote the request."""
    if code == "JSON_PARSER_ERROR":
        return "the body could not be parsed"
    lines = [line for line in text.splitlines() if line.strip()]
    found = next((n for n, line in enumerate(lines) if line.startswith("ERROR at Row")), None)
    words = " ".join(lines[found + 1 :]) if found is not None else " ".join(lines)
    return words[:400]


HINTS: dict[str, str] = {
    "API_DISABLED_FOR_ORG": "this edition has no API; Enterprise or an API add-on is needed",
    "API_CURRENTLY_DISABLED": "give the migration user the permission 'API Enabled'",
    "FUNCTIONALITY_NOT_ENABLED": "a feature is off in the org, or the user lacks the permission",
    "STORAGE_LIMIT_EXCEEDED": "the org is full: delete, empty the recycle bin, or buy storage",
    "INSUFFICIENT_ACCESS": "give the migration user the permission that the message names",
    "UNSUPPORTED_API_VERSION": "set `version` of the connection to one that the org lists",
}

_ERROR_CELL = re.compile(r"(?s)^([A-Za-z_]+):(.*?)(?::([^:]*?)--)?\s*$")


def split_cell(cell: str) -> tuple[str, str]:
    """Code and text of a Bulk error, `CODE:text:fields --`, or of a job's `InvalidBatch : text`."""
    found = _ERROR_CELL.match(cell)
    if found is None:
        code, _, text = cell.partition(" : ")
        return (code.strip(), text.strip()) if text else ("UNKNOWN", cell.strip())
    return found.group(1), found.group(2).strip()
