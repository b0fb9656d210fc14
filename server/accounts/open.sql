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
  on conflict (user_id) do nothing
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

-- Who holds this session: one look-up for every request of a page, without rights on the schema auth. Wire time.
-- No row: there is no such session (any more). A null account: its login waits for account_open.
-- Staff sign in again every day: a page of theirs that stands open can move other people's money.
create or replace function session_holder(p_token text)
returns table (user_id uuid, account_id bigint, username text, role text, time_zone text)
language sql stable security definer
set search_path = public, pg_temp
as $$
  select s."userId", a.id, a.username, a.role, a.time_zone
    from auth."session" s
    join auth."user" u on u."id" = s."userId"
    left join accounts a on a.user_id = s."userId"
   where s."token" = p_token
     and s."expiresAt" > now()
     and (u."role" = 'customer' or s."createdAt" > now() - interval '12 hours')
$$;

revoke all on function session_holder(text) from public;
grant execute on function session_holder(text) to mobilesms_app;
