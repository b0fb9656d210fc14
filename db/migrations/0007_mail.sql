-- Mail on its way out. A letter is written in the transaction of its cause, so it exists exactly when its cause does; sending it
-- is another matter, which may need many attempts. Wire time throughout: other people's mail servers know no other.
create table mail_outbox (
  id         uuid primary key,                        -- also its Message-ID: a repetition can be told from another letter
  account_id bigint references accounts,              -- null: to somebody who has none (yet)
  to_address text,
  subject    text,
  body_text  text,
  body_html  text,
  can_switch_off boolean not null,                    -- whether Settings has a switch for letters of this kind
  once_key   text unique check (length(once_key) between 1 and 200),  -- the cause, where it could come twice
  created_at timestamptz not null default now(),
  attempts   int not null default 0,                  -- begun ones: whoever died in the middle counts too
  next_attempt_at timestamptz default now(),          -- null: sent, or given up. While one is under way: when it counts as dead
  sent_at    timestamptz,                             -- the mail server took it
  failed_at  timestamptz,                             -- given up
  last_error text,                                    -- why the last attempt failed, as the mail server said it

  constraint over_or_to_be_sent check ((next_attempt_at is null) = (sent_at is not null or failed_at is not null)),
  constraint sent_or_failed check (sent_at is null or failed_at is null),
  -- What is in a letter is nobody's business for ever: its words go when it is over, the rest some time later (server/platform/mail.sql).
  constraint whole_until_its_end check (next_attempt_at is null
    or (to_address is not null and subject is not null and body_text is not null and body_html is not null)),
  -- One address, nothing else: what stands in a header could otherwise begin another.
  constraint one_address check (to_address ~ '^[^[:space:][:cntrl:]@<>(),;:"]{1,64}@[^[:space:][:cntrl:]@<>(),;:"]{1,253}$'),
  constraint subject_on_one_line check (subject !~ '[[:cntrl:]]')
);
-- What is due, asked every second.
create index mail_to_send on mail_outbox (next_attempt_at) where next_attempt_at is not null;
-- What is over and still says to whom, asked once a day.
create index mail_to_empty on mail_outbox (created_at) where next_attempt_at is null and to_address is not null;
