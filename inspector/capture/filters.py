"""Capture filters: compiled by libpcap, which scapy binds, and attached to the socket by the capture process."""

from __future__ import annotations

import ctypes
import re
import struct

from inspector.core.errors import InspectError

_WORDS = re.compile(r"[\s()!&|]+")  # what stands between the words of a filter (pcap-filter(7)); names may hold - and .
_INSTRUCTION = struct.Struct("=HBBI")
BPF_RET, BPF_K = 6, 0  # include/uapi/linux/bpf_common.h, as all of these
BPF_LD, BPF_LDX, BPF_ABS, BPF_IND, BPF_MSH = 0, 1, 0x20, 0x40, 0xA0
SKF_AD_OFF = 0xFFFFF000  # offsets from here on are not in the packet (include/uapi/linux/filter.h)
SLL2_HEADER = 20
# In SLL2's header: protocol, interface, hardware type, packet type; where the kernel has the same.
BESIDE = {0: SKF_AD_OFF, 4: SKF_AD_OFF + 8, 8: SKF_AD_OFF + 28, 10: SKF_AD_OFF + 4}


def compile_filter(text: str, link_type: int, snap: int, cooked: bool = False) -> bytes:
    """The BPF instructions of a filter, for packets of a link type, keeping `snap` bytes of each.

    cooked: the kernel's packets begin behind the link header, which is made up from what it says beside them.
    Raises InspectError with the compiler's own words.
    """
    if not text.strip():
        return return_instruction(snap)
    try:
        from scapy.libs import winpcapy as pcap
    except (ImportError, OSError):
        raise InspectError("-f needs libpcap, which is not installed; on Debian and Ubuntu: apt install libpcap0.8") from None
    handle = pcap.pcap_open_dead(link_type, snap)
    program = pcap.bpf_program()  # type: ignore[attr-defined]
    try:
        if pcap.pcap_compile(handle, ctypes.byref(program), text.encode("utf-8", "surrogateescape"), 1, 0xFFFFFFFF) < 0:
            said = pcap.pcap_geterr(handle)
            why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise InspectError(f"-f {text!r}: {why}")
        size = program.bf_len * _INSTRUCTION.size
        code = ctypes.string_at(program.bf_insns, size)
        pcap.pcap_freecode(ctypes.byref(program))
    finally:
        pcap.pcap_close(handle)
    if "vlan" in _WORDS.split(text):
        raise InspectError(f"-f {text!r}: the kernel takes VLAN tags off before the filter; use -Y vlan")
    return cooked_code(code, text) if cooked else code


def cooked_code(code: bytes, text: str) -> bytes:
    """The same instructions for packets without their SLL2 header: what lies in it, the kernel has beside the packet."""
    found = bytearray()
    for instruction, jt, jf, k in _INSTRUCTION.iter_unpack(code):
        loads = instruction & 7 in (BPF_LD, BPF_LDX) and instruction & 0xE0 in (BPF_ABS, BPF_IND, BPF_MSH)
        if loads and k < SLL2_HEADER:
            if k not in BESIDE or instruction & 0xE0 != BPF_ABS:
                raise InspectError(f"-f {text!r}: this asks for a link header that packets of `any` do not have")
            k = BESIDE[k]
        elif loads and k < SKF_AD_OFF:
            k -= SLL2_HEADER
        found += _INSTRUCTION.pack(instruction, jt, jf, k)
    return bytes(found)


def return_instruction(snap: int) -> bytes:
    """One instruction: keep the first `snap` bytes of every packet."""
    return _INSTRUCTION.pack(BPF_RET | BPF_K, 0, 0, snap)
