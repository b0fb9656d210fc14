-- Stores outside events, each once, and answers one row per event given: `fresh` where it was not known before. `p_kind`: what
-- happened, in the sender's word, where he has one.
drop function if exists inbox_store;
create function inbox_store(p_source text[], p_external_id text[], p_subject text[], p_body text[], p_kind text[] default null)
returns table (i int, id bigint, fresh boolean, handled boolean, received_at timestamptz)
language plpgsql
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  v_now   timestamptz := house_now();
  v_fresh bigint[];
begin
  with stored as (
    insert into inbox (source, external_id, subject, body, kind, received_at)
    select distinct on (source, external_id) source, external_id, subject, body, kind, v_now
      from unnest(p_source, p_external_id, p_subject, p_body, p_kind) with ordinality g(source, external_id, subject, body, kind, i)
     order by source, external_id, i       -- in the order of keys: two batches never wait for each other in a circle
        on conflict (source, external_id) do nothing
    returning inbox.id
  )
  select coalesce(array_agg(id), '{}') into v_fresh from stored;

  -- A statement of its own: it sees what a concurrent transaction committed while the insert waited for it.
  return query
  select g.i::int, e.id, e.id = any (v_fresh), e.handled_at is not null, e.received_at
    from unnest(p_source, p_external_id) with ordinality g(source, external_id, i)
    join inbox e on e.source = g.source and e.external_id = g.external_id
   order by g.i;
end $$;
