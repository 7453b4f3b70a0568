"""What a log line says of a failure, and what it keeps to itself."""

import json
import subprocess
import sys

LOG = """
import logging
import structlog
from ratel.core.errors import EtagMismatch
from ratel.server.logs import configure_logs

configure_logs("INFO")
log = structlog.get_logger()
log.debug("too quiet")
log.info("said", target="127.0.0.1:7070")
try:
    try:
        raise ValueError("amount 12.34")
    except ValueError as error:
        raise EtagMismatch("plan", "p-1") from error
except EtagMismatch as error:
    log.error("failed", exc_info=error)
logging.getLogger("library").warning("given %s", "12.34")
"""


def test_lines_are_json_and_hold_no_values() -> None:
    written = subprocess.run([sys.executable, "-c", LOG], capture_output=True, text=True, check=True).stderr
    said, failed, library = map(json.loads, written.splitlines())
    assert (said["event"], said["level"], said["target"]) == ("said", "info", "127.0.0.1:7070")
    outer, inner = failed["exception"]
    assert (outer["type"], outer["reason"], inner["type"]) == ("EtagMismatch", "ETAG_MISMATCH", "ValueError")
    assert outer["places"]
    assert (library["event"], library["logger"], library["level"]) == ("given %s", "library", "warning")
    assert "12.34" not in written
