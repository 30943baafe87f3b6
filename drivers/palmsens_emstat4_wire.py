"""What is said to an EmStat4 whatever it is used for: off and the proof of it, who it is, what it can do."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
from cycler_ctl.instrument import Asking, Identity, Link
from drivers.palmsens_emstat4_ratings import MODELS, Model
from drivers.palmsens_emstat4_reply import Failed, answer, only_package
from drivers.palmsens_emstat4_script import proof

DEAF_S = 0.06  # after an error it hears nothing for 50 ms (palmsens/instrument.py)
TRIES = 3
ABORT = b"\nZ\n"  # an empty line first, for half a line may be waiting (abort_and_sync in palmsens/instrument.py)
NOT_NOW = "0006"
NEEDED = {"e": 38, "Z": 98, "Y": 99}  # bits of the answer to CC (comm_registry.py)
LARGEST_ID = 100_000_000
VERSION = re.compile(r"t(\w{6})(\d)(\d)(\d+)#(.*)")


async def stop(link: Link) -> None:
    """End whatever script runs; its ``on_finished:`` opens the switch, if it says so."""
    try:
        answer("Z", await link.query(b"Z\n"))
    except Failed as failed:
        await real_sleep(DEAF_S)
        if failed.code != NOT_NOW:
            raise


async def switch_off(link: Link) -> None:
    """Return when the instrument itself has shown that the cell is off; DeviceFault after three tries."""
    problem: InstrumentError | None = None
    for _ in range(TRIES):
        try:
            await stop(link)
            await prove_off(link)
        except Failed as error:
            problem = error
            await real_sleep(DEAF_S)
        except (LinkTimeout, BadReply) as error:
            problem = error
        else:
            return
        await link.write(ABORT)
        await link.clear()
    raise DeviceFault(f"the cell on {link.address} could not be confirmed off: {problem}")


async def prove_off(link: Link) -> None:
    identity = secrets.randbelow(LARGEST_ID)
    raw = await link.query(proof(identity))
    if [value.number for value in only_package(answer("e", raw), raw)] != [identity]:
        raise BadReply("e", raw, "told by another script")


async def safe_off(link: Link) -> None:
    """Off from any state, knowing nothing."""
    await link.write(ABORT)
    await link.clear()
    await switch_off(link)


async def identify(link: Link) -> tuple[Model, Identity]:
    model, identity = _version(await link.query(b"t\n"))
    serial = answer("i", await link.query(b"i\n"))[0]
    return model, replace(identity, serial=serial[1:])


def recognise(reply: str) -> Identity:
    """Of the answer to ``t``, which does not tell the serial number."""
    return _version(reply.encode("latin-1", "replace"))[1]


ASKING = Asking(b"t\n", recognise)


def _version(raw: bytes) -> tuple[Model, Identity]:
    found = VERSION.fullmatch(answer("t", raw)[0])
    model = MODELS.get(found[1]) if found else None
    if found is None or model is None:
        raise BadReply("t", raw, "not an EmStat4, MultiEmStat4 or Nexus")
    return model, Identity("PalmSens", model.name, "", f"{found[2]}.{found[3]}.{found[4]}")


async def check_abilities(link: Link) -> None:
    """DeviceFault for one that does not know Y, by which it is read."""
    raw = await link.query(b"CC\n")
    bits = answer("CC", raw)[0]
    if not re.fullmatch(r"C[0-9A-F]+", bits):
        raise BadReply("CC", raw)
    missing = [name for name, bit in NEEDED.items() if not int(bits[1:], 16) >> bit & 1]
    if missing:
        raise DeviceFault(f"the firmware of {link.address} does not know {', '.join(missing)}: update it")
