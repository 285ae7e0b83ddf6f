from pyelt.datalayers.database import DbFunction, DbFunctionParameter


class MaakAgb(DbFunction):
    def __init__(self, zorgtype_calling_field="", agb_calling_field=""):
        super().__init__()
        self.func_params.append(DbFunctionParameter("zorgtype", "text", zorgtype_calling_field))
        self.func_params.append(DbFunctionParameter("agb", "text", agb_calling_field))
        self.sql_body = """DECLARE
        BEGIN
            RETURN zorgtype || lpad(agb, 6, '0');
        END;"""
        self.return_type = "text"
