-- The ledger's functions. They run with the owner's rights (SECURITY DEFINER), because nobody else may write these tables.

create or replace function ledger_open(p_account bigint) returns void
language sql security definer
set search_path = public, pg_temp
as $$
  insert into ledger_accounts (id) values (p_account) on conflict (id) do nothing
$$;
revoke all on function ledger_open(bigint) from public;
grant execute on function ledger_open(bigint) to mobilesms_app;

-- Carries out commands in order and answers one word for each (ledger.ts lists them). Any list may be split anywhere without
-- changing an answer. Commands that follow each other with the same p_group are a group: all or nothing.
drop function if exists ledger_apply;
create function ledger_apply(
  p_id uuid[], p_kind transfer_kind[], p_account bigint[], p_contra smallint[], p_amount bigint[], p_hold uuid[],
  p_code smallint[], p_reference uuid[], p_happened timestamptz[], p_expires timestamptz[], p_on_expiry text[],
  p_open_max int[], p_group int[]
) returns text[]
language plpgsql security definer
set search_path = public, pg_temp
-- Few rows against large tables: always by index, also when the statistics are stale. For what it calls, too.
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  n constant int := cardinality(p_id);
  v_places int[];
begin
  if n = 0 then return '{}'; end if;
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the ledger needs READ COMMITTED: each step must see what was committed before it';
  end if;
  -- Most commands are the only one of their customer: their order among the others is of no account, and one statement does them
  -- all. What it leaves, for whatever reason, is looked at in order. Rows are locked in the order of ids: two lists with the same
  -- customers never wait for each other in a circle. So nobody waits for a row who has locked others out of that order: where
  -- somebody else has it, where an id is known already, and where a hold ended meanwhile, everything is undone, and the whole list
  -- carried out in order.
  begin
    v_places := ledger_carry_out_at_once(p_id, p_kind, p_account, p_contra, p_amount, p_hold, p_code, p_reference, p_happened,
                                         p_expires, p_on_expiry, p_open_max, p_group);
    if cardinality(v_places) = 0 then return array_fill('ok'::text, array[n]); end if;
    return ledger_carry_out_in_order(v_places, false, p_id, p_kind, p_account, p_contra, p_amount, p_hold, p_code, p_reference,
                                     p_happened, p_expires, p_on_expiry, p_open_max, p_group);
  exception when unique_violation or check_violation or sqlstate 'LEDGR' then
    return ledger_carry_out_in_order(array(select generate_series(1, n)), true, p_id, p_kind, p_account, p_contra, p_amount, p_hold,
                                     p_code, p_reference, p_happened, p_expires, p_on_expiry, p_open_max, p_group);
  end;
end $$;

-- Carries out, in one statement, the commands of which nothing more needs to be known than the customer's row, as it is when it is
-- locked, and the hold: those whose customer has no other in the list, and that can be done. Answers the places of the others. A row is locked and
-- changed as the statement comes to it, in the order of ids. An id that is known, and a hold that another transaction resolved while
-- we waited for the row, break the constraints of the tables. Only ledger_apply calls it.
drop function if exists ledger_carry_out;      -- what did it before
drop function if exists ledger_carry_out_at_once;
create function ledger_carry_out_at_once(
  p_id uuid[], p_kind transfer_kind[], p_account bigint[], p_contra smallint[], p_amount bigint[], p_hold uuid[],
  p_code smallint[], p_reference uuid[], p_happened timestamptz[], p_expires timestamptz[], p_on_expiry text[],
  p_open_max int[], p_group int[]
) returns int[]
language plpgsql
as $$
declare
  n constant int := cardinality(p_id);
  v_now constant timestamptz := house_now();
  v_left int[];
