-- Notes that the customer of an order waits for a further code, which is free. One answer:
--   asked · waiting (its first code has not come: it waits anyway, and nothing is noted) · replayed · over (it ended, or its time is up
--   and nobody has ended it yet) · not_found · idempotency_key_reused
-- Asked twice, the first time counts. Locks the order.
drop function if exists order_ask_another_code;
create function order_ask_another_code(p_order uuid, p_account bigint, p_key text, p_fingerprint text) returns text
language plpgsql
set search_path = public, pg_temp
as $$
declare
  v_order orders;
  v_fingerprint text;
  v_answer text;
begin
  select * into v_order from orders where id = p_order and account_id = p_account for update;
  if not found then return 'not_found'; end if;
  select fingerprint into v_fingerprint from idempotency_keys where account_id = p_account and key = p_key;
  if found then return case when v_fingerprint = p_fingerprint then 'replayed' else 'idempotency_key_reused' end; end if;

  v_answer := case
    when v_order.ended_at is not null or v_order.expires_at <= house_now() then 'over'
    when v_order.status = 'waiting' then 'waiting'
    else 'asked'
  end;
  if v_answer = 'over' then return v_answer; end if;
  if p_key is not null then
    insert into idempotency_keys (account_id, key, fingerprint, subject)
    values (p_account, p_key, p_fingerprint, p_order)
        on conflict do nothing;              -- the same key at once for something else of this customer: that was first
    if not found then return 'idempotency_key_reused'; end if;
  end if;
  update orders set another_code_requested_at = coalesce(another_code_requested_at, house_now())
   where id = p_order and v_answer = 'asked';
  return v_answer;
end $$;
