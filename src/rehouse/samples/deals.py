"""Deals of a Planports export, built on the published sales pipeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from rehouse.samples.flaws import Planting, spoil
from rehouse.samples.people import REFERRER_COLUMN, REFERRERS
from rehouse.samples.pools import PipelineRow
from rehouse.samples.scene import LAST, NOWHERE_CONTACT, Scene, User, day_of, office_minute

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stages:
    """A sales process: open stages with their probability in percent, then the stage won and the stage lost."""

    name: str
    open: tuple[tuple[str, int], ...]
    won: str
    lost: str


PIPELINES = (
    Stages(
        "Satış",
        (("İlk Görüşme", 10), ("İhtiyaç Analizi", 25), ("Teklif Verildi", 50), ("Pazarlık", 75)),
        "Satış Kapandı",
        "Kaybedildi",
    ),
    Stages(
        "Kurumsal",
        (("Ön Değerlendirme", 15), ("Demo", 30), ("Teklif Verildi", 60), ("Sözleşme", 85)),
        "İmzalandı",
        "Vazgeçildi",
    ),
)
"""Six stages each; `Teklif Verildi` is in both, with different probabilities."""

CURRENCIES = ("TRY",) * 7 + ("EUR",) * 2 + ("USD",)
TRY_RATE = 35
"""Liras to one unit of the published pipeline's currency; a plausible size, not an exchange rate."""

PACKAGE_COLUMN, CLINIC_COLUMN, SPEND_COLUMN = "Tedavi Paketi", "Klinik No", "Reklam Harcaması"
PACKAGES = ("Saç Ekimi", "Diş İmplant", "Göz Lazer", "Check-up", "Rinoplasti")
LOSS_REASONS = ("Fiyat yüksek", "Rakip seçildi", "Bütçe yok", "Ulaşılamadı")
WIN_REASONS = ("Referans", "Fiyat", "Hızlı teslim", "Servis kalitesi")


def deal_id(serial: int) -> str:
    return f"F-{serial:06d}"


