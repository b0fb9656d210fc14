-- Where a customer's mail goes. The one thing that rooms other than accounts may learn of a login's e-mail, and only of one account
-- at a time; null: there is no such account.
create or replace function mail_address_of(p_account_id bigint) returns text
language sql stable security definer
set search_path = public, pg_temp
as $$
  select u."email"
    from accounts a
    join auth."user" u on u."id" = a.user_id
   where a.id = p_account_id
$$;

revoke all on function mail_address_of(bigint) from public;
grant execute on function mail_address_of(bigint) to mobilesms_app;

-- Whether somebody opened the link that was sent there. False: nobody did, or there is no such account.
create or replace function address_is_proven(p_account_id bigint) returns boolean
language sql stable security definer
set search_path = public, pg_temp
as $$
  select exists (
    select
      from accounts a
      join auth."user" u on u."id" = a.user_id
     where a.id = p_account_id
       and u."emailVerified")
$$;

revoke all on function address_is_proven(bigint) from public;
grant execute on function address_is_proven(bigint) to mobilesms_app;

-- Who reads the receipt of a payment, and what he wants to stand on it. No row: he does not want any.
create or replace function receipt_reader(p_account_id bigint)
returns table (address text, username text, time_zone text, company text, tax_id text)
language sql stable security definer
set search_path = public, pg_temp
as $$
  select u."email", a.username, a.time_zone, a.company, a.tax_id
    from accounts a
    join auth."user" u on u."id" = a.user_id
   where a.id = p_account_id
     and a.mail_receipts
$$;

revoke all on function receipt_reader(bigint) from public;
grant execute on function receipt_reader(bigint) to mobilesms_app;
