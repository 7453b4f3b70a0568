"""Messages in YAML files, in their JSON form.

Everything but true, false and null is read as text, which is what the contracts want of decimals and dates: 0.1 stays
0.1, and 2024-07-01 stays what it is.
"""

import re
from pathlib import Path
from typing import TypeVar

import yaml
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from ratel.cli.failure import CommandFailed

M = TypeVar("M", bound=Message)


class _TextLoader(yaml.SafeLoader):
    """Reads scalars as text."""


_TextLoader.yaml_implicit_resolvers = {}
_TextLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
_TextLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(null|)$"), ["n", ""])


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds: maps, lists, text, booleans."""
    try:
        with path.open(encoding="utf-8") as file:
            # A SafeLoader that knows even less.
            return yaml.load(file, _TextLoader)  # nosec B506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandFailed(f"{path}: {error}") from error


def parse_messages(kind: type[M], entries: object, place: str) -> list[M]:
    """Return the messages of a list.

    Raises:
        CommandFailed: One is wrong in its form; says which, by its place in the file.
    """
    if not isinstance(entries, list):
        raise CommandFailed(f"{place}: must be a list")
    messages = []
    for index, entry in enumerate(entries):
        try:
            messages.append(ParseDict(entry, kind()))
        except (ParseError, TypeError, ValueError, AttributeError) as error:
            raise CommandFailed(f"{place}[{index}]: {error}") from error
    return messages
