"""Which columns a datamart model's query gives: the database says so, without running the query."""

from __future__ import annotations

from pyelt_provider.model.datamart import DatamartModel
from pyelt_provider.statements.datamarts.inputs import query_of
from pyelt_provider.statements.step import Routine, Statement


def shape_of(model: DatamartModel) -> Routine[tuple[tuple[str, str], ...]]:
    """Return (column, type) of the model's query, in its order."""
    yield Statement(
        label="see which columns the model has",
        table=model.table,
        sql=f"create temporary table pyelt_shape on commit drop as\n{query_of(model)}\nwith no data",
    )
    result = yield Statement(
        label="read the columns",
        fetch=True,
        assumed=(("column", "text"),),
        sql="""
select attname::text, format_type(atttypid, atttypmod)
from pg_attribute
where attrelid = 'pg_temp.pyelt_shape'::regclass and attnum > 0 and not attisdropped
order by attnum""",
    )
    yield Statement(label="forget the columns", sql="drop table pg_temp.pyelt_shape")
    return tuple((str(name), str(type_name)) for name, type_name in result.rows)
