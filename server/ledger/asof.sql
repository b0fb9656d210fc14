-- The ledger as it was, from rows alone. An account's rows have running numbers, and their times (recorded_at) never run backwards, so
-- an instant is a number: that of the last row recorded by then.

-- That row; none when there was nothing yet. Found by halving, some twenty looks into an index among a million rows.
create or replace function ledger_as_of(p_account bigint, p_instant timestamptz) returns setof transfers
language plpgsql stable
set search_path = public, pg_temp
set enable_seqscan = off
as $$
declare
  low bigint := 0;
  high bigint := (select coalesce(max(number), 0) from transfers where account_id = p_account);
  middle bigint;
begin
  while low < high loop
    middle := (low + high + 1) / 2;
    if (select recorded_at <= p_instant from transfers where account_id = p_account and number = middle) then
      low := middle;
    else
      high := middle - 1;
    end if;
  end loop;
  return query select * from transfers where account_id = p_account and number = low;
end $$;

-- The holds that were open after the row of this number, newest first. Looks back until it has what was held in all: open holds are
-- young.
create or replace function ledger_open_holds_as_of(p_account bigint, p_number bigint) returns setof transfers
language plpgsql stable
set search_path = public, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
declare
  rest bigint := (select held_after + frozen_after from transfers where account_id = p_account and number = p_number);
  hold transfers;
begin
  for hold in
    select *
      from transfers
     where account_id = p_account
       and number <= p_number
     order by number desc
  loop
    exit when rest <= 0;
    if hold.kind in ('hold', 'clawback_hold')
       and not exists (select from transfers r where r.hold_id = hold.id and r.number <= p_number) then
      rest := rest - hold.amount;
      return next hold;
    end if;
  end loop;
end $$;

revoke all on function ledger_as_of(bigint, timestamptz), ledger_open_holds_as_of(bigint, bigint) from public;
grant execute on function ledger_as_of(bigint, timestamptz), ledger_open_holds_as_of(bigint, bigint) to mobilesms_app;
