"""The long tail: protocols that dpkt and scapy declare, shown in the same tree, with the bytes of each field.

`table.py` says statically which class of which library reads what; a library is imported when such bytes are dissected.
"""
