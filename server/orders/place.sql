-- Places orders: claims a number, holds the price, writes the order, for a list of requests in order. One answer a request:
--   placed · replayed · claim_again (see below) · or the word of a refusal
-- Every request is decided from its own customer's rows and the stock; any list may be split anywhere.
-- Locks, in this order: API keys with a daily cap by id, numbers and offers (never waiting: skip locked), then the customers' ledger
-- rows, and their keys.
drop function if exists orders_place;
create function orders_place(
  p_id uuid[], p_number bigint[], p_account bigint[], p_service text[], p_country text[], p_max_price bigint[],
  p_key text[], p_fingerprint text[],
  p_api_key bigint[], p_daily_cap bigint[],              -- with which API key, and what that may spend a day; null: none, no cap
  p_lifetime_seconds int, p_cancel_after_seconds int, p_rest_seconds int, p_open_max int
) returns table (answer text, order_id uuid, price bigint, spent bigint, opens_at timestamptz)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_id);
  v_now constant timestamptz := house_now();
  c_order constant smallint := 1;      -- chart.ts: cause "order"
  c_revenue constant smallint := 3;         -- chart.ts: platform account "revenue"
  v_answer text[]; v_order uuid[]; v_price bigint[];
  v_available bigint[]; v_open int[]; v_account int[];    -- by customer: what the requests before this one leave
  v_api_key int[];                                        -- by request: the first one with the same key
  v_spent bigint[] := array_fill(null::bigint, array[n]); -- by key: what it has spent today, the requests before this one included
  v_opens timestamptz[] := array_fill(null::timestamptz, array[n]);  -- by key: when its next day begins
  v_number_id bigint[] := array_fill(null::bigint, array[n]);
  v_phone text[] := array_fill(null::text, array[n]);
  v_free_from timestamptz[] := array_fill(null::timestamptz, array[n]);
  held int[] := '{}';                     -- the requests that have a number, and ask the ledger
  words text[];
  i int; a int; r record;
