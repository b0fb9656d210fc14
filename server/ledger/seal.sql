-- Up to where rows may be sealed, once `writers` are gone.
--
-- A row takes its seq when it is written and is seen when it is committed, so a smaller seq may appear after a larger one. But whoever
-- took one has had a lock on the table before, and keeps it until everybody sees his rows. So: read how far the sequence is, then
-- note who is writing. When these have ended, nothing new appears up to there, and gaps stay gaps. Nobody is kept waiting. (Each
-- seq must be taken one by one: with `alter sequence … cache`, a session could use an old one in a later transaction.)
create or replace function ledger_seal_horizon(out upto bigint, out writers text[])
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
  select case when is_called then last_value else last_value - 1 end into upto from transfer_seq;
  -- A statement of its own: after the sequence was read.
  writers := array(select distinct virtualtransaction from ledger_writers());
end $$;

-- The transactions that are writing rows of the ledger at this moment.
create or replace function ledger_writers() returns table (virtualtransaction text)
language sql security definer
set search_path = public, pg_temp
as $$
  select virtualtransaction
    from pg_locks
   where locktype = 'relation'
     and database = (select oid from pg_database where datname = current_database())
     and relation in ('transfers'::regclass, 'house_entries'::regclass)
     and mode = 'RowExclusiveLock'
     and granted
$$;

-- Seals the next range: at most p_seqs numbers, up to p_upto. Answers `sealed`, `nothing` (left to seal), `still_written` (one of
-- p_writers has not ended: ask again) or `elsewhere` (another process is at it). Interrupted: nothing happened.
create or replace function ledger_seal(p_upto bigint, p_writers text[], p_seqs int) returns text
language plpgsql security definer
set search_path = public, pg_temp
set enable_seqscan = off
as $$
declare
  v_first bigint;
  v_last bigint;
  v_head bytea;
begin
  -- An arbitrary constant. Held until the commit, so that the statements below, which begin after it, see what the last one sealed.
  if not pg_try_advisory_xact_lock(7203012) then return 'elsewhere'; end if;
  if exists (select from ledger_writers() w where w.virtualtransaction = any (p_writers)) then return 'still_written'; end if;
  select last_seq + 1, head into v_first, v_head from seals order by first_seq desc limit 1;
  v_first := coalesce(v_first, 1);      -- null: nothing was sealed yet
  v_last := least(p_upto, v_first + p_seqs - 1);
  if v_last < v_first then return 'nothing'; end if;

  -- Each row as a text: no field can contain the bar, an absent one is empty, and times are seconds with six decimals, so that it
  -- depends neither on a setting nor on the version.
  insert into seals (first_seq, last_seq, row_count, head, marks)
  select v_first, v_last, count(*),
         sha256(coalesce(v_head, '') || sha256(coalesce(string_agg(hash, '' order by seq, hash), ''))
                || convert_to(concat(v_first, '|', v_last, '|', count(*)), 'UTF8')),
         coalesce(string_agg(substr(hash, 1, 3), '' order by seq, hash), '')
    from (select seq, sha256(convert_to(concat(
                   'transfer|', seq, '|', id, '|', account_id, '|', number, '|', kind, '|', code, '|', contra, '|', amount, '|', returned,
                   '|', hold_id, '|', reference, '|', available_after, '|', held_after, '|', frozen_after, '|', owed_after,
                   '|', extract(epoch from happened_at), '|', extract(epoch from recorded_at)), 'UTF8')) as hash
            from transfers
           where seq between v_first and v_last
           union all
          select seq, sha256(convert_to(concat(
                   'house entry|', seq, '|', id, '|', debit, '|', credit, '|', amount, '|', code, '|', reference,
                   '|', extract(epoch from happened_at), '|', extract(epoch from recorded_at)), 'UTF8'))
            from house_entries
           where seq between v_first and v_last) r;
  return 'sealed';
end $$;

revoke all on function ledger_seal_horizon(), ledger_writers(), ledger_seal(bigint, text[], int) from public;
grant execute on function ledger_seal_horizon(), ledger_seal(bigint, text[], int) to mobilesms_app;
