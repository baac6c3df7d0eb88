"""Where the state of a conversation lives."""

from __future__ import annotations

import sys
from pathlib import Path

from recording.lab import PEERS, WEB4, Lab
from recording.story import Look, Story

SHOP = ("node", str(PEERS / "carts.mjs"), WEB4, "80")
URL = "http://www.example.test"


def cookie_session(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    server = lab.serve(*SHOP, port=80)
    curl = ("--silent", "--show-error", "--ipv4", "--cookie", "jar.txt", "--cookie-jar", "jar.txt")
    ask = f"{URL}/cart"
    with lab.capture(path):
        login = (*curl, "--json", '{"user":"alice","password":"correct horse battery staple"}', f"{URL}/login")
        lab.run("curl", *curl, ask, "--next", *login, "--next", *curl, "--json", '{"item":"mug"}', ask)
        lab.run("curl", *curl, ask)
        server.stop()
        lab.serve(*SHOP, port=80)
        lab.run("curl", *curl, ask)
    return b""


def jwt(lab: Lab, path: Path) -> bytes:
    lab.resolver()
    key = {"TOKEN_KEY": "a key of thirty-two bytes or more"}
    server = lab.app("tokens", **key)
    client = (sys.executable, str(PEERS / "token_client.py"), "http://api.example.test", "token.txt")
    with lab.capture(path):
        lab.run(*client)
        server.stop()
        lab.app("tokens", **key)
        lab.run(*client)
    return b""


STORIES = (
    Story(
        name="cookie-session",
        title="A session in the server, and a cookie that names it",
        teaches="""HTTP forgets everything between two requests, so the server gives the client a number to show: a cookie.
            What the number stands for, here a cart, lies in the server's memory. A new connection changes nothing, for
            the session is bound to the cookie and not to the connection; but then the server is restarted, and the same
            cookie is worth nothing. Compare it with jwt, where it is the token that knows everything.""",
        record=cookie_session,
        peers=("curl", "Node.js", "unbound"),
        looks=(
            Look("http.response.code == 401", "401: no cookie, no cart. WWW-Authenticate says which kind of proof is wanted."),
            Look(
                "http.set_cookie",
                "Set-Cookie gives the client the name of a session: random digits that say nothing by themselves. HttpOnly "
                "hides it from scripts, SameSite=Lax from other sites.",
                comment=True,
            ),
            Look("http.cookie", "From here on the client shows the cookie with each request."),
            Look(
                "http.request && tcp.stream == 1",
                "A new connection and the same cookie: for the server it is the same client.",
                comment=True,
            ),
            Look("http.response && tcp.stream == 1", "And the mug is in the cart: the server has found the session."),
            Look(
                "http.response && tcp.stream == 2",
                "401 for the very same request as before: the server was restarted, and its memory is empty.",
                comment=True,
            ),
        ),
        requires={
            "http.response.code == 401": 2,
            "http.set_cookie": 1,
            "http.cookie": 3,
            "http.response.code == 200 && tcp.stream == 1": 1,
            "http.response.code == 401 && tcp.stream == 2": 1,
        },
    ),
    Story(
        name="jwt",
        title="A token that knows everything, until it expires",
        teaches="""The client gets a token and shows it with every request: who it is, for what, and until when, signed by the
            server and readable by everybody. The server keeps nothing: it is restarted in between, and the same token is
            as good as before. What it cannot do is take the token back; so tokens are short-lived, and when this one has
            expired the answer is 401 with the reason, and the client gets another. Compare it with cookie-session.""",
        record=jwt,
        peers=("httpx", "Python", "uvicorn", "starlette", "unbound"),
        looks=(
            Look('http.request.uri == "/token"', "The client shows its own secret, once, and asks for a token."),
            Look(
                "http.response && tcp.stream == 0",
                "The token has three parts in base64url: a head, the claims, a signature. It is signed, not encrypted.",
                comment=True,
            ),
            Look(
                "http.authorization",
                "Authorization: Bearer, and the token. Who has it is believed: without TLS, as here, anybody on the way.",
            ),
            Look(
                "http.response.code == 200 && tcp.stream == 1",
                "200, from a server that was restarted since it gave the token out: the key of the signature is enough.",
                comment=True,
            ),
            Look(
                "http.response.code == 401",
                "401, and WWW-Authenticate says why: invalid_token, the access token expired.",
                comment=True,
            ),
            Look(
                'http.request.uri == "/token" && tcp.stream == 1',
                "The client asks for a new token, and then again for its orders.",
            ),
        ),
        requires={
            "http.response.code == 401": 1,
            "http.response.code == 200": 5,
            "http.authorization": 4,
            "tcp.flags.syn == 1": 4,
        },
        expect=("expired-token",),
    ),
)
