"""How a command says what went wrong: for people, without a traceback, unless it is a fault of ours."""

import grpc
from rich.text import Text

from ratel.client import error_from
from ratel.core.errors import RatelError


class CommandFailed(Exception):  # noqa: N818 -- named like the errors of the core
    """A command cannot do its work; the text says why."""


FAILURES = (RatelError, CommandFailed, grpc.aio.AioRpcError)


def explain(failure: Exception) -> Text:
    """Return a failure as lines for a person: what, and below it every field that is wrong."""
    if isinstance(failure, grpc.aio.AioRpcError):
        return Text(describe_call(failure))
    if isinstance(failure, RatelError) and failure.__cause__ is not None:
        return Text(f"{failure} ({failure.__cause__})")
    return Text(str(failure))


def describe_call(error: grpc.aio.AioRpcError) -> str:
    """Return what a failed call says, one line for each field that is wrong."""
    said = error_from(error)
    if not said.reason:
        return f"{error.code().name}: {said.message}"
    fields = [f"  {each.field}: {each.description} ({each.reason})" for each in said.violations]
    return "\n".join([f"{said.reason}: {said.message}" if not fields else f"{said.reason}:", *fields])
