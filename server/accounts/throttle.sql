-- Counts an attempt under each key, in this order, before it is made, so that a thousand at once are not a thousand password checks.
-- Answers 0, or how many seconds to wait: then the key that is full, and those after it, were not counted. The order is that of the
-- caller, from the network to the account: whoever is held back by the first does not fill the account's.
--
-- A key that is full is read and not written: a flood costs a look-up.
create or replace function auth.throttle_take(p_keys bytea[], p_attempts_max int[], p_window_seconds int[]) returns int
language plpgsql
set search_path = auth, pg_temp
as $$
declare
  v_wait_seconds int;
begin
  for i in 1 .. cardinality(p_keys) loop
    select ceil(extract(epoch from ends_at - now()))
      into v_wait_seconds
      from throttles
     where key = p_keys[i] and ends_at > now() and attempts >= p_attempts_max[i];
    if found then
      return greatest(v_wait_seconds, 1);
    end if;

    insert into throttles as t (key, attempts, ends_at)
    values (p_keys[i], 1, now() + make_interval(secs => p_window_seconds[i]))
    on conflict (key) do update
      set attempts = case when t.ends_at <= now() then 1 else t.attempts + 1 end,
          ends_at  = case when t.ends_at <= now() then excluded.ends_at else t.ends_at end
    where t.ends_at <= now() or t.attempts < p_attempts_max[i];
    if not found then                              -- others filled it since we looked
      return (select greatest(ceil(extract(epoch from ends_at - now())), 1) from throttles where key = p_keys[i]);
    end if;
  end loop;
  return 0;
end $$;

-- What succeeded does not count. In the order of taking, so that who takes and who forgives never wait for each other.
create or replace function auth.throttle_forgive(p_keys bytea[]) returns void
language plpgsql
set search_path = auth, pg_temp
as $$
begin
  for i in 1 .. cardinality(p_keys) loop
    update throttles set attempts = attempts - 1 where key = p_keys[i] and attempts > 0;
  end loop;
end $$;

-- Throws away the windows that are over, and of the others those that end first, when there are more than the table may have.
create or replace function auth.throttles_forget(p_rows_max int, p_forgotten_max int) returns int
language plpgsql
set search_path = auth, pg_temp
as $$
declare
  v_forgotten int;
  v_more int;
begin
  delete from throttles
   where key in (select key from throttles where ends_at <= now() order by ends_at limit p_forgotten_max for update skip locked);
  get diagnostics v_forgotten = row_count;
  if v_forgotten = p_forgotten_max then
    return v_forgotten;                            -- there may be more of these: first come first
  end if;
  delete from throttles
   where key in (
     select key
       from throttles
      order by ends_at
      limit least(p_forgotten_max, greatest(0, (select count(*) from throttles) - p_rows_max))
      for update skip locked);
  get diagnostics v_more = row_count;
  return v_forgotten + v_more;
end $$;
