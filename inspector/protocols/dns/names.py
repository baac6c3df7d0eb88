"""The numbers of DNS and their names (IANA "Domain Name System (DNS) Parameters")."""

from __future__ import annotations

TYPES = {
    1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
    13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP",
    23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 33: "SRV", 35: "NAPTR",
    36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY",
    61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY",
    250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA", 32768: "TA",
    32769: "DLV",
}  # fmt: skip
CLASSES = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
OPCODES = {0: "Query", 1: "Inverse query", 2: "Status", 4: "Notify", 5: "Update", 6: "Stateful operations"}
RCODES = {
    0: "No error", 1: "Format error", 2: "Server failure", 3: "No such name", 4: "Not implemented", 5: "Refused",
    6: "Name exists", 7: "RRset exists", 8: "RRset does not exist", 9: "Not authoritative", 10: "Name out of zone",
    11: "DSO type not implemented",
}  # fmt: skip
SVC_KEYS = {0: "mandatory", 1: "alpn", 2: "no-default-alpn", 3: "port", 4: "ipv4hint", 5: "ech", 6: "ipv6hint", 7: "dohpath"}
EDNS_OPTIONS = {
    1: "LLQ", 2: "Update lease", 3: "NSID", 5: "DAU", 6: "DHU", 7: "N3U", 8: "Client subnet", 9: "Expire", 10: "Cookie",
    11: "TCP keep-alive", 12: "Padding", 13: "Chain", 14: "Key tag", 15: "Extended error", 16: "Client tag", 17: "Server tag",
}  # fmt: skip
EXTENDED_ERRORS = {
    0: "Other error", 1: "Unsupported DNSKEY algorithm", 2: "Unsupported DS digest type", 3: "Stale answer", 4: "Forged answer",
    5: "DNSSEC indeterminate", 6: "DNSSEC bogus", 7: "Signature expired", 8: "Signature not yet valid", 9: "DNSKEY missing",
    10: "RRSIGs missing", 11: "No zone key bit set", 12: "NSEC missing", 13: "Cached error", 14: "Not ready", 15: "Blocked",
    16: "Censored", 17: "Filtered", 18: "Prohibited", 19: "Stale NXDOMAIN answer", 20: "Not authoritative", 21: "Not supported",
    22: "No reachable authority", 23: "Network error", 24: "Invalid data",
}  # fmt: skip
ALGORITHMS = {
    1: "RSA/MD5", 3: "DSA/SHA-1", 5: "RSA/SHA-1", 6: "DSA-NSEC3-SHA1", 7: "RSASHA1-NSEC3-SHA1", 8: "RSA/SHA-256",
    10: "RSA/SHA-512", 12: "GOST R 34.10-2001", 13: "ECDSA P-256 SHA-256", 14: "ECDSA P-384 SHA-384", 15: "Ed25519",
    16: "Ed448",
}  # fmt: skip
DIGESTS = {1: "SHA-1", 2: "SHA-256", 3: "GOST R 34.11-94", 4: "SHA-384"}
