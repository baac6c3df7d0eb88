"""HAR 1.2: its shape, its timings, and that no secret is in it unless it was asked for."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from inspector.export import har, redaction
from inspector.export.har import archive
from inspector.session import open_session
from inspector.sources.bundled import bundled
from tests.made import opened, response

# The format's objects and the names that each must have (the HAR 1.2 specification).
NEEDED = {
    "entry": {"startedDateTime", "time", "request", "response", "cache", "timings"},
    "request": {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"},
    "response": {
        "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize",
    },
    "timings": {"send", "wait", "receive"},
    "content": {"size", "mimeType"},
}  # fmt: skip


def check(entry: dict[str, Any]) -> None:
    assert entry.keys() >= NEEDED["entry"]
    for name in ("request", "response", "timings"):
        assert entry[name].keys() >= NEEDED[name]
    assert entry["response"]["content"].keys() >= NEEDED["content"]
    assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
    timings = entry["timings"]
    assert all(timings[name] >= 0 for name in ("send", "wait", "receive"))
    assert entry["time"] == pytest.approx(sum(v for name, v in timings.items() if name != "ssl" and v > 0))
    for header in entry["request"]["headers"] + entry["response"]["headers"] + entry["request"]["queryString"]:
        assert header.keys() == {"name", "value"} and all(isinstance(text, str) for text in header.values())
    for cookie in entry["request"]["cookies"] + entry["response"]["cookies"]:
        assert {"name", "value"} <= cookie.keys()


@pytest.mark.parametrize("name", [capture.name for capture in bundled()])
def test_the_archive_of_a_bundled_capture_is_valid(name: str) -> None:
    with_session = open_session(name)
    for secrets in (False, True):
        found = json.loads(json.dumps(archive(with_session, with_session.exchanges(), secrets)))["log"]
        assert found["version"] == "1.2" and found["creator"].keys() >= {"name", "version"}
        assert len(found["entries"]) == len(with_session.exchanges())
        for entry in found["entries"]:
            check(entry)
    with_session.close()


def test_a_call_that_goes_both_ways_at_once_takes_its_time_once() -> None:
    session = open_session("grpc-streams")
    talk = next(one for one in session.exchanges() if one.target.endswith("/Talk"))
    entry = archive(session, [talk])["log"]["entries"][0]
    assert talk.phases.send > 0 and talk.phases.receive > 0 and talk.phases.wait == 0
    assert entry["time"] == pytest.approx((talk.ended - talk.begun) / 1e6)
    session.close()


@pytest.mark.parametrize("name", ["https-http2-multiplex", "grpc-streams"])
def test_sizes_of_bodies_over_http2_are_those_of_their_content(name: str) -> None:
    session = open_session(name)
    for entry in archive(session, session.exchanges())["log"]["entries"]:
        content = entry["response"]["content"]
        assert entry["response"]["bodySize"] == content["size"] - content.get("compression", 0)
    session.close()


def test_bodies_are_decoded() -> None:
    session = open_session("http-post-json")
    first, second = archive(session, session.exchanges())["log"]["entries"]
    assert json.loads(first["request"]["postData"]["text"])["city"] == "Zürich"
    assert json.loads(second["response"]["content"]["text"])
    assert second["request"]["postData"]["mimeType"] == "application/json"
    session.close()


def test_secrets_are_kept_only_where_asked_for() -> None:
    session = open_session("http-post-json")
    kept = json.dumps(archive(session, session.exchanges(), True))
    taken = json.dumps(archive(session, session.exchanges(), False))
    values = [cookie["value"] for entry in json.loads(kept)["log"]["entries"]
              for cookie in entry["request"]["cookies"] + entry["response"]["cookies"]]  # fmt: skip
    assert values and all(value in kept for value in values)
    assert not any(f"={value}" in taken for value in values)
    session.close()


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("Authorization", "Bearer abc.def", "Bearer (redacted)"),
        ("authorization", "opaque", "(redacted)"),
        ("Cookie", "sid=1; theme=dark", "sid=(redacted); theme=(redacted)"),
        ("set-cookie", "sid=1; Path=/; HttpOnly", "sid=(redacted); Path=/; HttpOnly"),
        ("X-Api-Key", "k", "(redacted)"),
        ("x-csrf-token", "t", "(redacted)"),
        ("x-amz-security-token", "t", "(redacted)"),
        ("Location", "/cb?code=1&access_token=t#x", "/cb?code=1&access_token=(redacted)#x"),
        ("content-type", "text/plain", "text/plain"),
        ("x-request-id", "1", "1"),
    ],
)
def test_headers(name: str, value: str, left: str) -> None:
    assert redaction.header(name, value) == left


def test_targets_forms_and_json() -> None:
    assert redaction.url("http://u:p@h/?api_key=1&q=2") == "http://(redacted)@h/?api_key=(redacted)&q=2"
    assert redaction.body("user=a&password=b", "application/x-www-form-urlencoded") == "user=a&password=(redacted)"
    assert json.loads(redaction.body('{"accessToken": "x\\"y", "n": 1, "pin": 2}', "application/json")) == {
        "accessToken": "(redacted)", "n": 1, "pin": "(redacted)",
    }  # fmt: skip
    assert redaction.body("password=b", "text/plain") == "password=b"


def test_a_long_body_is_cut_and_the_archive_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har, "MAX_ARCHIVED", 1 << 20)
    session = opened(tmp_path, response("gzip", gzip.compress(b"a" * (3 << 20))))
    content = json.loads("\n".join(har.lines(session, session.exchanges())))["log"]["entries"][0]["response"]["content"]
    assert content["text"] == "a" * (1 << 20) and content["size"] == 3 << 20 and "of 3.0 MiB" in content["comment"]


@pytest.mark.parametrize("name", ["http-get", "sse", "dns-udp"])
def test_the_archive_written_entry_by_entry_is_the_same(name: str) -> None:
    session = open_session(name)
    assert json.loads("\n".join(har.lines(session, session.exchanges()))) == har.archive(session, session.exchanges())
    session.close()
