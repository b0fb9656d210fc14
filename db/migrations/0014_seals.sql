-- Seals: a chain of hashes over the ledger's rows, in the order of their seq, one range after the other (server/ledger/seal.sql). What
-- is changed afterwards no longer fits, whoever changed it.
create table seals (
  first_seq bigint primary key,                       -- the range, both ends included; the next one begins right after it
  last_seq  bigint not null,
  row_count int not null,                             -- fewer than the range is long where transactions were rolled back
  head      bytea not null,                           -- SHA-256 over the head before, the rows and the range
  marks     bytea not null,                           -- three bytes of each row's hash, in their order: which row it is that differs
  sealed_at timestamptz not null default now(),       -- wire time
  constraint a_range check (last_seq >= first_seq),
  constraint a_head check (octet_length(head) = 32),
  constraint a_mark_for_each_row check (octet_length(marks) = 3 * row_count)
);

-- Only inserted, by whatever role: also the owner's hand slips.
create function seals_stay() returns trigger
language plpgsql
as $$
begin
  raise exception 'seals are never changed or deleted';
end $$;
create trigger seals_stay before update or delete or truncate on seals for each statement execute function seals_stay();

-- A range of rows by seq. Rows are written nearly in that order, so a few bytes for many blocks do, and inserting costs next to nothing.
create index transfers_seq on transfers using brin (seq) with (pages_per_range = 32, autosummarize = on);
create index house_entries_seq on house_entries using brin (seq) with (pages_per_range = 32, autosummarize = on);
