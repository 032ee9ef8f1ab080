"""Sample data: a small licensed subset of public data, and composers of exports made from it.

`rehouse.samples.planports.compose` writes a whole Planports export with deliberately planted flaws, the
answer key to them, and a document that pre-populates a target sandbox. `rehouse.samples.broken.broken_inputs`
writes inputs that a reader must refuse. `python -m rehouse.samples --out DIR` does the first from a shell.
Origins and licences of the data are in `data/NOTICES.md`.
"""
