"""The configuration: everything that the environment may say, and the only reader of the environment.

Variables are the fields below in capitals with RATEL_ before them. A RATEL_ variable that is none of them stops the
start, because a misspelt limit would otherwise be no limit.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "RATEL_"


def _checked_address(text: str) -> str:
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\s]+):[0-9]{1,5}", text):
        raise ValueError("must be an address and a port, such as 127.0.0.1:7070 or [::]:7070")
    return text


Address = Annotated[str, AfterValidator(_checked_address)]
OptionalAddress = Annotated[str, AfterValidator(lambda text: text and _checked_address(text))]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]


class ConfigurationInvalid(Exception):  # noqa: N818 -- named like the errors of the core
    """Variables of the environment are wrong or unknown; each line names one and says what would be right."""


class Configuration(BaseSettings):
    """What a server is told by its environment; every field has a default that suits a laptop.

    Attributes:
        database_url: A Postgres 15 or later, as libpq reads it. Empty: an embedded one in ``data_dir``.
        database_connections_max: Connections to Postgres at once for calls; taking usage in has six of its own, and
            each worker one.
        database_wait_seconds: How long a call waits for one of them.
        database_statement_seconds: How long one statement may take.
        data_dir: Where the embedded Postgres keeps its data.
        listen: Address and port of gRPC; port 0 takes a free one.
        metrics_listen: Address and port of the metrics; empty for none.
        calls_max: Calls in work at once, health and reflection apart; more are answered RESOURCE_EXHAUSTED.
        streams_max: Usage streams open at once; more are answered RESOURCE_EXHAUSTED.
        message_bytes_max: Size of one message, in either direction.
        connection_age_seconds: After so long a connection takes no new calls and a usage stream is told to connect
            again, so that load spreads to new servers.
        drain_seconds: What all calls are left when the server ends; less than its orchestrator grants.
        event_future_hours: How far ahead of the server's clock an event's time may be.
        event_retention_days: For how long events are kept at least, by the time of their UUIDv7 ids, which are then
            dropped by whole months; 0 keeps them for ever. Rollups stay.
        billing_processes: Workers beside the server, at most, that make the bills of runs over many accounts; 0: the
            server makes them itself.
        log_level: The least serious level that is logged.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    database_url: str = Field(default="", repr=False)
    database_connections_max: Count = 10
    database_wait_seconds: Seconds = 10
    database_statement_seconds: Seconds = 60
    data_dir: Path = Path(".ratel")
    listen: Address = "127.0.0.1:7070"
    metrics_listen: OptionalAddress = "127.0.0.1:9464"
    calls_max: Count = 256
    streams_max: Count = 256
    message_bytes_max: Annotated[int, Field(ge=1024, le=2**30)] = 16 * 2**20
    connection_age_seconds: Seconds = 1800
    drain_seconds: Seconds = 20
    event_future_hours: Annotated[int, Field(ge=0, le=24 * 366)] = 24
    event_retention_days: Annotated[int, Field(ge=0, le=366 * 100)] = 0
    billing_processes: Annotated[int, Field(ge=0, le=256)] = 2
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def read_configuration() -> Configuration:
    """Return what the environment says.

    Raises:
        ConfigurationInvalid: Names every variable that is wrong or that nobody knows.
    """
    known = {PREFIX + name.upper() for name in Configuration.model_fields}
    found = [
        f"{name}: there is no such variable" for name in sorted(os.environ.keys() - known) if name.startswith(PREFIX)
    ]
    configuration = None
    try:
        configuration = Configuration()
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            name = PREFIX + str(each["loc"][0]).upper()
            found.append(f"{name}: {each['msg'].removeprefix('Value error, ')}")
    if configuration is None or found:
        raise ConfigurationInvalid("\n".join(found))
    return configuration


def quiet_grpc() -> None:
    """Keep gRPC's core from writing lines of its own to standard error, unless GRPC_VERBOSITY asks for them.

    It reads the variable when it is imported.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
