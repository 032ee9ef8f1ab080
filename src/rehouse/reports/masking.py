"""Masks what identifies a person in the examples of a report. The shape stays, so that a reader sees what is meant.

A heuristic: e-mail addresses and phone numbers are found anywhere in a text; names, addresses and free text by the
name or kind of their field. It is a courtesy to the people in the data; a masked report is still confidential.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_HIDDEN = "•••"
_EMAIL = re.compile(r"([\w.+'-])[\w.+'-]*@([\w-])[\w-]*(?:\.[\w-]+)*(\.\w{2,})")
_PHONE = re.compile(r"(?<![\w.,-])\+?\(?\d(?:[ ()/.-]{0,3}\d){9,14}(?![\w,-])")
_DATE = re.compile(r"\(?(\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{4})")
_TOKENS = re.compile(r"[A-ZÇĞİÖŞÜ]+(?![a-zçğıöşü])|[A-ZÇĞİÖŞÜ]?[a-zçğıöşü]+|\d+")

_NAMES = {
    "firma",
    "kişi",
    "kisi",
    "soyadi",
    "name",
    "firstname",
    "lastname",
    "surname",
    "fullname",
    "ad",
    "adı",
    "adi",
    "soyad",
    "soyadı",
    "isim",
    "company",
}
_NO_PERSON = {"stage", "pipeline", "type", "status", "source", "product", "currency", "platform", "campaign", "field"}
_PLACES = {"doğum", "dogum", "cadde", "sokak", "street", "address", "adres", "birthdate", "birth", "postcode"}
_NUMBERS = {"phone", "mobile", "fax", "tel", "telefon", "gsm", "whatsapp", "tckn", "vkn", "ssn", "tax", "iban"}
_PROSE = {
    "not",
    "notlar",
    "notu",
    "yorum",
    "mesaj",
    "text",
    "description",
    "note",
    "notes",
    "body",
    "comment",
    "comments",
    "message",
    "content",
    "açıklama",
    "aciklama",
}


def mask(value: Any, field: str = "", kind: str = "") -> Any:
    """The value as an example may show it: `ayse.demir@example.com` becomes `a•••@e•••.com`.

    `field` is the field's name, `kind` a `rehouse.model.Kind` value, where they are known. Numbers and None pass
    unless the field is one of numbers that identify a person.
    """
    if value is None or isinstance(value, bool):
        return value
    words = {token.replace("İ", "i").casefold() for token in _TOKENS.findall(field)}
    text = str(value)
    if kind == "phone" or (words & _NUMBERS and sum(c.isdigit() for c in text) > 4):
        return f"{_HIDDEN} {text.strip()[-2:]}"
    if not isinstance(value, str):
        return value
    if kind in ("long_text", "html") or words & _PROSE:
        return f"‹text of {len(text):,} characters›"
    if (words & _NAMES and not words & _NO_PERSON) or words & _PLACES:
        return " ".join(word[0] + _HIDDEN for word in text.split())
    return mask_within(text)


def mask_within(text: str) -> str:
    """Only the e-mail addresses and phone numbers inside a text."""
    hidden = _EMAIL.sub(rf"\1{_HIDDEN}@\2{_HIDDEN}\3", text)
    return _PHONE.sub(lambda m: m[0] if _DATE.match(m[0]) else f"{_HIDDEN} {m[0][-2:]}", hidden)


def masked(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A report's data with its examples masked. The rows of a sample stay: they are what a person approves."""
    result = dict(data)
    match kind:
        case "scope" if "objects" in data:
            result["objects"] = [_object(o) for o in data["objects"]]
        case "quality":
            if "findings" in data:
                result["findings"] = [_finding(f) for f in data["findings"]]
            if "duplicates" in data:
                result["duplicates"] = [_duplicates(d) for d in data["duplicates"]]
        case "plan" if "figures" in data:
            figures = dict(data["figures"])
            for name in ("issues", "losses"):
                figures[name] = [
                    {**i, "example": mask_within(str(i.get("example", "")))} for i in figures.get(name, ())
                ]
            result["figures"] = figures
        case "sample" if data.get("example"):
            result["example"] = mask_story(data["example"])
        case "completion":
            for name in ("differences", "spot_check"):
                if name in data:
                    result[name] = [mask_row(row) for row in data[name]]
    return result


def mask_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a diff with its three values masked."""
    field = row.get("field") or ""
    return {**row, **{side: mask(row[side], field) for side in ("source", "planned", "landed") if side in row}}


def _with(row: Mapping[str, Any], key: str, field: str) -> dict[str, Any]:
    return {**row, key: mask(row[key], field)} if key in row else dict(row)


def _object(data: Mapping[str, Any]) -> dict[str, Any]:
    fields = []
    for field in data.get("fields", ()):
        name, kind = f"{field.get('name', '')} {field.get('header', '')}", field.get("kind", "")
        shown: Sequence[Any] = field.get("examples", ())
        fields.append({**field, "examples": [mask(example, name, kind) for example in shown]})
    return {**data, "fields": fields}


def _finding(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "examples": [_example(e) for e in data.get("examples", ())]}


def _example(data: Mapping[str, Any]) -> dict[str, Any]:
    hidden = _with(data, "value", data.get("field", ""))
    message, value = data.get("message", ""), data.get("value")
    if isinstance(value, str) and len(value) > 2:
        message = message.replace(value, str(hidden["value"]))
    return {**hidden, "message": mask_within(message)}


def _duplicates(data: Mapping[str, Any]) -> dict[str, Any]:
    field = data.get("field", "")
    return {**data, "first": [_with(group, "value", field) for group in data.get("first", ())]}


def mask_story(data: Mapping[str, Any]) -> dict[str, Any]:
    """A record's story with its values masked; steps keep their words, but no address or number."""
    result = dict(data)
    result["title"] = mask_within(str(data.get("title", "")))
    result["source"] = {name: mask(value, name) for name, value in (data.get("source") or {}).items()}
    result["fields"] = [mask_row(row) for row in data.get("fields", ())]
    result["steps"] = [{k: mask_within(str(v)) for k, v in step.items()} for step in data.get("steps", ())]
    result["related"] = [
        {**row, **({"text": mask(row["text"], "description")} if row.get("text") else {})}
        for row in data.get("related", ())
    ]
    return result
