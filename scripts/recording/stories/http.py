"""HTTP/1.1 in clear."""

from __future__ import annotations

from pathlib import Path

from recording.lab import Lab
from recording.story import Look, Story


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
    lab.app("shop")
    order = '{"customer":"Alice","city":"Zürich","items":[{"sku":"mug-01","count":3}],"express":true,"note":null,"total":41.7}'
    items = ",".join(f'{{"customer":"customer {n}","items":[{{"sku":"mug-{n:02}","count":{n % 5 + 1}}}]}}' for n in range(30))
    (lab.dir / "batch.json").write_text(f"[{items}]")
    common = ("--silent", "--show-error", "--compressed", "--cookie-jar", "jar.txt", "--cookie", "theme=dark")
    with lab.capture(path):
        lab.run(
            "curl",
            *common,
            "--json",
            order,
            "http://api.example.test/orders",
            "--next",
            *common,
            "--json",
            "@batch.json",
            "--header",
            "Expect: 100-continue",
            "http://api.example.test/orders/batch",
        )
    return b""


def keepalive(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    lab.nginx()
    common = ("--silent", "--show-error", "--compressed")
    url = "http://static.example.test"
    tag = "etag.txt"
    with lab.capture(path):
        lab.run(
            "curl",
            *common,
            "--location",
            f"{url}/home",
            "--next",
            *common,
            "--etag-save",
            tag,
            f"{url}/style.css",
            "--next",
            *common,
            "--etag-compare",
            tag,
            f"{url}/style.css",
            "--next",
            *common,
            "--head",
            f"{url}/logo.svg",
            "--next",
            *common,
            f"{url}/missing.png",
        )
    return b""


OPENING = (
    Look(
        "arp.opcode == 1",
        "ARP asks everybody on the link which hardware address has {arp.dst.proto_ipv4}: IP alone cannot deliver a frame.",
    ),
    Look(
        "tcp.flags.syn == 1 && tcp.flags.ack == 0",
        "The SYN carries no data; its options offer an MSS of {tcp.options.mss_val}, SACK, timestamps and a window "
        "scale factor of {tcp.options.wscale.multiplier}.",
    ),
)

STORIES = (
    Story(
        name="http-get",
        title="curl fetches a small page",
        teaches="""Everything that one `curl http://…` costs, in twenty packets: the name is looked up, the hardware addresses
            are found, three segments open the connection, one carries the request, two the page, and three
            close it. The page is just longer than one Ethernet frame may carry, so that the response exists
            in no single packet. Compare it with http-get-lo.""",
        record=get,
        peers=("curl", "nginx", "unbound"),
        looks=(
            OPENING[0],
            Look(
                "dns.qry.type == 28 && dns.flags.response == 1",
                "No error, and yet no answer: www.example.test exists but has no AAAA record, which the SOA in the "
                "authority section vouches for.",
            ),
            OPENING[1],
            Look(
                "http.request",
                "The whole request fits into one segment of {tcp.len} bytes; until here the server has sent nothing "
                "but its SYN, ACK.",
            ),
            Look(
                "tcp.len == 1448",
                "A full segment: {tcp.len} bytes of data, 32 of TCP header with timestamps and 20 of IP header make "
                "the 1,500 that Ethernet carries.",
                comment=True,
            ),
            Look(
                "http.response",
                "The rest of the page arrives with this segment, so that the response of two segments is complete here.",
                comment=True,
            ),
            Look(
                "tcp.flags.fin == 1", "The client says first that it has nothing more to send; this side will hold TIME_WAIT."
            ),
        ),
        requires={"tcp.flags.fin == 1": 2, "http.response": 1, "tcp.flags.reset == 1": 0},
    ),
    Story(
        name="http-get-lo",
        title="The same page over the loopback interface",
        teaches="""The same exchange as http-get, recorded on `lo`. There are no hardware addresses to ask for, the MTU of
            65,536 lets the whole page pass in one segment, and nobody computes the TCP and UDP checksums,
            since the bytes never leave the memory of this machine: a wrong checksum here is offloading, not
            damage.""",
        record=get_lo,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "frame.number == 1",
                "Ethernet addresses of zeros: the loopback interface delivers by itself, and there was no ARP.",
            ),
            Look(
                "tcp.flags.syn == 1 && tcp.flags.ack == 0",
                "The offered MSS is {tcp.options.mss_val}, the loopback MTU without the headers, where Ethernet offers 1460.",
                comment=True,
            ),
            Look(
                "tcp.checksum.status == 0 && http.request",
                "The checksum {tcp.checksum} covers the pseudo-header only: the kernel leaves the rest to a network "
                "card, and loopback has none.",
                comment=True,
            ),
            Look("http.response", "Head and page in one segment of {tcp.len} bytes; over Ethernet the same bytes took two."),
        ),
        requires={"http.response": 1, "arp": 0, "tcp.checksum.status == 0": None},
        expect=("checksum-offloaded",),
        interface="loopback",
        checksums=False,
    ),
    Story(
        name="http-post-json",
        title="Two JSON posts on one connection",
        teaches="""A POST with a small JSON body, then a larger one that first asks for leave: the client sends the head with
            `Expect: 100-continue` and waits, the server says 100, and only then the body follows. The first
            response sets a cookie, the second one comes gzipped, and its head and body are segments of
            their own because the application wrote them apart.""",
        record=post_json,
        peers=("curl", "uvicorn", "starlette", "unbound"),
        looks=(
            Look(
                'http.request.uri == "/orders"',
                "Head and JSON body share one segment; Content-Length says that {http.content_length} bytes belong to "
                "the body, "
                "two of them for the ü of Zürich.",
            ),
            Look(
                "http.response.code == 201",
                "201 Created: the head, with Location and Set-Cookie, came one packet with data earlier; this segment "
                "holds the JSON body.",
                comment=True,
            ),
            Look(
                'tcp.payload contains "Expect: 100-continue"',
                "A head without its body: `Expect: 100-continue` lets the server refuse before anything large is sent. "
                "The cookie of the first response is sent back here.",
            ),
            Look(
                "http.response.code == 100",
                "100 Continue is a response of its own, and it is not the last one to this request.",
                comment=True,
            ),
            Look(
                'http.request.uri == "/orders/batch"',
                "The rest of the JSON body: this request took three segments and is complete only here.",
            ),
            Look(
                'http.content_encoding == "gzip"',
                "Content-Encoding: gzip; {http.content_length} bytes on the wire hold a JSON body several times as long.",
            ),
        ),
        requires={
            "http.response.code == 100": 1,
            'http.content_encoding == "gzip"': 1,
            'tcp.payload contains "session="': 2,
        },
    ),
    Story(
        name="http-keepalive",
        title="Six requests on one connection, over IPv6",
        teaches="""The name has an address of each family, and curl takes IPv6; Neighbour Discovery does there what ARP does
            for IPv4. One connection then serves six requests: a redirect that is followed, a page and a
            style sheet, both gzipped and chunked, a conditional GET that is answered with 304 and no body,
            a HEAD whose Content-Length counts bytes that never come, and a 404.""",
        record=keepalive,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "icmpv6.type == 135",
                "Neighbour Solicitation: who has {icmpv6.nd.ns.target_address}? It goes to a multicast group of "
                "nearly one host, not to everybody.",
            ),
            Look(
                "http.response.code == 301",
                "301 with Location and Connection: keep-alive; the next request follows on the same connection, "
                "without another handshake.",
            ),
            Look(
                'http.response.code == 200 && http.content_encoding == "gzip"',
                "Chunked and gzipped: nginx compresses as it sends, so it cannot know the length beforehand "
                "and the strong ETag became a weak one (W/).",
                comment=True,
            ),
            Look(
                'http.request.line contains "If-None-Match"',
                "If-None-Match sends the ETag of the style sheet back: send it only if it has changed.",
            ),
            Look(
                "http.response.code == 304",
                "304 Not Modified: a whole response of {tcp.len} bytes in place of the style sheet.",
                comment=True,
            ),
            Look("http.request.method == HEAD", "HEAD asks for the head alone."),
            Look(
                'http.response.code == 200 && http.content_type contains "svg"',
                "Content-Length: {http.content_length_header}, and no byte of a body follows, because the request was "
                "HEAD; "
                "a parser that does not know the request waits for ever.",
                comment=True,
            ),
            Look(
                "http.response.code == 404",
                "The server has refused nothing but a name: 404 is a good answer on a healthy connection.",
            ),
        ),
        requires={"http.request": 6, "http.response": 6, "tcp.flags.syn == 1": 2, "ipv6 && tcp": None},
    ),
)
