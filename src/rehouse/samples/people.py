"""Users, companies, contacts and leads of a Planports export."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

from rehouse.samples.flaws import Planting, spoil
from rehouse.samples.pools import fold, slug, upper
from rehouse.samples.scene import (
    CONTACT_BASE,
    LAST,
    NOWHERE_CONTACT,
    Company,
    Person,
    Scene,
    User,
    landline,
    mobile,
    office_minute,
    phone_text,
)

Row = dict[str, Any]

REFERRER_COLUMN = "Yönlendiren Kaynak"
REFERRERS = ("Tavsiye", "Fuar", "Web Sitesi", "Sosyal Medya", "Acente")
TAGS = ("vip", "bayi", "fuar 2024", "sağlık turizmi", "tedarikçi", "aranacak", "kurumsal")
TRADES = (
    "İnşaat", "Lojistik", "Gıda", "Tekstil", "Mobilya", "Turizm", "Yazılım", "Sağlık Hizmetleri", "Otomotiv",
    "Enerji", "Tarım", "Kimya", "Reklam", "Gayrimenkul", "Danışmanlık", "Ambalaj", "Makine", "Elektronik",
)  # fmt: skip
STREETS = ("Atatürk Cad.", "Cumhuriyet Cad.", "İnönü Cad.", "Gazi Bulvarı", "Çınar Sok.", "Güneş Sok.", "Lale Sok.")
DISTRICTS = ("Merkez", "Yenişehir", "Çamlık", "Bahçelievler", "Kültür")
CAMPAIGNS = ("Bahar Kampanyası", "Diş Tedavisi 2025", "Saç Ekimi Almanya", "Kurumsal Tanıtım", "Yeni Yıl")
TEAMS = ("Ege", "Marmara", "Kurumsal Satış")
MAIL_HOSTS = ("posta.example", "eposta.example", "mektup.example")
SERIAL_PHONE2, SERIAL_LEADS, SERIAL_SECOND = 3_000_000, 5_000_000, 8_000_000
"""Phone serials of contacts start at 0; these keep the other uses apart, up to two million rows each."""

LEAD_BASE = 500_001


def make_users(scene: Scene) -> None:
    """8 to 40 active users, and with flaws two departed ones and two that the user list does not know."""
    rng = scene.random("users")
    active = max(8, min(40, scene.sizes.contacts // 60))
    states = ["active"] * active + (["departed"] * 2 + ["unknown"] * 2 if scene.flawed else [])
    for number, state in enumerate(states):
        given, family = rng.choice(scene.pools.given), rng.choice(scene.pools.family)
        role = "Yönetici" if number == 0 else "Satış Temsilcisi"
        address = f"{slug(given)}.{slug(family)}@ege-ornek.example"
        while any(user.email == address for user in scene.users):
            address = "s" + address
        scene.users.append(User(f"{given} {family}", address, role, TEAMS[number % len(TEAMS)], state))
        if state == "departed":
            scene.book.add("departed_owner", "users", address, "active", "inactive, still owns records")
        elif state == "unknown":
            scene.book.add("unknown_owner", "users", address, "email", "owns records, is not listed")


def user_rows(scene: Scene) -> Iterator[Row]:
    for user in scene.users:
        if user.state != "unknown":
            active = scene.layout.yes if user.state == "active" else scene.layout.no
            yield {
                "full_name": user.full_name, "email": user.email, "role": user.role, "team": user.team,
                "active": active,
            }  # fmt: skip


def make_companies(scene: Scene) -> None:
    """One company to eight contacts: the published names first, then family names with a trade and a place."""
    rng = scene.random("companies")
    joint, limited, trade, industry, partnership = scene.pools.suffixes
    endings = (joint, joint, f"{limited} {partnership}", f"{industry} ve {trade} {joint}",
               f"{industry} ve {trade} {limited} {partnership}")  # fmt: skip
    domains: set[str] = set()
    wanted = max(4, scene.sizes.contacts // 8)
    for number, base in enumerate(_company_names(scene, rng, wanted)):
        host = slug("".join(base.split()[:2]))
        while host in domains:
            host += str(number)
        domains.add(host)
        area = rng.choice(scene.pools.provinces).area_code
        company = Company(
            id=f"C{number + 1:05d}", base=base, suffix=rng.choice(endings), domain=f"{host}.example",
            landline=landline(area, number),
        )  # fmt: skip
        scene.companies.append(company)
        scene.members[company.id] = []


def _company_names(scene: Scene, rng: Random, wanted: int) -> list[str]:
    """Distinct names, also when case, accents and blanks are taken away."""
    names = list(scene.pools.companies[:wanted])
    taken = {slug(name) for name in names}
    turn = 0
    while len(names) < wanted:
        parts = [rng.choice(scene.pools.family), rng.choice(TRADES)]
        if turn % 3 or len(names) > 600:
            parts.insert(0, rng.choice(scene.pools.provinces).name)
        if len(names) > 20_000:
            parts.insert(1, rng.choice(scene.pools.given))
        turn += 1
        name = " ".join(parts)
        if slug(name) not in taken:
            taken.add(slug(name))
            names.append(name)
    return names


def company_text(company: Company, rng: Random) -> str:
    """The company as somebody typed it: official, other suffix, capitals, no accents, stray blanks."""
    pick = rng.random()
    if pick < 0.55:
        return company.name
    short = company.suffix.replace(".", "")
    if pick < 0.65:
        return f"{company.base} {short}"
    if pick < 0.75:
        return upper(f"{company.base} {short}")
    if pick < 0.83:
        return company.base
    if pick < 0.88:
        return f"{company.name}  "
    if pick < 0.92:
        return f"{company.base}\u00a0{company.suffix}"
    if pick < 0.96:
        return fold(company.name)
    return f" {company.base}  {company.suffix}"


def _tax_number(number: int) -> str:
    """A ten-digit number with the check digit of Turkish tax numbers."""
    digits = f"{100_000_000 + number * 7_919 % 900_000_000}"
    total = 0
    for place, digit in enumerate(digits):
        moved = (int(digit) + 9 - place) % 10
        total += 9 if moved == 9 else moved * 2 ** (9 - place) % 9
    return digits + str((10 - total % 10) % 10)


class ContactComposer:
    """Composes contacts row by row and leaves in the scene what other objects refer to."""

    def __init__(self, scene: Scene, first_sheet_row: int) -> None:
        self.scene = scene
        self.first_sheet_row = first_sheet_row
        self.person, self.firm = scene.layout.options("contacts", "kind")
        self.incoming, self.outgoing = scene.layout.options("contacts", "whatsapp_direction")
        self.rng = scene.random("contacts")
        rows = scene.sizes.contacts
        self.plan = scene.book.plan("contacts", rows, scene.random("contact flaws"))
        self.firm_rows = self._place_firms(rows)
        free = [row for row in range(rows) if row not in self.plan and row not in self.firm_rows]
        wanted = min(len(free), max(2, scene.sizes.leads // 10))
        self.converted = set(scene.random("converted").sample(free, wanted))
        self.recent: deque[tuple[Row, int]] = deque(maxlen=40)

    def _place_firms(self, rows: int) -> dict[int, int]:
        rng = self.scene.random("firms")
        firms = rng.sample(range(len(self.scene.companies)), len(self.scene.companies) * 3 // 5)
        free = [row for row in range(rows) if row not in self.plan]
        return dict(zip(rng.sample(free, len(firms)), firms, strict=True))

    def rows(self) -> Iterator[Row]:
        """All rows of the sheet, in order; ids are numbers, times real dates or text."""
        for number in range(self.scene.sizes.contacts):
            if number in self.firm_rows:
                company = self.firm_rows[number]
                row = self._firm(number, company)
            else:
                company = self._employer(number)
                row = self._person(number, company)
            planting = self.plan.get(number)
            if planting:
                company = self._spoil(row, planting, number, company)
            elif number not in self.firm_rows:
                if row["email"] and row["phone"]:
                    self.recent.append((row, company))
                self._remember(number, row)
            self._settle(row, company, planting)
            yield row

    def _employer(self, number: int) -> int:
        planting = self.plan.get(number)
        rng = self.rng
        company = int(len(self.scene.companies) * rng.random() ** 1.3) if rng.random() >= 0.15 else -1
        if planting and planting.field == "company":
            if planting.kind == "placeholder_value":
                return -1
            return max(company, 0)
        return company

    def _common(self, number: int) -> Row:
        """What persons and firms have alike."""
        rng, scene = self.rng, self.scene
        # Everybody is known at least half a year before the export, so that deals fit in afterwards.
        day = int(rng.random() * (LAST - 200))
        later = day + 1 + int(rng.random() * (LAST - day - 1))
        place = rng.choice(scene.pools.provinces)
        owner = scene.owner(number, rng)
        return {
            "id": CONTACT_BASE + number,
            "address": f"{rng.choice(STREETS)} No: {1 + int(rng.random() * 180)}",
            "district": rng.choice(DISTRICTS),
            "province": place.name,
            "country": "Türkiye",
            "owner_email": owner.email,
            "created_at": scene.stamp(day, office_minute(rng), text=False),
            "updated_at": scene.stamp(later, office_minute(rng)),
            "_day": day,
        }

    def _firm(self, number: int, index: int) -> Row:
        company = self.scene.companies[index]
        return {
            **self._common(number),
            "kind": self.firm,
            "full_name": company.name,
            "email": f"info@{company.domain}",
            "phone": phone_text(company.landline, self.rng.randrange(6)),
            "tax_office": f"{self.rng.choice(self.scene.pools.provinces).name} Kurumlar VD",
            "tax_no": _tax_number(index),
            "tags": "kurumsal",
            "qualified": self.scene.layout.yes,
        }

    def _person(self, number: int, index: int) -> Row:
        rng, scene, pools = self.rng, self.scene, self.scene.pools
        given, family = rng.choice(pools.given), rng.choice(pools.family)
        name = self._full_name(given, family)
        row = {**self._common(number), "kind": self.person, "full_name": name}
        company = scene.companies[index] if index >= 0 else None
        row["title"] = rng.choice(pools.titles) if company and rng.random() < 0.7 else None
        row["company"] = company_text(company, rng) if company else None
        host = company.domain if company else rng.choice(MAIL_HOSTS)
        address = f"{slug(given)}.{slug(family)}{number}@{host}"
        planting = self.plan.get(number)
        must = planting.field if planting else ""
        if rng.random() < 0.92 or "email" in must or number in self.converted:
            row["email"] = address.capitalize() if rng.random() < 0.03 else address
        else:
            row["email"] = None
        digits = mobile(number)
        style = rng.randrange(6)
        has_phone = rng.random() < 0.95 or "phone" in must or number in self.converted
        row["phone"] = self._phone_cell(digits, style, must) if has_phone else None
        row["phone2"] = phone_text(mobile(SERIAL_PHONE2 + number), style) if rng.random() < 0.08 else None
        row["tags"] = ",".join(rng.sample(TAGS, rng.choice((0, 0, 1, 1, 2)))) or None
        row["qualified"] = scene.layout.yes if rng.random() < 0.4 else scene.layout.no
        row[REFERRER_COLUMN] = rng.choice(REFERRERS) if rng.random() < 0.35 else None
        if has_phone and (rng.random() < 0.4 or must == "whatsapp_count"):
            self._whatsapp(row, digits)
        return row

    def _full_name(self, given: str, family: str) -> str:
        rng = self.rng
        pick = rng.random()
        if pick < 0.1:
            name = f"{given} {rng.choice(self.scene.pools.given)} {family}"
        elif pick < 0.13:
            name = f"{given} {family} {rng.choice(self.scene.pools.family)}"
        else:
            name = f"{given} {family}"
        return unicodedata.normalize("NFD", name) if self.scene.flawed and rng.random() < 0.008 else name

    def _phone_cell(self, digits: str, style: int, must: str) -> str | int:
        """Mostly text; now and then a numeric cell, as spreadsheets make of bare digits."""
        if style == 2 and not must and self.rng.random() < 0.15:
            return int(digits)
        return phone_text(digits, style)

    def _whatsapp(self, row: Row, digits: str) -> None:
        rng = self.rng
        day = row["_day"] + int(rng.random() * (LAST - row["_day"]))
        row["whatsapp_no"] = f"90{digits}"
        row["whatsapp_channel"] = rng.choice(("908503330001", "908503330002"))
        row["last_whatsapp_at"] = self.scene.stamp(day, office_minute(rng))
        row["whatsapp_count"] = 1 + int(rng.random() * 240)
        row["whatsapp_direction"] = self.incoming if rng.random() < 0.6 else self.outgoing

    def _spoil(self, row: Row, planting: Planting, number: int, company: int) -> int:
        """Plant one flaw in the row. Returns the company that the row belongs to afterwards."""
        book, key = self.scene.book, row["id"]
        if planting.kind == "duplicate_contact":
            return self._duplicate(row, planting)
        if planting.kind == "duplicate_id":
            row["id"] = self.recent.popleft()[0]["id"]
            book.add("duplicate_id", "contacts", row["id"], "id", f"again in sheet row {self._sheet_row(number)}")
        elif planting.kind == "blank_id":
            row["id"] = None
            book.add("blank_id", "contacts", f"row:{self._sheet_row(number)}", "id", "no id")
        elif planting.kind == "multi_value":
            between = self.scene.layout.separator("contacts", planting.field)
            if planting.field == "email":
                row["email"] += f"{between} {row['email'].lower().replace('@', '.ozel@')}"
            else:
                row["phone"] += f" {between} {phone_text(mobile(SERIAL_SECOND + number), 0)}"
            book.add("multi_value", "contacts", key, planting.field, str(row[planting.field]))
        else:
            if planting.kind == "mojibake":
                self._prepare_mojibake(row, planting.field, company)
            note = spoil(row, planting, blanks=self.scene.layout.empty_values, nowhere=NOWHERE_CONTACT)
            book.add(planting.kind, "contacts", key, planting.field, note)
        return company

    def _prepare_mojibake(self, row: Row, name: str, company: int) -> None:
        """Put letters into the cell that show the damage; the official suffixes all hold a `Ş`."""
        if name == "company":
            row[name] = self.scene.companies[company].name
        elif name == "address":
            row[name] = f"Çınar Sok. No: {row['id'] % 90 + 1}"
        else:
            row[name] = f"{unicodedata.normalize('NFC', row[name]).split()[0]} Yıldırım"

    def _duplicate(self, row: Row, planting: Planting) -> int:
        """Make the row the same person as an earlier sound one, written differently."""
        earlier, company = self.recent.popleft()
        row["full_name"] = upper(unicodedata.normalize("NFC", earlier["full_name"]))
        row["company"] = company_text(self.scene.companies[company], self.rng) if company >= 0 else None
        for name in planting.field.split("+"):
            shared = str(earlier[name])
            digits = "".join(c for c in shared if c.isdigit())[-10:]
            row[name] = shared.upper() if name == "email" else phone_text(digits, planting.turn + 3)
            note = f"same {name} as {earlier['id']}"
            self.scene.book.add("duplicate_contact", "contacts", row["id"], name, note)
        return company

    def _sheet_row(self, number: int) -> int:
        return self.first_sheet_row + number

    def _remember(self, number: int, row: Row) -> None:
        if len(self.scene.known_emails) < 12 and row["email"]:
            self.scene.known_emails.append(row["email"].lower())
        if number in self.converted:
            self.scene.converted.append(
                Person(row["id"], row["full_name"], row["company"] or "", row["email"], str(row["phone"]))
            )

    def _settle(self, row: Row, company: int, planting: Planting | None) -> None:
        """Enter the row into truth and scene. Rows that a target must refuse are not referred to."""
        scene = self.scene
        day = row.pop("_day")
        kind = planting.kind if planting else ""
        if kind in ("blank_id", "duplicate_id"):
            return
        if company >= 0:
            scene.members[scene.companies[company].id].append(str(row["id"]))
            if row["kind"] == self.firm:
                scene.firms[scene.companies[company].id] = str(row["id"])
        if kind != "missing_required":
            scene.contact_ids.append(row["id"])
            scene.contact_days.append(day)
            scene.contact_companies.append(company)


def lead_rows(scene: Scene) -> Iterator[Row]:
    """All leads; the first ones are converted and share name, e-mail and phone with their contact."""
    rng, layout = scene.random("leads"), scene.layout
    sources = layout.options("leads", "ad_platform")
    *open_states, done = layout.options("leads", "status")
    plan = scene.book.plan("leads", scene.sizes.leads, scene.random("lead flaws"))
    free = [row for row in range(scene.sizes.leads) if row not in plan]
    turned = dict(zip(free[:: max(1, len(free) // len(scene.converted))], scene.converted, strict=False))
    for number in range(scene.sizes.leads):
        planting, person = plan.get(number), turned.get(number)
        source = rng.choice(sources)
        owner = scene.owner(number, rng)
        row: Row = {
            "id": LEAD_BASE + number,
            **_lead_identity(scene, rng, number, person, planting),
            **_advertising(rng, source, sources),
            "status": done if person else rng.choice(open_states),
            "score": int(rng.random() * 101),
            "owner": owner.full_name,
            "owner_email": owner.email,
            "created_at": scene.stamp(LAST - 1 - int(rng.random() * 900), office_minute(rng)),
            "converted_contact_id": person.id if person else None,
        }
        if planting:
            note = spoil(row, planting, blanks=layout.empty_values, nowhere=NOWHERE_CONTACT + 1_000 + planting.turn)
            if planting.kind == "dangling_reference":
                row["status"] = done
            scene.book.add(planting.kind, "leads", row["id"], planting.field, note)
        yield row


def _lead_identity(scene: Scene, rng: Random, number: int, person: Person | None, planting: Planting | None) -> Row:
    if person:
        return {
            "full_name": person.full_name, "company": person.company or None, "phone": person.phone,
            "email": person.email,
        }  # fmt: skip
    given, family = rng.choice(scene.pools.given), rng.choice(scene.pools.family)
    company = rng.choice(scene.companies) if rng.random() < 0.6 else None
    must = planting.field if planting else ""
    has_email = rng.random() < 0.9 or must == "email"
    return {
        "full_name": f"{given} {family}",
        "company": company_text(company, rng) if company else None,
        "phone": phone_text(mobile(SERIAL_LEADS + number), rng.randrange(6)),
        # A dot before the number keeps these apart from the addresses of contacts.
        "email": f"{slug(given)}.{slug(family)}.{number}@{rng.choice(MAIL_HOSTS)}" if has_email else None,
    }


def _advertising(rng: Random, source: str, sources: list[str]) -> Row:
    """Campaign columns as the source of the lead fills them; the last source is the own web form."""
    row: Row = {"ad_platform": source, "form_id": str(10**15 + int(rng.random() * 10**14))}
    if source == sources[-1]:
        return row
    campaign = rng.choice(CAMPAIGNS)
    row |= {
        "campaign_name": campaign,
        "adset_name": f"{campaign} - 25-44",
        "ad_name": f"Görsel {1 + int(rng.random() * 6)}",
    }
    click = {"google": "gclid", "tiktok": "ttclid"}.get(source.lower(), "fbclid")
    row[click] = f"{click[0].upper()}{rng.getrandbits(96):024x}"
    return row
