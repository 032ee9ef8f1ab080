"""Readers of files: workbooks and CSV. They find headers, guard against damage, and write text; no meaning."""

from rehouse.formats.csv import read_csv
from rehouse.formats.part import Part, TotalRow
from rehouse.formats.workbook import SheetPlan, plan_sheets, read_workbook

__all__ = ["Part", "SheetPlan", "TotalRow", "plan_sheets", "read_csv", "read_workbook"]
