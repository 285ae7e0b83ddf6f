"""Puts the clinic's pipeline together, and runs it when it is started by hand."""

import functions
import logbook
from configs import billing_config, general_config, his_config, lab_config
from domain import valuesets, vault
from mappings import his, others
from pyelt.mappings.validations import DvValidation
from pyelt.pipeline import Pipeline


def build():
    pipeline = Pipeline(general_config)
    pipeline.register_valset_domain(valuesets)
    pipeline.register_domain(vault)

    billing = pipeline.get_or_create_pipe("billing", billing_config)
    others.fill_billing(billing)

    pipe = pipeline.get_or_create_pipe("his", his_config)
    pipe.register_db_functions(functions)
    pipe.register_extra_func_before_sor(logbook.open_logbook)
    pipe.register_extra_func_after_sor(logbook.write_logbook)
    pipe.mappings.extend(his.init_source_to_sor_mappings())
    pipe.mappings.extend(his.init_sor_to_dv_mappings(pipe.sor))
    pipe.mappings.extend(his.init_sor_to_valset_mappings())
    pipe.validations.extend(his.init_validations(pipe.sor))
    validation = DvValidation()
    validation.msg = "Care track ends before it starts"
    validation.set_condition(vault.CareTrack.Default.ended < vault.CareTrack.Default.started)
    pipe.validations.append(validation)

    others.fill_lab(pipeline.get_or_create_pipe("lab", lab_config))
    return pipeline


if __name__ == "__main__":
    build().run()
