"""The shipped public data, read once: names, companies, places, a sales pipeline, raw e-mails."""

from __future__ import annotations

import csv
import email
import email.policy
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

BUSINESS_TITLE = re.compile(r"müdür|uzman|yönetici|mühendis|danışman|sorumlu|temsilci|asistan|muhasebe|avukat")
"""Job titles of this shape are used for contacts; the full list also holds colonels and watchmakers."""

MOJIBAKE = re.compile("[ÂÃÄÅ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u2013-\u203a\u20ac\u2122]")
"""UTF-8 read as Windows-1252: a lead byte C2-C5 followed by what a continuation byte looks like there."""

LONGEST_BODY = 4_000
"""Characters of one activity body. Longer e-mails are left out rather than cut in mid-sentence."""

_FOLD = str.maketrans("çğıöşüâîûÇĞİÖŞÜÂÎÛ", "cgiosuaiuCGIOSUAIU")


@dataclass(frozen=True, slots=True)
class Province:
    """A Turkish province: its name and the landline area code of its centre."""

    name: str
    area_code: str


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """One row of the public sales pipeline. `days` is the cycle length, `value` whole currency units."""

    product: str
    account: str
    stage: str
    days: int
    value: int


@dataclass(frozen=True, slots=True)
class RawMail:
    """One public e-mail: file name, bytes as found, decoded subject and text (both may be empty)."""

    name: str
    data: bytes
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Pools:
    """Everything the composers draw from. Order is the order of the files, so draws are repeatable."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    companies: tuple[str, ...]
    suffixes: tuple[str, ...]
    titles: tuple[str, ...]
    provinces: tuple[Province, ...]
    pipeline: tuple[PipelineRow, ...]
    mails: tuple[RawMail, ...]


def fold(text: str) -> str:
    """ASCII letters for Turkish ones and no other accents: `Şişecam` gives `Sisecam`."""
    plain = unicodedata.normalize("NFD", text.translate(_FOLD))
    return "".join(letter for letter in plain if ord(letter) < 128)


def slug(text: str) -> str:
    """Lower-case ASCII letters and digits only, for e-mail local parts and domains."""
    return re.sub(r"[^a-z0-9]", "", fold(text).lower())


def upper(text: str) -> str:
    """Upper case by Turkish rules: i gives İ, ı gives I."""
    return text.replace("i", "İ").replace("ı", "I").upper()


def _data() -> Traversable:
    return files("rehouse.samples") / "data"


def _rows(*path: str) -> list[dict[str, str]]:
    text = _data().joinpath(*path).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _column(*path: str) -> tuple[str, ...]:
    rows = _rows(*path)
    name = next(iter(rows[0]))
    return tuple(dict.fromkeys(row[name].strip() for row in rows))


def _pipeline() -> tuple[PipelineRow, ...]:
    folder = "crm_sales_opportunities"
    price = {row["product"]: int(row["sales_price"]) for row in _rows(folder, "products.csv")}
    known = {name.replace(" ", ""): name for name in price}
    made = []
    for row in _rows(folder, "sales_pipeline.csv"):
        product = known[row["product"].replace(" ", "")]  # the pipeline spells "GTX Pro" without its blank
        won = int(float(row["close_value"] or 0))
        made.append(
            PipelineRow(
                product=product,
                account=row["account"],
                stage=row["deal_stage"],
                days=_days_between(row["engage_date"], row["close_date"]),
                value=won if row["deal_stage"] == "Won" and won else price[product],
            )
        )
    return tuple(made)


def _days_between(start: str, end: str) -> int:
    if not start or not end:
        return 60
    return max(1, (date.fromisoformat(end) - date.fromisoformat(start)).days)


def _clean(text: str) -> str:
    """Unix line ends, tabs and printable characters only; neither blanks nor empty lines at the ends."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unix if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Co")).strip()


def _mail(entry: Traversable) -> RawMail:
    data = entry.read_bytes()
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)  # the default policy makes no other
    part = message.get_body(("plain", "html"))
    text = _clean(str(part.get_content())) if part is not None else ""
    subject = " ".join(_clean(str(message["subject"] or "")).split())
    usable = len(text) <= LONGEST_BODY and "\ufffd" not in text and not MOJIBAKE.search(text)
    if "\ufffd" in subject or MOJIBAKE.search(subject):
        subject = ""
    return RawMail(entry.name, data, subject[:120], text if usable else "")


@cache
def pools() -> Pools:
    """Read the shipped data. Cached: a second call costs nothing."""
    jobs = _column("turkish", "jobs.csv")
    entries = sorted(_data().joinpath("emails").iterdir(), key=lambda entry: entry.name)
    return Pools(
        given=_column("turkish", "given_names.csv"),
        family=_column("turkish", "family_names.csv"),
        companies=_column("turkish", "companies.csv"),
        suffixes=_column("turkish", "company_suffixes.csv"),
        titles=tuple(job for job in jobs if BUSINESS_TITLE.search(job.lower())),
        provinces=tuple(Province(row["name"], row["area_code"]) for row in _rows("turkish", "provinces.csv")),
        pipeline=_pipeline(),
        mails=tuple(_mail(entry) for entry in entries if entry.name.endswith(".eml")),
    )