begin
  -- A cap is counted under the lock of its key, and all that follows is seen as it is once the lock is granted.
  perform from api_keys
    where id in (select q.id from unnest(p_api_key, p_daily_cap) q(id, cap) where q.cap is not null)
    order by id for no key update;

  -- 1. What the request says, what its key says, and what the customer has: one statement for all.
  --    Credit and open orders are a hint here, so that nobody claims a number he cannot pay; the ledger has the last word.
  select array_agg(
           case
             when o.id is not null then 'replayed'
             when k.subject is not null then case when k.fingerprint = q.fingerprint then 'replayed' else 'idempotency_key_reused' end
             when s.code is null then 'unknown_service'
             when c.code is null then 'unknown_country'
             when l.suspended then 'account_suspended'
             when p.price is null then 'no_numbers'
             when p.price > q.max_price then 'above_max_price'
           end order by q.i),
         array_agg(coalesce(o.id, k.subject, q.id) order by q.i),
         array_agg(p.price order by q.i),
         array_agg(greatest(0, l.credits - l.debits - l.held - l.frozen) order by q.i),
         array_agg(l.open_orders order by q.i),
         array_agg(array_position(p_account, q.account) order by q.i),
         array_agg(array_position(p_api_key, q.api_key) order by q.i)
    into v_answer, v_order, v_price, v_available, v_open, v_account, v_api_key
    from unnest(p_id, p_account, p_service, p_country, p_max_price, p_key, p_fingerprint, p_api_key)
         with ordinality q(id, account, service, country, max_price, key, fingerprint, api_key, i)
    left join ledger_accounts l on l.id = q.account
    left join orders o on o.id = q.id                       -- this very request came before; its answer got lost
    left join idempotency_keys k on k.account_id = q.account and k.key = q.key
    left join services s on s.code = q.service
    left join countries c on c.code = q.country
    left join prices p on p.service = q.service and p.country = q.country;

  -- 2. What the keys with a cap have spent since their owner's day began. An order that returned its price is not spent.
  for r in
    select array_position(p_api_key, k.id) as i, coalesce(sum(o.price), 0)::bigint as spent, d.ends
      from (select api_key as id, min(account) as account from unnest(p_api_key, p_account, p_daily_cap) q(api_key, account, cap)
             where cap is not null group by api_key) k
      left join accounts a on a.id = k.account
     cross join lateral (select coalesce(a.time_zone, 'UTC') as zone) z
     cross join lateral (select date_trunc('day', v_now at time zone z.zone) as midnight) m
     -- Where clocks go back, midnight may come twice: a day begins with the first, so that none of its orders lies before it.
     cross join lateral (select min(b.begins) filter (where b.day = 0) as begins, min(b.begins) filter (where b.day = 1) as ends
                           from (select day, (m.midnight + make_interval(days => day, secs => -early)) at time zone z.zone
                                             + make_interval(secs => early) as begins
                                   from generate_series(0, 1) day, generate_series(0, 1) early) b) d
      left join orders o on o.api_key_id = k.id and o.given_at >= d.begins and o.status in ('waiting', 'received', 'finished')
     group by k.id, d.ends
  loop
    v_spent[r.i] := r.spent;
    v_opens[r.i] := r.ends;
  end loop;

  -- 3. Claim a number for each that is still alive.
  for i in 1..n loop
    continue when v_answer[i] is not null;
    a := v_account[i];
    if v_open[a] >= p_open_max then v_answer[i] := 'too_many_open_orders'; continue; end if;
    if v_spent[v_api_key[i]] + v_price[i] > p_daily_cap[i] then v_answer[i] := 'spending_limit_reached'; continue; end if;
    if v_available[a] < v_price[i] then v_answer[i] := 'insufficient_credits'; continue; end if;

    -- Both rows are claimed together, and both say by themselves that they are free: what the lock finds is checked again on the
    -- rows that it locked.
    select m.id, m.phone_number, f.free_from into r
      from offers f
      join numbers m on m.id = f.number_id
     where f.service = p_service[i] and f.country = p_country[i]
       and f.free_from <= v_now
       and m.order_id is null
     order by f.free_from
     limit 1
       for update of f, m skip locked;
    if not found then
      -- Perhaps another list holds numbers that it is about to give back: then ask once more.
      perform from offers f join numbers m on m.id = f.number_id
        where f.service = p_service[i] and f.country = p_country[i] and f.free_from <= v_now and m.order_id is null;
      v_answer[i] := case when found then 'claim_again' else 'no_numbers' end;
      continue;
    end if;
    update numbers set order_id = p_id[i] where id = r.id;
    update offers set free_from = v_now + make_interval(secs => p_lifetime_seconds + p_rest_seconds)
     where number_id = r.id and service = p_service[i];
    v_number_id[i] := r.id;
    v_phone[i] := r.phone_number;
    v_free_from[i] := r.free_from;
    v_open[a] := v_open[a] + 1;
    v_available[a] := v_available[a] - v_price[i];
    v_spent[v_api_key[i]] := v_spent[v_api_key[i]] + v_price[i];
    held := held || i;
  end loop;

  -- 4. Hold the prices.
  if cardinality(held) > 0 then
    select ledger_apply(
             array_agg(derived_id(p_id[h.i], 'hold') order by h.i),
             array_agg('hold'::transfer_kind order by h.i),
             array_agg(p_account[h.i] order by h.i),
             array_agg(c_revenue order by h.i),
             array_agg(v_price[h.i] order by h.i),
             array_agg(null::uuid order by h.i),
             array_agg(c_order order by h.i),
             array_agg(p_id[h.i] order by h.i),
             array_agg(null::timestamptz order by h.i),
             array_agg(v_now + make_interval(secs => p_lifetime_seconds) order by h.i),
             array_agg('void'::text order by h.i),
             array_agg(p_open_max order by h.i),
             array_agg(null::int order by h.i))
      into words
      from unnest(held) h(i);
    for a in 1..cardinality(held) loop
      i := held[a];
      v_answer[i] := case words[a]
        when 'ok' then 'placed'
        when 'too_many_open_holds' then 'too_many_open_orders'
        when 'account_suspended' then 'account_suspended'
        when 'insufficient_credits' then 'insufficient_credits'
      end;
      if v_answer[i] is null then raise exception 'the ledger answered % to the hold of order %', words[a], p_id[i]; end if;
    end loop;

    -- 5. Write the orders whose price is held, and bind their keys.
    insert into orders (id, number, account_id, service, country, number_id, phone_number, price, status, hold_id,
                        given_at, cancel_from, expires_at, api_key_id)
    select p_id[h.i], p_number[h.i], p_account[h.i], p_service[h.i], p_country[h.i], v_number_id[h.i], v_phone[h.i], v_price[h.i],
           'waiting', derived_id(p_id[h.i], 'hold'), v_now, v_now + make_interval(secs => p_cancel_after_seconds),
           v_now + make_interval(secs => p_lifetime_seconds), p_api_key[h.i]
      from unnest(held) h(i)
     where v_answer[h.i] = 'placed';
    insert into idempotency_keys (account_id, key, fingerprint, subject)
    select p_account[h.i], p_key[h.i], p_fingerprint[h.i], p_id[h.i]
      from unnest(held) h(i)
     where v_answer[h.i] = 'placed' and p_key[h.i] is not null
     order by p_account[h.i], p_key[h.i];

    -- 6. Give back the numbers of the others, as if nobody had touched them.
    update offers f set free_from = v_free_from[h.i]
      from unnest(held) h(i)
     where v_answer[h.i] <> 'placed' and f.number_id = v_number_id[h.i] and f.service = p_service[h.i];
    update numbers m set order_id = null
      from unnest(held) h(i)
     where v_answer[h.i] <> 'placed' and m.id = v_number_id[h.i];
  end if;

  return query select u.answer, u.order_id, u.price, v_spent[u.api_key], v_opens[u.api_key]
                 from unnest(v_answer, v_order, v_price, v_api_key) with ordinality u(answer, order_id, price, api_key, i)
                order by u.i;
end $$;
