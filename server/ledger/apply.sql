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
--
-- In four steps, each one statement or one loop, so that a batch costs little more than a single command:
--   1  lock the customers' rows, in the order of their ids
--   2  look up, for every command, what is already there
--   3  decide in memory, in order
--   4  write what was decided
drop function if exists ledger_apply;
create function ledger_apply(
  p_id uuid[], p_kind transfer_kind[], p_account bigint[], p_contra smallint[], p_amount bigint[], p_hold uuid[],
  p_code smallint[], p_reference uuid[], p_happened timestamptz[], p_expires timestamptz[], p_on_expiry text[],
  p_open_max int[], p_group int[]
) returns text[]
language plpgsql security definer
set search_path = public, pg_temp
-- Few rows against large tables: always by index, also when the statistics are stale.
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
as $$
declare
  n constant int := cardinality(p_id);
  v_now constant timestamptz := house_now();

  -- the customers of this list, by position
  a_id bigint[]; a_credits bigint[]; a_debits bigint[]; a_held bigint[]; a_frozen bigint[];
  a_suspended boolean[]; a_count bigint[]; a_last timestamptz[];
  a_open int[];              -- 16 counters a customer, one after the other

  -- what step 2 found for each command
  x_a int[];                 -- its customer's position; null: no such account
  x_known boolean[];         -- its id is already in the ledger
  x_differs text[];          -- … and these fields differ
  x_hold_amount bigint[]; x_hold_kind transfer_kind[]; x_hold_code smallint[]; x_resolved transfer_kind[];
  x_first int[];             -- the first command of this list with the same id
  x_hold_first int[];        -- the first command of this list whose id is this command's hold
  x_hold_key int[];          -- the first command of this list that names the same hold

  -- what this list did so far: by x_first the command that took the id, by x_hold_key the one that resolved the hold
  done_by int[] := array_fill(0, array[n]);
  resolved_by int[] := array_fill(0, array[n]);

  res text[] := array_fill(null::text, array[n]);
  x_amount bigint[] := p_amount;
  x_returned bigint[] := array_fill(0::bigint, array[n]);
  x_number bigint[] := array_fill(null::bigint, array[n]);
  x_recorded timestamptz[] := array_fill(null::timestamptz, array[n]);
  x_available bigint[] := array_fill(0::bigint, array[n]);
  x_held bigint[] := array_fill(0::bigint, array[n]);
  x_frozen bigint[] := array_fill(0::bigint, array[n]);
  x_owed bigint[] := array_fill(0::bigint, array[n]);

  i int; j int; d int; k transfer_kind; word text; free bigint; slot int;
  hold_amount bigint; hold_kind transfer_kind; hold_code smallint; resolution transfer_kind;

  -- the group under way, and the customer's figures before it
  g_start int; g_failed boolean := false; g_ok int; g_exists int;
  g_credits bigint; g_debits bigint; g_held bigint; g_frozen bigint; g_count bigint; g_open int[];
