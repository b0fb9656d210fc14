-- Accepts SMS: stores each once, finds whose it is, and charges exactly when a code came in time for an order that waits. One
-- transaction for all of it. One answer a message:
--   charged         a code, in time, for a waiting order: its price is captured
--   further         another message or code for an order that has its code: free
--   no_code         in time, but no code could be read: shown, not charged
--   late            the order had ended: shown to its customer, never charged
--   other_service   the sender writes for another service: nobody's
--   nobody          no customer has or had this number
--   duplicate       known, and decided before
--   moved           not to be decided by this call, and stored: the number changed hands while we waited, or another text was stored
--                   under this id before and is not decided yet
-- Locks, in this order: inbox rows by key, orders by id, numbers, then the customers' ledger rows.
drop function if exists sms_accept;
create function sms_accept(
  p_message uuid[], p_source text[], p_external_id text[], p_to text[], p_from text[], p_text text[], p_code text[], p_body text[],
  p_rest_seconds int
) returns table (answer text, order_id uuid, account_id bigint)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  n constant int := cardinality(p_message);
  v_now constant timestamptz := house_now();
  c_revenue constant smallint := 3;          -- chart.ts
  c_order constant smallint := 1;
  c_expired constant smallint := 21;
  v_answer text[] := array_fill(null::text, array[n]);
  v_inbox bigint[]; v_handled boolean[]; v_received timestamptz[];
  v_reworded boolean[];                    -- by message: another text came under this id before, and that one counts
  v_order uuid[];                          -- by message: the order it is for, as the number says
  again_order uuid[];
  ids uuid[]; status text[]; accounts bigint[]; expires timestamptz[]; given timestamptz[]; v_service text[];
  held boolean[];                          -- by order: its hold is still open
  v_owner bigint[] := array_fill(null::bigint, array[n]);
  v_late boolean[] := array_fill(false, array[n]);
  charged int[] := '{}'; expired int[] := '{}';
  words text[];
  i int; j int; own boolean; other boolean;
