-- One way of writing telephone numbers: digits only, the country's +31 as a leading 0. Null stays null.
create or replace function sor_his.clean_phone(written text) returns text
language sql immutable parallel safe
as $$
    select nullif(regexp_replace(regexp_replace(written, '[^0-9+]', '', 'g'), '^(\+|00)31', '0'), '')
$$
