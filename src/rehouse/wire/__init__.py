"""HTTP for connectors: one plain-Python facade, retries, and a count of what a platform allows.

Not for servers, and not for anything that knows a platform: status codes get their meaning from the connector.
"""

from rehouse.wire.budget import Budget, BudgetError
from rehouse.wire.http import Answer, Call, FormPart, Http
from rehouse.wire.retry import Patience

__all__ = ["Answer", "Budget", "BudgetError", "Call", "FormPart", "Http", "Patience"]
