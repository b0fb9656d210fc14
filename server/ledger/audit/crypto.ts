/**
 * What is checked of payments on chains: what their rows say was decided, against what the ledger has. Codes: 31 top-up by crypto, 43 taken
 * back outside, 63 residue of a conversion; platform 2 what was received on chains, 10 rounding.
 */

/** Each round of a payment: the id of its credit, and of what took it back. */
const ROUNDS = `
  select p.*, n.round as of_round, derived_id(p.id, 'credit', n.round) as credit_id, derived_id(p.id, 'reversal', n.round) as reversal_id,
         n.round < p.round or p.reversed_at is not null as taken_back
    from crypto_payments p
   cross join lateral generate_series(1, p.round) n(round)`

export const cryptoChecks: Record<string, string> = {
  'each round of a payment on a chain has its credit, and its reversal exactly when it was taken back': `
    select r.id as payment, r.of_round as round, r.worth, c.amount as credited, v.amount as taken_back
      from (${ROUNDS}) r
      left join transfers c on c.id = r.credit_id
       and (c.kind, c.code, c.contra, c.account_id, c.reference) = ('credit', 31, 2, r.account_id, r.topup_id)
      left join transfers v on v.id = r.reversal_id
       and (v.kind, v.code, v.contra, v.account_id, v.reference) = ('clawback_debit', 43, 2, r.account_id, r.topup_id)
     where c.amount is distinct from r.worth
        or v.amount is distinct from case when r.taken_back then r.worth end
        or (r.of_round = r.round and (c.happened_at is distinct from r.credited_at
                                      or (r.reversed_at is not null and v.happened_at is distinct from r.reversed_at)))`,

  'what was credited and taken back of crypto has its payment and its round': `
    select t.id as transfer, t.account_id as account, t.kind, t.code, t.amount, t.reference as topup
      from transfers t
     where (t.code = 31 or (t.code = 43 and t.contra = 2))
       and not exists (select from (${ROUNDS}) r where t.id in (r.credit_id, r.reversal_id))`,

  'a top-up by crypto has what its payments credited, less what was taken back': `
    select p.id as topup, p.arrived, coalesce(s.worth, 0) as of_payments, coalesce(t.moved, 0) as moved
      from topups p
      left join (select topup_id, sum(worth) as worth from crypto_payments
                  where credited_at is not null and reversed_at is null group by topup_id) s on s.topup_id = p.id
      left join (select reference, account_id, sum(case kind when 'credit' then amount else -amount end) as moved
                   from transfers where code = 31 or (code = 43 and contra = 2) group by reference, account_id) t
        on t.reference = p.id and t.account_id = p.account_id
     where p.method = 'crypto'
       and (p.arrived <> coalesce(s.worth, 0) or p.arrived <> coalesce(t.moved, 0) or (p.arrived > 0 and p.credited_at is null))`,

  'a payment on a chain is worth its parts, rounded up to the cent, or is dust': `
    select p.id as payment, p.units, p.value, p.worth, s.units as units_of_parts, s.value as value_of_parts
      from crypto_payments p
      left join lateral (select sum((part ->> 'units')::numeric) as units, sum((part ->> 'value')::bigint) as value
                           from jsonb_array_elements(p.parts) part) s on true
     where p.worth is not null
       and p.decided_at is null
       and (s.units is distinct from p.units
            or s.value is distinct from p.value
            or (p.worth > 0 and (p.worth < p.value or p.worth - p.value >= 10000)))`,

  // What a customer was given beyond what came, to come to a whole cent, is the house's own.
  'rounding has the residues of what was credited on chains': `
    select coalesce(p.topup_id, h.reference) as topup, p.residue, h.booked
      from (select topup_id, sum(worth - value) as residue from crypto_payments
             where credited_at is not null and reversed_at is null group by topup_id) p
      full join (select reference, sum(case when (debit, credit) = (10, 2) then amount else -amount end) as booked
                   from house_entries where code = 63 group by reference) h on h.reference = p.topup_id
     where coalesce(p.residue, 0) <> coalesce(h.booked, 0)`,

  'a payment in a block stands in one that stands': `
    select p.id as payment, p.chain, p.height, p.block_hash, b.hash
      from crypto_payments p
      left join chain_blocks b on b.chain = p.chain and b.height = p.height
     where p.height is not null and b.hash is distinct from p.block_hash`,

  'top-ups by crypto move money in their own ways only, against their own platform account': `
    select t.id as transfer, t.account_id as account, t.number, t.kind, t.code, t.contra, t.amount
      from transfers t
     where (t.code = 31 and (t.kind <> 'credit' or t.contra <> 2))
        or (t.code = 43 and t.contra = 2 and t.kind <> 'clawback_debit')`,
}

// By the times of blocks: from when on everything was there that the decision needs. A payment that waits for a member of staff, or for a
// second node, waits rightly; so does one for which no rate is known yet.
export const cryptoOverdue: Record<string, string> = {
  'a payment that is deep enough is credited within five minutes': `
    select p.id as payment, p.chain, p.height, p.topup_id as topup, b.time as deep_since
      from crypto_payments p
      join chain_cursors c on c.chain = p.chain
      join chain_blocks b on b.chain = p.chain and b.height = p.height + p.confirmations_required - 1
     where p.account_id is not null
       and (p.credited_at is null or p.reversed_at is not null)
       and (p.worth > 0
            or (p.worth is null
                and exists (select from crypto_rates r where r.asset = p.asset and r.at >= p.block_time - interval '5 minutes')))
       and (p.review is null or p.review not in ('account_suspended', 'account_closed', 'unused_address'))
       and (c.agreed_height is null or p.height <= c.agreed_height)
       and b.time < house_now() - interval '5 minutes'`,

  'a credited payment that is gone is taken back within five minutes': `
    select p.id as payment, p.chain, p.topup_id as topup, b.time as gone_since
      from crypto_payments p
      join chain_blocks b on b.chain = p.chain and b.height = coalesce(p.replaced_height, p.unmined_at_height + 3)
     where p.height is null
       and p.credited_at is not null
       and p.reversed_at is null
       and b.time < house_now() - interval '5 minutes'`,
}
