"""Finds the rows that a mapping cannot evaluate (a text that is no date), keeps them as rejected, and frees mended ones.

Used when the set-based statement failed on its data, and for rows that were rejected before. Rows are tried in blocks,
and one by one only in the blocks that fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyelt_provider.identifiers import TableName, opaque, quote, text_literal
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.mapped_rows import Group, MappedEntity, Work
from pyelt_provider.statements.mappings.rejection_limit import check_rejections
from pyelt_provider.statements.mappings.sources import conditions_of
from pyelt_provider.statements.sql.exceptions import exception_parameters, write_down_rejected
from pyelt_provider.statements.step import Count, Program, Statement

BLOCK_ROWS = 500
DATA_ERRORS = ("22", "23")
"""SQLSTATE classes of errors that the data of a row makes: values that cannot be cast, checks that fail."""
_NOTHING: Mapping[str, object] = MappingProxyType({})
_BOOKKEEPING = (
    "_id",
    "_runid",
    "_active",
    "_source_system",
    "_insert_date",
    "_finish_date",
    "_deleted_runid",
    "_finish_runid",
    "_revision",
    "_valid",
    "_validation_msg",
    "_hash",
)


def fenced_relation(entity: MappedEntity, narrowed: tuple[str, ...] = ()) -> str:
    """Return the mapping's source without its rejected rows, so that none of their expressions is evaluated.

    ``offset 0`` keeps the planner from moving the user's filter or key expression below it.
    """
    source = entity.mapping.source
    conditions = "\n        and ".join(
        (
            *(("s._active", "s._valid") if entity.staging else ()),
            *narrowed,
            f"not exists (select from {entity.rejected} as x where x._row = {_identity(entity)})",
        )
    )
    table = entity.staging.table.sql if entity.staging else entity.copied
    join = f"\n    {opaque(source.join)}" if source.join else ""
    return f"""(
    select s.* from {table} as s
    where {conditions}
    offset 0) as s{join}"""


def judge_rejected_again(stage: Stage, work: Work) -> Program:
    """Judge the rows that the mapping rejected in earlier runs; those that it still cannot evaluate stay rejected."""
    entity = work.entity
    sys = quote(stage.pipeline.sys_schema)
    yield from make_room(entity)
    yield from _judge(
        entity,
        "judge rejected rows again",
        f"""select row_id from {sys}.rejected_rows
        where pipe = %(pipe)s and mapping = %(mapping)s and freed_runid is null""",
        {"pipe": stage.pipe_name, "mapping": entity.name},
    )


def isolate_rows(group: Group, work: Work, *, made_room: bool) -> Program:
    """Find the rows to look at that the mapping cannot evaluate, into its temporary table of rejected rows."""
    entity = work.entity
    if not made_room:
        yield from make_room(entity)
    if entity.staging is None:
        rows = f"select {_identity(entity)} from {entity.copied} as s"
    elif group.full:
        rows = f"select s._id from {entity.staging.table.sql} as s where s._active and s._valid"
    elif group.by_row:
        rows = f"select _touched from {entity.touched}"
    else:
        # Rows of other keys were evaluated before; those of touched keys are found by evaluating the keys alone.
        rows = f"select s._id from {entity.staging.table.sql} as s where s._active and s._valid"
    yield from _judge(entity, "find rows that cannot be evaluated", rows)


def isolate_keys(work: Work) -> Program:
    """Find the changed rows, closed ones too, whose key cannot be evaluated; such a row never gave a key."""
    entity = work.entity
    assert entity.staging is not None
    function = f"pg_temp.pyelt_judge_keys_{entity.number}"
    yield Statement(
        label="prepare to judge keys row by row",
        mapping=entity.name,
        sql=_judging_function(function, entity.relation, "s._id", "where true", [("the business key", entity.key)]),
    )
    yield Statement(
        label="find rows whose key cannot be evaluated",
        mapping=entity.name,
        sql=f"""
create temporary table {entity.rejected}_keys on commit drop as
select judged.pyelt_row as _row
from {function}(array(select _touched from {entity.touched})) as judged
""",
    )


def keep_rejections(stage: Stage, run: Run, work: Work, *, touched: bool) -> Program:
    """Keep the rejected rows until a run can use them, free those that it could, and write both down.

    Raises RejectionsRefused when there are more than the limit of their table; `touched`: see check_rejections.
    """
    yield from check_rejections(stage, run, work.entity, touched=touched)
    yield free_rows(stage, run, work.entity)
    yield reject_rows(stage, run, work.entity)
    yield record_exceptions(stage, run, work.entity)


def _identity(entity: MappedEntity) -> str:
    return "s._id" if entity.staging else "s._pyelt_row"


def make_room(entity: MappedEntity) -> Program:
    if entity.staging is None:
        yield Statement(
            label="copy the rows of the view or query",
            mapping=entity.name,
            sql=f"""
create temporary table {entity.copied} on commit drop as
select {entity.row_identity} as _pyelt_row, s.*
from {entity.relation}
""",
        )
    yield Statement(
        label="make room for rejected rows",
        mapping=entity.name,
        sql=f"create temporary table {entity.rejected} (_row bigint primary key, _message text) on commit drop",
    )


def _judge(entity: MappedEntity, label: str, rows: str, parameters: Mapping[str, object] = _NOTHING) -> Program:
    function = f"pg_temp.pyelt_judge_{entity.number}"
    source = entity.mapping.source
    items = [
        ("the filter or the joins", "true"),
        ("the business key", entity.key),
        *((field.label, field.sql) for field in entity.fields),
        *([("the order of preference", f"row_number() over (order by {entity.order})")] if source else []),
    ]
    relation = entity.relation if entity.staging else f"{entity.copied} as s"
    yield Statement(
        label="prepare to judge rows one by one",
        mapping=entity.name,
        sql=_judging_function(function, relation, _identity(entity), conditions_of(source) or "where true", items),
    )
    yield Statement(
        label=label,
        mapping=entity.name,
        parameters=parameters,
        sql=f"""
