"""The rules of the house, read from the source with `ast`: who may import whom, no cycles, `__all__`, tests, sizes.

A rule is a function from a `House` to sentences, one for each place that breaks it. Nothing here imports the package.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["FLOORS", "MAX_LINES", "RULES", "Floor", "House", "Import", "Module", "read_house"]

MAX_LINES = 500

# Waiting, the time, the log and the network: for those floors alone whose work they are.
_EFFECTS = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "signal", "subprocess", "threading", "time"),
        *("http.client", "http.server", "select", "selectors", "socket", "socketserver", "ssl", "urllib.request"),
        "logging",
    }
)
_MODELS = frozenset({"annotated_types", "pydantic", "pydantic_core", "typing_extensions"})
_JSON = _MODELS | {"jiter"}
_HTTP = frozenset({"aiohttp", "httpx2", "httpx_aiohttp", "openai"})
_ANY = frozenset({"*"})


@dataclass(frozen=True)
class Floor:
    """One row of the table: some modules, and all that they may import.

    Args:
        name: what the house calls it.
        modules: patterns of module names, without the package's own name; the front door is ``""``.
        imports: patterns of the modules of the package that they may import.
        packages: the foreign packages that they may import; ``*`` is any.
        never: modules of the standard library that they may not import.
    """

    name: str
    modules: Sequence[str]
    imports: Sequence[str]
    packages: frozenset[str] = frozenset()
    never: frozenset[str] = _EFFECTS


_WORDS = (
    *("errors", "continuation", "request", "response", "events", "facts", "policies", "progress", "patterns"),
    *("markers", "metrics", "verdicts"),
)
_JSON_WORDS = ("jsongrammar", "jsonsink", "jsonstream", "jsonarray")
_CORE = ("text", *_JSON_WORDS, "sse", "repair", "repair.*", "partial", "partial.*", "residual", "residual.*")
# What dialects have in common; `arguments` writes the JSON text of a tool call that comes as values with their paths.
_SHARED = tuple(f"providers.{name}" for name in ("base", "failures", "schema", "arguments", "content", "thinking"))
# A dialect in two files: the second belongs to the first alone.
_PARTS = {
    "providers.anthropic": "providers.anthropic_request",
    "providers.google": "providers.google_request",
    "providers.openai_chat": "providers.openai_template",
    "providers.openai_responses": "providers.openai_items",
}
_EDGE = ("transport", "foreign", "gathering", "httpclient", "http2", "clock")
# What a caller steers by: how steps come, to whom, and what is told beside.
_STEERING = ("cadence", "completion", "courier", "history", "many", "tee", "tracker")
_CALLING = ("run", "layers", "exchange", "replay", "head", "unstreamed", "judging", "ledger", "pool", "adopted")
_SERVICE = ("service", "stream", "sync", *_CALLING, *_STEERING)
_POLICIES = ("resilience", "guardrails", "instrumentation")
# The attempts are one policy in several files: the others are its pure parts and belong to it alone.
_ATTEMPTS = ("resilience.retry", "resilience.holding")
# What the policies of one stream write down together.
_TALLY = "resilience.tally"
_OPTIONAL = frozenset({"genai_prices", "opentelemetry", "prometheus_client", "pyrate_limiter", "redis", "tenacity"})
_NOW = frozenset({"time"})  # the clock alone tells the time and sleeps
_DECODER = ("answer", "gate", "beside", "parse", "decoder", "resume")
_CORES = (*_WORDS, *_CORE, "confidence", *_DECODER)
_BELOW = (*_CORES, "providers", "providers.*", *_EDGE, *_SERVICE)
# A guardrail may stand on the pattern matcher; the front of the package names them all.
_OWN = {"guardrails": ("guardrails.*",)}

# The first row whose pattern fits is the module's floor. See the table "Who may import whom" of the design.
FLOORS: Sequence[Floor] = (
    Floor("words", _WORDS, _WORDS, _MODELS),
    Floor("core", ("sse", "jsonarray", "text", "jsongrammar", "jsonsink"), _WORDS, _JSON),
    Floor("core", ("jsonstream",), (*_WORDS, "text", "jsongrammar", "jsonsink"), _JSON),
    Floor("core", ("repair", "repair.*"), (*_WORDS, "text", "jsongrammar", "repair.*"), _JSON),
    Floor("core", ("partial", "partial.*"), (*_WORDS, "text", "jsonsink", "jsonstream", "repair", "partial.*"), _JSON),
    Floor("core", ("residual", "residual.*"), (*_WORDS, *_CORE), _JSON),
    Floor("dialects", _SHARED, (*_WORDS, "sse", *_SHARED), _JSON),
    Floor("dialects", ("providers",), (*_WORDS, "sse", "providers.*"), _JSON),
    *(Floor("dialects", (whole,), (*_WORDS, "sse", *_SHARED, part), _JSON) for whole, part in _PARTS.items()),
    Floor("dialects", ("providers.openai_template",), (*_WORDS, "providers.base"), _JSON),
    # What a dialect is asked may stand in a file of its own, beside what it answers.
    Floor("dialects", ("providers.google",), (*_WORDS, "sse", *_SHARED, "providers.google_request"), _JSON),
    Floor("dialects", ("providers.*",), (*_WORDS, "sse", *_SHARED), _JSON),
    Floor("core", ("confidence",), (*_WORDS, "text", "partial"), _JSON),
    Floor("decoder", ("answer",), (*_WORDS, *_CORE, "confidence"), _JSON),
    Floor("decoder", ("parse",), (*_WORDS, *_CORE, "answer"), _JSON),
    Floor("decoder", ("resume",), (*_WORDS, *_CORE, "providers.schema"), _JSON),
    Floor("decoder", ("gate", "gate.*"), (*_WORDS, *_CORE, "gate.*"), _JSON),
    Floor("decoder", ("beside",), (*_WORDS, *_CORE, "answer", "gate"), _JSON),
    Floor("decoder", ("decoder",), (*_WORDS, *_CORE, "answer", "beside", "gate", "providers.base"), _JSON),
    Floor("edge", ("clock",), _WORDS, never=_EFFECTS - {"asyncio", "time"}),
    Floor(
        "policies",
        ("resilience.attempts",),
        (*_WORDS, "clock", "resilience", _TALLY, *_ATTEMPTS),
        _JSON | _OPTIONAL,
        _NOW,
    ),
    Floor("policies", ("resilience",), (*_WORDS, "clock", "resilience.flow"), _JSON, _NOW),
    Floor("edge", ("http2",), (*_WORDS,), _HTTP | {"httpcore2"}, never=_NOW),
    Floor("edge", ("httpclient",), (*_WORDS, "http2"), _HTTP, never=_NOW),
    Floor("edge", ("foreign",), (), _HTTP),
    Floor("edge", ("gathering",), (*_WORDS, "clock"), never=_NOW),
    Floor("edge", ("transport",), (*_WORDS, "clock", "foreign", "gathering", "httpclient"), _HTTP, never=_NOW),
    *(
        Floor(
            "policies",
            (package, f"{package}.*"),
            (*_WORDS, "clock", package, f"{package}.facts", f"{package}.tally", *_OWN.get(package, ())),
            _JSON | _OPTIONAL,
            _NOW,
        )
        for package in _POLICIES
    ),
    Floor(
        "service",
        _SERVICE,
        (*_BELOW, *_POLICIES, *(f"{name}.*" for name in _POLICIES)),
        _MODELS | {"openai", "instructor"},
        _NOW,
    ),
    Floor("front", ("",), (*_BELOW, "guardrails")),
    Floor("leaves", ("__main__",), ("cli",), never=_EFFECTS),
    Floor(
        "leaves",
        ("cli", "cli.*"),
        ("", "facts", "metrics", "instrumentation.*", "testing", "testing.cassettes", "cli", "cli.*"),
        _MODELS | {"rich", "prometheus_client"},
        frozenset(),
    ),
    # It gives tests a service; nothing else of the testing tools knows that there is one.
    Floor(
        "leaves",
        ("testing.plugin",),
        ("", *_WORDS, *_EDGE, "testing", "testing.*"),
        frozenset({"pytest"}),
        frozenset(),
    ),
    Floor(
        "leaves",
        ("testing", "testing.*"),
        (*_WORDS, "sse", "gate", "residual", "residual.*", *_EDGE, "testing", "testing.*"),
        _JSON | {"h11", "vcr", "yaml"},
        frozenset(),
    ),
    # How instructor reads strictly is pure, and the business of its integration alone.
    Floor("leaves", ("integrations.instructor",), ("", "integrations.strict"), _ANY, frozenset()),
    Floor("leaves", ("integrations", "integrations.*"), ("", "integrations"), _ANY, frozenset()),
)

# Makers of names that serve annotations and are nobody's business outside.
_TYPE_PARAMETERS = frozenset({"ParamSpec", "TypeVar", "TypeVarTuple"})


@dataclass(frozen=True)
class Import:
    """One import: of `target`, a full module name, at `line`; `runs` is False for what only a type checker reads."""

    target: str
    line: int
    runs: bool


@dataclass(frozen=True)
class Module:
    """One file of the package; `name` is its module name without the package's own, empty for the front door."""

    name: str
    path: Path
    tree: ast.Module
    lines: int
    imports: Sequence[Import]
    is_package: bool


