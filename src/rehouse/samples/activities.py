"""Activities of a Planports export: CSV parts or one sheet, written as a stream.

Bodies are real e-mails and short notes from pools that are quoted and encoded-checked once, so that a row costs
a few microseconds and memory does not grow with the number of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from rehouse.samples.deals import deal_id
from rehouse.samples.flaws import COLUMN, Planting, spoil
from rehouse.samples.scene import LAST, NOWHERE_CONTACT, OVERLAP_DAYS, Scene, day_of

Row = dict[str, Any]
Values = tuple[int, str, int, int, str, str, str, str, str, int, str, str, str, str]
"""The columns in the order of the layout; subject, body and participants are positions in a `Texts`."""

LEGACY = "cp1254"
"""Encoding of the second part of a flawed export: Windows for Turkish."""

ROWS_PER_PART = 250_000
ACTIVITY_BASE = 1_000_001
NOWHERE_DEAL = 9_900_001
FLUSH = 2_000
CALL, MAIL, MEETING, TASK = range(4)
WEIGHTS = (CALL,) * 7 + (MAIL,) * 7 + (MEETING,) * 3 + (TASK,) * 3

CALL_SUBJECTS = ("Teklif hakkında arama", "İlk görüşme", "Geri arama", "Ödeme hatırlatması", "Randevu teyidi")
MEETING_SUBJECTS = ("Tanıtım toplantısı", "Sözleşme görüşmesi", "Yerinde inceleme", "Değerlendirme toplantısı")
TASK_SUBJECTS = ("Teklif gönder", "Numune hazırla", "Sözleşmeyi takip et", "Müşteriyi ara; sonucu yaz")
NOTES = (
    "Müşteri fiyatı yüksek buldu, ödeme koşulları soruldu.",
    "Karar verici tatilde, önümüzdeki hafta tekrar aranacak.",
    "Ürün örneği istendi; kargo adresi güncellendi.",
    "Rakip teklifle karşılaştırıyorlar.\nSon tarih cuma günü.",
    'Görüşme olumlu: "bu ay içinde imzalarız" dedi.',
    "Ulaşılamadı, sesli mesaj bırakıldı.",
    "Gündem:\n1. Kapsam\n2. Fiyat\n3. Takvim\n\nKararlar: ek teklif hazırlanacak.",
)
OPENINGS = (
    "Merhaba,\n\n{}\n\nİyi çalışmalar dileriz.",
    "Sayın ilgili,\n\naşağıdaki mesaj tarafımıza ulaştı:\n\n{}",
    "{}\n\n-- \nEge Örnek Satış\nÇınar Sok. No: 5, İzmir",
    "{}",
)
RESULTS = {
    CALL: ("Ulaşıldı", "Meşgul", "Ulaşılamadı", "Sesli mesaj"),
    MEETING: ("Yapıldı", "Ertelendi", "Yapıldı"),
}
PLACES = ("Ofis", "Müşteri adresi", "Görüntülü görüşme", "Fuar standı")


class Texts:
    """Subjects, bodies and participants by type of activity, raw and quoted for CSV."""

    def __init__(self, scene: Scene, rng: Random, encoding: str) -> None:
        self.raw: list[str] = [""]
        self.quoted: list[str] = [""]
        self._encoding = encoding
        self._separator = scene.layout.separator("activities", "participants")
        mails = [mail for mail in scene.pools.mails if mail.text]
        bodies = [opening.format(mail.text) for mail in mails for opening in OPENINGS]
        mail_subjects = [*dict.fromkeys(mail.subject for mail in mails if mail.subject), "Teklifiniz hakkında"]
        notes = self._all(NOTES)
        self.bodies = (notes, self._all(bodies), notes, notes)
        self.subjects = tuple(
            self._all(texts) for texts in (CALL_SUBJECTS, mail_subjects, MEETING_SUBJECTS, TASK_SUBJECTS)
        )
        self.participants = self._all([self._people(scene, rng) for _ in range(200)])

    def _people(self, scene: Scene, rng: Random) -> str:
        active = [user.email for user in scene.users if user.state == "active"]
        hosts = [f"info@{company.domain}" for company in scene.companies[:50]]
        return self._separator.join((*rng.sample(active, 2), rng.choice(hosts)))

    def _all(self, texts: list[str] | tuple[str, ...]) -> list[int]:
        places = []
        for text in texts:
            try:
                text.encode(self._encoding)
            except UnicodeEncodeError:
                continue
            places.append(len(self.raw))
            self.raw.append(text)
            self.quoted.append(quote(text))
        return places


def quote(text: str) -> str:
    """A CSV cell, in quotes only where it has to be."""
    if any(letter in text for letter in ';"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


class ActivityComposer:
    """Composes activities for a scene whose contacts and deals are complete."""

    def __init__(self, scene: Scene, *, parts: bool) -> None:
        self.scene = scene
        self.rows_wanted = scene.sizes.activities
        self.parts = max(3, -(-self.rows_wanted // ROWS_PER_PART)) if parts else 1
        self.types = scene.layout.options("activities", "type")
        self.columns = list(scene.layout.headers("activities"))
        self._rng = scene.random("activities")
        self._modern = Texts(scene, scene.random("texts"), "utf-8")
        self._legacy = Texts(scene, scene.random("texts"), LEGACY)
        self._contacts = [str(key) for key in scene.contact_ids]
        self._deals = [deal_id(serial) for serial in scene.deal_serials]
        owners = [scene.owner(row, scene.random(f"owner {row}")) for row in range(960)]
        self._owners = [owner.email for owner in owners]
        self._days = [self._day_text(day) for day in range(LAST + 60)]
        tail = "" if scene.flawed else ":00"
        self._times = [f" {minute // 60:02d}:{minute % 60:02d}{tail}" for minute in range(1440)]
        self._recent: deque[int] = deque(maxlen=20)
        self.plan = scene.book.plan("activities", self.rows_wanted, scene.random("activity flaws"), fits=self._fits)

    def _day_text(self, day: int) -> str:
        return f"{day_of(day):%d.%m.%Y}" if self.scene.flawed else day_of(day).isoformat()

    def _bounds(self, part: int) -> tuple[int, int]:
        """First and past-last row of a part (0-based)."""
        return self.rows_wanted * part // self.parts, self.rows_wanted * (part + 1) // self.parts

    def _encoding(self, part: int) -> str:
        if part == 0:
            return "utf-8-sig"
        return LEGACY if part == 1 and self.scene.flawed else "utf-8"

    def _fits(self, kind: str, row: int) -> bool:
        """Mojibake shows letters that the legacy part cannot hold."""
        first, last = self._bounds(1) if self.parts > 1 else (0, 0)
        return kind != "mojibake" or not first <= row < last

    # -- one row ------------------------------------------------------------------------------------

    def _values(self, number: int, texts: Texts) -> Values:
        """One sound row. Every number drawn comes from one stream, in one order."""
        scene, draw = self.scene, self._rng.random
        kind = WEIGHTS[int(draw() * 20)]
        pick, place = draw(), draw()
        if pick < 0.45 and self._deals:
            at = int(place * len(self._deals))
            deal, since = self._deals[at], scene.deal_days[at]
            contact = self._contacts[scene.deal_contacts[at]] if pick < 0.38 else ""
        else:
            at = int(place * len(self._contacts))
            deal, contact, since = "", self._contacts[at], scene.contact_days[at]
        day = since + int(draw() * (LAST - since))
        minute = 480 + 5 * int(draw() * 132)
        length = 1 + int(draw() * 60)
        end = duration = result = where = ""
        people, done = 0, scene.layout.yes
        if number % 397 == 31:
            kind, day, minute = MAIL, OVERLAP_DAYS[number % 2], 180 + length - 1
            if number not in self.plan:
                scene.overlaps.append(str(ACTIVITY_BASE + number))
        if kind == CALL:
            duration = f"{length:02d}:{minute % 60:02d}"
            result = RESULTS[CALL][length % 4]
        elif kind == MEETING:
            end = self._days[day] + self._times[minute + length]
            duration, where = str(length), PLACES[length % 4]
            result, people = RESULTS[MEETING][length % 3], texts.participants[int(draw() * 200)]
        elif kind == MAIL:
            people = texts.participants[int(draw() * 200)]
        elif length > 48:
            day, done = LAST + length - 48, scene.layout.no
        subjects, bodies = texts.subjects[kind], texts.bodies[kind]
        return (
            ACTIVITY_BASE + number,
            self.types[kind],
            subjects[int(draw() * len(subjects))],
            bodies[int(draw() * len(bodies))],
            self._days[day] + self._times[minute],
            end,
            duration,
            result,
            where,
            people,
            contact,
            deal,
            self._owners[number % 960],
            done,
        )

    def _row(self, values: Values, texts: Texts) -> Row:
        row: Row = dict(zip(self.columns, values, strict=True))
        for name in ("subject", "body", "participants"):
            row[name] = texts.raw[row[name]]
        return row

    def _spoil(self, row: Row, planting: Planting, place: str) -> None:
        """Plant one flaw. `place` is the key of a row without id."""
        book, key = self.scene.book, row["id"]
        if planting.kind == "duplicate_id":
            row["id"] = self._recent.popleft()
            book.add("duplicate_id", "activities", row["id"], "id", f"again in place of {key}")
        elif planting.kind == "blank_id":
            row["id"] = ""
            book.add("blank_id", "activities", place, "id", "no id")
        else:
            if planting.kind == "mojibake":
                row["subject"] = f"Görüşme özeti {planting.turn + 1}"
            nowhere: str | int = NOWHERE_CONTACT + 3_000 + planting.turn
            if planting.field == "deal_id":
                nowhere = deal_id(NOWHERE_DEAL + planting.turn)
            note = spoil(row, planting, blanks=[], nowhere=nowhere)
            row[planting.field] = row[planting.field] or ""
            book.add(planting.kind, "activities", key, planting.field, note)

    # -- as CSV parts -------------------------------------------------------------------------------

    def write_parts(self, folder: Path) -> list[Path]:
        """Write all parts: `;` separated, CRLF between records, bare newlines inside quoted cells."""
        paths = []
        for part in range(self.parts):
            path = folder / self.scene.layout.part_name("activities", part + 1)
            self._write_part(path, part)
            paths.append(path)
            if self._encoding(part) == LEGACY:
                self.scene.book.add("encoding", "activities", path.name, "", f"the bytes are {LEGACY}")
        self._note_dates()
        return paths

    def _write_part(self, path: Path, part: int) -> None:
        first, last = self._bounds(part)
        encoding = self._encoding(part)
        texts = self._legacy if encoding == LEGACY else self._modern
        headers = self.scene.layout.headers("activities")
        lines = [";".join(headers[name] for name in self.columns)]
        quoted, recent, plan, codec = texts.quoted, self._recent, self.plan, encoding.removesuffix("-sig")
        with path.open("wb") as out:
            if encoding == "utf-8-sig":
                out.write(b"\xef\xbb\xbf")
            for number in range(first, last):
                values = self._values(number, texts)
                if number in plan:
                    row = self._row(values, texts)
                    self._spoil(row, plan[number], f"row:{path.name}:{number - first + 2}")
                    lines.append(";".join(quote(str(row[name])) for name in self.columns))
                else:
                    key, kind, subject, body, *times, people, contact, deal, owner, done = values
                    recent.append(key)
                    lines.append(
                        f"{key};{kind};{quoted[subject]};{quoted[body]};{';'.join(times)};{quoted[people]};"
                        f"{contact};{deal};{owner};{done}"
                    )
                if len(lines) >= FLUSH:
                    out.write(("\r\n".join(lines) + "\r\n").encode(codec))
                    lines.clear()
            if lines:
                out.write(("\r\n".join(lines) + "\r\n").encode(codec))

    # -- as a sheet ---------------------------------------------------------------------------------

    def rows(self, first_sheet_row: int) -> Iterator[Row]:
        """All rows for a sheet; ids are numbers there."""
        for number in range(self.rows_wanted):
            row = self._row(self._values(number, self._modern), self._modern)
            if number in self.plan:
                self._spoil(row, self.plan[number], f"row:{first_sheet_row + number}")
            else:
                self._recent.append(row["id"])
            if isinstance(row["contact_id"], str) and row["contact_id"]:
                row["contact_id"] = int(row["contact_id"])
            yield row
        self._note_dates()

    def _note_dates(self) -> None:
        for name in ("start", "end"):
            self.scene.book.add("local_date", "activities", COLUMN, name, "text as DD.MM.YYYY HH:MM")
