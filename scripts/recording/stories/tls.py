"""HTTPS, and a certificate that the client refuses."""

from __future__ import annotations

from pathlib import Path

from inspector.capture.labs import certificates
from recording.lab import Lab
from recording.story import Look, Story

CURL = ("curl", "--silent", "--show-error", "--http1.1")


def tls12(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "rsa")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.2; ssl_session_cache shared:sessions:1m; lingering_close always; {files.nginx}")
    url = "https://www.example.test/logo.svg"
    with lab.capture(path):
        lab.run(*CURL, "--cacert", str(files.root), "--header", "Connection: close", url, url)
    return b""


def tls12_keys(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "rsa")
    lab.resolver()
    suites = ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-CHACHA20-POLY1305")
    lab.nginx(tls=f"ssl_protocols TLSv1.2; ssl_ciphers {':'.join(suites)}; lingering_close always; {files.nginx}")
    keys = lab.dir / "keys.txt"
    one = ("--cacert", str(files.root), "--header", "Connection: close", "https://www.example.test/logo.svg")
    each = [("--next", *CURL[1:], "--ciphers", suite, *one) for suite in suites]
    with lab.capture(path):
        lab.run(*CURL[:1], *(word for words in each for word in words), SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def tls13(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "ec")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.2 TLSv1.3; {files.nginx}")
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        lab.run(*CURL, "--cacert", str(files.root), "https://www.example.test/", SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def bad_certificate(lab: Lab, path: Path) -> bytes:
    files = certificates.self_signed(lab.dir, "www.example.test")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.2 TLSv1.3; {files.nginx}")
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        for more in ((), ("--tls-max", "1.2")):
            lab.run(*CURL, *more, "https://www.example.test/", status=60, SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def resumption(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "ec")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.3; {files.nginx}")
    keys = lab.dir / "keys.txt"
    url = "https://www.example.test/logo.svg"
    with lab.capture(path):
        more = ("--cacert", str(files.root), "--header", "Connection: close")
        lab.run(*CURL, *more, url, url, SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


def hello_retry(lab: Lab, path: Path) -> bytes:
    files = certificates.chain(lab.dir, "www.example.test", "ec")
    lab.resolver()
    lab.nginx(tls=f"ssl_protocols TLSv1.3; ssl_ecdh_curve secp384r1; {files.nginx}")
    keys = lab.dir / "keys.txt"
    with lab.capture(path):
        lab.run(*CURL, "--cacert", str(files.root), "https://www.example.test/logo.svg", SSLKEYLOGFILE=str(keys))
    return keys.read_bytes()


STORIES = (
    Story(
        name="https-tls12",
        title="TLS 1.2, full and resumed, without keys",
        teaches="""What anybody on the path can see of HTTPS: the name of the server, the certificates and the chosen cipher
            are in clear, all else is not, for this file holds no keys. The first connection needs two round
            trips before the request; the second one offers the session again and skips certificates and key
            exchange. Each side says close_notify before FIN.""",
        record=tls12,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tls.handshake.type == 1 && tcp.stream == 0",
                "The ClientHello names {tls.handshake.extensions_server_name} in clear and offers "
                "{tls.handshake.extensions_alpn_str} by ALPN.",
            ),
            Look(
                "tls.handshake.type == 2 && tcp.stream == 0",
                "The ServerHello chooses {tls.handshake.ciphersuite} (ECDHE-RSA-AES256-GCM-SHA384); the certificates "
                "begin in this segment and do not fit.",
            ),
            Look(
                "tls.handshake.type == 11",
                "The Certificate message is complete here: the server's certificate and the intermediate; the root is "
                "the client's business.",
                comment=True,
            ),
            Look(
                "tls.handshake.type == 16",
                "ClientKeyExchange, ChangeCipherSpec and the first encrypted message: from here on the client's side is dark.",
            ),
            Look(
                "tls.handshake.type == 1 && tcp.stream == 1",
                "The second ClientHello sends the session ID that the server gave out before.",
            ),
            Look(
                "tls.handshake.type == 2 && tcp.stream == 1",
                "The server accepts: the same session ID, then at once ChangeCipherSpec and Finished. One round trip "
                "and all the signatures are saved.",
                comment=True,
            ),
        ),
        requires={
            "tls.handshake.type == 1": 2,
            "tls.handshake.type == 11": 1,
            "tls.resumed": 1,
            "tcp.flags.reset == 1": 0,
            "http": 0,
        },
    ),
    Story(
        name="https-tls12-keys",
        title="TLS 1.2 with its keys: three ways to protect a record",
        teaches="""The same small file three times, over three TLS 1.2 connections, and each session's one secret
            (CLIENT_RANDOM in the key log) opens it. AES-GCM encrypts and authenticates in one (AEAD), and each record
            carries eight bytes of its nonce. AES-CBC with a separate HMAC is older: both sides agree to authenticate
            what was encrypted (encrypt_then_mac) and not the other way about, which ended a decade of padding
            attacks; each record brings an initialisation vector and padding. ChaCha20-Poly1305 is an AEAD again, and
            sends no nonce at all: the record's number is enough, as in TLS 1.3. Compare the lengths of the same
            response.""",
        record=tls12_keys,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tls.handshake.type == 2 && tcp.stream == 0",
                "The ServerHello chooses {tls.handshake.ciphersuite}: ECDHE-RSA-AES128-GCM-SHA256, an AEAD suite.",
            ),
            Look(
                "http.request && tcp.stream == 0",
                "The request, opened with the master secret that the key log names by the client's random.",
                comment=True,
            ),
            Look(
                "http.response && tcp.stream == 0",
                "The response under AES-GCM: 8 bytes of nonce in front of the ciphertext, 16 of authentication tag behind it.",
            ),
            Look(
                "tls.handshake.extension.type == 22 && tls.handshake.type == 2 && tcp.stream == 1",
                "The second ServerHello chooses {tls.handshake.ciphersuite} (CBC and HMAC-SHA256), and agrees to "
                "encrypt_then_mac: the MAC covers what was encrypted.",
                comment=True,
            ),
            Look(
                "http.response && tcp.stream == 1",
                "The same response under AES-CBC: 16 bytes of initialisation vector, padding up to the block, 32 bytes "
                "of HMAC.",
                comment=True,
            ),
            Look(
                "tls.handshake.type == 2 && tcp.stream == 2",
                "The third ServerHello chooses {tls.handshake.ciphersuite}, ChaCha20-Poly1305; a CBC suite is not in sight, "
                "and nobody speaks of encrypt_then_mac.",
            ),
            Look(
                "http.response && tcp.stream == 2",
                "The same response under ChaCha20-Poly1305: nothing in front of the ciphertext, 16 bytes of tag behind it.",
            ),
        ),
        requires={
            "tls.handshake.type == 11": 3,
            "tls.handshake.extension.type == 22 && tls.handshake.type == 2": 1,
            "http.request": 3,
            "http.response": 3,
            "tls.resumed": 0,
            "tcp.flags.reset == 1": 0,
        },
    ),
    Story(
        name="https-tls13",
        title="TLS 1.3, with its keys",
        teaches="""A whole TLS 1.3 connection that can be read to the last byte, because the client wrote its secrets down
            (SSLKEYLOGFILE) and they are in this file. Already the server's second message is encrypted,
            certificates included, and the request leaves after one round trip. Both sides still say
            ChangeCipherSpec, for middleboxes that know nothing newer than TLS 1.2.""",
        record=tls13,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tls.handshake.type == 1",
                "The ClientHello says 0x0303 (TLS 1.2) in its version field; TLS 1.3 is offered in the extension "
                "supported_versions, "
                "and the key share is sent before anybody asks for it.",
            ),
            Look(
                "tls.handshake.type == 2",
                "ServerHello in clear, then EncryptedExtensions, Certificate, CertificateVerify and Finished, all "
                "under keys that exist since this packet.",
                comment=True,
            ),
            Look(
                "tls.handshake.type == 20 && tcp.srcport != 443",
                "The client's Finished: with it the client has checked the certificate and the handshake; the request "
                "follows at once.",
            ),
            Look(
                "http.request",
                "The request, decrypted with CLIENT_TRAFFIC_SECRET_0; on the wire its type is application data, as "
                "that of every encrypted record.",
            ),
            Look(
                "tls.handshake.type == 4",
                "NewSessionTicket comes after the handshake and looks like data on the wire; it lets a later "
                "connection resume.",
                comment=True,
            ),
            Look(
                "http.response",
                "One TLS record holds the whole response and spans two segments: nothing of it can be verified, or "
                "read, before its last byte is here.",
            ),
            Look("tls.alert_message.desc == 0", "close_notify, encrypted like all else: it tells an end from a cut."),
        ),
        requires={"http.request": 1, "http.response": 1, "tls.handshake.type == 11": 1},
    ),
    Story(
        name="tls-bad-certificate",
        title="A certificate that the client does not trust",
        teaches="""The server's certificate is signed by itself, and curl refuses it, once over TLS 1.3 and once over TLS 1.2.
            The alert unknown_ca (48) is the client's word about the server. Over TLS 1.2 anybody can read
            it, and here over TLS 1.3 too, since the client gives up before it begins to use its own keys; had
            it begun, the alert would be one more encrypted record, which is why a server's log says more than
            a capture without keys.""",
        record=bad_certificate,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tls.handshake.type == 11 && tcp.stream == 0",
                "TLS 1.3: the certificate is encrypted; only with the keys it is seen that subject and issuer are the same.",
            ),
            Look(
                "tls.alert_message.desc == 48 && tcp.stream == 0",
                "Fatal alert {tls.alert_message.desc}, unknown_ca, and in clear: this client gives up before it begins to "
                "use its own handshake keys.",
                comment=True,
            ),
            Look(
                "tcp.flags.reset == 1 && tcp.stream == 0",
                "curl closes with a reset: the connection has failed, and no request was ever sent.",
            ),
            Look("tls.handshake.type == 11 && tcp.stream == 1", "TLS 1.2: the same certificate, in clear."),
            Look(
                "tls.alert_message.desc == 48 && tcp.stream == 1",
                "The same alert in clear, level {tls.alert_message.level} (fatal): who refuses is whoever sends it, "
                "here the client.",
                comment=True,
            ),
        ),
        requires={"tls.alert_message.desc == 48": 2, "http": 0},
        expect=("alert", "tls-alert"),
    ),
    Story(
        name="tls13-resumption",
        title="TLS 1.3: the second connection resumes the first",
        teaches="""After the first handshake the server sends session tickets: sealed notes to itself that the client must
            keep. On the second connection the client shows one in pre_shared_key, and the server, which has remembered
            nothing, opens it and agrees: no certificate, no signature, less than half of the bytes. The state lives
            with the client. A fresh key share still goes both ways, so that the ticket's key alone reads nothing of
            it.""",
        record=resumption,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look("tls.handshake.type == 11", "The whole certificate chain, because the client has no ticket yet."),
            Look(
                "tls.handshake.type == 4",
                "NewSessionTicket, sent after the handshake: valid for {tls.handshake.session_ticket_lifetime_hint} seconds.",
                comment=True,
            ),
            Look(
                "tls.handshake.type == 1 && tcp.stream == 1",
                "pre_shared_key, always the last extension: the ticket, and a binder that proves the client has its key.",
                comment=True,
            ),
            Look(
                "tls.handshake.type == 2 && tcp.stream == 1",
                "The ServerHello picks the ticket: Certificate and CertificateVerify will not come.",
            ),
        ),
        requires={
            "tls.handshake.type == 11": 1,
            "tls.handshake.type == 1": 2,
            "http.response": 2,
            "tls.handshake.extension.type == 41 && tls.handshake.type == 2": 1,
        },
    ),
    Story(
        name="tls13-hello-retry",
        title="TLS 1.3: the server asks for another key share",
        teaches="""In TLS 1.3 the client guesses which group the server will want, and sends a key share for it. Here the guess
            is wrong: the server accepts only secp384r1, says so in a HelloRetryRequest, and the client begins again. It
            costs one more round trip; a HelloRetryRequest is a ServerHello with one special value in place of its
            random bytes.""",
        record=hello_retry,
        peers=("curl", "nginx", "unbound"),
        looks=(
            Look(
                "tls.handshake.type == 1",
                "The first ClientHello: many groups are supported, and a key share comes for one of them.",
            ),
            Look(
                "tls.handshake.random[0:8] == cf:21:ad:74:e5:9a:61:11",
                "HelloRetryRequest: this random value is the SHA-256 of that very name.",
                comment=True,
            ),
            Look("tls.handshake.type == 1 && tcp.seq > 100", "The second ClientHello, with a key share for secp384r1."),
        ),
        requires={"tls.handshake.type == 1": 2, "tls.handshake.type == 2": 2, "http.response": 1},
    ),
)
