"""sObject Collections: up to 200 records a call, each with its own result, in the order they were sent.

Source: REST API Developer Guide "sObject Collections": the answer lists one result per record "in the order of
the request". With `allOrNone` false a refused record does not touch the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from rehouse.connectors.base import Op, Part
from rehouse.connectors.salesforce import limits
from rehouse.connectors.salesforce.catalog import Describes
from rehouse.connectors.salesforce.session import NO_ASSIGNMENT, Session
from rehouse.connectors.salesforce.values import to_json
from rehouse.connectors.salesforce.write import columns_of, outcome_table
from rehouse.errors import FatalError, OutcomeUnknownError, RehouseError
from rehouse.model import Kind
from rehouse.wire import Call

Row = Mapping[str, Any]


class RowWriter:
    """Parts of kind ROWS at one org."""

    def __init__(self, session: Session, describes: Describes) -> None:
        self._session, self._describes = session, describes

    def write(self, part: Part) -> pa.Table:
        """Write all rows and return their outcomes.

        Errors: `OutcomeUnknownError` when an answer was lost, or when a later call failed after an earlier one
        had written; anything else only while nothing is written.
        """
        results: list[Row] = []
        self._session.budget.require("calls", -(-part.rows // limits.COLLECTION_ROWS))
        for start in range(0, part.rows, limits.COLLECTION_ROWS):
            piece = part.table.slice(start, limits.COLLECTION_ROWS)
            try:
                results += self._send(part, piece)
            except OutcomeUnknownError:
                raise
            except RehouseError as refused:
                if start == 0:
                    raise
                raise OutcomeUnknownError(
                    f"{part.object}: {start} of {part.rows} rows were written, then: {refused.message}",
                    hint="ask the target what it holds before sending again",
                ) from refused
        return to_outcomes(part, results)

    def _send(self, part: Part, piece: pa.Table) -> Sequence[Row]:
        results = self._session.send(self._call(part, piece)).json()
        if len(results) != piece.num_rows:
            raise OutcomeUnknownError(
                f"{part.object}: {piece.num_rows} records were sent and {len(results)} results came back"
            )
        if part.op is not Op.INSERT:
            _check_ids(piece, results)
        return list(results)

    def _call(self, part: Part, piece: pa.Table) -> Call:
        if part.op is Op.DELETE:
            ids = quote(",".join(piece["Id"].to_pylist()), safe=",")
            return Call("DELETE", f"/composite/sobjects?ids={ids}&allOrNone=false", headers=NO_ASSIGNMENT)
        body = {"allOrNone": False, "records": list(self.records(part, piece))}
        method = "POST" if part.op is Op.INSERT else "PATCH"
        return Call(method, "/composite/sobjects", headers=NO_ASSIGNMENT, json=body)

    def records(self, part: Part, piece: pa.Table) -> Iterator[dict[str, Any]]:
        """JSON records: typed values; nulls are left out, or sent for the fields in `part.clear`."""
        obj = self._describes.get(part.object)
        names = columns_of(part)
        kinds = {name: found.kind if (found := obj.field(name)) else Kind.TEXT for name in names}
        for row in piece.select(names).to_pylist():
            values = {
                name: to_json(value, kinds[name])
                for name, value in row.items()
                if value is not None or (name in part.clear and part.op is Op.UPDATE)
            }
            yield {"attributes": {"type": part.object}, **values}


def _check_ids(piece: pa.Table, results: Sequence[Row]) -> None:
    """The order is documented; where an answer names an id it must be the one that was sent."""
    for sent, result in zip(piece["Id"].to_pylist(), results, strict=True):
        if result.get("success") and result.get("id") and str(result["id"])[:15] != str(sent)[:15]:
            raise FatalError("results came back in another order than sent", hint="report this; nothing was guessed")


def to_outcomes(part: Part, results: Sequence[Row]) -> pa.Table:
    """Outcomes of results that stand in the order of the part's rows."""
    errors = [(one.get("errors") or [{}])[0] for one in results]
    ok = [bool(one.get("success")) for one in results]
    codes = [str(one.get("statusCode") or one.get("errorCode") or "UNKNOWN") for one in errors]
    return outcome_table(
        part.table["_key"],
        pa.array([one.get("id") if good else None for one, good in zip(results, ok, strict=True)], pa.string()),
        pa.array(ok, pa.bool_()),
        pa.array(codes, pa.string()),
        pa.array([str(one.get("message") or "") for one in errors], pa.string()),
    )
