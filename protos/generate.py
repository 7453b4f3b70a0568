"""Generate the Python code of all contracts into src/, or prove that it is what the contracts say.

Usage: python protos/generate.py [--check]

The output is committed, so that nobody needs a compiler to run the service. Everything generated is replaced on
every run, therefore a contract that is deleted or renamed leaves nothing behind.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
SOURCES = PROTOS.parent / "src"
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
# Known to protoc itself and shipped by googleapis-common-protos: imported, never generated.
WELL_KNOWN = Path(str(files("grpc_tools"))) / "_proto"
MYPY_PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")


def compile_protos(target: Path) -> None:
    """Write the messages of all contracts, the stubs of those with a service, and the packages around them."""
    own = sorted((PROTOS / "ratel").rglob("*.proto"))
    vendored = sorted((PROTOS / "third_party" / "buf").rglob("*.proto"))
    services = [path for path in own if "\nservice " in path.read_text()]
    run_protoc([*own, *vendored], [f"--python_out={target}", f"--mypy_out=quiet:{target}"])
    if services:
        run_protoc(services, [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet,only_async:{target}"])
    for path in own:
        package = target / path.parent.relative_to(PROTOS)
        for folder in (package, package.parent):
            (folder / "__init__.py").write_text("")


def run_protoc(paths: list[Path], outputs: list[str]) -> None:
    """Call the compiler in this process, with the plugins that stand beside this Python."""
    plugins = [f"--plugin={name}={Path(sys.executable).parent / name}" for name in MYPY_PLUGINS]
    # The inner folder stands first: a file is named by the first root that holds it.
    roots = [f"-I{root}" for root in (PROTOS / "third_party", PROTOS, WELL_KNOWN)]
    if protoc.main(["protoc", *roots, *plugins, *outputs, *map(str, paths)]) != 0:
        raise SystemExit("protoc refused the contracts, see above")


def generated_files(root: Path) -> dict[Path, bytes]:
    """Return the content of every generated file below a folder, by its relative path."""
    found = {path.relative_to(root): path.read_bytes() for pattern in PATTERNS for path in root.rglob(pattern)}
    packages = {folder / "__init__.py" for path in found if path.parts[0] == "ratel" for folder in path.parents[:2]}
    return found | {path: (root / path).read_bytes() for path in packages if (root / path).exists()}


def main(arguments: list[str]) -> None:
    """Generate into a temporary folder, then compare with src/ or replace what is there."""
    with tempfile.TemporaryDirectory() as folder:
        compile_protos(Path(folder))
        wanted = generated_files(Path(folder))
    present = generated_files(SOURCES)
    if arguments == ["--check"]:
        drifted = sorted(path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))
        if drifted:
            names = "\n  ".join(map(str, drifted))
            raise SystemExit(f"generated code differs from the contracts, run `make protos`:\n  {names}")
        return
    for path in present.keys() - wanted.keys():
        (SOURCES / path).unlink()
    for path, content in wanted.items():
        (SOURCES / path).parent.mkdir(parents=True, exist_ok=True)
        if present.get(path) != content:
            (SOURCES / path).write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1:])
