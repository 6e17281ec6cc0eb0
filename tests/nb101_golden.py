"""Published values of NAS-Bench-101: hashes of cells and their trainable parameters."""

from __future__ import annotations

C3, C1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
INCEPTION = ["0111010", "0000001", "0000001", "0000100", "0000001", "0000001", "0000000"]
_BEST = ["0110011", "0000010", "0001000", "0000100", "0000010", "0000001", "0000000"]
_FIRST = ["0100110", "0010000", "0001001", "0000010", "0000010", "0000001", "0000000"]
_CHAIN = ["0100000", "0010000", "0001000", "0000100", "0000010", "0000001", "0000000"]
CELLS = {
    "28cfc7874f6d200472e1a9dcd8650aa0": (INCEPTION, [C1, C3, C3, C3, POOL]),
    "8990de2aa6c16c245b66f633938a95e3": (["0111011", *INCEPTION[1:]], [C1, C3, C3, C3, POOL]),  # ten edges
    "02e5a0247bbdcf2860b7e96f74961594": (_BEST, [C1, C3, POOL, C3, C3]),
    "b5fb4f6193360330b6ff6a52cbf0cad7": (["0101", "0010", "0001", "0000"], [C3, C3]),
    "00005c142e6f48ac74fdcf73e3439874": (_FIRST, [C3, POOL, C3, C3, C1]),
    "043721b9c7fe8c5fad811d47d83132ec": (["01", "00"], []),
    "b49ac8c578b4561d79ac7087988f1c61": (["010", "001", "000"], [C3]),
    "d1269d9156ddc027c40473008192958a": (["010", "001", "000"], [C1]),
    "53cee42601ad14d661bb6878031d6acb": (["010", "001", "000"], [POOL]),
    "b3bc0991ac661443a583796ce582f11f": (_CHAIN, [C3] * 5),
    "57ce398bf6e143974d21b0046b4c85e3": (_CHAIN, [POOL] * 5),
}
"""Hash -> a cell that has it: rows of its matrix, operations of its inner vertices."""
PARAMETERS = {
    "28cfc7874f6d200472e1a9dcd8650aa0": 2_694_282,
    "02e5a0247bbdcf2860b7e96f74961594": 32_426_634,
    "b5fb4f6193360330b6ff6a52cbf0cad7": 20_346_506,
    "00005c142e6f48ac74fdcf73e3439874": 8_555_530,
    "043721b9c7fe8c5fad811d47d83132ec": 882_570,
    "b49ac8c578b4561d79ac7087988f1c61": 10_177_674,
    "d1269d9156ddc027c40473008192958a": 1_920_138,
    "53cee42601ad14d661bb6878031d6acb": 882_570,
    "b3bc0991ac661443a583796ce582f11f": 47_358_090,
    "57ce398bf6e143974d21b0046b4c85e3": 882_570,
}
"""Hash -> trainable parameters of the published network."""
