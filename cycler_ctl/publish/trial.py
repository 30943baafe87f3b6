"""What ``doctor`` says of each broker: one attempt to connect, under a name of its own, that publishes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiomqtt import Client, MqttError

from cycler_ctl.config import Config
from cycler_ctl.errors import CyclerError
from cycler_ctl.publish.certificates import warnings
from cycler_ctl.publish.endpoint import Credentials, Endpoint, credentials, endpoints
from cycler_ctl.publish.explain import explain
from cycler_ctl.publish.names import Names
from cycler_ctl.publish.topics import Topics
from cycler_ctl.terminal.finding import MEND, OK, Finding

WITHIN_S = 5.0


def brokers(config: Config, utc_s: float) -> Iterator[Finding]:
    """Nothing of the bundled broker: it runs with the service only."""
    try:
        found, login = endpoints(config.mqtt, None), credentials(config.mqtt)
    except CyclerError as error:
        yield Finding(MEND, "mqtt", str(error))
        return
    name = f"{Topics(config.station.site, config.station.name).client_id}-doctor"
    for broker in found:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            trouble = runner.run(_trouble(broker, login, name))
        yield Finding(MEND if trouble else OK, "mqtt", trouble or f"{broker.url} lets us in")
    known = dict.fromkeys(one for broker in found for one in broker.certificates())
    for words in warnings(tuple(known), utc_s):
        yield Finding(OK, "mqtt", words, look=True)


async def _trouble(broker: Endpoint, login: Credentials, name: str) -> str | None:
    try:
        located = await Names().locate(broker)
    except OSError as error:
        return explain(broker, error)
    client = Client(
        located.host,
        broker.port,
        username=login.username,
        password=login.password,
        identifier=name,
        clean_session=True,
        timeout=WITHIN_S,
        tls_context=broker.tls,
    )
    try:
        async with client:
            return None
    except (MqttError, OSError) as error:
        return explain(broker, error)
