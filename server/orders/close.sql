-- Ends orders: by their customer ('cancel': he wants no code any more; 'finish': he has what he needs, and an order without its code
-- is cancelled) or because their time is over ('expire'). The money moves in the same transaction. One answer each:
--   cancelled · expired · finished · replayed · or the word of a refusal: not_found, already_received, already_closed,
--   cancel_too_early, idempotency_key_reused · message_waiting: a message for the number is stored and not yet decided; it goes first
--   not_due: an expiry that came before its time
-- Locks, in this order: orders by id, numbers, then the customers' ledger rows, and their keys.
drop function if exists orders_close;
create function orders_close(
  p_order uuid[], p_account bigint[], p_reason text[], p_key text[], p_fingerprint text[], p_rest_seconds int
) returns table (answer text, account_id bigint)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_order);
  v_now constant timestamptz := house_now();
  c_revenue constant smallint := 3;          -- chart.ts
  c_cancelled constant smallint := 20;
  c_expired constant smallint := 21;
  v_answer text[] := array_fill(null::text, array[n]);
  v_owner bigint[] := array_fill(null::bigint, array[n]);
  ids uuid[]; status text[]; accounts bigint[]; waiting boolean[]; due boolean[]; cancellable boolean[];
  known_fingerprint text;
  voided int[] := '{}';
  words text[];
  i int; j int;
begin
  perform from orders where id = any (p_order) order by id for update;

  -- A statement of its own: what was committed while the locks were awaited is seen, on the orders and in the inbox.
  select array_agg(o.id), array_agg(o.status), array_agg(o.account_id),
         array_agg(exists (select from inbox e where e.source like 'sms:%' and e.subject = o.phone_number and e.handled_at is null)),
         array_agg(o.expires_at <= v_now), array_agg(o.cancel_from <= v_now)
    into ids, status, accounts, waiting, due, cancellable
    from orders o
   where o.id = any (p_order);

  for i in 1..n loop
    j := array_position(ids, p_order[i]);
    if j is null or (p_account[i] is not null and accounts[j] <> p_account[i]) then
      v_answer[i] := 'not_found';
      continue;
    end if;
    v_owner[i] := accounts[j];
    if p_key[i] is not null then
      select fingerprint into known_fingerprint
        from idempotency_keys k where k.account_id = accounts[j] and k.key = p_key[i];
      if found then
        v_answer[i] := case when known_fingerprint = p_fingerprint[i] then 'replayed' else 'idempotency_key_reused' end;
        continue;
      end if;
    end if;

    v_answer[i] := case
      when status[j] = 'finished' and p_reason[i] = 'finish' then 'replayed'
      when status[j] in ('cancelled', 'expired', 'finished') then 'already_closed'
      when waiting[j] then 'message_waiting'
      when p_reason[i] = 'expire' and not due[j] then 'not_due'
      when status[j] = 'received' and p_reason[i] in ('expire', 'finish') then 'finished'
      when status[j] = 'received' then 'already_received'
      when due[j] then 'expired'                                -- also when the customer cancels in the last moment
      when not cancellable[j] then 'cancel_too_early'
      else 'cancelled'
    end;
    if v_answer[i] in ('cancelled', 'expired', 'finished') then
      status[j] := v_answer[i];                                  -- the same order again in this list
      if v_answer[i] <> 'finished' then voided := voided || i; end if;
    end if;
  end loop;

  update orders o
     set status = u.answer, ended_at = v_now
    from unnest(p_order, v_answer) u(id, answer)
   where o.id = u.id and u.answer in ('cancelled', 'expired', 'finished');
  -- The number is free again, and rests for the service it was used for.
  update offers f
     set free_from = v_now + make_interval(secs => p_rest_seconds)
    from orders o, unnest(p_order, v_answer) u(id, answer)
   where o.id = u.id and u.answer in ('cancelled', 'expired', 'finished')
     and f.number_id = o.number_id and f.service = o.service;
  update numbers m
     set order_id = null, last_order_id = u.id
    from unnest(p_order, v_answer) u(id, answer)
   where m.order_id = u.id and u.answer in ('cancelled', 'expired', 'finished');

  if cardinality(voided) > 0 then
    select ledger_apply(
             array_agg(derived_id(o.id, 'void') order by h.i),
             array_agg('void'::transfer_kind order by h.i),
             array_agg(o.account_id order by h.i),
             array_agg(c_revenue order by h.i),
             array_agg(null::bigint order by h.i),
             array_agg(o.hold_id order by h.i),
             array_agg(case v_answer[h.i] when 'cancelled' then c_cancelled else c_expired end order by h.i),
             array_agg(o.id order by h.i),
             array_agg(null::timestamptz order by h.i),
             array_agg(null::timestamptz order by h.i),
             array_agg(null::text order by h.i),
             array_agg(null::int order by h.i),
             array_agg(null::int order by h.i))
      into words
      from unnest(voided) h(i)
      join orders o on o.id = p_order[h.i];
    -- already_voided: the ledger's own sweep was first, an incident it has reported; the order ends all the same.
    if words <@ array['ok', 'exists', 'already_voided'] is not true then
      raise exception 'the ledger answered % to the voids of orders %', words, (select array_agg(p_order[h]) from unnest(voided) h);
    end if;
  end if;

  -- Last, as in place.sql: who waits for somebody else's key must not keep what that one needs.
  insert into idempotency_keys (account_id, key, fingerprint, subject)
  select u.owner, u.key, u.fingerprint, u.id
    from unnest(p_order, v_owner, p_key, p_fingerprint, v_answer) u(id, owner, key, fingerprint, answer)
   where u.answer in ('cancelled', 'expired', 'finished') and u.key is not null
   order by u.owner, u.key;

  return query select u.answer, u.owner from unnest(v_answer, v_owner) with ordinality u(answer, owner, i) order by u.i;
end $$;
