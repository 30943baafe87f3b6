"""A row as bytes, from when it is taken until it need not be written once more in case its file fails.

As an object it is four, with 25 numbers: a hundred runs' rows are hundreds of megabytes, and each look of the garbage
collector at them holds all threads up. It does not look at bytes.
"""

from __future__ import annotations

import struct
from math import nan

from cycler_ctl.errors import StoreError
from cycler_ctl.store.codec import PLAIN
from protocols.record import Row

NUMBERS = struct.Struct("<q18db2q2b")
"""In the order of ``packed``; takes numpy's too. No temperature is NaN; mode and mark are numbers of ``WORDS``."""
WORDS: dict[int, str] = dict(enumerate(PLAIN.values()))
_NUMBER_OF = {word: number for number, word in enumerate(PLAIN)}
CONTEXT_AT = struct.calcsize("<q18db")
"""From there on stands what a row has in common with many others."""


def packed(row: Row) -> bytes:
    """Raises StoreError, and nothing else, where the row cannot be stored. Written out: this runs for every row."""
    try:
        run, cycle, step = row.run_total, row.cycle_total, row.step_total
        return (
            NUMBERS.pack(
                row.seq,
                row.time_s,
                row.utc_s,
                row.voltage_V,
                row.current_A,
                nan if row.temperature_degC is None else row.temperature_degC,
                row.step_time_s,
                run.oxidation_Ah,
                run.reduction_Ah,
                run.oxidation_Wh,
                run.reduction_Wh,
                cycle.oxidation_Ah,
                cycle.reduction_Ah,
                cycle.oxidation_Wh,
                cycle.reduction_Wh,
                step.oxidation_Ah,
                step.reduction_Ah,
                step.oxidation_Wh,
                step.reduction_Wh,
                _NUMBER_OF[row.mark],
                row.cycle,
                row.step_count,
                _NUMBER_OF[row.mode],
                row.direction,
            )
            + row.step_id.encode()
        )
    except Exception as error:  # whatever it is made of: who records must go on to turn off
        raise StoreError(f"a row that cannot be stored: {type(error).__name__}: {error}") from error


def step_id_of(row: bytes) -> str:
    return row[NUMBERS.size :].decode()


def seq_of(row: bytes) -> int:
    return int.from_bytes(row[:8], "little")
