"""The code uses the terms of the field and stays in short files, functions and packages.

CONTRIBUTING.md states the rules. Each file is parsed once.
"""

from __future__ import annotations

import ast
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGES = ("features", "scoring", "training", "serving", "cli", "demo", "benchmarks", "hotlead")
MAX_LINES, MAX_FUNCTION_LINES, MAX_MEDIAN_LINES, MAX_MODULES = 400, 50, 7, 15
MAX_PACKAGE_LINES = 62_000
MAX_ANY_SHARE = 0.08

FUNCTION_WORDS = """
told said say asked seen known
come came gone held kept left made met put sent took lived found given used done
is be was were has had do does did may might must
how what when where who whom whose each both some such other own this that these those
at by of among beside besides near far so then
again alike alone anew away an even here least most once only still there very well yet
strange whole wrong
"""
BANNED_NAMES = frozenset(FUNCTION_WORDS.split())
"""Function words and everyday verbs: as names they say nothing about what they are bound to."""

OUTER_KEYS = frozenset(
    {
        # crm.toml and scorecard.toml
        "ActivitiesTable.at",
        "After.then",
        "Attribute.known",
        "DaysBetween.known",
        "FromColumn.known",
        "ChangesTable.at",
        "Ratio.whole",
        "Rule.when",
        # JSON of the API: requests
        "AttributeChangeIn.at",
        "HandoverIn.at",
        "HandoverIn.by",
        "LeadActivity.at",
        "OpportunityIn.by",
        "OverrideIn.at",
        "OverrideIn.by",
        "VerdictIn.at",
        "VerdictIn.by",
        # JSON of the API: answers
        "ClosedAnswer.at",
        "ModelAnswer.alike",
        "PastScore.alike",
        "PersonAnswer.by",
        # the same fields in models that tests make
        "Activity.at",
        "Lead.by",
        # columns of the database
        "Record.at",
        "Signature.at",
        "Signature.by",
        # stored files: the overrides of a list, the requests of the review pages
        "Override.at",
        "Override.by",
        "ReviewRequest.at",
        "ReviewRequest.by",
        "ReviewResult.at",
    }
)
"""Fields whose names are keys of a published format. `Class.field` is unique: see the test of type names."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)


@dataclass(frozen=True)
class BoundName:
    """A name and the scope that binds it, such as `Class.method`."""

    scope: str
    name: str
    line: int

    @property
    def key(self) -> str:
        """`Class.field`, as in OUTER_KEYS."""
        return f"{self.scope.rpartition('.')[2]}.{self.name}"


@dataclass
class SourceFile(ast.NodeVisitor):
    """What the rules look at in a file."""

    name: str
    text: str
    bound_names: list[BoundName] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    inner_imports: list[int] = field(default_factory=list)
    public_types: set[str] = field(default_factory=set)
    docstring: str = ""
    scopes: list[str] = field(default_factory=list)
    function_depth: int = 0

    def __post_init__(self) -> None:
        self.lines = self.text.split("\n")
        self.visit(ast.parse(self.text))

    @property
    def package(self) -> str:
        return self.name.partition("/")[0]

    def bind(self, name: str, node: ast.expr | ast.stmt | ast.arg | ast.ExceptHandler | ast.alias) -> None:
        self.bound_names.append(BoundName(".".join(self.scopes), name, node.lineno))

    def generic_visit(self, node: ast.AST) -> None:
        """Visit the children; skips leaves, half of all nodes, to save time."""
        for name in node._fields:
            value = getattr(node, name, None)
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, ast.AST) and not isinstance(child, LEAVES):
                    self.visit(child)

    def visit_Module(self, node: ast.Module) -> None:
        self.docstring = ast.get_docstring(node) or ""
        self.public_types.update(name for statement in node.body for name in defined_types(statement))
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bind(node.name, node)
        self.scopes.append(node.name)
        self.generic_visit(node)
        self.scopes.pop()

    def visit_FunctionDef(self, node: Function) -> None:
        self.bind(node.name, node)
        self.functions.append(node)
        self.scopes.append(node.name)
        self.function_depth += 1
        self.generic_visit(node)
        self.function_depth -= 1
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bind(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bind(node.attr, node)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.bind(node.arg, node)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bind(node.name, node)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        if self.function_depth:
            self.inner_imports.append(node.lineno)
        for alias in node.names:
            if alias.asname:
                self.bind(alias.asname, alias)

    visit_ImportFrom = visit_Import

    def has_comment(self, line: int) -> bool:
        """Whether an import has a comment beside it or above its block of imports."""
        while line > 0 and "import" in self.lines[line - 1]:
            if "#" in self.lines[line - 1]:
                return True
            line -= 1
        return self.lines[line - 1].lstrip().startswith("#")


def defined_types(node: ast.stmt) -> Iterator[str]:
    """The public classes and type aliases that a statement of a module defines."""
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
        yield node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        name = target.id if isinstance(target, ast.Name) else ""
        if len(name) > 1 and name[0].isupper() and not name.isupper():
            yield name


def line_count(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def has_any(function: Function) -> bool:
    """Whether a signature contains `Any`."""
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [parameter for parameter in (arguments.vararg, arguments.kwarg) if parameter]
    annotations = [parameter.annotation for parameter in parameters] + [function.returns]
    return any(
        isinstance(node, ast.Name) and node.id == "Any"
        for annotation in annotations
        if annotation is not None
        for node in ast.walk(annotation)
    )


@cache
def source_files() -> tuple[SourceFile, ...]:
    """The Python files that git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [name for name in sorted(set(listed.stdout.splitlines())) if (ROOT / name).is_file()]
    return tuple(SourceFile(name, (ROOT / name).read_text(encoding="utf-8")) for name in names)


