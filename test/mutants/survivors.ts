/**
 * Mutants that no test catches, and why none needs to: the change makes no difference that anybody could see, or none that matters. By
 * file; the line and the change as the report names them, under their reason.
 */
export const survivors: Record<string, Record<string, string[]>> = {
  'server/ledger/apply.sql': {
    'An empty list goes the long way and is answered the same.': [
      "if cardinality(p_id) = 0 then return '{}'; end if; ⟶ cardinality(p_id) = 0 → false",
    ],
    'More rows are locked than need be: who is tried again waits longer, and is answered the same.': [
      'perform from ledger_accounts where id = any (p_account) order by id for no key update; ⟶ id = any (p_account) → true',
    ],
    'Written for every command that is done, before anybody reads it; of the others nobody reads it.': [
      'x_free bigint[] := array_fill(0::bigint, array[n]);      -- below zero: owed ⟶ 0 → 1',
      'x_held bigint[] := array_fill(0::bigint, array[n]); ⟶ 0 → 1',
      'x_frozen bigint[] := array_fill(0::bigint, array[n]); ⟶ 0 → 1',
    ],
    'Set where a group begins, before it is read.': [
      'g_start int; g_a int; g_failed boolean := false; g_ok int; g_exists int; ⟶ false → true',
    ],
    'Null where no account is known: then every command is answered without it.': [
      'm := coalesce(cardinality(a_id), 0); ⟶ coalesce(cardinality(a_id), 0) → cardinality(a_id)',
    ],
    'Looks for what commands have with each other where they have nothing: slower, and answered the same.': [
      'if n > 1 then ⟶ n > 1 → true',
      'if n > 1 then ⟶ > → >=',
      'if n > 1 then ⟶ 1 → 0',
      'select count(x) > count(distinct x) into v_entangled from (select unnest(p_id) union all select unnest(p_hold)) u(x); ⟶ > → >=',
      'if v_entangled then ⟶ v_entangled → true',
    ],
  },
}
