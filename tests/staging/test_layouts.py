"""Layouts are data: read from the package, checked, and overridden in part."""

from __future__ import annotations

import pytest

from rehouse.errors import InputError, UsageError
from rehouse.knowledge import load_layout, load_platform, platform_names


def test_the_shipped_layouts_are_sound() -> None:
    assert "planports" in platform_names()
    for name in platform_names():
        layout = load_platform(name).layout
        if layout is None:
            continue
        for object_name, spec in layout.objects.items():
            assert set(spec.key) <= set(spec.columns), object_name
            assert set(spec.duplicates) <= set(spec.columns)
            for column in spec.columns.values():
                assert not column.reference or column.reference in layout.objects
                assert not column.reference_by or spec.columns[column.reference_by].objects


def test_an_override_changes_one_thing_and_the_digest() -> None:
    layout = load_layout("planports")
    changed = layout.overridden({"objects": {"contacts": {"sheets": ["Müşteriler"]}}})
    assert changed.objects["contacts"].sheets == ("Müşteriler",)
    assert changed.objects["contacts"].columns == layout.objects["contacts"].columns
    assert changed.digest() != layout.digest() == load_layout("planports").digest()


def test_unknown_names_and_words_are_refused() -> None:
    with pytest.raises(UsageError, match="nowhere"):
        load_platform("nowhere")
    with pytest.raises(InputError, match="decimals"):
        load_layout("planports").overridden({"decimals": ","})
