-- Sums up deltas: rows of platform_deltas become part of their account's row in platform_sums, at most p_rows a call, in one
-- statement, so that every snapshot sees each delta exactly once, on the one side or on the other. Answers how many it took.
-- Two at once: the second leaves it to the first. Interrupted: nothing happened, and the next call takes the rows.
create or replace function ledger_compact(p_rows int) returns int
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
  taken_rows int;
begin
  -- An arbitrary constant. Held until the commit, so that the statement below, which begins after it, sees what the last one took.
  if not pg_try_advisory_xact_lock(7203011) then return 0; end if;
  with taken as (
    delete from platform_deltas
     where ctid = any (array(select ctid from platform_deltas limit p_rows))
    returning platform, code, debits, credits, entries
  ), summed as (
    insert into platform_sums as s (platform, code, debits, credits, entries)
    select platform, code, sum(debits), sum(credits), sum(entries) from taken group by platform, code
        on conflict (platform, code) do update
       set debits = s.debits + excluded.debits, credits = s.credits + excluded.credits, entries = s.entries + excluded.entries
  )
  select count(*) into taken_rows from taken;
  return taken_rows;
end $$;
revoke all on function ledger_compact(int) from public;
grant execute on function ledger_compact(int) to mobilesms_app;