insert into {entity.rejected} (_row, _message)
select judged.pyelt_row, 'cannot make ' || judged.pyelt_item || ' of this row (SQLSTATE ' || judged.pyelt_code || ')'
from {function}(array(
        {rows})) as judged
on conflict do nothing
""",
    )


def _judging_function(
    function: str, relation: str, identity: str, conditions: str, items: list[tuple[str, str]]
) -> str:
    """Return the function that gives the rows, among those with the given identities, that an expression fails for."""
    # An aggregate of nothing but windows is not SQL: in a block each item is a column of its own, counted outside.
    columns = ", ".join(f"{sql} as pyelt_{number}" for number, (_, sql) in enumerate(items))
    counted = ", ".join(f"count(pyelt_block.pyelt_{number})" for number, _ in enumerate(items))
    one_by_one = "\n".join(
        f"""                    pyelt_item := {text_literal(name)};
                    perform {sql} from {relation}
                    {conditions} and {identity} = pyelt_candidate;"""
        for name, sql in items
    )
    body = f"""
#variable_conflict use_column
declare
    pyelt_first integer := 1;
    pyelt_some bigint[];
    pyelt_candidate bigint;
begin
    while pyelt_first <= cardinality(pyelt_candidates) loop
        pyelt_some := pyelt_candidates[pyelt_first:pyelt_first + {BLOCK_ROWS - 1}];
        begin
            perform {counted}
            from (select {columns} from {relation}
                {conditions} and {identity} = any(pyelt_some) offset 0) as pyelt_block;
        exception when data_exception or integrity_constraint_violation then
            foreach pyelt_candidate in array pyelt_some loop
                begin
{one_by_one}
                exception when data_exception or integrity_constraint_violation then
                    pyelt_row := pyelt_candidate;
                    pyelt_code := sqlstate;
                    return next;
                end;
            end loop;
        end;
        pyelt_first := pyelt_first + {BLOCK_ROWS};
    end loop;
end
"""
    return f"""
create or replace function {function}(
    pyelt_candidates bigint[], out pyelt_row bigint, out pyelt_item text, out pyelt_code text)
returns setof record language plpgsql as {dollar_quoted(body)}
"""


def dollar_quoted(body: str) -> str:
    """Return the body of a function between dollar quotes that do not occur in it."""
    tag = "$pyelt$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{body}{tag}"


def _described(entity: MappedEntity) -> TableName:
    """The table that a rejected row is said to be of: its staging table or view, for a query the hub it maps to."""
    if entity.staging is not None:
        return entity.staging.table
    return entity.mapping.source.view or entity.hub.table


def free_rows(stage: Stage, run: Run, entity: MappedEntity) -> Statement:
    """Free the rows that were rejected before and can be used now, or are not active any more."""
    return Statement(
        label="free rows that can be used again",
        mapping=entity.name,
        table=_described(entity),
        count=Count.FREED,
        parameters={"runid": run.number, "pipe": stage.pipe_name, "mapping": entity.name},
        sql=f"""
update {quote(stage.pipeline.sys_schema)}.rejected_rows as r set freed_runid = %(runid)s
where r.pipe = %(pipe)s and r.mapping = %(mapping)s and r.freed_runid is null
    and not exists (select from {entity.rejected} as x where x._row = r.row_id)
""",
    )


def reject_rows(stage: Stage, run: Run, entity: MappedEntity) -> Statement:
    """Keep the rows that this run rejected and that were not rejected already."""
    described = _described(entity)
    return Statement(
        label="reject rows that cannot be evaluated",
        mapping=entity.name,
        table=described,
        count=Count.REJECTED,
        parameters={
            "runid": run.number,
            "stage": stage.id,
            "pipe": stage.pipe_name,
            "mapping": entity.name,
            "schema": described.schema,
            "table": described.name,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.rejected_rows
    (pipe, mapping, schemaname, tablename, row_id, message, runid, stage)
select %(pipe)s, %(mapping)s, %(schema)s, %(table)s, x._row, x._message, %(runid)s, %(stage)s
from {entity.rejected} as x
on conflict (pipe, mapping, row_id) where freed_runid is null do nothing
""",
    )


def record_exceptions(stage: Stage, run: Run, entity: MappedEntity) -> Statement:
    """Write the rejected rows into the vault's `_exceptions`, each once; one that stands there gets this as last run."""
    described = _described(entity)
    exceptions = TableName(entity.hub.schema, "_exceptions")
    keys = list(entity.staging.key) if entity.staging else []
    table = entity.staging.table.sql if entity.staging else entity.copied
    return Statement(
        label="write down rejected rows",
        mapping=entity.name,
        parameters={
            **exception_parameters(stage, run, exceptions, described, entity.name),
            "keys": keys,
            "others": [*_BOOKKEEPING, *([name for name, _ in entity.staging.fk_columns] if entity.staging else [])],
        },
        sql=write_down_rejected(
            stage,
            exceptions,
            f"""select x._message as message,
        coalesce((select jsonb_object_agg(part.key, part.value) from jsonb_each(held.all_fields) as part
            where part.key = any(%(keys)s::text[])), '{{}}')::text as key_fields,
        jsonb_strip_nulls(held.all_fields - %(keys)s::text[] - %(others)s::text[] - '_pyelt_row')::text as fields
    from {entity.rejected} as x
    join {table} as s on {_identity(entity)} = x._row
    cross join lateral (select to_jsonb(s) as all_fields) as held
    group by message, key_fields, fields
    order by min(x._row)""",
        ),
    )