@dataclass(frozen=True)
class House:
    """All modules of one package by name, and the names of the test files beside it."""

    package: str
    modules: Mapping[str, Module]
    tests: frozenset[str] = field(default_factory=frozenset)

    def inside(self, target: str) -> str | None:
        """Return the name, within the package, of the module that `target` names; None for a foreign one."""
        if target != self.package and not target.startswith(f"{self.package}."):
            return None
        return target[len(self.package) + 1 :]


def read_house(package: Path, tests: Path) -> House:
    """Read every module below `package` and the names of the test files in `tests`."""
    files = sorted(package.rglob("*.py"))
    known = {_full_name(package, file) for file in files}
    modules = (_read_module(package, file, known) for file in files)
    return House(
        package.name,
        {module.name: module for module in modules},
        frozenset(file.name for file in tests.glob("test_*.py")),
    )


def _full_name(package: Path, file: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read_module(package: Path, file: Path, known: set[str]) -> Module:
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source, str(file))
    full = _full_name(package, file)
    is_package = file.name == "__init__.py"
    imports = tuple(_imports(tree, full if is_package else full.rpartition(".")[0], known))
    return Module(full[len(package.name) + 1 :], file, tree, len(source.splitlines()), imports, is_package)


def _imports(tree: ast.Module, parent: str, known: set[str]) -> Iterator[Import]:
    for node, runs in _nodes(tree, runs=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, runs)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                start = parent.split(".")[: len(parent.split(".")) - node.level + 1]
                base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield Import(whole if whole in known else base, node.lineno, runs)


