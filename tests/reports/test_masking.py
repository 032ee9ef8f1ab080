"""Masks hide what identifies a person and leave what a reader needs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehouse.reports import mask
from rehouse.reports.text import number, one_line, percent, size, visible


@pytest.mark.parametrize(
    ("value", "field", "kind", "shown"),
    [
        ("ayse.demir@example.com", "", "", "a•••@e•••.com"),
        ("Ayşe <ayse@mail.example.com.tr>", "Comment", "", "‹text of 31 characters›"),
        ("call ayse@example.com or b@x.org", "", "", "call a•••@e•••.com or b•••@x•••.org"),
        ("+90 (532) 123 45 67", "", "", "••• 67"),
        ("0532 123 45 67 / 0216 111 22 33", "", "phone", "••• 33"),
        ("5321234567", "", "", "••• 67"),
        (5321234567, "MobilePhone", "", "••• 67"),
        ("Ayşe Nur Demir", "full_name", "", "A••• N••• D•••"),
        ("Demir", "LastName", "", "D•••"),
        ("Demir", "soyad Soyadı", "", "D•••"),
        ("Won", "StageName", "", "Won"),
        ("Satış", "pipeline_name", "", "Satış"),
        ("a\nb", "notes", "", "‹text of 3 characters›"),
        ("2026-01-31 14:05:00", "", "", "2026-01-31 14:05:00"),
        ("31.01.2026 14:05", "", "", "31.01.2026 14:05"),
        ("1.234.567.890,50", "", "", "1.234.567.890,50"),
        ("İzmir", "city", "", "İzmir"),
        ("Can", "İsim", "", "C•••"),
        ("Can", "SOYADI", "", "C•••"),
        ("Atatürk Cd. 5", "Adres", "", "A••• C••• 5•••"),
        ("aradım", "Notlar", "", "‹text of 6 characters›"),
        (1204500.5, "Amount", "", 1204500.5),
        (None, "Email", "email", None),
        (True, "phone_ok", "", True),
    ],
)
def test_values(value: Any, field: str, kind: str, shown: Any) -> None:
    assert mask(value, field, kind) == shown


@given(st.emails())
def test_no_address_survives(address: str) -> None:
    local, _, domain = address.partition("@")
    hidden = mask(f"x {address} y")
    if len(local) > 3 and local.replace(".", "").isalnum():
        assert local not in hidden
    assert mask(address, "full_name") != address
    assert domain


def test_text_cannot_steer_a_screen() -> None:
    assert visible("a\x1b[2Jb\u202ec\td\r\ne") == "a\ufffd[2Jb\ufffdc\td\ne"
    assert one_line("  a\n b  ") == "a b"
    assert one_line("x" * 200) == "x" * 159 + "…"


@given(st.text())
def test_visible_text_holds_no_control_character(text: str) -> None:
    shown = visible(text)
    assert all(c in "\t\n" or (ord(c) >= 32 and not 0x7F <= ord(c) <= 0x9F) for c in shown)
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.9996, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (0.5, "50 %"),
        (0.995, "99.5 %"),
        (None, "—"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_figures() -> None:
    assert [number(1234567), number(None), number(0.5)] == ["1,234,567", "—", "0.5"]
    assert [size(12), size(1_204_224), size(None), size(5 * 2**40)] == ["12 bytes", "1.1 MiB", "—", "5.0 TiB"]
