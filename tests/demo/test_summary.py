"""The demo's summary says what stands in the warehouse."""

from __future__ import annotations

from databases import Database
from pyelt_provider.demo.summary import summary_lines


def test_the_summary_lists_tables_in_the_order_of_the_layers_with_their_active_rows(warehouse: Database) -> None:
    warehouse.execute(
        """
        create schema dm; create schema dv; create schema sor_his;
        create table dm.dim_patient as select 1 as id;
        create table dv.patient_hub as select generate_series(1, 1200) as _id;
        create table sor_his.patient_hstage as select x, x > 2 as _active from generate_series(1, 5) as x;
        create unlogged table sor_his.patient_temp (id int);
        create table sor_his._exceptions (schema text, table_name text, message text);
        insert into sor_his._exceptions values ('sor_his', 'patient_hstage', 'Invalid postcode'),
                                               ('sor_his', 'patient_hstage', 'Invalid postcode');
        """
    )

    assert list(summary_lines(warehouse.url)) == [
        "layer          table                                          rows     active",
        "sor_his        patient_hstage                                    5          3",
        "dv             patient_hub                                   1,200",
        "dm             dim_patient                                       1",
        "",
        "Rejected rows: 2",
        "       2  sor_his.patient_hstage: Invalid postcode",
    ]


def test_the_summary_of_an_empty_warehouse_says_that_nothing_was_rejected(warehouse: Database) -> None:
    assert list(summary_lines(warehouse.url))[-1] == "No rows were rejected."
