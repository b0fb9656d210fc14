-- House time. `now()` is the start of the transaction, so everything that one transaction decides, it decides at one instant.
create or replace function house_now() returns timestamptz
language sql stable parallel safe
set search_path = public, pg_temp
as $$
  select now() + make_interval(secs => offset_seconds) from house_clock
$$;

create or replace function house_clock_advance(p_seconds bigint) returns timestamptz
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
  if p_seconds not between 1 and 31536000 then
    raise exception 'the clock moves forward by 1 to 31536000 seconds, not by %', p_seconds;
  end if;
  update house_clock set offset_seconds = offset_seconds + p_seconds
   where exists (select from installation where mode = 'sandbox');
  if not found then
    raise exception 'house time can be moved in a sandbox only';
  end if;
  return house_now();
end $$;

revoke all on function house_clock_advance(bigint) from public;
grant execute on function house_clock_advance(bigint) to mobilesms_app;

-- The id of what follows from something: the time prefix of its origin, then a hash of origin, purpose and number (UUIDv8).
-- A repetition derives the same id and is therefore the same command. server/platform/ids.ts derives the same in TypeScript.
create or replace function derived_id(p_origin uuid, p_purpose text, p_number int default 1) returns uuid
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select (substr(o, 1, 12) || '8' || substr(h, 1, 3) || to_hex(8 + (get_byte(decode(substr(h, 4, 2), 'hex'), 0) & 3)) || substr(h, 6, 15))::uuid
    from (select replace(p_origin::text, '-', '') as o,
                 encode(sha256(convert_to(p_origin::text || ':' || p_purpose || ':' || p_number, 'UTF8')), 'hex') as h) s
$$;
