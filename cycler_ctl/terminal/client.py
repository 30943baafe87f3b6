"""The running service as the command line reaches it: HTTP on this computer, address and token from station.toml."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from pydantic import TypeAdapter

from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.errors import CyclerError, RefusedError
from cycler_ctl.watching.latch import latched

Answer = Mapping[str, object]
ANSWER: TypeAdapter[Answer] = TypeAdapter(Mapping[str, object])
ANSWERS: TypeAdapter[list[Answer]] = TypeAdapter(list[Mapping[str, object]])

ANSWER_S = 15.0  # stop returns only when off is confirmed, which may take 10 s


SILENT_S = 5.0  # of a stream that gives a sign of life every 2 s


class UnreachableError(CyclerError):
    """No service answers at the configured address."""


class NotOffError(CyclerError):
    """The service could not confirm that an output is off."""


class Client:
    """One service; every call is one request."""

    def __init__(self, config: Config) -> None:
        http = config.http
        self._base = f"{'https' if http.tls_cert else 'http'}://{http.listen}"
        self._data_dir = config.station.data_dir
        self._token_file = http.token_file or config.station.data_dir / "http-token"
        tls = ssl.create_default_context(cafile=str(http.tls_cert)) if http.tls_cert else None
        # never through a proxy of the environment: it would get the token, and cannot reach this computer
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        )

    def get(self, path: str) -> Answer:
        """The JSON object at ``path``. UnreachableError, RefusedError, NotOffError say what went wrong."""
        return ANSWER.validate_python(self._call(path, None))

    def list(self, path: str) -> list[Answer]:
        return ANSWERS.validate_python(self._call(path, None))

    def post(self, path: str, body: Answer) -> Answer:
        return ANSWER.validate_python(self._call(path, json.dumps(body).encode()))

    def delete(self, path: str, body: Answer) -> Answer:
        return ANSWER.validate_python(self._call(path, json.dumps(body).encode(), "DELETE"))

    def _headers(self) -> dict[str, str]:
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text(encoding='ascii').strip()}"}
        except OSError:
            return {}

    def lines(self, path: str, headers: Mapping[str, str]) -> Iterator[str]:
        """The lines of an answer that goes on; UnreachableError when nothing more is heard."""
        request = urllib.request.Request(self._base + path, headers={**self._headers(), **headers})  # noqa: S310 - always http(s)
        with self._answer(request, SILENT_S) as answer:
            for line in answer:
                yield line.decode().rstrip("\r\n")

    def _call(self, path: str, body: bytes | None, method: str | None = None) -> object:
        headers = {**self._headers(), "Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data=body, headers=headers, method=method)  # noqa: S310 - always http(s)
        with self._answer(request, ANSWER_S) as answer:
            return json.load(answer)

    @contextmanager
    def _answer(self, request: urllib.request.Request, timeout_s: float) -> Generator[HTTPResponse]:
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            detail = _detail(error)
            if error.code == 502:
                raise NotOffError(detail) from error
            raise RefusedError(detail) from error
        except (OSError, ValueError, HTTPException) as error:
            raise UnreachableError(f"no service answers at {self._base} ({error}): {self._why()}") from error

    def _why(self) -> str:
        held = latched(self._data_dir)
        if held is not None:
            return f"its station is not started again ({held}): find the cause, then 'cycler-ctl acknowledge'"
        return "is 'cycler-ctl serve' running with this station.toml?"


def client_of(config: Path | None) -> Client:
    return Client(load_config(find_config(config)))


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service refused: HTTP {error.code}"
