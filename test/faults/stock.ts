import pg from 'pg'
import type { World } from '../world.ts'

/** Puts so many numbers for `telegram` in `GB` into the shop: more than a test can order. */
export async function fillTheShop(world: World, numbers: number): Promise<void> {
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  await owner.query(
    `with added as (
       insert into numbers (phone_number, country) select '+4479' || lpad(n::text, 8, '0'), 'GB' from generate_series(1, $1::int) n
       returning id, country)
     insert into offers (number_id, service, country) select id, 'telegram', country from added`,
    [numbers],
  )
  await owner.query('analyze numbers; analyze offers')
  await owner.end()
}
