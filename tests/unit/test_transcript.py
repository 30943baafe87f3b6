from __future__ import annotations

import pytest

from cycler_ctl.errors import LinkClosed, LinkTimeout
from cycler_ctl.testing.transcript import CLEAR, TranscriptBroken, transcript


async def test_a_conversation_that_goes_as_written_is_used_up() -> None:
    with transcript((b"*CLS", None), (b"*IDN?", b"ACME")) as link:
        await link.write(b"*CLS")
        assert await link.query(b"*IDN?") == b"ACME"
        assert link.now() == 2.0


@pytest.mark.parametrize("said", [b"*RST", b"*IDN"])
async def test_another_message_than_written_breaks_the_test(said: bytes) -> None:
    with pytest.raises(TranscriptBroken, match="expected"), transcript((b"*IDN?", b"ACME")) as link:
        await link.query(said)


async def test_exchanges_that_were_never_made_break_the_test() -> None:
    with pytest.raises(TranscriptBroken, match="never made"), transcript((b"*IDN?", b"ACME")):
        pass


async def test_more_than_written_breaks_the_test() -> None:
    with pytest.raises(TranscriptBroken, match="after the end"), transcript() as link:
        await link.write(b"*CLS")


async def test_a_question_without_answer_times_out_and_only_clear_helps() -> None:
    with transcript((b"A?", None), (CLEAR, None), (b"B?", b"2")) as link:
        with pytest.raises(LinkTimeout):
            await link.query(b"A?")
        with pytest.raises(LinkTimeout, match="clear it first"):
            await link.query(b"B?")
        await link.clear()
        assert await link.query(b"B?") == b"2"


async def test_a_written_error_is_raised() -> None:
    with transcript((b"A?", LinkClosed("gone"))) as link, pytest.raises(LinkClosed, match="gone"):
        await link.query(b"A?")
