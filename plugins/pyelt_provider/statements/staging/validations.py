"""Judges staging rows by the pipe's validations, again at every run, but only rows whose verdict can have changed."""

from __future__ import annotations

from collections.abc import Mapping

from pyelt_provider.identifiers import TableName, constraint_name, opaque, quote, quote_all
from pyelt_provider.model.staging import StagingTable, Validation
from pyelt_provider.planning.run import Run
from pyelt_provider.planning.stages import Stage
from pyelt_provider.statements.mappings.deltas import digest
from pyelt_provider.statements.sql.expressions import names_in
from pyelt_provider.statements.sql.journal import journal_parameters, journal_rows
from pyelt_provider.statements.staging.validation_isolation import careful_condition, prepare_careful_judging
from pyelt_provider.statements.step import Count, Isolated, Program, Routine, Statement


def judge(stage: Stage, run: Run, staging: StagingTable, *, everything: bool) -> Routine[bool]:
    """Give active rows their verdict: `_valid` false and the messages of all validations that they fail, or true.

    Looked at are this run's rows, rows that are invalid now, and rows that share a value of a `unique` validation with a
    row that came or went; all active rows with `everything`, and when the validations (or functions that they call)
    were changed. A verdict on a row of an earlier run is written to the journal first. A row that a condition cannot be
    evaluated for (a cast that fails) is rejected, and the others are judged all the same. Returns whether all rows were.
    """
    rules = tuple(rule for rule in stage.the_pipe.validations if rule.table == staging.name)
    known = yield _last_rules(stage, staging)
    text = rules_fingerprint(stage, rules)
    changed = known.value != text and (known.value is not None or bool(rules))
    verdicts = yield from _find_verdicts(run, staging, rules, everything=everything or changed)
    if verdicts:
        yield _journal(stage, run, staging)
        yield _reject(run, staging)
        yield _free(run, staging)
    if changed:
        yield _remember_rules(stage, run, staging, text)
    return everything or changed


def _find_verdicts(run: Run, staging: StagingTable, rules: tuple[Validation, ...], *, everything: bool) -> Routine[int]:
    conditions = {n: f"({opaque(rule.when)})" for n, rule in enumerate(rules) if rule.when is not None}
    statement = _verdicts(run, staging, rules, conditions, everything=everything)
    if not conditions:
        return (yield statement).row_count
    counted: list[int] = []
    tried = yield Isolated(label=statement.label, program=_counting(statement, counted), only=("22",))
    if tried.error is None:
        return counted[0] if counted else 0
    yield from prepare_careful_judging(staging, rules)
    conditions = {n: careful_condition(n) for n in conditions}
    return (yield _verdicts(run, staging, rules, conditions, everything=everything)).row_count


def _counting(statement: Statement, counted: list[int]) -> Program:
    result = yield statement
    counted.append(result.row_count)


def rules_fingerprint(stage: Stage, rules: tuple[Validation, ...]) -> str:
    """Return a digest of the validations and of the project's functions that they call."""
    functions = {
        f.name.rpartition(".")[2].lower(): f.sql for f in (*stage.pipeline.functions, *stage.the_pipe.functions)
    }
    called = {name for rule in rules for name in names_in(rule.when or "")} & functions.keys()
    texts = [part for rule in rules for part in (rule.when or "", rule.message, *rule.unique, "\x00")]
    return digest(*texts, *(functions[name] for name in sorted(called)))


def _mapping(staging: StagingTable) -> str:
    return f"validations of {staging.name}"


def _last_rules(stage: Stage, staging: StagingTable) -> Statement:
    return Statement(
        label="look which validations were judged by",
        table=staging.table,
        fetch=True,
        parameters={"pipe": stage.pipe_name, "mapping": _mapping(staging)},
        sql=f"""
select fingerprint from {quote(stage.pipeline.sys_schema)}.mapping_states
where pipe = %(pipe)s and mapping = %(mapping)s order by id desc limit 1""",
    )


def _remember_rules(stage: Stage, run: Run, staging: StagingTable, text: str) -> Statement:
    return Statement(
        label="remember the validations",
        table=staging.table,
        parameters={
            "pipe": stage.pipe_name,
            "mapping": _mapping(staging),
            "runid": run.number,
            "stage": stage.id,
            "text": text,
        },
        sql=f"""
insert into {quote(stage.pipeline.sys_schema)}.mapping_states (pipe, mapping, runid, stage, fingerprint, key_fingerprint)
values (%(pipe)s, %(mapping)s, %(runid)s, %(stage)s, %(text)s, '')""",
    )


