-- Makes a login and its account of a sign-up whose e-mail is proven, in one step: all of it or nothing. As the owner, since it
-- writes both schemas; whoever calls it must know the link.
--
-- `outcome`: joined · unknown, used, expired (the link) · username_taken (another name may be tried with the same link) ·
-- email_known (its account's name is `username`).
create or replace function sign_up_confirm(p_token_sha256 bytea, p_username text)
returns table (outcome text, user_id uuid, username text)
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
  v_link auth.links;
  v_sign_up auth.sign_ups;
  v_user_id uuid;
  v_name text;
  v_account_id bigint;
begin
  select * into v_link from auth.links l where l.token_sha256 = p_token_sha256 and l.purpose = 'sign_up';
  if not found then
    return query select 'unknown', null::uuid, null::text;
    return;
  end if;
  -- Whoever confirms this address by another link of it goes before us or waits: each ends what the other has in hand.
  perform from auth.sign_ups s where lower(s.email) = lower(v_link.email) order by s.id for update;
  select * into v_link from auth.links l where l.token_sha256 = p_token_sha256 for update;
  if v_link.used_at is not null then
    return query select 'used', null::uuid, null::text;
    return;
  end if;
  select * into v_sign_up from auth.sign_ups s where s.id = v_link.sign_up_id;

  select u."username" into v_name from auth."user" u where lower(u."email") = lower(v_link.email);
  if found then
    return query select 'email_known', null::uuid, v_name;
    return;
  end if;
  if v_sign_up.id is null or v_link.expires_at <= now() then
    return query select 'expired', null::uuid, null::text;
    return;
  end if;

  v_name := coalesce(p_username, v_sign_up.username);
  insert into auth."user" ("name", "email", "emailVerified", "username", "role")
  values (v_name, v_sign_up.email, true, v_name, 'customer')
  on conflict do nothing
  returning "id" into v_user_id;
  if v_user_id is null then
    -- A statement of its own: it sees what was committed while we waited.
    return query
      select case when lower(u."email") = lower(v_sign_up.email) then 'email_known' else 'username_taken' end, null::uuid, u."username"
        from auth."user" u
       where lower(u."email") = lower(v_sign_up.email) or u."username" = v_name
       order by lower(u."email") = lower(v_sign_up.email) desc
       limit 1;
    return;
  end if;

  insert into auth."account" ("accountId", "providerId", "userId", "password", "updatedAt")
  values (v_user_id, 'credential', v_user_id, v_sign_up.password, now());
  insert into auth.known_browsers (user_id, mark_sha256)
  values (v_user_id, v_sign_up.browser_sha256);

  v_account_id := account_open(v_user_id);
  update accounts set adult_stated_at = v_sign_up.created_at where id = v_account_id;
  insert into policy_acceptances (account_id, policy, version, accepted_at)
  select v_account_id, key, value, v_sign_up.created_at
    from jsonb_each_text(v_sign_up.accepted);

  update auth.links set used_at = now() where token_sha256 = p_token_sha256;
  -- Whatever else was asked for this address came too late, or from somebody else.
  update auth.links l
     set voided_at = now()
    from auth.sign_ups s
   where lower(s.email) = lower(v_sign_up.email)
     and l.sign_up_id = s.id
     and l.used_at is null;
  delete from auth.sign_ups s where lower(s.email) = lower(v_sign_up.email);

  return query select 'joined', v_user_id, v_name;
end $$;

revoke all on function sign_up_confirm(bytea, text) from public;
grant execute on function sign_up_confirm(bytea, text) to mobilesms_app;
