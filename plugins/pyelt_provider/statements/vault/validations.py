"""Judges vault rows by the domain's validations: marks what is invalid, once, and records it with the rejected rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyelt_provider.identifiers import TableName, opaque, quote
from pyelt_provider.model.domain import Hub, Link, VaultValidation
from pyelt_provider.planning.plan import hub_targets, link_targets
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage, TargetKind
from pyelt_provider.statements.ddl.tables import TableSpec, vault_specs
from pyelt_provider.statements.mappings.deltas import REMOVED, VALIDATIONS_OF, digest
from pyelt_provider.statements.mappings.order import each_mapping
from pyelt_provider.statements.sql.exceptions import exception_parameters, write_down_rejected
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows
from pyelt_provider.statements.step import Count, Program, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTable:
    """A vault table that the pipe writes, the validations on it, and the table whose key says which row it is."""

    spec: TableSpec
    kind: TargetKind
    rules: tuple[VaultValidation, ...]
    owner: Hub | Link

    @property
    def table(self) -> TableName:
        return self.spec.table

    @property
    def name(self) -> str:
        """What its validations are called where mappings are named."""
        return f"{VALIDATIONS_OF}{self.table}"

    @property
    def fingerprint(self) -> str:
        return digest(*(text for rule in self.rules for text in (rule.when, rule.message)))

    @property
    def messages(self) -> list[str]:
        return [rule.message for rule in self.rules]


def validate_vault(stage: Stage, run: Run) -> Program:
    """Mark the pipe's vault rows for which a validation holds, and record them in the schema's `_exceptions`.

    Looks only at the rows of this run, and of runs before it in which this stage was not done, through the index on
    `_runid`. When a table's validations were changed, all its
    rows are judged once (of satellites the active ones), and rows that a changed or removed rule does not mean any more
    are valid again, or get the message of the rule that does. What stood in a row before goes to the journal, so that it
    can be taken back; and only rows that stand there were marked by a rule of ours.
    """
    judged = judged_tables(stage)
    yield from each_mapping(((table.name, _judge(stage, run, table)) for table in judged), stage.pipeline.on_errors)
    yield from free_forgotten(stage, run)


def free_forgotten(stage: Stage, run: Run) -> Program:
    """Free the rows of tables that had validations and have none any more; one tiny statement when there are none."""
    forgotten = yield read_forgotten(stage, judged_tables(stage))
    units = [(str(name), _free(stage, run, str(name))) for (name,) in forgotten.rows]
    yield from each_mapping(units, stage.pipeline.on_errors)


def judged_tables(stage: Stage) -> tuple[JudgedTable, ...]:
    """Return the tables with validations that the pipe's mappings write, in the order of their names."""
    pipeline, pipe = stage.pipeline, stage.the_pipe
    written = {target.table: target.kind for target in (*hub_targets(pipeline, pipe), *link_targets(pipeline, pipe))}
    rules = [rule for domain in pipeline.domains for rule in domain.validations if rule.table in written]
    specs = {spec.table: spec for spec in vault_specs(pipeline)}
    owners = dict(_owners(stage))
    return tuple(
        JudgedTable(
            spec=specs[table],
            kind=written[table],
            rules=tuple(rule for rule in rules if rule.table == table),
            owner=owners[table],
        )
        for table in sorted({rule.table for rule in rules})
    )


def _owners(stage: Stage) -> Iterator[tuple[TableName, Hub | Link]]:
    for hub in stage.pipeline.hubs.values():
        yield hub.table, hub
        yield from ((satellite.table, hub) for satellite in hub.satellites)
    for link in stage.pipeline.links.values():
        yield link.table, link
        yield link.status_table, link
        yield from ((satellite.table, link) for satellite in link.satellites)


def _judge(stage: Stage, run: Run, table: JudgedTable) -> Program:
    known = yield read_state(stage, table)
    changed = known.value != table.fingerprint
    marked = yield mark_rows(stage, run, table, everything=changed)
    if marked.row_count:
        yield record_marked(stage, run, table)
    if changed:
        yield remember_state(stage, run, table)


def _free(stage: Stage, run: Run, name: str) -> Program:
    """Free what the last validations of a table have marked, now that it has none."""
    known = {f"{VALIDATIONS_OF}{spec.table}": spec for spec in vault_specs(stage.pipeline)}.get(name)
    if known is None:
        return  # the domain does not know the table any more; nobody shows its rows
    yield free_rows(stage, run, known, name)
    yield forget_rules(stage, run, name)