def _nodes(node: ast.AST, *, runs: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Walk the tree; the flag turns False below ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        yield child, runs
        if isinstance(child, ast.If) and _name_of(child.test) == "TYPE_CHECKING":
            for part in child.body:
                yield part, False
                yield from _nodes(part, runs=False)
            for part in child.orelse:
                yield part, runs
                yield from _nodes(part, runs=runs)
        else:
            yield from _nodes(child, runs=runs)


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _where(module: Module, line: int) -> str:
    return f"{module.name or '__init__'}:{line}"


def _floor(name: str) -> Floor | None:
    return next((floor for floor in FLOORS if _fits(name, floor.modules)), None)


def broken_floors(house: House) -> Iterator[str]:
    """Each module stands on a floor, and imports only what its row of `FLOORS` allows."""
    for module in house.modules.values():
        floor = _floor(module.name)
        if floor is None:
            yield f"{module.name}: stands on no floor; give it a row in tests/architecture.py"
            continue
        for item in module.imports:
            if problem := _forbidden(house, module, floor, item.target):
                yield f"{_where(module, item.line)} ({floor.name}) {problem}"
        yield from _second_foreign(house, module, floor)


def _forbidden(house: House, module: Module, floor: Floor, target: str) -> str | None:
    inside = house.inside(target)
    if inside is not None:
        return (
            None if inside == module.name or _fits(inside, floor.imports) else f"imports {inside or 'the front door'}"
        )
    root = target.partition(".")[0]
    if root in sys.stdlib_module_names:
        banned = any(target == name or target.startswith(f"{name}.") for name in floor.never)
        return f"imports {target}" if banned else None
    return None if root in floor.packages or "*" in floor.packages else f"imports the package {root}"


def _second_foreign(house: House, module: Module, floor: Floor) -> Iterator[str]:
    """A leaf for one foreign library imports no second one."""
    if "*" not in floor.packages:
        return
    roots = {item.target.partition(".")[0] for item in module.imports if house.inside(item.target) is None}
    foreign = sorted(roots - sys.stdlib_module_names - _MODELS)
    if len(foreign) > 1:
        yield f"{module.name} ({floor.name}) imports more than one foreign package: {', '.join(foreign)}"


def cycles(house: House) -> Iterator[str]:
    """No module leads back to itself, by imports that run; names that annotations alone need bind nobody."""
    edges = {
        name: sorted(
            {inside for item in module.imports if item.runs and (inside := house.inside(item.target)) is not None}
        )
        for name, module in house.modules.items()
    }
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> Iterator[str]:
        if name in path:
            yield "cycle: " + " → ".join(step or "__init__" for step in [*path[path.index(name) :], name])
        elif name not in done:
            for target in edges.get(name, ()):
                yield from visit(target, [*path, name])
            done.add(name)

    for name in edges:
        yield from visit(name, [])


def wrong_all(house: House) -> Iterator[str]:
    """`__all__` is exactly the public names of a module; that of an ``__init__`` may also name what it imports."""
    for module in house.modules.values():
        if module.name.rpartition(".")[2].startswith("_"):
            continue
        promised, bound = _promised(module.tree), _bound_names(module.tree)
        own = {name for name in bound if not name.startswith("_")}
        if promised is None:
            if own:
                yield f"{_where(module, 1)} has no __all__, but the names {', '.join(sorted(own))}"
            continue
        available = bound | _imported_names(module.tree) if module.is_package else bound
        yield from (f"{_where(module, 1)} {name} is public but not in __all__" for name in sorted(own - promised))
        yield from (f"{_where(module, 1)} {name} is in __all__ but not there" for name in sorted(promised - available))


def _promised(tree: ast.Module) -> set[str] | None:
    for node in _top_level(tree.body):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and "__all__" in _targets(node):
            return {str(name) for name in ast.literal_eval(node.value)}
    return None


def _bound_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in _top_level(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not _makes_type_parameter(node.value):
            names.update(_targets(node))
    return names


def _imported_names(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in _top_level(tree.body)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _top_level([*node.body, *node.orelse])
        if isinstance(node, ast.Try):
            yield from _top_level([part for handler in node.handlers for part in handler.body])


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def _makes_type_parameter(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and _name_of(value.func) in _TYPE_PARAMETERS


def missing_tests(house: House) -> Iterator[str]:
    """Each module that defines something has the test file of its name; that of the front door is ``test_init.py``."""
    for module in house.modules.values():
        if module.path.name in {"__init__.py", "__main__.py"} and not _defines(module.tree):
            continue
        wanted = (
            "_".join(["test", *(part.strip("_") for part in module.name.split("."))]) if module.name else "test_init"
        )
        if f"{wanted}.py" not in house.tests:
            yield f"{module.name or '__init__'} has no tests/{wanted}.py"


def _defines(tree: ast.Module) -> bool:
    return bool(_bound_names(tree) - {"__all__"})


def too_long(house: House) -> Iterator[str]:
    """No module has more than `MAX_LINES` lines."""
    for module in house.modules.values():
        if module.lines > MAX_LINES:
            yield f"{module.name or '__init__'} has {module.lines} lines, {module.lines - MAX_LINES} too many"


RULES: Mapping[str, Callable[[House], Iterator[str]]] = {
    "floors": broken_floors,
    "cycles": cycles,
    "all": wrong_all,
    "tests": missing_tests,
    "sizes": too_long,
}
"""Every rule, by the name that a test report shows."""
