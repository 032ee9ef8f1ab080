"""The few things that only Python libraries do well: person names, telephone numbers, e-mail addresses,
company names. Pure functions over one text; `rehouse.transform.clean` applies them to distinct values.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from email_validator import EmailNotValidError, validate_email

_HONORIFICS = frozenset(
    (
        *("dr", "doç", "doc", "prof", "yrd", "öğr", "ogr", "gör", "gor", "uzm", "op", "av", "ecz"),
        *("müh", "muh", "mim", "dt", "vet", "hem", "psk", "dyt", "sn", "sayın", "sayin", "bay", "bayan"),
        *("mr", "mrs", "ms", "miss", "mx"),
    )
)
_AFTER = frozenset(("bey", "hanım", "hanim", "hn", "efendi"))
_LEGAL = frozenset(
    (
        *("as", "ltd", "sti", "limited", "anonim", "sirketi", "sirket", "kollektif", "komandit"),
        *("san", "sanayi", "tic", "ticaret", "ve", "gmbh", "ag", "kg", "inc", "incorporated", "llc", "plc"),
        *("corp", "corporation", "co", "bv", "sarl", "srl"),
    )
)
_UPPER_I = str.maketrans({"i": "İ", "ı": "I"})
_LOWER_I = str.maketrans({"İ": "i", "I": "ı"})


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PersonName:
    """The parts of a full name; a part is None when there is none."""

    honorific: str | None
    given: str | None
    family: str | None


def split_name(raw: str) -> PersonName:
    """Honorific, given names and family name of a full name.

    The last word is the family name, all before it are given names (double given names are common in
    Turkish); two surnames count as one when a hyphen joins them. `Yılmaz, Ayşe` is read the other way round.
    A single word is a family name, because that is the part a person record needs. Words in capitals are
    written like names by Turkish rules; any other spelling is kept.
    """
    text = re.sub(r"\s*-\s*", "-", " ".join(raw.split())).strip("-, ")
    turned = re.fullmatch(r"([^,]+), *([^,]+)", text)
    if turned and all(_is_honorific(w) for w in turned[2].split()):
        text = f"{turned[2]} {turned[1]}"
    elif turned:
        return _named(f"{turned[2]} {turned[1]}".split(), family_words=len(turned[1].split()))
    return _named(text.replace(",", " ").split(), family_words=1)


def _named(words: list[str], family_words: int) -> PersonName:
    words = [part for word in words for part in _pieces(word)]
    honorifics: list[str] = []
    while len(words) > 1 and _is_honorific(words[0]):
        honorifics.append(words.pop(0))
    while len(words) > 1 and turkish_lower(words[-1].strip(".")) in _AFTER:
        honorifics.append(words.pop())
    shown = [_titled(w) for w in words]
    family = " ".join(shown[-family_words:])
    given = " ".join(shown[:-family_words])
    return PersonName(" ".join(honorifics) or None, given or None, family or None)


def _pieces(word: str) -> list[str]:
    """`Prof.Dr.Ali` is three words; `A.B.` stays one."""
    parts = re.findall(r"[^.]+\.?", word)
    return parts if len(parts) > 1 and all(_is_honorific(p) for p in parts[:-1]) else [word]


def _is_honorific(word: str) -> bool:
    return turkish_lower(word.strip(".")) in _HONORIFICS


def _titled(word: str) -> str:
    """`YILMAZ-KAYA` as `Yılmaz-Kaya`; anything that is not all capitals, and single letters, unchanged."""
    letters = [c for c in word if c.isalpha()]
    if len(letters) < 2 or any(c.islower() for c in letters):
        return word
    return re.sub(r"[^\W\d_]+", lambda m: m[0][0] + turkish_lower(m[0][1:]), word)


def turkish_lower(text: str) -> str:
    """Lower case with Turkish I: `I` is `ı`, `İ` is `i`."""
    return text.translate(_LOWER_I).lower()


def turkish_upper(text: str) -> str:
    """Upper case with Turkish I: `i` is `İ`, `ı` is `I`."""
    return text.translate(_UPPER_I).upper()


# ── telephone numbers ─────────────────────────────────────────────────────────────────────────────────


def phone(raw: str, region: str) -> str | None:
    """E.164 with an extension as ` x12`, or None.

    A number is accepted when it is valid by the library's tables, or has as many digits as its country's
    ordinary numbers: prefixes change faster than tables, and losing a customer's number is worse.
    """
    text = re.sub(r"^(?i:p|tel|phone|cep|gsm)\s*[:.]\s*", "", raw.strip())
    text = _unfloated(text)
    text = re.sub(r"(?i)\b(?:dahili|dah|iç hat)\b\.?:?", " ext. ", text)
    try:
        found = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(found) and not _ordinary(found):
        return None
    number = str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
    return f"{number} x{found.extension}" if found.extension else number


def _ordinary(number: phonenumbers.PhoneNumber) -> bool:
    """As long as an example of the country's mobile or fixed numbers, and no leading zero left over."""
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    examples = (phonenumbers.example_number_for_type(region, kind) for kind in kinds)
    lengths = {len(str(e.national_number)) for e in examples if e is not None}
    return not number.italian_leading_zero and len(str(number.national_number)) in lengths