def decimal_text(hundredths: int) -> str:
    """`1.234,56`: thousands by dots, decimals by a comma."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole:,}".replace(",", ".") + f",{rest:02d}"


class DealComposer:
    """Composes deals row by row; adds up the amounts as the source's own screens would show them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.rng = scene.random("deals")
        self.plan = scene.book.plan("deals", scene.sizes.deals, scene.random("deal flaws"))
        self.open, self.won, self.lost = scene.layout.options("deals", "status")
        self.total = 0

    def rows(self) -> Iterator[Row]:
        """All rows of the sheet without the total row."""
        pipeline = self.scene.pools.pipeline
        recent: deque[str] = deque(maxlen=20)
        for number in range(self.scene.sizes.deals):
            planting = self.plan.get(number)
            source = pipeline[number % len(pipeline)]
            row = self._deal(number, source, closed=bool(planting and planting.field == "closed_on"))
            if planting:
                self._spoil(row, planting, recent)
            else:
                recent.append(row["id"])
            self._settle(row, number, planting)
            yield row

    def total_row(self) -> Row:
        """The row that spreadsheets end with. It adds up different currencies, as such rows do."""
        return {"id": self.scene.layout.total_label, "amount": self.total / 100}

    def _deal(self, number: int, source: PipelineRow, *, closed: bool) -> Row:
        rng, scene = self.rng, self.scene
        target = int(rng.random() * len(scene.contact_ids))
        known = scene.contact_days[target]
        company = scene.contact_companies[target]
        stages = PIPELINES[rng.random() < 0.35]
        owner = scene.owner(number, rng)
        is_open = source.stage not in ("Won", "Lost") and not closed
        created, closing = self._days(known, source.days, is_open=is_open)
        row: Row = {
            "id": deal_id(number + 1),
            "title": f"{source.product} - {scene.companies[company].base if company >= 0 else 'Bireysel'}",
            "contact_id": scene.contact_ids[target],
            "pipeline": stages.name,
            **self._money(source),
            **self._closing(source, stages, closing, is_open=is_open),
            **self._stamps(owner, created, closing if not is_open else LAST - 1),
            "_target": target,
            "_day": created,
        }
        if rng.random() < 0.3:
            row |= {PACKAGE_COLUMN: rng.choice(PACKAGES), CLINIC_COLUMN: f"K-{1 + int(rng.random() * 60):03d}"}
        if rng.random() < 0.2:
            row[SPEND_COLUMN] = 250 * (1 + int(rng.random() * 40))
        return row

    def _days(self, known: int, cycle: int, *, is_open: bool) -> tuple[int, int]:
        """First and closing day: after the contact is known, closed before the export, open ones recent."""
        rng = self.rng
        if is_open:
            created = max(known, LAST - 10 - int(rng.random() * 180))
            return created, LAST + 5 + int(rng.random() * 150)
        created = known + int(rng.random() * max(1, LAST - 5 - cycle - known))
        return created, min(created + cycle, LAST - 2)

    def _money(self, source: PipelineRow) -> Row:
        """Amounts as text with decimal comma or as numbers; a sound export has whole numbers only."""
        rng = self.rng
        currency = rng.choice(CURRENCIES)
        hundredths = 100 * source.value * (TRY_RATE if currency == "TRY" else 1)
        if self.scene.flawed:
            hundredths += rng.choice((0, 25, 50, 90, 99))
        as_text = self.scene.flawed and rng.random() < 0.6
        amount: str | float = decimal_text(hundredths) if as_text else hundredths / 100
        return {"amount": amount, "currency": currency, "_hundredths": hundredths}

    def _closing(self, source: PipelineRow, stages: Stages, closing: int, *, is_open: bool) -> Row:
        rng = self.rng
        expected = day_of(closing + (0 if is_open else rng.choice((-9, 0, 0, 14))))
        if is_open:
            stage, probability = rng.choice(stages.open)
            return {
                "stage": stage, "probability": probability, "status": self.open, "expected_close": expected,
                "closed_on": None,
            }  # fmt: skip
        won = source.stage == "Won"
        day = day_of(closing)
        return {
            "stage": stages.won if won else stages.lost,
            "probability": 100 if won else 0,
            "status": self.won if won else self.lost,
            "expected_close": expected,
            "closed_on": f"{day:%d.%m.%Y}" if self.scene.flawed else day,
            "win_reason" if won else "loss_reason": rng.choice(WIN_REASONS if won else LOSS_REASONS),
        }

    def _stamps(self, owner: User, created: int, updated: int) -> Row:
        rng, scene = self.rng, self.scene
        return {
            "owner": owner.full_name,
            "owner_email": owner.email,
            "created_at": scene.stamp(created, office_minute(rng), text=False),
            "updated_at": scene.stamp(max(created, updated), 1140 + int(rng.random() * 60), text=rng.random() < 0.5),
        }

    def _spoil(self, row: Row, planting: Planting, recent: deque[str]) -> None:
        book, key = self.scene.book, row["id"]
        if planting.kind == "duplicate_id":
            row["id"] = recent.popleft()
            book.add("duplicate_id", "deals", row["id"], "id", f"again in place of {key}")
            return
        if planting.kind == "mojibake":
            row["title"] = row["title"].split(" - ")[0] + " - Güneş Işıkları"
        if planting.kind == "unparsable_number":
            row["_hundredths"] = 0  # the source's own sum leaves out what is not a number
        note = spoil(
            row, planting, blanks=self.scene.layout.empty_values, nowhere=NOWHERE_CONTACT + 2_000 + planting.turn
        )
        book.add(planting.kind, "deals", key, planting.field, note)

    def _settle(self, row: Row, number: int, planting: Planting | None) -> None:
        scene = self.scene
        hundredths, target, day = row.pop("_hundredths"), row.pop("_target"), row.pop("_day")
        self.total += hundredths
        scene.deal_sums[row["currency"]] = scene.deal_sums.get(row["currency"], 0) + hundredths
        if planting is None or planting.kind not in ("duplicate_id", "missing_required", "dangling_reference"):
            scene.deal_serials.append(number + 1)
            scene.deal_contacts.append(target)
            scene.deal_days.append(day)


def custom_field_rows(scene: Scene) -> Iterator[Row]:
    """The definitions of the custom columns, one row each."""
    text, _, _, choice, _, money, _ = scene.layout.options("custom_fields", "type")
    between = scene.layout.separator("custom_fields", "options")
    deals, contacts = scene.layout.sheet("deals"), scene.layout.sheet("contacts")
    for sheet, name, kind, options in (
        (deals, PACKAGE_COLUMN, choice, PACKAGES),
        (deals, CLINIC_COLUMN, text, ()),
        (deals, SPEND_COLUMN, money, ()),
        (contacts, REFERRER_COLUMN, choice, REFERRERS),
    ):
        yield {
            "object": sheet, "field": name, "type": kind, "options": between.join(options) or None,
            "required": scene.layout.no,
        }  # fmt: skip


def invoice_rows(rng: Random) -> Iterator[list[str | float]]:
    """Rows of the pre-accounting module, header first. Out of scope for a CRM migration."""
    yield ["Fatura No", "Cari", "Tutar", "KDV %", "Tarih"]
    for number in range(25):
        yield [f"FTR-2026/{number + 1:04d}", "Muhtelif", round(rng.random() * 90_000, 2), 20, "03.02.2026"]
