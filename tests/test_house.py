"""The house rules: which room may import what, how large things may grow, and which words may not occur."""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RATEL = ROOT / "src" / "ratel"
NOT_OURS = re.compile(r"^(\.(?!ci$).*|build|dist|node_modules|mutants|.*\.egg-info|__pycache__)$")
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$|^src/buf/|^protos/third_party/")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
FORBIDDEN_NAMES = re.compile(r"^(utils?|helpers?|common|managers?|base|types|misc)$")
# A path of one machine, an address of a package registry.
OUTSIDE = re.compile(r"/(root|home|work|Users)/\w|pythonhosted\.|pypi\.org/simple|--index-url")

CONTRACTS = "ratel.account.v1 ratel.catalog.v1 ratel.rating.v1 ratel.usage.v1 buf.validate"
GRPC = "grpc grpc_channelz grpc_health grpc_reflection grpc_status google.protobuf google.rpc google.type"
SERVED_BY = "numpy prometheus_client orjson structlog uuid_utils uvloop"
# What each room may import besides the standard library and itself. A longer prefix decides before a shorter one.
ROOMS = {
    "core": "lark numpy tzdata whenever",
    "store": "ratel.core asyncpg numpy",
    "config": "ratel.core pydantic pydantic_settings",
    "client": f"ratel.columns {CONTRACTS} {GRPC} uuid_utils",
    "columns": CONTRACTS,
    "server": f"ratel.core ratel.store ratel.config {CONTRACTS} {GRPC} {SERVED_BY}",
    "server/validation": f"ratel.core {GRPC} protovalidate",
    # Starting, migrating and checking a database need no server.
    "cli": f"ratel.client ratel.config ratel.core ratel.store {CONTRACTS} {GRPC} rich typer yaml",
    "cli/serve": "ratel.config ratel.server.serve uvloop",
    "cli/quickstart": f"ratel.client ratel.config ratel.server.serve ratel.store {CONTRACTS} {GRPC} rich uvloop",
    "__main__": "ratel.cli",
}
# The core knows neither clock nor network, nor anything that waits or remembers.
IMPURE = "asyncio http logging os random secrets socket subprocess sys tempfile threading time urllib uuid"

Mistakes = Iterator[tuple[ast.AST, str]]


def walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not NOT_OURS.match(path.name):
            yield from walk(path)
        elif path.is_file() and path.name != ".git" and not GENERATED.search(path.relative_to(ROOT).as_posix()):
            yield path  # .git is a file in a second work tree, and names the first


OURS = list(walk(ROOT))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path.relative_to(ROOT)))


def python_files(folder: Path) -> list[Path]:
    return [path for path in OURS if path.suffix == ".py" and path.is_relative_to(folder)]


def check(files: Iterable[Path], rule: str, mistakes_of: Callable[[ast.Module], Mistakes]) -> None:
    """Fail with the place of every mistake, and with the rule they break."""
    places = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {what}"
        for path in files
        for node, what in mistakes_of(parse(path))
    ]
    assert not places, f"{rule}:\n  " + "\n  ".join(places)


