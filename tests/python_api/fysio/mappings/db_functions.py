from pyelt.datalayers.database import DbFunction, DbFunctionParameter


class MaakAgb(DbFunction):
    def __init__(self, soort_calling_field="", agb_calling_field=""):
        super().__init__()
        param1 = DbFunctionParameter("soort", "text", soort_calling_field)
        param2 = DbFunctionParameter("agb", "text", agb_calling_field)
        self.func_params.append(param1)
        self.func_params.append(param2)
        self.sql_body = """DECLARE
            heel TEXT := '';
        BEGIN
            heel := lpad(soort, 2, '0') || lpad(agb, 6, '0');
            RETURN heel;
        END;"""
        self.return_type = "text"
        self.schema = "sor_rooster"