def read_forgotten(stage: Stage, judged: tuple[JudgedTable, ...]) -> Statement:
    """A row per table that had validations when the pipe's rows were last judged, and has none now."""
    sys = quote(stage.pipeline.sys_schema)
    return Statement(
        label="see whether validations were removed",
        fetch=True,
        parameters={
            "pipe": stage.pipe_name,
            "validations": f"{VALIDATIONS_OF}%",
            "names": [table.name for table in judged],
            "removed": REMOVED,
        },
        sql=f"""
select s.mapping from {sys}.mapping_states s
where s.pipe = %(pipe)s and s.mapping like %(validations)s and s.mapping <> all(%(names)s::text[])
  and s.fingerprint <> %(removed)s
  and not exists (
    select from {sys}.mapping_states later
    where later.pipe = s.pipe and later.mapping = s.mapping and later.id > s.id)
order by s.mapping
""",
    )


def forget_rules(stage: Stage, run: Run, name: str) -> Statement:
    return Statement(
        label="remember that there are no validations",
        mapping=name,
        parameters={
            "pipe": stage.pipe_name,
            "mapping": name,
            "runid": run.number,
            "stage": stage.id,
            "fingerprint": REMOVED,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values (%(pipe)s, %(mapping)s, %(runid)s, %(stage)s, %(fingerprint)s, '')
""",
    )


def _key_besides_id(spec: TableSpec) -> tuple[str, ...]:
    """The columns that tell the rows of one `_id` apart: those of a satellite's key."""
    return tuple(name for name in spec.primary_key if name != "_id")


def _before(spec: TableSpec) -> str:
    """What goes to the journal of a row `s`; a satellite's row is named by its whole key, since an `_id` has several."""
    identity = ", ".join(f"'{name}', s.{quote(name)}" for name in _key_besides_id(spec))
    mark = f" || jsonb_build_object('@key', jsonb_build_object({identity}))" if identity else ""
    return f"jsonb_build_object('_valid', s._valid, '_validation_msg', s._validation_msg){mark}"


def _marked_by_us(stage: Stage, spec: TableSpec) -> str:
    """The condition that the row `s` was valid until a validation marked it."""
    same = " and to_jsonb(s) @> (j.before -> '@key')" if _key_besides_id(spec) else ""
    return f"""exists (
        select from {quote(stage.pipeline.sys_schema)}.journal j
        where j.schemaname = %(schema)s and j.tablename = %(table)s and j.row_id = s._id and j.pipe = %(pipe)s
          and j.before ->> '_valid' = 'true'{same})"""


def free_rows(stage: Stage, run: Run, spec: TableSpec, name: str) -> Statement:
    """Let the rows be valid again that validations marked; what an older warehouse or somebody by hand marked stays."""
    same = "".join(f" and t.{quote(column)} = s.{quote(column)}" for column in _key_besides_id(spec))
    return Statement(
        label="free rows whose validation was removed",
        mapping=name,
        table=spec.table,
        count=Count.FREED,
        parameters=journal_parameters(stage, run, spec.table),
        sql=f"""
with freed as materialized (
    select s.*, {_before(spec)} as pyelt_before
    from {spec.table.sql} s
    where not s._valid and s._source_system = %(pipe)s and {_marked_by_us(stage, spec)}
), journalled as (
{journal_rows(stage, "_id, pyelt_before from freed")}
)
update {spec.table.sql} t set _valid = true, _validation_msg = null
from freed s
where t._id = s._id{same}
""",
    )


def read_state(stage: Stage, table: JudgedTable) -> Statement:
    """One row: the fingerprint of the table's validations when the pipe's rows were last judged."""
    return Statement(
        label="see whether validations were changed",
        mapping=table.name,
        fetch=True,
        assumed=((table.fingerprint,),),
        parameters={"pipe": stage.pipe_name, "mapping": table.name},
        sql=f"""
select fingerprint from {quote(stage.pipeline.sys_schema)}.mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s
order by id desc limit 1
""",
    )


def remember_state(stage: Stage, run: Run, table: JudgedTable) -> Statement:
    return Statement(
        label="remember what the validations look like",
        mapping=table.name,
        parameters={
            "pipe": stage.pipe_name,
            "mapping": table.name,
            "runid": run.number,
            "stage": stage.id,
            "fingerprint": table.fingerprint,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values (%(pipe)s, %(mapping)s, %(runid)s, %(stage)s, %(fingerprint)s, '')
""",
    )


def mark_rows(stage: Stage, run: Run, table: JudgedTable, *, everything: bool) -> Statement:
    """Mark rows for which a validation holds; with `everything` also free those that it does not mean any more.

    The first validation that holds gives the message.
    """
    satellite = table.kind is TargetKind.SATELLITE
    rows = f"""s._runid > (
        select coalesce(max(done.runid), 0) from {quote(stage.pipeline.sys_schema)}.stages done
        where done.pipe = %(pipe)s and done.stage = %(stage)s and done.state = 'done' and done.runid < %(runid)s)"""
    if everything:
        rows = "s._active" if satellite else "true"
    cases = "\n            ".join(
        f"when ({opaque(rule.when)}) then %(message_{number})s" for number, rule in enumerate(table.rules, 1)
    )
    marked = _marked_by_us(stage, table.spec)
    freed = ""
    if everything:
        freed = """
        or not was_valid and message is distinct from was_message and (was_message = any(%(messages)s) or by_us)"""
    return Statement(
        label="mark invalid rows",
        mapping=table.name,
        table=table.table,
        count=Count.MARKED,
        parameters={
            "runid": run.number,
            "pipe": stage.pipe_name,
            "stage": stage.id,
            "schema": table.table.schema,
            "table": table.table.name,
            "messages": table.messages,
            **{f"message_{number}": message for number, message in enumerate(table.messages, 1)},
        },
        sql=f"""
with judged as materialized (
    select s.ctid as place, s._id as row_id, s._valid as was_valid, s._validation_msg as was_message,
        {_before(table.spec)} as before, not s._valid and {marked if everything else "false"} as by_us,
        case
            {cases}
        end as message
    from {table.table.sql} s
    where {rows} and coalesce(s._source_system, %(pipe)s) = %(pipe)s
), changed as materialized (
    select * from judged
    where was_valid and message is not null{freed}
), journalled as (
{journal_rows(stage, "row_id, before from changed")}
)
update {table.table.sql} t
set _valid = changed.message is null, _validation_msg = changed.message
from changed
where t.ctid = changed.place
""",
    )


def record_marked(stage: Stage, run: Run, table: JudgedTable) -> Statement:
    """Record the marked rows with their business key; one that is there with the same message gets this as last run."""
    key = _business_key(stage, table)
    identity = {"bk", *table.spec.primary_key}
    columns = [c.name for c in table.spec.columns if not c.name.startswith("_") and c.name not in identity]
    fields = ", ".join(f"'{name}', s.{quote(name)}" for name in columns)
    exceptions = TableName(table.table.schema, "_exceptions")
    marked = f"""select distinct s._validation_msg as message, jsonb_build_object({key})::text as key_fields,
        jsonb_build_object({fields})::text as fields
    from {quote(stage.pipeline.sys_schema)}.journal j
    join {table.table.sql} s on s._id = j.row_id{_same_row(table)}
    where j.runid = %(runid)s and j.stage = %(stage)s and j.schemaname = %(schema)s and j.tablename = %(table)s
      and not s._valid"""
    return Statement(
        label="record invalid rows",
        mapping=table.name,
        table=exceptions,
        count=Count.INSERTED,
        parameters=exception_parameters(stage, run, exceptions, table.table, table.name),
        sql=write_down_rejected(stage, exceptions, marked),
    )


def _same_row(table: JudgedTable) -> str:
    if table.kind is not TargetKind.SATELLITE:
        return ""
    return " and to_jsonb(s) @> (j.before -> '@key')"


def _business_key(stage: Stage, table: JudgedTable) -> str:
    """The row's business key as pairs of name and value for jsonb_build_object: `bk`, or the `bk` of each role."""
    hybrid = "'type', s.type, " if "type" in table.spec.primary_key else ""
    match table.owner:
        case Hub() as hub:
            return f"{hybrid}'bk', (select o.bk from {hub.table.sql} o where o._id = s._id)"
        case Link() as link:
            row = "s" if table.kind is TargetKind.LINK else "l"
            found = ", ".join(
                f"'{opaque(r.role).replace(chr(39), chr(39) * 2)}', (select h.bk from "
                f"{stage.pipeline.hubs[r.hub].table.sql} h where h._id = {row}.{quote(r.column)})"
                for r in link.references
            )
            if row == "s":
                return found
            values = ", ".join(
                f"'{opaque(r.role).replace(chr(39), chr(39) * 2)}', (select h.bk from {link.table.sql} l "
                f"join {stage.pipeline.hubs[r.hub].table.sql} h on h._id = l.{quote(r.column)} where l._id = s._id)"
                for r in link.references
            )
            return hybrid + values
