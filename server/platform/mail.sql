-- Writes a letter into the outbox, in the transaction of its cause. False: a letter of the same cause is there already. As the owner,
-- so that the role of sign-ins can write one too, and neither role can change the words of a letter afterwards.
create or replace function mail_post(
  p_id uuid, p_account_id bigint, p_to text, p_subject text, p_text text, p_html text, p_can_switch_off boolean, p_once_key text
) returns boolean
language sql security definer
set search_path = public, pg_temp
as $$
  with posted as (
    insert into mail_outbox (id, account_id, to_address, subject, body_text, body_html, can_switch_off, once_key)
    values (p_id, p_account_id, p_to, p_subject, p_text, p_html, p_can_switch_off, p_once_key)
    on conflict (once_key) do nothing
    returning id
  )
  select exists (select from posted)
$$;

revoke all on function mail_post(uuid, bigint, text, text, text, text, boolean, text) from public;
grant execute on function mail_post(uuid, bigint, text, text, text, text, boolean, text) to mobilesms_app, mobilesms_auth;

-- What is over forgets its words at once: links that open an account are among them, and nobody needs them any more.
create or replace function mail_forget() returns trigger
language plpgsql
as $$
begin
  new.body_text := null;
  new.body_html := null;
  return new;
end $$;
create or replace trigger mail_forgets_its_words
  before update on mail_outbox for each row
  when (old.next_attempt_at is not null and new.next_attempt_at is null)
  execute function mail_forget();

-- Empties letters that have been over for so long: the subject, the address and the mail server's answer go, the fact that it was sent
-- stays. Answers how many; call again while there are as many as asked for.
create or replace function mail_empty(p_after_days int, p_max int) returns int
language sql security definer
set search_path = public, pg_temp
as $$
  with old as (
    select id
      from mail_outbox
     where next_attempt_at is null
       and to_address is not null
       and created_at < now() - make_interval(days => greatest(p_after_days, 1))
     order by created_at
     limit p_max
       for update skip locked
  ), emptied as (
    update mail_outbox m
       set to_address = null, subject = null, last_error = null
      from old
     where m.id = old.id
    returning m.id
  )
  select count(*)::int from emptied
$$;

revoke all on function mail_empty(int, int) from public;
grant execute on function mail_empty(int, int) to mobilesms_app;
