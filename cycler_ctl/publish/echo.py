"""Whether a broker hands on what it takes: one without rights for us acknowledges every row, and throws it away.

MQTT 3.1.1 has no other answer to a refused message (3.3.5, 4.8), and both mosquitto and NATS give that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiomqtt import Client

from cycler_ctl.publish.explain import NotHeard


async def publish_and_hear(client: Client, topic: str, publish: Callable[[], Awaitable[None]], within_s: float) -> None:
    """Raises NotHeard when what ``publish`` sends on ``topic`` does not come back."""
    await client.subscribe(topic, qos=0)
    await publish()
    try:
        async with asyncio.timeout(within_s):
            async for message in client.messages:
                if not message.retain and message.topic.matches(topic):
                    break
    except TimeoutError:
        what = f"it acknowledges what we publish on {topic} and does not hand on any of it"
        raise NotHeard(
            f"{what}: this user needs the right to write cycler/v1/.../# of its own and to read {topic}"
        ) from None
    await client.unsubscribe(topic)
