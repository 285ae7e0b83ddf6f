from pyelt.mappings.transformations import FieldTransformation


def text_to_date_transform(field_name):
    transform = FieldTransformation()
    transform.field_name = field_name
    transform.new_step("lpad({fld}, 8, '0')")
    transform.new_step("to_date({fld}, 'DDMMYYYY')")
    transform.new_step("CASE WHEN {fld} = '1901-01-01' THEN NULL ELSE {fld} END")
    return transform
