-- After a dispute that was lost no card of its customer is taken. Somebody of staff may take them again, and says why. Rows are only added.
create table card_block_lifts (
  dispute_id  uuid not null references disputes (id),
  round       int not null,                           -- of the dispute as it was lost then: who loses it once more is blocked once more
  account_id  bigint not null,
  lifted_by   bigint not null,                        -- a member of staff's account
  lifted_at   timestamptz not null,                   -- house time
  why         text not null check (length(why) between 1 and 500),
  primary key (dispute_id, round)
);

-- When somebody was last told that the card company does not tell of it any more. Wire time; null: it tells.
alter table disputes add column alarmed_at timestamptz;
alter table fraud_warnings add column alarmed_at timestamptz;
