"""What ``station.toml`` says, as frozen models; ``cycler_ctl.config`` reads the file into them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """All of ``station.toml``'s tables forbid keys they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StationSettings(Settings):
    name: str
    site: str = "lab"
    data_dir: Path = Path("data")
    visa_backend: str = "@py"
    may_sleep: bool = False
    """Runs begin also on a computer that runs on its battery or may go to sleep."""


class MqttSettings(Settings):
    """``url`` empty: the bundled broker. ``…_secret_file``: what commands of that role are signed with."""

    url: tuple[str, ...] = ()
    username: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    home_assistant: bool = False
    discovery_prefix: str = "homeassistant"
    commands: bool = False
    command_username: str | None = None
    command_password_file: Path | None = None
    command_cert_file: Path | None = None
    command_key_file: Path | None = None
    operate_secret_file: Path | None = None
    start_secret_file: Path | None = None
    enabled: bool = True


class HttpSettings(Settings):
    listen: str = "127.0.0.1:8787"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None
    enabled: bool = True


class ShareSettings(Settings):
    """Where ended runs are copied to, in which of ``export``'s formats."""

    folder: Path
    formats: tuple[str, ...] = ("bundle",)


class EscalationSettings(Settings):
    """``command`` cuts the power of an instrument whose output does not go off; none if empty."""

    command: tuple[str, ...] = ()


class NotifyRule(Settings):
    """Who is told what. The addresses hold secrets: they are in a file or in an environment variable, one a line."""

    to_file: Path | None = None
    to_env: str | None = None
    on: tuple[str, ...] = ("emergency", "alarm", "finished", "stopped", "aborted")
    """Severities of alarms, and ends of runs."""
    channels: tuple[str, ...] = ()
    """All of them where none is named."""
    quiet: tuple[int, int] | None = None
    """From and to, in minutes of the local day: then only emergencies are told at once."""
    at_most: int = 12
    """Messages in an hour; what comes beyond is told in one. Emergencies are not counted out."""
    repeat_s: float = 600.0
    """After which an emergency that nobody has acknowledged is told again."""


class InstrumentSettings(Settings):
    """``options``: the driver's own keys, validated by the driver's model."""

    driver: str
    address: str
    serial: str | None = None
    calibrated: str | None = None
    """The day of its last calibration, as YYYY-MM-DD: no instrument here tells it."""
    backend: str | None = None
    options: dict[str, object] = {}


class Limits(Settings):
    """Hard limits of a channel, in V, A, degC, Ah, s; no protocol can widen these."""

    voltage_V: tuple[float, float]
    current_A: float
    temperature_degC: tuple[float, float] | None = None
    step_charge_Ah: float | None = None
    step_time_s: float | None = None
    power_W: float | None = None


class Acceptance(Settings):
    """Who accepted a protection class, and when."""

    who: str
    when: str


class ChannelSettings(Settings):
    """``temperature``: the instrument whose sensor watches the cell, ``"unmonitored"``, or None."""

    instrument: str
    output: str = "1"
    sample_every_s: float = 1.0
    regulation: str = "bounded"
    limits: Limits
    temperature: str | None = None
    accept_class_b: Acceptance | None = None
    accept_class_c: Acceptance | None = None
    auto_resume: bool = False
    auto_resume_gap_s: float = 60.0
    debounce: int = 2
    slope_window_s: float = 60.0
    v_short_V: float | None = None
    polarity_V: tuple[float, float] | None = None
    r_max_ohm: float | None = None
    slew_max_V_s: float | None = None
    temperature_slew_max_K_s: float | None = None
    temperature_stuck_s: float | None = None


class Config(Settings):
    """The whole file. Paths are absolute, taken relative to the file's folder."""

    station: StationSettings
    mqtt: MqttSettings = MqttSettings()
    http: HttpSettings = HttpSettings()
    share: ShareSettings | None = None
    escalation: EscalationSettings = EscalationSettings()
    notify: dict[str, NotifyRule] = {}
    instruments: dict[str, InstrumentSettings]
    channels: dict[str, ChannelSettings]
