-- look for stages that failed
select last.stage, coalesce(last.error, last.state)
from (select distinct on (stage) runid, stage, attempt, state, error from "sys".attempts
      where runid = %(runid)s and stage <> %(close)s order by stage, attempt desc) as last
where last.state <> 'done'
  -- Its session may have been lost after the commit, before it could say that it ended.
  and not exists (select from "sys".stages as kept
                  where (kept.runid, kept.stage, kept.attempt) = (last.runid, last.stage, last.attempt)
                    and kept.state = 'done')
order by last.stage;

-- record the end of the run
update "sys".runs set
    finish_date = %(now)s, pyelt_version = %(version)s, fingerprint = %(fingerprint)s,
    exceptions = concat_ws('; ', %(summary)s, (
        select string_agg(format('%%s %%s rows rejected in %%s', stages.stage, total, name), '; ' order by name)
        from "sys".stages,
             lateral (select key as name, (value ->> 'rejected')::bigint as total
                      from jsonb_each(stages.numbers)) as numbers
        where stages.runid = %(runid)s and total > 0)),
    sor_versions = (select string_agg(schemaname || ' ' || version, ', ' order by schemaname)
                    from "sys".currentversion where schemaname = any(%(sor)s)),
    dv_version = (select string_agg(schemaname || ' ' || version, ', ' order by schemaname)
                  from "sys".currentversion where schemaname = any(%(dv)s))
where runid = %(runid)s;
