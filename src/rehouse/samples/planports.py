"""Composes a Planports export from the shipped public data, with an answer key to every flaw in it.

The export follows the layout in the platform's knowledge, which is a design of ours: no vendor document
describes the real one. People, companies and deals are fictitious combinations of published lists.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

from rehouse.errors import UsageError
from rehouse.samples.activities import ActivityComposer
from rehouse.samples.attachments import file_rows
from rehouse.samples.deals import (
    CLINIC_COLUMN,
    PACKAGE_COLUMN,
    SPEND_COLUMN,
    DealComposer,
    custom_field_rows,
    invoice_rows,
)
from rehouse.samples.flaws import COLUMN, FlawBook, fewest_rows
from rehouse.samples.layout import export_layout
from rehouse.samples.people import (
    REFERRER_COLUMN,
    ContactComposer,
    lead_rows,
    make_companies,
    make_users,
    user_rows,
)
from rehouse.samples.scene import Scene, Sizes
from rehouse.samples.seed_target import target_seed
from rehouse.samples.write_workbook import ExportWorkbook, first_data_row

WORKBOOK = "planports_export_ege_20261120.xlsx"
TAKEN_AT = "2026-11-20T18:00:00+03:00"
CONTACTS_TITLE = "Planports - Dışa aktarım 20.11.2026"

TEXT_DATES = (
    ("contacts", "updated_at"), ("contacts", "last_whatsapp_at"), ("leads", "created_at"), ("deals", "closed_on"),
    ("deals", "updated_at"), ("files", "uploaded_at"),
)  # fmt: skip
"""Columns of the workbook that a flawed export fills with text dates."""

MOST_ROWS = 1_000_000
"""Rows of one object on a sheet; Excel's own limit is 1,048,576."""

ZIP_TIME = (2026, 11, 20, 18, 0, 0)


@dataclass(frozen=True, slots=True)
class Composed:
    """What was written and where. `archive` is None unless asked for; `flaws` counts the planted ones by kind."""

    out: Path
    export: Path
    workbook: Path
    control_totals: Path
    answer_key: Path
    target_seed: Path
    archive: Path | None
    sizes: Sizes
    flaws: dict[str, int]


def compose(
    out: Path,
    *,
    contacts: int = 600,
    leads: int | None = None,
    deals: int | None = None,
    activities: int | None = None,
    files: int | None = None,
    seed: int = 7,
    language: str = "tr",
    flaws: bool = True,
    activities_as: Literal["csv", "xlsx"] = "csv",
    zip: bool = False,  # noqa: A002
) -> Composed:
    """Write an export below `out/export`, and beside it `answer-key.json` and `target-seed.json`.

    Sizes are data rows as they stand in the export, spoilt ones included; those not given follow from `contacts`
    (a third as many leads, two thirds deals, five times activities, a tenth files). The same arguments write the
    same cells, the same CSV bytes and the same answer key. Sheet and column names are in `language` (`tr`, `en`);
    values stay Turkish. Without `flaws` the export is sound: real dates, whole amounts, UTF-8, an empty key.
    An existing `out/export` is replaced. Raises UsageError for sizes that cannot be composed.
    """
    sizes = _sizes(contacts, leads, deals, activities, files)
    _check(sizes, flaws, activities_as)
    scene = Scene(sizes=sizes, seed=seed, layout=export_layout(language), book=FlawBook(enabled=flaws))
    export = out / "export"
    if export.exists():
        shutil.rmtree(export)
    export.mkdir(parents=True)
    workbook = export / WORKBOOK
    _write_export(scene, export, workbook, activities_as)
    result = Composed(
        out=out,
        export=export,
        workbook=workbook,
        control_totals=export / "control_totals.yaml",
        answer_key=out / "answer-key.json",
        target_seed=out / "target-seed.json",
        archive=out / f"{workbook.stem}.zip" if zip else None,
        sizes=sizes,
        flaws=scene.book.counts(),
    )
    _write_control_totals(scene, result.control_totals)
    _write_json(result.answer_key, _answer_key(scene))
    _write_json(result.target_seed, target_seed(scene))
    if result.archive:
        _pack(export, result.archive)
    return result


