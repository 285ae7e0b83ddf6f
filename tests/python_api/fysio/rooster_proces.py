from configs.fysio_configs import general_config, rooster_config
from domainmodel import main_domain, valsets
from mappings import db_functions, rooster_mappings
from pyelt.pipeline import Pipeline


def main():
    pipeline = Pipeline(general_config)
    pipe = pipeline.get_or_create_pipe("rooster", rooster_config)
    print(pipe.sor.name, pipeline.dwh.dv.name)
    pipe.register_domain(main_domain)
    pipeline.register_valset_domain(valsets)
    pipe.register_db_functions(db_functions, pipe.sor)
    extra_sql = [(0, "CREATE TYPE sor_rooster.huisnummer_type AS (huisnummer Int, toevoeging Text);")]
    pipe.register_extra_sql(extra_sql)
    pipe.mappings.extend(rooster_mappings.init_source_to_sor_mappings())
    pipe.mappings.extend(rooster_mappings.init_sor_to_valset_mappings(pipe.sor))
    pipe.mappings.extend(rooster_mappings.init_sor_to_dv_mappings(pipe.sor))
    pipe.validations.extend(rooster_mappings.init_validations(pipe.sor))
    pipeline.run()


if __name__ == "__main__":
    main()
