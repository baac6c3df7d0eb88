"""HTTP/1.1 in clear."""

from __future__ import annotations

from pathlib import Path

from recording.lab import Lab
from recording.story import Story


def get(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.nginx()
    with lab.capture(path):
        lab.run("curl", "--silent", "--show-error", "http://www.example.test/")
    return b""


def get_lo(lab: Lab, path: Path) -> bytes:
    lab.use_resolver("127.0.0.1")
    lab.resolver(end="client", listen="127.0.0.1", web="127.0.0.1")
    lab.nginx(end="client", listen=["127.0.0.1"])
    with lab.capture(path, "lo"):
        lab.run("curl", "--silent", "--show-error", "http://www.example.test/")
    return b""


def post_json(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.app("orders")
    order = '{"customer":"Alice","city":"Zürich","items":[{"sku":"mug-01","count":3}],"express":true,"note":null,"total":41.7}'
    items = ",".join(f'{{"customer":"customer {n}","items":[{{"sku":"mug-{n:02}","count":{n % 5 + 1}}}]}}' for n in range(30))
    (lab.dir / "batch.json").write_text(f"[{items}]")
    common = ("--silent", "--show-error", "--compressed", "--cookie", "theme=dark")
    with lab.capture(path):
        lab.run("curl", *common, "--json", order, "http://api.example.test/orders",
                "--next", *common, "--json", "@batch.json", "--header", "Expect: 100-continue",
                "http://api.example.test/orders/batch")
    return b""


def keepalive(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.nginx()
    common = ("--silent", "--show-error", "--compressed")
    url = "http://static.example.test"
    tag = "etag.txt"
    with lab.capture(path):
        lab.run("curl", *common, "--location", f"{url}/home",
                "--next", *common, "--etag-save", tag, f"{url}/style.css",
                "--next", *common, "--etag-compare", tag, f"{url}/style.css",
                "--next", *common, "--head", f"{url}/logo.svg",
                "--next", *common, f"{url}/missing.png")
    return b""


STORIES = (
    Story("http-get", "t", "t", get, ("curl", "nginx", "unbound"), ()),
    Story("http-get-lo", "t", "t", get_lo, ("curl", "nginx", "unbound"), (), interface="loopback", checksums=False),
    Story("http-post-json", "t", "t", post_json, ("curl", "uvicorn", "starlette", "unbound"), ()),
    Story("http-keepalive", "t", "t", keepalive, ("curl", "nginx", "unbound"), ()),
)
