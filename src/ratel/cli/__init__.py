"""The commands: one function each, which reads the configuration and calls the file that does the work.

What a command needs is imported when it runs, so that `ratel --help` is quick.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ratel.config import ConfigurationInvalid, quiet_grpc, read_configuration

app = typer.Typer(
    help="Ratel, a gRPC rating service: usage goes in, exact bills come out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Target = Annotated[str, typer.Option(help="The server; RATEL_LISTEN unless given.", show_default=False)]


def main() -> None:
    """Run a command; what went wrong is said in a line or two, and ends it with 1."""
    quiet_grpc()
    from ratel.cli.failure import FAILURES, explain

    try:
        app()
    except ConfigurationInvalid as error:
        Console(stderr=True).print(f"[red]The environment is wrong.[/]\n{error}", highlight=False)
        sys.exit(1)
    except FAILURES as error:
        Console(stderr=True).print(explain(error), highlight=False)
        sys.exit(1)


@app.command()
def serve() -> None:
    """Serve until SIGTERM or Ctrl-C, from RATEL_DATABASE_URL or an embedded Postgres."""
    from ratel.cli.serve import serve_database

    serve_database(read_configuration())


@app.command()
def migrate() -> None:
    """Bring the database's schema to this version."""
    from ratel.cli.migrate import migrate_database

    migrate_database(read_configuration())


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A catalog file, YAML.")],
    target: Target = "",
) -> None:
    """Create what a catalog file says, and bring what exists up to date."""
    from ratel.cli.apply import apply_file

    apply_file(target or read_configuration().listen, file)


@app.command()
def rate(
    account: Annotated[str, typer.Argument(help="The id of the account.")],
    period: Annotated[str, typer.Option(help="A year, month or day, such as 2024, 2024-07 or 2024-07-31.")],
    target: Target = "",
) -> None:
    """Show what an account's service in a period costs, and how that came about."""
    from ratel.cli.rate import rate_account

    rate_account(target or read_configuration().listen, account, period)


@app.command()
def recount(*, repair: Annotated[bool, typer.Option("--repair", help="Put right what differs.")] = False) -> None:
    """Compute every rollup again from the events, and report any difference; it ends with 1 if there is one."""
    from ratel.cli.recount import recount_rollups

    recount_rollups(read_configuration(), repair=repair)


@app.command()
def quickstart(*, once: Annotated[bool, typer.Option("--once", help="End when the bill is shown.")] = False) -> None:
    """Start everything, apply the example catalog, stream the example usage and show the bill."""
    from ratel.cli.quickstart import show_quickstart

    show_quickstart(read_configuration(), once=once)
