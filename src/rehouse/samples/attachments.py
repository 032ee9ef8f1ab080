"""Files of a Planports export: the list and the bytes, all generated here or taken from the public e-mails."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from rehouse.samples.deals import deal_id
from rehouse.samples.flaws import UNLISTED_FILES, spoil
from rehouse.samples.scene import LAST, NOWHERE_CONTACT, Scene, office_minute

Row = dict[str, Any]

FILE_LIMIT = 26_214_400
"""Bytes: the 25 MB up to which the planted flaw counts a file as uploadable (a limit of the migration, from
the brief of the pair, not of Planports)."""

KINDS = ("pdf",) * 8 + ("txt",) * 5 + ("png",) * 4 + ("eml",) * 3
STEMS = {
    "pdf": ("Teklif", "Sözleşme", "Fatura örneği", "Ürün kataloğu"),
    "txt": ("Görüşme notu", "Özet", "Açıklama"),
    "png": ("Logo", "Ekran görüntüsü", "İmza"),
    "eml": ("Gelen ileti", "Yazışma"),
}


def pdf_bytes(text: str) -> bytes:
    """A one-page PDF that shows one line of ASCII text."""
    shown = text.encode("ascii", "replace").replace(b"(", b"[").replace(b")", b"]")
    stream = b"BT /F1 18 Tf 60 760 Td (" + shown + b") Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def png_bytes(colour: tuple[int, int, int], size: int = 16) -> bytes:
    """A square PNG of one colour."""
    rows = (b"\0" + bytes(colour) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def size_text(count: int) -> str:
    """Bytes as the export's list shows them: `812 B`, `14 KB`, `1,2 MB`."""
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{-(-count // 1024)} KB"
    return f"{count / 1024 / 1024:.1f} MB".replace(".", ",")


def file_rows(scene: Scene, folder: Path) -> Iterator[Row]:
    """All rows of the list; writes the bytes below `folder` as it goes, and with flaws two unlisted files."""
    rng = scene.random("files")
    plan = scene.book.plan("files", scene.sizes.files, scene.random("file flaws"))
    for number in range(scene.sizes.files):
        kind = rng.choice(KINDS)
        linked_type, linked_id, day = _link(scene, rng)
        row: Row = {
            "id": f"D-{number + 1:06d}",
            "linked_type": linked_type,
            "linked_id": linked_id,
            "file_name": f"{rng.choice(STEMS[kind])} {number + 1}.{kind}",
            "uploaded_by": scene.owner(number, rng).full_name,
            "uploaded_at": scene.stamp(day + int(rng.random() * (LAST - day)), office_minute(rng)),
        }
        data = _content(scene, rng, kind, number)
        planting = plan.get(number)
        if planting and planting.kind == "dangling_reference":
            nowhere = NOWHERE_CONTACT + 4_000 + planting.turn
            row["linked_type"] = scene.layout.options("files", "linked_type")[0]
            note = spoil(row, planting, blanks=[], nowhere=nowhere)
            scene.book.add(planting.kind, "files", row["id"], planting.field, note)
        row["size"] = size_text(len(data))
        if planting and planting.kind == "file_missing":
            scene.book.add(planting.kind, "files", row["id"], planting.field, "listed, not on disk")
        elif planting and planting.kind == "file_too_large":
            count = FILE_LIMIT + 4_096
            row["size"] = size_text(count)
            _write_sparse(_place(folder, row), data, count)
            scene.book.add(planting.kind, "files", row["id"], planting.field, f"{count} bytes")
        else:
            _place(folder, row).write_bytes(data)
        yield row
    if scene.flawed:
        _unlisted(scene, folder)


def _link(scene: Scene, rng: Random) -> tuple[str, str | int, int]:
    contact, deal = scene.layout.options("files", "linked_type")
    if scene.deal_serials and rng.random() < 0.5:
        at = int(rng.random() * len(scene.deal_serials))
        return deal, deal_id(scene.deal_serials[at]), scene.deal_days[at]
    at = int(rng.random() * len(scene.contact_ids))
    return contact, scene.contact_ids[at], scene.contact_days[at]


def _content(scene: Scene, rng: Random, kind: str, number: int) -> bytes:
    if kind == "pdf":
        return pdf_bytes(f"Planports sample file {number + 1}")
    if kind == "png":
        return png_bytes((rng.randrange(256), rng.randrange(256), rng.randrange(256)))
    if kind == "eml":
        return rng.choice(scene.pools.mails).data
    return f"Görüşme notu {number + 1}\nMüşteri ilgili, takip edilecek.\n".encode() * rng.randrange(1, 40)


def _place(folder: Path, row: Row) -> Path:
    place = folder / str(row["linked_type"]) / str(row["linked_id"])
    place.mkdir(parents=True, exist_ok=True)
    return place / str(row["file_name"])


def _write_sparse(path: Path, head: bytes, count: int) -> None:
    """`head`, then zeros that take no room on a file system with holes."""
    with path.open("wb") as out:
        out.write(head)
        out.truncate(count)


def _unlisted(scene: Scene, folder: Path) -> None:
    kind = scene.layout.options("files", "linked_type")[0]
    for turn in range(UNLISTED_FILES):
        row = {"linked_type": kind, "linked_id": scene.contact_ids[turn], "file_name": f"listede yok {turn + 1}.txt"}
        path = _place(folder, row)
        path.write_text("Bu dosya listede yok.\n", encoding="utf-8")
        key = path.relative_to(folder).as_posix()
        scene.book.add("file_unlisted", "files", key, "", "on disk, not in the list")
