"""What each night's delivery left behind, written by PyELT's functions before and after the sor layer."""


def open_logbook(pipe):
    dwh = pipe.pipeline.dwh
    dwh.execute(
        """
        create table if not exists sor_his.logbook (
            runid numeric primary key, delivered_for date not null, patients bigint, rejected bigint)
        """,
        "make a logbook",
    )
    dwh.execute(
        f"""
        insert into sor_his.logbook (runid, delivered_for)
        select runid, run_day from sys.runs where runid = {pipe.runid}
        on conflict (runid) do update set patients = null, rejected = null
        """
    )


def write_logbook(pipe):
    dwh = pipe.pipeline.dwh
    counted = dwh.execute_read(
        f"select count(*) as all_rows, count(*) filter (where not _valid) as rejected "
        f"from {pipe.sor.name}.patient_hstage where _active"
    )[0]
    dwh.execute(
        f"update sor_his.logbook set patients = {counted['all_rows']}, rejected = {counted[1]} where runid = {pipe.runid}"
    )
