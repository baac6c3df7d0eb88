"""DNS over UDP, and where UDP is not enough."""

from __future__ import annotations

from pathlib import Path

from recording.lab import WEB4, Lab
from recording.story import Look, Story

QUESTIONS = (
    ("www.example.test", "A"),
    ("shop.example.test", "A"),
    ("static.example.test", "AAAA"),
    ("example.test", "MX"),
    ("_imaps._tcp.example.test", "SRV"),
    ("www.example.test", "HTTPS"),
    ("-x", "192.0.2.80"),
    ("mail.example.test", "AAAA"),
    ("wwww.example.test", "A"),
    ("+bufsize=512", "policy.example.test", "TXT"),
)


def lookups(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    with lab.capture(path):
        for question in QUESTIONS:
            lab.run("dig", *question)
        lab.run("dig", f"@{WEB4}", "+tries=1", "www.example.test", "A", status=9)  # dig: no reply from a server
    return b""


STORIES = (
    Story(
        name="dns-udp",
        title="Eleven questions to a resolver",
        teaches="""One question, one datagram, one answer, matched by a 16-bit number and the ports: addresses, an alias, mail
            and service records, HTTPS parameters, a reverse lookup. A name that does not exist (NXDOMAIN)
            and a type that does not exist (no answer) are two different things. One answer does not fit and
            is asked for again over TCP, and one question meets a closed port, which UDP cannot say and ICMP
            does.""",
        record=lookups,
        peers=("dig", "unbound"),
        looks=(
            Look(
                "dns.qry.type == 1 && dns.flags.response == 0",
                "Recursion desired, and EDNS offers to take {dns.rr.udp_payload_size} bytes in one datagram.",
            ),
            Look(
                "dns.cname && dns.flags.response == 1",
                "shop.example.test is an alias: the answer holds the CNAME and the addresses of {dns.cname}, which "
                "live for 60 seconds only.",
                comment=True,
            ),
            Look(
                "dns.srv.port && dns.flags.response == 1",
                "SRV names host and port of a service: priority {dns.srv.priority}, weight {dns.srv.weight}, port "
                "{dns.srv.port}.",
            ),
            Look(
                "dns.qry.type == 65 && dns.flags.response == 1",
                "HTTPS record: the client learns that the server speaks h2 before it connects.",
            ),
            Look(
                "dns.qry.type == 12 && dns.flags.response == 0",
                "A reverse lookup is an ordinary question for a name: the address backwards under in-addr.arpa.",
            ),
            Look(
                'dns.qry.name == "mail.example.test" && dns.flags.response == 1',
                "NOERROR and no answer: the name exists, the type AAAA does not.",
            ),
            Look(
                "dns.flags.rcode == 3",
                "NXDOMAIN: the name does not exist. The SOA says for how long this may be remembered.",
                comment=True,
            ),
            Look(
                "dns.flags.truncated == 1",
                "The answer does not fit into the 512 bytes that the client takes: TC is set, and the client has to "
                "ask over TCP.",
                comment=True,
            ),
            Look(
                "dns && tcp && dns.flags.response == 1",
                "Over TCP the same answer has two bytes of length in front ({dns.length}), for a stream has no "
                "boundaries of its own.",
            ),
            Look(
                "icmp.type == 3",
                "Nobody listens on port 53 of 192.0.2.80. ICMP says so and quotes the datagram that it is about.",
                comment=True,
            ),
        ),
        requires={"dns.flags.truncated == 1": 1, "dns.flags.rcode == 3": 1, "icmp.code == 3": 1, "tcp.flags.fin == 1": 2},
        expect=("dns-name-error", "dns-truncated", "port-unreachable"),
    ),
)
