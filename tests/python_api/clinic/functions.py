from pyelt.datalayers.database import DbFunction, DbFunctionParameter


class CleanPhone(DbFunction):
    """One way of writing telephone numbers: digits only, the country's +31 as a leading 0. Null stays null."""

    def __init__(self, written=""):
        super().__init__(DbFunctionParameter("written", "text", written))
        self.sql_body = r"""
        BEGIN
            RETURN nullif(regexp_replace(regexp_replace(written, '[^0-9+]', '', 'g'), '^(\+|00)31', '0'), '');
        END;"""
        self.return_type = "text"
        self.schema = "sor_his"