def imports_of(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield every module that is imported; `from ratel.core import money` counts as `ratel.core.money`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [RATEL.parent.joinpath(*node.module.split("."), alias.name) for alias in node.names]
            modules = {path.name for path in inner if path.is_dir() or path.with_suffix(".py").exists()}
            yield from ((node, f"{node.module}.{name}") for name in sorted(modules))
            if len(modules) < len(inner):
                yield node, node.module


def is_below(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def room_of(path: Path) -> str:
    module = path.relative_to(RATEL).with_suffix("").as_posix()
    return max((room for room in ROOMS if f"{module}/".startswith(f"{room}/")), key=len, default="")


def test_rooms_import_only_what_they_may() -> None:
    for path in python_files(RATEL):
        room = room_of(path)
        if room == "" and path.name == "__init__.py":
            continue  # the packages around the contracts
        assert room, f"{path.relative_to(ROOT)}: the house has no such room; see ROOMS in this test"
        own = f"ratel.{room.split('/')[0]}"
        allowed = [own, *ROOMS[room].split()]

        def strangers(tree: ast.Module, allowed: list[str] = allowed) -> Mistakes:
            for node, name in imports_of(tree):
                if name.split(".")[0] not in sys.stdlib_module_names and not is_below(name, allowed):
                    yield node, f"imports {name}"

        check([path], f"{room} may import {', '.join(allowed)} and the standard library", strangers)


def test_the_core_is_pure() -> None:
    def impurities(tree: ast.Module) -> Mistakes:
        for node, name in imports_of(tree):
            if name.split(".")[0] in IMPURE.split():
                yield node, f"imports {name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
                yield node, "waits"
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                yield node, f"reads the clock ({node.attr}); time is an argument"
            if isinstance(node, ast.Name) and node.id in ("Any", "open", "print"):
                yield node, f"uses {node.id}"

    check(python_files(RATEL / "core"), "core has no clock, no network, no logging, no await and no Any", impurities)


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = {path: ".".join(path.relative_to(RATEL.parent).with_suffix("").parts) for path in python_files(RATEL)}
    known = set(names.values())
    graph = {
        name: {target for _, target in imports_of(parse(path)) if target in known and target != name}
        for path, name in names.items()
    }
    # Whoever imports nothing that is left, or is imported by nothing that is left, is in no circle.
    while True:
        imported = set().union(*graph.values())
        circle = {name: targets & graph.keys() for name, targets in graph.items() if targets and name in imported}
        if circle == graph:
            break
        graph = circle
    assert not graph, f"these modules import each other in a circle: {', '.join(sorted(graph))}"


def test_there_are_no_imports_for_types_only() -> None:
    def mistakes(tree: ast.Module) -> Mistakes:
        for node in ast.walk(tree):
            if isinstance(node, ast.alias) and node.name == "TYPE_CHECKING":
                yield node, "imports TYPE_CHECKING"

    check(
        python_files(ROOT),
        "a module that needs a type imports it; a circle means that something is in the wrong room",
        mistakes,
    )


def test_no_floats_where_money_and_time_are_exact() -> None:
    def floats(tree: ast.Module) -> Mistakes:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                yield node, f"the literal {node.value}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
                yield node, "a call of float"

    check([*python_files(RATEL / "core"), *python_files(RATEL / "store")], "core and store know no floats", floats)


def test_only_money_divides() -> None:
    def divisions(tree: ast.Module) -> Mistakes:
        divide = {inner for node in tree.body if is_function(node, "divide") for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and node not in divide:
                yield node, "divides with /"

    check(python_files(RATEL / "core"), "core divides by money.divide only, which says how exactly", divisions)
    elsewhere = [path for path in python_files(RATEL / "core") if path.name != "money.py"]
    for path in elsewhere:
        assert not [node for node in parse(path).body if is_function(node, "divide")], path


def is_function(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == name


def test_one_file_catches_everything() -> None:
    def catches(tree: ast.Module) -> Mistakes:
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                is_passed_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
                if re.search(r"\b(Exception|BaseException|everything)\b", caught) and not is_passed_on:
                    yield node, f"catches {caught}"

    files = [path for path in python_files(RATEL) if path != RATEL / "server" / "errors.py"]
    check(
        files, "only server/errors.py catches Exception; elsewhere name what is expected, or end with `raise`", catches
    )


def test_the_environment_is_read_in_one_place() -> None:
    def reads(tree: ast.Module) -> Mistakes:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                yield node, f"reads {ast.unparse(node)}"

    # A child process is given a cleaned environment: that is no setting.
    exempt = {RATEL / "config.py", RATEL / "store" / "installation.py"}
    check([path for path in python_files(RATEL) if path not in exempt], "only config.py reads the environment", reads)


def test_files_and_functions_stay_small() -> None:
    for path in python_files(ROOT):
        count = len(path.read_text().splitlines())
        assert count <= FILE_LINES_MAX, f"{path.relative_to(ROOT)}: {count} lines; at most {FILE_LINES_MAX}, aim at 150"

    def long_functions(tree: ast.Module) -> Mistakes:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                if count > FUNCTION_LINES_MAX:
                    yield node, f"{node.name} has {count} lines"

    check(python_files(ROOT), f"functions have at most {FUNCTION_LINES_MAX} lines; aim at 8", long_functions)


def test_what_is_public_says_what_it_is() -> None:
    def silent(tree: ast.Module) -> Mistakes:
        if not ast.get_docstring(tree):
            yield tree, "the module has no docstring"
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith("_") and not ast.get_docstring(node):
                yield node, f"{node.name} has no docstring"

    files = [path for path in python_files(RATEL) if path.read_text()]
    check(files, "a docstring says what the signature cannot", silent)


def test_names_say_what_is_inside() -> None:
    files = [path.relative_to(ROOT) for path in OURS if path.suffix in (".py", ".proto", ".sql")]
    named = {*files, *(folder for file in files for folder in file.parents)}
    vague = sorted(path for path in named if FORBIDDEN_NAMES.match(path.stem))
    assert not vague, f"name files after the noun they are about: {', '.join(map(str, vague))}"


def test_nothing_names_a_place_outside() -> None:
    places = []
    for path in OURS:
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        places += [
            f"{path.relative_to(ROOT)}:{number}: {found[0]}"
            for number, line in enumerate(lines, start=1)
            if path != Path(__file__) and (found := OUTSIDE.search(line))
        ]
    assert not places, "paths of one machine and addresses of package registries stay outside:\n  " + "\n  ".join(
        places
    )


def test_tests_neither_sleep_nor_mock() -> None:
    def mistakes(tree: ast.Module) -> Mistakes:
        for node, name in imports_of(tree):
            if is_below(name, ["mock", "unittest"]):
                yield node, f"imports {name}"
        for node in ast.walk(tree):
            shown = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if re.match(r"([\w.]+\.)?sleep\(", shown) and shown != "asyncio.sleep(0)":
                yield node, f"sleeps: {shown}"

    files = [path for path in python_files(ROOT) if path.is_relative_to(ROOT / "tests")]
    check(files, "a test waits for what happens, never for a time, and meets the real code", mistakes)
