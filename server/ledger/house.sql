-- A movement between two of the platform's own accounts. The id is the idempotency key, as everywhere in the ledger.
create or replace function ledger_book(
  p_id uuid, p_debit smallint, p_credit smallint, p_amount bigint, p_code smallint, p_reference uuid, p_happened timestamptz
) returns text
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
  v_now constant timestamptz := house_now();
  known house_entries;
begin
  insert into house_entries (id, debit, credit, amount, code, reference, happened_at, recorded_at)
  values (p_id, p_debit, p_credit, p_amount, p_code, p_reference, coalesce(p_happened, v_now), v_now)
      on conflict (id) do nothing;
  if found then
    insert into platform_deltas (platform, code, debits, credits, entries)
    values (p_debit, p_code, p_amount, 0, 1), (p_credit, p_code, 0, p_amount, 1);
    return 'ok';
  end if;
  select * into known from house_entries where id = p_id;
  if (known.debit, known.credit, known.amount, known.code, known.reference)
     = (p_debit, p_credit, p_amount, p_code, p_reference) then
    return 'exists';
  end if;
  return 'exists_with_different_fields';
end $$;
revoke all on function ledger_book(uuid, smallint, smallint, bigint, smallint, uuid, timestamptz) from public;
grant execute on function ledger_book(uuid, smallint, smallint, bigint, smallint, uuid, timestamptz) to mobilesms_app;
