"""One file moves states: whatever else in the product writes one is found here, in SQL, in Core and in the ORM."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("app", "admin_views", "public", "api", "callbacks", "jobs")
WRITER = "app/states/transitions.py"

# the nine states of the vocabulary, where they stand; what a row of `send_log` or `trial_message` came to is none
STATES = {
    "recipient": ("sms_state", "page_state", "payment_state"),
    "campaign": ("state",),
    "tenant": ("state",),
    "payment": ("state",),
    "import": ("state",),
    "export": ("state",),
    "sender_number": ("state",),
}
MODELS = {name.title().replace("_", ""): name for name in STATES}
COLUMNS = {column for columns in STATES.values() for column in columns}
# writes that look like one and are none: a test SMS has states of its own; a row that is corrected keeps its states,
# though the names of its columns are put into the statement; a webhook endpoint has none of these columns
OTHERS = {
    "app/webhooks/turn.py: update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(**values)",
    "app/delivery/clerk_test_sms.py: row.state",
    *(f"app/intake/rows/amending.py: recipient.{column} in SQL" for column in STATES["recipient"]),
}

_SET = re.compile(
    r'\b(?:UPDATE(?: ONLY)? "?([\w{}]+)"?(?: (?:AS )?(?!SET\b)\w+)?|INSERT INTO "?([\w{}]+)"? .*?DO UPDATE) SET\b'
    r"((?:(?!\bUPDATE\b).)*)",
    re.IGNORECASE,
)


def writes(source: str) -> Iterator[str]:
    """Name each write of a state in a file's text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=str(value)):
                yield from in_sql(value)
            case ast.JoinedStr(values=parts):
                yield from in_sql(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
                )
            case ast.Assign(targets=targets):
                yield from in_targets(targets)
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                yield from in_targets([target])
            case ast.Call():
                yield from in_call(node)


def in_sql(text: str) -> Iterator[str]:
    for found in _SET.finditer(" ".join(text.split())):
        table = (found[1] or found[2]).lower()
        # a table that is put in may be any of them, a column too
        for column in COLUMNS if "{" in table else STATES.get(table, ()):
            if re.search(rf"(?:^|,) *(?:\w+\.)?(?:{column} *=|{{}})", found[3]):
                yield f"{table}.{column} in SQL"


def in_targets(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            yield from in_targets(target.elts)
        elif isinstance(target, ast.Attribute) and target.attr in COLUMNS:
            yield ast.unparse(target)


def in_call(call: ast.Call) -> Iterator[str]:
    """Find `setattr(row, "state", …)`, `update(Model).values(state=…)` and `query.update({"state": …})`."""
    if isinstance(call.func, ast.Name) and call.func.id == "setattr":
        yield from [ast.unparse(call)] if names_state(call.args[1]) else []
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"values", "update"}:
        return
    core = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "update"
        for node in ast.walk(call.func)
    )
    keys = [key for arg in call.args if isinstance(arg, ast.Dict) for key in arg.keys if key is not None]
    unread = core and any(not isinstance(arg, ast.Dict) for arg in call.args)
    named = core and any(keyword.arg in {*COLUMNS, None} for keyword in call.keywords)
    if unread or named or any(map(names_state, keys)):
        yield ast.unparse(call)


def names_state(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return value in COLUMNS
        case ast.Attribute(value=ast.Name(id=model), attr=column):
            return column in STATES.get(MODELS.get(model, ""), ())
    return False


def test_nobody_else_writes_a_state() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {write}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if str(path.relative_to(ROOT)) != WRITER
        for write in writes(path.read_text("utf-8"))
    }
    assert found == OTHERS


def test_the_writer_is_found_by_the_same_search() -> None:
    found = set(writes((ROOT / WRITER).read_text("utf-8")))
    assert found >= {"campaign.state in SQL", "recipient.sms_state in SQL", "{}.state in SQL"}


@pytest.mark.parametrize(("table", "column"), [(table, name) for table, names in STATES.items() for name in names])
@pytest.mark.parametrize(
    "form",
    [
        'text("UPDATE {table} SET {column} = :to WHERE id = 1")',
        'text("""\n    UPDATE {table} r\n    SET beat_at = now(),\n        {column} = CASE WHEN true THEN 1 END\n""")',
        "text(f\"UPDATE {table} SET {{more}}, {column} = 'done' RETURNING id\")",
        'text("WITH a AS (SELECT 1) UPDATE {table} AS r SET a = (SELECT 1 FROM b WHERE c), {column} = 2 FROM a")',
        'text("INSERT INTO {table} (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET {column} = 1")',
        "row.{column} = 'done'",
        "row.{column}, row.beat_at = 'done', now",
        "setattr(row, '{column}', 'done')",
        "update({model}).where({model}.id == 1).values({column}='done')",
        "update({model}).values({{'{column}': 'done'}})",
        "update({model}).values(changes)",
        "update({model}).values(**changes)",
        "session.query({model}).update({{{model}.{column}: 'done'}})",
        "session.query({model}).update({{'{column}': 'done'}})",
    ],
)
def test_each_way_to_write_a_state_is_found(form: str, table: str, column: str) -> None:
    assert list(writes(form.format(table=table, column=column, model=table.title().replace("_", ""))))


@pytest.mark.parametrize(
    "reading",
    [
        "text(\"UPDATE payment SET problem = '' WHERE id = :id AND state = 'paid'\")",
        "text(\"UPDATE export SET rows_done = CASE WHEN state = 'done' THEN 1 END\")",
        "text(\"UPDATE send_log SET state = 'delivered'\")",
        "state = row.state",
        "update(Import).where(Import.state == 'mapping').values(hidden_rows=1)",
        "seen.update({1: 2})",
    ],
)
def test_what_writes_no_state_is_not_found(reading: str) -> None:
    assert not list(writes(reading))
