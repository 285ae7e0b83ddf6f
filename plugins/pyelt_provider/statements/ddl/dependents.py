"""What depends on a table or view, and who may use it: looked up before it is dropped, put back behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pyelt_provider.errors import DdlRefused
from pyelt_provider.identifiers import TableName, quote, text_literal
from pyelt_provider.statements.step import Program, Routine, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A privilege of a role on a relation, or on one `column` of it."""

    role: str
    privilege: str
    grantable: bool
    column: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A view (or materialized view) as it stands, with all that DROP would take away."""

    table: TableName
    materialized: bool
    definition: str
    owner: str
    comment: str | None
    options: tuple[str, ...]
    grants: tuple[Grant, ...] | None
    indexes: tuple[str, ...]

    def rebuild(self) -> Program:
        """Create it again as it was, with owner, options, indexes, comment and grants."""
        kind = "materialized view" if self.materialized else "view"
        options = f" with ({', '.join(self.options)})" if self.options and not self.materialized else ""
        yield Statement(
            label="rebuild view",
            table=self.table,
            sql=f"create {kind} {self.table.sql}{options} as\n{_ready(self.definition).rstrip().rstrip(';')}",
        )
        for index in self.indexes:
            yield Statement(label="rebuild index", table=self.table, sql=_ready(index))
        if self.comment is not None:
            yield Statement(
                label="describe view",
                table=self.table,
                sql=f"comment on {kind} {self.table.sql} is {text_literal(self.comment)}",
            )
        yield from self.restore_grants()

    def restore_grants(self) -> Program:
        """Give the relation its owner and its grants back."""
        if self.grants is not None:
            yield Statement(
                label="take default grants off",
                table=self.table,
                sql=f"revoke all on {self.table.sql} from public, current_user",
            )
            for grant in self.grants:
                column = f" ({quote(grant.column)})" if grant.column else ""
                role = "public" if grant.role == "" else quote(grant.role)
                option = " with grant option" if grant.grantable else ""
                yield Statement(
                    label=f"grant {grant.privilege.lower()}",
                    table=self.table,
                    sql=f"grant {grant.privilege}{column} on {self.table.sql} to {role}{option}",
                )
        yield Statement(
            label="give back to its owner",
            table=self.table,
            sql=f"do $do$ begin if current_user <> {text_literal(self.owner)} then "
            f"alter table {self.table.sql} owner to {quote(self.owner)}; end if; end $do$"
            if not self.materialized
            else f"alter materialized view {self.table.sql} owner to {quote(self.owner)}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependents:
    """A relation that is about to be dropped (`itself`) and the views below it, in the order of rebuilding."""

    itself: Relation | None
    below: tuple[Relation, ...]

    def restore_grants(self) -> Program:
        """Give the relation itself its owner and grants back, after it was made anew."""
        if self.itself is not None:
            yield from self.itself.restore_grants()


def _ready(sql: str) -> str:
    return sql.replace("%", "%%")


def look_up_dependents(table: TableName) -> Routine[Dependents]:
    """Look up what DROP ... CASCADE would take away. Raises DdlRefused when something other than a view depends on it."""
    result = yield Statement(
        label="look up dependents",
        table=table,
        fetch=True,
        parameters={"schema": table.schema, "name": table.name},
        sql="""
with recursive top as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relname = %(name)s),
below (oid, depth) as (
    select oid, 0 from top
    union
    select r.ev_class, b.depth + 1
    from below b
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = b.oid and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite r on r.oid = d.objid and r.ev_class <> b.oid
    where b.depth < 100),
placed as (select oid, max(depth) as depth from below group by oid)
select c.relkind::text, n.nspname, c.relname, case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
    pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class'), c.reloptions,
    case when c.relacl is not null or exists (
            select from pg_attribute a where a.attrelid = c.oid and a.attacl is not null) then array(
        select jsonb_build_array(case when g.grantee = 0 then '' else pg_get_userbyid(g.grantee) end,
                                 g.privilege_type, g.is_grantable, null)
        from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
        union all
        select jsonb_build_array(case when g.grantee = 0 then '' else pg_get_userbyid(g.grantee) end,
                                 g.privilege_type, g.is_grantable, a.attname)
        from pg_attribute a, aclexplode(a.attacl) g
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) end,
    array(select pg_get_indexdef(x.indexrelid) from pg_index x where x.indrelid = c.oid order by x.indexrelid),
    (select string_agg(distinct d.classid::regclass::text, ', ')
     from pg_depend d
     where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype = 'n'
       and d.classid not in ('pg_rewrite'::regclass, 'pg_constraint'::regclass)),
    pg_has_role(c.relowner, 'usage') and has_schema_privilege(n.oid, 'create'), current_user::text
from placed p join pg_class c on c.oid = p.oid join pg_namespace n on n.oid = c.relnamespace
order by p.depth, n.nspname, c.relname""",
    )
    relations = []
    for row in result.rows:
        kind, schema, name, definition, owner, comment, options, grants, indexes, others, ours, user = cast(
            tuple[Any, ...], row
        )
        if others:
            raise DdlRefused(
                f"{table} has to be rebuilt, but something in {others} depends on {schema}.{name}, which cannot be put back "
                f"by itself; a DBA may drop that, start the stage again and make it anew"
            )
        if not ours:
            raise DdlRefused(
                f"{table} has to be rebuilt, and with it {schema}.{name}, which {user} may not make anew for its owner "
                f"{owner}; a DBA may drop that, start the stage again and make it anew, or before it run: "
                f"grant {quote(owner)} to {quote(user)}; grant create on schema {quote(schema)} to {quote(user)};"
            )
        relations.append(
            Relation(
                table=TableName(schema, name),
                materialized=kind == "m",
                definition=definition or "",
                owner=owner,
                comment=comment,
                options=tuple(options or ()),
                grants=None
                if grants is None
                else tuple(Grant(role=g[0], privilege=g[1], grantable=g[2], column=g[3]) for g in grants),
                indexes=tuple(indexes),
            )
        )
    itself = next((relation for relation in relations if relation.table == table), None)
    return Dependents(itself=itself, below=tuple(r for r in relations if r.table != table))