begin
  if n = 0 then return '{}'; end if;
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'the ledger needs READ COMMITTED: each step must see what was committed while it waited for its locks';
  end if;

  -- 1. Lock in the order of ids: two lists with the same customers never wait for each other in a circle.
  select array_agg(id), array_agg(credits), array_agg(debits), array_agg(held), array_agg(frozen), array_agg(suspended),
         array_agg(transfer_count), array_agg(last_at)
    into a_id, a_credits, a_debits, a_held, a_frozen, a_suspended, a_count, a_last
    from (select * from ledger_accounts where id = any (p_account) order by id for no key update) locked;
  select array_agg(c order by o.id, c_at) into a_open
    from ledger_accounts o cross join lateral unnest(o.open_holds) with ordinality u(c, c_at)
   where o.id = any (a_id);

  -- 2. A statement of its own, so that its snapshot is taken after the locks were granted.
  select array_agg(array_position(a_id, c.account) order by c.i),
         array_agg(t.id is not null order by c.i),
         array_agg(concat_ws(', ',
           case when t.account_id <> c.account then 'account' end,
           case when t.kind <> c.kind then 'kind' end,
           case when t.contra <> c.contra then 'contra' end,
           case when t.code <> c.code then 'code' end,
           case when t.amount <> c.amount then 'amount' end,           -- null (the whole hold) differs from nothing
           case when t.hold_id is distinct from c.hold then 'hold' end,
           case when t.reference <> c.reference then 'reference' end) order by c.i),
         array_agg(h.amount order by c.i), array_agg(h.kind order by c.i), array_agg(h.code order by c.i),
         array_agg(r.kind order by c.i),
         array_agg(array_position(p_id, c.id) order by c.i),
         array_agg(array_position(p_id, c.hold) order by c.i),
         array_agg(array_position(p_hold, c.hold) order by c.i)
    into x_a, x_known, x_differs, x_hold_amount, x_hold_kind, x_hold_code, x_resolved, x_first, x_hold_first, x_hold_key
    from unnest(p_id, p_kind, p_account, p_contra, p_amount, p_hold, p_code, p_reference)
         with ordinality c(id, kind, account, contra, amount, hold, code, reference, i)
    left join transfers t on t.id = c.id
    left join transfers h on h.id = c.hold and h.account_id = c.account and h.kind in ('hold', 'clawback_hold')
    left join transfers r on r.hold_id = c.hold and r.account_id = c.account;

  -- 3. Decide.
  for i in 1..n loop
    j := x_a[i];
    k := p_kind[i];

    if p_group[i] is not null and (i = 1 or p_group[i - 1] is distinct from p_group[i]) then
      g_start := i; g_failed := false; g_ok := 0; g_exists := 0;
      if j is not null then
        g_credits := a_credits[j]; g_debits := a_debits[j]; g_held := a_held[j]; g_frozen := a_frozen[j];
        g_count := a_count[j]; g_open := a_open[(j - 1) * 16 + 1 : j * 16];
      end if;
    end if;

    word := 'ok';
    d := done_by[x_first[i]];
    if p_group[i] is not null and g_failed then
      word := 'group_refused';
    elsif j is null then
      word := 'account_not_found';
    elsif x_known[i] then
      word := case x_differs[i] when '' then 'exists' else 'exists_with_different_fields: ' || x_differs[i] end;
    elsif d > 0 then
      -- The same id earlier in this very list.
      word := concat_ws(', ',
        case when p_account[d] <> p_account[i] then 'account' end,
        case when p_kind[d] <> k then 'kind' end,
        case when p_contra[d] <> p_contra[i] then 'contra' end,
        case when p_code[d] <> p_code[i] then 'code' end,
        case when x_amount[d] <> p_amount[i] then 'amount' end,
        case when p_hold[d] is distinct from p_hold[i] then 'hold' end,
        case when p_reference[d] <> p_reference[i] then 'reference' end);
      word := case word when '' then 'exists' else 'exists_with_different_fields: ' || word end;
    elsif p_id[i] is null or k is null or p_contra[i] is null or p_code[i] is null or p_reference[i] is null
       or (p_group[i] is not null and p_account[i] <> p_account[g_start])
       or coalesce(p_amount[i] <= 0, k not in ('capture', 'void'))
       or (k in ('capture', 'void')) <> (p_hold[i] is not null)
       or (k in ('hold', 'clawback_hold') and
           coalesce(p_expires[i] is null or p_on_expiry[i] not in ('void', 'alarm') or p_code[i] not between 1 and 16, true)) then
      word := 'malformed_command';
    else
      free := a_credits[j] - a_debits[j] - a_held[j] - a_frozen[j];   -- signed: below zero is what is owed
      case k
        when 'credit' then
          a_credits[j] := a_credits[j] + p_amount[i];

        when 'debit' then
          if free < p_amount[i] then word := 'insufficient_credits';
          else a_debits[j] := a_debits[j] + p_amount[i];
          end if;

        when 'clawback_debit' then
          a_debits[j] := a_debits[j] + p_amount[i];

        when 'hold' then
          slot := (j - 1) * 16 + p_code[i];
          if a_suspended[j] then word := 'account_suspended';
          elsif a_open[slot] >= p_open_max[i] then word := 'too_many_open_holds';
          elsif free < p_amount[i] then word := 'insufficient_credits';
          else
            a_held[j] := a_held[j] + p_amount[i];
            a_open[slot] := a_open[slot] + 1;
          end if;

        when 'clawback_hold' then
          slot := (j - 1) * 16 + p_code[i];
          a_frozen[j] := a_frozen[j] + p_amount[i];
          a_open[slot] := a_open[slot] + 1;

        else -- capture, void
          hold_amount := x_hold_amount[i]; hold_kind := x_hold_kind[i]; hold_code := x_hold_code[i]; resolution := x_resolved[i];
          if hold_kind is null and x_hold_first[i] is not null then
            d := done_by[x_hold_first[i]];                              -- a hold made earlier in this list
            if d > 0 and p_account[d] = p_account[i] and p_kind[d] in ('hold', 'clawback_hold') then
              hold_amount := x_amount[d]; hold_kind := p_kind[d]; hold_code := p_code[d];
            end if;
          end if;
          if resolved_by[x_hold_key[i]] > 0 then resolution := p_kind[resolved_by[x_hold_key[i]]]; end if;

          if hold_kind is null then word := 'hold_not_found';
          elsif resolution = 'capture' then word := 'already_captured';
          elsif resolution = 'void' then word := 'already_voided';
          elsif p_amount[i] > hold_amount then word := 'exceeds_hold';
          elsif k = 'void' and p_amount[i] < hold_amount then word := 'malformed_command';
          else
            x_amount[i] := coalesce(p_amount[i], hold_amount);
            x_returned[i] := case k when 'capture' then hold_amount - x_amount[i] else 0 end;
            if hold_kind = 'hold' then a_held[j] := a_held[j] - hold_amount;
            else a_frozen[j] := a_frozen[j] - hold_amount;
            end if;
            if k = 'capture' then a_debits[j] := a_debits[j] + x_amount[i]; end if;
            slot := (j - 1) * 16 + hold_code;
            a_open[slot] := a_open[slot] - 1;
            resolved_by[x_hold_key[i]] := i;
          end if;
      end case;

      if word = 'ok' then
        done_by[x_first[i]] := i;
        a_count[j] := a_count[j] + 1;
        x_number[i] := a_count[j];
        -- Our transaction may have begun before the one that wrote the row before ours, and waited for it.
        a_last[j] := greatest(a_last[j], v_now);
        x_recorded[i] := a_last[j];
        free := a_credits[j] - a_debits[j] - a_held[j] - a_frozen[j];
        x_available[i] := greatest(free, 0);
        x_owed[i] := greatest(-free, 0);
        x_held[i] := a_held[j];
        x_frozen[i] := a_frozen[j];
      end if;
    end if;
    res[i] := word;

    if p_group[i] is not null then
      if word = 'ok' then g_ok := g_ok + 1;
      elsif word = 'exists' then g_exists := g_exists + 1;
      else g_failed := true;
      end if;
      -- A group that was carried out before exists as a whole; one of which a part exists is another group.
      if i = n or p_group[i + 1] is distinct from p_group[i] then
        if g_failed or (g_ok > 0 and g_exists > 0) then
          for d in g_start..i loop
            -- Also who was told that his id exists, when it was a command of this very group that took it.
            if res[d] = 'exists' and not x_known[d] and (done_by[x_first[d]] = 0 or done_by[x_first[d]] >= g_start) then
              res[d] := 'group_refused';
            elsif res[d] = 'ok' then
              res[d] := 'group_refused';
              done_by[x_first[d]] := 0;
              if p_hold[d] is not null and resolved_by[x_hold_key[d]] = d then resolved_by[x_hold_key[d]] := 0; end if;
              x_amount[d] := p_amount[d];
            end if;
          end loop;
          j := x_a[g_start];
          if j is not null then
            a_credits[j] := g_credits; a_debits[j] := g_debits; a_held[j] := g_held; a_frozen[j] := g_frozen;
            a_count[j] := g_count;
            for slot in 1..16 loop a_open[(j - 1) * 16 + slot] := g_open[slot]; end loop;
          end if;
        end if;
      end if;
    end if;
  end loop;

  if not ('ok' = any (res)) then return res; end if;

  -- 4. Write. After this point nothing is refused any more: what still fails is a bug, and takes the whole transaction with it.
  insert into transfers (id, account_id, number, kind, code, contra, amount, returned, hold_id, reference,
                         available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
  select c.id, c.account, c.number, c.kind, c.code, c.contra, c.amount, c.returned, c.hold, c.reference,
         c.available, c.held, c.frozen, c.owed, coalesce(c.happened, c.recorded), c.recorded
    from unnest(p_id, p_account, x_number, p_kind, p_code, p_contra, x_amount, x_returned, p_hold, p_reference,
                x_available, x_held, x_frozen, x_owed, p_happened, x_recorded, res)
         with ordinality c(id, account, number, kind, code, contra, amount, returned, hold, reference,
                           available, held, frozen, owed, happened, recorded, word, i)
   where c.word = 'ok'
   order by c.i;

  insert into open_holds (hold_id, account_id, code, amount, expires_at, on_expiry)
  select c.id, c.account, c.code, c.amount, c.expires, c.on_expiry
    from unnest(p_id, p_account, p_code, x_amount, p_expires, p_on_expiry, p_kind, res)
         c(id, account, code, amount, expires, on_expiry, kind, word)
   where c.word = 'ok' and c.kind in ('hold', 'clawback_hold');

  delete from open_holds o
   using unnest(p_hold, res) c(hold, word)
   where c.word = 'ok' and o.hold_id = c.hold;

  update ledger_accounts a
     set credits = v.credits, debits = v.debits, held = v.held, frozen = v.frozen,
         owed = greatest(0, v.debits + v.held + v.frozen - v.credits),
         transfer_count = v.count,
         last_at = v.last,
         open_holds = a_open[(v.j - 1) * 16 + 1 : v.j * 16]
    from unnest(a_id, a_credits, a_debits, a_held, a_frozen, a_count, a_last)
         with ordinality v(id, credits, debits, held, frozen, count, last, j)
   where a.id = v.id
     and a.transfer_count <> v.count;         -- who got nothing but refusals is not written

  insert into platform_deltas (platform, code, debits, credits, entries)
  select c.contra, c.code,
         coalesce(sum(c.amount) filter (where c.kind = 'credit'), 0),
         coalesce(sum(c.amount) filter (where c.kind <> 'credit'), 0),
         count(*)
    from unnest(p_contra, p_code, x_amount, p_kind, res) c(contra, code, amount, kind, word)
   where c.word = 'ok' and c.kind in ('credit', 'debit', 'capture', 'clawback_debit')
   group by c.contra, c.code;

  return res;
end $$;

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