def _unfloated(text: str) -> str:
    """A number that a spreadsheet kept as a float: `5321234567.0`, `5,321234567E+9`."""
    if re.fullmatch(r"\+?[0-9]{7,15}[.,]0+", text):
        return re.split("[.,]", text)[0]
    exponent = re.fullmatch(r"([0-9])(?:[.,]([0-9]+))?[eE]\+?([0-9]{1,2})", text)
    if exponent and len(exponent[2] or "") <= int(exponent[3]) <= 15:
        return exponent[1] + (exponent[2] or "").ljust(int(exponent[3]), "0")
    return text


# ── e-mail addresses ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one cell: the first valid one, the other valid ones and the invalid ones joined by
    `;`; None where there is none."""

    first: str | None
    rest: str | None
    invalid: str | None


def addresses(raw: str) -> Addresses:
    """The addresses in a cell, split at `;`, `,` and white space, each once; names and `mailto:` removed.

    Valid means the syntax of an address with a dotted domain; nothing is asked of any server.
    """
    valid: list[str] = []
    invalid: list[str] = []
    for piece in _address_pieces(raw):
        address = _address(piece)
        if address is None:
            invalid.append(piece)
        elif address not in valid:
            valid.append(address)
    rest, wrong = ";".join(valid[1:]), ";".join(invalid)
    return Addresses(valid[0] if valid else None, rest or None, wrong or None)


def _address_pieces(raw: str) -> list[str]:
    pieces: list[str] = []
    for part in re.split(r"[;,\n]", raw):
        named = re.search(r"<([^<>]*)>", part)
        text = named[1] if named else part
        words = text.split()
        pieces += words if words and all("@" in w for w in words) else [" ".join(words)]
    return [p for p in pieces if p]


def _address(piece: str) -> str | None:
    text = re.sub(r"^(?i:mailto:)\s*", "", piece).strip(" .'\"")
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False, allow_smtputf8=False)
    except EmailNotValidError:
        return None
    address = found.ascii_email or found.normalized
    return str(address) if "." in address.rpartition("@")[2] else None


# ── companies ─────────────────────────────────────────────────────────────────────────────────────────


def company_key(raw: str) -> str | None:
    """What identifies a company among spellings of its name, or None when nothing is left.

    Compatibility forms and case folded, accents and punctuation removed (`&` reads as `ve`), legal forms and
    the trade words before them dropped from the end only: `Demir San. ve Tic. A.Ş.` is `demir`, `San
    Francisco Cafe` keeps its name.
    """
    text = unaccented(turkish_lower(unicodedata.normalize("NFKC", raw))).replace("&", " ve ")
    text = re.sub(r"\b(?:[^\W\d_]\.){2,}|\b(?:[^\W\d_]\.)+[^\W\d_]\b", lambda m: m[0].replace(".", ""), text)
    words = re.findall(r"[^\W_]+", re.sub(r"['’`´]", "", text))
    while words and _legal_end(words):
        del words[-_legal_end(words) :]
    return " ".join(words) or None


def _legal_end(words: list[str]) -> int:
    """How many words at the end are a legal form: `a s` counts two."""
    if words[-2:] == ["a", "s"]:
        return 2
    return 1 if words[-1] in _LEGAL else 0


def unaccented(text: str) -> str:
    """Letters without their marks, dotless ı as i, sharp s as ss."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.replace("ı", "i").replace("ß", "ss").replace("ø", "o").replace("ł", "l")