begin
  -- Where commands have an id or a hold in common, their order decides.
  if n > 1 and (select count(x) > count(distinct x) from (select unnest(p_id) union all select unnest(p_hold)) u(x)) then
    return array(select generate_series(1, n));
  end if;

  with moved as (
    update ledger_accounts a
       set credits = a.credits + v.credited,
           debits = a.debits + v.debited,
           held = a.held + v.kept,
           frozen = a.frozen + v.froze,
           owed = greatest(0, a.debits + v.debited + a.held + v.kept + a.frozen + v.froze - a.credits - v.credited),
           transfer_count = a.transfer_count + 1,
           -- Who began later may have written before us: what is recorded after his is not earlier.
           last_at = greatest(a.last_at, v_now),
           open_orders = a.open_orders + case v.slot when 1 then v.opened else 0 end,
           open_topup_refunds = a.open_topup_refunds + case v.slot when 2 then v.opened else 0 end,
           open_disputes = a.open_disputes + case v.slot when 3 then v.opened else 0 end
      from (select u.*,
                   coalesce(u.amount, h.amount) as moved,
                   case when u.kind = 'credit' then u.amount else 0 end as credited,
                   case when u.kind in ('debit', 'clawback_debit', 'capture') then coalesce(u.amount, h.amount) else 0 end as debited,
                   case when u.kind = 'hold' then u.amount when h.kind = 'hold' then -h.amount else 0 end as kept,
                   case when u.kind = 'clawback_hold' then u.amount when h.kind = 'clawback_hold' then -h.amount else 0 end as froze,
                   case when u.kind in ('hold', 'clawback_hold') then 1 else -1 end as opened,
                   case when u.kind in ('hold', 'clawback_hold') then u.code else h.code end as slot,
                   case when u.kind = 'capture' then h.amount - coalesce(u.amount, h.amount) else 0 end as returned
              from (select *, count(*) over (partition by account) as of_account
                      from unnest(p_id, p_kind, p_account, p_contra, p_amount, p_hold, p_code, p_reference, p_happened, p_expires,
                                  p_on_expiry, p_open_max, p_group)
                           with ordinality u(id, kind, account, contra, amount, hold, code, reference, happened, expires, on_expiry,
                                             open_max, grp, place)) u
              -- One at a time by its key, also when the plan was made while there were none: the planner then thinks that reading all
              -- of them costs nothing.
              left join lateral (select * from open_holds o where o.hold_id = u.hold and o.account_id = u.account limit 1) h on true
             where u.of_account = 1
               and u.grp is null
               and u.id is not null and u.contra is not null and u.code is not null and u.reference is not null
               and case
                     when u.kind in ('credit', 'debit', 'clawback_debit') then u.hold is null and u.amount > 0
                     when u.kind in ('hold', 'clawback_hold') then
                       u.hold is null and u.amount > 0 and u.code between 1 and 3 and u.expires is not null and u.on_expiry in ('void', 'alarm')
                     when u.kind = 'capture' then coalesce(u.amount, 1) between 1 and h.amount
                     when u.kind = 'void' then coalesce(u.amount, h.amount) = h.amount
                   end
             order by u.account) v
     where a.id = v.account
       and case
             when v.kind not in ('hold', 'debit') then true
             when v.amount > a.credits - a.debits - a.held - a.frozen then false
             when v.kind = 'debit' then true
             when a.suspended then false
             else coalesce(case v.code when 1 then a.open_orders when 2 then a.open_topup_refunds else a.open_disputes end < v.open_max, true)
           end
    returning v.place, v.id, v.kind, v.account, v.contra, v.moved, v.returned, v.hold, v.code, v.reference, v.happened, v.expires,
              v.on_expiry, a.transfer_count as number, a.credits - a.debits - a.held - a.frozen as free, a.held, a.frozen, a.owed,
              a.last_at as recorded
  ), written as (
    insert into transfers (id, account_id, number, kind, code, contra, amount, returned, hold_id, reference,
                           available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
    select id, account, number, kind, code, contra, moved, returned, hold, reference,
           greatest(free, 0), held, frozen, owed, coalesce(happened, recorded), recorded
      from moved
  ), opened as (
    insert into open_holds (hold_id, account_id, kind, code, amount, expires_at, on_expiry)
    select id, account, kind, code, moved, expires, on_expiry from moved where kind in ('hold', 'clawback_hold')
  ), closed as (
    delete from open_holds where hold_id = any (array(select hold from moved))
  ), told as (
    -- Appended, never updated, so that no account of the platform is a row for which everybody waits.
    insert into platform_deltas (platform, code, debits, credits, entries)
    select contra, code,
           coalesce(sum(moved) filter (where kind = 'credit'), 0),
           coalesce(sum(moved) filter (where kind <> 'credit'), 0),
           count(*)
      from moved
     where kind in ('credit', 'debit', 'capture', 'clawback_debit')
     group by contra, code
  )
  select array(select i from generate_series(1, n) i except all select place from moved) into v_left;
  return v_left;
end $$;
revoke all on function ledger_carry_out_at_once from public;

-- Carries out the commands at these places, in their order, behind locks, and answers one word for each command of the list: those at
-- other places are done. In three steps, so that many cost little more than one: look at everything, decide in memory, write
-- everything. Raises LEDGR when not p_wait and somebody else has an account's row. Only ledger_apply calls it.
drop function if exists ledger_carry_out_in_order;
create function ledger_carry_out_in_order(
  p_places int[], p_wait boolean,
  p_id uuid[], p_kind transfer_kind[], p_account bigint[], p_contra smallint[], p_amount bigint[], p_hold uuid[],
  p_code smallint[], p_reference uuid[], p_happened timestamptz[], p_expires timestamptz[], p_on_expiry text[],
  p_open_max int[], p_group int[]
) returns text[]
language plpgsql
as $$
declare
  n constant int := cardinality(p_id);
  v_now constant timestamptz := house_now();
  v_accounts constant bigint[] := array(select p_account[place] from unnest(p_places) place);

  -- the customers of these commands, by position; changed by each command that is done
  a_id bigint[]; a_credits bigint[]; a_debits bigint[]; a_held bigint[]; a_frozen bigint[]; a_suspended boolean[]; a_count bigint[];
  a_open int[];              -- open orders of all customers, then open refunds, then open disputes
  a_before bigint[];         -- a_count as it was
  a_now timestamptz[];       -- when its new rows are recorded

  -- only where commands of this list share an id or a hold
  v_entangled boolean := false;
  first_same int[];          -- the first command with the same id
  first_hold int[];          -- the first command whose id is this command's hold
  first_rival int[];         -- the first command that names the same hold
  done_by int[];             -- by first_same: the command that took the id
  resolved_by int[];         -- by first_rival: the command that resolved the hold

  -- what became of each command
  res text[] := array_fill(null::text, array[n]);
  x_number bigint[] := array_fill(null::bigint, array[n]);
  x_amount bigint[] := p_amount;
  x_returned bigint[] := array_fill(0::bigint, array[n]);
  x_free bigint[] := array_fill(0::bigint, array[n]);      -- below zero: owed
  x_held bigint[] := array_fill(0::bigint, array[n]);
  x_frozen bigint[] := array_fill(0::bigint, array[n]);
  x_recorded timestamptz[] := array_fill(null::timestamptz, array[n]);

  c record; i int; j int; d int; m int; word text; free bigint; slot int;
  hold_amount bigint; hold_kind transfer_kind; hold_code smallint;

  -- the group under way, and the customer's figures before it
  g_start int; g_a int; g_failed boolean := false; g_ok int; g_exists int;
  g_credits bigint; g_debits bigint; g_held bigint; g_frozen bigint; g_count bigint; g_open int[];
begin
  -- 1. Look: at the customers …
  if p_wait then
    -- Who is opened only while we wait is not behind a lock, and not there yet.
    perform from ledger_accounts where id = any (v_accounts) order by id for no key update;
  end if;
  select array_agg(id), array_agg(credits), array_agg(debits), array_agg(held), array_agg(frozen), array_agg(suspended),
         array_agg(transfer_count), array_agg(open_orders) || array_agg(open_topup_refunds) || array_agg(open_disputes),
         array_agg(greatest(last_at, v_now))
    into a_id, a_credits, a_debits, a_held, a_frozen, a_suspended, a_count, a_open, a_now
    from (select * from ledger_accounts where id = any (v_accounts) order by id for no key update skip locked) known;
  a_before := a_count;
  m := coalesce(cardinality(a_id), 0);
  if not p_wait and m < (select count(*) from ledger_accounts where id = any (v_accounts)) then
    raise exception 'somebody else has an account of this list' using errcode = 'LEDGR';
  end if;

  -- … and at what the commands have with each other: mostly nothing.
  if n > 1 then
    select count(x) > count(distinct x) into v_entangled from (select unnest(p_id) union all select unnest(p_hold)) u(x);
    if v_entangled then
      select array_agg(array_position(p_id, id) order by o), array_agg(array_position(p_id, hold) order by o),
             array_agg(array_position(p_hold, hold) order by o), array_agg(0), array_agg(0)
        into first_same, first_hold, first_rival, done_by, resolved_by
        from unnest(p_id, p_hold) with ordinality u(id, hold, o);
    end if;
  end if;

  -- 2. Decide, one after the other, each with what stands in the tables of its id and of its hold.
  for c in
    select u.place, u.kind, u.amount, u.code, u.open_max, u.grp, u.hold,
           array_position(a_id, u.account) as a,
           h.amount as hold_amount, h.kind as hold_kind, h.code as hold_code,
           t.id is not null as is_known,
           case
             when t.id is not null then concat_ws(', ',
               case when t.account_id <> u.account then 'account' end,
               case when t.kind <> u.kind then 'kind' end,
               case when t.contra <> u.contra then 'contra' end,
               case when t.code <> u.code then 'code' end,
               case when t.amount <> u.amount then 'amount' end,           -- null (the whole hold) differs from nothing
               case when t.hold_id is distinct from u.hold then 'hold' end,
               case when t.reference <> u.reference then 'reference' end)
             when u.id is null or u.kind is null or u.contra is null or u.code is null or u.reference is null
               or coalesce(u.amount <= 0, u.kind not in ('capture', 'void'))
               or (u.kind in ('capture', 'void')) <> (u.hold is not null)
               or (u.kind in ('hold', 'clawback_hold') and
                   coalesce(u.expires is null or u.on_expiry not in ('void', 'alarm') or u.code not between 1 and 3, true))
               then 'malformed_command'
             when u.hold is not null and h.hold_id is null then
               coalesce((select case r.kind when 'capture' then 'already_captured' else 'already_voided' end
                           from transfers r where r.hold_id = u.hold and r.account_id = u.account), 'hold_not_found')
           end as word
      from unnest(p_id, p_kind, p_account, p_contra, p_amount, p_hold, p_code, p_reference, p_expires, p_on_expiry, p_open_max, p_group)
           with ordinality u(id, kind, account, contra, amount, hold, code, reference, expires, on_expiry, open_max, grp, place)
      left join transfers t on t.id = u.id
      left join lateral (select * from open_holds o where o.hold_id = u.hold and o.account_id = u.account limit 1) h on true
     where u.place = any (p_places)
     order by u.place
  loop
    i := c.place;
    j := c.a;
    hold_amount := c.hold_amount;
    hold_kind := c.hold_kind;
    hold_code := c.hold_code;

    if c.grp is not null and (i = 1 or p_group[i - 1] is distinct from c.grp) then
      g_start := i; g_a := j; g_failed := false; g_ok := 0; g_exists := 0;
      if j is not null then
        g_credits := a_credits[j]; g_debits := a_debits[j]; g_held := a_held[j]; g_frozen := a_frozen[j]; g_count := a_count[j];
        g_open := array[a_open[j], a_open[m + j], a_open[2 * m + j]];
      end if;
    end if;

    if c.grp is not null and g_failed then
      word := 'group_refused';
    elsif j is null then
      word := 'account_not_found';
    elsif c.is_known then
      word := case c.word when '' then 'exists' else 'exists_with_different_fields: ' || c.word end;
    else
      word := c.word;
      if c.grp is not null and p_account[i] <> p_account[g_start] then word := 'malformed_command'; end if;
      if v_entangled then
        d := done_by[first_same[i]];
        if d > 0 then
          -- The same id earlier in this very list.
          word := concat_ws(', ',
            case when p_account[d] <> p_account[i] then 'account' end,
            case when p_kind[d] <> c.kind then 'kind' end,
            case when p_contra[d] <> p_contra[i] then 'contra' end,
            case when p_code[d] <> c.code then 'code' end,
            case when x_amount[d] <> c.amount then 'amount' end,
            case when p_hold[d] is distinct from c.hold then 'hold' end,
            case when p_reference[d] <> p_reference[i] then 'reference' end);
          word := case word when '' then 'exists' else 'exists_with_different_fields: ' || word end;
        elsif c.hold is not null and word is distinct from 'malformed_command' then
          if word = 'hold_not_found' and first_hold[i] is not null then
            d := done_by[first_hold[i]];                                -- a hold made earlier in this list
            if d > 0 and p_account[d] = p_account[i] and p_kind[d] in ('hold', 'clawback_hold') then
              hold_amount := p_amount[d]; hold_kind := p_kind[d]; hold_code := p_code[d];
              word := null;
            end if;
          end if;
          d := resolved_by[first_rival[i]];
          if d > 0 and p_account[d] = p_account[i] then
            word := case p_kind[d] when 'capture' then 'already_captured' else 'already_voided' end;
          end if;
        end if;
      end if;
    end if;

    if word is null then
      free := a_credits[j] - a_debits[j] - a_held[j] - a_frozen[j];   -- signed: below zero is what is owed
      case c.kind
        when 'credit' then
          a_credits[j] := a_credits[j] + c.amount;
          free := free + c.amount;

        when 'debit' then
          if free < c.amount then word := 'insufficient_credits';
          else
            a_debits[j] := a_debits[j] + c.amount;
            free := free - c.amount;
          end if;

        when 'clawback_debit' then
          a_debits[j] := a_debits[j] + c.amount;
          free := free - c.amount;

        when 'hold' then
          slot := (c.code - 1) * m + j;
          if a_suspended[j] then word := 'account_suspended';
          elsif a_open[slot] >= c.open_max then word := 'too_many_open_holds';
          elsif free < c.amount then word := 'insufficient_credits';
          else
            a_held[j] := a_held[j] + c.amount;
            a_open[slot] := a_open[slot] + 1;
            free := free - c.amount;
          end if;

        when 'clawback_hold' then
          slot := (c.code - 1) * m + j;
          a_frozen[j] := a_frozen[j] + c.amount;
          a_open[slot] := a_open[slot] + 1;
          free := free - c.amount;

        else -- capture, void
          if c.amount > hold_amount then word := 'exceeds_hold';
          elsif c.kind = 'void' and c.amount < hold_amount then word := 'malformed_command';
          else
            if hold_kind = 'hold' then a_held[j] := a_held[j] - hold_amount;
            else a_frozen[j] := a_frozen[j] - hold_amount;
            end if;
            free := free + hold_amount;
            x_amount[i] := coalesce(c.amount, hold_amount);
            if c.kind = 'capture' then
              a_debits[j] := a_debits[j] + x_amount[i];
              free := free - x_amount[i];
              x_returned[i] := hold_amount - x_amount[i];
            end if;
            slot := (hold_code - 1) * m + j;
            a_open[slot] := a_open[slot] - 1;
            if v_entangled then resolved_by[first_rival[i]] := i; end if;
          end if;
      end case;

      if word is null then
        word := 'ok';
        a_count[j] := a_count[j] + 1;
        x_number[i] := a_count[j];
        x_recorded[i] := a_now[j];
        x_free[i] := free;
        x_held[i] := a_held[j];
        x_frozen[i] := a_frozen[j];
        if v_entangled then done_by[first_same[i]] := i; end if;
      end if;
    end if;
    res[i] := word;

    if c.grp is not null then
      case word when 'ok' then g_ok := g_ok + 1; when 'exists' then g_exists := g_exists + 1; else g_failed := true; end case;
      -- A group that was carried out before exists as a whole; one of which a part exists is another group.
      if (i = n or p_group[i + 1] is distinct from c.grp) and (g_failed or (g_ok > 0 and g_exists > 0)) then
        for d in reverse i..g_start loop
          if res[d] = 'ok' then
            res[d] := 'group_refused';
            if v_entangled then
              done_by[first_same[d]] := 0;
              if p_hold[d] is not null and resolved_by[first_rival[d]] = d then resolved_by[first_rival[d]] := 0; end if;
            end if;
          elsif v_entangled and res[d] = 'exists' and done_by[first_same[d]] >= g_start then
            res[d] := 'group_refused';                                  -- it was a command of this very group that took its id
          end if;
        end loop;
        j := g_a;
        if j is not null then
          a_credits[j] := g_credits; a_debits[j] := g_debits; a_held[j] := g_held; a_frozen[j] := g_frozen; a_count[j] := g_count;
          a_open[j] := g_open[1]; a_open[m + j] := g_open[2]; a_open[2 * m + j] := g_open[3];
        end if;
      end if;
    end if;
  end loop;

  if not ('ok' = any (res)) then return array_replace(res, null, 'ok'); end if;

  -- 3. Write.
  update ledger_accounts a
     set credits = v.credits, debits = v.debits, held = v.held, frozen = v.frozen,
         owed = greatest(0, v.debits + v.held + v.frozen - v.credits),
         transfer_count = v.count,
         last_at = v.now,
         open_orders = v.orders, open_topup_refunds = v.refunds, open_disputes = v.disputes
    from unnest(a_id, a_credits, a_debits, a_held, a_frozen, a_count, a_before, a_now,
                a_open[1 : m], a_open[m + 1 : 2 * m], a_open[2 * m + 1 : 3 * m])
         v(id, credits, debits, held, frozen, count, before, now, orders, refunds, disputes)
   where a.id = v.id
     and v.count > v.before;

  insert into transfers (id, account_id, number, kind, code, contra, amount, returned, hold_id, reference,
                         available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
  select u.id, u.account, u.number, u.kind, u.code, u.contra, u.amount, u.returned, u.hold, u.reference,
         greatest(u.free, 0), u.held, u.frozen, greatest(-u.free, 0), coalesce(u.happened, u.recorded), u.recorded
    from unnest(p_id, p_account, x_number, p_kind, p_code, p_contra, x_amount, x_returned, p_hold, p_reference,
                x_free, x_held, x_frozen, p_happened, x_recorded, res)
         with ordinality u(id, account, number, kind, code, contra, amount, returned, hold, reference,
                           free, held, frozen, happened, recorded, word, o)
   where u.word = 'ok'
   order by u.o;

  insert into open_holds (hold_id, account_id, kind, code, amount, expires_at, on_expiry)
  select u.id, u.account, u.kind, u.code, u.amount, u.expires, u.on_expiry
    from unnest(p_id, p_account, p_kind, p_code, p_amount, p_expires, p_on_expiry, res)
         u(id, account, kind, code, amount, expires, on_expiry, word)
   where u.word = 'ok' and u.kind in ('hold', 'clawback_hold');

  delete from open_holds
   where hold_id = any (array(select u.hold from unnest(p_hold, res) u(hold, word) where u.word = 'ok'));

  insert into platform_deltas (platform, code, debits, credits, entries)
  select u.contra, u.code,
         coalesce(sum(u.amount) filter (where u.kind = 'credit'), 0),
         coalesce(sum(u.amount) filter (where u.kind <> 'credit'), 0),
         count(*)
    from unnest(p_contra, p_code, x_amount, p_kind, res) u(contra, code, amount, kind, word)
   where u.word = 'ok' and u.kind in ('credit', 'debit', 'capture', 'clawback_debit')
   group by u.contra, u.code;

  return array_replace(res, null, 'ok');
end $$;

revoke all on function ledger_carry_out_in_order from public;
revoke all on function ledger_apply from public;
grant execute on function ledger_apply to mobilesms_app;

-- Moves the deadline of an open hold; false: it is not open (any more). Under the account's lock, like its resolution.
create or replace function ledger_move_deadline(p_account bigint, p_hold uuid, p_expires timestamptz) returns boolean
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
  perform from ledger_accounts where id = p_account for no key update;
  update open_holds set expires_at = p_expires where hold_id = p_hold and account_id = p_account;
  return found;
end $$;
revoke all on function ledger_move_deadline(bigint, uuid, timestamptz) from public;
grant execute on function ledger_move_deadline(bigint, uuid, timestamptz) to mobilesms_app;

-- Nobody moves this account's money until the caller's transaction ends; what it reads of the figures now stays true until then.
create or replace function ledger_lock(p_account bigint) returns void
language sql security definer
set search_path = public, pg_temp
as $$
  select from ledger_accounts where id = p_account for no key update
$$;
revoke all on function ledger_lock(bigint) from public;
grant execute on function ledger_lock(bigint) to mobilesms_app;
