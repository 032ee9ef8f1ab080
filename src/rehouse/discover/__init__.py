"""Discovery: profiles, quality findings, owners, files, pipelines and risks of one snapshot."""

from rehouse.discover.discovery import DISCOVERY, DUPLICATES, FINDING_COLUMNS, FINDINGS, Discovery
from rehouse.discover.kinds import KINDS, FindingKind
from rehouse.discover.run import discover

__all__ = ["DISCOVERY", "DUPLICATES", "FINDINGS", "FINDING_COLUMNS", "KINDS", "Discovery", "FindingKind", "discover"]
