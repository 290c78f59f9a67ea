"""Finds state that a module of the product keeps for itself: `app.process_state` holds what changes while it runs.

In: the product's files. Out: a line for each place where a function changes what its module holds. Facts that no code
tells stand in tables here: functions whose answers never change, names that change while modules are imported alone.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PRODUCT = ("app", "admin_views", "public", "api", "callbacks", "jobs")

# the owner itself; and what `create_app` binds, as Flask's extensions are
_OWNERS = {"app/process_state.py", "app/extensions.py"}
# state that changes while modules are imported, and never afterwards
_AT_IMPORT = {("app/problems.py", "_declared")}
# functions whose answer depends on their arguments and on files of this version alone
_PURE = {
    ("admin_views/framework/assets.py", "_version"),
    ("admin_views/overview/guide.py", "guide"),
    ("app/auth/passwords.py", "dummy_hash"),
    ("app/campaigns/send_windows.py", "_holidays"),
    ("app/campaigns/template.py", "key"),
    ("app/campaigns/template.py", "_field"),
    ("app/intake/reading/number_format.py", "number_format"),
    ("app/intake/reading/number_format.py", "text_format"),
    ("app/providers/sms/karaden.py", "_door"),
    ("app/providers/sms/karaden.py", "_limited_at"),
    ("public/look.py", "version"),
    ("public/pages.py", "_texts"),
}

_CACHES = {"cache", "lru_cache"}
_CHANGES = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove", "set",
    "setdefault", "update",
}  # fmt: skip
_STATEFUL = {
    "Barrier", "BoundedSemaphore", "Condition", "Counter", "Event", "Lock", "OrderedDict", "Queue", "RLock",
    "Semaphore", "SimpleQueue", "Thread", "WeakKeyDictionary", "WeakValueDictionary", "count", "cycle", "defaultdict",
    "deque", "dict", "list", "local", "set",
}  # fmt: skip
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class _Module:
    """A file's tree, and the names that its outermost lines give to values and classes."""

    name: str
    tree: ast.Module
    values: dict[str, ast.expr] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)


def module_state(root: Path, paths: Iterable[Path]) -> list[str]:
    """Name the places at which a module of the product keeps state for itself."""
    modules = [
        _read(str(path.relative_to(root)), path.read_text("utf-8"))
        for path in paths
        if path.suffix == ".py" and path.relative_to(root).parts[0] in PRODUCT
    ]
    stateful = _STATEFUL | {kind for module in modules for kind in _changing_classes(module.tree)}
    return [
        f"{module.name}:{line}: {what}: state of the process belongs to app.process_state"
        for module in modules
        if module.name not in _OWNERS
        for line, what in sorted(_faults(module, stateful))
    ]


def _read(name: str, source: str) -> _Module:
    module = _Module(name, ast.parse(source))
    for node in _outermost(module.tree.body):
        match node:
            case ast.ClassDef():
                module.classes.add(node.name)
            case ast.Assign(targets=targets, value=value):
                module.values.update({target.id: value for target in targets if isinstance(target, ast.Name)})
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                module.values[target] = value
    # such a variable has a value for each context, none for the process
    module.values = {
        name: value
        for name, value in module.values.items()
        if not (isinstance(value, ast.Call) and _name(value.func) == "ContextVar")
    }
    return module


def _outermost(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Return a module's lines, those under its conditions too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _outermost([child for child in ast.walk(node) if isinstance(child, ast.stmt) and child != node])


def _changing_classes(tree: ast.Module) -> set[str]:
    """Name the classes whose instances change after they are made."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, _Function)]
            later = [method for method in methods if method.name not in {"__init__", "__post_init__", "__new__"}]
            if any(_name(base) in _STATEFUL for base in node.bases) or any(
                root == "self" for method in later for _, root in _changed(method)
            ):
                found.add(node.name)
    return found


def _faults(module: _Module, stateful: set[str]) -> Iterator[tuple[int, str]]:
    for name, value in module.values.items():
        if (module.name, name) in _AT_IMPORT | _PURE:
            continue
        if _is_empty(value) or (isinstance(value, ast.Call) and _name(value.func) in stateful | _CACHES):
            yield value.lineno, name
    for node in ast.walk(module.tree):
        match node:
            case ast.Global(names=names):
                yield node.lineno, ", ".join(names)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if _is_cached(node) and (module.name, node.name) not in _PURE:
                    yield node.lineno, node.name
                yield from _changes_of_module(module, node)


def _changes_of_module(module: _Module, function: _Function) -> Iterator[tuple[int, str]]:
    own = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    own |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for line, root in _changed(function):
        kept = (module.values.keys() | module.classes) - own
        if root == "cls" or (root in kept and (module.name, root) not in _AT_IMPORT):
            yield line, root


def _changed(function: _Function) -> Iterator[tuple[int, str]]:
    """Return the lines of a function that change a part of something, with the name of what that is a part of."""
    for node in ast.walk(function):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                yield node.lineno, _root(node)
            case ast.Call(func=ast.Attribute(value=ast.Name() | ast.Attribute() | ast.Subscript() as value, attr=name)):
                if name in _CHANGES:
                    yield node.lineno, _root(value)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
    return ""


def _is_empty(value: ast.expr) -> bool:
    match value:
        case ast.Dict(keys=[]) | ast.List(elts=[]):
            return True
    return False


def _is_cached(function: _Function) -> bool:
    decorators = [node.func if isinstance(node, ast.Call) else node for node in function.decorator_list]
    return any(_name(decorator) in _CACHES for decorator in decorators)
