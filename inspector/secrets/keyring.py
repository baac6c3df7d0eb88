"""The secrets of a capture as its conversations ask for them: key logs, and what earlier sessions teach of resumed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.core.limits import MAX_SESSIONS, MAX_TRANSCRIPT
from inspector.core.secrecy import Agreed, Cache, Missing, Opener
from inspector.secrets.keylog import SESSION_ID, KeyLog


def short(name: bytes) -> str:
    """A client random or session id as messages name it."""
    return name[:4].hex() + "…" if len(name) > 4 else name.hex()


class Keyring:
    """All secrets of a capture.

    learn: makes sure that every conversation before the one given has been followed, so that what it taught is known.
    """

    def __init__(self, log: KeyLog, learn: Callable[[int], None] = lambda flow: None) -> None:
        self.log = log
        self.cache = Cache()
        self._learn = learn
        self._sessions: dict[bytes, list[tuple[int, bytes]]] = {}
        self.full = False  # there were more sessions than are remembered

    @property
    def empty(self) -> bool:
        """No secret was found: there is nothing to ask for."""
        return self.log.secrets == 0 and not self.log.refresh()

    def of(self, flow: int) -> FlowKeys:
        """The keys as conversation `flow` sees them: only earlier conversations teach it, whatever was looked at before."""
        return FlowKeys(self, flow)

    def may_open(self, client_random: bytes) -> bool:
        """A session with this client random may open: it has a secret, or could resume one that has."""
        return self.log.names(client_random) or self.log.resumable

    def grown(self, keys: FlowKeys) -> bool:
        """Secrets were added since these keys last missed one."""
        self.log.refresh()
        return self.log.secrets > keys.known

    def teach(self, flow: int, name: bytes, master: bytes) -> None:
        if name not in self._sessions and len(self._sessions) >= MAX_SESSIONS:
            self.full = True
            return
        known = self._sessions.setdefault(name, [])
        if (flow, master) not in known:
            known.append((flow, master))
            known.sort()

    def taught(self, flow: int, name: bytes) -> bytes | None:
        """The master secret of the session that was last known by this id or ticket before `flow`."""
        if not name:
            return None
        self._learn(flow)
        found = [master for by, master in self._sessions.get(name, ()) if by <= flow]
        return found[-1] if found else None


class FlowKeys:
    """What one conversation may know (core.secrecy.Keys). missed: a secret was not there when `known` were."""

    def __init__(self, ring: Keyring, flow: int) -> None:
        self.cache = ring.cache
        self.missed = False
        self.known = 0
        self._ring = ring
        self._flow = flow

    def _none(self, text: str) -> Missing:
        self.missed = True
        self.known = self._ring.log.secrets
        return Missing(text)

    def _from(self, what: str) -> str:
        return f"{what} is not in the key log" if not self._ring.empty else f"no key log was given; {what} would open it"

    # --- TLS 1.3

    def traffic(self, label: str, client_random: bytes, name: str, version: int) -> Opener | Missing:
        from hashlib import new

        from inspector.secrets.protection import Traffic
        from inspector.secrets.suites import Mode, suite

        found = suite(name)
        if version != 0x0304 and not 0x7F19 <= version <= 0x7FFF:  # draft 25 is the first that authenticates the header
            return Missing("this draft of TLS 1.3 protects records in another way, which is not done here")
        if found is None or found.mode is not Mode.AEAD:
            return Missing(f"the cipher of {name or 'an unknown suite'} is not known here")
        secret = self._ring.log.find(label, client_random)
        if secret is None:
            return self._none(self._from(f"{label} of the session with client random {short(client_random)}"))
        if len(secret) != new(found.mac).digest_size:
            return self._none(f"{label} for client random {short(client_random)} has a size that does not fit {name}")
        return Traffic(found, secret, f"{label} of client random {short(client_random)}")

    def early(self, client_random: bytes, suites: Sequence[str]) -> list[Opener] | Missing:
        found = [self.traffic("CLIENT_EARLY_TRAFFIC_SECRET", client_random, name, 0x0304) for name in suites]
        openers = [opener for opener in found if not isinstance(opener, Missing)]
        missing = [opener for opener in found if isinstance(opener, Missing)]
        return openers or (missing[0] if missing else Missing("no suite of TLS 1.3 was offered"))

    # --- TLS 1.0 to 1.2

    def connection(self, agreed: Agreed, client: bool) -> Opener | Missing:
        from hashlib import new

        from inspector.secrets.protection import connection
        from inspector.secrets.schedule import key_block
        from inspector.secrets.suites import Mode, suite

        found = suite(agreed.suite)
        if not 0x0301 <= agreed.version <= 0x0303:
            return Missing("the records of SSL 3.0 are not opened here" if agreed.version == 0x0300 else "unknown version")
        if found is None:
            return Missing(f"the cipher of {agreed.suite or 'an unknown suite'} is not known here")
        known = self._master(agreed, found.prf)
        if isinstance(known, Missing):
            return known
        master, source = known
        mac = new(found.mac, usedforsecurity=False).digest_size if found.mode is not Mode.AEAD else 0
        sizes = [mac, mac, found.key, found.key, found.iv, found.iv]
        block = key_block(agreed.version, found.prf, master, agreed.server_random, agreed.client_random, sum(sizes))
        parts, at = [], 0
        for size in sizes:
            parts.append(block[at : at + size])
            at += size
        mac_key, key, iv = parts[0 if client else 1 :: 2]
        return connection(found, agreed.version, agreed.encrypt_then_mac, source, master, mac_key, key, iv)

    def _master(self, agreed: Agreed, prf: str) -> tuple[bytes, str] | Missing:
        """The master secret, and from where it comes."""
        log = self._ring.log
        randoms = agreed.client_random + agreed.server_random
        master = log.find("CLIENT_RANDOM", agreed.client_random)
        if master is not None:
            return master, f"the master secret of client random {short(agreed.client_random)}"
        master = log.find(SESSION_ID, agreed.session_id) if agreed.session_id else None
        if master is not None:
            return master, f"the master secret of session id {short(agreed.session_id)}"
        premaster = log.find("RSA", agreed.premaster[:8]) if agreed.premaster else None
        if premaster is not None:
            from inspector.secrets.schedule import master_secret

            if agreed.extended_master_secret and agreed.cut:
                size = f"{MAX_TRANSCRIPT >> 10} KiB"
                return Missing(f"its handshake is longer than the {size} of which an extended master secret is made here")
            transcript = agreed.transcript if agreed.extended_master_secret else b""
            master = master_secret(agreed.version, prf, premaster, randoms, transcript)
            return master, f"the premaster secret that was sent as {short(agreed.premaster)}"
        what = f"CLIENT_RANDOM of the session with client random {short(agreed.client_random)}"
        if agreed.resumed and self._ring.log.resumable:
            for name, word in ((agreed.ticket, "ticket"), (agreed.session_id, "session id")):
                master = self._ring.taught(self._flow, name)
                if master is not None:
                    return master, f"the master secret of the earlier session with {word} {short(name)}"
            why = f"is not among the {MAX_SESSIONS:,} that are remembered" if self._ring.full else "is not known either"
            return self._none(self._from(f"{what} (a resumed session, whose first handshake {why})"))
        return self._none(self._from(what))

    def teach(self, name: bytes, opener: Opener) -> None:
        master = getattr(opener, "master", b"")
        if name and master:
            self._ring.teach(self._flow, name, master)