begin
  -- 1. Store. A message that is known but was never decided (its transaction died) is decided now.
  select array_agg(id order by i), array_agg(received_at order by i)
    into v_inbox, v_received
    from inbox_store(p_source, p_external_id, p_to, p_body);
  perform from inbox where id = any (v_inbox) order by id for update;
  select array_agg(e.handled_at is not null order by u.i), array_agg(e.body <> u.body order by u.i)
    into v_handled, v_reworded
    from unnest(v_inbox, p_body) with ordinality u(id, body, i) join inbox e on e.id = u.id;

  -- 2. Whose number is it: of its live order, else of its last one. Then lock the orders, and look again, because the number may
  --    have changed hands while the lock was awaited.
  select array_agg(coalesce(m.order_id, m.last_order_id) order by u.i) into v_order
    from unnest(p_to) with ordinality u(phone, i) left join numbers m on m.phone_number = u.phone;
  perform from orders where id = any (v_order) order by id for update;
  select array_agg(coalesce(m.order_id, m.last_order_id) order by u.i) into again_order
    from unnest(p_to) with ordinality u(phone, i) left join numbers m on m.phone_number = u.phone;
  select array_agg(id), array_agg(status), array_agg(account_id), array_agg(expires_at), array_agg(given_at), array_agg(service),
         array_agg(exists (select from open_holds h where h.hold_id = o.hold_id))
    into ids, status, accounts, expires, given, v_service, held
    from orders o where id = any (v_order);

  -- 3. Decide.
  for i in 1..n loop
    if v_handled[i] or array_position(v_inbox, v_inbox[i]) < i then
      v_answer[i] := 'duplicate';
      continue;
    end if;
    if v_order[i] is distinct from again_order[i] or v_reworded[i] then
      v_answer[i] := 'moved';
      continue;
    end if;
    j := array_position(ids, v_order[i]);
    -- Stored before this customer was given the number: it was meant for somebody before him.
    if j is null or v_received[i] < given[j] then
      v_answer[i] := 'nobody';
      continue;
    end if;
    select coalesce(bool_or(p_from[i] ~* sender_pattern) filter (where code = v_service[j]), false),
           coalesce(bool_or(p_from[i] ~* sender_pattern) filter (where code <> v_service[j]), false)
      into own, other
      from services where sender_pattern is not null;
    if other and not own then
      v_answer[i] := 'other_service';
      continue;
    end if;
    v_owner[i] := accounts[j];
    -- A waiting order whose hold is gone was given back by the ledger's own sweep (an incident, reported there): it has ended.
    if v_received[i] < expires[j] and (status[j] = 'received' or status[j] = 'waiting' and held[j]) then
      if p_code[i] is null then v_answer[i] := 'no_code';
      elsif status[j] = 'received' then v_answer[i] := 'further';
      else
        v_answer[i] := 'charged';
        status[j] := 'received';
        charged := charged || i;
      end if;
    else
      v_answer[i] := 'late';
      v_late[i] := true;
      if status[j] = 'waiting' then        -- overdue, and nobody had ended it yet
        status[j] := 'expired';
        expired := expired || i;
      end if;
    end if;
  end loop;

  -- 4. The orders, then their numbers, then the money.
  update orders o set status = 'received', received_at = v_received[c.i]
    from unnest(charged) c(i)
   where o.id = v_order[c.i];
  -- The further code that was waited for is here.
  update orders o set another_code_requested_at = null
    from unnest(v_order, v_answer, p_code) u(id, answer, code)
   where o.id = u.id and u.answer = 'further' and o.another_code_requested_at is not null;
  update orders o set status = 'expired', ended_at = v_now
    from unnest(expired) c(i)
   where o.id = v_order[c.i];
  update offers f set free_from = v_now + make_interval(secs => p_rest_seconds)
    from orders o, unnest(expired) c(i)
   where o.id = v_order[c.i] and f.number_id = o.number_id and f.service = o.service;
  update numbers m set order_id = null, last_order_id = v_order[c.i]
    from unnest(expired) c(i)
   where m.order_id = v_order[c.i];

  if cardinality(charged || expired) > 0 then
    select ledger_apply(
             array_agg(derived_id(o.id, case when v_late[c.i] then 'void' else 'capture' end) order by c.i),
             array_agg((case when v_late[c.i] then 'void' else 'capture' end)::transfer_kind order by c.i),
             array_agg(o.account_id order by c.i),
             array_agg(c_revenue order by c.i),
             array_agg(null::bigint order by c.i),
             array_agg(o.hold_id order by c.i),
             array_agg(case when v_late[c.i] then c_expired else c_order end order by c.i),
             array_agg(o.id order by c.i),
             array_agg(null::timestamptz order by c.i),
             array_agg(null::timestamptz order by c.i),
             array_agg(null::text order by c.i),
             array_agg(null::int order by c.i),
             array_agg(null::int order by c.i))
      into words
      from unnest(charged || expired) c(i)
      join orders o on o.id = v_order[c.i];
    -- already_voided: the ledger's own sweep was first, an incident it has reported; an order that is over ends all the same. A code
    -- for which nothing can be taken any more is decided anew: then it finds the hold gone, and is late.
    if exists (select from unnest(words, array(select unnest(charged || expired) order by 1)) w(word, i)
                where word in ('ok', 'exists', case when v_late[i] then 'already_voided' end) is not true) then
      raise exception 'the ledger answered % to the messages of orders %', words, v_order;
    end if;
  end if;

  -- 5. Show the messages, and note what became of each.
  insert into messages (id, inbox_id, order_id, account_id, sender, text, code, late, received_at)
  select u.id, u.inbox, u.order_id, u.owner, u.sender, u.text, u.code, u.late, u.received
    from unnest(p_message, v_inbox, v_order, v_owner, p_from, p_text, p_code, v_late, v_received, v_answer)
         u(id, inbox, order_id, owner, sender, text, code, late, received, answer)
   where u.answer in ('charged', 'further', 'no_code', 'late');
  update inbox e
     set handled_at = v_now, outcome = u.answer
    from unnest(v_inbox, v_answer) u(id, answer)
   where e.id = u.id and u.answer not in ('duplicate', 'moved');

  -- Of a duplicate: whose it was when it was decided.
  return query select u.answer, coalesce(m.order_id, case when u.owner is not null then u.order_id end), coalesce(m.account_id, u.owner)
                 from unnest(v_answer, v_order, v_owner, v_inbox) with ordinality u(answer, order_id, owner, inbox, i)
                 left join messages m on u.answer = 'duplicate' and m.inbox_id = u.inbox
                order by u.i;
end $$;
