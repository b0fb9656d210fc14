-- A login and its account are two facts in two schemas, and the server may stop between them. So an account is opened from its
-- login, by whoever first finds it missing, as often as anyone likes, and by many at once.
--
-- Name and role are read from the login here: the server's role cannot choose them.
create or replace function account_open(p_user_id uuid) returns bigint
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
  v_account_id bigint;
begin
  insert into accounts (user_id, username, role, created_at)
  select "id", "username", "role", house_now()
    from auth."user"
   where "id" = p_user_id
     and "username" is not null
  on conflict do nothing                               -- of whichever index: who comes second may meet the name's first
  returning id into v_account_id;

  -- A statement of its own: it sees what somebody else committed while we waited for him.
  if v_account_id is null then
    select id
      into v_account_id
      from accounts
     where user_id = p_user_id;
  end if;

  if v_account_id is null then
    raise exception 'there is no login % to open an account for', p_user_id;
  end if;
  perform ledger_open(v_account_id);
  return v_account_id;
end $$;

revoke all on function account_open(uuid) from public;
grant execute on function account_open(uuid) to mobilesms_app;

-- Until when a session lasts that is used no more, and until when at all. Wire time.
-- Staff sign in again every day, and after half an hour away: a page of theirs that stands open can move other people's money.
create or replace function auth.session_ends_at(p_role text, p_created_at timestamptz, p_last_used_at timestamptz) returns timestamptz
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select case when p_role = 'customer'
    then least(p_last_used_at + interval '14 days', p_created_at + interval '30 days')
    else least(p_last_used_at + interval '30 minutes', p_created_at + interval '12 hours')
  end
$$;

-- Who holds this session: one look-up for every request of a page, without rights on the schema auth.
-- No row: there is no such session (any more). A null account: its login waits for account_open.
drop function if exists session_holder(text);
create or replace function session_holder(p_token_sha256 bytea)
returns table (
  session_id uuid, user_id uuid, password_at timestamptz, use_to_be_written boolean,
  account_id bigint, username text, role text, time_zone text
)
language sql stable security definer
set search_path = public, pg_temp
as $$
  select s.id, s.user_id, s.password_at, s.last_used_at < now() - interval '1 minute', a.id, a.username, a.role, a.time_zone
    from auth.sessions s
    join auth."user" u on u."id" = s.user_id
    left join accounts a on a.user_id = s.user_id
   where s.token_sha256 = p_token_sha256
     and auth.session_ends_at(u."role", s.created_at, s.last_used_at) > now()
$$;

revoke all on function session_holder(bytea) from public;
grant execute on function session_holder(bytea) to mobilesms_app;