def verdict_table(staging: StagingTable) -> TableName:
    """Return the session's own table of rows whose verdict changed."""
    return TableName("pg_temp", constraint_name(staging.stem, "verdicts"))


def _verdicts(
    run: Run,
    staging: StagingTable,
    rules: tuple[Validation, ...],
    conditions: Mapping[int, str],
    *,
    everything: bool,
) -> Statement:
    """Keep the rows whose verdict is another one than they have: their id and the new message, null when valid."""
    hstage = staging.table.sql
    cases = [
        f"case when {conditions.get(n) or f'{_recurring(n)}.{_recurring(n)}_0 is not null'} then %(message_{n})s::text end"
        for n, rule in enumerate(rules)
    ]
    listed = ",\n        ".join(cases)
    message = f"nullif(concat_ws('; ',\n        {listed}), '')" if rules else "null::text"
    joins = "".join(_join_recurring(staging, n, rule, everything) for n, rule in enumerate(rules) if rule.unique)
    judged = "s._active" if everything else f"s._active and s._id in (\n        {_touched(staging, rules)})"
    return Statement(
        label="judge rows by the validations",
        table=staging.table,
        parameters={"runid": run.number, **{f"message_{n}": rule.message for n, rule in enumerate(rules)}},
        sql=f"""
create temporary table {verdict_table(staging).sql} on commit drop as
select judged._id, judged._message
from (
    select s._id, s._valid, s._validation_msg, {message} as _message
    from {hstage} as s{joins}
    where {judged}) as judged
where judged._valid is distinct from (judged._message is null)
    or judged._validation_msg is distinct from judged._message""",
    )


def _touched(staging: StagingTable, rules: tuple[Validation, ...]) -> str:
    hstage = staging.table.sql
    parts = [f"select _id from {hstage} where _active and not _valid"]
    if rules:
        parts.append(f"select _id from {hstage} where _active and _runid = %(runid)s")
    parts += [
        f"select _id from {hstage} where _active and ({quote_all(rule.unique)}) in ({_touched_values(staging, rule)})"
        for rule in rules
        if rule.unique
    ]
    return "\n        union\n        ".join(parts)


def _touched_values(staging: StagingTable, rule: Validation) -> str:
    columns = quote_all(rule.unique)
    return (
        f"select {columns} from {staging.table.sql} where _runid = %(runid)s "
        f"union select {columns} from {staging.table.sql} where _finish_runid = %(runid)s "
        f"union select {columns} from {staging.table.sql} where _active and not _valid"
    )


def _recurring(number: int) -> str:
    return f"pyelt_recurring_{number}"


def _join_recurring(staging: StagingTable, number: int, rule: Validation, everything: bool) -> str:
    """Join the values that occur more than once, under names of our own: a condition may use bare column names."""
    name, columns = _recurring(number), quote_all(rule.unique)
    some = "" if everything else f"\n            and ({columns}) in ({_touched_values(staging, rule)})"
    own = ", ".join(f"{name}_{place}" for place, _ in enumerate(rule.unique))
    same = " and ".join(f"{name}.{name}_{place} = s.{quote(column)}" for place, column in enumerate(rule.unique))
    return f"""
    left join (
        select {columns} from {staging.table.sql}
        where _active{some}
        group by {columns} having count(*) > 1) as {name} ({own}) on {same}"""


def _journal(stage: Stage, run: Run, staging: StagingTable) -> Statement:
    return Statement(
        label="write down verdicts on earlier rows",
        table=staging.table,
        parameters=journal_parameters(stage, run, staging.table),
        sql=journal_rows(
            stage,
            f"""h._id,
    jsonb_build_object('_valid', h._valid, '_validation_msg', h._validation_msg)
from {staging.table.sql} as h
join {verdict_table(staging).sql} as v using (_id)
where h._runid <> %(runid)s""",
        ),
    )


def _reject(run: Run, staging: StagingTable) -> Statement:
    return Statement(
        label="reject rows that fail a validation",
        table=staging.table,
        count=Count.REJECTED,
        sql=f"""
update {staging.table.sql} as h set _valid = false, _validation_msg = v._message
from {verdict_table(staging).sql} as v where h._id = v._id and v._message is not null""",
    )


def _free(run: Run, staging: StagingTable) -> Statement:
    return Statement(
        label="free rows that pass now",
        table=staging.table,
        count=Count.FREED,
        sql=f"""
update {staging.table.sql} as h set _valid = true, _validation_msg = null
from {verdict_table(staging).sql} as v where h._id = v._id and v._message is null""",
    )
