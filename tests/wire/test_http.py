"""What a failed request means to its caller, over real sockets."""

from __future__ import annotations

import gzip
import socket
from pathlib import Path

import pytest
from wire_tools import QUICK, Server, resets, says, truncates

from rehouse.errors import OutcomeUnknownError, RetryableError, UserError
from rehouse.events import Note
from rehouse.wire import Call, FormPart, Http


def test_json_goes_out_and_comes_back(server: Server, http: Http) -> None:
    server.script = [says('{"a": 1}', X_Odd="yes")]
    answer = http.send(Call("POST", server.url + "/x?q=1", json={"name": "İstanbul"}))
    assert answer.json() == {"a": 1}
    assert answer.headers["x-odd"] == "yes"
    method, path, body, headers = server.seen[0]
    assert (method, path, body.decode()) == ("POST", "/x?q=1", '{"name":"İstanbul"}')
    assert headers["Content-Type"].startswith("application/json")


@pytest.mark.req("COM-RATE-02")
def test_reading_is_repeated_after_a_reset_and_each_wait_is_announced(
    server: Server, http: Http, notes: list[Note]
) -> None:
    server.script = [resets, says("busy", 503), truncates, says("fine")]
    assert http.send(Call("GET", server.url + "/secret?q=PERSON")).body == b"fine"
    assert len(notes) == 3
    assert all("waiting" in note.text for note in notes)
    assert not any("PERSON" in note.text for note in notes)
    assert http.budget.used() == {"calls": 4, "retries": 3}


def test_a_write_whose_answer_is_lost_is_unknown_and_is_not_sent_again(server: Server, http: Http) -> None:
    server.script = [resets]
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        with pytest.raises(OutcomeUnknownError):
            http.send(Call(method, server.url, data=b"rows"))
    assert [seen[0] for seen in server.seen] == ["POST", "PATCH", "PUT", "DELETE"]


def test_a_kept_connection_that_breaks_does_not_make_the_client_repeat_a_delete(server: Server, http: Http) -> None:
    server.script = [says("first"), resets]
    http.send(Call("GET", server.url))
    with pytest.raises(OutcomeUnknownError):
        http.send(Call("DELETE", server.url + "/record"))
    assert [seen[0] for seen in server.seen] == ["GET", "DELETE"]


def test_a_truncated_answer_to_a_write_is_unknown(server: Server, http: Http) -> None:
    server.script = [truncates]
    with pytest.raises(OutcomeUnknownError):
        http.send(Call("POST", server.url, json=[1]))


def test_a_harmless_write_is_repeated(server: Server, http: Http) -> None:
    server.script = [resets, says("done")]
    assert http.send(Call("POST", server.url, json={}, repeatable=True)).body == b"done"


@pytest.mark.req("COM-RATE-02")
def test_the_wait_that_a_server_asks_for_is_honoured_or_ends_the_retries(server: Server, notes: list[Note]) -> None:
    server.script = [says("later", 429, Retry_After="900")]
    with Http(patience=QUICK, sink=notes.append) as http, pytest.raises(RetryableError) as caught:
        http.send(Call("POST", server.url, json={}))
    assert caught.value.wait == 900
    assert len(server.seen) == 1  # waiting longer than our patience is the caller's decision


def test_too_many_requests_is_waited_out_even_for_writes(server: Server, http: Http) -> None:
    server.script = [says("later", 429, Retry_After="0"), says("done")]
    assert http.send(Call("POST", server.url, json={})).body == b"done"


def test_nobody_listening_means_that_nothing_was_written(http: Http, notes: list[Note]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RetryableError):
        http.send(Call("POST", f"http://127.0.0.1:{port}/", json={}))
    assert len(notes) == QUICK.attempts - 1


def test_silence_after_a_write_is_unknown(server: Server) -> None:
    quiet = socket.socket()
    quiet.bind(("127.0.0.1", 0))
    quiet.listen()
    url = f"http://127.0.0.1:{quiet.getsockname()[1]}/"
    with quiet, Http(patience=QUICK, silence_seconds=0.2) as http, pytest.raises(OutcomeUnknownError):
        http.send(Call("POST", url, json={}))


def test_a_file_is_streamed_out_with_its_length_and_an_answer_into_a_file(
    server: Server, http: Http, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"a,b\n" * 300_000)
    server.script = [resets, says("x" * 3_000_000)]
    answer = http.send(
        Call("PUT", server.url, data=rows, to=tmp_path / "out", headers={"Content-Type": "text/csv"}, repeatable=True)
    )
    assert [len(seen[2]) for seen in server.seen] == [1_200_000, 1_200_000]
    assert server.seen[1][3]["Content-Length"] == "1200000"
    assert server.seen[1][3]["Content-Type"] == "text/csv"
    assert answer.path is not None
    assert answer.path.stat().st_size == 3_000_000


def test_a_generated_body_is_made_afresh_for_each_attempt(server: Server, http: Http) -> None:
    server.script = [resets, says("ok")]
    http.send(Call("POST", server.url, data=lambda: iter([b"one,", b"two"]), repeatable=True))
    assert [seen[2] for seen in server.seen] == [b"one,two", b"one,two"]


def test_a_form_carries_bytes_and_files(server: Server, http: Http, tmp_path: Path) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"%PDF-" + bytes(range(256)))
    server.script = [says("ok")]
    parts = (
        FormPart("fields", b'{"T": "a"}', "application/json"),
        FormPart("Data", file, "application/pdf", "scan.pdf"),
    )
    http.send(Call("POST", server.url, form=parts))
    _, _, body, headers = server.seen[0]
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert bytes(range(256)) in body
    assert b'{"T": "a"}' in body
    assert b'filename="scan.pdf"' in body


def test_a_compressed_body_says_so(server: Server, http: Http) -> None:
    server.script = [says("ok")]
    http.send(Call("POST", server.url, data=b"aaaa" * 1000, compress=True))
    _, _, body, headers = server.seen[0]
    assert headers["Content-Encoding"] == "gzip"
    # The server's HTTP layer may have unpacked it already.
    assert (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body) == b"aaaa" * 1000


def test_a_refusal_names_the_request_but_not_its_values(server: Server, http: Http) -> None:
    server.script = [says("no", 400)]
    with pytest.raises(UserError) as caught:
        http.send(Call("GET", server.url + "/query?q=Ayse"))
    assert "400" in caught.value.message
    assert "Ayse" not in caught.value.message


def test_a_closed_connection_says_so_and_closing_twice_is_fine(server: Server) -> None:
    server.script = [says("ok")]
    http = Http()
    http.send(Call("GET", server.url))
    http.close()
    http.close()
    with pytest.raises(UserError, match="closed"):
        http.send(Call("GET", server.url))


def test_a_bad_authority_file_is_the_users_error(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    with pytest.raises(UserError, match="authority"):
        Http(ca=bad)
