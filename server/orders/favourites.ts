/** Favourites: pairs of service and country that a customer has marked, so that they stand first where he orders. */
import type { Favourite } from '../../contract/contract.ts'
import type { Refused } from '../platform/answer.ts'
import type { Database } from '../platform/db.ts'

/** Of one account, at most. The table has a place for each and none for more (0010_orders_rest.sql). */
export const FAVOURITES_MAX = 100
/** Two that come at once look for the same place; the second looks again. */
const TRIES_MAX = 20

export type Marked = { ok: true; favourite: Favourite } | ({ ok: false } & Refused)

export function createFavourites({ database }: { database: Database }) {
  const { pool } = database
  return {
    /** By service and country. `after` is where the page before ended. */
    async list(accountId: bigint, page: { limit: number; after: Favourite | null }): Promise<Favourite[]> {
      const { rows } = await pool.query<Favourite>(
        `select service, country from favourites
          where account_id = $1 and ($2::text is null or (service, country) > ($2, $3))
          order by service, country limit $4`,
        [accountId, page.after?.service ?? null, page.after?.country ?? null, page.limit],
      )
      return rows
    },

    /** Marks a pair; marked already, it stays so. Refused: a service or country that is not known, one favourite too many. */
    async mark(accountId: bigint, favourite: Favourite): Promise<Marked> {
      for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
        const { rows } = await pool.query<{
          service: boolean
          country: boolean
          marked: boolean
          place: number | null
        }>(
          `with known as (
             select exists (select from services where code = $2) as service, exists (select from countries where code = $3) as country,
                    exists (select from favourites where account_id = $1 and service = $2 and country = $3) as marked,
                    (select min(p) from generate_series(1, $4) p
                      where not exists (select from favourites where account_id = $1 and place = p)) as place
           ), added as (
             insert into favourites (account_id, service, country, place, created_at)
             select $1, $2, $3, place, house_now() from known where service and country and not marked and place is not null
                 on conflict do nothing
             returning true
           )
           select service, country, marked or exists (select from added) as marked, place from known`,
          [accountId, favourite.service, favourite.country, FAVOURITES_MAX],
        )
        const { service, country, marked, place } = rows[0]!
        if (!service) return { ok: false, ...unknownService }
        if (!country) return { ok: false, ...unknownCountry }
        if (marked) return { ok: true, favourite }
        if (place === null) return { ok: false, ...tooMany }
      }
      return { ok: false, code: 'temporarily_unavailable', detail: 'Too many favourites came at once. Try again.' }
    },

    /** Takes the mark away; where there is none, nothing changes. */
    async unmark(accountId: bigint, { service, country }: Favourite): Promise<void> {
      await pool.query('delete from favourites where account_id = $1 and service = $2 and country = $3', [
        accountId,
        service,
        country,
      ])
    },
  }
}

export const unknownService: Refused = {
  code: 'unknown_service',
  detail: 'There is no such service. GET /api/v1/services lists them.',
  field: 'service',
}

export const unknownCountry: Refused = {
  code: 'unknown_country',
  detail: 'There is no such country. GET /api/v1/countries lists them.',
  field: 'country',
}

const tooMany: Refused = {
  code: 'too_many_favourites',
  detail: `You have ${FAVOURITES_MAX} favourites, which is the most. Remove one, then add this one.`,
  extra: { limit: FAVOURITES_MAX },
}