def _sizes(contacts: int, leads: int | None, deals: int | None, activities: int | None, files: int | None) -> Sizes:
    return Sizes(
        contacts=contacts,
        leads=contacts // 3 if leads is None else leads,
        deals=contacts * 2 // 3 if deals is None else deals,
        activities=contacts * 5 if activities is None else activities,
        files=max(12, contacts // 10) if files is None else files,
    )


def _check(sizes: Sizes, flaws: bool, activities_as: str) -> None:
    """Refuse sizes that are too small for the planted flaws or too large for a sheet."""
    for name in ("contacts", "leads", "deals", "activities", "files"):
        least = max(60 if name == "contacts" else 10, fewest_rows(name) if flaws else 0)
        rows = getattr(sizes, name)
        if rows < least:
            raise UsageError(
                f"{rows} {name} are too few for this export; it takes at least {least}",
                hint="ask for more rows" + (", or compose without flaws" if flaws else ""),
            )
        if rows > MOST_ROWS and (name != "activities" or activities_as == "xlsx"):
            raise UsageError(
                f"{rows:,} {name} do not fit on one sheet; at most {MOST_ROWS:,} are composed",
                hint="ask for fewer rows; activities have no such limit as csv parts",
            )


def _write_export(scene: Scene, export: Path, workbook: Path, activities_as: Literal["csv", "xlsx"]) -> None:
    make_users(scene)
    make_companies(scene)
    if scene.flawed:
        scene.book.add("decimal_comma", "deals", COLUMN, "amount", "text like 1.234,56 between numbers")
        for owner, name in TEXT_DATES:
            scene.book.add("local_date", owner, COLUMN, name, "text as DD.MM.YYYY")
    with ExportWorkbook(workbook, scene.layout) as book:
        book.write_object("users", user_rows(scene))
        composer = ContactComposer(scene, first_data_row(CONTACTS_TITLE))
        book.write_object("contacts", composer.rows(), custom=[REFERRER_COLUMN], title=CONTACTS_TITLE)
        book.write_object("leads", lead_rows(scene))
        _write_deals(scene, book)
        if activities_as == "xlsx":
            sheet = ActivityComposer(scene, parts=False)
            book.write_object("activities", sheet.rows(first_data_row("")))
        book.write_object("files", file_rows(scene, export / scene.layout.files_folder))
        book.write_object("custom_fields", custom_field_rows(scene))
        book.write_hidden(scene.layout.ignored_sheet, invoice_rows(scene.random("invoices")))
    if activities_as == "csv":
        ActivityComposer(scene, parts=True).write_parts(export)


def _write_deals(scene: Scene, book: ExportWorkbook) -> None:
    composer = DealComposer(scene)

    def rows() -> Any:
        yield from composer.rows()
        yield composer.total_row()

    book.write_object("deals", rows(), custom=[PACKAGE_COLUMN, CLINIC_COLUMN, SPEND_COLUMN])


def _write_control_totals(scene: Scene, path: Path) -> None:
    """What a person would copy from the source's screens: records per object, deal amounts per currency.

    Every row of the export is a record there. An amount that is not a number counts as zero.
    """
    sizes = scene.sizes
    counts = {
        "users": sum(user.state != "unknown" for user in scene.users),
        "contacts": sizes.contacts,
        "leads": sizes.leads,
        "deals": sizes.deals,
        "activities": sizes.activities,
        "files": sizes.files,
    }
    sums = {code: f"{total // 100}.{total % 100:02d}" for code, total in sorted(scene.deal_sums.items())}
    document = {"taken_at": TAKEN_AT, "counts": counts, "sums": {"deals": {"amount": sums}}}
    with path.open("w", encoding="utf-8") as out:
        out.write("# Read from the source's own screens when the export was taken.\n")
        YAML().dump(document, out)


def _answer_key(scene: Scene) -> dict[str, Any]:
    """The planted flaws, and truths about sound data that a migration has to find out by itself.

    `truth.companies` lists the contacts of each company (ids as text, the firm's own record included),
    `truth.firms` the contact that is the company itself, `truth.ambiguous_times` the activities whose start lies
    in an hour that came twice.
    """
    sizes = scene.sizes
    names = {company.id: company.name for company in scene.companies}
    return {
        "seed": scene.seed,
        "sizes": {name: getattr(sizes, name) for name in ("contacts", "leads", "deals", "activities", "files")},
        "counts": scene.book.counts(),
        "flaws": scene.book.as_rows(),
        "truth": {
            "companies": scene.members,
            "company_names": names,
            "firms": scene.firms,
            "ambiguous_times": scene.overlaps,
        },
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as out:
        json.dump(document, out, ensure_ascii=False, indent=1)
        out.write("\n")


def _pack(folder: Path, archive: Path) -> None:
    """All files of a folder in one archive, in a fixed order and with a fixed time."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, packed.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
