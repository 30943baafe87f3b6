"""News for the publisher's loop from other threads."""

import asyncio
import threading
from dataclasses import replace

import pytest

from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.publish.mailbox import Mailbox


def status(reason: str, channel: str = "a1") -> ChannelStatus:
    return ChannelStatus(channel, "smu1", ChannelState.RUNNING, reason, 0.0, energised=True)


async def test_what_was_left_before_the_loop_ran_is_found() -> None:
    mailbox = Mailbox()
    mailbox.durable("r")
    mailbox.open(asyncio.get_running_loop())
    assert (await mailbox.wait()).runs == {"r"}


async def test_news_of_one_channel_replace_each_other_and_of_one_run_are_one() -> None:
    mailbox = Mailbox()
    mailbox.open(asyncio.get_running_loop())
    for reason in ("first", "second"):
        mailbox.channel_changed(status(reason))
        mailbox.durable("r")
    mailbox.channel_changed(status("other", "b2"))
    mail = await mailbox.wait()
    assert [each.reason for each in mail.channels] == ["second", "other"]
    assert mail.runs == {"r"}


async def test_rows_of_a_run_without_news_wake_nobody_and_come_all_together_when_they_have_been_gathered() -> None:
    mailbox = Mailbox(gather_s=0.05)
    mailbox.open(asyncio.get_running_loop())
    await mailbox.wait()
    mailbox.durable("r1")
    mailbox.durable("r2")
    mail = await mailbox.wait()
    assert (set(mail.runs), mail.gathered) == ({"r1", "r2"}, True)


async def test_a_run_whose_channel_has_changed_is_looked_at_as_soon_as_it_is_on_disk_and_no_other_with_it() -> None:
    mailbox = Mailbox(gather_s=3600.0)
    mailbox.open(asyncio.get_running_loop())
    await mailbox.wait()
    mailbox.durable("quiet")
    mailbox.channel_changed(replace(status("its step has ended"), run="told"))
    assert (await mailbox.wait()).runs == set()
    mailbox.durable("told")
    mail = await mailbox.wait()
    assert (set(mail.runs), mail.gathered) == ({"told"}, False)


async def test_at_the_end_every_run_is_looked_at() -> None:
    mailbox = Mailbox(gather_s=3600.0)
    mailbox.open(asyncio.get_running_loop())
    await mailbox.wait()
    mailbox.durable("quiet")
    mailbox.stop(1.0)
    mail = await mailbox.wait()
    assert (set(mail.runs), mail.gathered) == ({"quiet"}, True)


async def test_another_thread_wakes_the_loop() -> None:
    mailbox = Mailbox()
    mailbox.open(asyncio.get_running_loop())
    await mailbox.wait()
    thread = threading.Thread(target=mailbox.stop, args=(2.5,))
    thread.start()
    async with asyncio.timeout(5):
        mail = await mailbox.wait()
    thread.join()
    assert mail.stop_within_s == 2.5
    assert mailbox.stopping()


def test_leaving_something_after_the_loop_is_closed_harms_nobody() -> None:
    mailbox = Mailbox()
    loop = asyncio.new_event_loop()
    mailbox.open(loop)
    mailbox.close()
    loop.close()
    mailbox.durable("r")


async def test_a_timer_that_is_a_little_early_is_time_to_look_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """In virtual time no time passes until somebody waits: it asked again and again without end."""

    class Stands:
        def now(self) -> float:
            return 100.0

    monkeypatch.setattr("cycler_ctl.publish.mailbox.SystemClock", Stands)
    mailbox = Mailbox(gather_s=0.05)
    mailbox.open(asyncio.get_running_loop())
    await mailbox.wait()
    mailbox.durable("r")
    mail = await mailbox.wait()
    assert (set(mail.runs), mail.gathered) == ({"r"}, True)
