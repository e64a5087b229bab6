"""Who may import whom, and other rules of the house that no linter knows. Read from the source, nothing is imported."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("gateway", "mappings")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCE.items()}
DIALECTS = {name.removeprefix("mappings.") for name in SOURCE if name.startswith("mappings.")}
# The standard library's value modules: no input or output, no clock, no randomness, no logging, no event loop.
VALUES = set(
    "abc base64 bisect collections contextlib dataclasses datetime decimal difflib email enum fractions functools"
    " graphlib hashlib heapq hmac html ipaddress itertools json math operator re string textwrap types typing"
    " unicodedata urllib".split()
)
NEVER = {"urllib.request", "now", "today", "utcnow", "open", "print", "input", "exec", "eval", "__import__"}
FOR_SANDBOX = ("gateway.core.exchange", "gateway.core.money", "gateway.core.plainjson", "gateway.core.codes")
LONGEST = 40


def imports(module: str) -> Iterator[str]:
    """The modules that a module imports; a name that is a module of ours counts as one."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in SOURCE or inner in NEVER else str(node.module)


def within(name: str, *packages: str) -> bool:
    """Whether a module is one of the packages or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def pure(module: str, *ours: str) -> list[str]:
    """What a pure module imports, or calls, that is neither a value module nor msgspec nor one of ours."""
    foreign = [
        name
        for name in imports(module)
        if name in NEVER or not (name.partition(".")[0] in VALUES or within(name, "msgspec", *ours))
    ]
    calls = ((node.lineno, node.func) for node in ast.walk(TREES[module]) if isinstance(node, ast.Call))
    names = ((line, getattr(func, "attr", getattr(func, "id", ""))) for line, func in calls)
    return foreign + [f"{name}() in line {line}" for line, name in names if name in NEVER]


def test_the_core_is_pure() -> None:
    """It imports value modules, msgspec and itself, and asks no clock."""
    found = {name: pure(name, "gateway.core") for name in SOURCE if within(name, "gateway.core")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_mapping_is_pure_and_knows_only_the_core() -> None:
    """Never another mapping, the shell or the sandbox."""
    found = {name: pure(name, "gateway.core") for name in SOURCE if within(name, "mappings")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_sandbox_shares_nothing_with_a_mapping() -> None:
    """It is written from the vendor's page, so that both cannot share one mistake."""
    found = {name: set(imports(name)) for name in SOURCE if within(name, "gateway.sandbox")}
    allowed = ("gateway.sandbox", *FOR_SANDBOX)
    wrong = {
        name: own
        for name, used in found.items()
        if (own := {one for one in used if within(one, "gateway", "mappings") and not within(one, *allowed)})
    }
    assert wrong == {}


def test_only_the_catalog_touches_the_mappings() -> None:
    """Adding a dialect touches one file and one folder."""
    assert {
        name for name in SOURCE if within(name, "gateway") and any(within(one, "mappings") for one in imports(name))
    } == {"gateway.shell.catalog"}


def test_the_client_knows_only_the_core() -> None:
    """What callers import brings no gateway with it; and of the gateway only `send` is such a caller."""
    assert {one for one in imports("gateway.client") if not within(one, "gateway.core")} <= {
        *("gateway", "msgspec", "aiohttp", "yarl", "asyncio", "os", "random", "time"),
        *("collections.abc", "datetime", "types", "typing", "urllib.parse"),
    }
    callers = {name for name in SOURCE if "gateway.client" in imports(name)}
    assert {name for name in callers if not within(name, "gateway.shell.sending")} == set()
    assert callers


def test_only_the_shell_draws_on_terminals() -> None:
    """Nothing else imports rich."""
    found = {name for name in SOURCE if any(within(one, "rich") for one in imports(name))}
    assert {name for name in found if not within(name, "gateway.shell")} == set()
    assert found


def test_nothing_asks_which_dialect_it_has() -> None:
    """No comparison, membership or match with a dialect's name anywhere in the gateway."""
    found = [
        f"{module}:{node.lineno}"
        for module in SOURCE
        if within(module, "gateway")
        for node in ast.walk(TREES[module])
        if isinstance(node, (ast.Compare, ast.MatchValue))
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in DIALECTS
    ]
    assert DIALECTS
    assert found == []


def test_the_cores_arrows_go_one_way() -> None:
    """Its import graph has no cycle."""
    core = {name for name in SOURCE if within(name, "gateway.core")}
    order = TopologicalSorter({name: core.intersection(imports(name)) for name in core}).static_order()
    assert set(order) == core


def test_no_function_is_longer_than_a_page() -> None:
    """Forty lines, the signature and the docstring included."""
    found = {
        f"{module}.{node.name}": lines
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST
    }
    assert found == {}


def test_everything_public_says_what_it_is() -> None:
    """A docstring on every module and every public class, function and method."""

    def undocumented(place: str, node: ast.Module | ast.ClassDef) -> Iterator[str]:
        if ast.get_docstring(node) is None:
            yield place
        for child in node.body:
            if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                yield from undocumented(f"{place}.{child.name}", child)
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not child.name.startswith("_"):
                yield from () if ast.get_docstring(child) else (f"{place}.{child.name}",)

    assert [place for module, tree in TREES.items() for place in undocumented(module, tree)] == []


def test_no_type_is_ignored_without_its_code() -> None:
    """Neither in the product nor in the tests."""
    bare = re.compile(r"#\s*type:\s*ignore(?!\[[a-z])")
    paths = [*SOURCE.values(), *sorted((ROOT / "tests").rglob("*.py"))]
    found = [str(path.relative_to(ROOT)) for path in paths if path != Path(__file__) and bare.search(path.read_text())]
    assert found == []