def test_no_name_is_a_function_word() -> None:
    offending = [
        f"{file.name}:{bound.line} {bound.scope}.{bound.name}"
        for file in source_files()
        for bound in file.bound_names
        if bound.name.strip("_").lower() in BANNED_NAMES and bound.key not in OUTER_KEYS
    ]
    assert not offending, f"{len(offending)} names:\n" + "\n".join(offending)


def test_every_outer_key_is_in_use() -> None:
    bound_keys = {bound.key for file in source_files() for bound in file.bound_names}
    assert OUTER_KEYS - bound_keys == frozenset()


def test_the_formatter_alone_formats() -> None:
    markers = ("fmt: " + "skip", "fmt: " + "off")
    skipping = [file.name for file in source_files() if any(marker in file.text for marker in markers)]
    assert not skipping


def test_no_file_is_too_long() -> None:
    lengths = {file.name: file.text.count("\n") for file in source_files()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_the_packages_stay_within_their_lines() -> None:
    lengths: Counter[str] = Counter()
    for file in source_files():
        lengths[file.package] += file.text.count("\n")
    assert sum(lengths[package] for package in PACKAGES) <= MAX_PACKAGE_LINES, lengths


def test_functions_are_short() -> None:
    long_functions = {
        f"{file.name}:{function.lineno} {function.name}": line_count(function)
        for file in source_files()
        for function in file.functions
        if line_count(function) > MAX_FUNCTION_LINES
    }
    assert long_functions == {}


def test_the_median_function_is_short() -> None:
    lengths = [line_count(f) for file in source_files() if file.package in PACKAGES for f in file.functions]
    assert median(lengths) <= MAX_MEDIAN_LINES


def test_signatures_of_the_service_rarely_contain_any() -> None:
    signatures = {
        f"{file.name}:{function.lineno} {function.name}": has_any(function)
        for file in source_files()
        if file.package == "serving"
        for function in file.functions
    }
    offending = [name for name, value in signatures.items() if value]
    assert len(offending) <= MAX_ANY_SHARE * len(signatures), (
        f"{len(offending)} of {len(signatures)}:\n" + "\n".join(offending)
    )


def test_packages_have_few_modules() -> None:
    modules = Counter(
        str(Path(file.name).parent) for file in source_files() if not file.name.endswith("__init__.py")
    )
    assert {folder: count for folder, count in modules.items() if count > MAX_MODULES} == {}


def test_an_import_inside_a_function_has_its_reason() -> None:
    """In a comment beside it or above it, or (for a file of commands) in the docstring of the module."""
    unexplained = [
        f"{file.name}:{line}"
        for file in source_files()
        if "Imports inside" not in file.docstring
        for line in file.inner_imports
        if not file.has_comment(line)
    ]
    assert not unexplained, f"{len(unexplained)} imports:\n" + "\n".join(unexplained)


def test_public_types_have_unique_names() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in source_files():
        if file.package in PACKAGES:
            for type_name in file.public_types:
                places[type_name].append(file.name)
    assert {type_name: files for type_name, files in places.items() if len(files) > 1} == {}
