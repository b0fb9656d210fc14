/** What is for sale: services, countries, prices, and how many numbers are free for each. */
import type { Country, Price, Service } from '../../contract/contract.ts'
import { micros, printAmount } from '../../contract/money.ts'
import type { Database } from '../platform/db.ts'

/** Rates are read over this long. Unit: days. */
const SUCCESS_DAYS = 30

export type Catalogue = ReturnType<typeof createCatalogue>

export function createCatalogue({ database }: { database: Database }) {
  const { pool } = database
  return {
    async services(): Promise<Service[]> {
      return (await pool.query('select code, name from services order by name')).rows
    },

    async countries(): Promise<Country[]> {
      return (await pool.query('select code, name, dial_code from countries order by name')).rows
    },

    /**
     * Prices with stock and success rate. Null: the service or the country is not known (the field that is wrong).
     * The rate: of the numbers given in the last 30 days whose order has ended or has its code, the share that got a code.
     */
    async prices(filter: {
      service?: string | undefined
      country?: string | undefined
    }): Promise<Price[] | 'unknown_service' | 'unknown_country'> {
      const { rows: known } = await pool.query(
        'select $1::text is null or exists (select from services where code = $1) as service, $2::text is null or exists (select from countries where code = $2) as country',
        [filter.service ?? null, filter.country ?? null],
      )
      if (!known[0].service) return 'unknown_service'
      if (!known[0].country) return 'unknown_country'
      const { rows } = await pool.query(
        `select p.service, p.country, p.price,
                coalesce(f.free, 0)::int as free, coalesce(s.codes, 0)::int as codes, coalesce(s.ended, 0)::int as ended
           from prices p
           left join (select o.service, o.country, count(*) as free
                        from offers o join numbers n on n.id = o.number_id
                       where o.free_from <= house_now() and n.order_id is null
                         and ($1::text is null or o.service = $1) and ($2::text is null or o.country = $2)
                       group by o.service, o.country) f using (service, country)
           left join (select service, country, count(received_at) as codes, count(*) as ended
                        from orders
                       where status <> 'waiting' and given_at > house_now() - make_interval(days => $3)
                       group by service, country) s using (service, country)
          where ($1::text is null or p.service = $1) and ($2::text is null or p.country = $2)
          order by p.service, p.country`,
        [filter.service ?? null, filter.country ?? null, SUCCESS_DAYS],
      )
      return rows.map((row) => ({
        service: row.service,
        country: row.country,
        price: printAmount(micros(row.price)),
        in_stock: row.free,
        success_rate: row.ended === 0 ? null : row.codes / row.ended,
        success_base: row.ended,
      }))
    },
  }
}

/**
 * The catalogue and the numbers that a sandbox starts with: 12 services, 8 countries, 480 numbers, each offered for every service.
 * Safe to repeat.
 */
export async function seedCatalogue({ database }: { database: Database }): Promise<void> {
  await database.transaction(async (tx) => {
    for (const [code, name, pattern] of seedServices) {
      await tx.query('insert into services (code, name, sender_pattern) values ($1, $2, $3) on conflict do nothing', [
        code,
        name,
        pattern,
      ])
    }
    for (const [code, name, dialCode] of seedCountries) {
      await tx.query('insert into countries (code, name, dial_code) values ($1, $2, $3) on conflict do nothing', [
        code,
        name,
        dialCode,
      ])
    }
    await tx.query(
      `insert into prices (service, country, price, valid_from)
       select d.service, d.country, d.cents * 10000, house_now()
         from unnest($1::text[], $2::text[], $3::int[]) d(service, country, cents)
           on conflict do nothing`,
      [
        seedDeals.map(([service]) => service),
        seedDeals.map(([, country]) => country),
        seedDeals.map(([, , cents]) => cents),
      ],
    )
    await tx.query(
      `insert into prices (service, country, price, valid_from)
       select s.code, c.code, (s.cents + c.cents) * 10000, house_now()
         from unnest($1::text[], $2::int[]) s(code, cents), unnest($3::text[], $4::int[]) c(code, cents)
           on conflict do nothing`,
      [
        seedServices.map(([code]) => code),
        seedServices.map(([, , , cents]) => cents),
        seedCountries.map(([code]) => code),
        seedCountries.map(([, , , , cents]) => cents),
      ],
    )
    await tx.query(
      `insert into numbers (phone_number, country)
       select prefix || n, code
         from unnest($1::text[], $2::text[]) c(code, prefix), generate_series(101, 100 + $3::int) n
           on conflict do nothing`,
      [seedCountries.map(([code]) => code), seedCountries.map(([, , , prefix]) => prefix), NUMBERS_PER_COUNTRY],
    )
    await tx.query(
      `insert into offers (number_id, service, country)
       select n.id, s.code, n.country from numbers n cross join services s on conflict do nothing`,
    )
  })
}

const NUMBERS_PER_COUNTRY = 60

/** Pairs whose price is not the sum below, so that no one country is the cheapest for everything. service, country, cents. */
const seedDeals: [string, string, number][] = [
  ['amazon', 'PL', 24],
  ['microsoft', 'NL', 19],
  ['discord', 'ES', 21],
  ['uber', 'PL', 27],
  ['tiktok', 'ES', 29],
  ['apple', 'NL', 58],
  ['signal', 'PL', 69],
  ['facebook', 'ES', 34],
]

/** code, name, who writes for it, cents. */
const seedServices: [string, string, string, number][] = [
  ['telegram', 'Telegram', '^telegram$', 80],
  ['whatsapp', 'WhatsApp', '^whats ?app$', 95],
  ['google', 'Google', '^(google|g-?mail|youtube)$', 45],
  ['facebook', 'Facebook', '^(facebook|fb)$', 35],
  ['instagram', 'Instagram', '^instagram$', 40],
  ['tiktok', 'TikTok', '^tik ?tok$', 30],
  ['amazon', 'Amazon', '^amazon$', 25],
  ['microsoft', 'Microsoft', '^(microsoft|outlook)$', 20],
  ['discord', 'Discord', '^discord$', 22],
  ['uber', 'Uber', '^uber$', 28],
  ['apple', 'Apple', '^apple$', 60],
  ['signal', 'Signal', '^signal$', 70],
]

/**
 * code, name, dial code, first digits of the numbers (three more follow), cents on top of the service. Where a regulator keeps a range
 * for fiction (GB, US, FR), the numbers are from there.
 */
const seedCountries: [string, string, string, string, number][] = [
  ['GB', 'United Kingdom', '+44', '+447700900', 40],
  ['US', 'United States', '+1', '+12125550', 55],
  ['DE', 'Germany', '+49', '+491713920', 70],
  ['FR', 'France', '+33', '+33639980', 65],
  ['NL', 'Netherlands', '+31', '+31657600', 50],
  ['PL', 'Poland', '+48', '+48500900', 25],
  ['ES', 'Spain', '+34', '+34600000', 35],
  ['IN', 'India', '+91', '+919000000', 5],
]
