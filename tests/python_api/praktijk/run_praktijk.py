"""Zet de pipeline klaar en draait hem."""

import datamart
import db_functions
import domein
import ruwdomein
import valsets
from configs import archief_config, general_config, lab_config, praktijk_config
from praktijk_mappings import *
from pyelt.datalayers.database import Schema, Table
from pyelt.helpers.mappingcreator import MappingWriter
from pyelt.mappings.dv_to_datamart_mappings import DvToDimMapping
from pyelt.pipeline import Pipe, Pipeline
from pyelt.sources.databases import SourceDatabase, SourceQuery, SourceTable


def define_praktijk_pipe(pipeline):
    pipe = pipeline.get_or_create_pipe("sor_praktijk", praktijk_config)
    pipe.register_domain(domein)
    pipe.register_db_functions(db_functions, pipe.sor)
    pipe.register_extra_ddl(
        [(1, "create table if not exists sor_praktijk.teller (wat text, aantal int)"), (0, "drop table niets")]
    )
    pipe.register_extra_func_before_sor(lambda pipe: pipe.pipeline.dwh.execute("truncate sor_praktijk.teller"))

    def tel(pipe):
        rows = pipe.pipeline.dwh.execute_read(f"select count(*) as n from {pipe.sor.name}.patient_hstage")
        pipe.pipeline.dwh.execute_returning(
            f"insert into sor_praktijk.teller values ('run {pipe.runid}', {rows[0]['n']}) returning wat", "tel"
        )

    pipe.register_extra_func_after_sor(tel)
    pipe.mappings.extend(init_source_to_sor_mappings(pipe))
    pipe.mappings.extend(init_sor_to_valset_mappings())
    pipe.mappings.extend(init_sor_to_dv_mappings(pipe))
    pipe.mappings.append(init_dim_mapping())
    pipe.validations.extend(init_validations(pipe))


def init_dim_mapping():
    mapping = DvToDimMapping(domein.Patient, datamart.DimPatient)
    mapping.map_field(domein.Patient.Hub.bk, datamart.DimPatient.bk)
    mapping.map_field(domein.Patient.Default.geslacht_code, datamart.DimPatient.geslacht)
    mapping.map_field(domein.Patient.Adres.postcode, datamart.DimPatient.postcode, type="woon")
    mapping.map_field("", datamart.DimPatient.opmerking)
    return mapping


def define_lab_pipe(pipeline):
    pipe = pipeline.get_or_create_pipe("lab", lab_config)
    assert isinstance(pipe, Pipe)
    source_db = pipe.source_db
    assert isinstance(source_db, SourceDatabase) and source_db.default_schema.name == "public"
    source_tbl = SourceTable("meting", source_db.default_schema, source_db)
    source_tbl.set_primary_key(["nummer"])
    pipe.mappings.append(SourceToSorMapping(source_tbl, "meting_hstage", True, "WHERE soort = 'bloed'", ["INTERN"]))
    source_qry = SourceQuery(source_db, "select nummer, soort from public.meting;", "soorten")
    source_qry.set_primary_key(["nummer"])
    mapping = SourceToSorMapping(source_qry, "soort_hstage", auto_map=False)
    mapping.map_field("nummer", "id")
    mapping.map_field("upper(soort)", "soort")
    pipe.mappings.append(mapping)
    soorten = CsvFile(f"{pipe.config['source_path']}/soorten.csv", delimiter=",")
    soorten.set_primary_key(["code"])
    pipe.mappings.append(SourceToSorMapping(soorten, "omschrijving_hstage"))
    archief = SourceDatabase("archief", "public")
    oud_tbl = SourceTable("oud", archief.default_schema, archief)
    oud_tbl.set_primary_key(["nummer"])
    pipe.mappings.append(SourceToSorMapping(oud_tbl, "oud_hstage"))
    pipe.mappings.append(init_sleutel_mappings(pipe))
    pipe.mappings.append(init_meting_mapping(pipe))


def main():
    pipeline = Pipeline(config=general_config)
    assert Pipeline(general_config) is pipeline and pipeline.dwh.dv.name == "dv"
    pipeline.register_valset_domain(valsets)
    pipeline.register_domain(ruwdomein, "rdv")
    pipeline.register_datamart(datamart, "dm_praktijk")
    define_praktijk_pipe(pipeline)
    define_lab_pipe(pipeline)
    pipeline.get_or_create_pipe("archief", archief_config)
    MappingWriter.create_python_code_mappings(
        Table("patient_hstage", Schema("sor_praktijk", pipeline.dwh)), domein.Patient
    )
    pipeline.run()


if __name__ == "__main__":
    main()
